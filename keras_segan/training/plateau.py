"""A step size that falls when a loss no longer does."""

from collections.abc import Iterable

THRESHOLD = 1e-4  # relative improvement that counts


def rate_after(
    losses: Iterable[float], first: float, patience: int, least: float = 0.0, factor: float = 0.5
) -> float:
    """Returns the step size after some rounds, as torch's ReduceLROnPlateau sets it.

    It depends on the losses alone, so that a run that is resumed goes on with the same step size.

    Args:
        losses: Validation losses of the rounds so far.
        first: Step size before the first round.
        patience: Rounds without improvement before the step size falls.
        least: Smallest step size.
        factor: What it is multiplied by.
    """
    rate, best, waited = first, float("inf"), 0
    for loss in losses:
        if loss < best * (1.0 - THRESHOLD):
            best, waited = loss, 0
            continue
        waited += 1
        if waited > patience:
            rate, waited = max(rate * factor, least), 0
    return rate
