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
from dataclasses import dataclass

import keras

from keras_segan import audio
from keras_segan.data.manifest import Manifest
from keras_segan.front_ends.band_gain import BandGainFrontEnd
from keras_segan.models import nele_gan
from keras_segan.models.base import ListeningEnhancer
from keras_segan.recipe import Paper, Plan, require_choices
from keras_segan.reproductions.metricgan_okd import schedule
from keras_segan.training import metric_gan, targets
from keras_segan.training.listening import ListeningReader, ListeningTrainer
from keras_segan.training.metric_gan import Selection
from keras_segan.training.metric_gan_steps import DISTILLATIONS, ListeningSteps
from keras_segan.training.optimizers import TorchAdam
from keras_segan.training.samplers import ListeningSampler

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


@dataclass(frozen=True)
class Config:
    """Settings of one variant; [NG] = NELE-GAN's program, [OKD] = MetricGAN-OKD's for speech enhancement."""

    corpus: str = "harvard-ms-snsd"  # [OKD, folder LE]
    metric: str = "siib,haspi,estoi"  # [paper] a generator for each
    epochs: int = 500  # [NG]
    utterances_per_epoch: int = 300  # [NG]
    history_share: float = 1 / 30  # [NG]
    first_generator_epoch: int = 2  # [NG, OKD]
    alpha: float = 5.0  # [OKD] weight of the imitation
    distillation: str = "dml"  # [OKD] or "mean", "none" [ours]
    generator_learning_rate: float = 5e-4  # [NG]
    discriminator_learning_rate: float = 2.5e-4  # [NG]
    clip_norm: float = 5.0  # [OKD] of each network
    target_score: float = 1.0  # [NG]
    noise_smoothing: float = 0.85  # [ours] NELE-GAN estimates the noise's power by IMCRA
    # True SNRs: the paper's mixer takes the square root of an amplitude ratio, which halves -11, -7, -3 and
    # -13, -9, -5, -1 dB [OKD, folder LE].
    training_levels: str = "-5.5,-3.5,-1.5"
    test_levels: str = "-6.5,-4.5,-2.5,-0.5"
    select: str = "validation"  # [ours] or "test"
    seed: int = 1  # [OKD]

    def __post_init__(self):
        if min(self.epochs, self.utterances_per_epoch) < 1:
            raise ValueError("epochs and utterances_per_epoch must be at least 1.")
        choices = {"distillation": tuple(DISTILLATIONS), "select": ("validation", "test")}
        require_choices(self, choices)
        for name in ("training_levels", "test_levels"):
            _levels(getattr(self, name))


def _levels(text: str) -> tuple[float, ...]:
    return tuple(float(level) for level in text.split(","))


CODE = Config()
MINI = dataclasses.replace(CODE, corpus="mini", metric="siib,estoi", epochs=6, utterances_per_epoch=8)
VARIANTS = {"code": CODE, "mini": MINI}


def check(config: Config):
    """Raises if the settings cannot work, before anything is written."""
    goals(config)


def goals(config: Config) -> tuple[targets.Target, ...]:
    """Returns what the generators aim at, one each."""
    return targets.parse(config.metric, NAMES, SCALES)


def shown_metrics(config: Config) -> tuple[str, ...]:
    """Returns the metrics of the tables."""
    wanted = [name for target in goals(config) for name in target.maps]
    return tuple(dict.fromkeys((*wanted, *PAPER.metrics)))


def published(config: Config) -> tuple[str, dict[str, str]]:
    """Returns the table of the published numbers and the first generator's row in it."""
    row = {"siib,haspi,estoi": "MetricGAN-OKD v1"}.get(config.metric.replace(" ", ""), "")
    return "Listening enhancement", {f"{goals(config)[0].name} generator best on {config.select}": row}


def build(config: Config) -> tuple[list[keras.Model], keras.Model]:
    """Builds the generators and the discriminator."""
    count = len(goals(config))
    generators = [nele_gan.generator(name=f"listening_generator_{number + 1}") for number in range(count)]
    return generators, nele_gan.discriminator(count)


def reader(config: Config) -> ListeningReader:
    """Returns what reads pairs as speech and noise at the task's levels."""
    training, test = _levels(config.training_levels), _levels(config.test_levels)
    return ListeningReader({"train": training, "validation": training, "test": test})


def sampler(config: Config, manifest: Manifest) -> ListeningSampler:
    """Returns what draws the examples."""
    return ListeningSampler.of(manifest, config.utterances_per_epoch, config.seed, config.history_share)


def selection(config: Config) -> Selection:
    """Returns what is evaluated and kept."""
    return Selection((config.select,), kept=(f"best on {config.select}",), prepare=metric_gan.limited)


def fit(config: Config, manifest: Manifest, run) -> dict[str, ListeningEnhancer]:
    """Trains and returns each generator's enhancer."""
    generators, discriminator = build(config)
    players = ListeningSteps(
        generators,
        discriminator,
        [TorchAdam(config.generator_learning_rate) for _ in generators],
        TorchAdam(config.discriminator_learning_rate),
        alpha=config.alpha,
        distillation=config.distillation,
        clip_norm=config.clip_norm,
        target_score=config.target_score,
    )
    trainer = ListeningTrainer(
        players,
        BandGainFrontEnd(config.noise_smoothing),
        reader(config),
        manifest,
        targets.Scorer(run.pool, goals(config), (), audio.SAMPLE_RATE),
        sampler(config, manifest),
        schedule(config),
        selection(config),
        run,
    )
    trainer.fit()
    return trainer.systems(
        {"recipe": "metricgan_okd_listening", "metric": config.metric, "seed": config.seed}
    )


def estimate(config: Config, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    plans = sampler(config, manifest), schedule(config), selection(config), manifest
    return Plan(*metric_gan.plan(ListeningSteps, *plans, SECONDS_PER_STEP, len(goals(config))))


SECONDS_PER_STEP = 0.1  # of a discriminator step for a second of audio on two cores
