"""UNetGAN (Hao, Su, Wang, Zhang, Batushiren, Interspeech 2019): a waveform U-Net and a GAN down to -20 dB.

Data: 750 utterances of TIMIT with NOISEX-92's babble, factory1, destroyer engine and destroyer ops at 0 to
-15 dB, 9,600 mixtures; tested with factory2 as well at 0 to -20 dB, 4,500 mixtures. Expected score: the
paper's table is out of reach, so its claims are judged. Expected time: weeks on two CPU cores, a day on a
GPU. The mini corpus, with narrow networks, takes two minutes.

    kseg reproduce unetgan                          # bundled mini corpus
    kseg reproduce unetgan --data FOLDER            # speech and noise, mixed by the run
    kseg reproduce unetgan --data FOLDER --model wave-unet
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_segan import audio
from keras_segan.backends.scope import Scope
from keras_segan.comparison import enhanced_rows
from keras_segan.data.examples.base import Arrays, Examples, Transformed
from keras_segan.data.examples.slices import stored_slices
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.evaluation import Scoring
from keras_segan.front_ends import WaveformFrontEnd
from keras_segan.models import unetgan, waveform
from keras_segan.models.base import Enhancer
from keras_segan.reproduction.outcomes import Enhancement
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training.keep import Best, KeepAll, kept_or_last
from keras_segan.training.loop import Rounds, Training
from keras_segan.training.losses import cross_entropy, l2
from keras_segan.training.optimizers import TorchAdam
from keras_segan.training.player import Player
from keras_segan.training.run_folder import Run
from keras_segan.training.sources import Prefetched, Turns
from keras_segan.training.step import Step
from keras_segan.wiener import WienerFilter

PAPER = Paper(
    title="UNetGAN: A Robust Speech Enhancement Approach in Time Domain for Extremely Low"
    " Signal-to-noise Ratio Condition",
    authors="X. Hao, X. Su, Z. Wang, H. Zhang, Batushiren",
    venue="Interspeech 2019",
    url="https://arxiv.org/abs/2010.15521",
    metrics=("stoi", "pesq-nb-raw"),
)
SYSTEMS = {"unetgan": "UNetGAN", "wave-unet": "Wave-U-Net"}  # rows of the table
ALL = "all"
TRAINER = "haoxiangsnr/UNetGAN, the stored training program"
ADAPTED_TRAINER = "PandoraLS/SpeechEnhancement, adapted from it"
WAVE_UNET = "haoxiangsnr/Wave-U-Net-for-Speech-Enhancement"
CHOSEN_BY = ("stoi", "pesq-nb-raw")


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of one variant."""

    corpus: str = setting("timit-noisex92", "corpus of the paper", source="paper", role="neutral")
    model: str = setting(
        "unetgan", "system to train; all: both", source="paper", choices=(*SYSTEMS, ALL), role="row"
    )
    levels: int = setting(8, "halvings of UNetGAN's generator", source="paper, figure 1", at_least=1)
    baseline_levels: int = setting(12, "halvings of Wave-U-Net", source=WAVE_UNET, at_least=1)
    interval: int = setting(24, "channels that each level adds", source="paper, figure 1", at_least=1)
    widths: tuple[int, ...] = setting(
        unetgan.WIDTHS, "channels of D's convolutions", source="paper, figure 2", at_least=1
    )
    sees_input: bool = setting(
        False,
        "whether G's last convolution sees the noisy waveform",
        source="paper, figure 1; Wave-U-Net: yes",
    )
    window: int = setting(16384, "window", source=ADAPTED_TRAINER, unit="samples", at_least=1)
    overlap: int = setting(
        4096, "that chunks are cross-faded over", source="ours; program: 0", unit="samples", at_least=0
    )
    scale: str = setting(
        "extremes",
        "what a window is brought to [-1, 1] by",
        source=f"{ADAPTED_TRAINER}: its own extremes",
        choices=("extremes", "none"),
    )
    mse_weight: float = setting(20.0, "weight of the squared error", source=TRAINER, at_least=0)
    softest_label: float = setting(
        0.7, "labels of real pairs are drawn from here to 1", source=TRAINER, at_least=0, at_most=1
    )
    learning_rate: float = setting(2e-4, "Adam's step size", source=ADAPTED_TRAINER, at_least=0)
    baseline_learning_rate: float = setting(1e-3, "Adam's for Wave-U-Net", source=WAVE_UNET, at_least=0)
    batch: int = setting(
        50, "windows of an update", source=f"ours; {ADAPTED_TRAINER}", unit="windows", at_least=1
    )
    epochs: int = setting(1200, "epochs", source=TRAINER, unit="epochs", at_least=1, role="length")
    validate_every: int = setting(
        10, "epochs between two validations", source=TRAINER, unit="epochs", at_least=1
    )
    validation_files: int = setting(400, "files that validate at most", source=TRAINER, at_least=1)
    train_snrs: tuple[float, ...] = setting(
        (0.0, -5.0, -10.0, -15.0), "levels of the training mixtures", source="authors' demo page", unit="dB"
    )
    snrs: tuple[float, ...] = setting(
        (0.0, -3.0, -5.0, -7.0, -10.0, -12.0, -15.0, -17.0, -20.0),
        "levels of the test mixtures",
        source="authors' demo page",
        unit="dB",
    )
    noises_per_utterance: int = setting(
        4, "noises of a training utterance at each level", source="authors' demo page", at_least=1
    )

    @property
    def models(self) -> tuple[str, ...]:
        """The systems to train."""
        return tuple(SYSTEMS) if self.model == ALL else (self.model,)

    def check(self):
        """Chunks overlap by half at most."""
        WaveformFrontEnd(self.window, self.overlap)


