"""The contract of `keras_segan.backends` on JAX: pure functions of the variables' values.

JAX compiles anew for every shape, so callers with many lengths pad them.
"""

import functools
import os
from collections.abc import Callable, Sequence

import jax
import keras
import numpy as np

from keras_segan.backends.scope import Scope, assign

BUCKET = 64  # frames; lengths are rounded up for inference
SHAPES = 16  # compiled for inference at once
EXACT_ROWS = 8  # larger batches are rounded up, too


def compile_step(function: Callable, state, shapes: Sequence[tuple] | None = None, jit: bool = False):
    """See `backends.compile_step`; all is compiled, `jit` or not."""
    variables = _Variables(state)

    @jax.jit
    def pure(values, *batch):
        with Scope(zip(variables(), values, strict=True), complete=True) as scope:
            result = function(*batch)
        numbers = {id(variable): number for number, variable in enumerate(variables())}
        return result, {numbers[id(variable)]: value for variable, value in scope.updates()}

    def step(*batch):
        if shapes is not None:
            batch = [keras.ops.convert_to_tensor(array, "float32") for array in batch]
        # Not donated: whoever keeps a variable's value, such as the best weights so far, would lose it.
        result, changes = pure([variable.value for variable in variables()], *batch)
        assign((variables()[number], value) for number, value in changes.items())
        return result

    return step


class _Variables:
    """The variables of a step, each once, looked up at its first call."""

    def __init__(self, state):
        self._state = state
        self._found: list | None = None

    def __call__(self) -> list:
        if self._found is None:
            state = self._state() if callable(self._state) else self._state
            self._found = list({id(variable): variable for variable in state}.values())
        return self._found


def value_and_gradients(function: Callable, variables: Sequence):
    """See `backends.value_and_gradients`."""
    changed: list = []

    def differentiated(values):
        with Scope(zip(variables, values, strict=True)) as scope:
            result = function()
        # Kept outside, because only values can be returned.
        changed[:] = scope.changed.values()
        loss = result[0] if isinstance(result, tuple) else result
        return loss, (result, [value for _, value in scope.updates()])

    values = [variable.value for variable in variables]
    (_, (result, updated)), gradients = jax.value_and_grad(differentiated, has_aux=True)(values)
    assign(zip(changed, updated, strict=True))
    return result, gradients


def infer(network: keras.Model) -> Callable:
    """See `backends.infer`; rows are padded too, where they are many."""
    pads_frames = len(network.input_shape) > 2 and network.input_shape[1] is None and network.supports_masking

    @functools.lru_cache(SHAPES)
    def compiled(shape, is_masked):
        def function(x, mask=None):
            return network(x, training=False, mask=None if mask is None else mask > 0)

        return compile_step(function, network.variables, [shape, shape[:2]][: 1 + is_masked])

    def run(features, mask=None):
        rows, frames = np.shape(features)[:2]
        sizes = [rows if rows <= EXACT_ROWS else bucketed(rows)]
        if pads_frames:
            sizes.append(bucketed(frames))
            mask = np.ones((rows, frames), np.float32) if mask is None else mask
        batch = [padded(array, sizes) for array in (features, mask) if array is not None]
        outputs = compiled(batch[0].shape, len(batch) > 1)(*batch)
        own = (slice(rows), slice(frames)) if pads_frames else (slice(rows),)
        return keras.tree.map_structure(
            lambda output: keras.ops.convert_to_numpy(output)[own[: output.ndim - 1]], outputs
        )

    return run


def padded(array: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Adds zeros at the end of the first axes.

    Args:
        array: Of at least as many axes as there are sizes.
        sizes: Of the first axes, as they are to be.

    Returns:
        The longer float32 array.
    """
    missing = [(0, size - length) for size, length in zip(sizes, np.shape(array), strict=False)]
    return np.pad(np.asarray(array, np.float32), [*missing, *[(0, 0)] * (np.ndim(array) - len(missing))])


def bucketed(length: int) -> int:
    """Rounds up to a multiple of `BUCKET`; from 1024 on by up to an eighth, so that lengths share few sizes.

    Args:
        length: Frames, or rows of a batch.
    """
    step = BUCKET
    while 16 * step <= length:
        step *= 2
    return -(-length // step) * step


def make_deterministic():
    """Asks for repeatable operations on a GPU; those of a CPU are, as is JAX's randomness."""
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_gpu_deterministic_ops" not in flags:
        # Read when the first GPU program is compiled.
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


def random_state() -> list:
    """See `backends.random_state`; all of it is in variables."""
    return []


def on_cpu() -> bool:
    """See `backends.on_cpu`."""
    return jax.default_backend() == "cpu"
