"""Recurrent layers as the originals used them."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_segan")
def keras2_hard_sigmoid(x):
    """Hard sigmoid of Keras 2: clip(0.2 x + 0.5, 0, 1), the default gate of its LSTM up to 2.2.

    Keras 3's `"hard_sigmoid"` is another function, relu6(x + 3) / 6; the two differ by up to 0.067.

    Args:
        x: Tensor of any shape.

    Returns:
        Tensor of the same shape, in [0, 1].
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def bidirectional_lstm(units: int, recurrent_activation=keras2_hard_sigmoid, name: str | None = None):
    """A bidirectional LSTM that returns sequences, directions concatenated.

    Args:
        units: Units of each direction.
        recurrent_activation: The gates' activation.
        name: Name of the layer.

    Returns:
        A layer from `(batch, frames, features)` to `(batch, frames, 2 * units)`; its weights are
        kernel, recurrent kernel and bias (gates i, f, c, o), forward direction first.
    """
    lstm = keras.layers.LSTM(units, return_sequences=True, recurrent_activation=recurrent_activation)
    return keras.layers.Bidirectional(lstm, merge_mode="concat", name=name)
