"""Options that several commands share."""

import os

import click

from keras_segan.errors import RecipeError

jobs = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    show_default="number of cores",
    help="Worker processes for scoring.",
)


def settings(pairs: tuple[str, ...]) -> dict[str, str]:
    """Splits key=value words.

    Args:
        pairs: The words.

    Returns:
        Values by key.

    Raises:
        RecipeError: If a word has no "=".
    """
    for pair in pairs:
        if "=" not in pair:
            raise RecipeError(f"--set needs key=value, not '{pair}'.", exit_code=2)
    return dict(pair.split("=", 1) for pair in pairs)
