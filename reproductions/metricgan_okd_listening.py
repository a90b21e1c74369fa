"""MetricGAN-OKD's second task (Shin et al., ICML 2023): speech that is understood better in noise.

Data: any corpus of pairs; the noise is taken out of the noisy files and set to -6.5 to -0.5 dB. The paper's,
Harvard sentences in MS-SNSD noise, is not at hand.
Expected score: SIIB 79.40, HASPI 4.78, ESTOI 0.387 on the paper's own data, with a discriminator for each
metric. No program for training was released: networks and features are those of NELE-GAN.
Expected time: about a second for each of 300 utterances an epoch on two CPU cores. The mini variant takes a
minute.

    kseg reproduce metricgan_okd_listening                                      # bundled mini corpus
    kseg reproduce metricgan_okd_listening --metric siib,haspi,estoi --data DIR # needs the extra haspi
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras

from keras_segan import audio
from keras_segan.data.manifest import Manifest
from keras_segan.front_ends.band_gain import BandGainFrontEnd
from keras_segan.models import nele_gan
from keras_segan.models.base import ListeningEnhancer
from keras_segan.reproduction.outcomes import Listening
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.reproductions import metricgan_okd
from keras_segan.training import metric_feedback, targets
from keras_segan.training.listening import ListeningMaterial, ListeningReader
from keras_segan.training.metric_feedback import Evaluation, MetricFeedback, Schedule
from keras_segan.training.optimizers import TorchAdam
from keras_segan.training.samplers import Current, Example

PAPER = Paper(
    title="MetricGAN-OKD: Multi-Metric Optimization of MetricGAN via Online Knowledge Distillation "
    "for Speech Enhancement (listening enhancement)",
    authors="W. Shin, B. H. Lee, J. S. Kim, H. J. Park, S. W. Han",
    venue="ICML 2023, PMLR 202:31521-31538",
    url="https://proceedings.mlr.press/v202/shin23b.html",
    metrics=("siib-gauss", "estoi"),
)
NAMES = {"siib": "siib-gauss", "haspi": "haspi-linear"}
SCALES = {"estoi": "estoi-logistic"}  # the others' own are logistic as well
NG, OKD = "NELE-GAN's program", "MetricGAN-OKD's program"


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of one variant."""

    corpus: str = setting("harvard-ms-snsd", "corpus", source=f"{OKD}, folder LE", role="neutral")
    metric: str = setting("siib,haspi,estoi", "targets, a generator for each", source="paper", role="row")
    epochs: int = setting(500, "epochs", source=NG, unit="epochs", at_least=1, role="length")
    utterances_per_epoch: int = setting(300, "utterances drawn for an epoch", source=NG, at_least=1)
    history_share: float = setting(
        1 / 30, "share of the history that is trained on again", source=NG, at_least=0, at_most=1
    )
    first_generator_epoch: int = setting(2, "D is trained alone before", source=f"{NG}, {OKD}", at_least=1)
    alpha: float = setting(5.0, "weight of the imitation", source=OKD, at_least=0)
    distillation: str = setting(
        "dml",
        "what the generators imitate",
        source=f"{OKD}; mean and none are ours",
        choices=("dml", "mean", "none"),
    )
    generator_learning_rate: float = setting(5e-4, "Adam's step size of G", source=NG, at_least=0)
    discriminator_learning_rate: float = setting(2.5e-4, "Adam's step size of D", source=NG, at_least=0)
    clip_norm: float = setting(5.0, "largest norm of each network's gradients", source=OKD, at_least=0)
    target_score: float = setting(1.0, "score that each G aims at", source=NG)
    noise_smoothing: float = setting(
        0.85, "smoothing of the noise's power over frames", source="ours; NELE-GAN estimates it by IMCRA"
    )
    training_levels: tuple[float, ...] = setting(
        (-5.5, -3.5, -1.5),
        "SNRs of training and validation",
        unit="dB",
        source=f"{OKD}, folder LE: -11, -7, -3 dB, halved by the root of an amplitude ratio",
    )
    test_levels: tuple[float, ...] = setting(
        (-6.5, -4.5, -2.5, -0.5),
        "SNRs of the test",
        unit="dB",
        source=f"{OKD}, folder LE: likewise of -13, -9, -5, -1 dB",
    )
    select: str = setting(
        "validation",
        "set on which each generator's weights are chosen",
        source="ours",
        choices=("validation", "test"),
        role="neutral",
    )
    seed: int = setting(1, "seed", source=OKD, role="neutral", at_least=0, at_most=2**32 - 1)

    def check(self):
        """Every target is a metric with two ends, and there is a level to mix at."""
        goals(self)
        if not self.training_levels or not self.test_levels:
            raise ValueError("training_levels and test_levels must each name at least one SNR.")


def goals(settings: Settings) -> tuple[targets.Target, ...]:
    """Returns what the generators aim at, one each."""
    return targets.parse(settings.metric, NAMES, SCALES)


CODE = Settings()
MINI = dataclasses.replace(CODE, corpus="mini", metric="siib,estoi", epochs=6, utterances_per_epoch=8)
VARIANTS = {"code": CODE, "mini": MINI}


