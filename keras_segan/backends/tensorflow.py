"""The contract of `keras_segan.backends` on TensorFlow: graphs that take every length."""

import functools
import warnings
from collections.abc import Callable, Sequence

import keras
import tensorflow


def compile_step(function: Callable, state, shapes: Sequence[tuple] | None = None, jit: bool = False):
    """See `backends.compile_step`; a graph finds its variables itself."""
    signature = None
    if shapes is not None:
        signature = [tensorflow.TensorSpec(shape, tensorflow.float32) for shape in shapes]
    # Functions made by one line are one to TensorFlow's warning of retracing, but not as partial objects.
    graph = tensorflow.function(
        functools.partial(function), input_signature=signature, autograph=False, jit_compile=jit
    )
    if shapes is None:
        return graph
    return lambda *batch: graph(*(keras.ops.convert_to_tensor(array, "float32") for array in batch))


def value_and_gradients(function: Callable, variables: Sequence):
    """See `backends.value_and_gradients`."""
    values = [variable.value for variable in variables]
    # Only what is named is watched: the other player's kernels need no gradient.
    with tensorflow.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        result = function()
        loss = result[0] if isinstance(result, tuple) else result
    zero = tensorflow.UnconnectedGradients.ZERO
    return result, tape.gradient(loss, values, unconnected_gradients=zero)


def infer(network: keras.Model) -> Callable:
    """See `backends.infer`."""
    shape = (None, *network.input_shape[1:])
    plain = compile_step(lambda x: network(x, training=False), (), [shape])
    masked = compile_step(lambda x, mask: network(x, training=False, mask=mask > 0), (), [shape, shape[:2]])

    def run(features, mask=None):
        outputs = plain(features) if mask is None else masked(features, mask)
        return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)

    return run


def make_deterministic():
    """Asks for repeatable operations, and warns of oneDNN."""
    tensorflow.config.experimental.enable_op_determinism()
    warn_of_onednn()


def random_state() -> list:
    """See `backends.random_state`; all of it is in variables."""
    return []


def on_cpu() -> bool:
    """See `backends.on_cpu`."""
    return not tensorflow.config.list_physical_devices("GPU")


def warn_of_onednn():
    """Warns if TensorFlow began with oneDNN, whose layout pass aborts MetricGAN's steps (TensorFlow 2.21).

    `keras_segan` turns it off, but only if it is imported first. The abort itself names no cause.
    """
    try:
        from tensorflow.python.util._pywrap_util_port import IsMklEnabled
    except ImportError:  # private, the only place that tells
        return
    if on_cpu() and IsMklEnabled():
        warnings.warn(
            "TensorFlow was started with oneDNN, which can abort this training ('Could not find input "
            "edge'): import keras_segan before keras and tensorflow, or set TF_ENABLE_ONEDNN_OPTS=0.",
            RuntimeWarning,
            stacklevel=4,
        )
