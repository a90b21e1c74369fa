"""Q-Net (Fu, Liao, Tsao, IEEE SPL 2020): an enhancer that climbs on a frozen predictor of PESQ.

Data: TIMIT as mixed for MetricGAN (15,000 training pairs).
Expected score: +0.18 PESQ over the enhancer trained with MSE, STOI kept.
Expected time: step 1 half a second a file, step 2 half a second an utterance on two cores: days for
TIMIT. The mini variant takes two minutes.

    kseg reproduce qnet                                   # bundled mini corpus, both steps
    kseg reproduce qnet --data TIMIT --variant paper
    kseg reproduce qnet --step predictor --data SCORED/manifest.csv   # the released PyTorch program
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_segan import audio, backends, labelling
from keras_segan.data.examples.whole import WholeUtterances
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.errors import DataError
from keras_segan.metrics.pool import ScoreItem
from keras_segan.models import metricgan, qnet, registry
from keras_segan.models.base import Enhancer, ReferencePredictor, SpectralMaskFrontEnd
from keras_segan.reproduction import plots
from keras_segan.reproduction.outcomes import Enhancement, Outcome, Prediction
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training import losses
from keras_segan.training.keep import Best, KeepAll, clone_with
from keras_segan.training.loop import ITERATION, Rounds, Training
from keras_segan.training.optimizers import Adam, TorchAdam
from keras_segan.training.plateau import rate_after
from keras_segan.training.player import Player
from keras_segan.training.run_folder import Run
from keras_segan.training.sources import Batches, Phases
from keras_segan.training.step import Step

PAPER = Paper(
    title="Learning with Learned Loss Function: Speech Enhancement with Quality-Net to Improve PESQ",
    authors="S.-W. Fu, C.-F. Liao, Y. Tsao",
    venue="IEEE Signal Processing Letters 27, 2020",
    url="https://arxiv.org/abs/1905.01898",
    metrics=("pesq-nb-raw", "stoi"),
)
LETTER, PROGRAM = "letter, section II (notes)", "seunghyeon528/Q-Net"
SCALES = {"zero-to-best": (4.5, 0.0), "whole-range": (5.0, -0.5)}  # factor and offset to PESQ
TUNED, BEFORE = "fine-tuned", "MSE"  # names of the systems


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of one variant."""

    corpus: str = setting("timit-noise10", "corpus", source="MetricGAN, Table 1", role="neutral")
    step: str = setting(
        "both", "what is trained", source="ours", choices=("predictor", "enhancer", "both"), role="row"
    )
    target: str = setting(
        "pesq-nb-raw", "definition id of the predicted score", source="ledger 2", role="row"
    )
    network: str = setting(
        "program", "the predictor", source=f"{PROGRAM}: model.py", choices=("program", "letter")
    )
    filters: tuple[int, ...] = setting((15, 25, 40, 50), "filters of the convolutions", source=PROGRAM)
    scale: str = setting(
        "zero-to-best",
        "PESQ / 4.5, or (PESQ + 0.5) / 5",
        source=f"{PROGRAM}: dataset.py",
        choices=tuple(SCALES),
    )
    hop: int = setting(128, "distance of frames", source=f"{PROGRAM}: dataset.py", unit="samples", at_least=1)
    window: str = setting("hann-periodic", "window of the transform", source=f"{PROGRAM}: librosa's default")
    centred: bool = setting(False, "whether frames reach beyond the ends", source=f"{PROGRAM}: center")
    epochs: int = setting(
        100, "epochs of the predictor", source=f"{PROGRAM}: README", unit="epochs", at_least=1, role="length"
    )
    batch_size: int = setting(
        3, "pairs of a step of the predictor", source="ours: required there", at_least=1
    )
    learning_rate: float = setting(1e-3, "Adam's step size", source="ours: required there", at_least=0)
    patience: int = setting(2, "epochs before the step size is halved", source=f"{PROGRAM}: train.py")
    smallest_rate: float = setting(5e-6, "smallest step size", source=f"{PROGRAM}: train.py", at_least=0)
    predictor: str = setting("", "name or file of a trained predictor, for step enhancer", source="ours")
    enhancers: tuple[str, ...] = setting(
        ("metricgan-plus", "metricgan-pesq", "wiener"), "what makes the enhanced files", source="ours"
    )
    pretraining_epochs: int = setting(20, "epochs of the enhancer with MSE", source="ours", at_least=0)
    pretraining_rate: float = setting(1e-3, "Adam's step size before", source="ours", at_least=0)
    iterations: int = setting(
        30,
        "rounds through the predictor",
        source="letter, Fig. 2",
        unit="iterations",
        at_least=1,
        role="length",
    )
    utterances_per_iteration: int = setting(
        100, "utterances of a round", source="ours: open in the letter", at_least=1
    )
    tuning_rate: float = setting(1e-4, "Adam's step size through the predictor", source="ours", at_least=0)
    goal: float = setting(1.0, "normalised score that the enhancer aims at", source=LETTER)
    mask_floor: float = setting(0.05, "smallest value of the mask", source="MetricGAN", at_least=0)
    units: int = setting(
        200, "LSTM units of each direction", source="ours: MetricGAN's generator", at_least=1
    )
    hidden: int = setting(300, "hidden units", source="ours: MetricGAN's generator", at_least=1)
    validation_limit: int = setting(100, "validation utterances of a round", source="ours", at_least=1)
    seed: int = setting(0, "seed", source=f"{PROGRAM}: the split", role="neutral", at_least=0)

    def check(self):
        """The enhancer alone needs a predictor that is there."""
        if self.step == "enhancer" and not self.predictor:
            raise ValueError("step enhancer needs predictor, the name or file of a trained one.")

    @property
    def convolutions(self) -> tuple[tuple[int, int], ...]:
        """Filters and kernel size of each convolution."""
        return tuple(zip(self.filters, (5, 7, 9, 11), strict=True))


