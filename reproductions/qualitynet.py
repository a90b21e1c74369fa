"""Quality-Net (Fu, Tsao, Hwang, Wang, Interspeech 2018): PESQ predicted without a clean reference.

Data: TIMIT with 90 noises at 8 levels (-10 to 25 dB), noisy, enhanced by an LSTM, and clean.
Expected score: correlation with PESQ of 0.90 on noisy and 0.84 on enhanced speech.
Expected time: 20 to 40 ms a file and epoch on a CPU core, an hour for 8,800 files and 15 epochs. The mini
variant takes two minutes.

    kseg reproduce qualitynet                             # bundled mini corpus
    kseg data score CORPUS --model metricgan-plus --out SCORED
    kseg reproduce qualitynet --data SCORED/manifest.csv  # the released program
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_segan import backends, labelling
from keras_segan.data.examples.whole import WholeUtterances
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.layers.gate_dropout_lstm import without_feedback
from keras_segan.models import qualitynet
from keras_segan.models.base import Predictor
from keras_segan.reproduction.outcomes import Prediction
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training.keep import Best, clone_with
from keras_segan.training.loop import Batch, Rounds, Training
from keras_segan.training.optimizers import Keras2RMSprop
from keras_segan.training.player import Player
from keras_segan.training.sources import Batches
from keras_segan.training.step import Step

PAPER = Paper(
    title="Quality-Net: An End-to-End Non-intrusive Speech Quality Assessment Model based on BLSTM",
    authors="S.-W. Fu, Y. Tsao, H.-T. Hwang, H.-M. Wang",
    venue="Interspeech 2018",
    url="https://arxiv.org/abs/1808.05344",
    metrics=("lcc", "srcc", "mse"),
)
PROGRAM = "Quality_net_training_Non_intrusive.py"
FIRST, TRAIN = "first", "train"  # names of the steps


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of one variant."""

    corpus: str = setting("timit-noise90", "corpus", source="ledger 1", role="neutral")
    target: str = setting(
        "pesq-nb-raw", "definition id of the predicted score", source="author, issue 2", role="row"
    )
    best_score: float = setting(4.5, "Q_max, the best score there is", source=f"{PROGRAM}: Frame_mse")
    epochs: int = setting(15, "epochs", source=f"{PROGRAM}: epoch", unit="epochs", at_least=1, role="length")
    batch_size: int = setting(1, "utterances of one step", source=f"{PROGRAM}: the generators", at_least=1)
    frame_loss: str = setting(
        "mean", "how errors of frames are gathered", source=f"{PROGRAM}: Frame_mse", choices=("mean", "sum")
    )
    learning_rate: float = setting(1e-3, "RMSprop's step size", source="Keras 2", at_least=0)
    epsilon: float = setting(1e-8, "RMSprop's epsilon, outside the root", source="Keras 2.0.9", at_least=0)
    dropout: float = setting(
        0.3, "share dropped of inputs, states and hidden units", source=PROGRAM, at_least=0
    )
    forget_bias: float = setting(-3.0, "initial bias of the forget gates", source=PROGRAM)
    largest_norm: float | None = setting(
        1e-5, "largest norm of the recurrent kernels' columns", source=PROGRAM, at_least=0
    )
    feedback: str = setting(
        "first",
        "steps that compute the recurrence through h: first, or always (equal to 6e-6, ten times as long)",
        source="ours",
        choices=("first", "always"),
        role="neutral",
    )
    select: str = setting(
        "validation", "set that chooses the weights", source="ours", choices=("validation", "test")
    )
    enhancers: tuple[str, ...] = setting(
        ("metricgan-plus", "metricgan-pesq", "wiener"),
        "what makes the enhanced files of data that come without scores, in turn",
        source="ours: the paper's LSTM is not released",
    )
    enhance_all: bool = setting(False, "every file by every enhancer, instead of one each", source="ours")
    seed: int = setting(999, "seed", source=f"{PROGRAM}: random.seed", role="neutral", at_least=0)

    def check(self):
        """Without the constraint the recurrence must be computed."""
        if self.largest_norm is None and self.feedback != "always":
            raise ValueError("feedback must be always where largest_norm is none.")


