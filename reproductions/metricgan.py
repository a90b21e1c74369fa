"""MetricGAN (Fu, Liao, Tsao, Lin, ICML 2019): a GAN whose discriminator learns PESQ or STOI.

Data: VoiceBank-DEMAND for the paper's Table 2, TIMIT with ten noises for its Table 1.
Expected score: PESQ 2.86 (wide-band) on the 824 test files of VoiceBank-DEMAND after 600 epochs.
Expected time: one discriminator step takes about 0.3 s for 2 s of audio on two CPU cores; the full
schedule has 3,954,000 of them. The mini variant takes a few minutes.

    kseg reproduce metricgan --metric pesq                       # bundled mini corpus
    kseg reproduce metricgan --metric pesq --data VOICEBANK      # Table 2
    kseg reproduce metricgan --metric stoi --data TIMIT          # Table 1
"""

from collections.abc import Iterator
from dataclasses import dataclass

import keras
from keras import ops

from keras_segan import audio
from keras_segan.data.manifest import Manifest
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.layers import recurrent, spectral_norm
from keras_segan.models import metricgan
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd
from keras_segan.reproduction.outcomes import Enhancement
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training import losses, metric_feedback, samplers, targets
from keras_segan.training.metric_feedback import Evaluation, Material, MetricFeedback, Schedule
from keras_segan.training.optimizers import Adam, forget_moments
from keras_segan.training.player import Player
from keras_segan.training.replay import ReplayBuffer, SampleStream, python2_shuffle
from keras_segan.training.samplers import Current, Example, in_turn
from keras_segan.training.step import Step

