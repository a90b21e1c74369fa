"""SEGAN (Pascual, Bonafonte, Serrà, Interspeech 2017): speech enhancement on the waveform by a GAN.

Data: VoiceBank-DEMAND, 28 speakers. Expected score: PESQ 2.16 (wide-band), SSNR 7.73 dB on the 824 test files
after 86 epochs. Expected time: weeks on two CPU cores, where an iteration with 10 windows takes seconds; a
day on a GPU. The mini corpus, with narrow networks, takes a minute and a half.

    kseg reproduce segan                                    # bundled mini corpus
    kseg reproduce segan --data VOICEBANK                   # as the released program
    kseg reproduce segan --data VOICEBANK --variant paper   # factors 1/2, batch of 400
    kseg reproduce segan --data VOICEBANK --variant l1      # its generator without a discriminator
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from keras_segan import audio
from keras_segan.data.examples.base import Examples, Transformed
from keras_segan.data.examples.slices import stored_slices
from keras_segan.data.manifest import Manifest
from keras_segan.front_ends import WaveformFrontEnd
from keras_segan.models import segan, waveform
from keras_segan.models.base import Enhancer
from keras_segan.reproduction.outcomes import Enhancement
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training.keep import Last
from keras_segan.training.loop import Rounds, Training
from keras_segan.training.losses import l1, least_squares
from keras_segan.training.optimizers import OnesRMSprop
from keras_segan.training.player import Player
from keras_segan.training.run_folder import Run
from keras_segan.training.sources import Prefetched, Turns
from keras_segan.training.step import Step
from keras_segan.wiener import WienerFilter

PAPER = Paper(
    title="SEGAN: Speech Enhancement Generative Adversarial Network",
    authors="S. Pascual, A. Bonafonte, J. Serrà",
    venue="Interspeech 2017, pp. 3642-3646",
    url="https://arxiv.org/abs/1703.09452",
    metrics=("pesq-wb-lqo", "csig", "cbak", "covl", "ssnr"),
)
SYSTEMS = {"segan": "SEGAN", "l1": "L1 alone"}  # rows of the table
ALL = "all"
CODE_LINE = "train_segan.sh"


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of one variant."""

    corpus: str = setting("voicebank-demand", "corpus of the published table", source="paper", role="neutral")
    model: str = setting(
        "segan", "system to train; all: both", source="paper", choices=(*SYSTEMS, ALL), role="row"
    )
    depths: tuple[int, ...] = setting(
        segan.DEPTHS, "channels of the encoder and of D", source="model.py: g_enc_depths", at_least=1
    )
    kernel: int = setting(31, "length of the convolutions", source="paper", unit="samples", at_least=1)
    window: int = setting(16384, "window", source=f"{CODE_LINE}: canvas_size", unit="samples", at_least=1)
    hop: int = setting(
        8192, "distance of training windows", source="make_tfrecords.py", unit="samples", at_least=1
    )
    keep_tails: bool = setting(
        False, "whether ends of utterances make windows of their own", source="make_tfrecords.py: dropped"
    )
    overlap: int = setting(
        0, "that chunks are cross-faded over", source="model.py, clean: none", unit="samples", at_least=0
    )
    emphasis: float = setting(0.95, "pre-emphasis; 0 for none", source=f"{CODE_LINE}: preemph", at_least=0)
    bias: bool = setting(True, "biases of the convolutions", source=f"{CODE_LINE}: bias_*conv")
    normalisation: str = setting(
        "virtual",
        "of D, by the real pairs or batch by batch",
        source="bnorm.py",
        choices=segan.NORMALISATIONS,
    )
    adversarial_factor: float = setting(
        1.0, "of the squared distances of D's scores", source="model.py; paper: 1/2", at_least=0
    )
    l1_weight: float = setting(100.0, "weight of the L1 distance", source="paper", at_least=0)
    l1_until: int | None = setting(
        150, "epoch from which the weight is 0", source="model.py: l1_remove_epoch", unit="epochs", at_least=0
    )
    l1_decay: float = setting(
        0.0, "that the weight loses per iteration", source="none; segan_pytorch: 1e-5", at_least=0
    )
    l1_decay_from: int = setting(
        100, "epoch from which it does", source="segan_pytorch", unit="epochs", at_least=0
    )
    learning_rate: float = setting(
        2e-4, "RMSprop's step size", source=f"{CODE_LINE}: *_learning_rate", at_least=0
    )
    batch: int = setting(
        100, "windows for each device", source=f"{CODE_LINE}: batch_size", unit="windows", at_least=2
    )
    devices: int = setting(
        3,
        "parts of a batch with moments of their own",
        source=f"{CODE_LINE}: CUDA_VISIBLE_DEVICES",
        at_least=1,
    )
    own_batches: bool = setting(True, "whether D and G draw a batch each", source="model.py, train")
    epochs: int = setting(
        86, "epochs", source=f"{CODE_LINE}: epoch", unit="epochs", at_least=1, role="length"
    )
    seed: int = setting(
        111, "seed", source="main.py: seed, for NumPy only", role="neutral", at_least=0, at_most=2**32 - 1
    )

    @property
    def models(self) -> tuple[str, ...]:
        """The systems to train."""
        return tuple(SYSTEMS) if self.model == ALL else (self.model,)

    @property
    def all_windows(self) -> int:
        """Windows of an update."""
        return self.batch * self.devices

    def check(self):
        """The window can be halved as often as there are layers, and chunks overlap by half at most."""
        segan.coded_length(self.window, len(self.depths))
        WaveformFrontEnd(self.window, self.overlap)