CODE = Settings(select="test")
PUBLISHED = dataclasses.replace(CODE, frame_loss="sum", select="validation")  # equations 1 and 2
MINI = dataclasses.replace(
    CODE, corpus="mini", select="validation", enhancers=("metricgan-stoi", "wiener"), enhance_all=True
)
VARIANTS = {"code": CODE, "paper": PUBLISHED, "mini": MINI}


class Objective:
    """The losses.

    Args:
        settings: The settings.
        network: From magnitudes to scores of frames and of the utterance.
    """

    def __init__(self, settings: Settings, network: keras.Model):
        self.settings = settings
        self.network = network

    def outputs(self, features, frames=None):
        """The network's scores in training; padding after each utterance's own frames is masked."""
        mask = None
        if frames is not None:
            mask = ops.arange(ops.shape(features)[1])[None] < ops.cast(frames, "int32")[:, None]
        return self.network(features, training=True, mask=mask), mask

    def loss(self, features, score, frames=None):
        """Equation 1: (Q - Q')^2 + alpha(Q) sum_t (Q - q_t)^2, alpha(Q) = 10^(Q - Q_max) (equation 2).

        Q is the true score of an utterance, Q' the predicted one, q_t that of frame t. The released program
        has the mean over t.
        """
        outputs, mask = self.outputs(features, frames)
        utterance = ops.square(score - outputs["score"])[:, 0]
        errors = ops.square(score - outputs["frame_scores"])
        kept = ops.ones_like(errors) if mask is None else ops.cast(mask, errors.dtype)
        gathered = ops.sum(errors * kept, axis=1)
        if self.settings.frame_loss == "mean":
            gathered = gathered / ops.sum(kept, axis=1)
        weight = ops.power(10.0, score - self.settings.best_score)[:, 0]
        return ops.mean(utterance + weight * gathered), {
            "utterance_loss": ops.mean(utterance),
            "frame_loss": ops.mean(weight * gathered),
        }

    def loss_without_feedback(self, features, score, frames=None):
        """The same with recurrent kernels of zero; they are 1e-5 after the first step (ledger 6)."""
        with without_feedback(self.network):
            return self.loss(features, score, frames)

    def steps(self) -> dict[str, Step]:
        """Compiles the steps: the first one, and all others."""
        settings = self.settings
        optimizer = Keras2RMSprop(settings.learning_rate, epsilon=settings.epsilon)
        shapes = {
            "features": (None, None, self.network.input_shape[-1]),
            "score": (None, 1),
            "frames": (None,),
        }
        exact = Player("q", (self.network,), optimizer, self.loss)
        fast = dataclasses.replace(exact, loss=self.loss_without_feedback)
        return {FIRST: Step([exact], shapes), TRAIN: Step([fast], shapes)}


class FirstStepApart(Batches):
    """Random batches, on the first of which, or on all, another step is taken.

    Args:
        *args: Of `Batches`.
        always: Whether on all.
    """

    def __init__(self, *args, always: bool):
        super().__init__(*args)
        self.always = always

    def round(self, number: int) -> Iterator[Batch]:
        """Yields the batches of a round."""
        for position, batch in enumerate(super().round(number)):
            is_first = self.always or (number == 1 and position == 0)
            yield dataclasses.replace(batch, steps=(FIRST,) if is_first else (TRAIN,))


def build(settings: Settings) -> keras.Model:
    """Builds the network."""
    return qualitynet.network(
        dropout=settings.dropout, forget_bias=settings.forget_bias, largest_norm=settings.largest_norm
    )


def prepare(settings: Settings, manifest: Manifest, run) -> Manifest:
    """Enhances and scores the pairs, if the data came without scores."""
    return labelling.ensure(manifest, settings.enhancers, settings.target, run, settings.enhance_all)


def examples(utterances: tuple[Utterance, ...]) -> WholeUtterances:
    """Returns utterances as magnitudes with their scores."""
    front, reader = qualitynet.front_end(), UtteranceReader(max_bytes=0)

    def arrays(utterance: Utterance) -> dict[str, np.ndarray]:
        score = np.array([utterance.score], np.float32)
        return {"features": front.analyse(reader.noisy(utterance))[0], "score": score}

    return WholeUtterances(utterances, arrays)