PUBLISHED = Settings()
CODE = dataclasses.replace(PUBLISHED, overlap=0)
MINI = dataclasses.replace(
    PUBLISHED,
    corpus="mini",
    model=ALL,
    baseline_levels=8,
    interval=4,
    widths=(8, 16, 32),
    learning_rate=1e-3,
    batch=4,
    epochs=40,
    validate_every=10,
)
VARIANTS = {"code": CODE, "paper": PUBLISHED, "mini": MINI}


def mixing(settings: Settings) -> dict[str, Any]:
    """Says how speech and noise are mixed: arguments of `data.sources.mix`."""
    return {
        "snrs": settings.snrs,
        "train_snrs": settings.train_snrs,
        "magnification": settings.noises_per_utterance,
        "seed": settings.seed,
    }


@dataclass(frozen=True)
class Game:
    """The players and what each of them minimises.

    A batch holds windows `noisy` and `clean` `(batch, samples)` and the scalar `label` of real pairs; `fake`
    `(batch, samples, 1)` is what G makes of the noisy ones before anybody moves.

    Attributes:
        settings: Settings of the variant.
        generator: From `models.unetgan`.
        discriminator: Likewise; of Wave-U-Net, which has none, `None`.
    """

    settings: Settings
    generator: keras.Model
    discriminator: keras.Model | None = None

    def enhanced(self, noisy):
        """G(x) `(batch, samples, 1)`."""
        return self.generator(noisy[..., None], training=True)

    def judged(self, noisy, candidate):
        """Logits of D(x, candidate), one for every eighth sample."""
        return self.discriminator(unetgan.pair(noisy[..., None], candidate), training=True)

    def before(self, arrays: dict) -> dict:
        """Enhances the batch; G's moving averages stay, because its own move will see the batch again."""
        with Scope():
            return {"fake": self.enhanced(arrays["noisy"])}

    def discriminator_loss(self, noisy, clean, fake, label):
        """Equation 3, halved and with a soft label: the cross entropies of G(x) with 0 and of y with it."""
        parts = {"fake": cross_entropy(self.judged(noisy, fake), 0.0)}
        parts["real"] = cross_entropy(self.judged(noisy, clean[..., None]), label)
        return 0.5 * (parts["fake"] + parts["real"]), parts

    def generator_loss(self, noisy, clean):
        """Equation 2 in the program's form: -log D(x, G(x)) + 20 (y - G(x))^2."""
        enhanced = self.enhanced(noisy)
        adversarial = cross_entropy(self.judged(noisy, enhanced), 1.0)
        error = self.settings.mse_weight * l2(enhanced, clean[..., None])
        return adversarial + error, {"adversarial": adversarial, "mse": error}

    def error(self, noisy, clean):
        """Wave-U-Net's loss: (y - G(x))^2."""
        return l2(self.enhanced(noisy), clean[..., None])

    def step(self) -> Step:
        """Compiles a turn: D, then G through the D that has just moved, on one batch."""
        shape = (None, self.generator.input_shape[1])
        if self.discriminator is None:
            adam = TorchAdam(self.settings.baseline_learning_rate)
            own = {"noisy": "raw_noisy", "clean": "raw_clean"}
            player = Player("w", (self.generator,), adam, self.error, inputs=own)
            return Step([player], dict.fromkeys(own.values(), shape))
        adams = [TorchAdam(self.settings.learning_rate) for _ in range(2)]
        d = Player("d", (self.discriminator,), adams[0], self.discriminator_loss)
        g = Player("g", (self.generator,), adams[1], self.generator_loss)
        return Step([d, g], {"noisy": shape, "clean": shape, "label": ()}, prepare=self.before)


def build(settings: Settings) -> tuple[keras.Model, keras.Model]:
    """Builds UNetGAN's generator and discriminator."""
    generator = unetgan.generator(
        settings.levels, settings.interval, settings.window, sees_input=settings.sees_input
    )
    return generator, unetgan.discriminator(settings.widths, settings.window)


def game(settings: Settings, model: str) -> Game:
    """Builds one of the systems."""
    keras.utils.set_random_seed(settings.seed)
    if model == "unetgan":
        return Game(settings, *build(settings))
    return Game(settings, unetgan.wave_unet(settings.baseline_levels, settings.interval, settings.window))


def front_end(settings: Settings, model: str) -> WaveformFrontEnd:
    """Builds the signal processing around a generator; Wave-U-Net takes levels as they come."""
    scale = settings.scale if model == "unetgan" else "none"
    return WaveformFrontEnd(settings.window, settings.overlap, emphasis=0.0, scale=scale)


