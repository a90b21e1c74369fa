"""Training steps of MetricGAN+ and MetricGAN-OKD."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from keras_segan import tensorflow_backend
from keras_segan.layers import stft
from keras_segan.models import metricgan_okd, metricgan_plus
from keras_segan.training.torch_optimizer import clip_factor, global_norm

CLIP_SCOPES = ("joint", "separate")
SPECTRUM = (None, None, None)


class DiscriminatorSteps:
    """A discriminator's training steps: squared distance of predicted scores from true ones.

    The network is always called with `training=True`: an utterance is normalised by its own statistics.

    Args:
        discriminator: From two spectra `(batch, frames, bins, 2)` to scores `(batch, scores)`.
        optimizer: Its optimizer.
        pair: Puts a degraded and a clean spectrum together.
        clip_norm: Largest norm of the gradient.
    """

    def __init__(
        self,
        discriminator: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        pair: Callable,
        clip_norm: float = 5.0,
    ):
        self.discriminator = discriminator
        self.discriminator_optimizer = optimizer
        self.pair = pair
        self.clip_norm = clip_norm
        # Built now: an optimizer that builds lazily would come back from a checkpoint without moments.
        optimizer.build(discriminator.trainable_variables)
        self._discriminator_step = tensorflow_backend.compiled(
            self._step_discriminator, SPECTRUM, SPECTRUM, (None, None)
        )

    def predicted_scores(self, degraded, clean):
        """The discriminator's opinion of log1p magnitudes `(batch, frames, bins)`: `(batch, scores)`."""
        return self.discriminator(self.pair(degraded, clean), training=True)

    def discriminator_loss(self, degraded, clean, true_scores):
        """Mean squared distance of the predicted scores from the true ones.

        Args:
            degraded: log1p magnitude `(batch, frames, bins)`.
            clean: log1p magnitude `(batch, frames, bins)`.
            true_scores: `(batch, scores)`, on the scale [0, 1].

        Returns:
            The loss and the mean of |D - true score|, scalars.
        """
        error = self.predicted_scores(degraded, clean) - true_scores
        return ops.mean(ops.square(error)), ops.mean(ops.abs(error))

    def discriminator_step(self, degraded, clean, true_scores) -> tuple[float, float]:
        """Updates the discriminator once; arguments as `discriminator_loss`. Returns its values before."""
        loss, error = self._discriminator_step(*map(_float32, (degraded, clean, true_scores)))
        return float(loss), float(error)

    def _step_discriminator(self, degraded, clean, true_scores):
        variables = self.discriminator.trainable_variables
        result, gradients = tensorflow_backend.value_and_gradients(
            lambda: self.discriminator_loss(degraded, clean, true_scores), variables
        )
        self._move_discriminator(gradients)
        return result

    def _move_discriminator(self, gradients):
        variables = self.discriminator.trainable_variables
        self.discriminator_optimizer.apply(clipped(gradients, self.clip_norm), variables)


