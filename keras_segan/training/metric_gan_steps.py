"""Training steps of the MetricGAN family: a discriminator learns a metric, generators climb on it."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from keras_segan import backends
from keras_segan.layers import stft
from keras_segan.models import metricgan, metricgan_okd, metricgan_plus, nele_gan
from keras_segan.training.optimizers import clip_factor, global_norm

CLIP_SCOPES = ("joint", "separate")
WAVEFORM = (None, None)
SCORES = (None, None)
FRAMES = (None,)


class Players:
    """A discriminator and the generators that it judges, each with its optimizer.

    Both sides are called with `training=True` in both kinds of step: the discriminator's batch statistics,
    moving averages and u advance in generator steps too, as in the original programs.

    Args:
        generators: From features `(batch, frames, bins)` to masks of the same shape.
        discriminator: From two spectra to scores `(batch, scores)`.
        generator_optimizers: A Keras optimizer for each generator.
        discriminator_optimizer: A Keras optimizer.
        pair: Puts a degraded and a clean spectrum together for the discriminator.
        mask_floor: Smallest value of the mask.
        target_score: The score that the generators aim at.
        clip_norm: Largest norm of a network's gradient, `None` for any.

    Attributes:
        generator_takes: What a generator step takes of an utterance: "features" (the generator's input),
            "noisy" and "clean" (compressed magnitudes) or "waveform" (the noisy one).
        generator_losses: Names of what a generator step returns.
        generator_cost: Time of a generator step in steps of the discriminator, on two cores.
        through_generator: Whether steps of the discriminator on freshly enhanced speech are taken by
            `discriminator_step_on_enhanced`.
    """

    generator_takes: tuple[str, ...] = ("noisy", "clean")
    generator_losses: tuple[str, ...] = ("g_loss",)
    generator_cost = 1.0
    through_generator = False

    def __init__(
        self,
        generators: Sequence[keras.Model],
        discriminator: keras.Model,
        generator_optimizers: Sequence[keras.optimizers.Optimizer],
        discriminator_optimizer: keras.optimizers.Optimizer,
        pair: Callable,
        mask_floor: float = 0.05,
        target_score: float = 1.0,
        clip_norm: float | None = None,
    ):
        self.generators = tuple(generators)
        self.discriminator = discriminator
        self.generator_optimizers = tuple(generator_optimizers)
        self.discriminator_optimizer = discriminator_optimizer
        self.pair = pair
        self.mask_floor = mask_floor
        self.target_score = target_score
        self.clip_norm = clip_norm
        # Built now: an optimizer that builds lazily would come back from a checkpoint without moments.
        for generator, optimizer in zip(self.generators, self.generator_optimizers, strict=True):
            optimizer.build(generator.trainable_variables)
        discriminator_optimizer.build(discriminator.trainable_variables)
        self.spectrum = (None, None, self.generators[0].input_shape[-1])
        degraded = (None, None, self.generators[0].output_shape[-1])
        self._discriminator_step = self._compiled(self._step_discriminator, degraded, self.spectrum, SCORES)

    def _compiled(self, function: Callable, *shapes: tuple) -> Callable:
        """Compiles a step that may change anything that a checkpoint holds."""
        return backends.compile_step(
            function, lambda: [variable for group in self.groups().values() for variable in group], shapes
        )

    @property
    def generator(self) -> keras.Model:
        """The first generator."""
        return self.generators[0]

    def groups(self) -> dict[str, list]:
        """Returns all variables that a checkpoint has to hold, by name."""
        groups = {
            "discriminator": self.discriminator.variables,
            "discriminator_optimizer": self.discriminator_optimizer.variables,
        }
        for number, generator in enumerate(self.generators, start=1):
            groups[f"generator_{number}"] = generator.variables
            groups[f"generator_{number}_optimizer"] = self.generator_optimizers[number - 1].variables
        return groups

    def predicted_scores(self, degraded, clean, frames=None):
        """The discriminator's opinion of compressed magnitudes `(batch, frames, bins)`: `(batch, scores)`."""
        return self.discriminator(self.pair(degraded, clean), training=True)

    def discriminator_loss(self, degraded, clean, true_scores, frames=None):
        """Mean squared distance of the predicted scores from the true ones.

        Args:
            degraded: Compressed magnitude `(batch, frames, bins)`.
            clean: Compressed magnitude `(batch, frames, bins)`.
            true_scores: `(batch, scores)`, on the scale [0, 1].
            frames: `(batch,)`, each utterance's own number of frames, if they are padded to one.

        Returns:
            The loss and the mean of |D - true score|, scalars.
        """
        error = self.predicted_scores(degraded, clean, frames) - true_scores
        return ops.mean(ops.square(error)), ops.mean(ops.abs(error))

    def discriminator_step(self, degraded, clean, true_scores) -> tuple[float, float]:
        """Updates the discriminator once; arguments as `discriminator_loss`. Returns its values before."""
        loss, error = self._discriminator_step(*_float32(degraded, clean, true_scores))
        return float(loss), float(error)

    def _step_discriminator(self, *batch):
        result, gradients = backends.value_and_gradients(
            lambda: self.discriminator_loss(*batch), self.discriminator.trainable_variables
        )
        self._move_discriminator(gradients)
        return result

    def _move_discriminator(self, gradients):
        self._move(self.discriminator, self.discriminator_optimizer, gradients)

    def _move(self, network, optimizer, gradients):
        optimizer.apply(clipped(gradients, self.clip_norm), network.trainable_variables)


class OneGeneratorPlayers(Players):
    """Two players, of whom the generator can learn clean spectra before the game, and during it.

    A subclass compiles `_warm_up_step` and has a `warm_up_loss`.

    Args:
        generator: See `Players`.
        discriminator: See `Players`.
        generator_optimizer: A Keras optimizer.
        discriminator_optimizer: A Keras optimizer.
        pair: See `Players`.
        mse_weight: Weight in the generator's loss of the mean squared distance between enhanced and clean
            compressed magnitude.
        **settings: Of `Players`.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
        pair: Callable,
        mse_weight: float = 0.0,
        **settings,
    ):
        optimizers = (generator_optimizer,), discriminator_optimizer
        super().__init__((generator,), discriminator, *optimizers, pair, **settings)
        self.mse_weight = mse_weight

    def aim(self, enhanced, clean, frames=None):
        """Squared distance of the predicted score from the target, and of the spectra if that has a weight.

        Args:
            enhanced: Compressed magnitude `(batch, frames, bins)`.
            clean: Compressed magnitude `(batch, frames, bins)`.
            frames: `(batch,)`, each utterance's own number of frames, if they are padded to one.

        Returns:
            A scalar.
        """
        score = self.predicted_scores(enhanced, clean, frames)
        loss = ops.mean(ops.square(score - self.target_score))
        if not self.mse_weight:
            return loss
        return loss + self.mse_weight * spectral_distance(enhanced, clean, frames)

    def warm_up_step(self, *utterance) -> float:
        """Updates the generator by the distance of its spectra from clean ones, without the discriminator.

        Args:
            *utterance: What `generator_takes` names, with a batch axis.

        Returns:
            The mean squared distance before.
        """
        return float(self._warm_up_step(*_float32(*utterance)))

    def end_warm_up(self):
        """Forgets the generator's moments: those of the warm-up are of another size than what follows."""
        for variable in self.generator_optimizers[0].variables:
            if variable is not self.generator_optimizers[0].learning_rate:
                variable.assign(ops.zeros_like(variable))

    def _step_warm_up(self, *utterance):
        return self._step_alone(lambda: self.warm_up_loss(*utterance))

    def _step_alone(self, loss: Callable):
        """Moves the generator by its own gradient."""
        value, gradients = backends.value_and_gradients(loss, self.generator.trainable_variables)
        self._move(self.generator, self.generator_optimizers[0], gradients)
        return value


class MetricGANSteps(OneGeneratorPlayers):
    """MetricGAN's two players.

    Args:
        generator: From normalised magnitude `(batch, frames, bins)` to mask, same shape.
        discriminator: From `(batch, bins, frames, 2)` to a score `(batch, 1)`.
        generator_optimizer: A Keras optimizer.
        discriminator_optimizer: A Keras optimizer.
        mask_floor: Smallest value of the mask.
        target_score: The score that the generator aims at: s in equation 5 of the paper.
        layout: See `models.metricgan.image`.
        mse_weight: Weight in the generator's loss of the mean squared distance between enhanced and clean
            compressed magnitude; there is no such term in the original.

    Reference:
        Fu et al. 2019, equations 4 and 5; MetricGAN.py, `MetricGAN` and `Discriminator`.
    """

    generator_takes = ("features", "noisy", "clean")

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
        mask_floor: float = 0.05,
        target_score: float = 1.0,
        layout: str = "legacy",
        mse_weight: float = 0.0,
    ):
        self.layout = layout
        super().__init__(
            generator,
            discriminator,
            generator_optimizer,
            discriminator_optimizer,
            lambda degraded, clean: metricgan.pair(degraded, clean, layout),
            mse_weight,
            mask_floor=mask_floor,
            target_score=target_score,
        )
        compiled, spectrum = self._compiled, self.spectrum
        self._generator_step = compiled(self._step_generator, spectrum, spectrum, spectrum)
        self._padded_generator_step = compiled(self._step_generator, spectrum, spectrum, spectrum, FRAMES)
        self._warm_up_step = compiled(self._step_warm_up, spectrum, spectrum, spectrum)
        self._padded_discriminator_step = compiled(
            self._step_discriminator, spectrum, spectrum, SCORES, FRAMES
        )

    def predicted_scores(self, degraded, clean, frames=None):
        """The discriminator's opinion of compressed magnitudes `(batch, frames, bins)`: `(batch, 1)`."""
        if frames is None:
            return super().predicted_scores(degraded, clean)
        images = metricgan.padded_pair(degraded, clean, frames, self.layout)
        return metricgan.padded_scores(self.discriminator, images, frames)

    def generator_loss(self, normalised, noisy, clean, frames=None):
        """Squared distance of the predicted score from the target.

        Args:
            normalised: The generator's input `(batch, frames, bins)`.
            noisy: Noisy magnitude `(batch, frames, bins)`, not normalised.
            clean: Clean magnitude `(batch, frames, bins)`.
            frames: `(batch,)`, each utterance's own number of frames, if they are padded to one.

        Returns:
            A scalar.
        """
        return self.aim(self.enhanced(normalised, noisy, frames), clean, frames)

    def enhanced(self, normalised, noisy, frames=None):
        """The masked magnitude `(batch, frames, bins)`; arguments as `generator_loss`."""
        own = None if frames is None else metricgan.true_frames(frames, ops.shape(normalised)[1])
        return ops.maximum(self.generator(normalised, training=True, mask=own), self.mask_floor) * noisy

    def warm_up_loss(self, normalised, noisy, clean):
        """Mean squared distance of enhanced from clean magnitudes; arguments as `generator_loss`."""
        return spectral_distance(self.enhanced(normalised, noisy), clean)

    def generator_step(self, normalised, noisy, clean, frames=None) -> float:
        """Updates the generator once; arguments as `generator_loss`. Returns the loss before."""
        step = self._generator_step if frames is None else self._padded_generator_step
        return float(step(*_float32(normalised, noisy, clean, frames)))

    def discriminator_step(self, degraded, clean, true_scores, frames=None) -> tuple[float, float]:
        """Updates the discriminator once; arguments as `discriminator_loss`. Returns its values before."""
        if frames is None:
            return super().discriminator_step(degraded, clean, true_scores)
        loss, error = self._padded_discriminator_step(*_float32(degraded, clean, true_scores, frames))
        return float(loss), float(error)

    def _step_generator(self, *batch):
        return self._step_alone(lambda: self.generator_loss(*batch))