def system(playing: Game, epoch: int) -> Enhancer:
    """Puts a generator and its front end together."""
    settings, model = playing.settings, "wave-unet" if playing.discriminator is None else "unetgan"
    facts = {"recipe": "unetgan", "system": SYSTEMS[model], "seed": settings.seed, "epoch": epoch}
    return waveform.enhancer(playing.generator, front_end(settings, model), facts)


def validation_score(enhancer: Enhancer, utterances: tuple[Utterance, ...], run: Run) -> float:
    """Returns what the best epoch is chosen by: (STOI + (PESQ + 0.5) / 5) / 2 over the files' means."""
    rows = enhanced_rows(enhancer, utterances, Scoring(CHOSEN_BY, audio.SAMPLE_RATE), run.pool)
    scores = [row.result.scores for row in rows if row.result.scores]
    stoi, pesq = (float(np.mean([each[name] for each in scores])) for name in CHOSEN_BY)
    return (stoi + (pesq + 0.5) / 5) / 2


class Windows(Transformed):
    """Windows at their own level, as `raw_noisy` and `raw_clean`, and scaled."""

    def batch(self, numbers: np.ndarray) -> Arrays:
        """Reads windows."""
        raw = self.examples.batch(numbers)
        own = {f"raw_{name}": array for name, array in raw.items()}
        return own | {name: self.function(array) for name, array in raw.items()}


def source(settings: Settings, windows: Examples, rounds: Rounds, names: tuple[str, ...]) -> Prefetched:
    """Returns the batches, which all systems share, each with a label of its own for real pairs."""

    def label(number: int) -> dict[str, np.ndarray]:
        random = np.random.default_rng((settings.seed, number))
        return {"label": np.float32(random.uniform(settings.softest_label, 1.0))}

    return Prefetched(Turns(windows, settings.batch, settings.seed, rounds, names, label, shared=True))


def column(model: str) -> str:
    """Returns the log's column of a system's validation score."""
    return f"{model}_validation_score"


def play(
    settings: Settings, games: dict[str, Game], windows: Examples, manifest: Manifest, run: Run
) -> KeepAll:
    """Trains systems side by side; returns the best epoch of each, if there are validation files."""
    rounds = Rounds(settings.epochs)
    keep = KeepAll({name: Best(each.generator, column(name), True) for name, each in games.items()})
    steps = {name: each.step() for name, each in games.items()}
    training = Training(steps, source(settings, windows, rounds, tuple(games)), rounds, run, keep)
    validation = manifest.split("validation")[: settings.validation_files]

    def measure() -> dict[str, float]:
        if not validation or training.done % settings.validate_every:
            return {}
        return {
            column(name): validation_score(system(each, training.done), validation, run)
            for name, each in games.items()
        }

    training.measure = measure
    training.fit()
    return keep


def fit(settings: Settings, manifest: Manifest, run: Run) -> dict[str, Enhancer | WienerFilter]:
    """Trains and returns the systems, each at its best epoch, and the Wiener filter."""
    stored = stored_slices(manifest.training(), run.path("features/crops"), settings.window, hop=None)
    run.say(f"{stored.counted(least=settings.batch)}, one an utterance and epoch")
    windows = Windows(stored, front_end(settings, "unetgan").to_network)
    games = {model: game(settings, model) for model in settings.models}
    keep = play(settings, games, windows, manifest, run)
    stored.remove()
    trained: dict[str, Enhancer | WienerFilter] = {}
    for model, each in games.items():
        kept = kept_or_last(keep.rules[model], each.generator, settings.epochs)
        each.generator.set_weights(kept.weights)
        trained[SYSTEMS[model]] = system(each, kept.position)
    return {**trained, "Wiener": WienerFilter()}


# Measured on two cores.
SECONDS_PER_CHANNEL = {"unetgan": 0.06, "wave-unet": 0.06}  # of a window in a step, per channel and level


def plan(settings: Settings, manifest: Manifest) -> Plan:
    """Counts iterations and estimates time and disk space."""
    train, seconds = manifest.split("train"), manifest.mean_seconds()
    iterations = len(train) // settings.batch * settings.epochs
    scored = len(manifest.split("test")) * (2 + len(settings.models))
    cost = sum(SECONDS_PER_CHANNEL[model] * settings.interval for model in settings.models)
    return Plan(
        {"iterations": iterations, "scored utterances": scored},
        iterations * settings.batch * cost + scored,
        int(8 * seconds * audio.SAMPLE_RATE * len(train)) + CHECKPOINT_BYTES * len(settings.models),
    )


CHECKPOINT_BYTES = 250_000_000  # of two checkpoints and the model


def outcome(settings: Settings) -> Enhancement:
    """Says what a run ends in: the claims of the abstract, and each level by itself."""
    narrow = () if settings.interval == 24 else (f"Networks of {settings.interval} channels a level.",)
    return Enhancement(table="Abstract", metrics=PAPER.metrics, breakdown="levels", statements=narrow)
