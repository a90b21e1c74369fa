"""Scored speech for networks that predict quality: noisy, enhanced and clean files with their true score.

Out of the pairs of any corpus and any enhancers a manifest is made in which every file stands with its
score, the score's definition id, and what was done to the file. Files are enhanced as `kseg enhance` does it
and scored as `kseg evaluate` does; what was found out is written down at once, so that an interrupted call
goes on.
"""

import dataclasses
import json
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_segan import comparison, evaluation, files
from keras_segan.data.manifest import CLEAN, SPLITS, Manifest, Utterance
from keras_segan.errors import DataError, DataUsageError
from keras_segan.metrics.pool import ScoringPool

JOURNAL = "labels.jsonl"
MANIFEST = "manifest.csv"
CLEAN_SHARE = 0.1  # clean files for each noisy or enhanced one: 800 for 8,000 in Quality-Net's lists
NOISY = ""  # the system that changes nothing
WIENER = "wiener"  # the one that needs no model

Advance = Callable[[int, str], None]


@dataclasses.dataclass(frozen=True)
class Corpus:
    """What is scored.

    Attributes:
        manifest: The pairs.
        systems: What enhances, by name: enhancers, or anything with `enhance(waveform)` and `sample_rate`.
        clean_share: Clean files for each noisy or enhanced one.
        every: Whether every utterance is enhanced by every system; if not, by one of them, in turn.
    """

    manifest: Manifest
    systems: Mapping[str, Any]
    clean_share: float = CLEAN_SHARE
    every: bool = False

    def tasks(self) -> dict[str, list[Utterance]]:
        """Returns the utterances by what is done to them, in the order of the manifest."""
        utterances = self.manifest.utterances
        tasks: dict[str, list[Utterance]] = {NOISY: list(utterances)}
        names = list(self.systems)
        for number, name in enumerate(names):
            chosen = utterances if self.every else utterances[number :: len(names)]
            tasks[name] = list(chosen)
        return {**tasks, CLEAN: [u for split in SPLITS for u in self._clean(tasks, split)]}

    def _clean(self, tasks: Mapping[str, Sequence[Utterance]], split: str) -> list[Utterance]:
        """Chooses clean files of a split, each once, evenly over the split."""
        pairs = self.manifest.split(split)
        unique = list({u.clean: u for u in reversed(pairs)}.values())[::-1]
        others = sum(u.split == split for utterances in tasks.values() for u in utterances)
        wanted = min(len(unique), math.ceil(self.clean_share * others))
        positions = np.linspace(0, len(unique), wanted, endpoint=False).astype(int)
        return [dataclasses.replace(unique[p], noisy=unique[p].clean, scale=1.0) for p in positions]


class Journal:
    """What was found out so far: a line of JSON for every file.

    Args:
        path: The file; a line that was cut off in the middle is passed over.
        definition: Definition id of the score; that of an earlier call must be the same.

    Raises:
        DataError: If the file belongs to another definition.
    """

    def __init__(self, path: Path, definition: str):
        self.path = path
        self.definition = definition
        self._scores: dict[tuple[str, str], float | None] = {}
        for entry in _entries(path):
            if entry["definition"] != definition:
                raise DataError(
                    f"{files.printable(path)}: holds {entry['definition']}, not {definition}; "
                    "choose another folder."
                )
            self._scores[entry["system"], entry["id"]] = entry["score"]

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._scores

    def get(self, system: str, identifier: str) -> float | None:
        """Returns the score of a file, `None` if it could not be scored."""
        return self._scores[system, identifier]

    def add(self, system: str, identifier: str, score: float | None, failure: str = ""):
        """Writes down the score of a file, or why it has none."""
        self._scores[system, identifier] = score
        entry = {"system": system, "id": identifier, "definition": self.definition, "score": score}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({**entry, "failure": failure}) + "\n")


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # cut off when the process was stopped
        if isinstance(entry, dict) and {"system", "id", "definition", "score"} <= set(entry):
            yield entry


def label(
    corpus: Corpus,
    folder: Path | str,
    definition: str,
    pool: ScoringPool | None = None,
    advance: Advance = lambda work, where: None,
) -> Manifest:
    """Enhances and scores a corpus, or goes on with it.

    Args:
        corpus: The pairs and the systems.
        folder: Where enhanced files and the journal go.
        definition: Definition id of the score.
        pool: Worker processes; new ones if `None`.
        advance: Told of every file.

    Returns:
        A manifest of all files with their scores; those that could not be scored are left out.

    Raises:
        DataError: If the folder belongs to another definition, or no file could be scored.
    """
    folder = files.make_folder(folder)
    journal = Journal(folder / JOURNAL, definition)
    scoring = evaluation.Scoring((definition,))
    found: list[Utterance] = []
    for name, utterances in corpus.tasks().items():
        missing = [u for u in utterances if (name, u.id) not in journal]
        advance(len(utterances) - len(missing), f"scored before: {name or 'noisy'}")
        rows = _rows(name, missing, corpus.systems.get(name), scoring, pool, folder)
        for utterance, row in zip(missing, rows, strict=True):
            failure = "" if row.result.failure is None else str(row.result.failure)
            journal.add(name, utterance.id, (row.result.scores or {}).get(definition), failure)
            advance(1, f"scoring {name or 'noisy'}")
        found += _scored(name, utterances, journal, folder)
    if not found:
        raise DataError(f"{files.printable(folder)}: no file could be scored; see {JOURNAL} for the reasons.")
    return Manifest(tuple(found), corpus.manifest.corpus)


