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

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_segan import audio
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.mixing import FASTEST, SLOWEST
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.data.segments import SegmentStore
from keras_segan.errors import DataError
from keras_segan.front_ends import LogSpectrumFrontEnd
from keras_segan.front_ends.moments import Moments
from keras_segan.models import xu
from keras_segan.models.base import Enhancer
from keras_segan.recipe import Paper, Plan, require_choices
from keras_segan.training import rbm
from keras_segan.training.optimizers import Adam
from keras_segan.training.regression import LOSSES, RegressionSteps, RegressionTrainer, Rounds

PAPER = Paper(
    title="A regression approach to speech enhancement based on deep neural networks",
    authors="Y. Xu, J. Du, L.-R. Dai, C.-H. Lee",
    venue="IEEE/ACM TASLP 23(1), 2015, pp. 7-19",
    url="https://doi.org/10.1109/TASLP.2014.2364452",
    metrics=("pesq-nb-raw",),
)
NETWORKS = {  # hidden layers and their units [paper, Table II]; sednn's is DNN3
    "snn1": (1, 512),
    "snn2": (1, 6144),
    "dnn1": (1, 2048),
    "dnn2": (2, 2048),
    "dnn3": (3, 2048),
    "dnn4": (4, 2048),
}
EQUALISATIONS = ("none", "alpha", "beta")


@dataclass(frozen=True)
class Config:
    """Settings of one variant; sources in brackets, [code] = sednn's mixture2clean_dnn."""

    corpus: str = "timit-noise115"
    model: str = "dnn3"  # [code, paper]
    snrs: str = "0"  # [code] dB, with commas between
    train_snrs: str = "snrs"  # [ours] the same, of the training mixtures; "snrs" for those of the test
    magnification: int = 2  # [code] noises per training utterance and SNR
    speeds: str = "1"  # [ours] factors by which training speech is played faster, with commas between
    mixing_seed: int = 0  # [code: RandomState(0)]
    sample_rate: int = 16000  # [code] Hz
    window: int = 512  # [code] samples
    hop: int = 256  # [code] samples
    context: int = 3  # [code: 7 frames] on each side
    segment_hop: int = 3  # [code: n_hop] frames
    repeat_edges: bool = True  # [code: pad_with_border]
    power: float = 1.0  # [code: log magnitude]
    floor: float = 1e-8  # [code: log_sp]
    noise_frames: int = 0  # noise-aware training: frames of the noise estimate
    activation: str = "relu"  # [code]
    dropout: float = 0.2  # [code]
    input_dropout: float = 0.0  # [code]
    scale_at_test: bool = False  # [Keras] dropout divides what it keeps in training
    initialisation: str = "glorot"  # [Keras] or "identity" [ours]: the noisy frame is passed on at first
    pretraining_epochs: int = 0  # of each RBM
    equalisation: str = "none"  # global variance: "alpha" per bin, "beta" one factor
    loss: str = "mae"  # [code] or "mse", summed over bins
    optimizer: str = "adam"  # [code] or "sgd"
    learning_rate: float = 1e-4  # [code]
    adam_epsilon: float = 1e-7  # [Keras 2.2.4]
    constant_epochs: int = 0  # epochs before the learning rate of SGD falls; 0: never
    decay: float = 1.0  # factor per epoch then
    momentum: float = 0.0  # of SGD
    first_momentum: float = 0.0  # in the first epoch; rises evenly to `momentum` in the eleventh
    weight_decay: float = 0.0
    batch: int = 500  # [code] segments
    iterations: int = 10_000  # [code] used if epochs is 0
    epochs: int = 0  # passes over the training data
    log_interval: int = 1000  # [code] iterations between two evaluations and checkpoints
    seed: int = 0  # [ours; the original sets none]

    def __post_init__(self):
        choices = {
            "model": NETWORKS,
            "equalisation": EQUALISATIONS,
            "initialisation": ("glorot", "identity"),
            "loss": LOSSES,
            "optimizer": ("adam", "sgd"),
        }
        require_choices(self, choices)
        if max(self.epochs, self.iterations) < 1 or min(self.batch, self.log_interval) < 1:
            raise ValueError("epochs or iterations, batch and log_interval must be at least 1.")
        if self.pretraining_epochs and self.activation != "sigmoid":
            raise ValueError("pretraining_epochs needs activation=sigmoid: RBMs have Bernoulli hidden units.")
        if self.initialisation == "identity" and (self.activation != "relu" or self.scale_at_test):
            raise ValueError("initialisation=identity needs activation=relu and scale_at_test=false.")
        if self.initialisation == "identity" and NETWORKS[self.model][1] < self.window + 2:
            raise ValueError(f"initialisation=identity needs a model of {self.window + 2} units or more.")
        if not self.levels or not self.train_levels or not np.isfinite(self.levels + self.train_levels).all():
            raise ValueError("snrs and train_snrs must each name at least one level in dB.")
        if not self.speed_factors or not all(SLOWEST <= factor <= FASTEST for factor in self.speed_factors):
            raise ValueError(f"speeds must name at least one factor, all from {SLOWEST:g} to {FASTEST:g}.")

    @property
    def levels(self) -> tuple[float, ...]:
        """The signal-to-noise ratios in dB."""
        return _numbers(self.snrs)

    @property
    def train_levels(self) -> tuple[float, ...]:
        """The signal-to-noise ratios of the training mixtures in dB."""
        return self.levels if self.train_snrs == "snrs" else _numbers(self.train_snrs)

    @property
    def speed_factors(self) -> tuple[float, ...]:
        """The speeds of the training speech."""
        return _numbers(self.speeds)

    @property
    def length(self) -> str:
        """How long the training takes, in words."""
        return f"{self.epochs} epochs" if self.epochs else f"{self.iterations:,} iterations"


