"""What is scored in a worker process, what comes back, and what becomes of failures."""

import dataclasses
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_segan.errors import AudioError, KsegError, MetricError, MetricUsageError
from keras_segan.metrics.pair import Pair, to_float
from keras_segan.metrics.registry import Metric, get, score_pair

POLICIES = ("floor", "skip", "raise")


@dataclass(frozen=True)
class ScoreItem:
    """A pair to be scored.

    Attributes:
        id: Its name in the results.
        clean: Waveform `(samples,)` or path.
        processed: Waveform `(samples,)` or path.
        sample_rate: Of waveforms, in Hz; paths are resampled to it. `None` takes the rate of the two
            files, which must agree.
        metrics: Names of metrics, or metrics.
        scale: Factor for the processed signal (10 for noisy files stored as (clean + noise) / 10).
    """

    id: str
    clean: np.ndarray | Path | str
    processed: np.ndarray | Path | str
    sample_rate: int | None = 16000
    metrics: tuple[str | Metric, ...] = ("pesq", "stoi")
    scale: float = 1.0


@dataclass(frozen=True)
class Failure:
    """Why an item has no scores.

    Attributes:
        kind: Class of the error, `"Crash"` if the worker process died, `"Timeout"` if it was stopped.
        message: A sentence.
    """

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True)
class ScoreResult:
    """The scores of an item, or its failure; both only when the policy `floor` was applied.

    Attributes:
        id: Name of the item.
        scores: Value of each metric by the name asked for; `None` after a failure.
        failure: `None` if all is well.
        notes: What was done to the signals, a sentence each.
        seconds: Time in the worker.
        metrics: The metrics asked for.
    """

    id: str
    scores: dict[str, float] | None
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    metrics: tuple[str | Metric, ...] = ()

    @classmethod
    def failed(cls, item: ScoreItem, kind: str, message: str, seconds: float = 0.0) -> "ScoreResult":
        """Returns the result of an item without scores."""
        return cls(item.id, None, Failure(kind, message), seconds=seconds, metrics=tuple(item.metrics))


def score_item(item: ScoreItem) -> ScoreResult:
    """Scores an item; whatever goes wrong becomes a failure in the result."""
    start = time.perf_counter()
    try:
        clean, processed, sample_rate, notes = _load(item)
        pair = Pair(clean, to_float(processed) * item.scale, sample_rate)
        scores = score_pair(item.metrics, pair)
    except MetricError as error:
        where = item.processed if _is_path(item.processed) else None
        message = f"{where}: {error}" if where else str(error)
        return ScoreResult.failed(item, type(error).__name__, message, time.perf_counter() - start)
    except KsegError as error:
        return ScoreResult.failed(item, type(error).__name__, str(error), time.perf_counter() - start)
    except Exception as error:  # an unforeseen one must not end a run of hours either
        message = f"{error} (unexpected; please report it)"
        return ScoreResult.failed(item, type(error).__name__, message, time.perf_counter() - start)
    seconds = time.perf_counter() - start
    return ScoreResult(item.id, scores, None, (*notes, *pair.notes), seconds, tuple(item.metrics))


def _is_path(source) -> bool:
    return isinstance(source, (str, Path))


def _load(item: ScoreItem) -> tuple[np.ndarray, np.ndarray, int, list[str]]:
    """Returns both waveforms, their common rate in Hz and notes."""
    clean, clean_rate = _read(item.clean, item.sample_rate)
    processed, rate = _read(item.processed, item.sample_rate)
    if item.sample_rate is None and clean_rate != rate:
        raise AudioError(
            f"{item.processed}: its rate is {rate} Hz, that of {item.clean} {clean_rate} Hz; "
            "if both headers are right, say at which rate to score (--sample-rate)."
        )
    target, notes = item.sample_rate or rate, []
    if clean_rate != target or rate != target:
        from keras_segan import audio

        notes.append(f"resampled to {target} Hz (clean {clean_rate} Hz, processed {rate} Hz)")
        clean, processed = audio.resample(clean, clean_rate, target), audio.resample(processed, rate, target)
    return clean, processed, target, notes


def _read(source: np.ndarray | Path | str, sample_rate: int | None) -> tuple[np.ndarray, int]:
    if not _is_path(source):
        if sample_rate is None:
            raise MetricUsageError("A waveform needs its sample rate.")
        return np.asarray(source), sample_rate
    from keras_segan import audio

    waveform, rate = audio.read(source)
    if waveform.ndim != 1:
        raise AudioError(f"{source}: has {waveform.shape[1]} channels; mono is needed, mix it down first.")
    return waveform, rate


def apply_policy(results: Iterable[ScoreResult], on_error: str = "raise") -> list[ScoreResult]:
    """Decides what becomes of failures.

    Args:
        results: All results.
        on_error: `"floor"` gives a failed item the worst value of each metric and leaves its failure in
            the result, `"skip"` leaves it out, `"raise"` raises.

    Returns:
        The results that have scores, in their order.

    Raises:
        MetricError: For `"raise"` and a failure, naming the items; for `"floor"` and a metric whose range
            has no end.
    """
    results = list(results)
    failed = [result for result in results if result.failure]
    if on_error not in POLICIES:
        raise MetricUsageError(f"'{on_error}' is none of {', '.join(POLICIES)}.")
    if on_error == "floor":
        return [floored(result) if result.failure else result for result in results]
    if on_error == "raise" and failed:
        listed = "; ".join(f"{result.id}: {result.failure.message}" for result in failed[:10])
        more = f"; and {len(failed) - 10} more" if len(failed) > 10 else ""
        raise MetricError(f"{len(failed)} of {len(results)} could not be scored: {listed}{more}")
    return [result for result in results if not result.failure]


def floored(result: ScoreResult) -> ScoreResult:
    """Returns a failed result with the worst value of each metric; its failure stays."""
    return dataclasses.replace(result, scores={key(metric): floor(metric) for metric in result.metrics})


def key(metric: str | Metric) -> str:
    """Returns the name by which a score is kept: the one that was asked for."""
    return metric if isinstance(metric, str) else metric.name


def floor(metric: str | Metric) -> float:
    """Returns the worst value of a metric; a range without end has none."""
    worst = get(metric).worst
    if not np.isfinite(worst):
        raise MetricUsageError(f"{key(metric)} has no worst value to put for a failure; use skip or raise.")
    return float(worst)