def _rows(
    name: str,
    utterances: Sequence[Utterance],
    system: Any,
    scoring: evaluation.Scoring,
    pool: ScoringPool | None,
    folder: Path,
) -> Iterable[evaluation.Row]:
    if not utterances:
        return []
    if system is None:
        return comparison.noisy_rows(utterances, scoring, pool)
    files.make_folder(enhanced_file(folder, name, utterances[0]).parent)
    return comparison.enhanced_rows(
        system, utterances, scoring, pool, lambda number, utterance: enhanced_file(folder, name, utterance)
    )


def enhanced_file(folder: Path, system: str, utterance: Utterance) -> Path:
    """Returns where the output of a system lies."""
    return folder / "enhanced" / files.file_name(system) / f"{files.file_name(utterance.id)}.wav"


def _scored(
    name: str, utterances: Sequence[Utterance], journal: Journal, folder: Path
) -> Iterator[Utterance]:
    for utterance in utterances:
        score = journal.get(name, utterance.id)
        if score is None:
            continue
        facts: dict[str, Any] = {"system": name, "score": score, "definition": journal.definition}
        if name:
            facts["id"] = files.file_name(f"{utterance.id}.{name}")
        if name not in (NOISY, CLEAN):
            facts |= {"noisy": enhanced_file(folder, name, utterance), "scale": 1.0}
        yield dataclasses.replace(utterance, **facts)


def disjoint(manifest: Manifest, speakers: int, noises: int = 0, seed: int = 0) -> Manifest:
    """Holds out training speakers, and noises if asked for, as a validation split.

    No speaker, and with `noises` no noise either, is in both splits: pairs that would be in the way are
    left out.

    Args:
        manifest: The pairs.
        speakers: Number of speakers held out.
        noises: Number of noise types held out; 0 leaves the noises as they are.
        seed: Seed of the choice.

    Returns:
        The manifest with a new validation split; its earlier validation pairs are training pairs first.

    Raises:
        DataError: If there are not more speakers or noises than are to be held out.
    """
    rng = random.Random(seed)
    pairs = [u for u in manifest.utterances if u.split != "test"]
    voices = _drawn(rng, {u.speaker for u in pairs}, speakers, "speakers")
    sounds = _drawn(rng, {u.noise for u in pairs}, noises, "noises")
    kept = []
    for u in manifest.utterances:
        held = u.speaker in voices
        if u.split == "test":
            kept.append(u)
        elif not noises or held == (u.noise in sounds):
            kept.append(dataclasses.replace(u, split="validation" if held else "train"))
    return Manifest(tuple(kept), manifest.corpus)


def _drawn(rng: random.Random, names: set[str], count: int, kind: str) -> set[str]:
    if count and count >= len(names):
        raise DataUsageError(f"The data have {len(names)} {kind}; {count} cannot be held out.")
    return set(rng.sample(sorted(names), count))


def balance(manifest: Manifest, width: float = 0.5) -> list[dict[str, Any]]:
    """Counts the files by range of the score.

    Args:
        manifest: With scores.
        width: Width of a range.

    Returns:
        Records `split`, `group`, `from`, `to`, `count`, in order.
    """
    counts: dict[tuple[str, str, int], int] = {}
    for u in manifest.utterances:
        if u.score is not None:
            key = (u.split, u.group, int(np.floor(u.score / width + 1e-9)))
            counts[key] = counts.get(key, 0) + 1
    return [
        {"split": split, "group": group, "from": width * step, "to": width * (step + 1), "count": count}
        for (split, group, step), count in sorted(counts.items())
    ]


def enhancers(names: Iterable[str]) -> dict[str, Any]:
    """Returns enhancers by name.

    Args:
        names: "wiener", or what `load_model` takes.
    """
    from keras_segan import wiener
    from keras_segan.models import registry

    return {name: wiener.WienerFilter() if name == WIENER else registry.load_model(name) for name in names}


def ensure(
    manifest: Manifest, names: Iterable[str], definition: str, run: Any, every: bool = False
) -> Manifest:
    """Returns the scored files of a reproduction's data; makes them in the run folder if there are none.

    Args:
        manifest: Pairs, or files that came with their scores.
        names: What enhances; see `enhancers`.
        definition: Definition id of the score.
        run: A `training.run_folder.Run` with a pool.
        every: See `Corpus`.

    Returns:
        A manifest with scores.

    Raises:
        DataError: If the data came with scores of another definition.
    """
    if all(u.score is not None for u in manifest.utterances):
        others = {u.definition for u in manifest.utterances} - {definition}
        if others:
            raise DataUsageError(f"The data are scored by {', '.join(sorted(others))}, not by {definition}.")
        return manifest
    corpus = Corpus(manifest, enhancers(names), every=every)
    total = sum(map(len, corpus.tasks().values()))
    run.say(f"Scoring {total} noisy, enhanced and clean files")
    run.start_progress(total)
    labelled = label(corpus, run.path(f"labelled/{JOURNAL}").parent, definition, run.pool, run.advance)
    run.end_progress()
    return labelled
