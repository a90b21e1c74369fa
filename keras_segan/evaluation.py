"""Evaluation of enhanced files: pairs of files, their scores, and what is said of them.

`evaluate` scores two waveforms, `evaluate_folders` is what `kseg evaluate` runs; `summarise` and
`bootstrap_interval` make means and intervals out of scores, here and for reproductions.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_segan import audio, files
from keras_segan import metrics as metric_registry
from keras_segan.data.folders import audio_files
from keras_segan.data.manifest import Manifest
from keras_segan.data.pairing import UNCLEAR, find_outputs, partners
from keras_segan.errors import DataError, MetricError, MetricUsageError
from keras_segan.metrics.items import (
    POLICIES,
    Failure,
    ScoreItem,
    ScoreResult,
    floor,
    floored,
    key,
)

if TYPE_CHECKING:
    from keras_segan.metrics.pool import ScoringPool

CONDITIONS = ("snr", "noise", "speaker")
REMARKS = ("failure", "notes")  # last columns of a table of scores
LEVEL = 0.95
RESAMPLINGS = 2000


def evaluate(
    clean: np.ndarray,
    processed: np.ndarray,
    sample_rate: int,
    metrics: Iterable[str] = ("pesq", "stoi"),
) -> dict[str, float]:
    """Scores a waveform against the clean one.

    Args:
        clean: `(samples,)`, float in [-1, 1] or int16.
        processed: The same; at most one hop (256 samples) longer or shorter.
        sample_rate: In Hz; any rate but 8000 and 16000 is resampled to 16000.
        metrics: Names from `metrics.names()`, or `module:function@WORST..BEST`.

    Returns:
        The value of each metric by the name that was asked for.

    Raises:
        MetricError: If a metric is unknown, or a signal is silent, too short, not finite or not mono.
    """
    return metric_registry.score(metrics, clean, processed, sample_rate)


@dataclass(frozen=True)
class Summary:
    """Statistics of one metric over utterances.

    Attributes:
        mean: Mean.
        std: Standard deviation of the utterances (n - 1); NaN for a single one.
        low: Lower end of the bootstrap 95 % interval of the mean.
        high: Upper end.
        n: Number of utterances.
    """

    mean: float
    std: float
    low: float
    high: float
    n: int


def bootstrap_interval(
    values: Sequence[float], level: float = LEVEL, seed: int = 0, n: int = RESAMPLINGS
) -> tuple[float, float]:
    """Returns the percentile bootstrap interval of a mean; the same values and seed give the same one.

    Args:
        values: One value an utterance.
        level: Share of the resampled means inside.
        seed: Of the resampling.
        n: Number of resamplings.

    Returns:
        Lower and upper end.

    Raises:
        MetricError: If there are no values.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0:
        raise MetricError("There are no values to take the mean of.")
    rng = np.random.default_rng(seed)
    # Row by row: all indices at once would be 800 MB for the 50,000 files of a large test set.
    means = [values[rng.integers(values.size, size=values.size)].mean() for _ in range(n)]
    low, high = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def summarise(rows: Iterable[Mapping[str, float]], seed: int = 0) -> dict[str, Summary]:
    """Returns the statistics of every metric.

    Args:
        rows: The scores of an utterance each, value by metric; other columns are passed over.
        seed: Of the bootstrap.

    Returns:
        Summary by metric, in the order of the first row that has it.
    """
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                columns.setdefault(name, []).append(float(value))
    return {name: _summary(np.array(values), seed) for name, values in columns.items()}


def _summary(values: np.ndarray, seed: int) -> Summary:
    with np.errstate(invalid="ignore"):  # the SNR of identical signals is infinite, its deviation undefined
        std = float(np.std(values, ddof=1)) if values.size > 1 else float("nan")
        return Summary(float(values.mean()), std, *bootstrap_interval(values, seed=seed), values.size)


