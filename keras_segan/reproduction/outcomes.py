"""What a run ends in: an enhanced waveform, a predicted score, or mapped features.

An outcome owns how systems are saved and scored, the lines of the table, the verdicts on the paper's claims,
plots, and what a comparison with published numbers needs beyond data and settings.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.reproduction.recipe import Published
from keras_segan.reproduction.tables import Claim, Row
from keras_segan.training.run_folder import Run

Scores = list[dict[str, Any]]


@dataclass(frozen=True)
class Outcome(ABC):
    """What a run ends in.

    Attributes:
        table: Table of the paper that the result is held against.
        rows: Row of that table by name of our system; a system that is not listed has the row of its own
            name, if there is one.
    """

    table: str = ""
    rows: Mapping[str, str] = field(default_factory=dict)

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
        return []

    def unmet(self, manifest: Manifest) -> list[str]:
        """Returns what a comparison with published numbers lacks, beyond data and settings."""
        return []
