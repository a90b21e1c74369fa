"""Runs a reproduction from data to table: the library behind `kseg reproduce` and `ks.reproduce`."""

import contextlib
import dataclasses
import functools
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_segan.audio import SAMPLE_RATE
from keras_segan.data import corpora, mini, sources
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.errors import DataError
from keras_segan.metrics.pool import ScoringPool
from keras_segan.reproduction import outcomes, tables
from keras_segan.reproduction import recipe as recipes
from keras_segan.reproduction.recipe import BaseSettings, Recipe
from keras_segan.reproduction.settings import as_text, changed, differences, is_length
from keras_segan.training.loop import Stopped
from keras_segan.training.run_folder import Run, environment, is_run

RUNS = Path("runs")


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        paper: Name of the reproduction, or the path of a recipe's Python file.
        data: Folder or manifest; `None` for the bundled mini corpus.
        variant: Name of a variant, `None` for the one made for the data.
        out: Run folder, `None` for one under `runs/`.
        changes: Settings to change, by name.
        jobs: Scoring processes.
        resume: Whether to go on with a run.
        quiet: Whether to show no progress.
        plot: Whether to draw examples, such as spectrograms of some test utterances.
        stop_after: Seconds after which training stops cleanly, `None` for never.
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
    stop_after: float | None = None


