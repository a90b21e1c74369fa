"""Checks of a front end's settings: those out of a file, too, have the right type and are within reason."""

import math
import numbers
from collections.abc import Sequence

import numpy as np

from keras_segan import limits
from keras_segan.errors import AudioError
from keras_segan.waveform import checked_rate


def whole(name: str, value, low: int, high: int = limits.LONGEST_FRAME) -> int:
    """Returns a whole number from `low` to `high`, or raises `ValueError`."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {_shown(value)}")
    return int(value)


def number(name: str, value, low: float, high: float) -> float:
    """Returns a number from `low` to `high`, or raises `ValueError`."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {_shown(value)}")
    return value


def choice(name: str, value, known: Sequence[str]) -> str:
    """Returns one of the known words, or raises `ValueError`."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {_shown(value)}")
    return value


def array(name: str, value, shapes: Sequence[tuple[int, ...]], low: float, high: float) -> np.ndarray:
    """Returns float64 values of one of the shapes, all from `low` to `high`, or raises `ValueError`."""
    try:
        found = np.asarray(value)
        values = found.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers, not {_shown(value)}") from error
    if found.dtype.kind not in "fiu" or values.shape not in shapes:
        wanted = " or ".join(map(str, shapes))
        raise ValueError(f"{name} must be numbers of the shape {wanted}, not {found.dtype} of {values.shape}")
    if not ((values >= low) & (values <= high)).all():
        raise ValueError(f"{name} must be from {low:g} to {high:g}")
    return values


def rate(value) -> int:
    """Returns a sample rate in Hz, or raises `ValueError`."""
    try:
        return checked_rate(value)
    except AudioError as error:
        raise ValueError(str(error).rstrip(".")) from error


def levels(value: Sequence[float] | None) -> list[float] | None:
    """Returns the lowest and the highest level of a network's training inputs, or raises `ValueError`.

    Args:
        value: Both in dB of the RMS value against 1, `None` for any.
    """
    if value is None:
        return None
    is_pair = isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str) and len(value) == 2
    if not is_pair or not all(isinstance(level, numbers.Real) and math.isfinite(level) for level in value):
        raise ValueError(f"levels must be the lowest and the highest in dB, not {_shown(value)}")
    lowest, highest = map(float, value)
    if not -200.0 <= lowest <= highest <= 200.0:
        raise ValueError(f"levels must be the lowest and the highest in dB, not {_shown(value)}")
    return [lowest, highest]


def _shown(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