CODE = Settings(step="predictor")
PUBLISHED = Settings(
    network="letter",
    scale="whole-range",
    hop=256,
    window="hamming-symmetric",
    centred=True,
    batch_size=1,
    epochs=20,
)
MINI = dataclasses.replace(
    PUBLISHED,
    corpus="mini",
    filters=(8, 12, 16, 20),
    epochs=4,
    enhancers=("wiener",),
    pretraining_epochs=6,
    iterations=8,
    utterances_per_iteration=8,
    tuning_rate=3e-4,
    units=64,
    hidden=96,
)
VARIANTS = {"code": CODE, "paper": PUBLISHED, "mini": MINI}


class PredictorObjective:
    """Step 1: the predictor learns true scores.

    Args:
        network: From the pair to a normalised score.
    """

    def __init__(self, network: keras.Model):
        self.network = network

    def loss(self, features, score):
        """Mean squared error of the normalised score; `features` `(batch, frames, bins, 2)`, clean first.

        Padding of a batch is not masked, as in the program (ledger 9).
        """
        images = ops.transpose(features, (0, 2, 1, 3))
        return losses.l2(self.network(images, training=True)["score"], score)

    def step(self, learning_rate: float, bins: int = qnet.BINS) -> Step:
        """Compiles the step."""
        player = Player("q", (self.network,), TorchAdam(learning_rate), self.loss)
        return Step([player], {"features": (None, None, bins, 2), "score": (None, 1)})


class EnhancerObjective:
    """Step 2: the enhancer, first by squared error, then through the frozen predictor.

    Args:
        settings: The settings.
        generator: From normalised magnitudes to the mask.
        predictor: From the pair to a normalised score; never moved.
        target: Score that is aimed at.
        training: Whether the predictor is in training mode, with the statistics of the batch.
    """

    def __init__(self, settings: Settings, generator, predictor, target: float, training: bool = False):
        self.settings = settings
        self.generator = generator
        self.predictor = predictor
        self.target = target
        self.training = training

    def enhanced(self, features, noisy):
        """N * G(N): the masked magnitude `(batch, frames, bins)`."""
        mask = ops.maximum(self.generator(features, training=True), self.settings.mask_floor)
        return mask * noisy

    def predicted(self, clean, degraded):
        """Q(degraded, clean) `(batch, 1)`."""
        images = [ops.transpose(x, (0, 2, 1)) for x in (clean, degraded)]
        return self.predictor(ops.stack(images, axis=-1), training=self.training)["score"]

    def distances(self, clean, degraded):
        """(1 - Q(N_u * G(N_u), C_u))^2 of each utterance u."""
        return ops.square(self.target - self.predicted(clean, degraded))

    def tuning_loss(self, features, noisy, clean):
        """The letter's equation: sum over u of (1 - Q(N_u * G(N_u), C_u))^2, and nothing else."""
        return ops.sum(self.distances(clean, self.enhanced(features, noisy)))

    def squared_error(self, features, noisy, clean):
        """The loss before: the squared distance of N * G(N) from C."""
        return losses.utterance_l2(self.enhanced(features, noisy), clean)

    def steps(self) -> dict[str, Step]:
        """Compiles both steps; each has an Adam of its own."""
        bins = (None, None, self.generator.input_shape[-1])
        shapes = {"features": bins, "noisy": bins, "clean": bins}
        rates = {"pretrain": self.settings.pretraining_rate, "tune": self.settings.tuning_rate}
        loss_of = {"pretrain": self.squared_error, "tune": self.tuning_loss}
        return {
            name: Step([Player("g", (self.generator,), Adam(rate), loss_of[name])], shapes, [self.predictor])
            for name, rate in rates.items()
        }


