"""The one place of TensorFlow-only code: gradients, compiled steps, determinism.

Networks, layers and losses are written in `keras.ops`; what a training loop needs beyond that is here.
"""

import os

import keras


def require():
    """Imports TensorFlow and returns it.

    Returns:
        The module.

    Raises:
        RuntimeError: If Keras runs on another backend.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"Training needs Keras on TensorFlow, not on '{keras.backend.backend()}';"
            " set KERAS_BACKEND=tensorflow."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow

    return tensorflow


def value_and_gradients(function, variables):
    """Computes a loss and its gradients.

    Args:
        function: Called without arguments; returns a scalar loss or a tuple (loss, auxiliary...).
        variables: List of `keras.Variable`.

    Returns:
        What the function returned, and the list of gradients (`None` where the loss does not depend).
    """
    tensorflow = require()
    values = [variable.value for variable in variables]
    # Only what is named is watched: the other player's kernels need no gradient.
    with tensorflow.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        result = function()
        loss = result[0] if isinstance(result, tuple) else result
    return result, tape.gradient(loss, values)


def compiled(function, *shapes):
    """Compiles a function of float32 tensors into one graph for all lengths.

    Args:
        function: Takes one tensor per shape.
        *shapes: Shapes with `None` for free axes, so that a new length retraces nothing.

    Returns:
        The compiled function; on other backends than TensorFlow the function as it is.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    tensorflow = require()
    signature = [tensorflow.TensorSpec(shape, tensorflow.float32) for shape in shapes]
    return tensorflow.function(function, input_signature=signature, autograph=False)


def enable_determinism(seed: int):
    """Seeds Python, NumPy and Keras and asks TensorFlow for repeatable operations.

    Args:
        seed: The seed.
    """
    keras.utils.set_random_seed(seed)
    require().config.experimental.enable_op_determinism()