VALIDATION_BATCH = 8


def measured(settings: Settings, network: keras.Model, watched: WholeUtterances, split: str):
    """Returns the function that measures loss and correlation on the watched utterances."""
    infer = backends.infer(network)

    def measure() -> dict[str, float]:
        losses, true, predicted = [], [], []
        with without_feedback(network, settings.feedback == "always"):
            for batch in watched.ordered(VALIDATION_BATCH):
                frames = batch.get("frames", np.array([batch["features"].shape[1]]))
                mask = np.arange(batch["features"].shape[1]) < frames[:, None]
                outputs = infer(batch["features"], mask.astype(np.float32))
                errors = np.square(batch["score"] - outputs["frame_scores"][:, : mask.shape[1]]) * mask
                gathered = errors.sum(axis=1) / (frames if settings.frame_loss == "mean" else 1.0)
                weight = 10.0 ** (batch["score"] - settings.best_score)
                difference = np.square(batch["score"] - outputs["score"])
                losses += (difference[:, 0] + weight[:, 0] * gathered).tolist()
                true += batch["score"][:, 0].tolist()
                predicted += outputs["score"][:, 0].tolist()
        correlation = float(np.corrcoef(true, predicted)[0, 1]) if len(set(true)) > 1 else 0.0
        return {f"{split}_loss": float(np.mean(losses)), f"{split}_lcc": correlation}

    return measure


def fit(settings: Settings, manifest: Manifest, run) -> dict[str, Predictor]:
    """Trains and returns the predictors: best on the chosen set, last epoch."""
    network = build(settings)
    rounds = Rounds(settings.epochs)
    train = examples(manifest.training())
    source = FirstStepApart(
        train, settings.batch_size, settings.seed, rounds, always=settings.feedback == "always"
    )
    split = settings.select if manifest.split(settings.select) else "test"
    best = Best(network, f"{split}_loss")
    training = Training(Objective(settings, network).steps(), source, rounds, run, best)
    training.measure = measured(settings, network, examples(manifest.split(split)), split)
    training.fit()
    facts = {
        "recipe": "qualitynet",
        "seed": settings.seed,
        "definition": settings.target,
        "range": [min(u.score for u in train.utterances), max(u.score for u in train.utterances)],
    }
    systems = {}
    if best.kept is not None:
        chosen = {**facts, "system": f"best on {split}", "epoch": best.kept.position}
        systems[f"best on {split}"] = predictor(clone_with(network, best.kept.weights), chosen)
    return {**systems, "last": predictor(network, {**facts, "system": "last", "epoch": settings.epochs})}


def predictor(network: keras.Model, facts: dict) -> Predictor:
    """Returns the network with its signal processing."""
    return Predictor(network, qualitynet.front_end(), facts)


SECONDS_PER_STEP = 0.012  # for a second of audio, on two cores
SECONDS_PER_SCORE = 0.15


def plan(settings: Settings, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    scored = all(u.score is not None for u in manifest.utterances)
    copies = 1 if scored else 1.1 * (1 + (len(settings.enhancers) if settings.enhance_all else 1))
    files = int(copies * len(manifest))
    steps = int(copies * len(manifest.split("train"))) * settings.epochs // settings.batch_size
    seconds = manifest.mean_seconds() * settings.batch_size * steps * SECONDS_PER_STEP
    seconds += 0 if scored else files * SECONDS_PER_SCORE
    size = 10_000_000 + (0 if scored else int(files * manifest.mean_seconds() * 32_000))
    return Plan({"steps": steps, "files": files}, seconds, size)


def outcome(settings: Settings) -> Prediction:
    """A predicted score, by kind of file and by enhancer."""
    return Prediction(
        table="Correlation with PESQ",
        rows="Quality-Net",
        target=settings.target,
        groups=("group", "enhancer"),
        truth=lambda utterance: utterance.score,
        chosen_on=settings.select,
    )
