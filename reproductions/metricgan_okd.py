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
from dataclasses import dataclass

import keras

from keras_segan import audio
from keras_segan.data.manifest import Manifest
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.models import metricgan_okd, metricgan_plus
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd
from keras_segan.recipe import Paper, Plan, require_choices
from keras_segan.training import metric_gan, targets
from keras_segan.training.metric_gan import MetricGANTrainer, Schedule, Selection
from keras_segan.training.metric_gan_steps import DISTILLATIONS, OKDSteps
from keras_segan.training.optimizers import TorchAdam
from keras_segan.training.samplers import OKDSampler

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


@dataclass(frozen=True)
class Config:
    """Settings of one variant; sources in brackets, [SE] = the authors' program, folder SE."""

    corpus: str = "voicebank-demand"  # [paper, section 4]
    metric: str = "pesq,csig"  # [SE: target metrics] a generator for each; "+" averages mapped scores
    causal: bool = False  # [SE: --causal]
    epochs: int = 750  # [SE: epochs]
    utterances_per_epoch: int = 100  # [SE: num_of_sampling]
    history_share: float = 0.2  # [SE: hist_portion]
    first_generator_epoch: int = 2  # [SE: main loop]
    first_evaluated_epoch: int = 600  # [SE: main loop]
    alpha: float = 5.0  # [SE: default; the paper's study finds 10 best] weight of the imitation
    distillation: str = "dml"  # [SE: kd_type] or "mean", "none" [ours]
    learning_rate: float = 5e-4  # [SE]
    clip_norm: float = 5.0  # [SE] of each network
    dropout: float = 0.1  # [SE: LSTM]
    mask_floor: float = 0.05  # [SE]
    target_score: float = 1.0  # [SE]
    torch_bias: bool = True  # [torch.nn.LSTM] two biases, or Keras's one
    validation_speakers: str = "p226,p287"  # [SE: --val_speaker, empty there]
    select: str = "validation"  # [ours] or "test" [SE]: which set chooses each generator's weights, by PESQ
    seed: int = 1  # [SE]

    def __post_init__(self):
        if min(self.epochs, self.utterances_per_epoch) < 1:
            raise ValueError("epochs and utterances_per_epoch must be at least 1.")
        choices = {"distillation": tuple(DISTILLATIONS), "select": ("validation", "test")}
        require_choices(self, choices)


CODE = Config()
PUBLISHED = dataclasses.replace(CODE, alpha=10.0)  # [paper, study of alpha]
MINI = dataclasses.replace(CODE, corpus="mini", epochs=5, utterances_per_epoch=4, first_evaluated_epoch=1)
VARIANTS = {"code": CODE, "paper": PUBLISHED, "mini": MINI}


def check(config: Config):
    """Raises if the settings cannot work, before anything is written."""
    goals(config)


def goals(config: Config) -> tuple[targets.Target, ...]:
    """Returns what the generators aim at, one each."""
    return targets.parse(config.metric, NAMES, SCALES)


def shown_metrics(config: Config) -> tuple[str, ...]:
    """Returns the metrics of the tables."""
    wanted = [name for target in goals(config) for name in target.maps]
    return tuple(dict.fromkeys((*(name for name in wanted if name not in PAPER.metrics), *PAPER.metrics)))


def published(config: Config) -> tuple[str, dict[str, str]]:
    """Returns the table of the published numbers and the first generator's row in it."""
    first = f"{goals(config)[0].name} generator best on {config.select}"
    return "README", {first: ROWS.get((config.metric.replace(" ", ""), config.causal), "")}


def build(config: Config) -> tuple[list[keras.Model], keras.Model]:
    """Builds the generators and the discriminator."""
    count = len(goals(config))
    generators = [
        metricgan_okd.generator(
            dropout=config.dropout,
            causal=config.causal,
            torch_bias=config.torch_bias,
            name=f"metricgan_okd_generator_{number}",
        )
        for number in range(1, count + 1)
    ]
    return generators, metricgan_okd.discriminator(scores=count)


def front_end(config: Config) -> SpectralMaskFrontEnd:
    """Builds the signal processing around the generators."""
    return metricgan_plus.front_end(config.mask_floor)


def divided(config: Config, manifest: Manifest) -> Manifest:
    """Sets validation speakers apart, if validation chooses the weights."""
    if config.select == "test":
        return manifest
    return manifest.with_validation(config.validation_speakers.split(","))


def sampler(config: Config, manifest: Manifest) -> OKDSampler:
    """Returns what draws the examples."""
    return OKDSampler.of(manifest, config.utterances_per_epoch, config.seed, config.history_share)


def schedule(config: Config) -> Schedule:
    """Returns what an epoch consists of: G from the second one on, evaluation, D."""
    return Schedule(
        config.epochs,
        ("generator", "evaluation", "enhancement", "discriminator"),
        config.first_generator_epoch,
        to_int16=audio.to_saturated_int16,
    )


def selection(config: Config) -> Selection:
    """Returns what is evaluated and kept."""
    return Selection(
        (config.select,),
        config.first_evaluated_epoch,
        kept=(f"best on {config.select}",),
        prepare=lambda waveform: audio.from_int16(audio.to_saturated_int16(waveform)),
    )


def fit(config: Config, manifest: Manifest, run) -> dict[str, Enhancer]:
    """Trains and returns each generator's enhancer."""
    manifest = divided(config, manifest)
    generators, discriminator = build(config)
    players = OKDSteps(
        generators,
        discriminator,
        [TorchAdam(config.learning_rate) for _ in generators],
        TorchAdam(config.learning_rate),
        config.alpha,
        config.distillation,
        config.mask_floor,
        config.clip_norm,
        config.target_score,
    )
    scorer = targets.Scorer(run.pool, goals(config), (PESQ, "stoi"), audio.SAMPLE_RATE, chosen_by=PESQ)
    trainer = MetricGANTrainer(
        players,
        front_end(config),
        UtteranceReader(),
        manifest,
        scorer,
        sampler(config, manifest),
        schedule(config),
        selection(config),
        run,
    )
    trainer.fit()
    return trainer.systems({"recipe": "metricgan_okd", "metric": config.metric, "seed": config.seed})


def estimate(config: Config, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    manifest = divided(config, manifest)
    plans = sampler(config, manifest), schedule(config), selection(config), manifest
    return Plan(*metric_gan.plan(OKDSteps, *plans, SECONDS_PER_STEP, len(goals(config))))


SECONDS_PER_STEP = 0.33  # of a discriminator step for a second of audio on two cores
