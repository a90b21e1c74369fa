"""CP-GAN (Liu, Gong, Liang, Chen, ICASSP 2020): a context pyramid, and a judge of the worst segment.

Data: VoiceBank-DEMAND, 28 speakers. Expected score: unverified (PESQ 2.64 from memory of others). Expected
time: weeks on two CPU cores, days on a GPU. The mini corpus, with narrow networks, takes two minutes.

    kseg reproduce cpgan                        # bundled mini corpus
    kseg reproduce cpgan --data VOICEBANK
    kseg reproduce cpgan --data VOICEBANK --model global   # without the local judge
"""

import dataclasses
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_segan import audio
from keras_segan.data.examples.base import Examples, Transformed
from keras_segan.data.examples.slices import stored_slices
from keras_segan.data.manifest import Manifest
from keras_segan.front_ends import WaveformFrontEnd
from keras_segan.models import cpgan, segan, waveform
from keras_segan.models.base import Enhancer
from keras_segan.reproduction.outcomes import Enhancement
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training.keep import Last
from keras_segan.training.loop import Rounds, Training
from keras_segan.training.losses import cross_entropy, l1
from keras_segan.training.optimizers import OnesRMSprop
from keras_segan.training.player import Player
from keras_segan.training.run_folder import Run
from keras_segan.training.sources import Prefetched, Turns
from keras_segan.training.step import Step
from keras_segan.wiener import WienerFilter