@dataclass(frozen=True)
class FilePair:
    """Files that belong together, one of which may be missing.

    Attributes:
        id: Name in tables.
        clean: Reference file.
        enhanced: The file to be judged.
        noisy: The input of the enhancement, `None` if it is not to be compared with.
        problem: Why the pair cannot be scored, empty if it can.
        scale: Factor for the noisy file (10 for those stored as (clean + noise) / 10).
        processed_scale: The same for the enhanced file.
        speaker: Empty if unknown.
        noise: Empty if unknown.
        snr: In dB, `None` if unknown.
    """

    id: str
    clean: Path | None
    enhanced: Path | None
    noisy: Path | None = None
    problem: str = ""
    scale: float = 1.0
    speaker: str = ""
    noise: str = ""
    snr: float | None = None
    processed_scale: float = 1.0


@dataclass(frozen=True)
class Row:
    """A pair and its results.

    Attributes:
        pair: The files.
        result: Scores or failure of the enhanced file.
        noisy: Those of the noisy file, `None` if there is none.
    """

    pair: FilePair
    result: ScoreResult
    noisy: ScoreResult | None = None

    @property
    def failures(self) -> list[Failure]:
        """What went wrong, none to two."""
        return [r.failure for r in (self.result, self.noisy) if r is not None and r.failure]


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate_folders`.

    Attributes:
        rows: One a pair, in the order of the ids, failed ones included.
        metrics: Names as asked for.
        seed: Of the bootstrap.
    """

    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    seed: int = 0

    @property
    def failed(self) -> list[Row]:
        """The rows in which something could not be scored."""
        return [row for row in self.rows if row.failures]

    @property
    def scored(self) -> list[Row]:
        """The rows whose enhanced file has scores."""
        return [row for row in self.rows if row.result.scores is not None]

    @property
    def floored(self) -> list[Row]:
        """The rows that count with the worst value of each metric because they failed."""
        return [row for row in self.scored if row.result.failure]

    @property
    def compared(self) -> list[Row]:
        """The rows of which the noisy file has scores, too."""
        return [row for row in self.scored if row.noisy is not None and row.noisy.scores is not None]

    def summary(self) -> dict[str, Summary]:
        """Returns the statistics of the enhanced files."""
        return summarise((row.result.scores for row in self.scored), self.seed)

    def noisy_summary(self) -> dict[str, Summary]:
        """Returns the statistics of the noisy files."""
        return summarise((row.noisy.scores for row in self.compared), self.seed)

    def improvement(self) -> dict[str, Summary]:
        """Returns the statistics of enhanced minus noisy, paired by utterance."""
        differences = (
            {name: row.result.scores[name] - row.noisy.scores[name] for name in self.metrics}
            for row in self.compared
        )
        return summarise(differences, self.seed)

    def by_condition(self) -> dict[str, dict[str, dict[str, Summary]]]:
        """Returns statistics by condition, value and metric, for conditions of two values and more."""
        tables = {}
        for condition in CONDITIONS:
            groups: dict = {}
            for row in self.scored:
                groups.setdefault(getattr(row.pair, condition), []).append(row.result.scores)
            groups = {value: scores for value, scores in groups.items() if value not in ("", None)}
            if len(groups) > 1:
                tables[condition] = {
                    f"{v:g}" if condition == "snr" else v: summarise(groups[v], self.seed)
                    for v in sorted(groups)
                }
        return tables

    def notes(self) -> list[str]:
        """Returns what was done to files before scoring, equal notes gathered."""
        owners: dict[str, list[str]] = {}
        for row in self.rows:
            for note in row.result.notes:
                owners.setdefault(note, []).append(row.pair.id)
        return [
            f"{ids[0]}: {note}" if len(ids) == 1 else f"{len(ids)} files: {note}"
            for note, ids in owners.items()
        ]

    def write_csv(self, path: Path | str):
        """Writes a line per pair: facts, scores, those of the noisy file, failure, notes.

        Raises:
            FileError: If the file cannot be written.
        """
        files.write_table(path, *self._table())

    def as_csv(self) -> str:
        """Returns the lines of `write_csv`."""
        return files.table_text(*self._table())

    def _table(self) -> tuple[list[str], list[dict]]:
        noisy_names = [f"noisy_{name}" for name in self.metrics] if any(r.noisy for r in self.rows) else []
        # The metric "snr" measures what the condition of this name says.
        level = "nominal_snr" if "snr" in self.metrics else "snr"
        columns = ["id", "speaker", "noise", level, *self.metrics, *noisy_names, *REMARKS]
        return columns, [self._line(row, level) for row in self.rows]

    def _line(self, row: Row, level: str) -> dict:
        noisy = (row.noisy.scores or {}) if row.noisy else {}
        return {
            "id": row.pair.id,
            "speaker": row.pair.speaker,
            "noise": row.pair.noise,
            level: "" if row.pair.snr is None else f"{row.pair.snr:g}",
            **{name: repr(value) for name, value in (row.result.scores or {}).items()},
            **{f"noisy_{name}": repr(value) for name, value in noisy.items()},
            "failure": "; ".join(map(str, row.failures)),
            "notes": "; ".join(row.result.notes),
        }


def is_score_table(path: Path) -> bool:
    """Says whether a file is empty or what `Evaluation.write_csv` writes."""
    if not path.is_file():
        return False
    if path.stat().st_size == 0:
        return True
    try:
        next(files.read_table(path, ("id", *REMARKS)))
    except (DataError, StopIteration):
        return False
    return True


@dataclass(frozen=True)
class Scoring:
    """How pairs are scored.

    Attributes:
        metrics: Names of metrics.
        sample_rate: All files are resampled to it, in Hz; `None` leaves them at theirs.
        on_error: `"floor"`, `"skip"` or `"raise"`; the latter two only differ in what the caller does.
        jobs: Worker processes, `None` for one a core.
        dask: Address of a dask scheduler.
        timeout: Seconds for one file.
        progress: Wraps the iterator of results, called with `total`; `tqdm` fits.
    """

    metrics: tuple[str, ...] = ("pesq", "stoi")
    sample_rate: int | None = None
    on_error: str = "raise"
    jobs: int | None = None
    dask: str | None = None
    timeout: float | None = None
    progress: Callable = field(default=lambda results, total: results)

    def check(self):
        """Finds out before the work whether names and policy are right (exit code 2 if not)."""
        if self.on_error not in POLICIES:
            raise MetricUsageError(f"'{self.on_error}' is none of {', '.join(POLICIES)}.")
        for metric in self.metrics:
            metric_registry.get(metric)
            if self.on_error == "floor":
                floor(metric)


def evaluate_folders(
    clean: Path | str | None = None,
    enhanced: Path | str | None = None,
    noisy: Path | str | None = None,
    manifest: Manifest | None = None,
    scoring: Scoring | None = None,
) -> Evaluation:
    """Scores a folder of enhanced files, every file even if some fail.

    Args:
        clean: Folder of clean files; not needed with a manifest.
        enhanced: Folder of enhanced files, paired by relative stem.
        noisy: Folder of noisy files, to be compared with; with a manifest its noisy files are taken.
        manifest: Says which clean and noisy file belong to which id, and the condition.
        scoring: Metrics and how they are computed.

    Returns:
        All rows; failures are in them, also under `on_error="raise"`.

    Raises:
        DataError: If a folder is missing or nothing pairs.
        MetricError: If a metric or policy is wrong (exit code 2).
    """
    scoring = scoring or Scoring()
    scoring.check()
    pairs = pair_manifest(manifest, enhanced) if manifest else pair_folders(clean, enhanced, noisy)
    if all(pair.problem for pair in pairs):
        unclear = next((pair.problem for pair in pairs if pair.clean and UNCLEAR in pair.problem), None)
        problem = unclear or "no file here has the name of a clean file; check both folders"
        raise DataError(f"{files.printable(enhanced)}: {problem}.")
    return score_pairs(pairs, scoring)


def pair_folders(clean: Path | str, enhanced: Path | str, noisy: Path | str | None = None) -> list[FilePair]:
    """Pairs the files of folders by relative stem; what lacks its partner is listed with a problem."""
    folders = {"clean": Path(clean), "enhanced": Path(enhanced)} | ({"noisy": Path(noisy)} if noisy else {})
    problems: dict[Path, str] = {}
    there = {name: audio_files(folder, problems) for name, folder in folders.items()}
    others = {name: partners(there["clean"], there[name]) for name in folders}
    matched = set(others["enhanced"].values())
    pairs = []
    for stem in sorted({*there["clean"], *(there["enhanced"].keys() - matched)}):
        found = {name: there[name].get(others[name].get(stem, stem)) for name in folders}
        missing = [_missing(name, folders[name], stem) for name, path in found.items() if path is None]
        pairs.append(FilePair(files.printable(stem), **found, problem="; ".join(missing)))
    return pairs + _not_looked_into(problems)


def _not_looked_into(problems: Mapping[Path, str]) -> list[FilePair]:
    return [FilePair(files.printable(path), None, None, problem=text) for path, text in problems.items()]


def _missing(name: str, folder: Path, stem: str) -> str:
    """Says why there is no file of that stem."""
    for suffix in audio.AUDIO_SUFFIXES:
        path = folder / f"{stem}{suffix}"
        if os.path.isdir(path):
            return f"{files.printable(path)}: this is a folder, not an audio file"
    return f"no {name} file '{files.printable(stem)}' in {files.printable(folder)}"


def pair_manifest(manifest: Manifest, enhanced: Path | str) -> list[FilePair]:
    """Finds the enhanced file of each utterance; see `data.pairing.find_outputs`.

    Of a manifest with a test split only that is taken.
    """
    utterances = manifest.split("test") or manifest.utterances
    problems: dict[Path, str] = {}
    there = audio_files(enhanced, problems)
    outputs = find_outputs(utterances, there)
    pairs = []
    for u in utterances:
        path = there.get(outputs.found.get(u.id, ""))
        problem = "" if path else outputs.unclear.get(u.id) or _missing("enhanced", Path(enhanced), u.id)
        pairs.append(FilePair(u.id, u.clean, path, u.noisy, problem, u.scale, u.speaker, u.noise, u.snr))
    spare = set(there) - set(outputs.found.values()) - outputs.claimed
    others = [u for u in manifest.utterances if u.split != "test"] if manifest.split("test") else []
    strange = sorted(spare - set(find_outputs(others, spare).found.values()))
    pairs += [
        FilePair(files.printable(stem), None, there[stem], problem="the manifest does not know it")
        for stem in strange
    ]
    return pairs + _not_looked_into(problems)


def score_pairs(pairs: Sequence[FilePair], scoring: Scoring, pool: "ScoringPool | None" = None) -> Evaluation:
    """Scores pairs in worker processes.

    Args:
        pairs: The files.
        scoring: Metrics and how they are computed.
        pool: Workers that are there already; new ones for these pairs if `None`.

    Returns:
        A row for every pair, in their order.
    """
    from keras_segan.metrics.pool import ScoringPool

    whole = [pair for pair in pairs if not pair.problem]
    items = [_item(pair, pair.enhanced, pair.processed_scale, scoring) for pair in whole]
    items += [_item(pair, pair.noisy, pair.scale, scoring) for pair in whole if pair.noisy]
    own = contextlib.nullcontext(pool) if pool else ScoringPool(scoring.jobs, scoring.dask, scoring.timeout)
    with own as workers:
        results = list(scoring.progress(workers.map(items), total=len(items)))
    if scoring.on_error == "floor":
        results = [floored(result) if result.failure else result for result in results]
    enhanced, noisy = iter(results[: len(whole)]), iter(results[len(whole) :])
    rows = [
        Row(pair, _unpaired(pair, scoring))
        if pair.problem
        else Row(pair, next(enhanced), next(noisy) if pair.noisy else None)
        for pair in pairs
    ]
    return Evaluation(tuple(rows), tuple(map(key, scoring.metrics)))


def _item(pair: FilePair, processed: Path, scale: float, scoring: Scoring) -> ScoreItem:
    return ScoreItem(pair.id, pair.clean, processed, scoring.sample_rate, tuple(scoring.metrics), scale)


def _unpaired(pair: FilePair, scoring: Scoring) -> ScoreResult:
    result = ScoreResult(pair.id, None, Failure("Missing", pair.problem), metrics=tuple(scoring.metrics))
    return floored(result) if scoring.on_error == "floor" else result


def check_noisy_row(
    manifest: Manifest,
    published: Mapping[str, float | str],
    jobs: int | None = None,
    split: str = "test",
    progress: Callable = lambda results, total: results,
) -> list[dict]:
    """Recomputes the scores of a corpus's noisy files and compares their means with published ones.

    Args:
        manifest: The corpus.
        published: Value by metric; as a string ("2.40") it keeps its printed precision.
        jobs: Worker processes, `None` for one a core.
        split: Which part.
        progress: Wraps the iterator of results, called with `total`; `tqdm` fits.

    Returns:
        A row a metric: `metric`, `definition`, `ours`, `low` and `high` (bootstrap 95 %), `published`,
        `n` and `expected` (utterances scored, and of the complete split or `None`), `failures`, and
        `verdict`: "match", "no match" or "incomplete corpus (549 of 824)".

    Raises:
        DataError: If the manifest has no such split, or nothing of it can be scored.
    """
    from keras_segan.data.corpora import CORPORA

    utterances = manifest.split(split)
    if not utterances:
        raise DataError(f"The manifest has no {split} split; there is no noisy row to check.")
    # The noisy file takes the place of the enhanced one.
    pairs = [FilePair(u.id, u.clean, u.noisy, processed_scale=u.scale) for u in utterances]
    scoring = Scoring(tuple(published), audio.SAMPLE_RATE, "skip", jobs, progress=progress)
    evaluation = score_pairs(pairs, scoring)
    failures = [f"{row.pair.id}: {failure.message}" for row in evaluation.failed for failure in row.failures]
    summary = evaluation.summary()
    if not summary:
        raise DataError(f"No noisy file could be scored; the first: {failures[0]}")
    corpus = CORPORA.get(manifest.corpus)
    expected = corpus.counts.get(split) if corpus else None
    return [
        {
            "metric": name,
            "definition": metric_registry.get(name).definition,
            "ours": summary[name].mean,
            "low": summary[name].low,
            "high": summary[name].high,
            "published": float(value),
            "n": summary[name].n,
            "expected": expected,
            "failures": failures,
            "verdict": verdict(summary[name].mean, value, summary[name].n, expected),
        }
        for name, value in published.items()
    ]


def verdict(ours: float, published: float | str, n: int, expected: int | None) -> str:
    """Compares a mean with a published value at its printed precision.

    Args:
        ours: Our mean.
        published: The value; its decimals count.
        n: Number of utterances in our mean.
        expected: Number in the published one, `None` if unknown.

    Returns:
        "match", "no match", or "incomplete corpus (n of expected)": then the two may well differ.
    """
    if expected is not None and n != expected:
        return f"incomplete corpus ({n} of {expected})"
    decimals = len(str(published).partition(".")[2])
    half_a_digit = 0.5 * 10.0**-decimals
    return "match" if abs(ours - float(published)) <= half_a_digit + 1e-9 else "no match"
