"""Layer normalisation over everything up to the present frame."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_segan")
class CumulativeLayerNormalization(keras.layers.Layer):
    """Normalises a frame by mean and variance over all channels of it and of the frames before.

    Args:
        epsilon: Added to the variance.
        **kwargs: Of `keras.layers.Layer`.

    Reference:
        Luo and Mesgarani, "Conv-TasNet", IEEE/ACM TASLP 27(8), 2019, equations 6 to 8.
    """

    def __init__(self, epsilon: float = 1e-8, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        """Creates a gain and a bias for every channel."""
        self.gain = self.add_weight(name="gain", shape=(input_shape[-1],), initializer="ones")
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],), initializer="zeros")
        self.built = True

    def call(self, inputs):
        """Normalises `(batch, frames, channels)`."""
        count = ops.cumsum(ops.ones_like(inputs[:, :, :1]), axis=1)
        mean = ops.cumsum(ops.mean(inputs, axis=-1, keepdims=True), axis=1) / count
        power = ops.cumsum(ops.mean(ops.square(inputs), axis=-1, keepdims=True), axis=1) / count
        # Rounding may leave a constant signal with less than no variance.
        variance = ops.maximum(power - ops.square(mean), 0.0)
        return (inputs - mean) / ops.sqrt(variance + self.epsilon) * self.gain + self.bias

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """Configuration for serialisation."""
        return {**super().get_config(), "epsilon": self.epsilon}
