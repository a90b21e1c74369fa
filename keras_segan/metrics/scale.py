"""Maps of a metric's values to [0, 1], as the papers train on them, each with its inverse."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_segan.errors import MetricUsageError, unknown

_LINEAR = re.compile(r"linear@(\S+)\.\.(\S+)")


@dataclass(frozen=True)
class Scale:
    """A map of a metric's values; calling it applies `forward`.

    Attributes:
        name: What `get` knows it by.
        forward: From the metric's unit to the scale; works on floats and arrays.
        inverse: Back again.
        reference: Who used it.
    """

    name: str
    forward: Callable[[float], float]
    inverse: Callable[[float], float]
    reference: str = ""

    def __call__(self, value: float) -> float:
        return self.forward(value)


def _linear(name: str, lo: float, hi: float, reference: str = "") -> Scale:
    return Scale(name, lambda x: (x - lo) / (hi - lo), lambda y: lo + y * (hi - lo), reference)


def _logistic(name: str, slope: float, centre: float, reference: str) -> Scale:
    return Scale(
        name,
        lambda x: 1.0 / (1.0 + np.exp(-slope * (x - centre))),
        lambda y: centre - np.log(1.0 / y - 1.0) / slope,
        reference,
    )


_SCALES = {
    scale.name: scale
    for scale in (
        _linear("unit", 0.0, 1.0, "STOI as it is: MetricGAN, ICML 2019"),
        _linear("pesq-linear", -0.5, 4.5, "(p + 0.5) / 5: MetricGAN and MetricGAN+"),
        _linear("mos-linear", 1.0, 5.0, "(x - 1) / 4: CSIG, CBAK and COVL in MetricGAN-OKD"),
        _logistic("pesq-logistic", 1.5, 2.5, "1 / (1 + exp(-1.5 (p - 2.5))): MetricGAN-OKD, after NELE-GAN"),
        _logistic("siib-logistic", 0.06, 32.0, "1 / (1 + exp(-0.06 (x - 32))): NELE-GAN"),
        _logistic(
            "haspi-logistic", 0.95, 2.8, "1 / (1 + exp(-0.95 (x - 2.8))), of the linear HASPI: NELE-GAN"
        ),
        _logistic("estoi-logistic", 8.0, 0.25, "1 / (1 + exp(-8 (x - 0.25))): MetricGAN-OKD, after NELE-GAN"),
    )
}


def names() -> tuple[str, ...]:
    """Returns the names of the papers' scales."""
    return tuple(_SCALES)


def get(name: str) -> Scale:
    """Returns a scale.

    Args:
        name: One of `names()`, or `linear@WORST..BEST`: the straight line from 0 at the one to 1 at the
            other.

    Returns:
        The scale.

    Raises:
        MetricError: If there is no such scale.
    """
    if name in _SCALES:
        return _SCALES[name]
    match = _LINEAR.fullmatch(name)
    if not match:
        raise MetricUsageError(unknown("scale", name, _SCALES))
    return _linear(name, *parse_ends(match[1], match[2], name))


def parse_ends(first: str, second: str, whole: str) -> tuple[float, float]:
    """Returns the two numbers of a range, which must be finite and differ.

    Args:
        first: The text before the dots.
        second: The text after the dots.
        whole: What the user wrote, for the message.
    """
    try:
        ends = float(first), float(second)
    except ValueError as error:
        raise MetricUsageError(f"'{whole}': the ends of a range must be numbers, as in @0..100.") from error
    if not np.isfinite(ends).all() or ends[0] == ends[1]:
        raise MetricUsageError(f"'{whole}': the ends of a range must be finite and differ.")
    return ends
