"""The manifest: which clean file belongs to which noisy file, and what is known of the pair.

Everything else in the package finds audio through a manifest; no meaning is parsed out of a path
after the manifest was made.
"""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from keras_segan import audio, files
from keras_segan.errors import DataError

SPLITS = ("train", "validation", "test")
SNR_RANGE = (-200.0, 200.0)  # dB
SCALE_RANGE = (1e-6, 1e6)
COLUMNS = ("id", "clean", "noisy", "split", "speaker", "noise", "snr", "scale", "corpus")


@dataclass(frozen=True)
class Utterance:
    """One pair of files.

    Attributes:
        id: Unique name within the manifest.
        clean: The clean file.
        noisy: The noisy file.
        split: `"train"`, `"validation"` or `"test"`.
        speaker: Name of the speaker, empty if unknown.
        noise: Name of the noise type, empty if unknown.
        snr: Nominal signal-to-noise ratio in dB, `None` if unknown.
        scale: Factor that undoes the attenuation with which the noisy file was stored
            (10 for MetricGAN's TIMIT files, stored as (clean + noise) / 10).
    """

    id: str
    clean: Path
    noisy: Path
    split: str = "train"
    speaker: str = ""
    noise: str = ""
    snr: float | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class Manifest:
    """The pairs of a corpus, in a fixed order.

    Attributes:
        utterances: The pairs.
        corpus: Name of the corpus as `data.corpora` knows it, `"folder"` for unknown data.
    """

    utterances: tuple[Utterance, ...] = field(default=())
    corpus: str = "folder"

    def __len__(self) -> int:
        return len(self.utterances)

    def split(self, name: str) -> tuple[Utterance, ...]:
        """Returns the pairs of one split."""
        return tuple(u for u in self.utterances if u.split == name)

    def training(self) -> tuple[Utterance, ...]:
        """Returns the training pairs.

        Raises:
            DataError: If there are none.
        """
        found = self.split("train")
        if not found:
            raise DataError("The data have no training pairs; name a corpus with a training split.")
        return found

    def with_validation(self, speakers: Iterable[str]) -> "Manifest":
        """Returns a manifest whose training pairs of some speakers are for validation.

        Args:
            speakers: Their names; without effect if there is a validation split already.
        """
        if self.split("validation"):
            return self
        chosen = set(speakers)
        moved = (
            replace(u, split="validation") if u.split == "train" and u.speaker in chosen else u
            for u in self.utterances
        )
        return Manifest(tuple(moved), self.corpus)

    def mean_seconds(self, sample: int = 50) -> float:
        """Returns the mean length of the clean files in seconds, from the headers of a few of them."""
        step = max(len(self.utterances) // sample, 1)
        lengths = [audio.seconds(u.clean) for u in self.utterances[::step]]
        return sum(lengths) / len(lengths) if lengths else 0.0

    def write(self, path: Path | str):
        """Writes the manifest as CSV, whole or not at all; files are named relative to the CSV's folder.

        Args:
            path: The CSV file.

        Raises:
            FileError: If it cannot be written.
        """
        # What comes out of a pipe is read from where its reader stands; see `_place`.
        folder = "." if files.is_written_through(path) else os.path.dirname(os.path.realpath(path))
        files.write_table(path, COLUMNS, self.rows(folder))

    def rows(self, folder: Path | str = ".") -> list[tuple]:
        """Returns the cells of every row.

        Args:
            folder: Where the table will lie; files are named relative to it.

        Returns:
            Cells in the order of `COLUMNS`.
        """
        start = os.path.realpath(folder)
        return [
            (
                u.id,
                _relative(u.clean, start),
                _relative(u.noisy, start),
                u.split,
                u.speaker,
                u.noise,
                None if u.snr is None else _number(u.snr),
                _number(u.scale),
                self.corpus,
            )
            for u in self.utterances
        ]

    @classmethod
    def read(cls, path: Path | str) -> "Manifest":
        """Reads a manifest; only the columns id, clean and noisy are required.

        Args:
            path: The CSV file (see `files.read_table`); relative names in it are taken from its folder, `~`
                is the home folder, and backslashes may stand for slashes.

        Returns:
            The manifest; its corpus is "folder" if the rows name several.

        Raises:
            FileError: If the file cannot be read, lacks a column or holds a wrong value.
        """
        path = Path(path)
        utterances: list[Utterance] = []
        lines: dict[str, int] = {}
        corpora = set()
        place = None
        for row in files.read_table(path, ("id", "clean", "noisy")):
            place = place or _place(path, row)
            utterance = _utterance(row, place)
            key = files.name_key(utterance.id)
            if key in lines:
                problem = f"'{utterance.id}' appears more than once (line {lines[key]}); ids must be unique"
                raise row.error("id", problem)
            lines[key] = row.line
            utterances.append(utterance)
            corpora.add(row.text("corpus", "folder"))
        return cls(tuple(utterances), corpora.pop() if len(corpora) == 1 else "folder")


def joined(manifests: Iterable[Manifest]) -> Manifest:
    """Joins manifests, such as those of a training and a test split.

    Args:
        manifests: At least one.

    Returns:
        Their pairs in order; the corpus is "folder" if they name several.

    Raises:
        DataError: If a pair appears twice.
    """
    manifests = tuple(manifests)
    utterances = unique_ids(u for manifest in manifests for u in manifest.utterances)
    corpora = {manifest.corpus for manifest in manifests}
    return Manifest(utterances, corpora.pop() if len(corpora) == 1 else "folder")


def unique_ids(utterances: Iterable[Utterance]) -> tuple[Utterance, ...]:
    """Puts the split before every id if otherwise two would be equal.

    Raises:
        DataError: If two are equal even then.
    """
    utterances = tuple(utterances)
    if len({files.name_key(u.id) for u in utterances}) == len(utterances):
        return utterances
    utterances = tuple(replace(u, id=files.file_name(f"{u.split}_{u.id}")) for u in utterances)
    counts = Counter(files.name_key(u.id) for u in utterances)
    twice = next((u.id for u in utterances if counts[files.name_key(u.id)] > 1), None)
    if twice is not None:
        raise DataError(f"Two pairs would get the id '{twice}'; rename one of the files.")
    return utterances


def _number(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def _relative(file: Path | str, start: str) -> str:
    """Names a file from a folder whose path holds no links; `..` must not be taken from a link."""
    absolute = os.path.join(os.getcwd(), file)
    head, up, tail = absolute.rpartition(f"{os.sep}..{os.sep}")
    if up:
        absolute = os.path.join(os.path.realpath(head + up), tail)
    named = os.path.relpath(absolute, start)
    # So that neither "~" nor a blank, "=" or "-" at the beginning means something else to a reader.
    return named if named[0].isalnum() or named.startswith("..") else os.path.join(".", named)


def _place(path: Path, row: files.Row) -> Path:
    """Finds the folder from which relative names are meant, by the first row.

    That is the table's; or, where a link leads to the table, that of the table itself. A pipe has none.
    """
    if not path.is_file():
        return Path()
    beside = path.parent
    if path.is_symlink():
        behind = Path(os.path.realpath(path)).parent
        found = [os.path.exists(_file(row, "clean", folder)) for folder in (beside, behind)]
        if found == [False, True]:
            return behind
    return beside


def _utterance(row: files.Row, folder: Path) -> Utterance:
    identifier = row.text("id")
    problem = files.name_problem(identifier)
    if problem:
        shown = files.printable(identifier)
        raise row.error("id", f"'{shown}' {problem}; ids become file names, use letters, digits, '-' and '_'")
    split = row.text("split", "train").lower()
    if split not in SPLITS:
        raise row.error("split", f"'{files.printable(split)}' is none of {', '.join(SPLITS)}")
    return Utterance(
        id=identifier,
        clean=_file(row, "clean", folder),
        noisy=_file(row, "noisy", folder),
        split=split,
        speaker=row.text("speaker", ""),
        noise=row.text("noise", ""),
        snr=row.number("snr", *SNR_RANGE),
        scale=row.number("scale", *SCALE_RANGE, default=1.0),
    )


def _file(row: files.Row, column: str, folder: Path) -> Path:
    cell = row.path(column)
    path = folder / os.path.expanduser(cell)
    if "\\" in cell and not os.path.exists(path):
        other = folder / cell.replace("\\", "/")
        if os.path.exists(other):
            return other
    if not files.is_decoded(cell) and not os.path.exists(path):
        row.text(column)  # says that the table is not UTF-8
    return path
