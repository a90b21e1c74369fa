"""DNN regression of log spectra (Xu, Du, Dai, Lee, TASLP 2015), in its Keras port sednn and as published.

Data: speech and noise in four folders (train_speech, train_noise, test_speech, test_noise), mixed by the
run; or any corpus of pairs. Expected score of the port: PESQ 2.08 (raw, narrow-band) at 0 dB over 15 unseen
noises after 10,000 iterations, 1.35 on the port's own mini data. Expected time on two CPU cores: one hour
(two to six for `code` on read speech, and 26 GB of disk). The mini corpus takes two minutes.

    kseg reproduce xu                                     # bundled mini corpus
    kseg reproduce xu --data SEDNN_MINI                   # the port on its own mini data
    kseg reproduce xu --data FOLDER --variant read        # ours, for little speech
    kseg reproduce xu --data FOLDER --variant paper       # 8 kHz, dropout, noise-aware training, GV
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import keras
import numpy as np
from keras import ops

from keras_segan import audio, backends
from keras_segan.data.examples.base import Examples, Transformed
from keras_segan.data.examples.stored import Layout, Pair, Stored
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.mixing import FASTEST, SLOWEST
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.errors import DataError
from keras_segan.front_ends import LogSpectrumFrontEnd
from keras_segan.front_ends.moments import Moments, deviation_ratio
from keras_segan.models import xu
from keras_segan.models.base import Enhancer
from keras_segan.reproduction.outcomes import Enhancement
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training import rbm
from keras_segan.training.keep import Last
from keras_segan.training.loop import ITERATION, TRAIN, Rounds, Training
from keras_segan.training.losses import l1
from keras_segan.training.optimizers import Adam, MomentumSGD
from keras_segan.training.player import Player
from keras_segan.training.run_folder import Run
from keras_segan.training.sources import Batches
from keras_segan.training.step import Step, evaluation, mean_loss

PAPER = Paper(
    title="A regression approach to speech enhancement based on deep neural networks",
    authors="Y. Xu, J. Du, L.-R. Dai, C.-H. Lee",
    venue="IEEE/ACM TASLP 23(1), 2015, pp. 7-19",
    url="https://doi.org/10.1109/TASLP.2014.2364452",
    metrics=("pesq-nb-raw",),  # of the port; the paper's tables have those of PAPER_METRICS
)
PAPER_METRICS = ("pesq-nb-raw", "lsd", "ssnr", "stoi")
# Hidden layers and their units (Table II); sednn's is DNN3.
NETWORKS = {"snn1": (1, 512), "snn2": (1, 6144)} | {f"dnn{n}": (n, 2048) for n in (1, 2, 3, 4)}
INITIALISATIONS = ("glorot", "identity")  # identity: the noisy frame is passed on at first
EVALUATED = 100  # batches per evaluation of a loss (sednn, main_dnn.py: `eval`)


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of one variant; "sednn" is its folder mixture2clean_dnn, "C++" the authors' trainer."""

    corpus: str = setting("timit-noise115", "corpus", source="sednn", role="neutral")
    model: str = setting("dnn3", "network of Table II", source="sednn, paper", choices=NETWORKS, role="row")
    snrs: tuple[float, ...] = setting((0.0,), "signal-to-noise ratios", source="sednn", unit="dB")
    train_snrs: tuple[float, ...] | None = setting(None, "in training; none: snrs", source="ours", unit="dB")
    magnification: int = setting(2, "noises per training utterance and SNR", source="sednn", at_least=1)
    speeds: tuple[float, ...] = setting(
        (1.0,), "speeds of the training speech", source="ours", at_least=SLOWEST, at_most=FASTEST
    )
    mixing_seed: int = setting(0, "seed of the mixing", source="sednn: RandomState(0)", at_least=0)
    sample_rate: int = setting(16000, "sample rate", source="sednn", unit="Hz", at_least=1)
    window: int = setting(512, "frame length", source="sednn", unit="samples", at_least=2)
    hop: int = setting(256, "distance of frames", source="sednn", unit="samples", at_least=1)
    context: int = setting(3, "frames on each side", source="sednn: 7 frames", unit="frames", at_least=0)
    segment_hop: int = setting(3, "between segments", source="sednn: n_hop", unit="frames", at_least=1)
    repeat_edges: bool = setting(True, "train on edge frames, too", source="sednn: pad_with_border")
    power: float = setting(1.0, "1: log magnitude, 2: log power", source="sednn")
    floor: float = setting(1e-8, "added before the logarithm", source="sednn: log_sp")
    noise_frames: int = setting(0, "of the noise estimate", source="paper: 6", unit="frames", at_least=0)
    activation: str = setting("relu", "hidden units", source="sednn", choices=("relu", "sigmoid"))
    dropout: float = setting(0.2, "share of hidden units dropped", source="sednn, paper", at_least=0)
    input_dropout: float = setting(0.0, "share of inputs dropped", source="paper: 0.1", at_least=0)
    scale_at_test: bool = setting(False, "dropout scales at test time, not in training", source="paper: true")
    initialisation: str = setting("glorot", "initial weights", source="Keras", choices=INITIALISATIONS)
    pretraining_epochs: int = setting(0, "of each RBM", source="paper: 20", unit="epochs", at_least=0)
    equalisation: str | None = setting(
        None, "global variance: alpha per bin, beta one factor", source="paper", choices=("alpha", "beta")
    )
    loss: str = setting("mae", "distance of spectra", source="sednn; paper: mse", choices=("mae", "mse"))
    optimizer: str = setting("adam", "optimizer", source="sednn; paper: sgd", choices=("adam", "sgd"))
    learning_rate: float = setting(1e-4, "step size", source="sednn")
    adam_epsilon: float = setting(1e-7, "Adam's epsilon", source="Keras 2.2.4")
    constant_epochs: int | None = setting(None, "before the rate falls", source="paper: 10", at_least=0)
    decay: float = setting(1.0, "factor of the rate per epoch then", source="paper: 0.9")
    momentum: float = setting(0.0, "of SGD, from the eleventh epoch on", source="paper: 0.9")
    first_momentum: float = setting(0.0, "in the first epoch; rises evenly", source="paper: 0.5")
    weight_decay: float = setting(0.0, "of the kernels", source="paper: 1e-5; C++: 0", at_least=0)
    batch: int = setting(500, "segments of a step", source="sednn", unit="segments", at_least=1)
    iterations: int | None = setting(
        10_000, "steps, unless epochs are given", source="sednn", unit="iterations", at_least=1, role="length"
    )
    epochs: int | None = setting(
        None, "passes over the segments", source="paper: 50", unit="epochs", at_least=1, role="length"
    )
    log_interval: int = setting(
        1000, "between two evaluations", source="sednn", unit="iterations", at_least=1, role="neutral"
    )

    def check(self):
        """Refuses settings that do not fit each other."""
        if self.epochs is None and self.iterations is None:
            raise ValueError("epochs and iterations must not both be none.")
        if () in (self.snrs, self.train_snrs, self.speeds):
            raise ValueError("snrs, train_snrs and speeds must each name at least one number.")
        if self.pretraining_epochs and self.activation != "sigmoid":
            raise ValueError("pretraining_epochs needs activation=sigmoid: RBMs have Bernoulli hidden units.")
        if self.initialisation == "identity":
            if self.activation != "relu" or self.scale_at_test:
                raise ValueError("initialisation=identity needs activation=relu and scale_at_test=false.")
            if NETWORKS[self.model][1] < self.window + 2:
                raise ValueError(f"initialisation=identity needs a model of {self.window + 2} units or more.")

    @property
    def length(self) -> str:
        """How long the training takes, in words."""
        return f"{self.epochs} epochs" if self.epochs else f"{self.iterations:,} iterations"


