"""Scores of speech without a clean original, by trained predictors: measures, and folders of files.

A predictor that is registered here is a metric like any other: it has a name, a definition id, a range and a
direction, tables show it, and MetricGAN can climb on it. It looks at the processed signal alone;
`kseg evaluate` needs no clean files for it.
"""

import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_segan import audio, files, prediction
from keras_segan.data.folders import audio_files
from keras_segan.errors import DataError, KsegError, MetricUsageError
from keras_segan.evaluation import Evaluation, FilePair, Row
from keras_segan.metrics import Metric
from keras_segan.metrics.items import Failure, ScoreResult

MODEL_VARIABLE = "KSEG_QUALITYNET"  # name or file of another model for the metric "qualitynet"
FRAME_COLUMNS = ("id", "channel", "seconds", "score")
BLOCK = 64  # files that are in memory at once


def qualitynet(clean: np.ndarray, processed: np.ndarray, sample_rate: int) -> float:
    """Predicts raw narrow-band PESQ of the processed signal; the clean one is not looked at.

    Args:
        clean: `(samples,)`.
        processed: `(samples,)`.
        sample_rate: In Hz.
    """
    return float(prediction.predict(model_of("qualitynet"), processed, sample_rate)["score"])


QUALITYNET = Metric(
    name="qualitynet",
    function=qualitynet,
    range=(-0.5, 4.5),
    unit="MOS",
    reference="Fu et al., Interspeech 2018: predicted pesq-nb-raw",
    label="Quality-Net",
    default_scale="linear@-0.5..4.5",
)
METRICS = {metric.name: metric for metric in (QUALITYNET,)}


@functools.cache
def model_of(metric: str) -> Any:
    """Loads the predictor behind a metric, once in a process."""
    from keras_segan.models import registry

    return registry.load_model(os.environ.get(MODEL_VARIABLE) or metric)


def check(names: Iterable[str]):
    """Raises `MetricUsageError` if a metric needs clean files."""
    others = [name for name in names if name not in METRICS]
    if others:
        raise MetricUsageError(
            f"'{others[0]}' compares with clean files: give --clean or --manifest. Without them: "
            f"{', '.join(METRICS)}."
        )


def evaluate_folder(
    folder: Path | str, names: Sequence[str], trim_silence: bool = False, frames: Path | str | None = None
) -> Evaluation:
    """Scores a folder of files, every file even if some fail.

    Args:
        folder: The folder.
        names: Metrics of this module.
        trim_silence: Whether silence before and after the speech is cut off first.
        frames: CSV file for the frame scores of the first metric, `None` if they are not wanted.

    Returns:
        A row for every file; of several channels a row each.

    Raises:
        DataError: If there are no audio files.
        MetricUsageError: If a metric needs clean files.
    """
    check(names)
    problems: dict[Path, str] = {}
    there = audio_files(Path(folder), problems)
    if not there:
        raise DataError(f"{files.printable(folder)}: there is no audio file here.")
    rows: list[Row] = []
    lines: list[tuple] = []
    for stem, path in sorted(there.items()):
        for row, scored in _rows(files.printable(stem), path, names, trim_silence):
            rows.append(row)
            lines += scored
    rows += [
        Row(
            FilePair(files.printable(path), None, None, problem=text),
            _failed(files.printable(path), names, text),
        )
        for path, text in problems.items()
    ]
    if frames is not None:
        files.write_table(frames, FRAME_COLUMNS, lines)
    return Evaluation(tuple(rows), tuple(names))


def _rows(name: str, path: Path, metrics: Sequence[str], trim_silence: bool) -> list[tuple[Row, list[tuple]]]:
    """Scores a file; whatever goes wrong becomes a failure of its row."""
    try:
        waveform, sample_rate = audio.read(path)
        found = {
            metric: prediction.predict(model_of(metric), waveform, sample_rate, trim_silence=trim_silence)
            for metric in metrics
        }
    except KsegError as error:
        failure = _failed(name, metrics, str(error), type(error).__name__)
        return [(Row(FilePair(name, None, path), failure), [])]
    count = 1 if waveform.ndim == 1 else waveform.shape[1]
    return [_channel(name, path, found, channel, count) for channel in range(count)]


def _channel(
    name: str, path: Path, found: dict[str, dict[str, Any]], channel: int, count: int
) -> tuple[Row, list[tuple]]:
    own = name if count == 1 else f"{name} channel {channel + 1}"
    scores, notes, lines = {}, [], []
    for metric, result in found.items():
        scores[metric] = float(np.atleast_1d(result["score"])[channel])
        notes += _notes(metric, scores[metric], float(np.atleast_1d(result["silence"])[channel]))
    first = next(iter(found.values()))
    if "frame_scores" in first:
        columns = first["frame_scores"].reshape(len(first["frame_times"]), -1)[:, channel]
        times = zip(first["frame_times"], columns, strict=True)
        lines = [(name, channel + 1, f"{t:.3f}", f"{score:.6f}") for t, score in times]
    scored = ScoreResult(own, scores, notes=tuple(notes), metrics=tuple(found))
    return Row(FilePair(own, None, path), scored), lines


def _notes(metric: str, score: float, silence: float) -> list[str]:
    notes = []
    if silence > prediction.MUCH_SILENCE:
        notes.append(
            "much of it is silence, which raises the predicted score; --trim-silence cuts off its ends"
        )
    low, high = METRICS[metric].range
    if not low <= score <= high:
        notes.append(
            f"{metric} is outside its range of {low:g} to {high:g}: speech of a kind it was not trained on"
        )
    return notes


def _failed(name: str, metrics: Sequence[str], message: str, kind: str = "DataError") -> ScoreResult:
    return ScoreResult(name, None, Failure(kind, message), metrics=tuple(metrics))