class MetricGANPlusSteps(DiscriminatorSteps):
    """MetricGAN+'s two players.

    The discriminator sees spectra of the *resynthesised* waveform, and the generator's gradient goes back
    through inverse transform and transform.

    With `clip_scope="joint"` gradients are clipped as in SpeechBrain's program, by one norm over the
    gradients of both networks. Those of the network that is not moved count, too: the discriminator's add
    up over generator steps, the generator's over steps of the discriminator on enhanced speech, until
    their own next step. With `"separate"` each step counts its own gradient only, and a discriminator
    step need not go back through the generator.

    Args:
        generator: From the log1p magnitude `(batch, frames, bins)` to the mask, same shape.
        discriminator: From two spectra `(batch, frames, bins, 2)` to a score `(batch, 1)`.
        generator_optimizer: A Keras optimizer.
        discriminator_optimizer: A Keras optimizer.
        mask_floor: Smallest value of the mask.
        clip_norm: Largest norm of the gradient.
        clip_scope: `"joint"` or `"separate"`.
        largest_slope: At which the learnable sigmoid's slopes are cut before they are updated.
        target_score: The score that the generator aims at.

    Reference:
        Fu et al., Interspeech 2021; SpeechBrain, `MetricGanBrain.fit_batch`.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
        mask_floor: float = metricgan_plus.MASK_FLOOR,
        clip_norm: float = 5.0,
        clip_scope: str = "joint",
        largest_slope: float = metricgan_plus.LARGEST_SLOPE,
        target_score: float = 1.0,
    ):
        if clip_scope not in CLIP_SCOPES:
            raise ValueError(f"clip_scope must be one of {', '.join(CLIP_SCOPES)}, not '{clip_scope}'")
        super().__init__(discriminator, discriminator_optimizer, metricgan_plus.pair, clip_norm)
        self.generator = generator
        self.generator_optimizer = generator_optimizer
        self.mask_floor = mask_floor
        self.clip_scope = clip_scope
        self.largest_slope = largest_slope
        self.target_score = target_score
        generator_optimizer.build(generator.trainable_variables)
        joint = clip_scope == "joint"
        self.leftover_generator = Leftover(generator.trainable_variables if joint else [])
        self.leftover_discriminator = Leftover(discriminator.trainable_variables if joint else [])
        waveform = (None, None)
        self._generator_step = tensorflow_backend.compiled(self._step_generator, waveform, SPECTRUM)
        self._enhanced_step = tensorflow_backend.compiled(
            self._step_discriminator_on_enhanced, waveform, SPECTRUM, (None, None)
        )

    def enhanced_features(self, noisy):
        """The log1p magnitude of the enhanced and resynthesised waveform.

        Args:
            noisy: Waveforms `(batch, samples)`.

        Returns:
            `(batch, frames, bins)`.
        """
        spectrum = stft.stft(noisy)
        mask = self.generator(metricgan_plus.features(spectrum), training=True)
        mask = ops.maximum(mask, self.mask_floor)
        waveform = metricgan_plus.resynthesis(mask, spectrum, ops.shape(noisy)[1])
        return metricgan_plus.features(stft.stft(waveform))

    def generator_loss(self, noisy, clean):
        """Squared distance of the predicted score from the target.

        Args:
            noisy: Waveforms `(batch, samples)`.
            clean: log1p magnitude `(batch, frames, bins)`.

        Returns:
            A scalar.
        """
        score = self.predicted_scores(self.enhanced_features(noisy), clean)
        return ops.mean(ops.square(score - self.target_score))

    def generator_step(self, noisy, clean) -> float:
        """Updates the generator once; arguments as `generator_loss`. Returns the loss before."""
        return float(self._generator_step(_float32(noisy), _float32(clean)))

    def discriminator_step_on_enhanced(self, noisy, clean, true_scores) -> tuple[float, float]:
        """Updates the discriminator on what the generator makes of noisy waveforms now.

        Args:
            noisy: Waveforms `(batch, samples)`.
            clean: log1p magnitude `(batch, frames, bins)`.
            true_scores: `(batch, 1)`.

        Returns:
            As `discriminator_step`.
        """
        loss, error = self._enhanced_step(*map(_float32, (noisy, clean, true_scores)))
        return float(loss), float(error)

    def _step_generator(self, noisy, clean):
        self.generator.get_layer("mask").limit_slope(self.largest_slope)
        loss, own, others = self._both_gradients(
            lambda: self.generator_loss(noisy, clean), self.generator, self.discriminator
        )
        others = self.leftover_discriminator.add(others)
        factor = clip_factor(global_norm([*own, *others]), self.clip_norm)
        self.leftover_discriminator.scale(factor)
        own = [gradient * factor for gradient in own]
        self.leftover_generator.set(own)
        self.generator_optimizer.apply(own, self.generator.trainable_variables)
        return loss

    def _step_discriminator_on_enhanced(self, noisy, clean, true_scores):
        result, own, others = self._both_gradients(
            lambda: self.discriminator_loss(self.enhanced_features(noisy), clean, true_scores),
            self.discriminator,
            self.generator,
        )
        self.leftover_generator.add(others)
        self._move_discriminator(own)
        return result

    def _both_gradients(self, loss, own: keras.Model, other: keras.Model):
        """Returns the loss and the gradients of both networks, the other's only if they count."""
        variables = own.trainable_variables
        others = other.trainable_variables if self.clip_scope == "joint" else []
        result, gradients = tensorflow_backend.value_and_gradients(loss, [*variables, *others])
        return result, gradients[: len(variables)], gradients[len(variables) :]

    def _move_discriminator(self, gradients):
        factor = clip_factor(global_norm([*gradients, *self.leftover_generator.gradients]), self.clip_norm)
        self.leftover_generator.scale(factor)
        gradients = [gradient * factor for gradient in gradients]
        self.leftover_discriminator.set(gradients)
        self.discriminator_optimizer.apply(gradients, self.discriminator.trainable_variables)


class Leftover:
    """The gradients that torch keeps in `.grad` until a network's own next step.

    Args:
        variables: The network's variables; none where leftovers do not count.
    """

    def __init__(self, variables: Sequence[keras.Variable]):
        self.variables = [keras.Variable(ops.zeros(v.shape), trainable=False) for v in variables]

    @property
    def gradients(self) -> list:
        """The gradients as tensors."""
        return [ops.convert_to_tensor(variable) for variable in self.variables]

    def add(self, gradients) -> list:
        """Adds gradients and returns the sums."""
        for variable, gradient in zip(self.variables, gradients, strict=True):
            variable.assign_add(gradient)
        return self.gradients

    def set(self, gradients):
        """Replaces the gradients."""
        for variable, gradient in zip(self.variables, gradients, strict=bool(self.variables)):
            variable.assign(gradient)

    def scale(self, factor):
        """Multiplies all of them: clipping is done in place."""
        for variable in self.variables:
            variable.assign(variable * factor)


