"""Bootstrap over utterances: intervals of any statistic, and what they say of a claim."""

from collections.abc import Callable

import numpy as np

from keras_segan.evaluation import LEVEL, RESAMPLINGS

Statistic = Callable[[np.ndarray], float]

# With fewer pairs all differences lie on one side by chance in more than 5 % of cases (sign test).
FEWEST_PAIRS = 6


def interval(statistic: Statistic, count: int, seed: int = 0) -> tuple[float, float] | None:
    """Returns the percentile bootstrap interval of a statistic.

    Args:
        statistic: Takes numbers of utterances, with repetitions, and returns the value for them. Values
            that are not finite, such as a correlation of equal values, are left out.
        count: Number of utterances.
        seed: Seed of the resampling; the same seed resamples alike, as in `evaluation.bootstrap_interval`.

    Returns:
        Lower and upper end, `None` if no resampling gave a finite value.
    """
    rng = np.random.default_rng(seed)
    values = np.array([statistic(rng.integers(count, size=count)) for _ in range(RESAMPLINGS)])
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return None
    low, high = np.quantile(finite, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return float(low), float(high)


def verdict(limits: tuple[float, float] | None, count: int, higher_is_better: bool) -> str:
    """Says what the interval of a difference, better minus worse, means for the claim.

    Args:
        limits: The interval.
        count: Number of utterances.
        higher_is_better: Whether large values of the measure are good.

    Returns:
        One of `tables.VERDICTS`.
    """
    if limits is None:
        return "not measured"
    low, high = limits if higher_is_better else (-limits[1], -limits[0])
    if count < FEWEST_PAIRS or low <= 0.0 <= high:
        return "undecided"
    return "holds" if low > 0.0 else "contradicted"