# Section II and IV of the paper: Table VII (g), "improved DNN" of Table VIII, 100 hours.
IMPROVED = Settings(
    corpus="timit-noise104",
    snrs=(20.0, 15.0, 10.0, 5.0, 0.0, -5.0),
    magnification=4,  # 4 noises at 6 levels make about 100 hours of TIMIT's 4
    sample_rate=8000,
    window=256,
    hop=128,
    context=5,
    segment_hop=1,
    repeat_edges=False,  # C++
    power=2.0,
    noise_frames=6,
    activation="sigmoid",
    input_dropout=0.1,
    scale_at_test=True,
    equalisation="beta",
    loss="mse",
    optimizer="sgd",
    learning_rate=1.0,
    momentum=0.9,
    first_momentum=0.5,
    batch=128,
    iterations=None,
    epochs=50,
)
# DNN3 without dropout, noise-aware training and equalisation.
BASE = replace(
    IMPROVED,
    dropout=0.0,
    input_dropout=0.0,
    noise_frames=0,
    equalisation=None,
    learning_rate=0.1,
    first_momentum=0.9,
    constant_epochs=10,
    decay=0.9,
    weight_decay=1e-5,
)
VARIANTS = {
    "code-full": Settings(),
    "code-mini": Settings(corpus="sednn-mini"),
    # A quarter of TIMIT's sentences: seven speeds make voices of them, higher SNRs teach what clean speech
    # is, and there is more to fit (ledger 31).
    "code-read": Settings(
        corpus="read-speech-noise115",
        train_snrs=(0.0, 10.0, 20.0, 30.0, 40.0),
        magnification=1,
        speeds=(0.8, 0.87, 0.93, 1.0, 1.07, 1.15, 1.25),
        iterations=60_000,
    ),
    # Ours: what it takes to beat the noisy input in every noise with so few sentences (ledger 30).
    "read": Settings(corpus="read-speech-noise115", magnification=9, dropout=0.0, initialisation="identity"),
    "paper": IMPROVED,
    "paper-base": BASE,
    "mini": Settings(corpus="mini", iterations=200, log_interval=50),
}
ADAPTED = {"code-read": "code-full", "read": "code-full"}


