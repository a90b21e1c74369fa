"""MMSE-GAN (Soni, Shah, Patil, ICASSP 2018): a time-frequency mask learnt by a GAN on gammatone spectra.

Data: VoiceBank-DEMAND, 28 speakers. Expected score: PESQ 2.53 (wide-band), STOI 0.93 on the 824 test
files after 30 epochs. Expected time on two CPU cores: 3 hours (DNN: 1 hour), after 10 minutes for the
features, which need about 2 GB of memory. The mini corpus takes a minute.

    kseg reproduce shah                                  # bundled mini corpus, MMSE-GAN
    kseg reproduce shah --data VOICEBANK --model v-gan   # or dnn, mmse-gan
    kseg reproduce shah --data VOICEBANK --all           # all of Table 1, with the Wiener filter
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_segan import audio, gammatone
from keras_segan.data.examples.frames import Frames
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.errors import DataError
from keras_segan.models import shah
from keras_segan.models.base import Enhancer
from keras_segan.reproduction import plots
from keras_segan.reproduction.outcomes import Enhancement
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training.keep import Best, KeepAll, kept_or_last
from keras_segan.training.loop import Rounds, Training
from keras_segan.training.losses import half_l2, non_saturating, real_or_fake
from keras_segan.training.optimizers import Adam
from keras_segan.training.player import Player
from keras_segan.training.run_folder import Run
from keras_segan.training.sources import Batches
from keras_segan.training.step import Shapes, Step, evaluation, mean_loss
from keras_segan.wiener import WienerFilter

PAPER = Paper(
    title="Time-frequency masking-based speech enhancement using generative adversarial network",
    authors="M. H. Soni, N. Shah, H. A. Patil",
    venue="ICASSP 2018, pp. 5039-5043",
    url="https://doi.org/10.1109/ICASSP.2018.8462068",
    metrics=("csig", "cbak", "covl", "pesq-wb-lqo", "stoi"),
)
SYSTEMS = {"mmse-gan": "MMSE-GAN", "v-gan": "v-GAN", "dnn": "DNN"}  # names of Table 1
ALL = "all"


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of one variant; "code" is training_gan.py with its feature scripts."""

    corpus: str = setting("voicebank-demand", "corpus", source="paper, section 4", role="neutral")
    model: str = setting(
        "mmse-gan", "system of Table 1 to train", source="paper", choices=(*SYSTEMS, ALL), role="row"
    )
    window: int = setting(320, "analysis window", source="paper: 20 ms", unit="samples", at_least=1)
    hop: int = setting(160, "distance of frames", source="paper: 10 ms", unit="samples", at_least=1)
    context: int = setting(
        3, "frames before and after the centre", source="paper: 7 frames", unit="frames", at_least=0
    )
    emphasis: float = setting(0.95, "pre-emphasis", source="paper")
    energy_floor: float = setting(
        1e-8, "smaller energies count as this; the original takes log(0) of digital silence", source="ours"
    )
    output: str = setting(
        "mask",
        "what the generator gives",
        source="paper: sigmoid mask; code: linear log-spectrum",
        choices=shah.OUTPUTS,
    )
    units: int = setting(512, "units of a hidden layer", source="paper", at_least=1)
    hidden_layers: int = setting(3, "hidden layers of each network", source="paper", at_least=0)
    initialisation: str = setting(
        "glorot",
        "initial weights",
        source="ours, not stated; code: released",
        choices=shah.INITIALISATIONS,
    )
    discriminator_input: str = setting(
        "global",
        "over what the discriminator's input is standardised: the corpus, or the batch",
        source="ours, not stated; code: batch",
        choices=("global", "batch"),
    )
    learning_rate: float = setting(1e-3, "Adam's step size", source="paper")
    adam_epsilon: float = setting(1e-8, "Adam's epsilon", source="TensorFlow 1")
    batch: int = setting(1000, "random frames of a training step", source="paper", unit="frames", at_least=1)
    epochs: int = setting(
        30, "passes over the training frames", source="paper", unit="epochs", at_least=1, role="length"
    )
    validation_share: float = setting(
        572 / 11572, "share of the training files that validate, if the data name none", source="paper"
    )

    @property
    def models(self) -> tuple[str, ...]:
        """The systems to train."""
        return tuple(SYSTEMS) if self.model == ALL else (self.model,)


# The released graph learns the log spectrum itself; its feature script frames differently from the paper.
CODE = Settings(
    window=400,
    hop=80,
    context=2,
    output="log-spectrum",
    initialisation="released",
    discriminator_input="batch",
    epochs=100,
)
VARIANTS = {"paper": Settings(), "code": CODE, "mini": Settings(corpus="mini", batch=250)}


