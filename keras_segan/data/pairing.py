"""Pairing of clean and noisy files by name."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from keras_segan.data.folders import audio_files
from keras_segan.data.manifest import Utterance
from keras_segan.errors import DataError

NAMED_IN_ERRORS = 5


class Pair(NamedTuple):
    """A clean and a noisy file with the same relative stem."""

    stem: str
    clean: Path
    noisy: Path


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
    pairs = [Pair(stem, clean[stem], noisy[stem]) for stem in clean if stem in noisy]
    unpaired = [clean[stem] for stem in clean if stem not in noisy]
    unpaired += [noisy[stem] for stem in noisy if stem not in clean]
    return pairs, unpaired


def flat_id(stem: str) -> str:
    """Turns a relative stem into an id; ids become file names, so they hold no slash."""
    return stem.replace("/", "_")


def unique_ids(utterances: Iterable[Utterance]) -> tuple[Utterance, ...]:
    """Puts the split before every id if otherwise two would be equal."""
    utterances = tuple(utterances)
    if len({u.id for u in utterances}) == len(utterances):
        return utterances
    utterances = tuple(replace(u, id=f"{u.split}_{u.id}") for u in utterances)
    twice = [name for name, count in Counter(u.id for u in utterances).items() if count > 1]
    if twice:
        raise DataError(f"Two pairs would get the id '{twice[0]}'; rename one of the files.")
    return utterances


def unpaired_error(unpaired: list[Path]) -> DataError:
    """Returns the error that names the first few files without a partner, and how many there are."""
    named = ", ".join(str(path) for path in unpaired[:NAMED_IN_ERRORS])
    more = f" and {len(unpaired) - NAMED_IN_ERRORS} more" if len(unpaired) > NAMED_IN_ERRORS else ""
    if len(unpaired) == 1:
        return DataError(f"{named}: this file has no partner; add the other file of the pair or remove it.")
    return DataError(
        f"{len(unpaired)} files have no partner: {named}{more}; complete the pairs or remove them."
    )
