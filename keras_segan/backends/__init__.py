"""What training and inference need beyond `keras.ops`, for every backend of Keras.

Networks, layers and losses are written in `keras.ops` and run anywhere. Compiling a step, taking gradients
and making a run repeatable differ; the functions here do that on TensorFlow, JAX and PyTorch, whichever Keras
runs on. Nothing of them is imported before it is used.
"""

import functools
import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Any

from keras_segan.errors import BackendError, BackendUsageError, unknown

BACKENDS = ("tensorflow", "jax", "torch")


def compile_step(
    function: Callable, state: Sequence | Callable, shapes: Sequence[tuple] | None = None, jit: bool = False
) -> Callable:
    """Compiles a function that may change variables.

    The function is an ordinary one: it assigns variables, applies optimizers, draws random numbers from
    seed generators. All of that is there after each call of the compiled function.

    Args:
        function: Takes tensors; returns scalars and tensors, also nested in dictionaries, tuples and lists.
        state: The Keras variables that it reads or changes, or a function that returns them, called at the
            first step. JAX needs them; the other backends find them out.
        shapes: Shape of each argument, with `None` for free axes; arguments are then converted to float32.
            Without shapes any arguments are taken as they are.
        jit: Whether XLA compiles the whole on TensorFlow, anew for every length: worth it where lengths
            repeat. JAX always does that, and PyTorch never does.

    Returns:
        Takes arrays or tensors, and returns what the function returns, on the device; read it with
        `keras.ops.convert_to_numpy`.
    """
    return _implementation().compile_step(function, state, shapes, jit)


def value_and_gradients(function: Callable, variables: Sequence) -> tuple[Any, list]:
    """Computes a loss and its gradients, inside a compiled step or outside.

    What the function changes, such as moving averages, is changed afterwards. No gradient flows through
    a value that was assigned to a variable. The function must not assign to `variables` themselves.

    Args:
        function: Called without arguments; returns a scalar loss or a tuple that begins with it.
        variables: The Keras variables to differentiate by. Gradients of others are not computed.

    Returns:
        What the function returned, and a gradient for each variable: zeros where the loss does not depend
        on it.
    """
    return _implementation().value_and_gradients(function, variables)


def infer(network) -> Callable:
    """Compiles a network in inference mode, for inputs of all lengths.

    On JAX, which compiles anew for every shape, lengths are padded so that they share few shapes, where the
    network takes a mask.

    Args:
        network: A Keras model with one input; its first axis is the batch.

    Returns:
        Takes features and, if some of them are padding, a mask `(batch, frames)` that is positive where they
        are not; returns the network's output as NumPy arrays.
    """
    return _implementation().infer(network)


def make_deterministic(seed: int):
    """Seeds Python, NumPy and Keras and asks the backend for repeatable operations.

    Args:
        seed: Seed of everything random.
    """
    import keras

    keras.utils.set_random_seed(seed)
    _implementation().make_deterministic()


def random_state() -> list:
    """Returns the state of the backend's own random numbers, which a checkpoint has to hold.

    Keras's seed generators are variables of their layers; but on PyTorch a dropout layer without a seed
    draws from PyTorch's generators.

    Returns:
        NumPy arrays; none on TensorFlow and JAX.
    """
    return _implementation().random_state()


def set_random_state(state: Sequence):
    """Goes on with random numbers from a state.

    Args:
        state: Returned by `random_state` on the same backend and machine; nothing happens if it is empty.
    """
    if len(state):
        _implementation().set_random_state(state)


def on_cpu() -> bool:
    """Says whether Keras computes on a CPU, where our own algorithms are the faster ones."""
    return _implementation().on_cpu()


def require_installed():
    """Checks, before Keras is imported, that the backend it is told to use is there.

    Raises:
        BackendError: If `KERAS_BACKEND` names a backend that is unknown or not installed.
    """
    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in BACKENDS:
        raise BackendUsageError(unknown("value of KERAS_BACKEND", name, BACKENDS))
    if importlib.util.find_spec(name) is None:
        raise BackendUsageError(
            f"KERAS_BACKEND is '{name}', which is not installed; pip install keras_segan[{name}]"
            " or choose another backend."
        )


def _implementation():
    import keras

    return _load(keras.backend.backend())


@functools.cache
def _load(name: str):
    if name not in BACKENDS:
        raise BackendError(
            f"keras_segan runs on {', '.join(BACKENDS)}, not on '{name}'; set KERAS_BACKEND to one of these."
        )
    return importlib.import_module(f"keras_segan.backends.{name}")
