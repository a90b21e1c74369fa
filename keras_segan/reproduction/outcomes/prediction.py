"""Prediction: a network that predicts a score of speech."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from keras_segan import audio, comparison, evaluation, files, metrics, prediction
from keras_segan.data.manifest import Utterance
from keras_segan.errors import KsegError, RecipeError
from keras_segan.reproduction import plots
from keras_segan.reproduction.outcomes import base, bootstrap
from keras_segan.reproduction.outcomes.base import Estimate, Numbers, Outcome, Scores
from keras_segan.training.run_folder import Run

TRUE, PREDICTED = "true", "predicted"  # columns of the scores
LABELS = {"lcc": "LCC", "srcc": "SRCC", "mse": "MSE"}
FEWEST = 3  # utterances below which a correlation says nothing
GROUPS = ("speaker", "noise", "snr")


@dataclass(frozen=True, kw_only=True)
class Prediction(Outcome):
    """A score is predicted from the noisy file alone.

    Systems are `models.base.Predictor`s. The table shows LCC, SRCC and MSE of predicted and true scores,
    definition ids `lcc`, `srcc` and `mse`, over all utterances and by group.

    Attributes:
        target: Definition id of the measure that is predicted.
        groups: What the table is broken down by, of "speaker", "noise" and "snr".
        truth: Gives the true score of an utterance, such as a label that came with the data; `None` to
            score the noisy file against the clean one.
        sample_rate: Rate in Hz at which is scored.
    """

    target: str = ""
    groups: tuple[str, ...] = ()
    truth: Callable[[Utterance], float] | None = None
    sample_rate: int = audio.SAMPLE_RATE

    def __post_init__(self) -> None:
        strange = [group for group in self.groups if group not in GROUPS]
        if strange:
            raise RecipeError(f"Prediction has no group '{strange[0]}'; known are {', '.join(GROUPS)}.")
        if self.truth is None or self.target:
            metrics.get(self.target)

    @property
    def definitions(self) -> tuple[str, ...]:
        """Definition ids of the measures in the table's order."""
        return tuple(LABELS)

    def label(self, definition: str) -> str:
        """Returns how the table calls a measure."""
        return LABELS[definition]

    def higher_is_better(self, definition: str) -> bool:
        """Whether large values of a measure are good."""
        return definition != "mse"

    def details(self) -> dict[str, Any]:
        """Returns what is predicted and the groups, for the page."""
        return {"target": self._target, "groups": list(self.groups)}

    def remarks(self, scores: Scores) -> list[str]:
        """Returns what is predicted, besides what `Outcome.remarks` says."""
        return [f"Predicted: {self._target}.", *super().remarks(scores)]

    @property
    def _target(self) -> str:
        return self.target or "labels that came with the data"

    def score(self, systems: Mapping[str, Any], utterances: Sequence[Utterance], run: Run) -> Scores:
        """Scores every file and lets every system predict that score; see `Outcome.score`."""
        run.start_progress((1 + len(systems)) * len(utterances))
        truths = dict(self._truths(utterances, run))
        scores: Scores = []
        for name, system in systems.items():
            for utterance in utterances:
                line = self._line_of(name, system, utterance, truths[utterance.id])
                scores.append(line)
                run.advance(1, f"predicting with {name}")
                if line["failure"]:
                    run.note(f"{utterance.id} ({name}) could not be scored: {line['failure']}")
        run.end_progress()
        return scores

    def _truths(self, utterances: Sequence[Utterance], run: Run) -> Iterator[tuple[str, float | str]]:
        """Yields the true score of each utterance, or why there is none."""
        if self.truth is not None:
            yield from ((u.id, self._label_of(u)) for u in utterances)
            return
        scoring = evaluation.Scoring((self.target,), self.sample_rate)
        for row in comparison.noisy_rows(utterances, scoring, run.pool):
            run.advance(1, f"scoring {self.target}")
            scores, failure = row.result.scores, row.result.failure
            yield row.pair.id, scores[self.target] if scores else str(failure)

    def _label_of(self, utterance: Utterance) -> float | str:
        try:
            value = float(self.truth(utterance)) if self.truth else math.nan
        except (KeyError, ValueError, TypeError) as error:
            return f"it has no true score ({type(error).__name__}: {error})"
        return value if math.isfinite(value) else f"its true score is {value}"

    def _line_of(self, name: str, system: Any, utterance: Utterance, truth: float | str) -> dict[str, Any]:
        line = base.score_line(name, utterance)
        if isinstance(truth, str):
            return {**line, "failure": truth}
        try:
            waveform, sample_rate = audio.read(utterance.noisy)
            scaled = waveform * np.float32(utterance.scale)
            predicted = float(np.mean(prediction.predict(system, scaled, sample_rate)["score"]))
        except (KsegError, OSError) as error:
            return {**line, TRUE: truth, "failure": str(error)}
        except Exception as error:  # an unforeseen one must not end a run of days in its last hour
            message = f"{type(error).__name__}: {error} (unexpected; please report it)"
            return {**line, TRUE: truth, "failure": message}
        return {**line, TRUE: truth, PREDICTED: predicted, "failure": ""}

    def conditions(self, row: str, lines: Scores, published: Numbers) -> Iterator[tuple[str, Scores]]:
        """Yields all lines, then those of each value of each group."""
        yield "", lines
        for group in self.groups:
            for value in sorted({line[group] for line in lines if line[group] not in ("", None)}):
                name = f"{value:g} dB" if group == "snr" else value
                yield f", {name}", [line for line in lines if line[group] == value]

    def is_quoted(self, row: str) -> bool:
        """Whether a row of the paper's table that we have no number for is shown."""
        return bool(self.groups) or super().is_quoted(row)

    def estimate(self, lines: Scores, definition: str) -> Estimate | None:
        """Computes a measure of agreement, with its bootstrap interval over utterances."""
        pairs = [(line[TRUE], line[PREDICTED]) for line in lines if PREDICTED in line]
        if len(pairs) < FEWEST:
            return None
        true, predicted = np.array(pairs).T
        value = agreement(definition, true, predicted)
        if not math.isfinite(value):
            return None
        limits = bootstrap.interval(lambda n: agreement(definition, true[n], predicted[n]), len(true))
        return Estimate(value, limits, len(true))

    def difference(self, better: Scores, worse: Scores, definition: str) -> Estimate | None:
        """Computes how much the agreement of two systems differs on the same utterances."""
        pairs = base.paired(better, worse, PREDICTED)
        if len(pairs) < FEWEST:
            return None
        true = np.array([one[TRUE] for one, _ in pairs])
        first, second = (np.array([pair[side][PREDICTED] for pair in pairs]) for side in (0, 1))

        def change(n: np.ndarray) -> float:
            return agreement(definition, true[n], first[n]) - agreement(definition, true[n], second[n])

        value = change(np.arange(len(true)))
        if not math.isfinite(value):
            return None
        return Estimate(value, bootstrap.interval(change, len(true)), len(true))

    def draw(
        self,
        systems: Mapping[str, Any],
        utterances: Sequence[Utterance],
        scores: Scores,
        run: Run,
        examples: bool = False,
    ) -> None:
        """Draws learning curves and, for each system, predicted against true; see `Outcome.draw`."""
        super().draw(systems, utterances, scores, run, examples)
        if not plots.is_available():
            return
        for name, lines in base.by_system(scores).items():
            points = points_by_group(lines, self.groups[0] if self.groups else "")
            if points:
                labels = (f"true {self._target}", f"predicted by {name}")
                figure = plots.scatter(points, labels, "equal")
                figure.savefig(run.path(f"report/scatter-{files.file_name(name)}.png"), dpi=130)


def agreement(definition: str, true: np.ndarray, predicted: np.ndarray) -> float:
    """Computes how well predicted scores agree with true ones.

    Args:
        definition: `lcc` (Pearson), `srcc` (Spearman) or `mse`.
        true: `(utterances,)`.
        predicted: The same.

    Returns:
        The value; NaN for a correlation with values that are all equal.
    """
    if definition == "mse":
        return float(np.mean(np.square(true - predicted)))
    if definition == "srcc":
        true, predicted = stats.rankdata(true), stats.rankdata(predicted)
    true, predicted = true - true.mean(), predicted - predicted.mean()
    scale = math.sqrt(float(true @ true) * float(predicted @ predicted))
    return float(true @ predicted) / scale if scale > 0 else math.nan


def points_by_group(lines: Scores, group: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns true and predicted scores by value of a group; all of them as "all" without a group."""
    points: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        if PREDICTED in line:
            value = line[group] if group else "all"
            name = f"{value:g} dB" if isinstance(value, float) else str(value or "unknown")
            points.setdefault(name, []).append((line[TRUE], line[PREDICTED]))
    columns = ((name, np.array(points[name]).T) for name in sorted(points))
    return {name: (true, predicted) for name, (true, predicted) in columns}