PAPER = Paper(
    title="CP-GAN: Context Pyramid Generative Adversarial Network for Speech Enhancement",
    authors="G. Liu, K. Gong, X. Liang, Z. Chen",
    venue="ICASSP 2020, pp. 6624-6628",
    url="https://doi.org/10.1109/ICASSP40776.2020.9054060",
    metrics=("pesq-wb-lqo", "csig", "cbak", "covl", "stoi"),
)
SYSTEMS = {"cpgan": "CP-GAN", "global": "CP-GAN, global judge alone"}
ALL = "all"
OPEN = "ours, not stated"
TEXT = "paper, through its summary"


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of one variant."""

    corpus: str = setting("voicebank-demand", "corpus of the published table", source="paper", role="neutral")
    model: str = setting(
        "cpgan", "system to train; all: both", source="paper", choices=(*SYSTEMS, ALL), role="row"
    )
    widths: tuple[int, ...] = setting(cpgan.WIDTHS, "channels of the dense blocks", source=TEXT, at_least=1)
    lateral: int = setting(128, "channels of the pyramid", source=TEXT, at_least=1)
    growth: int = setting(32, "channels that a dense convolution adds", source=OPEN, at_least=1)
    depths: tuple[int, ...] = setting(
        segan.DEPTHS, "channels of the global judge", source=f"{OPEN}: SEGAN's", at_least=1
    )
    local_widths: tuple[int, ...] = setting(
        cpgan.LOCAL_WIDTHS, "channels of the local judge", source=TEXT, at_least=1
    )
    kernel: int = setting(31, "length of the convolutions", source=TEXT, unit="samples", at_least=1)
    normalisation: str = setting(
        "virtual", "of the global judge", source=f"{OPEN}: SEGAN's", choices=segan.NORMALISATIONS
    )
    window: int = setting(16384, "window", source=TEXT, unit="samples", at_least=1)
    hop: int = setting(8192, "distance of training windows", source=TEXT, unit="samples", at_least=1)
    overlap: int = setting(4096, "that chunks are cross-faded over", source=OPEN, unit="samples", at_least=0)
    emphasis: float = setting(0.95, "pre-emphasis; 0 for none", source=f"{OPEN}: SEGAN's", at_least=0)
    segments: int = setting(4, "segments of a window", source=OPEN, at_least=1)
    segment_lengths: tuple[int, ...] = setting(
        (2048, 4096, 8192), "lengths, one drawn a batch", source=OPEN, unit="samples", at_least=32
    )
    l1_weight: float = setting(100.0, "weight of the L1 distance", source=f"{OPEN}: SEGAN's", at_least=0)
    learning_rate: float = setting(2e-4, "RMSprop's step size", source=f"{OPEN}: SEGAN's", at_least=0)
    batch: int = setting(50, "windows of an update", source=OPEN, unit="windows", at_least=1)
    epochs: int = setting(86, "epochs", source=f"{OPEN}: SEGAN's", unit="epochs", at_least=1, role="length")

    @property
    def models(self) -> tuple[str, ...]:
        """The systems to train."""
        return tuple(SYSTEMS) if self.model == ALL else (self.model,)

    def check(self):
        """Windows can be halved as often as networks do; segments and overlaps fit into them."""
        for halvings in (len(self.widths), len(self.depths)):
            segan.coded_length(self.window, halvings)
        WaveformFrontEnd(self.window, self.overlap, self.emphasis)
        if max(self.segment_lengths) > self.window:
            raise ValueError(f"segment_lengths must be at most {self.window}, the window.")


PUBLISHED = Settings()
MINI = dataclasses.replace(
    PUBLISHED,
    corpus="mini",
    widths=(4, 4, 8, 16, 32),
    lateral=8,
    growth=4,
    depths=(2, 4, 4, 8, 8, 16, 16, 32, 32, 64, 128),
    local_widths=(4, 8, 12, 16, 32),
    learning_rate=1e-3,
    batch=4,
    epochs=15,
)
VARIANTS = {"paper": PUBLISHED, "mini": MINI}


@dataclass(frozen=True)
class Game:
    """The players and what each of them minimises.

    A batch holds pre-emphasised windows `noisy` and `clean` `(batch, samples)` and, of each window, the
    positions of its segments `(batch, segments, samples of a segment)`.

    Attributes:
        settings: Settings of the variant.
        generator: From `models.cpgan`.
        globally: The global judge.
        locally: The local judge; of the system that has none, `None`.
    """

    settings: Settings
    generator: keras.Model
    globally: keras.Model
    locally: keras.Model | None = None

    def pairs(self, noisy, clean, enhanced) -> list:
        """Returns the real and the enhanced pair, each with the noisy window."""
        noisy = noisy[..., None]
        return [segan.pair(clean[..., None], noisy), segan.pair(enhanced, noisy)]

    def discriminator_loss(self, noisy, clean, positions):
        """-log D(y, x) - log(1 - D(G(x), x)), of the window and, averaged, of its segments."""
        pairs = self.pairs(noisy, clean, self.generator(noisy[..., None], training=True))
        parts = {"global": self.opinions(*self.globally(pairs, training=True))}
        if self.locally is not None:
            judged = [self.locally(cpgan.segments(pair, positions), training=True) for pair in pairs]
            parts["local"] = self.opinions(*judged)
        return sum(parts.values()), parts

    @staticmethod
    def opinions(real, fake):
        """The cross entropies of a judge's logits."""
        return cross_entropy(real, 1.0) + cross_entropy(fake, 0.0)

    def generator_loss(self, noisy, clean, positions):
        """-log D(G(x), x) - log min_i p(G(x)_i, x_i) + 100 |G(x) - y|: only the worst segment counts."""
        enhanced = self.generator(noisy[..., None], training=True)
        pairs = self.pairs(noisy, clean, enhanced)
        parts = {"global": cross_entropy(self.globally(pairs, training=True)[1], 1.0)}
        if self.locally is not None:
            parts["local"] = self.worst_segment(pairs[1], positions)
        parts["l1"] = self.settings.l1_weight * l1(enhanced, clean[..., None])
        return sum(parts.values()), parts

    def worst_segment(self, pairs, positions):
        """-log min_i p_i, averaged over windows; the logarithm of a sigmoid falls with its logit."""
        logits = self.locally(cpgan.segments(pairs, positions), training=True)
        least = ops.min(ops.reshape(logits, (-1, ops.shape(positions)[1])), axis=1)
        return cross_entropy(least, 1.0)

    def players(self) -> list[Player]:
        """The judges, and the generator."""
        judges = [self.globally] if self.locally is None else [self.globally, self.locally]
        optimizers = [OnesRMSprop(self.settings.learning_rate) for _ in range(2)]
        prefix = "" if self.locally is not None else "global_"
        return [
            Player(f"{prefix}d", tuple(judges), optimizers[0], self.discriminator_loss),
            Player(f"{prefix}g", (self.generator,), optimizers[1], self.generator_loss),
        ]


def steps(games: list[Game]) -> dict[str, Step]:
    """Compiles a step of all judges and one of all generators."""
    shape = (None, games[0].settings.window)
    shapes = {"noisy": shape, "clean": shape, "positions": (None, games[0].settings.segments, None)}
    judges, generators = zip(*(game.players() for game in games), strict=True)
    networks = [network for player in (*judges, *generators) for network in player.networks]
    return {
        name: Step(players, shapes, networks)
        for name, players in (("discriminator", judges), ("generator", generators))
    }


