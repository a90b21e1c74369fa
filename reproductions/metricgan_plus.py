"""MetricGAN+ (Fu et al., Interspeech 2021): a smaller discriminator that learns noisy speech, too.

Data: VoiceBank-DEMAND; training speakers p226 and p287 become the validation set.
Expected score: PESQ 3.15 (wide-band) on the 824 test files after 600 epochs (others got 3.05 to 3.15).
Expected time: half a minute to three minutes an epoch of 100 utterances on two CPU cores, growing with the
history; 600 epochs have 3,966,000 steps of the discriminator. The mini variant takes a minute and a half.

    kseg reproduce metricgan_plus                              # bundled mini corpus
    kseg reproduce metricgan_plus --data VOICEBANK             # as SpeechBrain's recipe
    kseg reproduce metricgan_plus --metric stoi --data VOICEBANK --variant paper
"""

import dataclasses
import random
from collections.abc import Iterator
from dataclasses import dataclass

import keras
from keras import ops

from keras_segan import audio
from keras_segan.data.manifest import Manifest
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.layers import stft
from keras_segan.models import metricgan, metricgan_plus
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd
from keras_segan.reproduction.outcomes import Enhancement
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training import losses, metric_feedback, samplers, targets
from keras_segan.training.gradients import ClipByNorm, JointClip, Leftover
from keras_segan.training.metric_feedback import Evaluation, Material, MetricFeedback, Schedule
from keras_segan.training.optimizers import TorchAdam, forget_moments
from keras_segan.training.player import GradientRule, Player
from keras_segan.training.samplers import Current, Example, in_turn
from keras_segan.training.step import Step

