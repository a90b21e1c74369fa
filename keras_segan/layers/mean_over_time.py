"""Scores of frames and their mean."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_segan")
class MeanOverTime(keras.layers.Layer):
    """Takes the mean of frame scores over an utterance's own frames.

    Args:
        **kwargs: Of `keras.layers.Layer`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        """Averages.

        Args:
            inputs: `(batch, frames, 1)`.
            mask: Boolean `(batch, frames)`, or `None` if all frames count.

        Returns:
            The means `(batch, 1)`.
        """
        if mask is None:
            return ops.mean(inputs, axis=1)
        kept = ops.cast(mask, inputs.dtype)[:, :, None]
        return ops.sum(inputs * kept, axis=1) / ops.maximum(ops.sum(kept, axis=1), 1.0)

    def compute_mask(self, inputs, mask=None):
        """Nothing is left to be masked."""

    def compute_output_shape(self, input_shape):
        """The mean is `(batch, 1)`."""
        return (input_shape[0], 1)


@keras.saving.register_keras_serializable("keras_segan")
class Squeeze(keras.layers.Layer):
    """Takes away the last axis, which has one element: `(batch, frames, 1)` to `(batch, frames)`.

    Args:
        **kwargs: Of `keras.layers.Layer`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs):
        """Takes away the last axis."""
        return ops.squeeze(inputs, -1)

    def compute_output_shape(self, input_shape):
        """One axis less."""
        return tuple(input_shape[:-1])
