"""Features: a mapping of features with no waveform."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_segan import audio
from keras_segan.data.manifest import Utterance
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.errors import DataError, KsegError, RecipeError, unknown
from keras_segan.reproduction.outcomes import base, bootstrap
from keras_segan.reproduction.outcomes.base import NOISY, Estimate, Outcome, Scores
from keras_segan.training.run_folder import Run


def mean_square(difference: np.ndarray) -> float:
    """Returns the mean square of a difference of any shape."""
    return float(np.mean(np.square(difference)))


def mean_absolute(difference: np.ndarray) -> float:
    """Returns the mean absolute value of a difference of any shape."""
    return float(np.mean(np.abs(difference)))


DISTANCES = {"mse": ("MSE", mean_square), "l1": ("L1", mean_absolute)}
ERROR_RATE = "error-rate"  # definition id of a recogniser's
ERRORS, WORDS = "errors", "words"  # columns of the scores

Recogniser = Callable[[Utterance, np.ndarray], tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Features(Outcome):
    """Noisy features in, clean features out, for a recogniser or as a paper's end in itself.

    Systems are `models.base.FeatureMapper`s. The table shows the distances `mse` and `l1` to the clean
    features, over all dimensions and by group (`mse-static`), and the error rate in percent of a recogniser
    where one is named.

    Attributes:
        groups: First and last dimension (exclusive) by name of a group, such as `{"static": (0, 29)}`.
        recogniser: Name of a recogniser in `recognisers`, or `""` for none.
        recognisers: By name: takes an utterance and its features `(frames, dims)` and returns the numbers of
            errors and of words. It raises `KsegError` for an utterance that it cannot judge.
        sample_rate: Rate in Hz at which files are read.
    """

    groups: Mapping[str, Sequence[int]] = field(default_factory=dict)
    recogniser: str = ""
    recognisers: Mapping[str, Recogniser] = field(default_factory=dict)
    sample_rate: int = audio.SAMPLE_RATE

    def __post_init__(self) -> None:
        if self.recogniser and self.recogniser not in self.recognisers:
            raise RecipeError(unknown("recogniser", self.recogniser, self.recognisers))
        for name, limits in self.groups.items():
            if len(limits) != 2 or not 0 <= limits[0] < limits[1]:
                raise RecipeError(f"The group '{name}' must be (first, last dimension + 1), not {limits}.")

    @property
    def definitions(self) -> tuple[str, ...]:
        """Definition ids of the measures in the table's order."""
        names = [*DISTANCES, *(f"{kind}-{group}" for kind in DISTANCES for group in self.groups)]
        return (*names, ERROR_RATE) if self.recogniser else tuple(names)

    def label(self, definition: str) -> str:
        """Returns how the table calls a measure."""
        if definition == ERROR_RATE:
            return f"errors of {self.recogniser} (%)"
        kind, _, group = definition.partition("-")
        return f"{DISTANCES[kind][0]} {group}".strip()

    def higher_is_better(self, definition: str) -> bool:
        """Whether large values of a measure are good: never."""
        return False

    def remarks(self, scores: Scores) -> list[str]:
        """Returns which recogniser judges, besides what `Outcome.remarks` says."""
        judge = [f"Recogniser: {self.recogniser}."] if self.recogniser else []
        return [*judge, *super().remarks(scores)]

    def score(self, systems: Mapping[str, Any], utterances: Sequence[Utterance], run: Run) -> Scores:
        """Compares the noisy and every system's features with the clean ones; see `Outcome.score`."""
        run.start_progress((1 + len(systems)) * len(utterances))
        first = next(iter(systems.values()))
        reader = UtteranceReader(sample_rate=self.sample_rate)
        scores: Scores = []
        for name, system in {NOISY: None, **systems}.items():
            compare = functools.partial(_features, first, system, reader)
            for utterance in utterances:
                line = self._line_of(name, utterance, compare)
                scores.append(line)
                run.advance(1, f"scoring {name}")
                if line["failure"]:
                    run.note(f"{utterance.id} ({name}) could not be scored: {line['failure']}")
        run.end_progress()
        return scores

    def _line_of(
        self, name: str, utterance: Utterance, features: Callable[[Utterance], tuple[np.ndarray, np.ndarray]]
    ) -> dict[str, Any]:
        line = base.score_line(name, utterance)
        try:
            clean, mapped = features(utterance)
            return {**line, **self._measures(utterance, clean, mapped), "failure": ""}
        except (KsegError, OSError) as error:
            return {**line, "failure": str(error)}
        except Exception as error:  # an unforeseen one must not end a run of days in its last hour
            message = f"{type(error).__name__}: {error} (unexpected; please report it)"
            return {**line, "failure": message}

    def _measures(self, utterance: Utterance, clean: np.ndarray, mapped: np.ndarray) -> dict[str, float]:
        if clean.shape != mapped.shape:
            raise DataError(f"The clean features are {clean.shape}, the mapped ones {mapped.shape}.")
        if not np.isfinite(mapped).all():
            raise DataError("The mapped features hold NaN or infinity.")
        difference = mapped.astype(np.float64) - clean
        found = {name: distance(difference) for name, (_, distance) in DISTANCES.items()}
        for group, (start, stop) in self.groups.items():
            for name, (_, distance) in DISTANCES.items():
                found[f"{name}-{group}"] = distance(difference[:, start:stop])
        if self.recogniser:
            found[ERRORS], found[WORDS] = self.recognisers[self.recogniser](utterance, mapped)
        return found

    def estimate(self, lines: Scores, definition: str) -> Estimate | None:
        """Averages distances over utterances; an error rate is that of all words together."""
        if definition != ERROR_RATE:
            return super().estimate(lines, definition)
        judged = [line for line in lines if WORDS in line]
        return self._rate([(line[ERRORS], 0, line[WORDS]) for line in judged])

    def difference(self, better: Scores, worse: Scores, definition: str) -> Estimate | None:
        """Computes how much two systems differ, paired by utterance."""
        if definition != ERROR_RATE:
            return super().difference(better, worse, definition)
        pairs = base.paired(better, worse, WORDS)
        return self._rate([(one[ERRORS], other[ERRORS], one[WORDS]) for one, other in pairs])

    def _rate(self, counts: Sequence[tuple[int, int, int]]) -> Estimate | None:
        """Returns first minus second errors in percent of the words."""
        first, second, words = np.array(counts, float).reshape(-1, 3).T
        if not words.sum():
            return None

        def rate(n: np.ndarray) -> float:
            return float(100.0 * (first[n] - second[n]).sum() / max(words[n].sum(), 1.0))

        return Estimate(rate(np.arange(len(words))), bootstrap.interval(rate, len(words)), len(words))


def _features(
    first: Any, system: Any, reader: UtteranceReader, utterance: Utterance
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the clean features and a system's, or the noisy ones for no system."""
    noisy = reader.noisy(utterance)
    clean = (system or first).reference(reader.clean(utterance))
    return clean, first.reference(noisy) if system is None else system.map(noisy)
