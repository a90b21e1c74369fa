"""Training of a generator through a discriminator that learns a metric (MetricGAN's loop)."""

import keras
import numpy as np
from keras import ops

from keras_segan import tensorflow_backend
from keras_segan.models import metricgan


class MetricGANSteps:
    """The two players' training steps, each naming its own variables.

    Both networks are called with `training=True` in both steps: the discriminator's batch statistics,
    moving averages and u advance in generator steps too, as in the original.

    Args:
        generator: From normalised magnitude `(batch, frames, bins)` to mask, same shape.
        discriminator: From `(batch, bins, frames, 2)` to a score `(batch, 1)`.
        generator_optimizer: A Keras optimizer.
        discriminator_optimizer: A Keras optimizer.
        mask_floor: Smallest value of the mask.
        target_score: The score that the generator aims at: s in equation 5 of the paper.
        layout: See `models.metricgan.image`.

    Reference:
        Fu et al. 2019, equations 4 and 5; MetricGAN.py, `MetricGAN` and `Discriminator`.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
        mask_floor: float = 0.05,
        target_score: float = 1.0,
        layout: str = "legacy",
    ):
        self.generator = generator
        self.discriminator = discriminator
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.mask_floor = mask_floor
        self.target_score = target_score
        self.layout = layout
        # Built now: an optimizer that builds lazily would come back from a checkpoint without moments.
        generator_optimizer.build(generator.trainable_variables)
        discriminator_optimizer.build(discriminator.trainable_variables)
        bins = generator.input_shape[-1]
        spectrum = (None, None, bins)
        self._generator_step = tensorflow_backend.compiled(self._step_generator, spectrum, spectrum, spectrum)
        self._discriminator_step = tensorflow_backend.compiled(
            self._step_discriminator, spectrum, spectrum, (None,)
        )

    def generator_loss(self, normalised, noisy, clean):
        """Squared distance of the predicted score from the target.

        Args:
            normalised: The generator's input `(batch, frames, bins)`.
            noisy: Noisy magnitude `(batch, frames, bins)`, not normalised.
            clean: Clean magnitude `(batch, frames, bins)`.

        Returns:
            A scalar.
        """
        mask = ops.maximum(self.generator(normalised, training=True), self.mask_floor)
        score = self.discriminator(metricgan.pair(mask * noisy, clean, self.layout), training=True)
        return ops.mean(ops.square(score - self.target_score))

    def discriminator_loss(self, degraded, clean, true_score):
        """Squared distance of the predicted score from the true one.

        Args:
            degraded: Magnitude `(batch, frames, bins)`.
            clean: Magnitude `(batch, frames, bins)`.
            true_score: `(batch,)`, on the scale [0, 1].

        Returns:
            The loss and the mean of |D - true score|, scalars.
        """
        score = self.discriminator(metricgan.pair(degraded, clean, self.layout), training=True)
        error = score[:, 0] - true_score
        return ops.mean(ops.square(error)), ops.mean(ops.abs(error))

    def generator_step(self, normalised, noisy, clean) -> float:
        """Updates the generator once; arguments as `generator_loss`. Returns the loss before."""
        return float(self._generator_step(_float32(normalised), _float32(noisy), _float32(clean)))

    def discriminator_step(self, degraded, clean, true_score) -> tuple[float, float]:
        """Updates the discriminator once; arguments as `discriminator_loss`. Returns its values before."""
        loss, error = self._discriminator_step(_float32(degraded), _float32(clean), _float32(true_score))
        return float(loss), float(error)

    def _step_generator(self, normalised, noisy, clean):
        variables = self.generator.trainable_variables
        loss, gradients = tensorflow_backend.value_and_gradients(
            lambda: self.generator_loss(normalised, noisy, clean), variables
        )
        self.generator_optimizer.apply(gradients, variables)
        return loss

    def _step_discriminator(self, degraded, clean, true_score):
        variables = self.discriminator.trainable_variables
        result, gradients = tensorflow_backend.value_and_gradients(
            lambda: self.discriminator_loss(degraded, clean, true_score), variables
        )
        self.discriminator_optimizer.apply(gradients, variables)
        return result


def _float32(values):
    return ops.convert_to_tensor(np.asarray(values, np.float32))
