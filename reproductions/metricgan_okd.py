"""MetricGAN-OKD (Shin et al., ICML 2023): a generator for each of several metrics, which imitate each other.

Data: VoiceBank-DEMAND. The first target's generator is the one whose scores are published.
Expected score: PESQ 3.24, CSIG 4.23 for the targets pesq,csig on the 824 test files after 750 epochs, of
which the best on the *test* set counts in the paper; here validation speakers choose, unless --select test.
Expected time: about a second for each of 6,142,500 discriminator steps on two CPU cores. The mini variant
takes two minutes.

    kseg reproduce metricgan_okd --metric pesq,csig                     # bundled mini corpus
    kseg reproduce metricgan_okd --metric pesq,csig --data VOICEBANK
    kseg reproduce metricgan_okd --metric pesq,csig+cbak --causal --data VOICEBANK
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import keras
from keras import ops

from keras_segan import audio
from keras_segan.data.manifest import Manifest
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.models import metricgan_okd, metricgan_plus
from keras_segan.models.base import Enhancer
from keras_segan.reproduction.outcomes import Enhancement
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training import losses, metric_feedback, samplers, targets
from keras_segan.training.gradients import ClipByNorm
from keras_segan.training.metric_feedback import Evaluation, Material, MetricFeedback, Schedule
from keras_segan.training.optimizers import TorchAdam
from keras_segan.training.player import Player
from keras_segan.training.samplers import Current, Example, in_turn
from keras_segan.training.step import Step

PAPER = Paper(
    title="MetricGAN-OKD: Multi-Metric Optimization of MetricGAN via Online Knowledge Distillation "
    "for Speech Enhancement",
    authors="W. Shin, B. H. Lee, J. S. Kim, H. J. Park, S. W. Han",
    venue="ICML 2023, PMLR 202:31521-31538",
    url="https://proceedings.mlr.press/v202/shin23b.html",
    metrics=("pesq-wb-lqo", "csig", "cbak", "covl", "stoi"),
)
PESQ = "pesq-wb-lqo"
NAMES = {"pesq": PESQ}
SCALES = {PESQ: "pesq-logistic"}  # the others, (x - 1) / 4, are the metrics' own
ROWS = {
    ("pesq,csig", False): "PESQ and CSIG",
    ("csig,pesq", False): "CSIG and PESQ",
    ("pesq,csig+cbak+covl", False): "PESQ and CSIG+CBAK+COVL",
    ("pesq,csig+cbak", True): "PESQ and CSIG+CBAK (causal)",
}
CAUSAL = "Causal: no frame after the present one is looked at."
SE = "the authors' program, folder SE"


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of one variant."""

    corpus: str = setting("voicebank-demand", "corpus", source="paper, section 4", role="neutral")
    metric: str = setting(
        "pesq,csig",
        'targets, a generator for each; "+" averages mapped scores',
        source=f"{SE}: target metrics",
        role="row",
    )
    causal: bool = setting(False, "unidirectional generators", source=f"{SE}: --causal", role="row")
    epochs: int = setting(750, "epochs", source=f"{SE}: epochs", unit="epochs", at_least=1, role="length")
    utterances_per_epoch: int = setting(
        100, "utterances drawn for an epoch", source=f"{SE}: num_of_sampling", at_least=1
    )
    history_share: float = setting(
        0.2,
        "share of the history that is trained on again",
        source=f"{SE}: hist_portion",
        at_least=0,
        at_most=1,
    )
    first_generator_epoch: int = setting(
        2, "D is trained alone before", source=f"{SE}: main loop", at_least=1
    )
    first_evaluated_epoch: int = setting(
        600, "first epoch that is evaluated", source=f"{SE}: main loop", at_least=1
    )
    alpha: float = setting(
        5.0, "weight of the imitation", source=f"{SE}: default; the paper's study finds 10 best", at_least=0
    )
    distillation: str = setting(
        "dml",
        "what the generators imitate",
        source=f"{SE}: kd_type; mean and none are ours",
        choices=("dml", "mean", "none"),
    )
    learning_rate: float = setting(5e-4, "Adam's step size", source=SE, at_least=0)
    clip_norm: float = setting(5.0, "largest norm of each network's gradients", source=SE, at_least=0)
    dropout: float = setting(0.1, "share dropped between G's LSTM layers", source=f"{SE}: LSTM", at_least=0)
    mask_floor: float = setting(0.05, "smallest value of the mask", source=SE, at_least=0)
    target_score: float = setting(1.0, "score that each G aims at", source=SE)
    torch_bias: bool = setting(True, "two bias vectors in each LSTM, not one", source="torch.nn.LSTM")
    validation_speakers: tuple[str, ...] = setting(
        ("p226", "p287"), "training speakers to validate on", source=f"{SE}: --val_speaker, empty there"
    )
    select: str = setting(
        "validation",
        "set on which each generator's weights are chosen by PESQ",
        source=f"ours; test in {SE}",
        choices=("validation", "test"),
        role="neutral",
    )
    seed: int = setting(1, "seed", source=SE, role="neutral", at_least=0, at_most=2**32 - 1)

    def check(self):
        """Every target is a metric with two ends."""
        goals(self)