def build(settings: Settings) -> tuple[keras.Model, keras.Model, keras.Model]:
    """Builds the generator, the global and the local judge."""
    sizes = (settings.kernel, settings.window)
    return (
        cpgan.generator(settings.widths, settings.lateral, settings.growth, *sizes),
        cpgan.global_discriminator(settings.depths, *sizes, settings.normalisation),
        cpgan.local_discriminator(settings.local_widths, settings.kernel),
    )


def game(settings: Settings, model: str) -> Game:
    """Builds one of the systems; all start from the same generator."""
    keras.utils.set_random_seed(settings.seed)
    if model == "cpgan":
        return Game(settings, *build(settings))
    sizes = (settings.kernel, settings.window)
    generator = cpgan.generator(
        settings.widths, settings.lateral, settings.growth, *sizes, name="global_generator"
    )
    judge = cpgan.global_discriminator(
        settings.depths, *sizes, settings.normalisation, name="global_judge_alone"
    )
    return Game(settings, generator, judge)


def front_end(settings: Settings) -> WaveformFrontEnd:
    """Builds the signal processing around the generator."""
    return WaveformFrontEnd(settings.window, settings.overlap, settings.emphasis)


def positions(settings: Settings, number: int) -> np.ndarray:
    """Draws the segments of a batch: one length, and where each begins, `(batch, segments, samples)`."""
    random = np.random.default_rng((settings.seed, number))
    length = int(random.choice(settings.segment_lengths))
    shape = (settings.batch, settings.segments, 1)
    first = random.integers(0, settings.window - length, shape, endpoint=True)
    return first + np.arange(length)


def source(settings: Settings, windows: Examples, rounds: Rounds, names: tuple[str, ...]) -> Prefetched:
    """Returns the batches; judges and generators draw one each, as in SEGAN."""

    def extra(number: int) -> dict[str, np.ndarray]:
        return {"positions": positions(settings, number)}

    return Prefetched(Turns(windows, settings.batch, settings.seed, rounds, names, extra))


def fit(settings: Settings, manifest: Manifest, run: Run) -> dict[str, Enhancer | WienerFilter]:
    """Trains and returns the systems with their last weights, and the Wiener filter."""
    stored = stored_slices(manifest.training(), run.path("features/slices"), settings.window, settings.hop)
    run.say(stored.counted(least=settings.batch))
    games = {model: game(settings, model) for model in settings.models}
    moves = steps(list(games.values()))
    rounds = Rounds(settings.epochs)
    windows = Transformed(stored, front_end(settings).to_network)
    Training(moves, source(settings, windows, rounds, tuple(moves)), rounds, run, Last()).fit()
    stored.remove()
    facts = {"recipe": "cpgan", "seed": settings.seed, "epoch": settings.epochs}
    trained = {
        SYSTEMS[model]: waveform.enhancer(
            each.generator, front_end(settings), {**facts, "system": SYSTEMS[model]}
        )
        for model, each in games.items()
    }
    return {**trained, "Wiener": WienerFilter()}


# Measured on two cores, in an iteration with the published widths.
SECONDS_PER_WINDOW = 3.0
CHECKPOINT_BYTES = 700_000_000  # of two checkpoints and the model


def plan(settings: Settings, manifest: Manifest) -> Plan:
    """Counts iterations and estimates time and disk space."""
    train, samples = manifest.split("train"), manifest.mean_seconds() * audio.SAMPLE_RATE
    windows = int(len(train) * max(0, (samples - settings.window) / settings.hop + 0.5))
    iterations = windows // settings.batch * settings.epochs
    scored = len(manifest.split("test")) * (2 + len(settings.models))
    width = np.prod([ours / theirs for ours, theirs in ((settings.lateral, 128), (settings.widths[-1], 512))])
    seconds = iterations * settings.batch * SECONDS_PER_WINDOW * max(width, 0.02) * len(settings.models)
    return Plan(
        {"windows": windows, "iterations": iterations, "scored utterances": scored},
        seconds + scored,
        int(8 * samples * len(train) + CHECKPOINT_BYTES * width * len(settings.models)),
    )


def outcome(settings: Settings) -> Enhancement:
    """Says what a run ends in: the paper's table, whose values nobody here has seen."""
    narrow = () if settings.widths == cpgan.WIDTHS else (f"Networks of {settings.widths} channels.",)
    return Enhancement(table="Table", metrics=PAPER.metrics, statements=narrow)