def summed_square_error(estimate, target):
    """E_r = 1/N sum_n ||X^_n - X_n||^2, the squares summed over bins (paper, equation 2)."""
    return ops.mean(ops.sum(ops.square(estimate - target), axis=-1))


LOSSES = {"mae": l1, "mse": summed_square_error}  # sednn; paper


def training_loss(settings: Settings, network: keras.Model) -> Callable:
    """Returns what a training step minimises: the distance of the spectra and the weight decay.

    BP_GPU.cu divides the gradient of the loss by the batch size N once more, but not the weight decay:
    delta = m delta - (1 - m) lr (g / N + decay w). Here the learning rate has the 1 / N (see `sgd`), so the
    decay is multiplied by N.
    """
    decay = settings.weight_decay * settings.batch

    def loss(context, target):
        error = LOSSES[settings.loss](network(context, training=True), target)
        kernels = [v for v in network.trainable_variables if v.name == "kernel"] if decay else []
        return error + 0.5 * decay * sum(ops.sum(ops.square(kernel)) for kernel in kernels)

    return loss


def make_optimizer(settings: Settings) -> keras.optimizers.Optimizer:
    """Builds the optimizer: sednn's Adam or the paper's SGD."""
    if settings.optimizer == "adam":
        return Adam(settings.learning_rate, epsilon=settings.adam_epsilon)
    return MomentumSGD(*sgd(settings, 1))


def sgd(settings: Settings, epoch: int) -> tuple[float, float]:
    """Returns learning rate and momentum of SGD in an epoch, as BP_GPU.cu has them.

    The momentum rises evenly in ten epochs; the learning rate falls after the constant ones (section IV).
    The step is multiplied by 1 - momentum and divided by the batch size, see `training_loss`.
    """
    risen = min(1.0, (epoch - 1) / 10)
    momentum = settings.first_momentum + risen * (settings.momentum - settings.first_momentum)
    falling = 0 if settings.constant_epochs is None else max(0, epoch - settings.constant_epochs)
    rate = settings.learning_rate * settings.decay**falling
    return rate / settings.batch * (1 - momentum), momentum


def schedule(settings: Settings, optimizer: keras.optimizers.Optimizer, epoch: int):
    """Sets learning rate and momentum of SGD before an epoch."""
    if isinstance(optimizer, MomentumSGD):
        optimizer.learning_rate, momentum = sgd(settings, epoch)
        optimizer.momentum.assign(momentum)