class MetricGANPlusSteps(OneGeneratorPlayers):
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
        mse_weight: Weight in the generator's loss of the mean squared distance between enhanced and clean
            log1p magnitude; 0 in SpeechBrain's recipe.

    Reference:
        Fu et al., Interspeech 2021; SpeechBrain, `MetricGanBrain.fit_batch`.
    """

    generator_takes = ("waveform", "clean")
    generator_cost = 1.3

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
        mse_weight: float = 0.0,
    ):
        if clip_scope not in CLIP_SCOPES:
            raise ValueError(f"clip_scope must be one of {', '.join(CLIP_SCOPES)}, not '{clip_scope}'")
        super().__init__(
            generator,
            discriminator,
            generator_optimizer,
            discriminator_optimizer,
            metricgan_plus.pair,
            mse_weight,
            mask_floor=mask_floor,
            target_score=target_score,
            clip_norm=clip_norm,
        )
        self.clip_scope = clip_scope
        self.largest_slope = largest_slope
        # Only joint clipping asks for the generator's gradient in the discriminator's steps.
        joint = self.through_generator = clip_scope == "joint"
        self.leftover_generator = Leftover(generator.trainable_variables if joint else [])
        self.leftover_discriminator = Leftover(discriminator.trainable_variables if joint else [])
        self._generator_step = self._compiled(self._step_generator, WAVEFORM, self.spectrum)
        self._warm_up_step = self._compiled(self._step_warm_up, WAVEFORM, self.spectrum)
        self._enhanced_step = self._compiled(
            self._step_discriminator_on_enhanced, WAVEFORM, self.spectrum, SCORES
        )

    def groups(self) -> dict[str, list]:
        """Returns all variables that a checkpoint has to hold, by name."""
        return {
            **super().groups(),
            "leftover_generator": self.leftover_generator.variables,
            "leftover_discriminator": self.leftover_discriminator.variables,
        }

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
        """Squared distance of the predicted score from the target, and of the spectra if that has a weight.

        Args:
            noisy: Waveforms `(batch, samples)`.
            clean: log1p magnitude `(batch, frames, bins)`.

        Returns:
            A scalar.
        """
        return self.aim(self.enhanced_features(noisy), clean)

    def warm_up_loss(self, noisy, clean):
        """Mean squared distance of enhanced from clean magnitudes; arguments as `generator_loss`."""
        return spectral_distance(self.enhanced_features(noisy), clean)

    def generator_step(self, noisy, clean) -> float:
        """Updates the generator once; arguments as `generator_loss`. Returns the loss before."""
        return float(self._generator_step(*_float32(noisy, clean)))

    def discriminator_step_on_enhanced(self, noisy, clean, true_scores) -> tuple[float, float]:
        """Updates the discriminator on what the generator makes of noisy waveforms now.

        Args:
            noisy: Waveforms `(batch, samples)`.
            clean: log1p magnitude `(batch, frames, bins)`.
            true_scores: `(batch, 1)`.

        Returns:
            As `discriminator_step`.
        """
        loss, error = self._enhanced_step(*_float32(noisy, clean, true_scores))
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
        self.generator_optimizers[0].apply(own, self.generator.trainable_variables)
        return loss

    def _step_warm_up(self, noisy, clean):
        self.generator.get_layer("mask").limit_slope(self.largest_slope)
        return super()._step_warm_up(noisy, clean)

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
        result, gradients = backends.value_and_gradients(loss, [*variables, *others])
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


class OKDSteps(Players):
    """MetricGAN-OKD's players: a generator for every metric, which also imitate each other.

    Generator i aims at score i and, with the weight `alpha`, at the masked spectra of the others. The
    generators are updated one after the other, all imitating what the others put out before.

    Args:
        generators: From the log1p magnitude `(batch, frames, bins)` to the mask, one for every metric.
        discriminator: From two spectra `(batch, frames, bins, 2)` to scores `(batch, metrics)`.
        generator_optimizers: A Keras optimizer for each generator.
        discriminator_optimizer: A Keras optimizer.
        alpha: Weight of the imitation: 5 in the program, 10 is the paper's best.
        distillation: One of `DISTILLATIONS`; `"dml"` is the program's only one.
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
        distillation: str = "dml",
        mask_floor: float = metricgan_plus.MASK_FLOOR,
        clip_norm: float = 5.0,
        target_score: float = 1.0,
    ):
        super().__init__(
            generators,
            discriminator,
            generator_optimizers,
            discriminator_optimizer,
            metricgan_okd.pair,
            mask_floor,
            target_score,
            clip_norm,
        )
        if distillation not in DISTILLATIONS:
            known = ", ".join(DISTILLATIONS)
            raise ValueError(f"distillation must be one of {known}, not '{distillation}'")
        self.alpha = alpha
        self.distillation = DISTILLATIONS[distillation]
        self.generator_losses = tuple(
            f"g{number}_{part}"
            for number in range(1, len(self.generators) + 1)
            for part in ("loss", "metric_loss", "imitation_loss")
        )
        self.generator_cost = Players.generator_cost * len(self.generators)
        self._generator_step = self._compiled(self._step_generators, self.spectrum, self.spectrum)

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
        distance = self.distillation(enhanced, others)
        return metric + self.alpha * distance, metric, distance

    def generator_step(self, noisy, clean) -> np.ndarray:
        """Updates every generator once.

        Args:
            noisy: log1p magnitude `(batch, frames, bins)`.
            clean: log1p magnitude `(batch, frames, bins)`.

        Returns:
            A row for each generator: whole loss, metric's part and distillation's part, before its update.
        """
        return ops.convert_to_numpy(self._generator_step(*_float32(noisy, clean)))

    def _step_generators(self, noisy, clean):
        count = len(self.generators)
        before = [ops.stop_gradient(self.enhanced(index, noisy)) for index in range(count)]
        losses = []
        for index in range(count):
            others = before[:index] + before[index + 1 :]
            losses.append(self._step_generator(index, noisy, clean, others))
        return ops.stack(losses)

    def _step_generator(self, index: int, noisy, clean, others):
        losses, gradients = backends.value_and_gradients(
            lambda: self.generator_loss(index, noisy, clean, others),
            self.generators[index].trainable_variables,
        )
        self._move(self.generators[index], self.generator_optimizers[index], gradients)
        return ops.stack(losses)