PAPER = Paper(
    title="MetricGAN: Generative Adversarial Networks based Black-box Metric Scores Optimization "
    "for Speech Enhancement",
    authors="S.-W. Fu, C.-F. Liao, Y. Tsao, S.-D. Lin",
    venue="ICML 2019",
    url="https://arxiv.org/abs/1905.04874",
    metrics=("pesq-wb-lqo", "csig", "cbak", "covl", "ssnr", "stoi"),
)
ROWS = {"pesq": "MetricGAN (P)", "stoi": "MetricGAN (S)"}
T1, T2 = "MetricGAN.py", "MetricGAN(tableII).py"  # the released programs
KERAS = "Keras 2.0.9"


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of one variant."""

    corpus: str = setting("voicebank-demand", "corpus", source="paper, section 4.3", role="neutral")
    metric: str = setting(
        "pesq",
        "target: pesq, stoi, a registered metric or module:function@lo..hi",
        source=f"{T2}: TargetMetric",
        role="row",
    )
    pesq: str = setting("pesq-wb-lqo", 'what "pesq" means', source=f"{T2}: pesq(..., 'wb')")
    pesq_decimals: int | None = setting(
        None,
        "decimals of the label's raw PESQ; none for all",
        source=f"{T2}; the ITU program prints 3 in {T1}",
    )
    epochs: int = setting(600, "epochs", source=f"{T2}: GAN_epoch", unit="epochs", at_least=1, role="length")
    utterances_per_epoch: int = setting(
        100, "utterances drawn for an epoch", source=f"{T2}: num_of_sampling", at_least=1
    )
    validation_limit: int | None = setting(
        None, "validation utterances; none for all", source=f"{T2}; 1000 in {T1}", at_least=1
    )
    learning_rate: float = setting(1e-3, "Adam's step size, both networks", source=f"'adam', {KERAS}")
    adam_beta_1: float = setting(0.9, "decay of Adam's first moment", source=KERAS)
    adam_beta_2: float = setting(0.999, "decay of Adam's second moment", source=KERAS)
    adam_epsilon: float = setting(1e-8, "Adam's epsilon", source=f"{KERAS}; Keras 3 would take 1e-7")
    dropout: float = setting(0.05, "share of G's hidden units dropped", source=f"{T2}: de_model", at_least=0)
    mask_floor: float = setting(0.05, "smallest value of the mask", source=f"{T2}: mask_min", at_least=0)
    target_score: float = setting(1.0, "score that G aims at, s in equation 5", source=f"{T2}: Target_score")
    clean_score: float = setting(1.0, "label of clean speech", source=f"{T2}: Corresponding_clean_list")
    history_divisor: int = setting(
        10,
        "one in so many earlier examples is trained on again",
        source=f"{T2}: len(Previous_Discriminator_training_list)/10",
        at_least=1,
    )
    first_generator_epoch: int = setting(
        2, "D is trained alone before", source=f"{T2}: if gan_epoch>=2", at_least=1
    )
    prefetch: int = setting(
        1, "items that a generator queue draws beyond the steps", source=f"{T2}: max_queue_size=1", at_least=0
    )
    compression: str = setting(
        "log1p", "compression of the magnitude", source=f"{T2}: Sp_and_phase", choices=("log1p", "none")
    )
    int16_divisor: float = setting(32767.0, "what 16-bit samples are divided by", source=f"{T2}: maxv")
    layout: str = setting(
        "legacy",
        "how a spectrum becomes D's image",
        source=f"{T2}: reshape((1,257,T,1)); transpose is ours",
        choices=metricgan.LAYOUTS,
    )
    spectral_norm: str = setting(
        "keras2",
        "mode of spectral normalisation",
        source="SpectralNormalizationKeras.py",
        choices=spectral_norm.MODES,
    )
    convolution: str = setting(
        "tiled",
        "how D's convolutions are computed; equal to rounding",
        source="ours: 3 to 5 times as fast on a CPU",
        choices=metricgan.CONVOLUTION_METHODS,
    )
    recurrence: str = setting(
        "auto",
        "how G's recurrence is computed; equal to rounding",
        source="ours: several times as fast on a CPU",
        choices=recurrent.RECURRENCES,
    )
    batch_size: int = setting(
        1, "utterances of a training step; more is for GPUs", source=f"{T2}: batch_size=1", at_least=1
    )
    mse_weight: float = setting(
        0.0, "weight of the spectra's squared distance in G's loss", source="ours", at_least=0
    )
    warm_up_epochs: int = setting(
        0, "first epochs, in which G alone learns the clean spectra", source="ours", at_least=0
    )
    seed: int = setting(
        999, "seed", source=f"{T2}: random.seed(999)", role="neutral", at_least=0, at_most=2**32 - 1
    )

    def check(self):
        """The warm-up is a part of the training, and the target a metric with two ends."""
        metric_feedback.check_warm_up(self.warm_up_epochs, self.epochs)
        target(self)


def target(settings: Settings) -> targets.Target:
    """Returns Q', what D learns: the metric, mapped to [0, 1] (paper, section 3.1)."""
    only = targets.single(settings.metric, {"pesq": settings.pesq})
    decimals = settings.pesq_decimals
    if settings.metric != "pesq" or decimals is None:
        return only
    to_unit = only.maps[settings.pesq]
    # MetricGAN.py reads the last five characters of what the ITU program prints: 3 decimals, no sign.
    rounded = {settings.pesq: lambda score: to_unit(abs(round(score, decimals)))}
    return targets.Target(only.name, rounded)


TABLE_2 = Settings()
TABLE_1 = Settings(
    corpus="timit-noise10",
    pesq="pesq-nb-raw",
    pesq_decimals=3,
    epochs=200,
    validation_limit=1000,
    compression="none",
    int16_divisor=32768.0,
)
MINI = Settings(corpus="mini", epochs=6, utterances_per_epoch=6)
VARIANTS = {"table2": TABLE_2, "table1": TABLE_1, "mini": MINI}


