"""Runs a reproduction from data to table: the library behind `kseg reproduce`."""

import contextlib
import dataclasses
import functools
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np

from keras_segan import audio, backends, metrics, recipe, report
from keras_segan.data import corpora, mini, sources
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.errors import DataError
from keras_segan.evaluation import bootstrap_interval
from keras_segan.metrics.pool import ScoreItem, ScoringPool
from keras_segan.models.base import Enhancer, ListeningEnhancer
from keras_segan.training.run import Run, is_run

RUNS = Path("runs")
PLOTTED = 8
LISTENING_EXAMPLES = 20  # MetricGAN.py keeps as many enhanced files


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        paper: Name of the reproduction.
        data: Folder or manifest; `None` for the bundled mini corpus.
        variant: Name of a variant, `None` for the one made for the data.
        out: Run folder, `None` for one under `runs/`.
        changes: Settings to change, by name.
        jobs: Scoring processes.
        resume: Whether to go on with a run.
        quiet: Whether to show no progress.
        plot: Whether to draw spectrograms of some test utterances.
    """

    paper: str
    data: str | None = None
    variant: str | None = None
    out: str | None = None
    changes: Mapping[str, object] = field(default_factory=dict)
    jobs: int = 1
    resume: bool = False
    quiet: bool = False
    plot: bool = False


@dataclass(frozen=True)
class Job:
    """A request with everything looked up: recipe, variant, settings, and the data.

    These are pairs, or speech and noise to be mixed, or neither: the mini corpus.
    """

    request: Request
    recipe: ModuleType
    name: str
    variant: str
    config: object
    manifest: Manifest | None
    unmixed: sources.Sources | None = None

    @property
    def corpus(self) -> str:
        """Name of the corpus."""
        return getattr(self.unmixed or self.manifest, "corpus", mini.NAME)

    @property
    def length(self) -> str:
        """How long the training takes, in words."""
        return getattr(self.config, "length", None) or f"{self.config.epochs} epochs"

    @property
    def sample_rate(self) -> int:
        """At which the systems work and are scored, in Hz."""
        return getattr(self.config, "sample_rate", audio.SAMPLE_RATE)

    @property
    def title(self) -> str:
        """What this job is, in a few words."""
        return f"{self.name} {self.variant}, {self.choice}, data: {_corpus_title(self.corpus)}"

    @property
    def choice(self) -> str:
        """What tells runs of one variant apart: the target metric or, where there is none, the model."""
        kind = "metric" if hasattr(self.config, "metric") else "model"
        return f"{kind} {getattr(self.config, kind)}"

    @property
    def introduction(self) -> str:
        """Title and folder; for a variant that is ours a second line says what it departs in."""
        lines = [f"{self.title} -> {self.folder()}"]
        if self.variant in getattr(self.recipe, "ADAPTED", ()):
            reference = recipe.reference_variant(self.recipe, self.variant)
            departures = recipe.differences(self.recipe, self.recipe.VARIANTS[self.variant], reference)
            lines.append(f"{self.variant} is an adaptation of {reference}: {', '.join(departures)}")
        return "\n".join(lines)

    def settings(self) -> dict:
        """What is written to `config.json`."""
        about = {"paper": self.name, "variant": self.variant, "data": self.corpus}
        return {**about, **dataclasses.asdict(self.config)}

    def folder(self) -> Path:
        """The run folder: the one asked for, the last of its kind to resume, or a new one."""
        if self.request.out:
            return Path(self.request.out)
        choice = "".join(c if c.isalnum() else "-" for c in self.choice.partition(" ")[2])
        first = RUNS / f"{self.name}-{self.variant}-{choice}"
        candidates = [first] + [first.with_name(f"{first.name}-{n}") for n in range(2, 1000)]
        existing = [path for path in candidates if path.exists()]
        if self.request.resume:
            return next((path for path in reversed(existing) if is_run(path)), first)
        return next(path for path in candidates if path not in existing)


def look_up(request: Request) -> Job:
    """Finds recipe, corpus, variant and settings of a request, and checks them: nothing is written yet."""
    module = recipe.load(request.paper)
    name = module.__name__.rpartition(".")[2]
    found = sources.recognise(request.data) if request.data and hasattr(module, "mixing") else None
    manifest = corpora.load(request.data) if request.data and not found else None
    corpus = getattr(found or manifest, "corpus", mini.NAME)
    variant = recipe.choose_variant(module, request.variant, corpus)
    config = recipe.override(module.VARIANTS[variant], request.changes)
    if hasattr(module, "check"):
        module.check(config)
    if found:
        found.counts(**module.mixing(config))
    return Job(request, module, name, variant, config, manifest, found)


def plan(request: Request) -> str:
    """Says what a run would do, how long it would take and how much disk it would need."""
    job = look_up(request)
    with _manifest(job) as manifest:
        estimate = job.recipe.estimate(job.config, manifest)
        counts = _counts(manifest)
        size = estimate.bytes + (_mixed_bytes(manifest) if job.unmixed else 0)
    lines = [job.introduction, f"{_corpus_title(job.corpus)}: {counts}"]
    lines += [f"{count:,} {kind}" for kind, count in estimate.steps.items()]
    lines.append(f"about {_duration(estimate.seconds)} on two CPU cores, {size / 1e9:.2f} GB of disk")
    return "\n".join(lines)


def _mixed_bytes(manifest: Manifest) -> int:
    """Bytes of pairs that a run mixes itself: clean and noisy in single precision."""
    return int(2 * 4 * audio.SAMPLE_RATE * manifest.mean_seconds() * len(manifest))


def reproduce(request: Request) -> str:
    """Trains, evaluates and reports.

    Args:
        request: What to do.

    Returns:
        The text of `table.md`.
    """
    job = look_up(request)
    start = Run.resume if request.resume else Run.create
    introduction = job.introduction
    run = start(job.folder(), job.settings(), quiet=request.quiet)
    run.say(introduction)
    manifest = _usable(_pairs(job, run), request, run)
    _scored_split(manifest)
    if request.resume:
        _check_same_data(manifest, run)
    manifest.write(run.path("manifest.csv"))
    backends.make_deterministic(job.config.seed)
    with ScoringPool(jobs=request.jobs) as pool:
        run.pool = pool
        systems = job.recipe.fit(job.config, manifest, run)
        _save(systems, run)
        scores = _evaluate(job, systems, manifest, run)
    if request.plot:
        _plot(job, next(iter(systems.values())), manifest.split(_scored_split(manifest)), run)
    text = _write_report(job, manifest, scores, run)
    run.say(f"Run folder: {run.folder}")
    return text


def _pairs(job: Job, run: Run) -> Manifest:
    """Returns the pairs; mixes them first or unpacks the mini corpus if need be."""
    if job.unmixed is None:
        return job.manifest or mini.prepare(run.folder / "data")
    mixing = job.recipe.mixing(job.config)
    total = sum(job.unmixed.counts(**mixing).values())
    run.say(f"Mixing {total} pairs")
    run.start_progress(total)
    advance = functools.partial(run.advance, 1, "mixing")
    manifest = sources.mix(job.unmixed, run.folder / "data", **mixing, progress=advance, problem=run.note)
    run.end_progress()
    return manifest


@contextlib.contextmanager
def _manifest(job: Job):
    """Gives the pairs, or for data that are not mixed yet what is known of them, to plan with."""
    if job.unmixed is not None:
        yield sources.preview(job.unmixed, **job.recipe.mixing(job.config))
        return
    if job.manifest is not None:
        yield job.manifest
        return
    with tempfile.TemporaryDirectory() as folder:
        yield mini.prepare(folder)


def _corpus_title(name: str) -> str:
    return corpora.CORPORA[name].title if name in corpora.CORPORA else f"unknown corpus ({name})"


def _counts(manifest: Manifest) -> str:
    splits = {name: len(manifest.split(name)) for name in ("train", "validation", "test")}
    return ", ".join(f"{count} {name}" for name, count in splits.items()) + " utterances"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours" if seconds < 172800 else f"{seconds / 86400:.0f} days"


def _usable(manifest: Manifest, request: Request, run: Run) -> Manifest:
    """Leaves out pairs that cannot be used; each is named, the run goes on."""
    problems = [problem for problem in corpora.verify(manifest, request.jobs) if not problem.is_note]
    for problem in problems:
        run.note(f"{problem.file}: {problem.problem}; its pair is left out.")
    files = {problem.file for problem in problems}
    kept = tuple(u for u in manifest.utterances if not {u.clean, u.noisy} & files)
    if not kept:
        raise DataError(f"None of the {len(manifest)} pairs can be used; see the notes above.")
    return Manifest(kept, manifest.corpus)


def _check_same_data(manifest: Manifest, run: Run):
    """Raises if a run that is resumed was started on other data."""
    stored = run.folder / "manifest.csv"
    if stored.exists() and [u.id for u in Manifest.read(stored).utterances] != [
        u.id for u in manifest.utterances
    ]:
        raise DataError(f"{run.folder}: was started on other data; name the same --data to resume it.")


def _scored_split(manifest: Manifest) -> str:
    """The split that the table is made on: test, or validation if there is no test split."""
    for split in ("test", "validation"):
        if manifest.split(split):
            return split
    raise DataError("The data have neither test nor validation pairs; there is nothing to evaluate on.")


def _save(systems: dict[str, Enhancer], run: Run):
    """Saves the first trained system as `model.keras`, the others under their names."""
    trained = {name: system for name, system in systems.items() if isinstance(system, Enhancer)}
    for number, (name, enhancer) in enumerate(trained.items()):
        file = "model.keras" if number == 0 else f"model-{name.replace(' ', '-')}.keras"
        temporary = run.path(f"writing-{file}")
        enhancer.save(temporary)
        temporary.replace(run.path(file))


def _evaluate(job: Job, systems: dict[str, Enhancer], manifest: Manifest, run: Run) -> dict[str, list[dict]]:
    """Scores the noisy test files and every system's output; returns rows by system."""
    definitions = job.recipe.shown_metrics(job.config)
    reader = _reader(job)
    test = manifest.split(_scored_split(manifest))
    run.start_progress((1 + len(systems)) * len(test))
    scores = {}
    for name, enhancer in {"noisy": None, **systems}.items():
        items = [
            ScoreItem(u.id, reader.clean(u), _processed(enhancer, u, reader), job.sample_rate, definitions)
            for u in test
        ]
        if name == next(iter(systems)):
            for item in items[:LISTENING_EXAMPLES]:
                file = run.path(f"enhanced/{item.id.replace('/', '_')}.wav")
                audio.write(file, item.processed, job.sample_rate)
        rows = []
        for utterance, result in zip(test, run.pool.map(items), strict=True):
            failure = result.failure.message if result.failure else ""
            facts = {
                "system": name,
                "id": result.id,
                "speaker": utterance.speaker,
                "noise": utterance.noise,
                "snr": utterance.snr,
            }
            rows.append({**facts, **(result.scores or {}), "failure": failure})
            run.advance(1, f"scoring {name}")
            if failure:
                run.note(f"{result.id} ({name}) could not be scored: {failure}")
        scores[name] = rows
    run.end_progress()
    run.write_csv("scores.csv", [row for rows in scores.values() for row in rows])
    return scores