class OKDSteps(DiscriminatorSteps):
    """MetricGAN-OKD's players: a generator for every metric, which also imitate each other.

    Generator i aims at score i and, with the weight `alpha`, at the masked spectra of the others. The
    generators are updated one after the other, all imitating what the others put out before.

    Args:
        generators: From the log1p magnitude `(batch, frames, bins)` to the mask, one for every metric.
        discriminator: From two spectra `(batch, frames, bins, 2)` to scores `(batch, metrics)`.
        generator_optimizers: A Keras optimizer for each generator.
        discriminator_optimizer: A Keras optimizer.
        alpha: Weight of the imitation: 5 in the program, 10 is the paper's best.
        mask_floor: Smallest value of the mask.
        clip_norm: Largest norm of each network's gradient.
        target_score: The score that the generators aim at.

    Reference:
        Shin et al., ICML 2023; the authors' program, folder SE.
    """

    def __init__(
        self,
        generators: Sequence[keras.Model],
        discriminator: keras.Model,
        generator_optimizers: Sequence[keras.optimizers.Optimizer],
        discriminator_optimizer: keras.optimizers.Optimizer,
        alpha: float = 5.0,
        mask_floor: float = metricgan_plus.MASK_FLOOR,
        clip_norm: float = 5.0,
        target_score: float = 1.0,
    ):
        super().__init__(discriminator, discriminator_optimizer, metricgan_okd.pair, clip_norm)
        self.generators = tuple(generators)
        self.generator_optimizers = tuple(generator_optimizers)
        self.alpha = alpha
        self.mask_floor = mask_floor
        self.target_score = target_score
        for generator, optimizer in zip(self.generators, self.generator_optimizers, strict=True):
            optimizer.build(generator.trainable_variables)
        self._generator_step = tensorflow_backend.compiled(self._step_generators, SPECTRUM, SPECTRUM)

    def enhanced(self, index: int, noisy):
        """The masked spectrum of one generator, log1p domain, `(batch, frames, bins)`."""
        return ops.maximum(self.generators[index](noisy, training=True), self.mask_floor) * noisy

    def generator_loss(self, index: int, noisy, clean, others):
        """Distance of the predicted score from the target, and of the spectrum from those of the others.

        Args:
            index: Number of the generator and of its metric.
            noisy: log1p magnitude `(batch, frames, bins)`.
            clean: log1p magnitude `(batch, frames, bins)`.
            others: What the other generators made of it, constants.

        Returns:
            The whole loss, the metric's part and the distillation's part without `alpha`, scalars.
        """
        enhanced = self.enhanced(index, noisy)
        score = self.predicted_scores(enhanced, clean)[:, index]
        metric = ops.mean(ops.square(score - self.target_score))
        distance = imitation_loss(enhanced, others)
        return metric + self.alpha * distance, metric, distance

    def generator_step(self, noisy, clean) -> np.ndarray:
        """Updates every generator once.

        Args:
            noisy: log1p magnitude `(batch, frames, bins)`.
            clean: log1p magnitude `(batch, frames, bins)`.

        Returns:
            A row for each generator: whole loss, metric's part and distillation's part, before its update.
        """
        return ops.convert_to_numpy(self._generator_step(_float32(noisy), _float32(clean)))

    def _step_generators(self, noisy, clean):
        count = len(self.generators)
        before = [ops.stop_gradient(self.enhanced(index, noisy)) for index in range(count)]
        losses = []
        for index in range(count):
            others = before[:index] + before[index + 1 :]
            losses.append(self._step_generator(index, noisy, clean, others))
        return ops.stack(losses)

    def _step_generator(self, index: int, noisy, clean, others):
        variables = self.generators[index].trainable_variables
        losses, gradients = tensorflow_backend.value_and_gradients(
            lambda: self.generator_loss(index, noisy, clean, others), variables
        )
        self.generator_optimizers[index].apply(clipped(gradients, self.clip_norm), variables)
        return ops.stack(losses)


def imitation_loss(enhanced, others):
    """Mutual learning ("dml"): sum over the others of the mean squared distance.

    Args:
        enhanced: Masked spectrum, log1p domain, `(batch, frames, bins)`.
        others: Those of the other generators, constants.

    Returns:
        A scalar.

    Reference:
        Shin et al., ICML 2023; Zhang et al., "Deep mutual learning", CVPR 2018.
    """
    return sum(ops.mean(ops.square(enhanced - other)) for other in others)


def clipped(gradients, limit: float) -> list:
    """Clips gradients by their global norm, as torch does."""
    factor = clip_factor(global_norm(gradients), limit)
    return [gradient * factor for gradient in gradients]


def _float32(values):
    return ops.convert_to_tensor(np.asarray(values, np.float32))