class Game:
    """The two players and their losses.

    Arrays of a batch, all `(batch, frames, bins)`: `features` are G's input, the normalised noisy magnitude;
    `noisy`, `clean` and `degraded` are compressed magnitudes. `scores` `(batch, 1)` are true scores. `frames`
    `(batch,)` are each utterance's own number of frames, where utterances are padded to one length.

    Args:
        settings: The settings.
        generator: From `features` to the mask.
        discriminator: From two spectra to a score.
    """

    def __init__(self, settings: Settings, generator: keras.Model, discriminator: keras.Model):
        self.settings = settings
        self.generator = generator
        self.discriminator = discriminator

    def enhanced(self, features, noisy, frames=None):
        """G(x): the mask with its floor, times the noisy magnitude."""
        own = None if frames is None else metricgan.true_frames(frames, ops.shape(features)[1])
        mask = self.generator(features, training=True, mask=own)
        return ops.maximum(mask, self.settings.mask_floor) * noisy

    def judged(self, degraded, clean, frames=None):
        """D(x, y) `(batch, 1)`; batch statistics, moving averages and u advance in steps of G, too."""
        layout = self.settings.layout
        if frames is None:
            return self.discriminator(metricgan.pair(degraded, clean, layout), training=True)
        images = metricgan.padded_pair(degraded, clean, frames, layout)
        return metricgan.padded_scores(self.discriminator, images, frames)

    def discriminator_loss(self, degraded, clean, scores, frames=None):
        """Equation 4: (D(y, y) - 1)^2 + (D(G(x), y) - Q'(G(x), y))^2, an example a time.

        The label of clean speech is `clean_score`.
        """
        error = self.judged(degraded, clean, frames) - scores
        return ops.mean(ops.square(error)), {"error": ops.mean(ops.abs(error))}

    def generator_loss(self, features, noisy, clean, frames=None):
        """Equation 5: (D(G(x), y) - s)^2, and the spectra's distance if that has a weight (ours)."""
        enhanced = self.enhanced(features, noisy, frames)
        loss = losses.least_squares(self.judged(enhanced, clean, frames), self.settings.target_score)
        if not self.settings.mse_weight:
            return loss
        return loss + self.settings.mse_weight * losses.utterance_l2(enhanced, clean, frames)

    def warm_up_loss(self, features, noisy, clean):
        """Mean squared distance of enhanced from clean magnitudes (ours)."""
        return losses.utterance_l2(self.enhanced(features, noisy), clean)

    def steps(self) -> dict[str, Step]:
        """Compiles the steps; G and D each have an Adam of their own."""
        spectrum = (None, None, self.generator.input_shape[-1])
        by_name = dict.fromkeys(("features", "noisy", "clean", "degraded"), spectrum)
        shapes = {**by_name, "scores": (None, None), "frames": (None,)}
        g = Player("g", (self.generator,), self._adam(), self.generator_loss)
        d = Player("d", (self.discriminator,), self._adam(), self.discriminator_loss)
        warm_up = Player("warm_up", g.networks, g.optimizer, self.warm_up_loss)

        def step(player: Player, *names: str) -> Step:
            return Step(
                [player], {name: shapes[name] for name in names}, (self.generator, self.discriminator)
            )

        return {
            "generator": step(g, "features", "noisy", "clean", "frames"),
            "discriminator": step(d, "degraded", "clean", "scores", "frames"),
            "warm_up": step(warm_up, "features", "noisy", "clean"),
        }

    def _adam(self) -> Adam:
        s = self.settings
        return Adam(s.learning_rate, s.adam_beta_1, s.adam_beta_2, epsilon=s.adam_epsilon)


class Sampler(samplers.Sampler):
    """MetricGAN: clean and enhanced utterances shuffled together, a tenth of all that came before.

    Args:
        utterances: Number of training utterances.
        validation: Number of validation utterances.
        per_epoch: Utterances drawn for an epoch.
        seed: Of the order.
        history_divisor: One in so many earlier examples, clean ones included, is trained on again.
        prefetch: See `replay.SampleStream.take`.

    Reference:
        MetricGAN.py, the loop over `gan_epoch`.
    """

    kinds = ("clean", "enhanced")

    def __init__(
        self,
        utterances: int,
        validation: int,
        per_epoch: int = 100,
        seed: int = 999,
        history_divisor: int = 10,
        prefetch: int = 1,
    ):
        super().__init__(utterances, validation, per_epoch, seed)
        self.prefetch = prefetch
        self.replay = ReplayBuffer(self.rng, history_divisor)
        python2_shuffle(self.order, self.rng)
        python2_shuffle(self.validation, self.rng)

    def utterances(self, epoch: int) -> list[int]:
        """Shuffles all utterances and takes the first ones."""
        python2_shuffle(self.order, self.rng)
        return self.order[: self.per_epoch]

    def generator_order(self, drawn: list[int]) -> list[int]:
        """Returns them in order, but the original's queue shuffles when it starts anew."""
        return list(SampleStream(list(drawn), self.rng).take(len(drawn), self.prefetch))

    def passes(self, epoch: int, current: Current) -> Iterator[list[Example]]:
        """Yields this epoch's examples, those with a share of the history, and this epoch's again."""
        examples = in_turn(current, "enhanced") + in_turn(current, "clean")
        python2_shuffle(examples, self.rng)
        stream = SampleStream(examples, self.rng)
        yield list(stream.take(len(examples), self.prefetch))
        past = self.replay.current_and_past(examples)
        yield list(SampleStream(past, self.rng).take(len(past), self.prefetch))
        self.replay.remember(examples)
        yield list(stream.take(len(examples), self.prefetch))

    def steps(self, epoch: int) -> int:
        """Three times the current ones and the share of the history."""
        current = 2 * self.drawn
        return 3 * current + (epoch - 1) * current // self.replay.divisor


