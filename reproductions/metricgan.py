"""MetricGAN (Fu, Liao, Tsao, Lin, ICML 2019): a GAN whose discriminator learns PESQ or STOI.

Data: VoiceBank-DEMAND for the paper's Table 2, TIMIT with ten noises for its Table 1.
Expected score: PESQ 2.86 (wide-band) on the 824 test files of VoiceBank-DEMAND after 600 epochs.
Expected time: one discriminator step takes about 0.55 s for 2 s of audio on two CPU cores; the full
schedule has 3,954,000 of them. The mini variant takes a few minutes.

    kseg reproduce metricgan --metric pesq                       # bundled mini corpus
    kseg reproduce metricgan --metric pesq --data VOICEBANK      # Table 2
    kseg reproduce metricgan --metric stoi --data TIMIT          # Table 1
"""

from dataclasses import dataclass

import keras

from keras_segan import audio, metrics
from keras_segan.data.manifest import Manifest
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.errors import DataError, MetricError
from keras_segan.layers import recurrent, spectral_norm
from keras_segan.metrics import scale
from keras_segan.models import metricgan
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd
from keras_segan.recipe import Paper, Plan
from keras_segan.training.metric_gan import (
    ENHANCING_COST,
    GENERATOR_COST,
    MetricGANSteps,
    MetricGANTrainer,
    Schedule,
    Scorer,
)

PAPER = Paper(
    title="MetricGAN: Generative Adversarial Networks based Black-box Metric Scores Optimization "
    "for Speech Enhancement",
    authors="S.-W. Fu, C.-F. Liao, Y. Tsao, S.-D. Lin",
    venue="ICML 2019",
    url="https://arxiv.org/abs/1905.04874",
    metrics=("pesq-wb-lqo", "csig", "cbak", "covl", "ssnr", "stoi"),
)


