"""Halving and doubling the length of sequences without filters, as Wave-U-Net does."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("keras_segan")
class Decimation(keras.layers.Layer):
    """Takes every second position of `(batch, length, channels)`, beginning with the first."""

    def call(self, inputs):
        """Halves the length."""
        return inputs[:, ::2]

    def compute_output_shape(self, input_shape):
        """The input's shape with half the length, rounded up."""
        batch, length, channels = input_shape
        return batch, None if length is None else -(-length // 2), channels


@keras.saving.register_keras_serializable("keras_segan")
class LinearUpsampling(keras.layers.Layer):
    """Doubles the length of `(batch, length, channels)` by linear interpolation with aligned corners.

    Output j lies at j (length - 1) / (2 length - 1) of the input: first and last position stay where they
    are. Keras has no such layer. The length must be known.

    Reference:
        PyTorch, `interpolate(scale_factor=2, mode="linear", align_corners=True)`.
    """

    def call(self, inputs):
        """Doubles the length."""
        length = inputs.shape[1]
        # In single precision, as PyTorch has it.
        places = np.arange(2 * length, dtype=np.float32) * np.float32((length - 1) / (2 * length - 1))
        before = np.minimum(places.astype(np.int32), length - 1)
        after = np.minimum(before + 1, length - 1)
        share = ops.convert_to_tensor((places - before)[:, None], inputs.dtype)
        return ops.take(inputs, before, axis=1) * (1 - share) + ops.take(inputs, after, axis=1) * share

    def compute_output_shape(self, input_shape):
        """The input's shape with twice the length."""
        batch, length, channels = input_shape
        return batch, 2 * length, channels