@dataclass(frozen=True)
class Game:
    """Generator and discriminator of one of the paper's three systems, and what each of them minimises.

    A batch holds `features`, standardised log energies in context `(batch, inputs)`; `noisy`, the linear
    noisy energies h `(batch, bands)`; and `clean`, the clean log energies x `(batch, bands)`.

    Attributes:
        model: Which system.
        generator: From `models.shah`.
        discriminator: From `models.shah`.
        settings: Settings of the variant.
        statistics: Mean and standard deviation by which D's input is standardised; `None` for those of the
            batch's clean targets.

    Reference:
        Paper, section 3; training_gan.py, `D_loss` and `G_loss`.
    """

    model: str
    generator: keras.Model
    discriminator: keras.Model
    settings: Settings
    statistics: tuple[float, float] | None = None

    def enhanced(self, features, noisy):
        """Returns the enhanced log spectrum t = log(h m) of the mask m = G; the released G gives t itself."""
        output = self.generator(features)
        if self.settings.output == "log-spectrum":
            return output
        return shah.masked_log_spectrum(output, noisy, self.settings.energy_floor)

    def judged(self, log_spectrum, clean):
        """Returns D's logits of log spectra, standardised by two scalars (training_gan.py)."""
        mean, deviation = self.statistics or (ops.mean(clean), ops.std(clean))
        return self.discriminator((log_spectrum - mean) / deviation)

    def discriminator_loss(self, features, noisy, clean):
        """D minimises -E log D(x) - E log(1 - D(t))."""
        enhanced = self.enhanced(features, noisy)
        return real_or_fake(self.judged(clean, clean), self.judged(enhanced, clean))

    def generator_loss(self, features, noisy, clean):
        """G minimises -E log D(t) (v-GAN), 1/2 E (x - t)^2 (DNN), or the sum of both (MMSE-GAN)."""
        enhanced = self.enhanced(features, noisy)
        error = half_l2(enhanced, clean)
        if self.model == "dnn":
            return error
        fooling = non_saturating(self.judged(enhanced, clean))
        return (fooling if self.model == "v-gan" else fooling + error), {"gan": fooling, "mse": error}

    def error(self, features, noisy, clean):
        """Returns 1/2 E (x - t)^2, by which the best epoch of every system is chosen (section 4)."""
        return half_l2(self.enhanced(features, noisy), clean)

    @property
    def players(self) -> list[Player]:
        """D, then G, each with its own Adam; the DNN plays alone."""
        rate, epsilon = self.settings.learning_rate, self.settings.adam_epsilon
        d = Player(
            "discriminator", (self.discriminator,), Adam(rate, epsilon=epsilon), self.discriminator_loss
        )
        g = Player("generator", (self.generator,), Adam(rate, epsilon=epsilon), self.generator_loss)
        return [g] if self.model == "dnn" else [d, g]

    @property
    def shapes(self) -> Shapes:
        """Shapes of a batch's arrays."""
        bands = self.generator.output_shape
        return {"features": self.generator.input_shape, "noisy": bands, "clean": bands}


def front_end(settings: Settings) -> shah.GammatoneFrontEnd:
    """Builds the signal processing around the generator."""
    return shah.GammatoneFrontEnd(
        settings.window,
        settings.hop,
        settings.context,
        settings.output,
        settings.emphasis,
        settings.energy_floor,
    )


def build(settings: Settings) -> tuple[keras.Model, keras.Model]:
    """Builds generator and discriminator."""
    front = front_end(settings)
    size = {
        "units": settings.units,
        "hidden_layers": settings.hidden_layers,
        "initialisation": settings.initialisation,
    }
    generator = shah.generator(front.n_inputs, front.bank.bands, output=settings.output, **size)
    return generator, shah.discriminator(front.bank.bands, **size)


def game(settings: Settings, model: str, statistics: tuple[float, float]) -> Game:
    """Builds one of the three systems; all start from the same generator."""
    keras.utils.set_random_seed(settings.seed)
    of_batch = settings.discriminator_input == "batch"
    return Game(model, *build(settings), settings, None if of_batch else statistics)


def frames(settings: Settings, utterances: tuple[Utterance, ...]) -> Frames:
    """Computes the log gammatone energies of noisy and clean files."""
    front, reader = front_end(settings), UtteranceReader(max_bytes=0)

    def log_spectra(utterance: Utterance) -> Iterator[np.ndarray]:
        for waveform in (reader.noisy(utterance), reader.clean(utterance)):
            yield gammatone.log_energies(front.analyse_energies(waveform).energies, settings.energy_floor).T

    return Frames((tuple(log_spectra(utterance)) for utterance in utterances), settings.context)


def hold_out(settings: Settings, manifest: Manifest) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...]]:
    """Returns training and validation files; without a validation split some are drawn from training."""
    train, validation = manifest.split("train"), manifest.split("validation")
    if len(train) < 2:
        raise DataError("The data have fewer than two training pairs; name a corpus with a training split.")
    if validation:
        return train, validation
    order = np.random.default_rng(settings.seed).permutation(len(train))
    count = max(1, round(settings.validation_share * len(train)))
    return tuple(train[i] for i in np.sort(order[count:])), tuple(train[i] for i in np.sort(order[:count]))


