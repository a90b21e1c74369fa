"""Options that several commands share."""

import contextlib
import os
import sys
from typing import ClassVar

import click

from keras_segan import keras_setup
from keras_segan.errors import RecipeUsageError

jobs = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    show_default="number of cores",
    help="Worker processes for scoring.",
)


class Duration(click.ParamType):
    """A time such as 90s, 30m, 2h or 1d, in seconds; a number alone is seconds."""

    name = "duration"
    units: ClassVar = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

    def convert(self, value, parameter, context) -> float:
        """Returns the seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        number, unit = (value[:-1], value[-1]) if value[-1:] in self.units else (value, "s")
        try:
            seconds = float(number) * self.units[unit]
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            self.fail(f"'{value}' is no time; write 90s, 30m, 2h or 1d.", parameter, context)
        return seconds


def complete_metrics(context, parameter, incomplete: str) -> list[str]:
    """Offers metrics to the shell; of several with commas the last one."""
    from keras_segan import metrics

    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in metrics.names() if name.startswith(last)]


def complete_models(context, parameter, incomplete: str) -> list[str]:
    """Offers the pretrained models to the shell."""
    from keras_segan.models import registry

    return [name for name in registry.list_models() if name.startswith(incomplete)]


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
            raise RecipeUsageError(f"--set needs key=value, not '{pair}'.")
    return dict(pair.split("=", 1) for pair in pairs)


def import_keras():
    """Imports Keras and its backend; what TensorFlow says while it loads is shown with `-v` only.

    TensorFlow 2.19 and later write some of it before they look at `TF_CPP_MIN_LOG_LEVEL`
    (tensorflow issue 100442), so it is kept from the console at the level of the file descriptor.

    Raises:
        ModelError: If Keras cannot start, as with a backend that is not installed.
    """
    with quiet_console():
        keras = keras_setup.imported()
    # Settings of keras.json are for the user's own programs; the networks here are built for these.
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)


def quiet_console():
    """Returns a context in which what C++ code writes to the console is shown with `-v` only."""
    context = click.get_current_context(silent=True)
    verbose = context is not None and (context.find_root().obj or {}).get("verbose")
    return contextlib.nullcontext() if verbose else silent_stderr()


@contextlib.contextmanager
def silent_stderr():
    """Sends file descriptor 2 to nowhere for a while; Python's own errors come out afterwards."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


backend = click.option(
    "--backend",
    type=click.Choice(["auto", "keras", "onnx"]),
    default="auto",
    show_default=True,
    help="What computes the network; auto: ONNX Runtime if it and an exported twin are there.",
)


def load_enhancer(model: str, backend: str = "auto"):
    """Loads a model for enhancing and imports Keras only if that is needed.

    Args:
        model: What `load_model` takes.
        backend: `"auto"`, `"keras"` or `"onnx"`.

    Returns:
        A `keras_segan.inference.WaveformEnhancer`.
    """
    from keras_segan.models import registry

    found = registry.find(model)
    if registry.runtime(found, backend) == "keras":
        import_keras()
    return registry.load(found, backend)
