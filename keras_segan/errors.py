"""Errors of the package: each message says what is wrong, in which file, and what to do.

An error class says what the error is about; those that are a `UsageError`, too, say that the caller asked for
something that cannot be (a wrong name, option or value) rather than that something failed. Exit codes are the
command line's affair: `keras_segan.cli` maps the classes to them.
"""

import difflib
from collections.abc import Iterable


class KsegError(Exception):
    """Base of all errors that the package raises on purpose.

    Args:
        message: One sentence: what is wrong, in which file, what to do.
    """


class UsageError(KsegError):
    """The caller asked for something that cannot be: a wrong name, option or value."""


class AudioError(KsegError):
    """An audio file or waveform cannot be used."""


class DataError(KsegError):
    """A corpus, manifest or folder is not what it should be."""


class FileError(DataError):
    """A file or folder cannot be read, written, listed or replaced."""


class MetricError(KsegError):
    """A metric is unknown or cannot be computed."""


class ModelError(KsegError):
    """A model cannot be loaded or does not fit."""


class BackendError(KsegError):
    """Keras runs, or is to run, on a backend that cannot be used."""


class RecipeError(KsegError):
    """A reproduction, a variant or an option of it is unknown or wrong."""


class AudioUsageError(AudioError, UsageError):
    """Audio was asked for in a way that cannot be."""


class DataUsageError(DataError, UsageError):
    """Data were asked for in a way that cannot be."""


class MetricUsageError(MetricError, UsageError):
    """A metric, or an option of scoring, was named wrongly."""


class ModelUsageError(ModelError, UsageError):
    """A model, or an option of it, was named wrongly."""


class BackendUsageError(BackendError, UsageError):
    """`KERAS_BACKEND` names a backend that is unknown or not installed."""


class RecipeUsageError(RecipeError, UsageError):
    """A reproduction, a variant or an option of it was named wrongly."""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Returns the message for an unknown name, with the nearest known one.

    Args:
        kind: What the name should have been, e.g. "metric".
        name: The name that was given.
        known: The names that exist.

    Returns:
        A sentence for an error message.
    """
    known = sorted(known)
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    return f"Unknown {kind} '{name}'.{hint} Known: {', '.join(known)}."
