"""The contract of `keras_segan.backends` on PyTorch: nothing is compiled, gradients only where asked for."""

import functools
import os
from collections.abc import Callable, Sequence

import keras
import torch

from keras_segan.backends.scope import Scope, assign


def compile_step(function: Callable, state, shapes: Sequence[tuple] | None = None, jit: bool = False):
    """See `backends.compile_step`; the function runs as it is."""

    def step(*batch):
        if shapes is not None:
            batch = [keras.ops.convert_to_tensor(array, "float32") for array in batch]
        with torch.no_grad():
            return function(*batch)

    return step


def value_and_gradients(function: Callable, variables: Sequence):
    """See `backends.value_and_gradients`."""
    leaves = [variable.value.detach().requires_grad_() for variable in variables]
    # Variables that the function changes are changed afterwards: assigning is done in place, and what the
    # gradient needs must stay as it was.
    with torch.enable_grad(), Scope(zip(variables, leaves, strict=True)) as scope:
        result = function()
        loss = result[0] if isinstance(result, tuple) else result
    if loss.requires_grad:
        gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    else:
        gradients = [torch.zeros_like(leaf) for leaf in leaves]
    assign(scope.updates())
    return keras.tree.map_structure(_detached, result), list(gradients)


def _detached(value):
    return value.detach() if isinstance(value, torch.Tensor) else value


def infer(network: keras.Model) -> Callable:
    """See `backends.infer`."""

    @functools.partial(compile_step, state=())
    def function(features, mask):
        mask = None if mask is None else keras.ops.convert_to_tensor(mask, "float32") > 0
        return network(keras.ops.convert_to_tensor(features, "float32"), training=False, mask=mask)

    def run(features, mask=None):
        return keras.tree.map_structure(keras.ops.convert_to_numpy, function(features, mask))

    return run


def make_deterministic():
    """Asks for repeatable operations; one that has no such form is warned of."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)


def random_state() -> list:
    """See `backends.random_state`: that of the CPU, then those of the GPUs."""
    states = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]
    return [state.numpy() for state in states]


def set_random_state(state: Sequence):
    """See `backends.set_random_state`."""
    cpu, *gpus = (torch.from_numpy(array.copy()) for array in state)
    torch.set_rng_state(cpu)
    if gpus and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(gpus)


def on_cpu() -> bool:
    """See `backends.on_cpu`."""
    return keras.ops.zeros(()).device.type == "cpu"