class Validation:
    """Predicted and true scores of the enhancer on validation pairs: the curve of the letter's Fig. 5.

    Args:
        settings: The settings.
        enhancer: The enhancer under training.
        objective: Has the predictor.
        utterances: What is enhanced.
        run: Has the scoring processes.
    """

    def __init__(self, settings, enhancer, objective, utterances: Sequence[Utterance], run: Run):
        self.settings = settings
        self.enhancer = enhancer
        self.utterances = tuple(utterances)[: settings.validation_limit]
        self.run = run
        self.predict = backends.compile_step(
            objective.predicted, objective.predictor.variables, [(None, None, qnet.BINS)] * 2
        )
        self.reader = UtteranceReader()

    def __call__(self, prefix: str) -> dict[str, float]:
        """Returns columns of the log, their names beginning with a prefix."""
        noisy = [self.reader.noisy(u) for u in self.utterances]
        clean = [self.reader.clean(u) for u in self.utterances]
        enhanced = [np.clip(each, -1.0, 1.0) for each in self.enhancer.enhance_many(noisy)]
        items = [
            ScoreItem(u.id, c, e, audio.SAMPLE_RATE, (self.settings.target, "stoi"))
            for u, c, e in zip(self.utterances, clean, enhanced, strict=True)
        ]
        handle = self.run.pool.submit(items)
        front = self.enhancer.front_end
        pairs = [[front.magnitude(x)[None] for x in pair] for pair in zip(clean, enhanced, strict=True)]
        predicted = [float(ops.convert_to_numpy(self.predict(*pair))[0, 0]) for pair in pairs]
        found = [result.scores for result in self.run.pool.gather(handle) if result.scores]
        factor, offset = SCALES[self.settings.scale]
        true = {name: float(np.mean([s[name] for s in found])) for name in (self.settings.target, "stoi")}
        return {
            f"{prefix}_predicted": factor * float(np.mean(predicted)) + offset,
            f"{prefix}_true": true[self.settings.target],
            f"{prefix}_stoi": true["stoi"],
        }


def build(settings: Settings) -> tuple[keras.Model, keras.Model]:
    """Builds predictor and enhancer."""
    make = qnet.network if settings.network == "program" else qnet.letter_network
    predictor = make(convolutions=settings.convolutions)
    return predictor, metricgan.generator(units=settings.units, hidden=settings.hidden, name="qnet_enhancer")


def predictor_front_end(settings: Settings):
    """Builds the signal processing of the predictor."""
    return qnet.front_end(settings.hop, settings.window, "reflect" if settings.centred else "drop")


def enhancer_front_end(settings: Settings) -> SpectralMaskFrontEnd:
    """Builds the signal processing of the enhancer, with the predictor's frames."""
    return SpectralMaskFrontEnd(
        mask_floor=settings.mask_floor, hop=settings.hop, window=settings.window, tail=settings.hop
    )


def scored_pairs(settings: Settings, utterances: Iterable[Utterance]) -> WholeUtterances:
    """Returns pairs of magnitudes with their normalised score."""
    front, reader = predictor_front_end(settings), UtteranceReader(max_bytes=0)
    factor, offset = SCALES[settings.scale]

    def arrays(u: Utterance) -> dict[str, np.ndarray]:
        pair = [front.analyse(waveform)[0] for waveform in (reader.clean(u), reader.noisy(u))]
        frames = min(map(len, pair))
        score = np.array([max((u.score - offset) / factor, 0.0)], np.float32)
        return {"features": np.stack([x[:frames] for x in pair], axis=-1), "score": score}

    least = qnet.minimum_frames(settings.convolutions) * settings.hop / audio.SAMPLE_RATE
    return WholeUtterances([u for u in utterances if audio.seconds(u.noisy) > least], arrays)


def noisy_pairs(settings: Settings, utterances: Sequence[Utterance]) -> WholeUtterances:
    """Returns noisy pairs for the enhancer."""
    front, reader = enhancer_front_end(settings), UtteranceReader(max_bytes=0)

    def arrays(u: Utterance) -> dict[str, np.ndarray]:
        features, analysis = front.analyse(reader.noisy(u))
        return {"features": features, "noisy": analysis.magnitude, "clean": front.magnitude(reader.clean(u))}

    return WholeUtterances(utterances, arrays)


