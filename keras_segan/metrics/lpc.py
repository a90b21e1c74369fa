"""Measures on linear prediction: LLR, Itakura-Saito and cepstral distance, all frames at once.

Definitions: P. Loizou, "Speech Enhancement: Theory and Practice", 2nd ed., chapter 11; the rules that
decide the last digits are those of `comp_llr.m`, `comp_is.m` and `comp_cep.m` shipped with the book.
The rows of an array are frames; only the order of prediction is looped over.
"""

from dataclasses import dataclass

import numpy as np

LLR_LIMIT = 2.0
ITAKURA_SAITO_LIMIT = 100.0
CEPSTRAL_LIMIT = 10.0  # dB


def order(sample_rate: int) -> int:
    """Returns the order of prediction: 10 below 10 kHz, else 16."""
    return 10 if sample_rate < 10000 else 16


def levinson(lags: np.ndarray) -> np.ndarray:
    """Solves the normal equations of all frames by the Levinson-Durbin recursion.

    Args:
        lags: Autocorrelation at lags 0 to P, `(frames, P + 1)`.

    Returns:
        The inverse filters `[1, -a1, ... -aP]`, `(frames, P + 1)`.
    """
    lags = np.ascontiguousarray(lags.T)  # (P + 1, frames): the recursion runs along contiguous rows
    inverse = np.zeros_like(lags)
    inverse[0] = 1.0
    error = lags[0].copy()
    for i in range(1, len(lags)):
        # sum over j of inverse[j] * lags[i - j]; the new coefficient is minus this over the error.
        reflection = -np.einsum("jf,jf->f", inverse[:i], lags[i:0:-1]) / error
        inverse[1 : i + 1] += reflection * inverse[i - 1 :: -1][:i]
        error *= 1.0 - reflection**2
    return inverse.T


def residual_energy(inverse: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Returns `A R A'` of every frame: the energy that filter A leaves of the signal with lags R.

    Args:
        inverse: Inverse filters A, `(frames, P + 1)`.
        lags: First row of the Toeplitz matrix R, `(frames, P + 1)`.

    Returns:
        `(frames,)`.
    """
    inverse = np.ascontiguousarray(inverse.T)
    terms = len(inverse)
    # A quadratic form in a Toeplitz matrix only needs the autocorrelation of A.
    energy = lags[:, 0] * np.einsum("jf,jf->f", inverse, inverse)
    for k in range(1, terms):
        energy += 2.0 * lags[:, k] * np.einsum("jf,jf->f", inverse[: terms - k], inverse[k:])
    return energy


@dataclass(frozen=True)
class Prediction:
    """What the measures of this module need of a pair of signals; every field has a row a frame."""

    clean_lags: np.ndarray
    processed_lags: np.ndarray
    clean_inverse: np.ndarray
    processed_inverse: np.ndarray

    @classmethod
    def of(cls, clean_lags: np.ndarray, processed_lags: np.ndarray) -> "Prediction":
        """Predicts both signals from their autocorrelations, `(frames, P + 1)` each."""
        return cls(clean_lags, processed_lags, levinson(clean_lags), levinson(processed_lags))


def llr(prediction: Prediction) -> np.ndarray:
    """Returns the log-likelihood ratio of every frame, not limited, `(frames,)`."""
    crossed = residual_energy(prediction.processed_inverse, prediction.clean_lags)
    own = residual_energy(prediction.clean_inverse, prediction.clean_lags)
    return np.log(crossed / own)


def itakura_saito(prediction: Prediction) -> np.ndarray:
    """Returns the Itakura-Saito distance of every frame, limited to 100, `(frames,)`."""
    gain_clean = np.einsum("fj,fj->f", prediction.clean_lags, prediction.clean_inverse)
    gain_processed = np.einsum("fj,fj->f", prediction.processed_lags, prediction.processed_inverse)
    gain = gain_clean / gain_processed
    return np.minimum(gain * np.exp(llr(prediction)) - np.log(gain) - 1.0, ITAKURA_SAITO_LIMIT)


def cepstral_distance(prediction: Prediction) -> np.ndarray:
    """Returns the distance in dB of the cepstra of the two all-pole models, at most 10, `(frames,)`."""
    difference = _cepstra(prediction.clean_inverse) - _cepstra(prediction.processed_inverse)
    distance = 10.0 * np.sqrt(2.0) / np.log(10.0) * np.linalg.norm(difference, axis=1)
    return np.minimum(distance, CEPSTRAL_LIMIT)


def _cepstra(inverse: np.ndarray) -> np.ndarray:
    """Turns inverse filters `(frames, P + 1)` into cepstral coefficients 1 to P, `(frames, P)`."""
    cepstra = np.zeros((len(inverse), inverse.shape[1] - 1))
    for k in range(1, inverse.shape[1]):
        past = np.arange(1, k)
        cepstra[:, k - 1] = -inverse[:, k] - (cepstra[:, : k - 1] * inverse[:, k - 1 : 0 : -1]) @ past / k
    return cepstra