def mixing(settings: Settings) -> dict[str, object]:
    """Says how speech and noise are mixed: arguments of `data.sources.mix`."""
    return {
        "snrs": settings.snrs,
        "train_snrs": settings.snrs if settings.train_snrs is None else settings.train_snrs,
        "magnification": settings.magnification,
        "seed": settings.mixing_seed,
        "speeds": settings.speeds,
    }


def front_end(settings: Settings, mean=None, scale=None, equalisation=1.0) -> LogSpectrumFrontEnd:
    """Builds the signal processing around the network."""
    sizes = settings.window, settings.hop, settings.context
    spectra = settings.power, settings.floor, settings.noise_frames
    return LogSpectrumFrontEnd(mean, scale, *sizes, *spectra, equalisation, settings.sample_rate)


def build(settings: Settings) -> keras.Model:
    """Builds the network."""
    front = front_end(settings)
    hidden_layers, units = NETWORKS[settings.model]
    dropout = settings.dropout, settings.input_dropout, settings.scale_at_test
    network = xu.dnn(front.frames, front.bins, units, hidden_layers, settings.activation, *dropout)
    if settings.initialisation == "identity":
        xu.pass_centre_frame(network)
    return network


def log_spectra(settings: Settings, utterances: tuple[Utterance, ...]) -> Iterator[Pair]:
    """Yields the log spectra of noisy and clean files."""
    front = front_end(settings)
    reader = UtteranceReader(sample_rate=settings.sample_rate, max_bytes=0)
    for utterance in utterances:
        yield front.log_spectrum(reader.noisy(utterance)), front.log_spectrum(reader.clean(utterance))


def layout(settings: Settings) -> Layout:
    """Says how utterances are cut into segments."""
    bins = settings.window // 2 + 1
    return Layout(bins, settings.context, settings.segment_hop, settings.repeat_edges, settings.noise_frames)


def stored(settings: Settings, manifest: Manifest, run: Run) -> dict[str, Stored]:
    """Writes log spectra to disk: of the training pairs, and of those whose loss is watched."""
    watched = "validation" if manifest.split("validation") else "test"
    stores = {}
    for split, pairs in (("train", manifest.training()), (watched, manifest.split(watched))):
        run.say(f"Log spectra of {len(pairs)} {split} pairs")
        folder, spectra = run.path(f"features/{split}"), log_spectra(settings, pairs)
        stores[split] = Stored.create(folder, spectra, layout(settings))
        if not len(stores[split]):
            raise DataError(f"The {split} files are shorter than {2 * settings.context + 1} frames.")
    return stores


def normalised_by(store: Stored, settings: Settings) -> LogSpectrumFrontEnd:
    """Measures mean and deviation of all training inputs: the scaler of noisy *and* clean spectra (eq. 8)."""
    moments, width = Moments(), store.layout.width  # without a noise estimate
    for batch in store.ordered(settings.batch):
        moments.add(batch["context"][:, :width].reshape(-1, store.layout.bins))
    deviation = moments.deviation()
    return front_end(settings, moments.mean, np.where(deviation > 0, deviation, 1.0))


def fit(settings: Settings, manifest: Manifest, run: Run) -> dict[str, Enhancer]:
    """Trains and returns the network with its last weights, as the originals do."""
    with contextlib.ExitStack() as stack:
        stores = stored(settings, manifest, run)
        for store in stores.values():
            stack.callback(store.remove)
        front = normalised_by(stores["train"], settings)
        examples = {split: Transformed(store, front.normalise) for split, store in stores.items()}
        keras.utils.set_random_seed(settings.seed)
        network = build(settings)
        iterations = train(settings, network, examples, run)
        factor = equalisation(settings, network, examples["train"])
    front = front_end(settings, front.mean, front.scale, factor)
    return {
        "DNN": Enhancer(network, front, {"recipe": "xu", "seed": settings.seed, "iterations": iterations})
    }


