"""Levels of the input that a network knows."""

from collections.abc import Sequence


def checked(levels: Sequence[float] | None) -> list[float] | None:
    """Checks the lowest and the highest level of a network's training inputs.

    Args:
        levels: Both in dB of the RMS value against 1, `None` for any.

    Returns:
        The same as a list.

    Raises:
        ValueError: If they are no range.
    """
    if levels is None:
        return None
    if not (len(levels) == 2 and levels[0] <= levels[1]):
        raise ValueError(f"levels must be the lowest and the highest, not {levels}")
    return [float(level) for level in levels]