def fit(settings: Settings, manifest: Manifest, run: Run) -> dict[str, Enhancer | WienerFilter]:
    """Trains and returns the systems of Table 1, each at its best epoch; with "all" the Wiener filter too."""
    train_files, validation_files = hold_out(settings, manifest)
    run.say(f"Gammatone energies of {len(train_files)} + {len(validation_files)} pairs")
    train, validation = frames(settings, train_files), frames(settings, validation_files)
    if len(train) < settings.batch:
        raise DataError(
            f"The data have {len(train)} frames, fewer than a batch; use --set batch={len(train)}."
        )
    statistics = train.clean_statistics()
    games = [game(settings, model, statistics) for model in settings.models]
    kept = play(settings, games, train, validation, run)
    trained = {}
    for each in games:
        best = kept_or_last(kept.rules[each.model], each.generator, settings.epochs)
        each.generator.set_weights(best.weights)
        facts = {"recipe": "shah", "seed": settings.seed, "system": SYSTEMS[each.model]}
        trained[SYSTEMS[each.model]] = Enhancer(
            each.generator, front_end(settings), {**facts, "epoch": best.position}
        )
    figure_2(trained, validation_files[0], run)
    return trained | ({"Wiener": WienerFilter()} if settings.model == ALL else {})


def play(settings: Settings, games: list[Game], train: Frames, validation: Frames, run: Run) -> KeepAll:
    """Trains systems side by side on the same batches; returns the best epoch of each."""
    single = len(games) == 1
    columns = {each.model: "validation_loss" if single else f"{each.model}_validation_loss" for each in games}
    steps = {each.model: Step(each.players, each.shapes) for each in games}
    errors = {each.model: evaluation(each.error, [each.generator], each.shapes) for each in games}
    kept = KeepAll({each.model: Best(each.generator, columns[each.model]) for each in games})
    rounds = Rounds(settings.epochs)
    source = Batches(train, settings.batch, settings.seed, rounds, tuple(steps))
    training = Training(steps, source, rounds, run, kept)
    training.measure = lambda: {
        columns[model]: mean_loss(error, validation.ordered(settings.batch))
        for model, error in errors.items()
    }
    training.fit()
    return kept


# Measured on two cores.
SECONDS_PER_FRAME = {"mmse-gan": 1.1e-4, "v-gan": 1.1e-4, "dnn": 4e-5}  # of a training step
SECONDS_PER_SECOND_OF_AUDIO = 0.02  # of the features of a pair
CHECKPOINT_BYTES = 45_000_000  # of two checkpoints and the model


def plan(settings: Settings, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    train, _ = hold_out(settings, manifest)
    seconds = manifest.mean_seconds()
    batches = int(len(train) * seconds * audio.SAMPLE_RATE / settings.hop) // settings.batch * settings.epochs
    scored = len(manifest.split("test")) * (1 + len(settings.models))
    training = sum(SECONDS_PER_FRAME[model] for model in settings.models) * settings.batch * batches
    features = SECONDS_PER_SECOND_OF_AUDIO * seconds * len(manifest)
    return Plan(
        {"batches": batches, "scored utterances": scored},
        training + features + scored,
        CHECKPOINT_BYTES * len(settings.models),
    )


def outcome(settings: Settings) -> Enhancement:
    """Says what a run ends in: Table 1, whose columns are named as the systems are."""
    return Enhancement(table="Table 1", metrics=PAPER.metrics)


def figure_2(systems: dict[str, Enhancer], utterance: Utterance, run: Run):
    """Draws the paper's Figure 2: gammatone spectra and masks of one utterance, oracle and predicted.

    Args:
        systems: Trained systems by name.
        utterance: A file that nothing was trained on.
        run: The run; gets `report/figure2.png`.
    """
    if not plots.is_available():
        run.note("Figure 2 was not drawn: matplotlib is not installed (pip install keras_segan[plot]).")
        return
    front: Any = next(iter(systems.values())).front_end
    reader = UtteranceReader()
    clean, noisy = reader.clean(utterance), reader.noisy(utterance)
    features, analysis = front.analyse(noisy)
    energies = {"clean": front.analyse_energies(clean).energies, "noisy": analysis.energies}
    noise = front.analyse_energies(noisy - clean).energies
    masks = {"oracle mask": gammatone.ideal_ratio_mask(energies["clean"], noise)}
    for name, enhancer in systems.items():
        masks[f"mask of {name}"] = front.mask(enhancer.infer(features), analysis)
        energies[name] = front.analyse_energies(enhancer.enhance(noisy)).energies
    levels = {name: 20 * np.log10(np.maximum(each, 1e-10)) for name, each in energies.items()}
    loudest = float(levels["clean"].max())
    rows = [plots.ImageRow("mask", masks, (0, 1)), plots.ImageRow("dB", levels, (loudest - 70, loudest))]
    plots.images(rows, run.path("report/figure2.png"))