class Game(metricgan_okd.Game):
    """MetricGAN-OKD's game with gains of the speech's bands instead of a mask.

    What is a noisy or a clean spectrum there is here the generators' input: compressed bands of speech and
    noise `(batch, frames, 2 * bands)`. A degraded spectrum is that of enhanced speech, `(batch, frames,
    bands)`, without the noise.
    """

    def enhanced(self, index: int, noisy):
        """The bands of speech as one generator makes them, `(batch, frames, bands)`."""
        gains = self.generators[index](noisy, training=True)
        return nele_gan.enhanced_bands(gains, nele_gan.parts(noisy)[0])

    def judged(self, degraded, clean):
        """D's scores `(batch, metrics)` of enhanced speech in its noise."""
        return self.discriminator(nele_gan.triple(degraded, clean), training=True)


class Sampler(metricgan_okd.Sampler):
    """MetricGAN-OKD's listening enhancement: enhanced speech and speech that was not changed, both in noise.

    NELE-GAN trains on examples of another program (SSDRC) in the place of the unchanged ones, which is not
    at hand.
    """

    kinds = ("enhanced", "noisy")

    def passes(self, epoch: int, current: Current) -> Iterator[list[Example]]:
        """As for speech enhancement, without clean ones: there is no listening without noise."""
        heard = [{kind: e for kind, e in examples.items() if kind != "clean"} for examples in current]
        yield from super().passes(epoch, heard)

    def steps(self, epoch: int) -> int:
        """Twice two for each utterance, the share of the history and each enhanced one."""
        return super().steps(epoch) - 2 * self.drawn


def build(settings: Settings) -> tuple[list[keras.Model], keras.Model]:
    """Builds the generators and the discriminator."""
    count = len(goals(settings))
    generators = [nele_gan.generator(name=f"listening_generator_{number + 1}") for number in range(count)]
    return generators, nele_gan.discriminator(count)


def reader(settings: Settings) -> ListeningReader:
    """Returns what reads pairs as speech and noise at the task's levels."""
    training, test = settings.training_levels, settings.test_levels
    return ListeningReader({"train": training, "validation": training, "test": test})


def sampler(settings: Settings, manifest: Manifest) -> Sampler:
    """Returns what draws the examples."""
    return Sampler.of(manifest, settings.utterances_per_epoch, settings.seed, settings.history_share)


def schedule(settings: Settings) -> Schedule:
    """Returns what an epoch consists of: as for speech enhancement, evaluated from the first one on."""
    return Schedule(
        settings.epochs,
        ("generator", "evaluation", "enhancement", "discriminator"),
        settings.first_generator_epoch,
        to_int16=audio.to_saturated_int16,
        generator_cost=len(goals(settings)),
        evaluation=Evaluation((settings.select,), prepare=metric_feedback.limited),
    )


def game(settings: Settings, generators: Sequence[keras.Model], discriminator: keras.Model) -> Game:
    """Puts the players together."""
    s = settings
    return Game(generators, discriminator, s.alpha, s.distillation, s.target_score)


def fit(settings: Settings, manifest: Manifest, run) -> dict[str, ListeningEnhancer]:
    """Trains and returns each generator's enhancer."""
    front_end = BandGainFrontEnd(settings.noise_smoothing)
    manifest = metric_feedback.long_enough(manifest, (nele_gan.MINIMUM_FRAMES - 1) * front_end.hop, run)
    generators, discriminator = build(settings)
    rates = {
        "generator": settings.generator_learning_rate,
        "discriminator": settings.discriminator_learning_rate,
    }
    # The generators' input stands for both spectra.
    steps = game(settings, generators, discriminator).steps(
        ("clean", "clean"), lambda who: TorchAdam(rates[who]), settings.clip_norm
    )
    feedback = MetricFeedback(
        steps,
        generators,
        ListeningMaterial(front_end, reader(settings), manifest.training()),
        sampler(settings, manifest),
        targets.Scorer(run.pool, goals(settings), (), audio.SAMPLE_RATE),
        schedule(settings),
    )
    keep = metric_feedback.train(feedback, manifest, run)
    facts = {"recipe": "metricgan_okd_listening", "metric": settings.metric, "seed": settings.seed}
    return metric_feedback.systems(feedback, keep, (f"best on {settings.select}",), facts)


SECONDS_PER_STEP = 0.1  # of a discriminator step for a second of audio on two cores


def plan(settings: Settings, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    steps, cost, size = metric_feedback.count_steps(
        sampler(settings, manifest), schedule(settings), manifest, len(goals(settings))
    )
    return Plan(steps, SECONDS_PER_STEP * manifest.mean_seconds() * cost, size)


def outcome(settings: Settings) -> Listening:
    """Enhancers for a listener in noise, of which the first target's is held against the paper."""
    row = {"siib,haspi,estoi": "MetricGAN-OKD v1"}.get(settings.metric.replace(" ", ""), "")
    return Listening(
        table="Listening enhancement",
        rows={f"{goals(settings)[0].name} generator best on {settings.select}": row},
        metrics=targets.shown(goals(settings), PAPER.metrics),
        reader=reader(settings),
        chosen_on=settings.select,
    )
