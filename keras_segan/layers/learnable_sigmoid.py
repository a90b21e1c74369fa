"""Sigmoid with a slope of its own for every unit."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_segan")
class LearnableSigmoid(keras.layers.Layer):
    """`scale * sigmoid(slope * x)`, one trained slope per unit of the last axis.

    Args:
        scale: The upper end: 1.2 in MetricGAN+, so that a mask may also amplify.
        **kwargs: Of `keras.layers.Layer`.

    Reference:
        Fu et al., "MetricGAN+", Interspeech 2021, section 3.3.
    """

    def __init__(self, scale: float = 1.2, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.supports_masking = True

    def build(self, input_shape):
        """Creates the slopes, all one."""
        self.slope = self.add_weight(name="slope", shape=(input_shape[-1],), initializer="ones")
        self.built = True

    def call(self, inputs):
        """Applies the function to `(..., units)`."""
        return self.scale * ops.sigmoid(self.slope * inputs)

    def limit_slope(self, largest: float):
        """Cuts the slopes at a largest value, which also replaces slopes that are not a number.

        Args:
            largest: 3.5 in SpeechBrain's program, before every generator step.
        """
        slope = ops.convert_to_tensor(self.slope)
        self.slope.assign(ops.where(slope < largest, slope, largest))

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """Configuration for serialisation."""
        return {**super().get_config(), "scale": self.scale}
