"""What every outcome has in common: rows, conditions, claims, and how systems are saved."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_segan import files
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.evaluation import bootstrap_interval
from keras_segan.reproduction import plots
from keras_segan.reproduction.outcomes import bootstrap
from keras_segan.reproduction.recipe import Published
from keras_segan.reproduction.tables import Claim, Row
from keras_segan.training.run_folder import Run

NOISY = "noisy"  # the system that changes nothing
NOISY_ROW = "Noisy"  # its row in the papers' tables

Scores = list[dict[str, Any]]
Numbers = Mapping[tuple[str, str], Published]  # of one table, by row and definition


@dataclass(frozen=True)
class Estimate:
    """A measure of a system on some utterances.

    Attributes:
        value: The mean, or what else the measure is over utterances.
        interval: Its 95 % bootstrap interval, `None` where there are too few utterances.
        count: Number of utterances.
        deviation: Standard deviation over utterances, where the paper's table states it.
    """

    value: float
    interval: tuple[float, float] | None
    count: int
    deviation: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome(ABC):
    """What a run ends in.

    A subclass says which measures there are (`definitions`, `label`, `higher_is_better`), how systems are
    scored, and how a measure comes out of the scores (`estimate`, `difference`).

    Attributes:
        table: Table of the paper that the result is held against.
        rows: Row of that table by name of our system; a system that is not listed has the row of its own
            name, if there is one. A single text is the row of every system that has none of its own name.
        statements: Sentences for the head of the table, such as "Causal: no frame after the present one."
        chosen_on: Split that the weights are chosen on, `""` if they are not chosen. The head of the table
            says so, if one of the systems is called "best on" that split.
    """

    table: str = ""
    rows: Mapping[str, str] | str = field(default_factory=dict)
    statements: tuple[str, ...] = ()
    chosen_on: str = ""

    @property
    @abstractmethod
    def definitions(self) -> tuple[str, ...]:
        """Definition ids of the measures in the table's order."""

    @abstractmethod
    def label(self, definition: str) -> str:
        """Returns how the table calls a measure."""

    @abstractmethod
    def higher_is_better(self, definition: str) -> bool:
        """Whether large values of a measure are good."""

    @abstractmethod
    def score(self, systems: Mapping[str, Any], utterances: Sequence[Utterance], run: Run) -> Scores:
        """Scores every system on every utterance.

        Args:
            systems: By name, the one to keep first.
            utterances: What is scored.
            run: The run folder; takes progress and notes.

        Returns:
            A line for each system and utterance: system, id, speaker, noise, snr, a column for each measure,
            and failure (empty if there was none).
        """

    def save(self, systems: Mapping[str, Any], run: Run) -> None:
        """Saves the first trained system as `model.keras`, the others under their names.

        Args:
            systems: By name; what is no Keras model has nothing to save.
            run: The run folder.
        """
        import keras

        trained = {name: system for name, system in systems.items() if isinstance(system, keras.Model)}
        for number, (name, system) in enumerate(trained.items()):
            file = "model.keras" if number == 0 else f"model-{files.file_name(name.replace(' ', '-'))}.keras"
            temporary = run.path(f"writing-{file}")
            system.save(temporary)
            temporary.replace(run.path(file))

    def details(self) -> dict[str, Any]:
        """Returns what the page has to know besides rows and claims, as JSON holds it."""
        return {}

    def tabulate(self, scores: Scores, numbers: Sequence[Published]) -> list[Row]:
        """Returns the lines of the table, ours and published.

        Args:
            scores: From `score`.
            numbers: The recipe's CSV file.

        Returns:
            For each system and condition a line per measure, then the paper's other rows.
        """
        published = self._published(numbers)
        rows: list[Row] = []
        reproduced = set()
        for system, lines in by_system(scores).items():
            row = self._row_of(system, published)
            for suffix, group in self.conditions(row, lines, published):
                rows += self._lines_of(system + suffix, row + suffix, group, published)
                reproduced.add(row + suffix)
        return rows + [
            self._line(row, definition, quoted, None)
            for (row, definition), quoted in published.items()
            if row not in reproduced and definition in self.definitions and self.is_quoted(row)
        ]

    def conditions(self, row: str, lines: Scores, published: Numbers) -> Iterator[tuple[str, Scores]]:
        """Yields all lines of a system, then those of each condition with the end of its row's name.

        Args:
            row: The system's row in the paper's table.
            lines: Its scores.
            published: The paper's table.
        """
        yield "", lines

    def is_quoted(self, row: str) -> bool:
        """Whether a row of the paper's table that we have no number for is shown."""
        return "," not in row

    def estimate(self, lines: Scores, definition: str) -> Estimate | None:
        """Computes a measure over utterances: here the mean.

        Args:
            lines: Scores of one system.
            definition: The measure's definition id.

        Returns:
            The estimate, `None` if nothing was scored.
        """
        values = np.array([line[definition] for line in lines if definition in line])
        if not values.size:
            return None
        return Estimate(float(values.mean()), bootstrap_interval(values.tolist()), values.size)

    def difference(self, better: Scores, worse: Scores, definition: str) -> Estimate | None:
        """Computes how much two systems differ in a measure: here the mean difference of paired scores.

        Args:
            better: Scores of the system that is said to be better.
            worse: Scores of the other one.
            definition: The measure's definition id.

        Returns:
            Better minus worse, `None` if no utterance has scores of both.
        """
        pairs = paired(better, worse, definition)
        if not pairs:
            return None
        values = np.array([one[definition] - other[definition] for one, other in pairs])
        return Estimate(float(values.mean()), bootstrap_interval(values.tolist()), values.size)

    def judge(self, scores: Scores, numbers: Sequence[Published]) -> list[Claim]:
        """Returns the paper's claims with our paired intervals and verdicts.

        Args:
            scores: From `score`.
            numbers: The recipe's CSV file; its rows `claim` are judged.
        """
        published = self._published(numbers)
        named: dict[str, Scores] = {}
        for system, lines in by_system(scores).items():
            for name in (system, self._row_of(system, published)):
                for suffix, group in every_condition(lines):
                    named.setdefault(name + suffix, group)
        return [self._claim(number, named) for number in numbers if number.source == "claim"]

    def draw(
        self,
        systems: Mapping[str, Any],
        utterances: Sequence[Utterance],
        scores: Scores,
        run: Run,
        examples: bool = False,
    ) -> None:
        """Draws learning curves and what else belongs into `report/`.

        Args:
            systems: By name.
            utterances: What was scored.
            scores: From `score`.
            run: The run folder.
            examples: Whether to draw spectrograms of some utterances, too.
        """
        if not plots.is_available():
            run.say("Nothing was drawn: install matplotlib (pip install keras_segan[plot]).")
        elif run.log:
            plots.learning_curves(run.log, run.path("report/x").parent, plots.title(run.folder))

    def remarks(self, scores: Scores) -> list[str]:
        """Returns sentences that the table's head states, such as how weights were chosen."""
        if not self.chosen_on:
            return list(self.statements)
        if any(f"best on {self.chosen_on}" in system for system in by_system(scores)):
            return [*self.statements, f"Weights chosen on the {self.chosen_on} set."]
        words = f"Last weights: there was no evaluation on the {self.chosen_on} set to choose by."
        return [*self.statements, words]

    def unmet(self, manifest: Manifest) -> list[str]:
        """Returns what a comparison with published numbers lacks, beyond data and settings."""
        return []

    def _published(self, numbers: Sequence[Published]) -> Numbers:
        own = (n for n in numbers if n.table == self.table and n.source == "published")
        return {(number.row, number.definition): number for number in own}

    def _row_of(self, system: str, published: Numbers) -> str:
        listed = self.rows if isinstance(self.rows, Mapping) else {}
        if system in listed:
            return listed[system]
        if system == NOISY:
            return NOISY_ROW
        if any(row == system for row, _ in published):
            return system
        return self.rows if isinstance(self.rows, str) else ""

    def _lines_of(self, system: str, row: str, lines: Scores, published: Numbers) -> Iterator[Row]:
        for definition in self.definitions:
            estimate = self.estimate(lines, definition)
            if estimate is not None:
                yield self._line(system, definition, published.get((row, definition)), estimate)

    def _line(self, system: str, definition: str, quoted: Published | None, estimate: Estimate | None) -> Row:
        return Row(
            system=system,
            metric=self.label(definition),
            definition=definition,
            published=quoted.value if quoted else None,
            reproduced=estimate.value if estimate else None,
            interval=estimate.interval if estimate else None,
            count=estimate.count if estimate else 0,
            deviations=(quoted.deviation if quoted else None, estimate.deviation if estimate else None),
            grade=quoted.grade if quoted else "",
            higher_is_better=self.higher_is_better(definition),
        )

    def _claim(self, number: Published, named: Mapping[str, Scores]) -> Claim:
        better, worse = named.get(number.row), named.get(number.than)
        found = None
        if better and worse and number.definition in self.definitions:
            found = self.difference(better, worse, number.definition)
        stated = (number.row, number.than, number.metric, number.definition, number.value)
        if found is None:
            return Claim(*stated, grade=number.grade)
        direction = self.higher_is_better(number.definition)
        said = bootstrap.verdict(found.interval, found.count, direction)
        return Claim(*stated, found.value, found.interval, found.count, said, number.grade)


