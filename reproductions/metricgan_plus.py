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
from dataclasses import dataclass

import keras

from keras_segan import audio
from keras_segan.data.manifest import Manifest
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.models import metricgan, metricgan_plus
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd
from keras_segan.recipe import Paper, Plan, require_choices
from keras_segan.training import metric_gan, targets
from keras_segan.training.metric_gan import MetricGANTrainer, Schedule, Selection
from keras_segan.training.metric_gan_steps import CLIP_SCOPES, MetricGANPlusSteps
from keras_segan.training.optimizers import TorchAdam
from keras_segan.training.samplers import MetricGANPlusSampler

PAPER = Paper(
    title="MetricGAN+: An Improved Version of MetricGAN for Speech Enhancement",
    authors="S.-W. Fu, C. Yu, T.-A. Hsieh, P. Plantinga, M. Ravanelli, X. Lu, Y. Tsao",
    venue="Interspeech 2021",
    url="https://arxiv.org/abs/2104.03538",
    metrics=("pesq-wb-lqo", "csig", "cbak", "covl", "stoi"),
)
NAMES = {"pesq": "pesq-wb-lqo"}


@dataclass(frozen=True)
class Config:
    """Settings of one variant; [SB] = SpeechBrain, recipes/Voicebank/enhance/MetricGAN."""

    corpus: str = "voicebank-demand"  # [paper 4.1]
    metric: str = "pesq"  # [SB: target_metric]
    epochs: int = 750  # [SB: number_of_epochs]
    utterances_per_epoch: int = 100  # [SB: number_of_samples]
    history_share: float = 0.2  # [SB: history_portion]
    learning_rate: float = 5e-4  # [SB: generator_lr, discriminator_lr]
    clip_norm: float = 5.0  # [SB: max_grad_norm]
    clip_scope: str = "joint"  # [SB: over all modules] or "separate", each network for itself
    largest_slope: float = 3.5  # [SB: fit_batch] of the learnable sigmoid
    mask_floor: float = 0.05  # [SB: min_mask]
    target_score: float = 1.0  # [SB: compute_objectives]
    mse_weight: float = 0.0  # [SB: mse_weight] of the spectra's squared distance in G's loss
    warm_up_epochs: int = 0  # [ours] first epochs, in which G alone learns the clean spectra
    dropout: float = 0.0  # [SB: EnhancementGenerator]
    causal: bool = False  # [ours] unidirectional, for streaming
    torch_bias: bool = True  # [torch.nn.LSTM] two biases, or Keras's one
    convolution: str = "tiled"  # [ours: equal to rounding, twice as fast on a CPU] or "direct"
    validation_speakers: str = "p226,p287"  # [SB: voicebank_prepare.py]
    select: str = "validation"  # [SB] or "test"
    seed: int = 4234  # [SB: seed]

    def __post_init__(self):
        if min(self.epochs, self.utterances_per_epoch) < 1:
            raise ValueError("epochs and utterances_per_epoch must be at least 1.")
        metric_gan.require_warm_up(self)
        choices = {
            "clip_scope": CLIP_SCOPES,
            "convolution": metricgan.CONVOLUTION_METHODS,
            "select": ("validation", "test"),
        }
        require_choices(self, choices)


CODE = Config()
PUBLISHED = dataclasses.replace(CODE, epochs=600)  # [paper 4.2]
MINI = dataclasses.replace(CODE, corpus="mini", epochs=8, utterances_per_epoch=8)
VARIANTS = {"code": CODE, "paper": PUBLISHED, "mini": MINI}


def check(config: Config):
    """Raises if the settings cannot work, before anything is written."""
    targets.single(config.metric, NAMES)


def shown_metrics(config: Config) -> tuple[str, ...]:
    """Returns the metrics of the tables."""
    wanted = targets.single(config.metric, NAMES).maps
    return tuple(dict.fromkeys((*(name for name in wanted if name not in PAPER.metrics), *PAPER.metrics)))


def published(config: Config) -> tuple[str, str]:
    """Returns table and row of the published numbers."""
    return "Comparison", {("pesq", False): "MetricGAN+"}.get((config.metric, config.causal), "")


def build(config: Config) -> tuple[keras.Model, keras.Model]:
    """Builds generator and discriminator."""
    generator = metricgan_plus.generator(
        dropout=config.dropout, causal=config.causal, torch_bias=config.torch_bias
    )
    return generator, metricgan_plus.discriminator(convolution_method=config.convolution)


def front_end(config: Config) -> SpectralMaskFrontEnd:
    """Builds the signal processing around the generator."""
    return metricgan_plus.front_end(config.mask_floor)


def sampler(config: Config, manifest: Manifest) -> MetricGANPlusSampler:
    """Returns what draws the examples."""
    return MetricGANPlusSampler.of(manifest, config.utterances_per_epoch, config.seed, config.history_share)


def schedule(config: Config) -> Schedule:
    """Returns what an epoch consists of: D, G, evaluation, from the first one on."""
    return Schedule(
        config.epochs,
        ("enhancement", "discriminator", "generator", "evaluation"),
        first_generator_epoch=1,
        quantised=False,
        to_int16=audio.to_saturated_int16,
        warm_up_epochs=config.warm_up_epochs,
    )


def selection(config: Config) -> Selection:
    """Returns what is evaluated and kept."""
    return Selection((config.select,), kept=(f"best on {config.select}", "last"), prepare=metric_gan.limited)


def fit(config: Config, manifest: Manifest, run) -> dict[str, Enhancer]:
    """Trains and returns the enhancers: best on validation, last epoch."""
    manifest = manifest.with_validation(config.validation_speakers.split(","))
    players = MetricGANPlusSteps(
        *build(config),
        TorchAdam(config.learning_rate),
        TorchAdam(config.learning_rate),
        config.mask_floor,
        config.clip_norm,
        config.clip_scope,
        config.largest_slope,
        config.target_score,
        config.mse_weight,
    )
    target = targets.single(config.metric, NAMES)
    scorer = targets.Scorer(run.pool, (target,), ("pesq-wb-lqo", "stoi"), audio.SAMPLE_RATE)
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
    return trainer.systems({"recipe": "metricgan_plus", "metric": scorer.chosen_by, "seed": config.seed})


def estimate(config: Config, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    manifest = manifest.with_validation(config.validation_speakers.split(","))
    plans = sampler(config, manifest), schedule(config), selection(config), manifest
    return Plan(*metric_gan.plan(MetricGANPlusSteps, *plans, SECONDS_PER_STEP))


SECONDS_PER_STEP = 0.06  # of a discriminator step for a second of audio on two cores
