"""The manifest: which clean file belongs to which noisy file, and what is known of the pair.

Everything else in the package finds audio through a manifest; no meaning is parsed out of a path
after the manifest was made.
"""

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from keras_segan import audio
from keras_segan.errors import DataError

SPLITS = ("train", "validation", "test")
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
        """Writes the manifest as CSV, atomically; files are named relative to the CSV's folder.

        Args:
            path: The CSV file.
        """
        path = Path(path)
        temporary = path.with_name(path.name + ".writing")
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            for u in self.utterances:
                writer.writerow(
                    {
                        "id": u.id,
                        "clean": os.path.relpath(u.clean, path.parent),
                        "noisy": os.path.relpath(u.noisy, path.parent),
                        "split": u.split,
                        "speaker": u.speaker,
                        "noise": u.noise,
                        "snr": "" if u.snr is None else f"{u.snr:g}",
                        "scale": f"{u.scale:g}",
                        "corpus": self.corpus,
                    }
                )
        os.replace(temporary, path)

    @classmethod
    def read(cls, path: Path | str) -> "Manifest":
        """Reads a manifest; only the columns id, clean and noisy are required.

        Args:
            path: The CSV file; relative names in it are taken from its folder.

        Returns:
            The manifest; its corpus is "folder" if the rows name several.

        Raises:
            DataError: If the file is missing, lacks a column or holds a wrong value.
        """
        path = Path(path)
        try:
            with open(path, newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}: cannot read the manifest ({error}).") from error
        if not rows:
            raise DataError(f"{path}: the manifest has no rows.")
        missing = {"id", "clean", "noisy"} - set(rows[0])
        if missing:
            raise DataError(f"{path}: the manifest lacks the column {', '.join(sorted(missing))}.")
        utterances = tuple(_utterance(row, path, line) for line, row in enumerate(rows, start=2))
        names = [u.id for u in utterances]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{path}: the id '{twice}' appears more than once; ids must be unique.")
        corpora = {row.get("corpus") or "folder" for row in rows}
        return cls(utterances, corpora.pop() if len(corpora) == 1 else "folder")


def _utterance(row: dict, path: Path, line: int) -> Utterance:
    split = row.get("split") or "train"
    if split not in SPLITS:
        raise DataError(f"{path} line {line}: split '{split}' is none of {', '.join(SPLITS)}.")
    try:
        snr = float(row["snr"]) if row.get("snr") else None
        scale = float(row["scale"]) if row.get("scale") else 1.0
    except ValueError as error:
        raise DataError(f"{path} line {line}: snr and scale must be numbers ({error}).") from error
    return Utterance(
        id=row["id"],
        clean=path.parent / row["clean"],
        noisy=path.parent / row["noisy"],
        split=split,
        speaker=row.get("speaker") or "",
        noise=row.get("noise") or "",
        snr=snr,
        scale=scale,
    )
