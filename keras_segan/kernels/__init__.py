"""Fast paths for one backend each; layers and optimizers ask for them and never need them.

A kernel is a module `<backend>_<name>` with a function `<name>`.
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable

from keras_segan import backends


def find(name: str) -> Callable | None:
    """Returns a kernel for the backend that Keras runs on.

    Args:
        name: `"adam"`, `"convolution"`, `"lstm"` or `"recurrence"`.

    Returns:
        The function, the same for every backend that has one; `None` where plain Keras has to do.
    """
    import keras

    return _load(keras.backend.backend(), name)


def find_faster(name: str) -> Callable | None:
    """Returns a kernel as `find` does, but only where it is known to be faster: on a CPU.

    Args:
        name: See `find`.
    """
    return find(name) if backends.on_cpu() else None


@functools.cache
def _load(backend: str, name: str) -> Callable | None:
    module = f"{__name__}.{backend}_{name}"
    if importlib.util.find_spec(module) is None:
        return None
    return getattr(importlib.import_module(module), name)
