"""Batch normalisation with PyTorch's running variance."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_segan")
class UnbiasedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation whose moving variance is the unbiased one, with divisor n - 1, as PyTorch's.

    What normalises a batch in training is the biased variance, in PyTorch as in Keras.

    Args:
        momentum: Share of the old moving average; PyTorch counts the share of the new one.
        epsilon: Added to the variance.
        **kwargs: Of `keras.layers.BatchNormalization`.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None, mask=None):
        """Normalises, and moves the averages in training."""
        kept = self.momentum * self.moving_variance  # a value of its own: assigning may be done in place
        outputs = super().call(inputs, training=training, mask=mask)
        if training and self.trainable:
            count = ops.cast(ops.size(inputs) // inputs.shape[-1], kept.dtype)
            own = self.moving_variance - kept  # (1 - momentum) times the batch's variance
            self.moving_variance.assign(kept + own * (count / (count - 1)))
        return outputs
