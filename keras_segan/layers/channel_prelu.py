"""Rectifier with a learnt slope for each channel."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_segan")
class ChannelPReLU(keras.layers.Layer):
    """`max(x, 0) + alpha min(x, 0)` with one alpha for each channel, the same at all positions.

    `keras.layers.PReLU` keeps a slope for each position besides, or, with shared axes, an array of other
    rank than the original programs.

    Args:
        initial: What all slopes begin with; 0 makes it a ReLU.
        **kwargs: Of `keras.layers.Layer`.

    Reference:
        He et al., "Delving deep into rectifiers", 2015, equation 1.
    """

    def __init__(self, initial: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.initial = initial

    def build(self, input_shape):
        """Creates the slopes."""
        initial = keras.initializers.Constant(self.initial)
        self.alpha = self.add_weight(name="alpha", shape=(input_shape[-1],), initializer=initial)
        self.built = True

    def call(self, inputs):
        """Applies the function to `(..., channels)`."""
        return ops.maximum(inputs, 0.0) + self.alpha * ops.minimum(inputs, 0.0)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """Configuration for serialisation."""
        return {**super().get_config(), "initial": self.initial}