def _reader(job: Job) -> UtteranceReader:
    if hasattr(job.recipe, "reader"):
        return job.recipe.reader(job.config)
    return UtteranceReader(getattr(job.config, "int16_divisor", 32768.0), job.sample_rate)


def _processed(enhancer: Enhancer | None, utterance: Utterance, reader: UtteranceReader) -> np.ndarray:
    if enhancer is None:
        return reader.noisy(utterance)
    if isinstance(enhancer, ListeningEnhancer):
        return np.clip(enhancer.enhance_utterance(utterance, reader), -1.0, 1.0)
    return np.clip(enhancer.enhance(reader.noisy(utterance)), -1.0, 1.0)


def _plot(job: Job, enhancer: Enhancer, utterances: tuple[Utterance, ...], run: Run):
    """Draws spectrograms of the first utterance of each noise."""
    reader = _reader(job)
    firsts = {u.noise: u for u in reversed(utterances)}
    try:
        for u in list(reversed(firsts.values()))[:PLOTTED]:
            waveforms = {"mixture": reader.noisy(u), "clean": reader.clean(u)}
            waveforms["enhanced"] = _processed(enhancer, u, reader)
            path = run.path(f"report/spectrogram-{u.id.replace('/', '_')}.png")
            report.spectrograms(waveforms, job.sample_rate, path, f"{job.title}\n{u.id}")
    except ImportError:
        run.note("No spectrograms: matplotlib is not installed (pip install keras_segan[plot]).")


