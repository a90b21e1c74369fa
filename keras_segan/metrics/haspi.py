"""HASPI version 2 by the package `pyclarity`, for a listener of normal hearing.

J. Kates, K. Arehart, "The hearing-aid speech perception index (HASPI) version 2", Speech Communication 131,
2021. The index is the mean of ten neural networks of ten modulation correlations. NELE-GAN (Li and
Yamagishi, 2021) and MetricGAN-OKD print a weighted sum of these correlations instead, equation 1 of the
article without its logistic function.

Signals are presented so that an rms of 1 is 65 dB SPL. The package draws random numbers for the noise of
the inner ear; they are the same in every call.
"""

import numpy as np

from keras_segan.errors import MetricError
from keras_segan.metrics.stoi import fixed_random_numbers

# Of the correlations at 2, 6, 10, 16, 25, 40, 64, 100, 160 and 256 Hz.
LINEAR_WEIGHTS = np.array([1.361, 1.521, 1.164, 0.492, 0.436, 0.690, 1.142, 0.816, 1.576, 2.269])
FREQUENCIES = (250, 500, 1000, 2000, 4000, 6000)  # Hz, of the audiogram


def index(clean: np.ndarray, processed: np.ndarray, sample_rate: int) -> float:
    """Returns HASPI, from 0 to 1; the clean signal has 65 dB, the processed keeps its level relative to it.

    Args:
        clean: `(samples,)`.
        processed: `(samples,)`.
        sample_rate: In Hz.

    Raises:
        MetricError: If `pyclarity` is not installed, or the signals are too short or too soft for it.
    """
    level = _rms(clean)
    return _haspi(clean / level, processed / level, sample_rate)[0]


def linear(clean: np.ndarray, processed: np.ndarray, sample_rate: int) -> float:
    """Returns the weighted sum of the correlations, from 0 to 11.467; both signals have 65 dB.

    Args:
        clean: `(samples,)`.
        processed: `(samples,)`.
        sample_rate: In Hz.

    Raises:
        MetricError: As `index`.
    """
    correlations = _haspi(clean / _rms(clean), processed / _rms(processed), sample_rate)[1]
    return float(LINEAR_WEIGHTS @ correlations)


def _haspi(clean: np.ndarray, processed: np.ndarray, sample_rate: int) -> tuple[float, np.ndarray]:
    try:
        from clarity.evaluator.haspi import haspi_v2
        from clarity.utils.audiogram import Audiogram
    except ImportError as error:
        raise MetricError(
            "HASPI needs the package pyclarity: pip install --no-deps pyclarity (or keras_segan[haspi], "
            "which brings its torch along)."
        ) from error
    normal = Audiogram(levels=np.zeros(len(FREQUENCIES)), frequencies=np.array(FREQUENCIES))
    with fixed_random_numbers():
        try:
            score, correlations = haspi_v2(clean, sample_rate, processed, sample_rate, normal)
        except (ValueError, IndexError) as error:
            raise MetricError(f"HASPI cannot be computed for these signals ({error}).") from error
    return float(score), correlations


def _rms(signal: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(signal))))