class Trained:
    """What is trained: networks, phases, which weights stay, what is measured after a round.

    Args:
        settings: The settings.
        manifest: The pairs.
        scored: The files with scores that the predictor learns; `None` if it is not trained.
        run: The run.
    """

    def __init__(self, settings: Settings, manifest: Manifest, scored: Manifest | None, run: Run):
        self.settings = settings
        self.run = run
        self.predictor, self.generator = build(settings)
        self.split = "validation" if manifest.split("validation") else "test"
        self.steps: dict[str, Step] = {}
        self.keep: dict[str, Best] = {}
        self.measures: dict[str, Callable[[], dict[str, float]]] = {}
        phases = []
        if scored is not None:
            phases += self._predictor_phase(scored)
        if settings.step != "predictor":
            phases += self._enhancer_phases(manifest)
        self.source = Phases(phases)

    def _predictor_phase(self, scored: Manifest) -> list:
        settings = self.settings
        train = scored_pairs(settings, scored.training())
        watched = scored_pairs(settings, scored.split(self.split))
        if not len(train) or not len(watched):
            raise DataError("The files are too short for the predictor's convolutions.")
        self.steps["predictor"] = PredictorObjective(self.predictor).step(settings.learning_rate)
        self.keep["predictor"] = Best(self.predictor, f"{self.split}_loss")
        self.measures["predictor"] = measured(self.predictor, watched, self.split)
        source = Batches(train, settings.batch_size, settings.seed, Rounds(settings.epochs))
        return [("predictor", source, settings.epochs)]

    def _enhancer_phases(self, manifest: Manifest) -> list:
        settings = self.settings
        objective = EnhancerObjective(settings, self.generator, self.predictor, settings.goal)
        self.steps |= objective.steps()
        self.enhancer = Enhancer(self.generator, enhancer_front_end(settings))
        watched = manifest.split(self.split)
        validation = Validation(settings, self.enhancer, objective, watched, self.run)
        self.measures |= {"pretrain": lambda: validation("mse"), "tune": lambda: validation(self.split)}
        self.keep["pretrain"] = Best(self.generator, "mse_true", higher_is_better=True)
        self.keep["tune"] = Best(self.generator, f"{self.split}_true", higher_is_better=True)
        pairs = noisy_pairs(settings, manifest.training())
        total = settings.iterations * settings.utterances_per_iteration
        rounds = Rounds(total, ITERATION, settings.utterances_per_iteration)
        return [
            (
                "pretrain",
                Batches(pairs, 1, settings.seed, Rounds(settings.pretraining_epochs)),
                settings.pretraining_epochs,
            ),
            ("tune", Batches(pairs, 1, settings.seed + 1, rounds), settings.iterations),
        ]

    def before_round(self, number: int):
        """Sets the predictor's step size; each phase goes on from the best weights of the one before."""
        name, _, own = self.source.at(number)
        if name == "predictor":
            rate = rate_after(
                [row[f"{self.split}_loss"] for row in self.run.log if f"{self.split}_loss" in row],
                self.settings.learning_rate,
                self.settings.patience,
                self.settings.smallest_rate,
            )
            self.steps["predictor"].players[0].optimizer.learning_rate.assign(rate)
        elif own == 1:
            networks = {"pretrain": ("predictor", self.predictor), "tune": ("pretrain", self.generator)}
            before, network = networks[name]
            if before in self.keep and self.keep[before].kept is not None:
                network.set_weights(self.keep[before].kept.weights)

    def fit(self):
        """Trains all phases."""
        rounds = Rounds(self.source.count, "round")
        training = Training(self.steps, self.source, rounds, self.run, KeepAll(self.keep))
        training.before_round = self.before_round
        training.measure = lambda: self.measures[self.source.at(training.done)[0]]()
        training.fit()


def prepare(settings: Settings, manifest: Manifest, run: Run) -> Manifest:
    """For the predictor alone: enhances and scores the pairs, if the data came without scores."""
    if settings.step != "predictor":
        return manifest
    return labelling.ensure(manifest, settings.enhancers, settings.target, run)


