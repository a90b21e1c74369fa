"""The framing that Loizou's measures share: 30 ms Hann frames every 7.5 ms and their power spectra.

`clean` and `processed` are float64 `(samples,)` in [-1, 1] throughout the package `metrics`.
"""

from collections.abc import Iterator

import numpy as np
from scipy.fft import rfft

FRAME_SECONDS = 0.030
OVERLAP = 4  # the hop is the frame length divided by this
EPS = np.finfo(np.float64).eps
TRIMMED = 0.95  # share of the frames, the lowest ones, that enters a trimmed mean
# Frames transformed at a time: their spectra stay in the cache, and a long file needs little memory.
_BLOCK = 128


def frame_length(sample_rate: int) -> int:
    """Returns the samples of one frame."""
    return round(FRAME_SECONDS * sample_rate)


def fft_length(sample_rate: int) -> int:
    """Returns the FFT length: the power of two that holds two frames (1024 at 16 kHz)."""
    return 2 ** int(np.ceil(np.log2(2 * frame_length(sample_rate))))


def frame_count(samples: int, sample_rate: int) -> int:
    """Returns the number of frames; as in the MATLAB code one less than would fit."""
    length = frame_length(sample_rate)
    hop = length // OVERLAP
    return max(0, int(np.floor(samples / hop - length / hop)))


def hann(length: int) -> np.ndarray:
    """Returns MATLAB's `hanning`: symmetric, without the zeros at its ends, `(length,)`."""
    n = np.arange(1, length + 1)
    return 0.5 * (1 - np.cos(2 * np.pi * n / (length + 1)))


def frames(signal: np.ndarray, sample_rate: int) -> np.ndarray:
    """Returns the frames of a signal before the window as a read-only view, `(frames, length)`."""
    length = frame_length(sample_rate)
    hop = length // OVERLAP
    count = frame_count(len(signal), sample_rate)
    view = np.lib.stride_tricks.sliding_window_view(signal, length)
    return view[: (count - 1) * hop + 1 : hop] if count else view[:0]


def spectra(signal: np.ndarray, sample_rate: int) -> Iterator[np.ndarray]:
    """Yields the one-sided spectra of the windowed frames in blocks.

    Args:
        signal: `(samples,)`.
        sample_rate: In Hz.

    Yields:
        Complex, `(frames of the block, fft_length / 2 + 1)`.
    """
    cut = frames(signal, sample_rate)
    window = hann(frame_length(sample_rate))
    for start in range(0, len(cut), _BLOCK):
        yield rfft(cut[start : start + _BLOCK] * window, fft_length(sample_rate), overwrite_x=True)


def power_spectra(signal: np.ndarray, sample_rate: int) -> Iterator[np.ndarray]:
    """Yields the power of `spectra`."""
    for block in spectra(signal, sample_rate):
        yield np.square(block.real) + np.square(block.imag)


def trimmed_mean(values: np.ndarray) -> float:
    """Returns the mean of the lowest 95 % of the frames' values."""
    # MATLAB rounds half away from zero, Python's round() to even: 310 frames keep 295, not 294.
    kept = int(np.floor(TRIMMED * len(values) + 0.5))
    return float(np.mean(np.sort(values)[:kept]))