@dataclass(frozen=True)
class Result:
    """What a run left behind.

    Attributes:
        folder: The run folder.
        text: The table as Markdown; of a run that was stopped, how to go on.
        content: The content of `result.json`; empty if the run was stopped.
    """

    folder: Path
    text: str
    content: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether the run came to its table."""
        return bool(self.content)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Job:
    """A request with everything looked up: recipe, variant, settings, and the data.

    The data are pairs, or speech and noise to be mixed, or neither: the mini corpus.
    """

    request: Request
    recipe: Recipe
    variant: str
    settings: BaseSettings
    manifest: Manifest | None
    unmixed: sources.Sources | None = None

    @property
    def corpus(self) -> str:
        """Name of the corpus."""
        found = self.unmixed or self.manifest
        return mini.NAME if found is None else found.corpus

    @property
    def choice(self) -> str:
        """What tells runs of one variant apart, such as the target metric."""
        return ", ".join(
            name if value is True else f"{name} {as_text(value)}"
            for name, value in self.settings.choice.items()
        )

    @property
    def title(self) -> str:
        """What this job is, in a few words."""
        words = [f"{self.recipe.name} {self.variant}", self.choice, f"data: {corpus_title(self.corpus)}"]
        return ", ".join(word for word in words if word)

    @property
    def introduction(self) -> str:
        """Title and folder; for a variant that is ours a second line says what it departs in."""
        lines = [f"{self.title} -> {self.folder()}"]
        if self.variant in self.recipe.adapted:
            reference = self.recipe.reference(self.variant)
            variants = self.recipe.variants
            departures = differences(variants[self.variant], variants[reference])
            lines.append(f"{self.variant} is an adaptation of {reference}: {', '.join(departures)}")
        return "\n".join(lines)

    def config(self) -> dict[str, Any]:
        """Returns what is written to `config.json`."""
        facts = {"paper": self.recipe.name, "variant": self.variant, "data": self.corpus}
        return {**facts, **dataclasses.asdict(self.settings)}

    def folder(self) -> Path:
        """Returns the run folder: the one asked for, the last of its kind to resume, or a new one."""
        if self.request.out:
            return Path(self.request.out)
        chosen = [as_text(v) if v is not True else name for name, v in self.settings.choice.items()]
        words = [self.recipe.name, self.variant, *chosen]
        name = "-".join("".join(c if c.isalnum() or c == "_" else "-" for c in word) for word in words)
        first = RUNS / name
        candidates = [first, *(first.with_name(f"{first.name}-{n}") for n in range(2, 1000))]
        existing = [path for path in candidates if path.exists()]
        if self.request.resume:
            return next((path for path in reversed(existing) if is_run(path)), first)
        return next(path for path in candidates if path not in existing)


def look_up(request: Request) -> Job:
    """Finds recipe, corpus, variant and settings of a request and checks them; nothing is written yet.

    Raises:
        RecipeError: If the recipe, the variant or a setting is unknown or wrong.
        DataError: If the data cannot be used for training and a table.
    """
    recipe = recipes.load(request.paper)
    mixes = recipe.mixing is not None and request.data is not None
    found = sources.recognise(request.data) if mixes else None
    manifest = corpora.load(request.data) if request.data and not found else None
    corpus = mini.NAME if (found or manifest) is None else (found or manifest).corpus
    variant = recipe.choose_variant(request.variant, corpus)
    settings = changed(recipe.variants[variant], request.changes)
    recipe.outcome(settings)  # raises where, say, a metric is unknown
    if found:
        found.counts(**recipe.mixing(settings))
    if manifest is not None:
        manifest.training()
        scored_split(manifest)
    return Job(request, recipe, variant, settings, manifest, found)


def plan(request: Request) -> str:
    """Says what a run would do, how long it would take and how much disk it would need."""
    job = look_up(request)
    with _manifest(job) as manifest:
        estimate = job.recipe.plan(job.settings, manifest)
        amounts = counts(manifest)
        size = estimate.bytes + (_mixed_bytes(manifest) if job.unmixed else 0)
    lines = [job.introduction, f"{corpus_title(job.corpus)}: {amounts}"]
    lines += [f"{count:,} {kind}" for kind, count in estimate.steps.items()]
    lines.append(f"about {duration(estimate.seconds)} on two idle CPU cores, {size / 1e9:.2f} GB of disk")
    return "\n".join(lines)


def _mixed_bytes(manifest: Manifest) -> int:
    """Bytes of pairs that a run mixes itself: clean and noisy in single precision."""
    return int(2 * 4 * SAMPLE_RATE * manifest.mean_seconds() * len(manifest))


def reproduce(request: Request) -> Result:
    """Trains, evaluates and reports.

    Args:
        request: What to do.

    Returns:
        The run's folder and table; of a run that was stopped, how to go on.

    Raises:
        KsegError: If the request, the data or a file is wrong.
    """
    from keras_segan import backends

    job = look_up(request)
    introduction = job.introduction
    run = _start(job)
    run.say(introduction)
    manifest = _usable(_pairs(job, run), request, run)
    scored_split(manifest)
    if request.resume:
        _check_same_data(manifest, run)
    manifest.write(run.path("manifest.csv"))
    backends.make_deterministic(job.settings.seed)
    with ScoringPool(jobs=request.jobs) as pool:
        run.pool = pool
        try:
            systems = job.recipe.fit(job.settings, manifest, run)
        except Stopped as stopped:
            return Result(run.folder, f"{stopped} Run folder: {run.folder}")
        content = _finish(job, systems, manifest, run)
    run.say(f"Run folder: {run.folder}")
    return Result(run.folder, tables.document(content), content)


def _start(job: Job) -> Run:
    request = job.request
    options = {"quiet": request.quiet, "stop_after": request.stop_after}
    if not request.resume:
        return Run.create(job.folder(), job.config(), **options)
    longer = [f.name for f in dataclasses.fields(job.settings) if is_length(f)]
    return Run.resume(job.folder(), job.config(), may_change=longer, **options)


def _finish(job: Job, systems: dict[str, Any], manifest: Manifest, run: Run) -> dict[str, Any]:
    """Saves and scores the systems and writes table and plots."""
    outcome = job.recipe.outcome(job.settings)
    outcome.save(systems, run)
    utterances = manifest.split(scored_split(manifest))
    scores = outcome.score(systems, utterances, run)
    run.write_csv("scores.csv", scores)
    content = _content(job, outcome, manifest, scores, run)
    run.write_json("result.json", content)
    run.write_text("table.md", tables.document(content))
    outcome.draw(systems, utterances, scores, run, job.request.plot)
    return content


def _content(
    job: Job, outcome: "outcomes.Outcome", manifest: Manifest, scores: list[dict], run: Run
) -> dict[str, Any]:
    """Returns what `result.json` holds; table and page are made from it alone."""
    paper, known = job.recipe.paper, environment()
    reasons = _reasons(job, outcome, manifest)
    numbers = job.recipe.published()
    return {
        "format": 2,
        "outcome": type(outcome).__name__.lower(),
        "paper": dataclasses.asdict(paper),
        "recipe": job.recipe.name,
        "title": f"{job.recipe.name} on {corpus_title(manifest.corpus)}: published and reproduced",
        "variant": job.variant,
        "choice": dict(job.settings.choice),
        "length": job.settings.length,
        "seed": job.settings.seed,
        "backend": known["backend"],
        "commit": known["commit"],
        "data": {
            "corpus": manifest.corpus,
            "title": corpus_title(manifest.corpus),
            "counts": counts(manifest),
            "split": scored_split(manifest),
        },
        "details": outcome.details(),
        "facts": outcome.remarks(scores),
        "reasons": reasons,
        "rows": [dataclasses.asdict(row) for row in outcome.tabulate(scores, numbers)],
        "claims": [dataclasses.asdict(claim) for claim in outcome.judge(scores, numbers)],
        "notes": run.notes,
    }


def _reasons(job: Job, outcome: "outcomes.Outcome", manifest: Manifest) -> list[str]:
    """Lists what keeps the numbers from being compared with the published ones."""
    reference = job.recipe.variants[job.recipe.reference(job.variant)]
    expected = reference.corpus
    reasons = []
    if manifest.corpus != expected:
        reasons.append(f"data: corpus '{manifest.corpus}' instead of {corpus_title(expected)}")
    else:
        complete, sentence = corpora.completeness(manifest)
        if not complete:
            reasons.append(f"data: {sentence}")
    if scored_split(manifest) != "test":
        reasons.append("data: no test split, scored on the validation split")
    return reasons + outcome.unmet(manifest) + differences(job.settings, reference)


def _pairs(job: Job, run: Run) -> Manifest:
    """Returns the pairs; mixes them first or unpacks the mini corpus if need be."""
    if job.unmixed is None:
        return job.manifest or mini.prepare(run.folder / "data")
    mixing = job.recipe.mixing(job.settings)
    total = sum(job.unmixed.counts(**mixing).values())
    run.say(f"Mixing {total} pairs")
    run.start_progress(total)
    advance = functools.partial(run.advance, 1, "mixing")
    manifest = sources.mix(job.unmixed, run.folder / "data", **mixing, progress=advance, problem=run.note)
    run.end_progress()
    return manifest


@contextlib.contextmanager
def _manifest(job: Job) -> Iterator[Manifest]:
    """Gives the pairs, or for data that are not mixed yet what is known of them, to plan with."""
    if job.unmixed is not None:
        yield sources.preview(job.unmixed, **job.recipe.mixing(job.settings))
        return
    if job.manifest is not None:
        yield job.manifest
        return
    with tempfile.TemporaryDirectory() as folder:
        yield mini.prepare(folder)


def corpus_title(name: str) -> str:
    """Returns how tables call a corpus."""
    return corpora.CORPORA[name].title if name in corpora.CORPORA else f"unknown corpus ({name})"


def counts(manifest: Manifest) -> str:
    """Returns the numbers of utterances of the splits, in words."""
    splits = {name: len(manifest.split(name)) for name in ("train", "validation", "test")}
    return ", ".join(f"{count} {name}" for name, count in splits.items()) + " utterances"


def duration(seconds: float) -> str:
    """Returns a time in words."""
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


def scored_split(manifest: Manifest) -> str:
    """Returns the split that the table is made on: test, or validation if there is no test split.

    Raises:
        DataError: If there is neither.
    """
    for split in ("test", "validation"):
        if manifest.split(split):
            return split
    raise DataError("The data have neither test nor validation pairs; there is nothing to evaluate on.")


def utterance_facts(utterance: Utterance) -> dict[str, Any]:
    """Returns what tables group an utterance by."""
    return {"speaker": utterance.speaker, "noise": utterance.noise, "snr": utterance.snr}