def _numbers(listed: str) -> tuple[float, ...]:
    return tuple(float(number) for number in listed.split(",") if number.strip())


# Section II and IV of the paper: Table VII (g), "improved DNN" of Table VIII, 100 hours.
IMPROVED = Config(
    corpus="timit-noise104",
    snrs="20,15,10,5,0,-5",
    magnification=4,  # 4 noises at 6 levels make about 100 hours of TIMIT's 4
    sample_rate=8000,
    window=256,
    hop=128,
    context=5,
    segment_hop=1,
    repeat_edges=False,  # [C++ code]
    power=2.0,
    noise_frames=6,
    activation="sigmoid",
    dropout=0.2,
    input_dropout=0.1,
    scale_at_test=True,
    equalisation="beta",
    loss="mse",
    optimizer="sgd",
    learning_rate=1.0,
    momentum=0.9,
    first_momentum=0.5,
    weight_decay=0.0,  # [C++ code]
    batch=128,
    epochs=50,
)
BASE = {  # DNN3 without dropout, noise-aware training and equalisation
    "dropout": 0.0,
    "input_dropout": 0.0,
    "noise_frames": 0,
    "equalisation": "none",
    "learning_rate": 0.1,
    "first_momentum": 0.9,
    "constant_epochs": 10,
    "decay": 0.9,
    "weight_decay": 1e-5,
}
VARIANTS = {
    "code-full": Config(),
    "code-mini": Config(corpus="sednn-mini"),
    # A quarter of TIMIT's sentences: seven speeds make voices of them, higher SNRs teach what clean speech
    # is, and there is more to fit (ledger 31).
    "code-read": Config(
        corpus="read-speech-noise115",
        train_snrs="0,10,20,30,40",
        magnification=1,
        speeds="0.8,0.87,0.93,1,1.07,1.15,1.25",
        iterations=60_000,
    ),
    # Ours: what it takes to beat the noisy input in every noise with so few sentences (ledger 30).
    "read": Config(corpus="read-speech-noise115", magnification=9, dropout=0.0, initialisation="identity"),
    "paper": IMPROVED,
    "paper-base": Config(**{**vars(IMPROVED), **BASE}),
    "mini": Config(corpus="mini", iterations=200, log_interval=50),
}
ADAPTED = {"code-read": "code-full", "read": "code-full"}