def _reasons(job: Job, manifest: Manifest) -> list[str]:
    """Lists what keeps the numbers from being compared with the published ones."""
    reference = recipe.reference_variant(job.recipe, job.variant)
    expected = job.recipe.VARIANTS[reference].corpus
    reasons = []
    if manifest.corpus != expected:
        reasons.append(f"data: corpus '{manifest.corpus}' instead of {_corpus_title(expected)}")
    else:
        complete, sentence = corpora.completeness(manifest)
        if not complete:
            reasons.append(f"data: {sentence}")
    if _scored_split(manifest) != "test":
        reasons.append("data: no test split, scored on the validation split")
    return reasons + recipe.differences(job.recipe, job.config, reference)


def _rows(job: Job, scores: dict[str, list[dict]]) -> list[report.Row]:
    table, published_row = job.recipe.published(job.config)
    quoted = [r for r in recipe.table(job.name) if r.table == table and r.source == "published"]
    published = {(r.row, r.definition): r for r in quoted}
    rows, seen = [], set()
    for system, lines in scores.items():
        row = _published_row(system, published_row, published)
        for suffix, group in _conditions(job, row, lines, published):
            rows += _system_rows(job, system + suffix, row + suffix, group, published)
            seen.add(row + suffix)
    return rows + _published_only(job, published, seen)