CODE = Settings()
PUBLISHED = dataclasses.replace(CODE, adversarial_factor=0.5, batch=400, devices=1, l1_until=None)
NARROW = (2, 4, 4, 8, 8, 16, 16, 32, 32, 64, 128)
MINI = dataclasses.replace(
    CODE,
    corpus="mini",
    model=ALL,
    depths=NARROW,
    learning_rate=1e-3,
    batch=4,
    devices=1,
    epochs=30,
    overlap=4096,
)
VARIANTS = {
    "code": CODE,
    "paper": PUBLISHED,
    "l1": dataclasses.replace(CODE, model="l1"),
    "mini": MINI,
}
ADAPTED = {"l1": "code"}


@dataclass(frozen=True)
class Game:
    """The players and what each of them minimises.

    A batch holds pre-emphasised windows `noisy` and `clean` `(batch, samples)`, `latent` noise
    `(batch, positions, channels)` and the scalar `l1_weight`.

    Attributes:
        settings: Settings of the variant.
        generator: From `models.segan`.
        discriminator: Likewise; of the system that has none, `None`.
    """

    settings: Settings
    generator: keras.Model
    discriminator: keras.Model | None = None

    def enhanced(self, noisy, latent):
        """G(z, x_c) `(batch, samples, 1)`."""
        return self.generator([noisy[..., None], latent], training=True)

    def scores(self, clean, enhanced, noisy):
        """D(x, x_c) of the real pair and D(G(z, x_c), x_c)."""
        noisy = noisy[..., None]
        pairs = [segan.pair(clean[..., None], noisy), segan.pair(enhanced, noisy)]
        return self.discriminator(pairs, training=True)

    def discriminator_loss(self, noisy, clean, latent):
        """Equation 3: 1/2 (D(x, x_c) - 1)^2 + 1/2 D(G(z, x_c), x_c)^2; the program has no 1/2."""
        real, fake = self.scores(clean, self.enhanced(noisy, latent), noisy)
        factor = self.settings.adversarial_factor
        parts = {"real": factor * least_squares(real, 1.0), "fake": factor * least_squares(fake, 0.0)}
        return parts["real"] + parts["fake"], parts

    def generator_loss(self, noisy, clean, latent, l1_weight):
        """Equation 5: 1/2 (D(G(z, x_c), x_c) - 1)^2 + 100 |G(z, x_c) - x|, the program's |.| being a mean."""
        enhanced = self.enhanced(noisy, latent)
        _, fake = self.scores(clean, enhanced, noisy)
        adversarial = self.settings.adversarial_factor * least_squares(fake, 1.0)
        distance = l1_weight * l1(enhanced, clean[..., None])
        return adversarial + distance, {"adversarial": adversarial, "l1": distance}

    def distance(self, noisy, clean, latent, l1_weight):
        """The second term alone."""
        return l1_weight * l1(self.enhanced(noisy, latent), clean[..., None])

    def players(self) -> dict[str, Player]:
        """Returns them by the step that they move in."""
        optimizers = [OnesRMSprop(self.settings.learning_rate) for _ in range(2)]
        if self.discriminator is None:
            return {"generator": Player("l1", (self.generator,), optimizers[0], self.distance)}
        return {
            "discriminator": Player("d", (self.discriminator,), optimizers[0], self.discriminator_loss),
            "generator": Player("g", (self.generator,), optimizers[1], self.generator_loss),
        }


def steps(games: list[Game]) -> dict[str, Step]:
    """Compiles a step of all discriminators and one of all generators."""
    _, window, _ = games[0].generator.inputs[0].shape
    shapes = {"noisy": (None, window), "clean": (None, window), "latent": games[0].generator.inputs[1].shape}
    networks = [
        network for game in games for network in (game.generator, game.discriminator) if network is not None
    ]
    moves: dict[str, list[Player]] = {}
    for game in games:
        for name, player in game.players().items():
            moves.setdefault(name, []).append(player)
    arrays = {"discriminator": shapes, "generator": {**shapes, "l1_weight": ()}}
    return {name: Step(moves[name], arrays[name], networks) for name in arrays if name in moves}


def build(settings: Settings) -> tuple[keras.Model, keras.Model]:
    """Builds generator and discriminator."""
    sizes = (settings.depths, settings.kernel, settings.window, settings.bias)
    discriminator = segan.discriminator(*sizes, settings.normalisation, settings.devices)
    return segan.generator(*sizes), discriminator


