"""Enhancement: noisy speech in, enhanced speech out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from keras_segan import audio, comparison, enhancement, evaluation, files, metrics
from keras_segan.data.manifest import Utterance
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.errors import KsegError, RecipeError
from keras_segan.inference import PlainEnhancer, WaveformEnhancer
from keras_segan.reproduction import plots, showcase
from keras_segan.reproduction.outcomes import base
from keras_segan.reproduction.outcomes.base import NOISY, Estimate, Numbers, Outcome, Scores
from keras_segan.training.run_folder import Run

KEPT_FILES = 20  # enhanced files of the first system that stay in the run folder
PLOTTED = 8  # utterances whose spectrograms are drawn when asked for


@dataclass(frozen=True, kw_only=True)
class Enhancement(Outcome):
    """Noisy speech in, enhanced speech out.

    Systems are `models.base.Enhancer`s, or anything with `enhance(waveform)` and `sample_rate`, such as
    `wiener.WienerFilter`. Every file is enhanced as `kseg enhance` does it and scored as `kseg evaluate`
    does.

    Attributes:
        metrics: Definition ids of the measures, in the table's order.
        breakdown: Further lines of the table: `"snr"` for each level that the paper's table has a row for,
            `"levels"` for each level of the data, `"noise"` for each noise; then the means are those over
            noises.
        sample_rate: Rate in Hz at which is scored.
        target: Definition id of the measure that utterances are ranked by in the report; the first one if
            left out.
    """

    metrics: tuple[str, ...] = ()
    breakdown: Literal["snr", "levels", "noise"] = "snr"
    sample_rate: int = audio.SAMPLE_RATE
    target: str = ""

    def __post_init__(self) -> None:
        if not self.metrics:
            raise RecipeError(f"{type(self).__name__} needs at least one metric to score with.")
        if self.breakdown not in ("snr", "levels", "noise"):
            raise RecipeError(f"breakdown must be snr, levels or noise, not '{self.breakdown}'.")
        for definition in (*self.metrics, *([self.target] if self.target else [])):
            metrics.get(definition)

    @property
    def definitions(self) -> tuple[str, ...]:
        """Definition ids of the measures in the table's order."""
        return self.metrics

    def label(self, definition: str) -> str:
        """Returns how the table calls a measure."""
        return metrics.get(definition).label

    def higher_is_better(self, definition: str) -> bool:
        """Whether large values of a measure are good."""
        return metrics.get(definition).higher_is_better

    def details(self) -> dict[str, Any]:
        """Returns rate and ranking measure, for the page."""
        return {"sample_rate": self.sample_rate, "target": self.target or self.metrics[0]}

    def score(self, systems: Mapping[str, Any], utterances: Sequence[Utterance], run: Run) -> Scores:
        """Scores the noisy files and every system's output; see `Outcome.score`."""
        run.start_progress((1 + len(systems)) * len(utterances))
        scores: Scores = []
        for name, system in {NOISY: None, **systems}.items():
            kept = KEPT_FILES if name == next(iter(systems)) else 0
            rows = self.rows_of(system, utterances, run, kept)
            scores += self._noted(name, utterances, rows, run)
        run.end_progress()
        return scores

    def rows_of(
        self, system: Any, utterances: Sequence[Utterance], run: Run, kept: int
    ) -> Iterator[evaluation.Row]:
        """Yields what `kseg evaluate` says of each file.

        Args:
            system: The system, `None` for the noisy files.
            utterances: What is scored.
            run: The run folder.
            kept: How many enhanced files stay in it.
        """
        scoring = evaluation.Scoring(self.metrics, self.sample_rate)
        if system is None:
            return comparison.noisy_rows(utterances, scoring, run.pool)

        def keep(number: int, utterance: Utterance) -> Path | None:
            return kept_file(run, utterance, utterance.noisy.suffix) if number < kept else None

        return comparison.enhanced_rows(system, utterances, scoring, run.pool, keep)

    def _noted(
        self, name: str, utterances: Sequence[Utterance], rows: Iterable[evaluation.Row], run: Run
    ) -> Iterator[dict[str, Any]]:
        """Yields lines of scores; says and notes on the way what could not be scored."""
        for utterance, row in zip(utterances, rows, strict=True):
            failure = row.result.failure.message if row.result.failure else ""
            yield {**base.score_line(name, utterance), **(row.result.scores or {}), "failure": failure}
            run.advance(1, f"scoring {name}")
            if failure:
                run.note(f"{utterance.id} ({name}) could not be scored: {failure}")

    def conditions(self, row: str, lines: Scores, published: Numbers) -> Iterator[tuple[str, Scores]]:
        """Yields all lines, then those of each noise, or of each SNR that the paper's table has a row for."""
        yield "", lines
        if self.breakdown == "noise":
            yield from base.by_noise(lines)
            return
        names = {name for name, _ in published}
        every = self.breakdown == "levels"
        yield from (
            (suffix, group) for suffix, group in base.by_level(lines) if every or row + suffix in names
        )

    def is_quoted(self, row: str) -> bool:
        """Whether a row that we have no number for is shown: of single levels only what we have as well."""
        return self.breakdown == "noise" or super().is_quoted(row)

    def estimate(self, lines: Scores, definition: str) -> Estimate | None:
        """Averages scores; where the table goes by noises, over the noises' means and deviations (sednn)."""
        found = super().estimate(lines, definition)
        if found is None or self.breakdown != "noise":
            return found
        noises: dict[str, list[float]] = {}
        for line in lines:
            if definition in line:
                noises.setdefault(line["noise"], []).append(line[definition])
        groups = [noises[noise] for noise in sorted(noises)]
        mean, deviation = (float(np.mean([of(group) for group in groups])) for of in (np.mean, np.std))
        return Estimate(mean, found.interval, found.count, deviation)

    def draw(
        self,
        systems: Mapping[str, Any],
        utterances: Sequence[Utterance],
        scores: Scores,
        run: Run,
        examples: bool = False,
    ) -> None:
        """Draws learning curves, writes the sound of the report's examples; see `Outcome.draw`."""
        super().draw(systems, utterances, scores, run, examples)
        name, system = next(iter(systems.items()))
        by_id = {utterance.id: utterance for utterance in utterances}
        ranked = self._ranked(name, scores)
        for utterance in (by_id[key] for key in ranked.values()):
            self._write_example(utterance, system, run)
        if examples and plots.is_available():
            firsts = {u.noise: u for u in reversed(utterances)}
            for utterance in list(reversed(firsts.values()))[:PLOTTED]:
                self._draw_spectrograms(utterance, system, run)

    def _ranked(self, system: str, scores: Scores) -> dict[str, str]:
        lines = base.by_system(scores)
        target = self.target or self.metrics[0]
        pairs = base.paired(lines[system], lines[NOISY], target)
        changes = {one["id"]: one[target] - other[target] for one, other in pairs}
        return showcase.chosen(changes, self.higher_is_better(target))

    def waveforms(self, utterance: Utterance, system: Any) -> dict[str, np.ndarray]:
        """Returns noisy, enhanced and clean speech of an utterance at the outcome's rate."""
        reader = UtteranceReader(sample_rate=self.sample_rate)
        noisy = reader.noisy(utterance)
        enhancer = system if isinstance(system, WaveformEnhancer) else PlainEnhancer(system)
        enhanced = enhancement.enhance(enhancer, noisy, self.sample_rate)
        return {"noisy": noisy, "enhanced": enhanced, "clean": reader.clean(utterance)}

    def _write_example(self, utterance: Utterance, system: Any, run: Run) -> None:
        try:
            sounds = self.waveforms(utterance, system)
            showcase.write(run.folder, utterance.id, sounds, self.sample_rate)
        except (KsegError, OSError) as error:
            run.note(f"{utterance.id}: no sound in the report ({error})")

    def _draw_spectrograms(self, utterance: Utterance, system: Any, run: Run) -> None:
        try:
            sounds = self.waveforms(utterance, system)
        except (KsegError, OSError) as error:
            run.note(f"{utterance.id}: no spectrograms ({error})")
            return
        path = run.path(f"report/spectrogram-{files.file_name(utterance.id)}.png")
        plots.spectrograms(sounds, self.sample_rate, path, f"{plots.title(run.folder)}\n{utterance.id}")


def kept_file(run: Run, utterance: Utterance, suffix: str) -> Path:
    """Returns where the enhanced file of an utterance stays."""
    return run.path(f"enhanced/{files.file_name(utterance.id)}{suffix}")
