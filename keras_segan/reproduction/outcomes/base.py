"""What every outcome has in common: rows, conditions, claims, and how systems are saved."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.reproduction.recipe import Published
from keras_segan.reproduction.tables import Claim, Row
from keras_segan.training.run_folder import Run

Scores = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Outcome(ABC):
    """What a run ends in.

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

    @abstractmethod
    def save(self, systems: Mapping[str, Any], run: Run):
        """Saves the first trained system as `model.keras`, the others under their names."""

    @abstractmethod
    def score(self, systems: Mapping[str, Any], utterances: Sequence[Utterance], run: Run) -> Scores:
        """Scores every system on every utterance.

        Returns:
            A line for each system and utterance: system, id, speaker, noise, snr, a column for each measure,
            and failure (empty if there was none).
        """

    @abstractmethod
    def tabulate(self, scores: Scores, numbers: Sequence[Published]) -> list[Row]:
        """Returns the lines of the table, ours and published."""

    def judge(self, scores: Scores, numbers: Sequence[Published]) -> list[Claim]:
        """Returns the paper's claims with our paired intervals and verdicts."""
        return []

    def draw(
        self,
        systems: Mapping[str, Any],
        utterances: Sequence[Utterance],
        scores: Scores,
        run: Run,
        examples: bool = False,
    ):
        """Draws learning curves and what else belongs into `report/`; `examples`: spectrograms, too."""

    def remarks(self, scores: Scores) -> list[str]:
        """Returns sentences that the table's head states, such as how weights were chosen."""
        return list(self.statements)

    def unmet(self, manifest: Manifest) -> list[str]:
        """Returns what a comparison with published numbers lacks, beyond data and settings."""
        return []
