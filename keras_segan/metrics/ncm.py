"""The normalised covariance metric, as `NCM.m` of Loizou's book has it, with ANSI weights.

J. Ma, Y. Hu and P. Loizou, JASA 125(5), 2009, eq. 8-11: how much of each band's slow envelope, below 16 Hz,
the processed signal keeps. The original resamples the envelopes with the `resample` of whoever runs it. Here
it is Octave's, as in pystoi. That of MATLAB, a Kaiser window of shape 5 over 10 zero crossings, lets more
of the envelope pass: values from MATLAB are 3e-4 to 1.2e-3 higher on public pairs, at most 2e-3 apart.
"""

from functools import lru_cache

import numpy as np

from keras_segan.metrics.framing import EPS

BANDS = 20
ENVELOPE_RATE = 32  # Hz
FILTER_ORDER = 4
SNR_LIMIT = 15.0  # dB, either way
LOWEST = 300.0  # Hz; the highest edge is 600 Hz below half the sample rate
# ANSI S3.5-1997, table B.1: centre frequencies in Hz and importance of the bands.
ANSI_CENTRES = [150, 250, 350, 450, 570, 700, 840, 1000, 1170, 1370, 1600, 1850, 2150, 2500, 2900, 3400] + [
    4000,
    4800,
    5800,
    7000,
    8500,
]
ANSI_IMPORTANCE = [
    0.0192,
    0.0312,
    0.0926,
    0.1031,
    0.0735,
    0.0611,
    0.0495,
    0.0440,
    0.0440,
    0.0490,
    0.0486,
    0.0493,
] + [0.0490, 0.0547, 0.0555, 0.0493, 0.0359, 0.0387, 0.0256, 0.0219, 0.0043]


def band_edges(sample_rate: int) -> np.ndarray:
    """Returns the edges of the bands in Hz, equally far apart on the basilar membrane, `(21,)`.

    The map from frequency to place is Greenwood's, `165 (10^(2.1 x / 35) - 1)` with x in mm.
    """
    places = 35.0 / 2.1 * np.log10(np.array([LOWEST, sample_rate / 2 - 600.0]) / 165.0 + 1.0)
    return 165.0 * (10.0 ** (2.1 / 35.0 * np.linspace(*places, BANDS + 1)) - 1.0)


def ncm(clean: np.ndarray, processed: np.ndarray, sample_rate: int) -> float:
    """Returns the metric, from 0 to 1.

    Args:
        clean: `(samples,)`.
        processed: `(samples,)`.
        sample_rate: 8000 or 16000 Hz.
    """
    edges = band_edges(sample_rate)
    weights = np.interp((edges[:-1] + edges[1:]) / 2.0, ANSI_CENTRES, ANSI_IMPORTANCE)
    kept = [
        _transmission(_envelope(clean, band, sample_rate), _envelope(processed, band, sample_rate))
        for band in zip(edges[:-1], edges[1:], strict=True)
    ]
    return float(np.average(kept, weights=weights))


def _envelope(signal: np.ndarray, band: tuple[float, float], sample_rate: int) -> np.ndarray:
    """Returns the Hilbert envelope of a band at 32 Hz."""
    from scipy import fft
    from scipy import signal as dsp

    sections = dsp.butter(FILTER_ORDER, band, "bandpass", fs=sample_rate, output="sos")
    real = dsp.sosfilt(sections, signal)
    imaginary = fft.irfft(-1j * fft.rfft(real), len(real))  # the Hilbert transform
    factor = sample_rate // ENVELOPE_RATE
    return dsp.resample_poly(np.hypot(real, imaginary), 1, factor, window=_decimation_filter(factor))


@lru_cache(maxsize=2)
def _decimation_filter(factor: int) -> np.ndarray:
    """Returns Octave's low-pass filter: a sinc in a Kaiser window for 60 dB, 10 % of the band to roll off."""
    cutoff = 0.5 / factor
    reach = int(np.ceil((60.0 - 8.0) / (28.714 * cutoff / 10.0)))
    taps = np.kaiser(2 * reach + 1, 0.1102 * (60.0 - 8.7)) * np.sinc(
        2.0 * cutoff * np.arange(-reach, reach + 1)
    )
    return taps / taps.sum()


def _transmission(clean: np.ndarray, processed: np.ndarray) -> float:
    clean, processed = clean - clean.mean(), processed - processed.mean()
    shared = (clean @ processed) ** 2 / ((clean @ clean) * (processed @ processed))
    snr = 10.0 * np.log10((shared + EPS) / (max(1.0 - shared, 0.0) + EPS))
    return (np.clip(snr, -SNR_LIMIT, SNR_LIMIT) + SNR_LIMIT) / (2.0 * SNR_LIMIT)