def goals(settings: Settings) -> tuple[targets.Target, ...]:
    """Returns what the generators aim at, one each."""
    return targets.parse(settings.metric, NAMES, SCALES)


CODE = Settings()
PUBLISHED = dataclasses.replace(CODE, alpha=10.0)  # paper, study of alpha
MINI = dataclasses.replace(CODE, corpus="mini", epochs=5, utterances_per_epoch=4, first_evaluated_epoch=1)
VARIANTS = {"code": CODE, "paper": PUBLISHED, "mini": MINI}


def imitate_each(enhanced, others: Sequence):
    """Equation 6, mutual learning ("dml"): sum over the others of the mean squared distance.

    Args:
        enhanced: Masked spectrum, log1p domain, `(batch, frames, bins)`.
        others: Those of the other generators, constants.

    Returns:
        A scalar.
    """
    return sum((losses.l2(enhanced, other) for other in others), ops.zeros(()))


def imitate_mean(enhanced, others: Sequence):
    """Mean squared distance from the mean of the others (ours); arguments as `imitate_each`."""
    return losses.l2(enhanced, sum(others) / len(others)) if others else ops.zeros(())


def imitate_none(enhanced, others: Sequence):
    """Each generator for itself (ours): zero; arguments as `imitate_each`."""
    return ops.zeros(())


DISTILLATIONS = {"dml": imitate_each, "mean": imitate_mean, "none": imitate_none}


