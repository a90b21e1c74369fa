"""Batch normalisation by the statistics of a reference: virtual batch normalisation."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_segan")
class ReferenceBatchNormalization(keras.layers.Layer):
    """Normalises several batches, each by its own moments and, much more, those of a reference.

    The layer takes a list of batches and returns the list normalised. The reference is the first of them,
    so that it lies in the same call and gradients flow through its moments. With B examples the mean is
    mean(x) / (B + 1) + mean(reference) B / (B + 1), the mean square likewise, and the variance follows from
    both. The reference itself is thus normalised by its own moments, like by ordinary batch normalisation.

    Args:
        groups: Equal parts of each batch that have moments of their own, such as one for each device; the
            reference is the first part of the first batch.
        uses_reference: With `False` every batch is normalised by its own moments alone.
        epsilon: Added to the variance.
        **kwargs: Of `keras.layers.Layer`.

    Reference:
        Salimans et al., "Improved Techniques for Training GANs", 2016, section 3.4, where the reference is
        one batch, fixed at the start of the training; SEGAN's program, bnorm.py, where it is a live one.
    """

    def __init__(self, groups: int = 1, uses_reference: bool = True, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        if groups < 1:
            raise ValueError(f"groups must be at least 1, not {groups}.")
        self.groups = groups
        self.uses_reference = uses_reference
        self.epsilon = epsilon

    def build(self, input_shape):
        """Creates scale (normal around 1) and offset (0) of each channel."""
        channels = (input_shape[0][-1],)
        around_one = keras.initializers.RandomNormal(1.0, 0.02)
        self.gamma = self.add_weight(name="gamma", shape=channels, initializer=around_one)
        self.beta = self.add_weight(name="beta", shape=channels, initializer="zeros")
        self.built = True

    def call(self, inputs):
        """Normalises a list of tensors `(batch, length, channels)`."""
        reference = None
        outputs = []
        for batch in inputs:
            shape = (-1, *ops.shape(batch)[1:])
            parts = ops.reshape(batch, (self.groups, -1, batch.shape[-1]))
            moments = self._moments(parts)
            if reference is None:
                reference = [moment[:1] for moment in moments]
            if self.uses_reference:
                share = 1.0 / (ops.cast(ops.shape(batch)[0] // self.groups, batch.dtype) + 1.0)
                pairs = zip(moments, reference, strict=True)
                moments = [share * own + (1.0 - share) * theirs for own, theirs in pairs]
            outputs.append(ops.reshape(self._normalised(parts, *moments), shape))
        return outputs

    def _moments(self, parts):
        return [ops.mean(values, axis=1, keepdims=True) for values in (parts, ops.square(parts))]

    def _normalised(self, parts, mean, mean_square):
        scale = self.gamma / ops.sqrt(self.epsilon + mean_square - ops.square(mean))
        return parts * scale + (self.beta - mean * scale)

    def compute_output_shape(self, input_shape):
        """The inputs' shapes."""
        return input_shape

    def get_config(self):
        """Configuration for serialisation."""
        own = {"groups": self.groups, "uses_reference": self.uses_reference, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