PAPER = Paper(
    title="MetricGAN+: An Improved Version of MetricGAN for Speech Enhancement",
    authors="S.-W. Fu, C. Yu, T.-A. Hsieh, P. Plantinga, M. Ravanelli, X. Lu, Y. Tsao",
    venue="Interspeech 2021",
    url="https://arxiv.org/abs/2104.03538",
    metrics=("pesq-wb-lqo", "csig", "cbak", "covl", "stoi"),
)
NAMES = {"pesq": "pesq-wb-lqo"}
CAUSAL = "Causal: no frame after the present one is looked at."
SB = "SpeechBrain, recipes/Voicebank/enhance/MetricGAN"


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of one variant."""

    corpus: str = setting("voicebank-demand", "corpus", source="paper, section 4.1", role="neutral")
    metric: str = setting(
        "pesq",
        "target: pesq, stoi, a registered metric or module:function@lo..hi",
        source=f"{SB}: target_metric",
        role="row",
    )
    epochs: int = setting(
        750, "epochs", source=f"{SB}: number_of_epochs", unit="epochs", at_least=1, role="length"
    )
    utterances_per_epoch: int = setting(
        100, "utterances drawn for an epoch", source=f"{SB}: number_of_samples", at_least=1
    )
    history_share: float = setting(
        0.2,
        "share of the history that is trained on again",
        source=f"{SB}: history_portion",
        at_least=0,
        at_most=1,
    )
    learning_rate: float = setting(
        5e-4, "Adam's step size", source=f"{SB}: generator_lr, discriminator_lr", at_least=0
    )
    clip_norm: float = setting(
        5.0, "largest norm of the gradients", source=f"{SB}: max_grad_norm", at_least=0
    )
    clip_scope: str = setting(
        "joint",
        "one norm over both networks, or each for itself",
        source=f"{SB}: over all modules",
        choices=("joint", "separate"),
    )
    largest_slope: float = setting(
        3.5, "at which the learnable sigmoid's slopes are cut", source=f"{SB}: fit_batch"
    )
    mask_floor: float = setting(0.05, "smallest value of the mask", source=f"{SB}: min_mask", at_least=0)
    target_score: float = setting(1.0, "score that G aims at", source=f"{SB}: compute_objectives")
    mse_weight: float = setting(
        0.0, "weight of the spectra's squared distance in G's loss", source=f"{SB}: mse_weight", at_least=0
    )
    warm_up_epochs: int = setting(
        0, "first epochs, in which G alone learns the clean spectra", source="ours", at_least=0
    )
    dropout: float = setting(
        0.0, "share dropped between G's LSTM layers", source=f"{SB}: EnhancementGenerator", at_least=0
    )
    causal: bool = setting(False, "unidirectional, for streaming", source="ours", role="row")
    torch_bias: bool = setting(True, "two bias vectors in each LSTM, not one", source="torch.nn.LSTM")
    convolution: str = setting(
        "tiled",
        "how D's convolutions are computed; equal to rounding",
        source="ours: twice as fast on a CPU",
        choices=metricgan.CONVOLUTION_METHODS,
    )
    validation_speakers: tuple[str, ...] = setting(
        ("p226", "p287"), "training speakers to validate on", source=f"{SB}: voicebank_prepare.py"
    )
    select: str = setting(
        "validation",
        "set that chooses the weights",
        source=SB,
        choices=("validation", "test"),
        role="neutral",
    )
    seed: int = setting(4234, "seed", source=f"{SB}: seed", role="neutral", at_least=0, at_most=2**32 - 1)

    def check(self):
        """The warm-up is a part of the training, and the target a metric with two ends."""
        metric_feedback.check_warm_up(self.warm_up_epochs, self.epochs)
        targets.single(self.metric, NAMES)


CODE = Settings()
PUBLISHED = dataclasses.replace(CODE, epochs=600)  # paper, section 4.2
MINI = dataclasses.replace(CODE, corpus="mini", epochs=8, utterances_per_epoch=8)
VARIANTS = {"code": CODE, "paper": PUBLISHED, "mini": MINI}


class Game:
    """The two players and their losses.

    D sees spectra of the *resynthesised* waveform, and G's gradient goes back through inverse transform and
    transform. Arrays of a batch: `waveform` `(batch, samples)` is noisy; `clean` and `degraded`, log1p
    magnitudes, `(batch, frames, bins)`; `scores` `(batch, 1)`.

    Args:
        settings: The settings.
        generator: From the log1p magnitude to the mask.
        discriminator: From two spectra to a score.
    """

    def __init__(self, settings: Settings, generator: keras.Model, discriminator: keras.Model):
        self.settings = settings
        self.generator = generator
        self.discriminator = discriminator

    def enhanced(self, waveform):
        """The log1p magnitude of the enhanced and resynthesised waveform `(batch, frames, bins)`."""
        spectrum = stft.stft(waveform)
        mask = self.generator(metricgan_plus.features(spectrum), training=True)
        mask = ops.maximum(mask, self.settings.mask_floor)
        enhanced = metricgan_plus.resynthesis(mask, spectrum, ops.shape(waveform)[1])
        return metricgan_plus.features(stft.stft(enhanced))

    def judged(self, degraded, clean):
        """D's score `(batch, 1)`."""
        return self.discriminator(metricgan_plus.pair(degraded, clean), training=True)

    def discriminator_loss(self, degraded, clean, scores):
        """A term of equation 2: (D(z, y) - Q'(z, y))^2 for z = y, G(x) and, new in MetricGAN+, x."""
        error = self.judged(degraded, clean) - scores
        return ops.mean(ops.square(error)), {"error": ops.mean(ops.abs(error))}

    def discriminator_loss_on_enhanced(self, waveform, clean, scores):
        """The same for z = G(x) as G makes it now, so that G's gradient counts in the joint norm."""
        return self.discriminator_loss(self.enhanced(waveform), clean, scores)

    def generator_loss(self, waveform, clean):
        """Equation 1: (D(G(x), y) - s)^2, and the spectra's distance if that has a weight."""
        enhanced = self.enhanced(waveform)
        loss = losses.least_squares(self.judged(enhanced, clean), self.settings.target_score)
        if not self.settings.mse_weight:
            return loss
        return loss + self.settings.mse_weight * losses.utterance_l2(enhanced, clean)

    def warm_up_loss(self, waveform, clean):
        """Mean squared distance of enhanced from clean magnitudes (ours)."""
        return losses.utterance_l2(self.enhanced(waveform), clean)

    def steps(self) -> dict[str, Step]:
        """Compiles the steps.

        With `clip_scope=joint` gradients are clipped as in SpeechBrain, by one norm over both networks; then
        a step of D on enhanced speech goes back through G. With `separate` it need not.
        """
        networks = (self.generator, self.discriminator)
        bins = (None, None, self.generator.input_shape[-1])
        waveform = {"waveform": (None, None), "clean": bins}
        spectra = {"degraded": bins, "clean": bins, "scores": (None, None)}
        g_rule, d_rule = self._rules()
        joint = self.settings.clip_scope == "joint"
        watch_g, watch_d = ((self.generator,), (self.discriminator,)) if joint else ((), ())
        adam = [TorchAdam(self.settings.learning_rate) for _ in networks]
        g = Player("g", networks[:1], adam[0], self.generator_loss, rule=g_rule, watched=watch_d)
        d = Player("d", networks[1:], adam[1], self.discriminator_loss, rule=d_rule)
        alone = ClipByNorm(self.settings.clip_norm)
        warm_up = Player("warm_up", networks[:1], adam[0], self.warm_up_loss, rule=alone)
        steps = {
            "generator": Step([g], waveform, networks, self._limit_slope),
            "discriminator": Step([d], spectra, networks),
            "warm_up": Step([warm_up], waveform, networks, self._limit_slope),
        }
        if joint:
            through = dataclasses.replace(d, loss=self.discriminator_loss_on_enhanced, watched=watch_g)
            steps["on_enhanced"] = Step([through], {**waveform, "scores": (None, None)}, networks)
        return steps

    def _rules(self) -> tuple[GradientRule, GradientRule]:
        limit = self.settings.clip_norm
        if self.settings.clip_scope == "separate":
            return ClipByNorm(limit), ClipByNorm(limit)
        g, d = Leftover(self.generator), Leftover(self.discriminator)
        return JointClip(g, d, limit), JointClip(d, g, limit)

    def _limit_slope(self, arrays: dict) -> dict:
        self.generator.get_layer("mask").limit_slope(self.settings.largest_slope)
        return {}