@dataclass(frozen=True)
class Config:
    """Settings of one variant; sources in brackets, [T1] = MetricGAN.py, [T2] = MetricGAN(tableII).py."""

    corpus: str = "voicebank-demand"  # [paper 4.3, T2]
    metric: str = (
        "pesq"  # [T1, T2: TargetMetric] "pesq", "stoi", a registered metric or module:function@lo..hi
    )
    pesq: str = "pesq-wb-lqo"  # [T2: pesq(..., 'wb')] what "pesq" means
    pesq_decimals: int = -1  # [T1: the ITU program prints 3] decimals of the label's raw score, -1 = all
    epochs: int = 600  # [T2: GAN_epoch]
    utterances_per_epoch: int = 100  # [num_of_sampling]
    validation_limit: int = 1_000_000  # [T2: the whole list]
    learning_rate: float = 1e-3  # [optimizer='adam', Keras 2.0.9]
    adam_beta_1: float = 0.9  # [Keras 2.0.9]
    adam_beta_2: float = 0.999  # [Keras 2.0.9]
    adam_epsilon: float = 1e-8  # [Keras 2.0.9; Keras 3 would take 1e-7]
    dropout: float = 0.05  # [de_model]
    mask_floor: float = 0.05  # [mask_min]
    target_score: float = 1.0  # [Target_score; s in equation 5]
    clean_score: float = 1.0  # [Corresponding_clean_list: '1.00,']
    history_divisor: int = 10  # [len(Previous_Discriminator_training_list)/10]
    first_generator_epoch: int = 2  # [if gan_epoch>=2]
    prefetch: int = 1  # [max_queue_size=1] items a generator queue draws beyond the steps
    compression: str = "log1p"  # [T2: Sp_and_phase]
    int16_divisor: float = 32767.0  # [T2: maxv]
    layout: str = "legacy"  # [reshape((1,257,T,1))] or "transpose"
    spectral_norm: str = "keras2"  # [SpectralNormalizationKeras.py] or "miyato"
    convolution: str = "tiled"  # [ours: equal to rounding, three times as fast on a CPU] or "direct"
    recurrence: str = (
        "auto"  # [ours: "compiled" is equal to rounding and several times as fast on a CPU] or "keras"
    )
    batch_size: int = 1  # [batch_size=1] more is for GPUs
    seed: int = 999  # [random.seed(999)]

    def __post_init__(self):
        if min(self.epochs, self.utterances_per_epoch, self.batch_size) < 1:
            raise ValueError("epochs, utterances_per_epoch and batch_size must be at least 1.")
        choices = {
            "layout": metricgan.LAYOUTS,
            "convolution": metricgan.CONVOLUTION_METHODS,
            "recurrence": recurrent.RECURRENCES,
            "spectral_norm": spectral_norm.MODES,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not '{getattr(self, name)}'.")


TABLE_2 = Config()
TABLE_1 = Config(
    corpus="metricgan-timit",
    pesq="pesq-nb-raw",
    pesq_decimals=3,
    epochs=200,
    validation_limit=1000,
    compression="none",
    int16_divisor=32768.0,
)
MINI = Config(corpus="mini", epochs=6, utterances_per_epoch=6)
VARIANTS = {"table2": TABLE_2, "table1": TABLE_1, "mini": MINI}


def target_metric(config: Config) -> metrics.Metric:
    """Returns the metric that is optimised; "pesq" is the variant's own kind of PESQ."""
    return metrics.get(config.pesq if config.metric == "pesq" else config.metric)


def check(config: Config):
    """Raises if the settings cannot work, before anything is written."""
    label(config)


def label(config: Config):
    """Returns the function from the target metric's raw score to the discriminator's label in [0, 1]."""
    target = target_metric(config)
    if not target.default_scale:
        raise MetricError(
            f"'{target.name}' cannot be a target: its range has no end, so it has no map to [0, 1].",
            exit_code=2,
        )
    to_unit = scale.get(target.default_scale)

    def score_to_label(score: float) -> float:
        if config.metric == "pesq" and config.pesq_decimals >= 0:
            # MetricGAN.py reads the last five characters of what the ITU program prints: 3 decimals, no sign.
            score = abs(round(score, config.pesq_decimals))
        return to_unit(score)

    return score_to_label


def shown_metrics(config: Config) -> tuple[str, ...]:
    """Returns the metrics of the tables, with the variant's kind of PESQ."""
    own = PAPER.metrics if config.pesq == "pesq-wb-lqo" else (config.pesq, "stoi")
    target = target_metric(config).definition
    return own if target in own else (target, *own)


def published(config: Config) -> tuple[str, str]:
    """Returns table and row of the published numbers."""
    table = "Table 1" if config.corpus == TABLE_1.corpus else "Table 2"
    return table, {"pesq": "MetricGAN (P)", "stoi": "MetricGAN (S)"}.get(config.metric, "")


def build(config: Config) -> tuple[keras.Model, keras.Model]:
    """Builds generator and discriminator."""
    generator = metricgan.generator(dropout=config.dropout, recurrence=config.recurrence)
    discriminator = metricgan.discriminator(
        spectral_norm=config.spectral_norm, convolution_method=config.convolution
    )
    return generator, discriminator


def front_end(config: Config) -> SpectralMaskFrontEnd:
    """Builds the signal processing around the generator."""
    return SpectralMaskFrontEnd(compression=config.compression, mask_floor=config.mask_floor)


def schedule(config: Config) -> Schedule:
    """Returns what an epoch holds."""
    return Schedule(
        epochs=config.epochs,
        utterances_per_epoch=config.utterances_per_epoch,
        first_generator_epoch=config.first_generator_epoch,
        clean_score=config.clean_score,
        history_divisor=config.history_divisor,
        prefetch=config.prefetch,
        validation_limit=config.validation_limit,
        batch_size=config.batch_size,
        seed=config.seed,
    )


def fit(config: Config, manifest: Manifest, run) -> dict[str, Enhancer]:
    """Trains and returns the enhancers: last epoch, best on validation, best on test."""
    if not manifest.split("train"):
        raise DataError("The data have no training pairs; MetricGAN cannot be trained on them.")

    def adam():
        return keras.optimizers.Adam(
            config.learning_rate, config.adam_beta_1, config.adam_beta_2, epsilon=config.adam_epsilon
        )

    generator, discriminator = build(config)
    steps = MetricGANSteps(
        generator, discriminator, adam(), adam(), config.mask_floor, config.target_score, config.layout
    )
    target = target_metric(config).definition
    scorer = Scorer(run.pool, target, label(config), (config.pesq, "stoi"), audio.SAMPLE_RATE)
    reader = UtteranceReader(config.int16_divisor)
    trainer = MetricGANTrainer(steps, front_end(config), reader, manifest, scorer, schedule(config), run)
    trainer.fit()
    return trainer.systems({"recipe": "metricgan", "metric": target, "seed": config.seed})


def estimate(config: Config, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    train = len(manifest.split("train"))
    evaluated = min(len(manifest.split("validation")), config.validation_limit) + len(manifest.split("test"))
    sampled = min(config.utterances_per_epoch, train)
    plan = schedule(config)
    discriminator = sum(plan.discriminator_samples(epoch, train) for epoch in range(1, config.epochs + 1))
    generator = sampled * max(config.epochs - config.first_generator_epoch + 1, 0)
    enhanced = (sampled + evaluated) * config.epochs
    steps = {
        "generator steps": -(-generator // config.batch_size),
        "discriminator steps": -(-discriminator // config.batch_size),
        "enhanced and scored utterances": enhanced,
    }
    seconds = manifest.mean_seconds()
    cost = SECONDS_PER_STEP * (discriminator + GENERATOR_COST * generator + ENHANCING_COST * enhanced)
    wav_bytes = int(2 * audio.SAMPLE_RATE * seconds) + 44
    return Plan(steps, cost * seconds, CHECKPOINT_BYTES + wav_bytes * sampled * config.epochs)


SECONDS_PER_STEP = 0.28  # of a discriminator step for a second of audio on two cores
CHECKPOINT_BYTES = 150_000_000  # two checkpoints and the saved models