def game(settings: Settings, model: str) -> Game:
    """Builds one of the systems; all start from the same generator."""
    keras.utils.set_random_seed(settings.seed)
    if model == "segan":
        return Game(settings, *build(settings))
    sizes = (settings.depths, settings.kernel, settings.window, settings.bias)
    return Game(settings, segan.generator(*sizes, name=f"{model}_generator"))


def front_end(settings: Settings) -> WaveformFrontEnd:
    """Builds the signal processing around the generator."""
    return WaveformFrontEnd(settings.window, settings.overlap, settings.emphasis)


def l1_weight(settings: Settings, iteration: int, per_epoch: int) -> float:
    """Returns the weight of the L1 distance in an iteration, counted from 0."""
    if settings.l1_until is not None and iteration >= settings.l1_until * per_epoch:
        return 0.0
    decayed = max(0, iteration - settings.l1_decay_from * per_epoch)
    return max(0.0, settings.l1_weight - settings.l1_decay * decayed)


def source(settings: Settings, windows: Examples, rounds: Rounds, names: tuple[str, ...]) -> Prefetched:
    """Returns the batches: windows, latent noise and the weight of the L1 distance.

    Args:
        settings: The settings.
        windows: Pre-emphasised.
        rounds: How training is divided.
        names: The steps of an iteration.
    """
    latent = (settings.all_windows, segan.coded_length(settings.window, len(settings.depths)))
    per_epoch = windows.per_pass(settings.all_windows)
    turns = len(names) if settings.own_batches else 1

    def extra(number: int) -> dict[str, np.ndarray]:
        random = np.random.default_rng((settings.seed, number))
        weight = l1_weight(settings, number // turns, per_epoch)
        noise = random.standard_normal((*latent, settings.depths[-1]), np.float32)
        return {"latent": noise, "l1_weight": np.float32(weight)}

    shared = not settings.own_batches
    return Prefetched(Turns(windows, settings.all_windows, settings.seed, rounds, names, extra, shared))


def fit(settings: Settings, manifest: Manifest, run: Run) -> dict[str, Enhancer | WienerFilter]:
    """Trains and returns the systems with their last weights, as the program does, and the Wiener filter."""
    folder = run.path("features/slices")
    stored = stored_slices(manifest.training(), folder, settings.window, settings.hop, settings.keep_tails)
    run.say(stored.counted(least=settings.all_windows))
    games = {model: game(settings, model) for model in settings.models}
    moves = steps(list(games.values()))
    rounds = Rounds(settings.epochs)
    windows = Transformed(stored, front_end(settings).to_network)
    Training(moves, source(settings, windows, rounds, tuple(moves)), rounds, run, Last()).fit()
    stored.remove()
    facts = {"recipe": "segan", "seed": settings.seed, "epoch": settings.epochs, "slices": len(stored)}
    trained = {
        SYSTEMS[model]: waveform.enhancer(
            each.generator, front_end(settings), {**facts, "system": SYSTEMS[model]}
        )
        for model, each in games.items()
    }
    return {**trained, "Wiener": WienerFilter()}


# Measured on two cores: multiplications of a forward pass in a second, all passes of an iteration counted.
MULTIPLICATIONS_PER_SECOND = 3e9
PASSES = {"segan": 9, "l1": 4}  # of the generator, in units of its forward pass


def plan(settings: Settings, manifest: Manifest) -> Plan:
    """Counts iterations and estimates time and disk space."""
    train = manifest.split("train")
    samples = manifest.mean_seconds() * audio.SAMPLE_RATE
    windows = int(len(train) * max(0, (samples - settings.window) / settings.hop + 0.5))
    iterations = windows // settings.all_windows * settings.epochs
    scored = len(manifest.split("test")) * (2 + len(settings.models))
    work = sum(PASSES[model] for model in settings.models) * sum(multiplications(settings))
    seconds = iterations * settings.all_windows * work / MULTIPLICATIONS_PER_SECOND
    weights = 4 * sum(settings.kernel * each for each in _products(settings)) * 3
    checkpoints = 4 * 2 * weights * len(settings.models)
    size = int(8 * samples * len(train)) + checkpoints
    return Plan(
        {"windows": windows, "iterations": iterations, "scored utterances": scored}, seconds + scored, size
    )


def _products(settings: Settings) -> Iterator[int]:
    """Yields input times output channels of each encoder layer."""
    return (a * b for a, b in zip((1, *settings.depths), settings.depths, strict=False))


def multiplications(settings: Settings) -> Iterator[float]:
    """Yields those of each generator layer for a window; the decoder has twice the encoder's."""
    for number, product in enumerate(_products(settings), start=1):
        yield 3 * settings.kernel * product * settings.window / 2**number


def outcome(settings: Settings) -> Enhancement:
    """Says what a run ends in: Table 1, whose columns are named as the systems are."""
    narrow = () if settings.depths == segan.DEPTHS else (f"Networks of {settings.depths} channels.",)
    return Enhancement(table="Table 1", metrics=PAPER.metrics, statements=narrow)