class Sampler(samplers.Sampler):
    """MetricGAN+: three steps for each utterance, a fifth of all enhanced utterances.

    Args:
        utterances: Number of training utterances.
        validation: Number of validation utterances.
        per_epoch: Utterances drawn for an epoch, more than once only if there are fewer.
        seed: Of the order.
        history_share: Share of the history that is trained on again.

    Reference:
        SpeechBrain, `MetricGanBrain.on_fit_start`, `train_discriminator`; its own random numbers are
        torch's.
    """

    def __init__(
        self,
        utterances: int,
        validation: int,
        per_epoch: int = 100,
        seed: int = 0,
        history_share: float = 0.2,
    ):
        super().__init__(utterances, validation, per_epoch, seed)
        self.history_share = history_share

    @property
    def drawn(self) -> int:
        """Number of utterances of an epoch."""
        return self.per_epoch

    def utterances(self, epoch: int) -> list[int]:
        """Draws utterances that depend on seed and epoch only."""
        rng = random.Random(f"{self.seed} {epoch}")
        if len(self.order) < self.per_epoch:
            return rng.choices(self.order, k=self.per_epoch)
        return rng.sample(self.order, self.per_epoch)

    def passes(self, epoch: int, current: Current) -> Iterator[list[Example]]:
        """Yields this epoch's examples, a share of the history, this epoch's again.

        The history holds enhanced utterances, this epoch's included.
        """
        examples = in_turn(current, "clean", "enhanced", "noisy")
        enhanced = {
            e.utterance: dataclasses.replace(e, kind="replayed") for e in in_turn(current, "enhanced")
        }
        self.replay.remember(list(enhanced.values()))
        history = self.replay.history
        yield examples
        yield self.rng.sample(history, self._share(len(history)))
        yield examples

    def _share(self, history: int) -> int:
        return min(max(1, round(self.history_share * history)), history)

    def steps(self, epoch: int) -> int:
        """Twice three for each utterance and the share of the history."""
        return 6 * self.drawn + self._share(epoch * self.drawn)


