"""The coherence speech intelligibility index at three levels, as `CSII.m` of Loizou's book has it.

J. Kates and K. Arehart, JASA 117(4), 2005; J. Ma, Y. Hu and P. Loizou, JASA 125(5), 2009. Frames are sorted
by the level of the clean signal against that of the whole; each group has its own coherence.
"""

from functools import lru_cache

import numpy as np

from keras_segan.metrics.framing import fft_length, frames, spectra

# ANSI S3.5-1997: centre frequencies and bandwidths in Hz, and importance for short passages.
CENTRES = np.array(
    [150, 250, 350, 450, 570, 700, 840, 1000, 1170, 1370, 1600, 1850, 2150, 2500, 2900, 3400.0]
)
BANDWIDTHS = np.array([100, 100, 100, 110, 120, 140, 150, 160, 190, 210, 240, 280, 320, 380, 450, 550.0])
IMPORTANCE = np.array(
    [0.0192, 0.0312, 0.0926, 0.1031, 0.0735, 0.0611, 0.0495, 0.0440]
    + [0.0440, 0.0490, 0.0486, 0.0493, 0.0490, 0.0547, 0.0555, 0.0493]
)
# Lowest and highest level of a frame in dB against the whole signal; the lower end belongs to the group.
LEVELS = {"high": (0.0, np.inf), "mid": (-10.0, 0.0), "low": (-np.inf, -10.0)}
SDR_LIMIT = 15.0  # dB, either way


@lru_cache(maxsize=4)
def rounded_exponentials(sample_rate: int) -> np.ndarray:
    """Returns the auditory filters of Kates and Arehart, eq. 7-9, `(fft_length / 2, 16)`."""
    length = fft_length(sample_rate)
    frequencies = np.arange(length // 2)[:, None] * (sample_rate / length)
    slope = 4.0 * CENTRES / BANDWIDTHS
    distance = slope * np.abs(1.0 - frequencies / CENTRES)
    return (1.0 + distance) * np.exp(-distance)


def csii(clean: np.ndarray, processed: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Returns the index at the levels "high", "mid" and "low", each from 0 to 1.

    Args:
        clean: `(samples,)`.
        processed: `(samples,)`.
        sample_rate: In Hz.

    Returns:
        The three values; 0 at a level that no frame has, as in the original.
    """
    energy = np.mean(frames(clean, sample_rate) ** 2, axis=1)
    level = 10.0 * np.log10(energy / np.mean(clean**2))
    groups = {name: (level >= lo) & (level < hi) for name, (lo, hi) in LEVELS.items()}
    coherence = _coherence(clean, processed, sample_rate, list(groups.values()))
    return {
        name: _index(processed, sample_rate, group, c) if group.any() else 0.0
        for (name, group), c in zip(groups.items(), coherence, strict=True)
    }


def _coherence(
    clean: np.ndarray, processed: np.ndarray, sample_rate: int, groups: list[np.ndarray]
) -> np.ndarray:
    """Returns the magnitude-squared coherence over the frames of each group, `(groups, fft_length / 2)`."""
    bins = fft_length(sample_rate) // 2
    cross = np.zeros((len(groups), bins), complex)
    power = np.zeros((2, len(groups), bins))
    start = 0
    for x, y in zip(spectra(clean, sample_rate), spectra(processed, sample_rate), strict=True):
        x, y = x[:, :-1], y[:, :-1]
        members = np.array([group[start : start + len(x)] for group in groups], float)
        start += len(x)
        cross += members @ (x * y.conj())
        power += members @ (np.abs([x, y]) ** 2)
    with np.errstate(invalid="ignore"):  # a group without frames, which is not used
        return np.abs(cross) ** 2 / (power[0] * power[1])


def _index(processed: np.ndarray, sample_rate: int, group: np.ndarray, coherence: np.ndarray) -> float:
    """Returns the mean index of the frames of a group."""
    filters = rounded_exponentials(sample_rate)
    # Rounding can lift a coherence above one; the original then takes the logarithm of a negative number.
    shares = np.hstack([coherence[:, None] * filters, np.maximum(1.0 - coherence, 0.0)[:, None] * filters])
    bands = np.concatenate([np.abs(y[:, :-1]) ** 2 @ shares for y in spectra(processed, sample_rate)])[group]
    signal, distortion = np.split(bands, 2, axis=1)
    with np.errstate(divide="ignore"):
        sdr = np.clip(10.0 * np.log10(signal / distortion), -SDR_LIMIT, SDR_LIMIT)
    audible = (sdr + SDR_LIMIT) / (2.0 * SDR_LIMIT)
    return float(np.mean(audible @ IMPORTANCE) / np.sum(IMPORTANCE))