def by_system(scores: Iterable[dict[str, Any]]) -> dict[str, Scores]:
    """Returns lines of scores by system, in order of appearance."""
    systems: dict[str, Scores] = {}
    for line in scores:
        systems.setdefault(line["system"], []).append(line)
    return systems


def by_noise(lines: Scores) -> Iterator[tuple[str, Scores]]:
    """Yields the lines of each noise with the end of a row's name."""
    for noise in sorted({line["noise"] for line in lines if line["noise"]}):
        yield f", {noise}", [line for line in lines if line["noise"] == noise]


def by_level(lines: Scores) -> Iterator[tuple[str, Scores]]:
    """Yields the lines of each SNR, the highest first, with the end of a row's name."""
    for level in sorted({line["snr"] for line in lines if line["snr"] is not None}, reverse=True):
        yield f", {level:g} dB", [line for line in lines if line["snr"] == level]


def every_condition(lines: Scores) -> Iterator[tuple[str, Scores]]:
    """Yields all lines, then those of each noise and of each SNR, with the end of a row's name."""
    yield "", lines
    yield from by_noise(lines)
    yield from by_level(lines)


def paired(first: Scores, second: Scores, column: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs the lines of utterances that both have a value of a column for."""
    others = {line["id"]: line for line in second if column in line}
    return [(line, others[line["id"]]) for line in first if column in line and line["id"] in others]


def score_line(system: str, utterance: Utterance) -> dict[str, Any]:
    """Returns the first columns of a line of scores."""
    facts = {"speaker": utterance.speaker, "noise": utterance.noise, "snr": utterance.snr}
    return {"system": system, "id": utterance.id, **facts}