def _breakdown(job: Job) -> str:
    return job.recipe.breakdown(job.config) if hasattr(job.recipe, "breakdown") else "snr"


def _conditions(job: Job, row: str, lines: list[dict], published: dict) -> Iterator[tuple[str, list[dict]]]:
    """Yields all lines, then those of each noise, or of each SNR that the paper's table has a row for."""
    yield "", lines
    if _breakdown(job) == "noise":
        for noise in sorted({line["noise"] for line in lines if line["noise"]}):
            yield f", {noise}", [line for line in lines if line["noise"] == noise]
        return
    levels = sorted({line["snr"] for line in lines if line["snr"] is not None}, reverse=True)
    for level in levels:
        suffix = f", {level:g} dB"
        if any(name == row + suffix for name, _ in published):
            yield suffix, [line for line in lines if line["snr"] == level]


def _system_rows(job: Job, system: str, row: str, lines: list[dict], published: dict) -> list[report.Row]:
    rows = []
    for definition in job.recipe.shown_metrics(job.config):
        scored = [line for line in lines if definition in line]
        if scored:
            values = [line[definition] for line in scored]
            known = published.get((row, definition))
            mean, deviation = _mean_and_deviation(job, scored, definition)
            rows.append(
                report.Row(
                    system,
                    metrics.get(definition).label,
                    definition,
                    known and known.value,
                    mean,
                    bootstrap_interval(values),
                    len(values),
                    (known and known.deviation, deviation),
                )
            )
    return rows


def _mean_and_deviation(job: Job, lines: list[dict], definition: str) -> tuple[float, float | None]:
    """Averages scores; where the table goes by noises, over the noises' means and deviations (sednn)."""
    if _breakdown(job) != "noise":
        return float(np.mean([line[definition] for line in lines])), None
    noises = sorted({line["noise"] for line in lines})
    groups = [[line[definition] for line in lines if line["noise"] == noise] for noise in noises]
    return float(np.mean([np.mean(g) for g in groups])), float(np.mean([np.std(g) for g in groups]))


def _published_row(system: str, default: str | Mapping[str, str], published: dict) -> str:
    """Returns the table's row for a system: that of its name if there is one."""
    if system == "noisy":
        return "Noisy"
    if isinstance(default, Mapping):
        return default.get(system, "")
    return system if any(row == system for row, _ in published) else default


def _published_only(job: Job, published: dict, reproduced: set[str]) -> list[report.Row]:
    """Returns the table's other rows, which complete the picture; of levels only what we have as well."""
    shown = job.recipe.shown_metrics(job.config)
    by_noise = _breakdown(job) == "noise"
    return [
        report.Row(
            row,
            metrics.get(definition).label,
            definition,
            quoted.value,
            None,
            None,
            0,
            (quoted.deviation, None),
        )
        for (row, definition), quoted in published.items()
        if row not in reproduced and (by_noise or "," not in row) and definition in shown
    ]


def _write_report(job: Job, manifest: Manifest, scores: dict[str, list[dict]], run: Run) -> str:
    paper = job.recipe.PAPER
    facts = [
        f"{paper.authors}: {paper.title}, {paper.venue}.",
        f"Data: {_corpus_title(manifest.corpus)} ({_counts(manifest)}), scored on {_scored_split(manifest)}.",
        f"Variant {job.variant}, {job.choice}, {job.length}, seed {job.config.seed}.",
    ]
    if getattr(job.config, "causal", False):
        facts.append("Causal: no frame after the present one is looked at.")
    if hasattr(job.config, "select"):
        chosen = any(f"best on {job.config.select}" in system for system in scores)
        facts.append(
            f"Weights chosen on the {job.config.select} set."
            if chosen
            else f"Last weights: there was no evaluation on the {job.config.select} set to choose by."
        )
    rows = _rows(job, scores)
    text = report.document(
        f"{job.name} on {_corpus_title(manifest.corpus)}: published and reproduced",
        facts,
        _reasons(job, manifest),
        rows,
        run.notes,
    )
    run.write_text("table.md", text)
    run.write_json("scores.json", [dataclasses.asdict(row) for row in rows])
    drawn = report.learning_curves(run.log, run.path("report/x").parent, job.title)
    if not drawn:
        run.say("No learning curves: install matplotlib (pip install keras_segan[plot]).")
    return text


def load_settings(folder: Path | str) -> dict:
    """Reads a run's `config.json`."""
    return json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
