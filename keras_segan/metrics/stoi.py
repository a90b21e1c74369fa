"""STOI and ESTOI by the package `pystoi`.

C. Taal et al., IEEE TASLP 19(7), 2011; J. Jensen and C. Taal, IEEE/ACM TASLP 24(11), 2016.
Taal's MATLAB code resamples to 10 kHz with another filter: the two differ by up to 5e-4, on a short file
with a frame at the 40 dB limit by up to 1e-2.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from keras_segan.errors import MetricError


def stoi(clean: np.ndarray, processed: np.ndarray, sample_rate: int, extended: bool = False) -> float:
    """Returns (E)STOI.

    Args:
        clean: `(samples,)`.
        processed: `(samples,)`.
        sample_rate: In Hz.
        extended: ESTOI.

    Raises:
        MetricError: If fewer than 30 frames (0.4 s) of speech remain.
    """
    from pystoi import stoi as pystoi

    with warnings.catch_warnings(), fixed_random_numbers():
        # pystoi returns 1e-5 with this warning: a number that no signal earned.
        warnings.filterwarnings("error", "Not enough STFT frames")
        try:
            return float(pystoi(clean, processed, sample_rate, extended))
        except RuntimeWarning as error:
            raise MetricError("STOI needs 30 frames (0.4 s) of speech after silence is removed.") from error
        except (ValueError, IndexError) as error:
            raise MetricError(f"STOI needs 0.4 s of speech; there are {len(clean)} samples.") from error


@contextmanager
def fixed_random_numbers() -> Iterator[None]:
    """Makes a package repeatable that draws noise from NumPy's global generator, as pystoi does for ESTOI."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)