class Game:
    """A generator for every metric, which also imitate each other, and one discriminator with all scores.

    Generator i aims at score i and, with the weight alpha, at the masked spectra of the others. They move one
    after the other, all imitating what the others put out before. Arrays of a batch: `noisy`, `clean` and
    `degraded`, log1p magnitudes, `(batch, frames, bins)`; `scores` `(batch, metrics)`.

    Args:
        generators: From the noisy spectrum to the mask, one for each metric.
        discriminator: From two spectra to the scores.
        alpha: Weight of the imitation.
        distillation: One of `DISTILLATIONS`.
        target_score: The score that the generators aim at.
        mask_floor: Smallest value of the mask.
    """

    def __init__(
        self,
        generators: Sequence[keras.Model],
        discriminator: keras.Model,
        alpha: float = 5.0,
        distillation: str = "dml",
        target_score: float = 1.0,
        mask_floor: float = 0.05,
    ):
        self.generators = tuple(generators)
        self.discriminator = discriminator
        self.alpha = alpha
        self.distance = DISTILLATIONS[distillation]
        self.target_score = target_score
        self.mask_floor = mask_floor

    def enhanced(self, index: int, noisy):
        """The masked spectrum of one generator."""
        return ops.maximum(self.generators[index](noisy, training=True), self.mask_floor) * noisy

    def judged(self, degraded, clean):
        """D's scores `(batch, metrics)`."""
        return self.discriminator(metricgan_okd.pair(degraded, clean), training=True)

    def discriminator_loss(self, degraded, clean, scores):
        """Equation 3: squared distance of all predicted scores from the true ones."""
        error = self.judged(degraded, clean) - scores
        return ops.mean(ops.square(error)), {"error": ops.mean(ops.abs(error))}

    def generator_loss(self, index: int, noisy, clean, others: Sequence):
        """Equations 4 and 5: distance of score i from the target, and alpha times the imitation.

        Args:
            index: Number of the generator and of its metric.
            noisy: `(batch, frames, bins)`.
            clean: `(batch, frames, bins)`.
            others: What the other generators made of it, constants.

        Returns:
            The loss, and its two parts by name.
        """
        enhanced = self.enhanced(index, noisy)
        score = self.judged(enhanced, clean)[:, index]
        metric = losses.least_squares(score, self.target_score)
        imitation = self.distance(enhanced, others)
        return metric + self.alpha * imitation, {"metric_loss": metric, "imitation_loss": imitation}

    def steps(
        self, arrays: tuple[str, str], adam: Callable[[str], TorchAdam], clip_norm: float
    ) -> dict[str, Step]:
        """Compiles the steps.

        Args:
            arrays: Names of the arrays that a generator's step takes for noisy and clean.
            adam: Makes the optimizer of "generator" or "discriminator".
            clip_norm: Largest norm of each network's gradients.
        """
        noisy, clean = arrays
        networks = (*self.generators, self.discriminator)
        rule = ClipByNorm(clip_norm)
        spectrum = (None, None, self.generators[0].input_shape[-1])
        degraded = (None, None, self.generators[0].output_shape[-1])
        players = [
            Player(
                f"g{index + 1}",
                (generator,),
                adam("generator"),
                self._loss_of(index, noisy, clean),
                rule=rule,
            )
            for index, generator in enumerate(self.generators)
        ]
        d = Player("d", (self.discriminator,), adam("discriminator"), self.discriminator_loss, rule=rule)
        taken = dict.fromkeys(dict.fromkeys(arrays), spectrum)
        shown = {"degraded": degraded, "clean": spectrum, "scores": (None, None)}

        def before(batch: dict) -> dict:
            outputs = [ops.stop_gradient(self.enhanced(i, batch[noisy])) for i in range(len(self.generators))]
            return {f"before_{index}": output for index, output in enumerate(outputs)}

        return {
            "generator": Step(players, taken, networks, before),
            "discriminator": Step([d], shown, networks),
        }

    def _loss_of(self, index: int, noisy: str, clean: str) -> Callable:
        count = len(self.generators)

        def loss(**batch):
            others = [batch[f"before_{other}"] for other in range(count) if other != index]
            return self.generator_loss(index, batch[noisy], batch[clean], others)

        return loss


class Sampler(samplers.Sampler):
    """The output of one generator, drawn in each epoch; `history_share` of the earlier enhanced utterances.

    Other arguments are those of `samplers.Sampler`.
    """

    def __init__(
        self,
        utterances: int,
        validation: int,
        per_epoch: int = 100,
        seed: int = 1,
        history_share: float = 0.2,
    ):
        super().__init__(utterances, validation, per_epoch, seed)
        self.history_share = history_share

    def utterances(self, epoch: int) -> list[int]:
        """Draws utterances without replacement."""
        return self.rng.sample(self.order, self.drawn)

    def enhancing_generator(self, generators: int) -> int:
        """Draws a generator."""
        return self.rng.randrange(generators)

    def passes(self, epoch: int, current: Current) -> Iterator[list[Example]]:
        """Yields this epoch's examples, a share of the history with this epoch's enhanced ones, and again."""
        examples, enhanced = in_turn(current, "enhanced", "noisy", "clean"), in_turn(current, "enhanced")
        yield examples
        history = self.replay.history
        past = self.rng.sample(history, int(self.history_share * len(history))) + enhanced
        self.rng.shuffle(past)
        yield past
        self.replay.remember(enhanced)
        yield examples

    def steps(self, epoch: int) -> int:
        """Twice three for each utterance, the share of the history and each enhanced one."""
        return 7 * self.drawn + int(self.history_share * (epoch - 1) * self.drawn)