def build(settings: Settings) -> tuple[keras.Model, keras.Model]:
    """Builds generator and discriminator."""
    generator = metricgan.generator(dropout=settings.dropout, recurrence=settings.recurrence)
    discriminator = metricgan.discriminator(
        spectral_norm=settings.spectral_norm, convolution_method=settings.convolution
    )
    return generator, discriminator


def front_end(settings: Settings) -> SpectralMaskFrontEnd:
    """Builds the signal processing around the generator."""
    return SpectralMaskFrontEnd(compression=settings.compression, mask_floor=settings.mask_floor)


def sampler(settings: Settings, manifest: Manifest) -> Sampler:
    """Returns what draws the examples."""
    s = settings
    return Sampler.of(manifest, s.utterances_per_epoch, s.seed, s.history_divisor, s.prefetch)


def schedule(settings: Settings) -> Schedule:
    """Returns what an epoch consists of: G from the second one on, evaluation, D."""
    return Schedule(
        settings.epochs,
        ("generator", "enhancement", "evaluation", "discriminator"),
        settings.first_generator_epoch,
        settings.clean_score,
        batch_size=settings.batch_size,
        warm_up_epochs=settings.warm_up_epochs,
        evaluation=Evaluation(validation_limit=settings.validation_limit),
    )


def fit(settings: Settings, manifest: Manifest, run) -> dict[str, Enhancer]:
    """Trains and returns the enhancers: last epoch, best on validation, best on test."""
    # D's convolutions of 5, 7, 9 and 11 frames have no padding; the front end appends one hop.
    shortest = (metricgan.MINIMUM_FRAMES - 2) * front_end(settings).hop
    manifest = metric_feedback.long_enough(manifest, shortest, run)
    generator, discriminator = build(settings)
    steps = Game(settings, generator, discriminator).steps()
    feedback = MetricFeedback(
        steps,
        (generator,),
        Material(front_end(settings), UtteranceReader(settings.int16_divisor), manifest.training()),
        sampler(settings, manifest),
        targets.Scorer(run.pool, (target(settings),), (settings.pesq, "stoi"), audio.SAMPLE_RATE),
        schedule(settings),
    )
    feedback.after_warm_up = lambda: forget_moments(steps["generator"].players[0].optimizer)
    keep = metric_feedback.train(feedback, manifest, run)
    facts = {"recipe": "metricgan", "metric": feedback.scorer.chosen_by, "seed": settings.seed}
    return metric_feedback.systems(feedback, keep, ("last", "best on validation", "best on test"), facts)


SECONDS_PER_STEP = 0.16  # of a discriminator step for a second of audio on two cores


def plan(settings: Settings, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    steps, cost, size = metric_feedback.count_steps(sampler(settings, manifest), schedule(settings), manifest)
    return Plan(steps, SECONDS_PER_STEP * manifest.mean_seconds() * cost, size)


def outcome(settings: Settings) -> Enhancement:
    """An enhancer, held against Table 1 or 2."""
    own = PAPER.metrics if settings.pesq == "pesq-wb-lqo" else (settings.pesq, "stoi")
    return Enhancement(
        table="Table 1" if settings.corpus == TABLE_1.corpus else "Table 2",
        rows=ROWS.get(settings.metric, ""),
        metrics=targets.shown((target(settings),), own),
    )
