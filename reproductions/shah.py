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
from pathlib import Path

import keras
import numpy as np

from keras_segan import audio, gammatone
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.masking import MaskingFrames
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.errors import DataError
from keras_segan.models import shah
from keras_segan.models.base import Enhancer
from keras_segan.recipe import Paper, Plan, require_choices
from keras_segan.training import adversarial
from keras_segan.training.masking_gan import MaskingGame
from keras_segan.wiener import WienerFilter

PAPER = Paper(
    title="Time-frequency masking-based speech enhancement using generative adversarial network",
    authors="M. H. Soni, N. Shah, H. A. Patil",
    venue="ICASSP 2018, pp. 5039-5043",
    url="https://doi.org/10.1109/ICASSP.2018.8462068",
    metrics=("csig", "cbak", "covl", "pesq-wb-lqo", "stoi"),
)
SYSTEMS = {"mmse-gan": "MMSE-GAN", "v-gan": "v-GAN", "dnn": "DNN"}  # names of Table 1


@dataclass(frozen=True)
class Config:
    """Settings of one variant; sources in brackets, [code] = training_gan.py and the feature scripts."""

    corpus: str = "voicebank-demand"  # [paper]
    model: str = "mmse-gan"  # [paper] or "v-gan", "dnn", "all"
    window: int = 320  # [paper: 20 ms] samples
    hop: int = 160  # [paper: 10 ms] samples
    context: int = 3  # [paper: 7 frames] on each side
    emphasis: float = 0.95  # [paper]
    energy_floor: float = 1e-8  # [ours; the original takes log(0) of digital silence]
    output: str = "mask"  # [paper: sigmoid mask] or "log-spectrum" [code: linear]
    units: int = 512  # [paper]
    hidden_layers: int = 3  # [paper]
    initialisation: str = "glorot"  # [ours; not stated] or "released" [code]
    discriminator_input: str = "global"  # [ours; not stated] standardised over the corpus, or "batch" [code]
    learning_rate: float = 1e-3  # [paper]
    adam_epsilon: float = 1e-8  # [TensorFlow 1]
    batch: int = 1000  # [paper] frames, random ones
    epochs: int = 30  # [paper]
    validation_share: float = 572 / 11572  # [paper] of the training files, if the data name none
    seed: int = 0  # [ours]

    def __post_init__(self):
        choices = {
            "model": (*SYSTEMS, "all"),
            "output": shah.OUTPUTS,
            "initialisation": shah.INITIALISATIONS,
            "discriminator_input": ("global", "batch"),
        }
        require_choices(self, choices)
        if self.epochs < 1 or self.batch < 1:
            raise ValueError("epochs and batch must be at least 1.")

    @property
    def models(self) -> tuple[str, ...]:
        """The systems to train."""
        return tuple(SYSTEMS) if self.model == "all" else (self.model,)


# The released graph learns the log spectrum itself; its feature script frames differently from the paper.
CODE = Config(
    window=400,
    hop=80,
    context=2,
    output="log-spectrum",
    initialisation="released",
    discriminator_input="batch",
    epochs=100,
)
VARIANTS = {"paper": Config(), "code": CODE, "mini": Config(corpus="mini", batch=250)}


def front_end(config: Config) -> shah.GammatoneFrontEnd:
    """Builds the signal processing around the generator."""
    return shah.GammatoneFrontEnd(
        config.window, config.hop, config.context, config.output, config.emphasis, config.energy_floor
    )


def build(config: Config) -> tuple[keras.Model, keras.Model]:
    """Builds generator and discriminator."""
    front = front_end(config)
    size = {
        "units": config.units,
        "hidden_layers": config.hidden_layers,
        "initialisation": config.initialisation,
    }
    generator = shah.generator(front.n_inputs, front.bank.bands, output=config.output, **size)
    return generator, shah.discriminator(front.bank.bands, **size)


def frames(config: Config, utterances: tuple[Utterance, ...]) -> MaskingFrames:
    """Computes the log gammatone energies of noisy and clean files."""
    front, reader = front_end(config), UtteranceReader(max_bytes=0)

    def log_spectra(utterance: Utterance) -> Iterator[np.ndarray]:
        for waveform in (reader.noisy(utterance), reader.clean(utterance)):
            yield gammatone.log_energies(front.analyse_energies(waveform).energies, config.energy_floor).T

    return MaskingFrames((tuple(log_spectra(utterance)) for utterance in utterances), config.context)


def hold_out(config: Config, manifest: Manifest) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...]]:
    """Returns training and validation files; without a validation split some are drawn from training."""
    train, validation = manifest.split("train"), manifest.split("validation")
    if len(train) < 2:
        raise DataError("The data have fewer than two training pairs; name a corpus with a training split.")
    if validation:
        return train, validation
    order = np.random.default_rng(config.seed).permutation(len(train))
    count = max(1, round(config.validation_share * len(train)))
    return tuple(train[i] for i in np.sort(order[count:])), tuple(train[i] for i in np.sort(order[:count]))


def validation_loss(game: MaskingGame, examples: MaskingFrames, size: int) -> float:
    """Returns half the mean squared error of the log spectra: what the best epoch is chosen by."""
    total = 0.0
    for features, noisy, clean in examples.ordered(size):
        enhanced = game.enhanced(features, noisy)
        total += float(adversarial.half_mean_square(enhanced, clean)) * len(clean)
    return total / len(examples)


