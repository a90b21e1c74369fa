"""Signal-to-noise ratios in the time domain, in dB."""

import numpy as np

from keras_segan.metrics.framing import EPS, OVERLAP, frame_count, frame_length, hann

SEGMENTAL_LIMITS = (-10.0, 35.0)  # dB, of every frame


def snr(clean: np.ndarray, processed: np.ndarray) -> float:
    """Returns the SNR of the whole signal: its energy over that of the difference."""
    with np.errstate(divide="ignore"):
        return float(10.0 * np.log10(np.sum(clean**2) / np.sum((clean - processed) ** 2)))


def segmental(clean: np.ndarray, processed: np.ndarray, sample_rate: int) -> np.ndarray:
    """Returns the SNR of every frame, limited to -10..35 dB, as `comp_snr.m` of Loizou's book.

    No mean is removed and no level is matched.

    Args:
        clean: `(samples,)`.
        processed: `(samples,)`.
        sample_rate: In Hz.

    Returns:
        `(frames,)`.
    """
    signal = _frame_energies(clean, sample_rate)
    noise = _frame_energies(clean - processed, sample_rate)
    return np.clip(10.0 * np.log10(signal / (noise + EPS) + EPS), *SEGMENTAL_LIMITS)


def _frame_energies(signal: np.ndarray, sample_rate: int) -> np.ndarray:
    """Returns the energy of every windowed frame, `(frames,)`."""
    length = frame_length(sample_rate)
    hop = length // OVERLAP
    count = frame_count(len(signal), sample_rate)
    # A frame is four hops long: weight every hop by each quarter of the window once, then add up.
    hops = signal[: (count + OVERLAP - 1) * hop].reshape(-1, hop) ** 2
    quarters = hops @ (hann(length) ** 2).reshape(OVERLAP, hop).T
    return sum(quarters[k : k + count, k] for k in range(OVERLAP))


def si_sdr(clean: np.ndarray, processed: np.ndarray, zero_mean: bool = True) -> float:
    """Returns the scale-invariant SDR: J. Le Roux et al., ICASSP 2019, eq. 4.

    Args:
        clean: `(samples,)`.
        processed: `(samples,)`.
        zero_mean: Whether the mean of each is taken off, as the article does and other programs often do not.
            With an offset of the recording the two differ by many dB.
    """
    if zero_mean:
        clean = clean - clean.mean()
        processed = processed - processed.mean()
    target = (clean @ processed) / (clean @ clean) * clean
    with np.errstate(divide="ignore"):
        return float(10.0 * np.log10(np.sum(target**2) / np.sum((processed - target) ** 2)))
