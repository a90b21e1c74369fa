"""Pairing of files by name."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from keras_segan.data.folders import audio_files
from keras_segan.errors import DataError
from keras_segan.files import printable

NAMED_IN_ERRORS = 5


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
