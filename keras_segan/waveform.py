"""What callers give as a waveform, checked in one place: `ks.enhance`, `ks.evaluate` and every metric use it.

A waveform is `(samples,)`, or `(samples, channels)` where channels are taken. Its values are floats with full
scale 1, or integers of a type that audio files have: 16 bit, 8 bit, and 32 bit at full scale. Other integers
are refused, since nothing tells their full scale.
"""

import numbers

import numpy as np

from keras_segan import limits
from keras_segan.errors import AudioError

_QUIETEST_INT32 = 1 << 23  # a smaller peak may as well be that of 16 or 24 bits in a wider type
_GIVE = "give floats in [-1, 1] or int16"


def checked(waveform, name: str = "waveform", channels: bool = False) -> np.ndarray:
    """Checks a waveform and returns it as floats.

    Args:
        waveform: `(samples,)`, or `(samples, channels)` if `channels`.
        name: What messages call it.
        channels: Whether several channels are taken.

    Returns:
        float64 of the same shape; float32 stays.

    Raises:
        AudioError: If it is empty, not finite, far beyond full scale, or of another type or layout.
    """
    array = _array(waveform, name)
    _check_layout(array.shape, name, channels)
    floats = _floats(array, name)
    if not np.isfinite(floats).all():
        raise AudioError(f"The {name} holds NaN or infinite samples; repair it first.")
    if np.abs(floats).max() > limits.LARGEST_SAMPLE:
        raise AudioError(f"The {name} holds samples of up to {np.abs(floats).max():.1e}; full scale is 1.")
    return floats


def _array(waveform, name: str) -> np.ndarray:
    try:
        return np.asarray(waveform)
    except Exception as error:  # ragged lists, tensors that want something first: each library its own
        raise AudioError(f"The {name} is no array of samples ({error}); {_GIVE}.") from error


def _check_layout(shape: tuple[int, ...], name: str, channels: bool):
    wanted = "(samples,) or (samples, channels)" if channels else "a mono signal (samples,)"
    if len(shape) != 1 and not (channels and len(shape) == 2):
        raise AudioError(f"The {name} has shape {shape}; it must be {wanted}.")
    if not np.prod(shape):
        raise AudioError(f"The {name} has shape {shape}: it holds no samples.")
    if len(shape) == 2 and shape[1] > min(shape[0], limits.MOST_CHANNELS):
        raise AudioError(
            f"The {name} has shape {shape}, {shape[1]} channels of {shape[0]} samples; if it is"
            " (channels, samples), as librosa has it, give its transpose."
        )


def _floats(array: np.ndarray, name: str) -> np.ndarray:
    kind, bits = array.dtype.kind, 8 * array.dtype.itemsize
    if kind == "f":
        return array if array.dtype == np.float32 else array.astype(np.float64)
    if kind == "i" and bits <= 16:
        return array / float(1 << (bits - 1))
    if kind == "u" and bits == 8:
        return (array - 128.0) / 128.0  # as in a WAV of 8 bits
    if kind != "i" or bits != 32:
        raise AudioError(f"The {name} has {array.dtype} values, whose full scale is unknown; {_GIVE}.")
    peak = np.abs(array.astype(np.int64)).max()
    if 0 < peak < _QUIETEST_INT32:
        raise AudioError(
            f"The {name} has int32 values up to {peak} only, as of 16 or 24 bits in a wider type; {_GIVE}."
        )
    return array / float(1 << 31)


def checked_rate(rate, name: str = "sample rate") -> int:
    """Returns a sample rate as a whole number of Hz.

    Args:
        rate: In Hz.
        name: What messages call it.

    Raises:
        AudioError: If it is no whole number, or beyond reason.
    """
    if isinstance(rate, np.ndarray) and rate.ndim == 0:
        rate = rate.item()
    if not isinstance(rate, numbers.Real) or isinstance(rate, bool) or rate != rate // 1:
        raise AudioError(f"The {name} must be a whole number of Hz, not {rate!r}.")
    if not limits.LOWEST_RATE <= rate <= limits.HIGHEST_RATE:
        raise AudioError(
            f"The {name} of {int(rate)} Hz cannot be right;"
            f" {limits.LOWEST_RATE} to {limits.HIGHEST_RATE} Hz are taken."
        )
    return int(rate)


def checked_share(share, name: str) -> float:
    """Returns a share from 0 to 1, such as `wet`.

    Args:
        share: The number.
        name: What messages call it.

    Raises:
        AudioError: If it is none.
    """
    if not isinstance(share, numbers.Real) or isinstance(share, bool) or not 0 <= share <= 1:
        raise AudioError(f"'{name}' must be a number from 0 to 1, not {share!r}.")
    return float(share)