def system(config: Config, model: str, train: MaskingFrames, validation: MaskingFrames) -> adversarial.System:
    """Builds one of the paper's three systems; all start from the same generator."""
    keras.utils.set_random_seed(config.seed)
    generator, discriminator = build(config)
    statistics = train.clean_statistics() if config.discriminator_input == "global" else None
    game = MaskingGame(generator, discriminator, model, config.output, statistics, config.energy_floor)
    bands = generator.output_shape[-1]
    trainer = adversarial.AdversarialTrainer(
        game.players(config.learning_rate, config.adam_epsilon),
        (generator.input_shape, (None, bands), (None, bands)),
    )
    return adversarial.System(
        SYSTEMS[model], trainer, generator, lambda: validation_loss(game, validation, config.batch)
    )


def fit(config: Config, manifest: Manifest, run) -> dict[str, Enhancer | WienerFilter]:
    """Trains and returns the systems of Table 1, each at its best epoch; with "all" the Wiener filter too."""
    train_files, validation_files = hold_out(config, manifest)
    run.say(f"Gammatone energies of {len(train_files)} + {len(validation_files)} pairs")
    train, validation = frames(config, train_files), frames(config, validation_files)
    batches = len(train) // config.batch
    if batches == 0:
        raise DataError(
            f"The data have {len(train)} frames, fewer than a batch; use --set batch={len(train)}."
        )
    systems = [system(config, model, train, validation) for model in config.models]

    def shuffled(epoch: int):
        return train.shuffled(config.batch, (config.seed, epoch))

    best = adversarial.Training(systems, shuffled, batches, config.epochs, run).fit()
    facts = {"recipe": "shah", "seed": config.seed}
    trained = {
        each.name: Enhancer(
            each.network, front_end(config), {**facts, "system": each.name, "epoch": best[each.name]}
        )
        for each in systems
    }
    figure_2(trained, validation_files[0], run)
    return trained | ({"Wiener": WienerFilter()} if config.model == "all" else {})


def estimate(config: Config, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    train, _ = hold_out(config, manifest)
    seconds = manifest.mean_seconds()
    batches = int(len(train) * seconds * audio.SAMPLE_RATE / config.hop) // config.batch
    test = len(manifest.split("test"))
    steps = {"batches": batches * config.epochs, "scored utterances": test * (1 + len(config.models))}
    training = (
        sum(SECONDS_PER_FRAME[model] for model in config.models) * config.batch * batches * config.epochs
    )
    features = SECONDS_PER_SECOND_OF_AUDIO * seconds * len(manifest)
    return Plan(
        steps, training + features + test * (1 + len(config.models)), CHECKPOINT_BYTES * len(config.models)
    )


# Measured on two cores.
SECONDS_PER_FRAME = {"mmse-gan": 1.1e-4, "v-gan": 1.1e-4, "dnn": 4e-5}  # of a training step
SECONDS_PER_SECOND_OF_AUDIO = 0.02  # of the features of a pair
CHECKPOINT_BYTES = 45_000_000  # of two checkpoints and the model


def shown_metrics(config: Config) -> tuple[str, ...]:
    """Returns the metrics of Table 1."""
    return PAPER.metrics


def published(config: Config) -> tuple[str, str]:
    """Returns the table of the published numbers; its rows are named as the systems are."""
    return "Table 1", ""


def figure_2(systems: dict[str, Enhancer], utterance: Utterance, run):
    """Draws the paper's Figure 2: gammatone spectra and masks of one utterance, oracle and predicted.

    Args:
        systems: Trained systems by name.
        utterance: A file that nothing was trained on.
        run: The run; gets `report/figure2.png`.
    """
    front, reader = next(iter(systems.values())).front_end, UtteranceReader()
    clean, noisy = reader.clean(utterance), reader.noisy(utterance)
    features, analysis = front.analyse(noisy)
    spectra = {"clean": front.analyse_energies(clean).energies, "noisy": analysis.energies}
    noise = front.analyse_energies(noisy - clean).energies
    masks = {"oracle mask": gammatone.ideal_ratio_mask(spectra["clean"], noise)}
    for name, enhancer in systems.items():
        masks[f"mask of {name}"] = front.mask(enhancer.infer(features), analysis)
        spectra[name] = front.analyse_energies(enhancer.enhance(noisy)).energies
    try:
        draw_figure_2(masks, spectra, run.path("report/figure2.png"))
    except ImportError:
        run.note("Figure 2 was not drawn: matplotlib is not installed (pip install keras_segan[plot]).")


def draw_figure_2(masks: dict[str, np.ndarray], spectra: dict[str, np.ndarray], path: Path):
    """Writes masks (upper row) and gammatone spectra in dB (lower row), each `(bands, frames)`, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(len(masks), len(spectra))
    figure = Figure(figsize=(3 * columns, 5), layout="constrained")
    axes = figure.subplots(2, columns, squeeze=False)
    levels = {name: 20 * np.log10(np.maximum(energies, 1e-10)) for name, energies in spectra.items()}
    loudest = levels["clean"].max()
    for row, images, limits in ((0, masks, (0, 1)), (1, levels, (loudest - 70, loudest))):
        for column, (title, image) in enumerate(images.items()):
            drawn = axes[row, column].imshow(
                image, aspect="auto", origin="lower", vmin=limits[0], vmax=limits[1]
            )
            axes[row, column].set(title=title, xlabel="frame", ylabel="band")
        figure.colorbar(drawn, ax=axes[row].tolist(), label="dB" if row else "mask")
        for unused in axes[row, len(images) :]:
            unused.set_axis_off()
    FigureCanvasAgg(figure).print_png(path)