def fit(settings: Settings, manifest: Manifest, run: Run) -> dict[str, Any]:
    """Trains what `step` says and returns the predictor, or the enhancers: fine-tuned and before."""
    scored = None
    if settings.step != "enhancer":
        scored = labelling.ensure(manifest, settings.enhancers, settings.target, run)
    trained = Trained(settings, manifest, scored, run)
    if scored is None:
        loaded = registry.load_model(settings.predictor)
        trained.predictor.set_weights(loaded.network.get_weights())  # what scales the score has none
    trained.fit()
    if settings.step == "predictor":
        return {f"best on {trained.split}": predictor_of(trained)}
    if settings.step == "both":
        predictor_of(trained).save(run.path("predictor.keras"))
    draw_curves(run, trained.split)
    return {name: enhancer_of(trained, phase) for name, phase in ((TUNED, "tune"), (BEFORE, "pretrain"))}


def predictor_of(trained: Trained) -> ReferencePredictor:
    """Returns the predictor with its best weights, in PESQ's own unit."""
    settings, kept = trained.settings, trained.keep["predictor"].kept
    network = clone_with(trained.predictor, kept.weights) if kept else trained.predictor
    facts = {"recipe": "qnet", "seed": settings.seed, "definition": settings.target}
    return ReferencePredictor(
        qnet.scaled(network, *SCALES[settings.scale]), predictor_front_end(settings), facts
    )


def enhancer_of(trained: Trained, phase: str) -> Enhancer:
    """Returns the enhancer with the best weights of a phase."""
    kept = trained.keep[phase].kept
    network = clone_with(trained.generator, kept.weights) if kept else trained.generator
    facts = {"recipe": "qnet", "phase": phase, "round": kept.position if kept else 0}
    return Enhancer(network, enhancer_front_end(trained.settings), facts)


def draw_curves(run: Run, split: str):
    """Draws predicted and true score over the iterations: the letter's supplementary Fig. 5."""
    rows = [row for row in run.log if f"{split}_true" in row]
    if rows and plots.is_available():
        curves = {name: [row[f"{split}_{name}"] for row in rows] for name in ("predicted", "true")}
        plots.curves(
            curves, run.path("report/predicted-and-true.png"), "iteration", "PESQ", plots.title(run.folder)
        )


def measured(network: keras.Model, watched: WholeUtterances, split: str) -> Callable[[], dict[str, float]]:
    """Returns the function that measures loss and correlation of the predictor, one utterance at a time."""
    shape = (None, None, *network.input_shape[1:2], 2)

    def predicted(features):
        return network(ops.transpose(features, (0, 2, 1, 3)), training=False)["score"]

    predict = backends.compile_step(predicted, network.variables, [shape])

    def measure() -> dict[str, float]:
        batches = list(watched.ordered(1))
        scores = np.array([float(ops.convert_to_numpy(predict(b["features"]))[0, 0]) for b in batches])
        true = np.array([float(b["score"][0, 0]) for b in batches])
        correlation = float(np.corrcoef(true, scores)[0, 1]) if np.ptp(true) and np.ptp(scores) else 0.0
        return {f"{split}_loss": float(np.mean(np.square(true - scores))), f"{split}_lcc": correlation}

    return measure


SECONDS_PER_STEP = {"program": 1.5, "letter": 0.15}  # for a second of audio, on two cores
SECONDS_PER_ENHANCER_STEP = 0.1


def plan(settings: Settings, manifest: Manifest) -> Plan:
    """Counts steps and estimates time and disk space."""
    train, seconds = len(manifest.split("train")), manifest.mean_seconds()
    is_scored = all(u.score is not None for u in manifest.utterances)
    files = train if is_scored else int(2.2 * train)
    steps, time = {}, 0.0
    if settings.step != "enhancer":
        steps["predictor steps"] = settings.epochs * files // settings.batch_size
        size = sum(settings.filters) / sum(CODE.filters)
        time += settings.epochs * files * seconds * SECONDS_PER_STEP[settings.network] * size
    if settings.step != "predictor":
        steps["steps with MSE"] = settings.pretraining_epochs * train
        steps["steps through the predictor"] = settings.iterations * settings.utterances_per_iteration
        time += seconds * SECONDS_PER_ENHANCER_STEP * sum(list(steps.values())[-2:])
    return Plan(steps, time + 0.3 * files, 30_000_000 + int(32_000 * seconds * files))


def outcome(settings: Settings) -> Outcome:
    """A predicted score, or an enhancer before and after."""
    if settings.step == "predictor":
        return Prediction(
            table="Q-Net's predictor",
            target=settings.target,
            groups=("group", "enhancer"),
            truth=lambda utterance: utterance.score,
        )
    return Enhancement(
        table="PESQ and STOI",
        rows={TUNED: "Q-Net", BEFORE: "BLSTM (MSE)"},
        metrics=PAPER.metrics,
        target=settings.target,
        statements=("Both enhancers: best on the validation set in true PESQ.",),
    )