def divided(settings: Settings, per_pass: int) -> Rounds:
    """Divides the training, sednn's by iterations, the paper's by epochs."""
    if settings.epochs:
        return Rounds(settings.epochs * per_pass, ITERATION, per_pass, log_start=True)
    return Rounds(settings.iterations, ITERATION, settings.log_interval, log_start=True)


def train(settings: Settings, network: keras.Model, examples: dict[str, Examples], run: Run) -> int:
    """Trains a network on the examples of the split "train"; returns the number of iterations."""
    optimizer = make_optimizer(settings)
    player = Player("dnn", (network,), optimizer, training_loss(settings, network))
    shapes = {"context": network.input_shape, "target": network.output_shape}
    rounds = divided(settings, examples["train"].per_pass(settings.batch))
    source = Batches(examples["train"], settings.batch, settings.seed, rounds)
    training = Training({TRAIN: Step([player], shapes, jit=True)}, source, rounds, run, Last())
    training.at_start = partial(pretrain, settings, network, examples["train"], run)
    training.before_round = partial(schedule, settings, optimizer)
    error, infer = LOSSES[settings.loss], partial(network, training=False)
    distance = evaluation(lambda context, target: error(infer(context), target), [network], shapes)
    training.measure = lambda: {
        f"{split}_loss": mean_loss(distance, each.drawn(settings.batch, settings.seed, EVALUATED))
        for split, each in examples.items()
    }
    training.fit()
    return rounds.total


def pretrain(settings: Settings, network: keras.Model, examples: Examples, run: Run):
    """Initialises the hidden layers as a stack of RBMs (paper, section II)."""

    def batches(epoch: int) -> Iterator[np.ndarray]:
        return (batch["context"] for batch in examples.drawn(settings.batch, settings.seed + epoch))

    if settings.pretraining_epochs:
        rbm.pretrain(network, batches, settings.pretraining_epochs, seed=settings.seed, progress=run.say)


def equalisation(settings: Settings, network: keras.Model, examples: Examples) -> np.ndarray | float:
    """Computes global variance equalisation on the training data, in the normalised domain.

    eta = sqrt(GV_ref / GV_est), alpha for each bin or beta over all of them (paper, section III).
    """
    if settings.equalisation is None:
        return 1.0
    infer = backends.infer(network)
    pairs = ((b["target"], infer(b["context"])) for b in examples.ordered(settings.batch))
    return deviation_ratio(pairs, per_column=settings.equalisation == "alpha")


# Measured on two cores.
SECONDS_PER_PRODUCT = 5.5e-11  # of a training step, per weight and segment
SECONDS_PER_SCORE = 0.1


def plan(settings: Settings, manifest: Manifest) -> Plan:
    """Counts iterations and estimates time and disk space."""
    audio_seconds = manifest.mean_seconds() * len(manifest.split("train"))
    frames = audio_seconds * settings.sample_rate / settings.hop
    iterations = divided(settings, int(frames / settings.segment_hop) // settings.batch + 1).total
    test = len(manifest.split("test"))
    parameters = build(settings).count_params()
    seconds = SECONDS_PER_PRODUCT * parameters * settings.batch * iterations + test * SECONDS_PER_SCORE
    size = 8 * layout(settings).bins * frames + (2 + 2 * (settings.optimizer == "adam")) * 8 * parameters
    steps = {"iterations": iterations, "scored utterances": 2 * test}
    return Plan(steps, seconds + 0.01 * audio_seconds, int(size))


def outcome(settings: Settings) -> Enhancement:
    """Says what a run ends in: the port's table has a row for each noise, the paper's for each level."""
    if settings.sample_rate == audio.SAMPLE_RATE:
        table = "README, mini data" if settings.corpus == "sednn-mini" else "README, 15 noises"
        return Enhancement(table=table, metrics=PAPER.metrics, breakdown="noise")
    row = "Improved DNN (100 h)" if settings.noise_frames else "DNN baseline (100 h)"
    scored = {"metrics": PAPER_METRICS, "sample_rate": settings.sample_rate}
    return Enhancement(table="Tables VIII and IX", rows={"DNN": row}, breakdown="snr", **scored)
