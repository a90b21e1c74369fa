"""MetricGAN (Fu, Liao, Tsao, Lin, ICML 2019): a GAN whose discriminator learns PESQ or STOI.

Data: VoiceBank-DEMAND for the paper's Table 2, TIMIT with ten noises for its Table 1.
Expected score: PESQ 2.86 (wide-band) on the 824 test files of VoiceBank-DEMAND after 600 epochs.
Expected time: one discriminator step takes about 0.3 s for 2 s of audio on two CPU cores; the full
schedule has 3,954,000 of them. The mini variant takes a few minutes.

    kseg reproduce metricgan --metric pesq                       # bundled mini corpus
    kseg reproduce metricgan --metric pesq --data VOICEBANK      # Table 2
    kseg reproduce metricgan --metric stoi --data TIMIT          # Table 1
"""

from dataclasses import dataclass

import keras

from keras_segan import audio
from keras_segan.data.manifest import Manifest
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.layers import recurrent, spectral_norm
from keras_segan.models import metricgan
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd
from keras_segan.recipe import Paper, Plan, require_choices
from keras_segan.training import metric_gan, targets
from keras_segan.training.metric_gan import MetricGANTrainer, Schedule, Selection
from keras_segan.training.metric_gan_steps import MetricGANSteps
from keras_segan.training.optimizers import Adam
from keras_segan.training.samplers import MetricGANSampler

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
    convolution: str = "tiled"  # [ours: equal to rounding, 3 to 5 times as fast on a CPU] or "direct"
    recurrence: str = (
        "auto"  # [ours: "compiled" is equal to rounding and several times as fast on a CPU] or "keras"
    )
    batch_size: int = 1  # [batch_size=1] more is for GPUs
    mse_weight: float = 0.0  # [ours] weight of the spectra's squared distance in G's loss
    warm_up_epochs: int = 0  # [ours] first epochs, in which G alone learns the clean spectra
    seed: int = 999  # [random.seed(999)]

    def __post_init__(self):
        if min(self.epochs, self.utterances_per_epoch, self.batch_size) < 1:
            raise ValueError("epochs, utterances_per_epoch and batch_size must be at least 1.")
        metric_gan.require_warm_up(self)
        choices = {
            "layout": metricgan.LAYOUTS,
            "convolution": metricgan.CONVOLUTION_METHODS,
            "recurrence": recurrent.RECURRENCES,
            "spectral_norm": spectral_norm.MODES,
        }
        require_choices(self, choices)


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


def check(config: Config):
    """Raises if the settings cannot work, before anything is written."""
    target(config)


def target(config: Config) -> targets.Target:
    """Returns what the discriminator learns: the metric, mapped to [0, 1]."""
    only = targets.single(config.metric, {"pesq": config.pesq})
    if config.metric != "pesq" or config.pesq_decimals < 0:
        return only
    to_unit = only.maps[config.pesq]
    # MetricGAN.py reads the last five characters of what the ITU program prints: 3 decimals, no sign.
    rounded = {config.pesq: lambda score: to_unit(abs(round(score, config.pesq_decimals)))}
    return targets.Target(only.name, rounded)


def shown_metrics(config: Config) -> tuple[str, ...]:
    """Returns the metrics of the tables, with the variant's kind of PESQ."""
    own = PAPER.metrics if config.pesq == "pesq-wb-lqo" else (config.pesq, "stoi")
    wanted = tuple(target(config).maps)
    return tuple(dict.fromkeys((*(name for name in wanted if name not in own), *own)))


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


def sampler(config: Config, manifest: Manifest) -> MetricGANSampler:
    """Returns what draws the examples."""
    return MetricGANSampler.of(
        manifest, config.utterances_per_epoch, config.seed, config.history_divisor, config.prefetch
    )


def schedule(config: Config) -> Schedule:
    """Returns what an epoch consists of: G from the second one on, evaluation, D."""
    return Schedule(
        config.epochs,
        ("generator", "enhancement", "evaluation", "discriminator"),
        config.first_generator_epoch,
        config.clean_score,
        batch_size=config.batch_size,
        warm_up_epochs=config.warm_up_epochs,
    )


def fit(config: Config, manifest: Manifest, run) -> dict[str, Enhancer]:
    """Trains and returns the enhancers: last epoch, best on validation, best on test."""

    def adam():
        return Adam(config.learning_rate, config.adam_beta_1, config.adam_beta_2, epsilon=config.adam_epsilon)

    players = MetricGANSteps(
        *build(config),
        adam(),
        adam(),
        config.mask_floor,
        config.target_score,
        config.layout,
        config.mse_weight,
    )
    scorer = targets.Scorer(run.pool, (target(config),), (config.pesq, "stoi"), audio.SAMPLE_RATE)
    trainer = MetricGANTrainer(
        players,
        front_end(config),
        UtteranceReader(config.int16_divisor),
        manifest,
        scorer,
        sampler(config, manifest),
        schedule(config),
        Selection(validation_limit=config.validation_limit),
        run,
    )
    trainer.fit()
    return trainer.systems({"recipe": "metricgan", "metric": scorer.chosen_by, "seed": config.seed})


def estimate(config: Config, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    selection = Selection(validation_limit=config.validation_limit)
    plans = sampler(config, manifest), schedule(config), selection, manifest
    return Plan(*metric_gan.plan(MetricGANSteps, *plans, SECONDS_PER_STEP))


SECONDS_PER_STEP = 0.16  # of a discriminator step for a second of audio on two cores
