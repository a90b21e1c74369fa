"""SIIB^Gauss: speech intelligibility in bits, with the capacity of a Gaussian channel.

[1] S. Van Kuyk, W. B. Kleijn, R. C. Hendriks, "An instrumental intelligibility metric based on information
    theory", IEEE Signal Processing Letters 25(1), 2018: the auditory model, equations 2 to 12.
[2] S. Van Kuyk, W. B. Kleijn, R. C. Hendriks, "An evaluation of intrusive instrumental intelligibility
    metrics", IEEE/ACM TASLP 26(11), 2018, equation 1: mutual information by Gaussian capacity.

The clean and the processed signal become log powers of auditory bands with forward masking. 15 successive
frames of them are one vector; the Karhunen-Loeve transform of the clean vectors takes out what their
components share. Of each component the squared correlation rho^2 arrives, through a channel that begins
with the talker's own variability, rho_p = 0.75: R / (2 K) sum -log2(1 - rho_p^2 rho^2) bits per second.

Short signals are repeated to 20 s, the shortest that the authors recommend, as in NELE-GAN (Li and Yamagishi,
2021) and MetricGAN-OKD.
"""

import math
from functools import lru_cache

import numpy as np
from scipy.fft import rfft

from keras_segan.errors import MetricError
from keras_segan.metrics.framing import EPS

RATE = 16000  # Hz
FRAME, HOP = 400, 200  # samples: 25 ms, half overlapping
FRAMES_PER_SECOND = RATE / HOP
SPEECH_RANGE = 40.0  # dB below the loudest frame that count as speech
LOUDEST = 0.999  # quantile of the frames that is the loudest
LOWEST, HIGHEST = 100.0, 6500.0  # Hz, centres of the auditory filters
BANDS = 28  # one ERB apart
ORDER = 4  # of the gammatone filters
FILTER_FLOOR = 1e-3  # below this share of its peak a filter is zero
MASKING_FRAMES = int(0.2 * FRAMES_PER_SECOND)  # 200 ms of forward masking
STACKED = 15  # frames in a vector
PRODUCTION_CORRELATION = 0.75  # between what a talker means and what they say
SHORTEST = 20 * RATE  # samples below which a signal is repeated
# Of identical signals, in bits per second: what the talker's variability leaves.
LARGEST = -0.5 * FRAMES_PER_SECOND * BANDS * math.log2(1 - PRODUCTION_CORRELATION**2)


def siib_gauss(clean: np.ndarray, processed: np.ndarray, sample_rate: int) -> float:
    """Returns the information that arrives, in bits per second.

    Args:
        clean: `(samples,)`.
        processed: `(samples,)`, aligned in time.
        sample_rate: In Hz; anything but 16000 is resampled.

    Raises:
        MetricError: If the signals are shorter than one vector of frames (0.2 s).
    """
    clean, processed = (_prepared(signal, sample_rate) for signal in (clean, processed))
    scale = np.std(clean)
    clean_frames, processed_frames = (_frames(signal / scale) for signal in (clean, processed))
    speech = _is_speech(clean_frames)
    if np.count_nonzero(speech) < STACKED + 1:
        raise MetricError("SIIB needs 0.2 s of speech.")
    levels = [_levels(frames[speech]) for frames in (clean_frames, processed_frames)]
    threshold = levels[0].min(axis=0)
    vectors = [_vectors(_forward_masked(level, threshold)) for level in levels]
    return _information(*vectors)


def _prepared(signal: np.ndarray, sample_rate: int) -> np.ndarray:
    if sample_rate != RATE:
        from keras_segan import audio

        signal = audio.resample(signal, sample_rate, RATE).astype(np.float64)
    return np.tile(signal, -(-SHORTEST // len(signal))) if len(signal) < SHORTEST else signal


def _frames(signal: np.ndarray) -> np.ndarray:
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    return np.lib.stride_tricks.sliding_window_view(signal, FRAME)[::HOP] * window


def _is_speech(frames: np.ndarray) -> np.ndarray:
    power = 10 * np.log10(np.mean(np.square(frames), axis=1) + EPS)
    return power > np.quantile(power, LOUDEST) - SPEECH_RANGE


def _levels(frames: np.ndarray) -> np.ndarray:
    """Log power of every auditory band, `(frames, bands)`: equation 2 of [1]."""
    power = np.square(np.abs(rfft(frames, axis=1)))
    return np.log(power @ _filters().T + EPS)


@lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    """Power responses of gammatone filters one ERB apart, `(bands, bins)`."""
    lowest, highest = 21.4 * np.log10(1 + 0.00437 * np.array([LOWEST, HIGHEST]))
    centres = (10 ** (np.linspace(lowest, highest, BANDS) / 21.4) - 1) / 0.00437
    # The ERB, 24.7 (0.00437 f + 1), times (n-1)!^2 / (pi (2n-2)! 2^-(2n-2)) of a filter of order n = 4.
    bandwidths = 24.7 * (0.00437 * centres + 1) * 36 / (np.pi * 720 * 2.0**-6)
    frequencies = np.fft.rfftfreq(FRAME, 1 / RATE)
    distance = np.square(frequencies - centres[:, None])
    magnitude = (np.square(bandwidths[:, None]) + distance) ** (-ORDER / 2)
    magnitude /= magnitude.max(axis=1, keepdims=True)
    return np.where(magnitude < FILTER_FLOOR, 0.0, magnitude) ** 2


def _forward_masked(levels: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Every level lasts on, falling to the threshold within 200 ms, linearly over the logarithm of time.

    Args:
        levels: `(frames, bands)`.
        threshold: Lowest level of each band of the clean signal, in the place of the hearing threshold.
    """
    masked = levels.copy()
    for lag in range(1, min(MASKING_FRAMES, len(levels))):
        fallen = np.log(lag + 1) / np.log(MASKING_FRAMES)
        echo = levels[:-lag] - fallen * (levels[:-lag] - threshold)
        np.maximum(masked[lag:], echo, out=masked[lag:])
    return masked


def _vectors(levels: np.ndarray) -> np.ndarray:
    """Stacks successive frames without their mean, `(vectors, 15 * bands)`: equation 12 of [1]."""
    centred = levels - levels.mean(axis=0)
    stacked = np.lib.stride_tricks.sliding_window_view(centred, STACKED, axis=0)
    return stacked.transpose(0, 2, 1).reshape(len(stacked), -1)


def _information(clean: np.ndarray, processed: np.ndarray) -> float:
    _, basis = np.linalg.eigh(np.cov(clean.T))
    sent, received = clean @ basis, processed @ basis
    power = np.mean(np.square(sent), axis=0) * np.mean(np.square(received), axis=0)
    shared = np.square(np.mean(sent * received, axis=0))
    return _capacity(np.divide(shared, power, out=np.zeros_like(power), where=power > 0))


def _capacity(squared_correlation: np.ndarray) -> float:
    """Bits per second of Gaussian channels: equation 1 of [2]."""
    per_vector = -0.5 * np.sum(np.log2(1 - PRODUCTION_CORRELATION**2 * squared_correlation))
    return float(FRAMES_PER_SECOND / STACKED * per_vector)
