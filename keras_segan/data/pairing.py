"""Pairing of files by name."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from keras_segan.data.folders import audio_files
from keras_segan.data.manifest import Utterance
from keras_segan.errors import DataError
from keras_segan.files import name_key, printable

NAMED_IN_ERRORS = 5
UNCLEAR = "may be the output of"


class Pair(NamedTuple):
    """A clean and a noisy file with the same relative stem."""

    stem: str
    clean: Path
    noisy: Path


def partners(names: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """Finds for names their equals among others.

    Args:
        names: Relative stems.
        others: The same.

    Returns:
        The other name by name; names that differ in upper and lower case are equal where no two others are.
    """
    names, others = list(names), set(others)
    found = {name: name for name in names if name in others}
    spare = [name for name in names if name not in found]
    free = [name for name in others if name not in found]
    counts = Counter(name.casefold() for name in [*spare, *free])
    folded = {name.casefold(): name for name in free}
    found |= {
        name: folded[name.casefold()]
        for name in spare
        if name.casefold() in folded and counts[name.casefold()] == 2
    }
    return found


def pair(clean_dir: Path | str, noisy_dir: Path | str) -> tuple[list[Pair], list[Path]]:
    """Pairs the audio files of two folders by relative stem, whatever their suffixes.

    Args:
        clean_dir: Folder of the clean files.
        noisy_dir: Folder of the noisy files.

    Returns:
        The pairs, sorted by stem, and the files without a partner.

    Raises:
        DataError: If a folder is missing.
    """
    clean, noisy = audio_files(clean_dir), audio_files(noisy_dir)
    found = partners(clean, noisy)
    pairs = [Pair(stem, clean[stem], noisy[found[stem]]) for stem in clean if stem in found]
    unpaired = [clean[stem] for stem in clean if stem not in found]
    unpaired += [noisy[stem] for stem in sorted(noisy.keys() - set(found.values()))]
    return pairs, unpaired


def unpaired_error(unpaired: list[Path]) -> DataError:
    """Returns the error that names the first few files without a partner, and how many there are."""
    named = ", ".join(printable(path) for path in unpaired[:NAMED_IN_ERRORS])
    more = f" and {len(unpaired) - NAMED_IN_ERRORS} more" if len(unpaired) > NAMED_IN_ERRORS else ""
    if len(unpaired) == 1:
        return DataError(f"{named}: this file has no partner; add the other file of the pair or remove it.")
    return DataError(
        f"{len(unpaired)} files have no partner: {named}{more}; complete the pairs or remove them."
    )


class Outputs(NamedTuple):
    """Whose output each file is.

    Attributes:
        found: Relative stem of the output by id.
        unclear: Why nothing was found by id, where several files or utterances are possible.
        claimed: Stems that are in doubt.
    """

    found: dict[str, str]
    unclear: dict[str, str]
    claimed: set[str]


def find_outputs(utterances: Sequence[Utterance], stems: Iterable[str]) -> Outputs:
    """Finds the enhanced file of each utterance; no file is taken for two.

    A file is named after the id; or as the noisy file is named relative to some folder around all of them, as
    `kseg enhance` does; or with as many last parts of the noisy file's path as tell whose it is.

    Args:
        utterances: The utterances.
        stems: Relative stems of the enhanced files.

    Returns:
        What was found, and what is unclear.
    """
    stems = list(stems)
    by_id = partners((u.id for u in utterances), stems)
    by_path = _by_path(utterances, stems)
    chosen, unclear, claimed = {}, {}, set()
    for u in utterances:
        names = {names[u.id] for names in (by_id, by_path) if u.id in names}
        if len(names) == 2:
            both = _quoted(sorted(names))
            unclear[u.id] = f"each of {both} {UNCLEAR} '{u.id}', by its id or its noisy file; keep one"
            claimed |= names
        elif names:
            chosen[u.id] = names.pop()
    owners = defaultdict(list)
    for identifier, stem in chosen.items():
        owners[stem].append(identifier)
    for stem, ids in [*owners.items(), *_fitting(utterances, set(stems) - set(owners) - claimed).items()]:
        doubtful = [i for i in ids if chosen.get(i, stem) == stem]
        if len(ids) > 1 and doubtful:
            claimed.add(stem)
            problem = f"'{printable(stem)}' {UNCLEAR} {_quoted(ids)}; name the files after the ids"
            unclear |= dict.fromkeys(doubtful, problem)
    return Outputs({i: stem for i, stem in chosen.items() if i not in unclear}, unclear, claimed)


def _quoted(names: Sequence[str]) -> str:
    shown = [f"'{printable(name)}'" for name in names[:NAMED_IN_ERRORS]]
    return ", ".join(shown[:-1]) + f" and {shown[-1]}" if len(names) <= NAMED_IN_ERRORS else ", ".join(shown)


def _parts(u: Utterance) -> tuple[str, ...]:
    """Returns the path of the noisy file without its suffix, in parts."""
    return Path(name_key(os.path.splitext(os.path.abspath(u.noisy))[0])).parts


def _by_path(utterances: Sequence[Utterance], stems: Sequence[str]) -> dict[str, str]:
    """Pairs by the noisy files' names relative to the folder around them that explains most stems."""
    parts = {u.id: _parts(u) for u in utterances}
    shared = len(os.path.commonprefix([place[:-1] for place in parts.values()]))
    best: dict[str, str] = {}
    for depth in range(shared, 0, -1):
        names = {i: "/".join(place[depth:]) for i, place in parts.items()}
        found = partners(set(names.values()), stems)
        if len(found) > len(set(best.values())):
            best = {i: found[name] for i, name in names.items() if name in found}
    spare = set(stems) - set(best.values())
    alone = {ids[0]: stem for stem, ids in _fitting(utterances, spare).items() if len(ids) == 1}
    return alone | best


def _fitting(utterances: Sequence[Utterance], stems: Iterable[str]) -> dict[str, list[str]]:
    """Finds for each stem the ids of the utterances whose noisy file's path ends in it."""
    split = {stem: tuple(stem.split("/")) for stem in stems}
    ends = defaultdict(list)
    lengths = {len(parts) for parts in split.values()}
    for u in utterances:
        parts = _parts(u)
        for length in lengths:
            ends[parts[-length:]].append(u.id)
    return {stem: ends[parts] for stem, parts in split.items() if parts in ends}