def mixing(config: Config) -> dict:
    """Says how speech and noise are mixed: arguments of `data.sources.mix`."""
    return {
        "snrs": config.levels,
        "train_snrs": config.train_levels,
        "magnification": config.magnification,
        "seed": config.mixing_seed,
        "speeds": config.speed_factors,
    }


def front_end(config: Config, mean=None, scale=None, equalisation=1.0) -> LogSpectrumFrontEnd:
    """Builds the signal processing around the network."""
    return LogSpectrumFrontEnd(
        mean,
        scale,
        config.window,
        config.hop,
        config.context,
        config.power,
        config.floor,
        config.noise_frames,
        equalisation,
        config.sample_rate,
    )


def build(config: Config) -> keras.Model:
    """Builds the network."""
    front = front_end(config)
    hidden_layers, units = NETWORKS[config.model]
    network = xu.dnn(
        front.frames,
        front.bins,
        units,
        hidden_layers,
        config.activation,
        config.dropout,
        config.input_dropout,
        config.scale_at_test,
    )
    if config.initialisation == "identity":
        xu.pass_centre_frame(network)
    return network


def log_spectra(config: Config, utterances: tuple[Utterance, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the log spectra of noisy and clean files."""
    front = front_end(config)
    reader = UtteranceReader(sample_rate=config.sample_rate, max_bytes=0)
    for utterance in utterances:
        yield front.log_spectrum(reader.noisy(utterance)), front.log_spectrum(reader.clean(utterance))


def segments(config: Config, utterances: tuple[Utterance, ...], folder: Path) -> SegmentStore:
    """Writes the log spectra of files to disk."""
    return SegmentStore.create(
        folder,
        log_spectra(config, utterances),
        config.window // 2 + 1,
        config.context,
        config.segment_hop,
        config.repeat_edges,
    )


def normalised_by(store: SegmentStore, config: Config) -> LogSpectrumFrontEnd:
    """Measures mean and deviation of all training inputs: the scaler of noisy *and* clean spectra."""
    moments = Moments()
    for context, _ in store.ordered(config.batch):
        moments.add(context.reshape(-1, context.shape[-1]))
    deviation = moments.deviation()
    return front_end(config, moments.mean, np.where(deviation > 0, deviation, 1.0))


def optimizer(config: Config) -> keras.optimizers.Optimizer:
    """Builds the optimizer; SGD as the authors' trainer has it.

    BP_GPU.cu divides the gradient of the mean by the batch once more and multiplies the step by
    1 - momentum.
    """
    if config.optimizer == "adam":
        return Adam(config.learning_rate, epsilon=config.adam_epsilon)
    return keras.optimizers.SGD(config.learning_rate / config.batch, momentum=config.first_momentum)


def schedule(config: Config, steps: RegressionSteps):
    """Returns the function that sets learning rate and momentum of SGD before each epoch."""

    def before(epoch: int):
        if config.optimizer != "sgd":
            return
        risen = min(1.0, (epoch - 1) / 10)
        momentum = config.first_momentum + risen * (config.momentum - config.first_momentum)
        falling = max(0, epoch - config.constant_epochs) if config.constant_epochs else 0
        rate = config.learning_rate * config.decay**falling
        steps.set_sgd(rate / config.batch * (1 - momentum), momentum)

    return before


def fit(config: Config, manifest: Manifest, run) -> dict[str, Enhancer]:
    """Trains and returns the network with its last weights, as the originals do."""
    watched = "validation" if manifest.split("validation") else "test"
    stores = {}
    for split, pairs in (("train", manifest.training()), (watched, manifest.split(watched))):
        run.say(f"Log spectra of {len(pairs)} {split} pairs")
        stores[split] = segments(config, pairs, run.path(f"features/{split}"))
        if not len(stores[split]):
            raise DataError(f"The {split} files are shorter than {2 * config.context + 1} frames.")
    front = normalised_by(stores["train"], config)

    def read(store: SegmentStore, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        context, target = store.batch(numbers, config.noise_frames)
        return front.normalise(context), front.normalise(target)

    keras.utils.set_random_seed(config.seed)
    network = build(config)
    steps = RegressionSteps(
        network, optimizer(config), LOSSES[config.loss], config.weight_decay * config.batch
    )
    per_epoch = -(-len(stores["train"]) // config.batch)
    rounds = Rounds(
        config.epochs * per_epoch or config.iterations,
        per_epoch if config.epochs else config.log_interval,
        config.batch,
        seed=config.seed,
    )
    trainer = RegressionTrainer(steps, stores, read, rounds, run, schedule(config, steps))
    if config.pretraining_epochs and trainer.done == 0:
        pretrain(config, network, stores["train"], read, run)
    trainer.fit()
    front = front_end(config, front.mean, front.scale, equalisation(config, network, stores["train"], read))
    for store in stores.values():
        store.remove()
    facts = {"recipe": "xu", "seed": config.seed, "iterations": rounds.iterations}
    return {"DNN": Enhancer(network, front, facts)}


def pretrain(config: Config, network: keras.Model, store: SegmentStore, read, run):
    """Initialises the hidden layers as a stack of RBMs (paper, section II)."""

    def batches(epoch: int) -> Iterator[np.ndarray]:
        for number in range(-(-len(store) // config.batch)):
            yield read(store, store.order(config.batch, number, config.seed + epoch))[0]

    rbm.pretrain(network, batches, config.pretraining_epochs, seed=config.seed, progress=run.say)


def equalisation(config: Config, network: keras.Model, store: SegmentStore, read) -> np.ndarray | float:
    """Computes the factors of global variance equalisation on the training data (paper, section III-C)."""
    if config.equalisation == "none":
        return 1.0
    reference, estimated = Moments(), Moments()
    for start in range(0, len(store), config.batch):
        context, target = read(store, np.arange(start, min(start + config.batch, len(store))))
        for moments, rows in ((reference, target), (estimated, network(context, training=False))):
            rows = keras.ops.convert_to_numpy(rows)
            moments.add(rows if config.equalisation == "alpha" else rows.reshape(-1))
    return reference.deviation() / estimated.deviation()


def estimate(config: Config, manifest: Manifest) -> Plan:
    """Counts iterations and estimates time and disk space."""
    audio_seconds = manifest.mean_seconds() * len(manifest.split("train"))
    frames = audio_seconds * config.sample_rate / config.hop
    per_epoch = int(frames / config.segment_hop) // config.batch + 1
    iterations = config.epochs * per_epoch or config.iterations
    test = len(manifest.split("test"))
    parameters = build(config).count_params()
    seconds = SECONDS_PER_PRODUCT * parameters * config.batch * iterations
    bins = config.window // 2 + 1
    size = 8 * bins * frames + (2 + 2 * (config.optimizer == "adam")) * 8 * parameters
    steps = {"iterations": iterations, "scored utterances": 2 * test}
    return Plan(steps, seconds + test * SECONDS_PER_SCORE + 0.01 * audio_seconds, int(size))


# Measured on two cores.
SECONDS_PER_PRODUCT = 5.5e-11  # of a training step, per weight and segment
SECONDS_PER_SCORE = 0.1


def shown_metrics(config: Config) -> tuple[str, ...]:
    """Returns the port's metric, or those of the paper."""
    return PAPER.metrics if config.sample_rate == audio.SAMPLE_RATE else PAPER_METRICS


PAPER_METRICS = ("pesq-nb-raw", "lsd", "ssnr", "stoi")


def published(config: Config) -> tuple[str, str]:
    """Returns table and row of the published numbers."""
    if config.sample_rate != audio.SAMPLE_RATE:
        return "Tables VIII and IX", "Improved DNN (100 h)" if config.noise_frames else "DNN baseline (100 h)"
    return ("README, mini data" if config.corpus == "sednn-mini" else "README, 15 noises"), "DNN"


def breakdown(config: Config) -> str:
    """The port's table has a row for each noise, the paper's for each level."""
    return "noise" if config.sample_rate == audio.SAMPLE_RATE else "snr"
