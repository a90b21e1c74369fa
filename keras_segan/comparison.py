"""Scores of a system on test files: enhanced as `kseg enhance` does it, scored as `kseg evaluate` does.

A run's table, model cards and comparisons all come here, so that they cannot disagree.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from keras_segan import audio, enhancement, evaluation
from keras_segan.data.manifest import Utterance
from keras_segan.errors import KsegError
from keras_segan.inference import PlainEnhancer, WaveformEnhancer
from keras_segan.metrics.pool import ScoringPool

GROUP = 64  # files that are on the disk before they are scored


def scoring_rate(model: Any) -> int:
    """Returns the rate in Hz at which a model's output is scored: 8000 if it works there, else 16000."""
    return 8000 if model.front_end.sample_rate == 8000 else audio.SAMPLE_RATE


def evaluate(
    system: Any,
    utterances: Sequence[Utterance],
    scoring: evaluation.Scoring,
    progress: Callable[..., Iterable[evaluation.Row]] = lambda rows, total: rows,
) -> evaluation.Evaluation:
    """Scores a system's output and the noisy files, for the change that it brings.

    Args:
        system: An enhancer, or anything with `enhance(waveform)` and `sample_rate`.
        utterances: The files.
        scoring: Metrics, rate and number of workers.
        progress: Wraps the iterator of rows, called with `total`; `tqdm` fits.

    Returns:
        A row for each utterance, in order.
    """
    with ScoringPool(scoring.jobs, scoring.dask, scoring.timeout) as pool:
        noisy = list(noisy_rows(utterances, scoring, pool))
        enhanced = progress(enhanced_rows(system, utterances, scoring, pool), total=len(utterances))
        rows = [
            dataclasses.replace(row, noisy=before.result) for row, before in zip(enhanced, noisy, strict=True)
        ]
    return evaluation.Evaluation(tuple(rows), scoring.metrics)


def noisy_rows(
    utterances: Sequence[Utterance], scoring: evaluation.Scoring, pool: ScoringPool | None = None
) -> Iterator[evaluation.Row]:
    """Scores the noisy files as they are, times the factor that the manifest states.

    Args:
        utterances: The files.
        scoring: Metrics and rate.
        pool: Worker processes; new ones if `None`.

    Yields:
        A row for each utterance, in order.
    """
    for group in _groups(utterances):
        pairs = [_pair(u, u.noisy, scale=u.scale) for u in group]
        yield from evaluation.score_pairs(pairs, scoring, pool).rows


def enhanced_rows(
    system: Any,
    utterances: Sequence[Utterance],
    scoring: evaluation.Scoring,
    pool: ScoringPool | None = None,
    keep: Callable[[int, Utterance], Path | None] = lambda number, utterance: None,
) -> Iterator[evaluation.Row]:
    """Enhances files and scores what was written; files that are not kept are deleted again.

    While a group of files is scored, the next one is enhanced.

    Args:
        system: An enhancer, or anything with `enhance(waveform)` and `sample_rate`.
        utterances: The files; the factor that the manifest states is applied to the noisy one.
        scoring: Metrics and rate.
        pool: Worker processes; new ones if `None`.
        keep: Takes number and utterance; returns where the enhanced file stays, `None` if it does not.

    Yields:
        A row for each utterance, in order; a file that could not be enhanced has a failure.
    """
    enhancer = system if isinstance(system, WaveformEnhancer) else PlainEnhancer(system)
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(1) as scorer:
        waiting: Future[evaluation.Evaluation] | None = None
        for start in range(0, len(utterances), GROUP):
            pairs = [
                _enhanced(enhancer, u, keep(n, u) or Path(scratch) / f"{n}{u.noisy.suffix}")
                for n, u in enumerate(utterances[start : start + GROUP], start)
            ]
            following = scorer.submit(_scored, pairs, scoring, pool, Path(scratch))
            if waiting is not None:
                yield from waiting.result().rows
            waiting = following
        if waiting is not None:
            yield from waiting.result().rows


def _groups(utterances: Sequence[Utterance]) -> Iterator[Sequence[Utterance]]:
    return (utterances[start : start + GROUP] for start in range(0, len(utterances), GROUP))


def _pair(u: Utterance, processed: Path | None, scale: float = 1.0, problem: str = "") -> evaluation.FilePair:
    return evaluation.FilePair(
        u.id,
        u.clean,
        processed,
        problem=problem,
        speaker=u.speaker,
        noise=u.noise,
        snr=u.snr,
        processed_scale=scale,
    )


def _enhanced(enhancer: WaveformEnhancer, u: Utterance, target: Path) -> evaluation.FilePair:
    try:
        enhancement.enhance_file(enhancer, u.noisy, target, scale=u.scale)
    except (KsegError, OSError) as error:
        return _pair(u, None, problem=f"could not be enhanced: {error}")
    except Exception as error:  # an unforeseen one must not end a run of days in its last hour
        message = f"could not be enhanced: {type(error).__name__}: {error} (unexpected; please report it)"
        return _pair(u, None, problem=message)
    return _pair(u, target)


def _scored(
    pairs: Sequence[evaluation.FilePair],
    scoring: evaluation.Scoring,
    pool: ScoringPool | None,
    scratch: Path,
) -> evaluation.Evaluation:
    result = evaluation.score_pairs(pairs, scoring, pool)
    for pair in pairs:
        if pair.enhanced is not None and pair.enhanced.parent == scratch:
            pair.enhanced.unlink(missing_ok=True)
    return result