class ListeningSteps(OKDSteps):
    """MetricGAN-OKD's players for listening enhancement: gains of the speech's bands instead of a mask.

    What stands for the noisy and for the clean spectrum elsewhere is here the generators' input: compressed
    bands of speech and noise `(batch, frames, 2 * bands)`. A degraded spectrum is that of enhanced speech,
    `(batch, frames, bands)`, without the noise.

    Args:
        generators: `models.nele_gan.generator` for every metric.
        discriminator: `models.nele_gan.discriminator` with one score for every metric.
        generator_optimizers: A Keras optimizer for each generator.
        discriminator_optimizer: A Keras optimizer.
        **settings: Of `OKDSteps`; there is no mask.

    Reference:
        Shin et al., ICML 2023; Li and Yamagishi, 2021.
    """

    generator_takes = ("clean", "clean")

    def __init__(self, generators, discriminator, generator_optimizers, discriminator_optimizer, **settings):
        super().__init__(generators, discriminator, generator_optimizers, discriminator_optimizer, **settings)
        self.pair = nele_gan.triple

    def enhanced(self, index: int, noisy):
        """The bands of speech as one generator makes them, `(batch, frames, bands)`."""
        gains = self.generators[index](noisy, training=True)
        return nele_gan.enhanced_bands(gains, nele_gan.parts(noisy)[0])