def build(settings: Settings) -> tuple[keras.Model, keras.Model]:
    """Builds generator and discriminator."""
    generator = metricgan_plus.generator(
        dropout=settings.dropout, causal=settings.causal, torch_bias=settings.torch_bias
    )
    return generator, metricgan_plus.discriminator(convolution_method=settings.convolution)


def front_end(settings: Settings) -> SpectralMaskFrontEnd:
    """Builds the signal processing around the generator."""
    return metricgan_plus.front_end(settings.mask_floor)


def sampler(settings: Settings, manifest: Manifest) -> Sampler:
    """Returns what draws the examples."""
    return Sampler.of(manifest, settings.utterances_per_epoch, settings.seed, settings.history_share)


def schedule(settings: Settings) -> Schedule:
    """Returns what an epoch consists of: D, G, evaluation, from the first one on."""
    return Schedule(
        settings.epochs,
        ("enhancement", "discriminator", "generator", "evaluation"),
        first_generator_epoch=1,
        quantised=False,
        to_int16=audio.to_saturated_int16,
        warm_up_epochs=settings.warm_up_epochs,
        generator_cost=1.3,
        evaluation=Evaluation((settings.select,), prepare=metric_feedback.limited),
    )


def fit(settings: Settings, manifest: Manifest, run) -> dict[str, Enhancer]:
    """Trains and returns the enhancers: best on validation, last epoch."""
    manifest = manifest.with_validation(settings.validation_speakers)
    shortest = (metricgan_plus.MINIMUM_FRAMES - 1) * front_end(settings).hop
    manifest = metric_feedback.long_enough(manifest, shortest, run)
    generator, discriminator = build(settings)
    steps = Game(settings, generator, discriminator).steps()
    goals = (targets.single(settings.metric, NAMES),)
    feedback = MetricFeedback(
        steps,
        (generator,),
        Material(front_end(settings), UtteranceReader(), manifest.training()),
        sampler(settings, manifest),
        targets.Scorer(run.pool, goals, ("pesq-wb-lqo", "stoi"), audio.SAMPLE_RATE),
        schedule(settings),
    )
    feedback.after_warm_up = lambda: forget_moments(steps["generator"].players[0].optimizer)
    keep = metric_feedback.train(feedback, manifest, run)
    facts = {"recipe": "metricgan_plus", "metric": feedback.scorer.chosen_by, "seed": settings.seed}
    return metric_feedback.systems(feedback, keep, (f"best on {settings.select}", "last"), facts)


SECONDS_PER_STEP = 0.06  # of a discriminator step for a second of audio on two cores


def plan(settings: Settings, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    manifest = manifest.with_validation(settings.validation_speakers)
    steps, cost, size = metric_feedback.count_steps(sampler(settings, manifest), schedule(settings), manifest)
    return Plan(steps, SECONDS_PER_STEP * manifest.mean_seconds() * cost, size)


def outcome(settings: Settings) -> Enhancement:
    """An enhancer, held against the comparison with other systems."""
    return Enhancement(
        table="Comparison",
        rows="MetricGAN+" if settings.metric == "pesq" and not settings.causal else "",
        metrics=targets.shown((targets.single(settings.metric, NAMES),), PAPER.metrics),
        chosen_on=settings.select,
        statements=(CAUSAL,) if settings.causal else (),
    )
