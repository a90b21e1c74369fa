"""Listening: speech is changed before noise is added to it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from keras_segan import audio, comparison, evaluation
from keras_segan.data.manifest import Utterance
from keras_segan.errors import KsegError
from keras_segan.metrics.items import Failure, ScoreItem, ScoreResult
from keras_segan.reproduction.outcomes.enhancement import Enhancement, kept_file
from keras_segan.training.run_folder import Run


class SpeechAndNoise(Protocol):
    """Reads pairs as speech and noise at the task's levels."""

    sample_rate: int

    def clean(self, utterance: Utterance) -> np.ndarray:
        """Returns the speech `(samples,)`."""

    def noise(self, utterance: Utterance) -> np.ndarray:
        """Returns the noise alone `(samples,)`."""

    def noisy(self, utterance: Utterance) -> np.ndarray:
        """Returns the speech as it was, in noise, `(samples,)`."""


@dataclass(frozen=True, kw_only=True)
class Listening(Enhancement):
    """Speech and the noise at the listener's place in, changed speech out, scored where the noise is heard.

    Systems are `models.base.ListeningEnhancer`s. The levels are the task's and not those of the files, so
    that `kseg enhance` cannot do this.

    Attributes:
        reader: Reads pairs as speech and noise at the task's levels.
    """

    reader: SpeechAndNoise

    def rows_of(
        self, system: Any, utterances: Sequence[Utterance], run: Run, kept: int
    ) -> Iterator[evaluation.Row]:
        """Yields the scores of what is heard; see `Enhancement.rows_of`."""
        for start in range(0, len(utterances), comparison.GROUP):
            group = utterances[start : start + comparison.GROUP]
            heard = [self._heard(utterance, system) for utterance in group]
            if start < kept:
                self._keep(group[: kept - start], heard, run)
            yield from self._scored(group, heard, run)

    def _heard(self, utterance: Utterance, system: Any) -> np.ndarray | Failure:
        try:
            if system is None:
                return self.reader.noisy(utterance)
            heard: np.ndarray = np.clip(system.enhance_utterance(utterance, self.reader), -1.0, 1.0)
            return heard
        except (KsegError, OSError) as error:
            return Failure(type(error).__name__, f"could not be enhanced: {error}")
        except Exception as error:  # an unforeseen one must not end a run of days in its last hour
            message = f"could not be enhanced: {error} (unexpected; please report it)"
            return Failure(type(error).__name__, message)

    def _keep(self, group: Sequence[Utterance], heard: Sequence[np.ndarray | Failure], run: Run) -> None:
        for utterance, waveform in zip(group, heard, strict=False):
            if isinstance(waveform, np.ndarray):
                audio.write(kept_file(run, utterance, ".wav"), waveform, self.sample_rate)

    def _scored(
        self, group: Sequence[Utterance], heard: Sequence[np.ndarray | Failure], run: Run
    ) -> Iterator[evaluation.Row]:
        items = [
            ScoreItem(u.id, self.reader.clean(u), waveform, self.sample_rate, self.metrics)
            for u, waveform in zip(group, heard, strict=True)
            if isinstance(waveform, np.ndarray)
        ]
        results = {result.id: result for result in run.pool.map(items)}
        for u, waveform in zip(group, heard, strict=True):
            failed = ScoreResult(u.id, None, waveform) if isinstance(waveform, Failure) else None
            yield evaluation.Row(evaluation.FilePair(u.id, u.clean, None), failed or results[u.id])

    def waveforms(self, utterance: Utterance, system: Any) -> dict[str, np.ndarray]:
        """Returns speech in noise as it was and changed, and the speech alone."""
        changed = system.enhance_utterance(utterance, self.reader)
        noisy, clean = self.reader.noisy(utterance), self.reader.clean(utterance)
        return {"noisy": noisy, "enhanced": changed, "clean": clean}
