"""Measures on spectra: WSS, frequency-weighted segmental SNR and log-spectral distance.

WSS: D. Klatt, ICASSP 1982, as in `comp_wss.m`; fwSegSNR: Y. Hu and P. Loizou, IEEE TASLP 16(1), 2008,
eq. 7-9, as in `comp_fwseg.m` (both shipped with Loizou's book). The rows of an array are frames.
"""

from functools import lru_cache

import numpy as np

from keras_segan.metrics.framing import EPS, fft_length, power_spectra

# Centre frequencies and bandwidths in Hz of the 25 critical bands.
CENTRES = np.array(
    [50, 120, 190, 260, 330, 400, 470, 540, 617.372, 703.378, 798.717, 904.128, 1020.38, 1148.30, 1288.72]
    + [1442.54, 1610.70, 1794.16, 1993.93, 2211.08, 2446.71, 2701.97, 2978.04, 3276.17, 3597.63]
)
BANDWIDTHS = np.array(
    [70, 70, 70, 70, 70, 70, 70, 77.3724, 86.0056, 95.3398, 105.411, 116.256, 127.914, 140.423, 153.823]
    + [168.154, 183.457, 199.776, 217.153, 235.631, 255.255, 276.072, 298.126, 321.465, 346.136]
)
POWER_FLOOR = 1e-10
GLOBAL_PEAK_WEIGHT = 20.0  # Kmax of Klatt
LOCAL_PEAK_WEIGHT = 1.0  # Klocmax of Klatt
FWSEG_EXPONENT = 0.2  # the weight of a band is its clean amplitude to this power
FWSEG_LIMITS = (-10.0, 35.0)  # dB


@lru_cache(maxsize=4)
def critical_bands(sample_rate: int) -> np.ndarray:
    """Returns the Gaussian band filters, `(fft_length / 2, 25)`."""
    bins = fft_length(sample_rate) // 2
    per_hertz = bins / (sample_rate / 2)
    centres = np.floor(CENTRES * per_hertz)
    offsets = (np.arange(bins)[:, None] - centres) / (BANDWIDTHS * per_hertz)
    filters = np.exp(-11.0 * offsets**2 + np.log(BANDWIDTHS[0]) - np.log(BANDWIDTHS))
    # "-30 dB point of filter" in the MATLAB code; 2.303 stands for ln 10 there.
    filters[filters <= np.exp(-30.0 / (2.0 * 2.303))] = 0.0
    filters.setflags(write=False)
    return filters


def wss(clean_bands: np.ndarray, processed_bands: np.ndarray) -> np.ndarray:
    """Returns the weighted spectral slope distance of every frame.

    Args:
        clean_bands: Power in the critical bands, `(frames, 25)`.
        processed_bands: The same of the processed signal.

    Returns:
        `(frames,)`.
    """
    clean = 10.0 * np.log10(np.maximum(clean_bands, POWER_FLOOR))
    processed = 10.0 * np.log10(np.maximum(processed_bands, POWER_FLOOR))
    clean_slope = np.diff(clean, axis=1)
    processed_slope = np.diff(processed, axis=1)
    weights = _slope_weights(clean, clean_slope) + _slope_weights(processed, processed_slope)
    return np.sum(weights * (clean_slope - processed_slope) ** 2, axis=1) / np.sum(weights, axis=1)


def _slope_weights(level: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Returns Klatt's weight of each slope from the levels in dB, `(frames, 24)`."""
    own = level[:, :-1]
    to_global = level.max(axis=1, keepdims=True) - own
    to_local = _nearest_peak(level, slope) - own
    global_weight = GLOBAL_PEAK_WEIGHT / (GLOBAL_PEAK_WEIGHT + to_global)
    return global_weight * LOCAL_PEAK_WEIGHT / (LOCAL_PEAK_WEIGHT + to_local)


def _nearest_peak(level: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Returns the level of the local peak that each slope climbs to, `(frames, 24)`."""
    band = np.arange(slope.shape[1])
    rising = slope > 0
    # The first falling slope to the right, the last rising one to the left; found by running extremes.
    falls_at = np.where(rising, slope.shape[1], band)
    falls_at = np.minimum.accumulate(falls_at[:, ::-1], axis=1)[:, ::-1]
    rose_at = np.maximum.accumulate(np.where(rising, band, -1), axis=1)
    # Kept from the MATLAB code: on a rising slope it takes the band *before* the peak.
    return np.take_along_axis(level, np.where(rising, falls_at - 1, rose_at + 1), axis=1)


def fwsegsnr(clean: np.ndarray, processed: np.ndarray, sample_rate: int) -> np.ndarray:
    """Returns the frequency-weighted segmental SNR of every frame in dB, `(frames,)`."""
    pairs = zip(power_spectra(clean, sample_rate), power_spectra(processed, sample_rate), strict=True)
    blocks = [_fwsegsnr(_unit_area_bands(c, sample_rate), _unit_area_bands(p, sample_rate)) for c, p in pairs]
    return np.concatenate(blocks)


def _unit_area_bands(power: np.ndarray, sample_rate: int) -> np.ndarray:
    amplitude = np.sqrt(power[:, :-1])
    return amplitude @ critical_bands(sample_rate) / amplitude.sum(axis=1, keepdims=True)


def _fwsegsnr(clean: np.ndarray, processed: np.ndarray) -> np.ndarray:
    error = np.maximum((clean - processed) ** 2, EPS)
    weights = clean**FWSEG_EXPONENT
    snr = np.sum(weights * 10.0 * np.log10(clean**2 / error), axis=1) / np.sum(weights, axis=1)
    return np.clip(snr, *FWSEG_LIMITS)


def lsd(clean: np.ndarray, processed: np.ndarray, sample_rate: int) -> np.ndarray:
    """Returns the log-spectral distance of every frame in dB: rms over all bins, `(frames,)`.

    The power is floored as in WSS, so that digital silence does not decide the mean.
    """
    pairs = zip(power_spectra(clean, sample_rate), power_spectra(processed, sample_rate), strict=True)
    blocks = [10.0 * np.log10(np.maximum(c, POWER_FLOOR) / np.maximum(p, POWER_FLOOR)) for c, p in pairs]
    return np.concatenate([np.sqrt(np.mean(block**2, axis=1)) for block in blocks])
