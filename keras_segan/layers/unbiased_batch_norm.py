"""Batch normalisation as torch has it."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_segan")
class UnbiasedBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose moving variance is unbiased, with torch's constants.

    torch normalises by the batch's variance and remembers the unbiased one, n / (n - 1) times as large, which
    evaluation uses. Its momentum of 0.1 is 0.9 here.

    Args:
        momentum: Weight of the old moving average.
        epsilon: Added to the variance.
        **kwargs: Of `keras.layers.BatchNormalization`; the channels come last.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None, mask=None):
        """Normalises; masks are not looked at."""
        kept = self.moving_variance * self.momentum  # before it moves
        outputs = super().call(inputs, training=training)
        if training and self.trainable:
            count = 1.0
            for size in ops.shape(inputs)[:-1]:
                count = count * ops.cast(size, kept.dtype)
            moved = ops.convert_to_tensor(self.moving_variance) - kept
            self.moving_variance.assign(kept + moved * (count / (count - 1.0)))
        return outputs