def build(settings: Settings) -> tuple[list[keras.Model], keras.Model]:
    """Builds the generators and the discriminator."""
    count = len(goals(settings))
    generators = [
        metricgan_okd.generator(
            dropout=settings.dropout,
            causal=settings.causal,
            torch_bias=settings.torch_bias,
            name=f"metricgan_okd_generator_{number}",
        )
        for number in range(1, count + 1)
    ]
    return generators, metricgan_okd.discriminator(scores=count)


def divided(settings: Settings, manifest: Manifest) -> Manifest:
    """Sets validation speakers apart, if validation chooses the weights."""
    if settings.select == "test":
        return manifest
    return manifest.with_validation(settings.validation_speakers)


def sampler(settings: Settings, manifest: Manifest) -> Sampler:
    """Returns what draws the examples."""
    return Sampler.of(manifest, settings.utterances_per_epoch, settings.seed, settings.history_share)


def schedule(settings: Settings) -> Schedule:
    """Returns what an epoch consists of: G from the second one on, evaluation, D."""

    def through_16_bit(waveform):
        return audio.from_int16(audio.to_saturated_int16(waveform))

    return Schedule(
        settings.epochs,
        ("generator", "evaluation", "enhancement", "discriminator"),
        settings.first_generator_epoch,
        to_int16=audio.to_saturated_int16,
        generator_cost=len(goals(settings)),
        evaluation=Evaluation((settings.select,), settings.first_evaluated_epoch, prepare=through_16_bit),
    )


def fit(settings: Settings, manifest: Manifest, run) -> dict[str, Enhancer]:
    """Trains and returns each generator's enhancer."""
    manifest = divided(settings, manifest)
    front_end = metricgan_plus.front_end(settings.mask_floor)
    shortest = (metricgan_plus.MINIMUM_FRAMES - 1) * front_end.hop
    manifest = metric_feedback.long_enough(manifest, shortest, run)
    generators, discriminator = build(settings)
    game = Game(
        generators,
        discriminator,
        settings.alpha,
        settings.distillation,
        settings.target_score,
        settings.mask_floor,
    )
    feedback = MetricFeedback(
        game.steps(("noisy", "clean"), lambda who: TorchAdam(settings.learning_rate), settings.clip_norm),
        generators,
        Material(front_end, UtteranceReader(), manifest.training()),
        sampler(settings, manifest),
        targets.Scorer(run.pool, goals(settings), (PESQ, "stoi"), audio.SAMPLE_RATE, chosen_by=PESQ),
        schedule(settings),
    )
    keep = metric_feedback.train(feedback, manifest, run)
    facts = {"recipe": "metricgan_okd", "metric": settings.metric, "seed": settings.seed}
    return metric_feedback.systems(feedback, keep, (f"best on {settings.select}",), facts)


SECONDS_PER_STEP = 0.33  # of a discriminator step for a second of audio on two cores


def plan(settings: Settings, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    manifest = divided(settings, manifest)
    count = len(goals(settings))
    steps, cost, size = metric_feedback.count_steps(
        sampler(settings, manifest), schedule(settings), manifest, count
    )
    return Plan(steps, SECONDS_PER_STEP * manifest.mean_seconds() * cost, size)


def outcome(settings: Settings) -> Enhancement:
    """Enhancers, of which the first target's is held against the authors' README."""
    first = f"{goals(settings)[0].name} generator best on {settings.select}"
    return Enhancement(
        table="README",
        rows={first: ROWS.get((settings.metric.replace(" ", ""), settings.causal), "")},
        metrics=targets.shown(goals(settings), PAPER.metrics),
        chosen_on=settings.select,
        statements=(CAUSAL,) if settings.causal else (),
    )