def imitate_each(enhanced, others):
    """Mutual learning ("dml"): sum over the others of the mean squared distance.

    Args:
        enhanced: Masked spectrum, log1p domain, `(batch, frames, bins)`.
        others: Those of the other generators, constants.

    Returns:
        A scalar.

    Reference:
        Shin et al., ICML 2023; Zhang et al., "Deep mutual learning", CVPR 2018.
    """
    return sum((ops.mean(ops.square(enhanced - other)) for other in others), ops.zeros(()))


def imitate_mean(enhanced, others):
    """Mean squared distance from the mean of the others; arguments as `imitate_each`."""
    return ops.mean(ops.square(enhanced - sum(others) / len(others))) if others else ops.zeros(())


def imitate_none(enhanced, others):
    """Each generator for itself: zero; arguments as `imitate_each`."""
    return ops.zeros(())


DISTILLATIONS = {"dml": imitate_each, "mean": imitate_mean, "none": imitate_none}


def spectral_distance(enhanced, clean, frames=None):
    """Mean squared distance of compressed magnitudes, averaged over utterances.

    Args:
        enhanced: `(batch, frames, bins)`.
        clean: `(batch, frames, bins)`.
        frames: `(batch,)`, each utterance's own number of frames, if zeros follow up to one length.

    Returns:
        A scalar.
    """
    distance = ops.mean(ops.square(enhanced - clean), axis=(1, 2))
    if frames is not None:
        distance = distance * ops.cast(ops.shape(enhanced)[1], distance.dtype) / frames
    return ops.mean(distance)


def clipped(gradients, limit: float | None) -> list:
    """Clips gradients by their global norm, as torch does; leaves them alone if there is no limit."""
    if limit is None:
        return gradients
    factor = clip_factor(global_norm(gradients), limit)
    return [gradient * factor for gradient in gradients]


def _float32(*batch) -> list:
    """Converts what a step takes; `None` is left out."""
    return [ops.convert_to_tensor(np.asarray(values, np.float32)) for values in batch if values is not None]
