"""Folders of audio: listing their files, and writing a corpus as split/{clean,noisy} with manifest.csv."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from keras_segan import audio, files
from keras_segan.data.manifest import COLUMNS, Manifest, Utterance
from keras_segan.errors import AudioError, DataError
from keras_segan.files import make_folder, printable

MANIFEST_NAME = "manifest.csv"
MIXTURES_NAME = "mixtures.csv"
MIXTURE_COLUMNS = ("id", "speech", "noise", "onset", "snr", "speed")


def audio_files(folder: Path | str, problems: dict[Path, str] | None = None) -> dict[str, Path]:
    """Lists the audio files of a folder and of the folders in it, linked ones too.

    Args:
        folder: Where to look. Hidden files are passed over.
        problems: Gets what cannot be looked into, and why; if `None`, that is an error.

    Returns:
        Relative stem ("sub/name", without suffix, letters composed) -> file, sorted by stem.

    Raises:
        DataError: If there is no such folder, something in it cannot be looked into, or two files differ in
            their suffix or Unicode form only.
    """
    found = files.list_files(folder, audio.is_audio_file)
    if problems is not None:
        problems.update(found.problems)
    elif found.problems:
        path, problem = next(iter(found.problems.items()))
        raise DataError(f"{printable(path)}: {problem}.")
    stems: dict[str, Path] = {}
    for name, path in found.files.items():
        stem = files.name_key(name.removesuffix(path.suffix))
        if stem in stems:
            raise DataError(
                f"{printable(path)}: {printable(stems[stem].name)} has the same name but for its suffix or "
                "Unicode form; keep one of the two."
            )
        stems[stem] = path
    return dict(sorted(stems.items()))


def write_wav(path: Path, waveform: np.ndarray, subtype: str = "PCM_16", force: bool = True) -> bool:
    """Writes a WAV file at 16 kHz, atomically; leaves a file alone that holds the same samples.

    Args:
        path: The file; its folder is made if need be.
        waveform: Float in [-1, 1], `(samples,)`.
        subtype: `"PCM_16"`, or `"FLOAT"` for single precision, which may exceed [-1, 1].
        force: Whether a file of other content is replaced.

    Returns:
        Whether a file of other content was replaced.

    Raises:
        AudioError: If the file cannot be written.
        DataError: If its folder cannot be made, or a file of other content is in the way.
    """
    samples = pcm16(waveform) if subtype == "PCM_16" else np.asarray(waveform, np.float32)
    if _holds(path, samples):
        return False
    is_there = os.path.lexists(path)
    if is_there and not force:
        raise DataError(
            f"{printable(path)}: exists already with other content; choose another folder, or use --force to "
            "replace it."
        )
    make_folder(path.parent)
    audio.write(path, samples, audio.SAMPLE_RATE, subtype)
    return is_there


def _holds(path: Path, samples: np.ndarray) -> bool:
    if not path.exists():
        return False
    try:
        stored, rate = audio.read(path)
    except AudioError:
        return False
    full_scale = 32768 if samples.dtype == np.int16 else 1
    return rate == audio.SAMPLE_RATE and np.array_equal(stored * full_scale, samples)


def pcm16(waveform: np.ndarray) -> np.ndarray:
    """Rounds to 16 bit with the factor 32768 that reading divides by; values beyond 1 are limited."""
    return np.clip(np.round(np.asarray(waveform, dtype=np.float64) * 32768), -32768, 32767).astype(np.int16)


class CorpusFolder:
    """A folder that gets {split}/{clean,noisy}/ID.wav and manifest.csv, and loses nothing that is there.

    Pairs that its manifest lists already stay listed, so that a second call may add a second split; a file of
    other content is only replaced if that is asked for.

    Args:
        folder: The folder; it is made.
        force: Whether files of other content are replaced.

    Attributes:
        folder: The folder.
        kept: Number of pairs of earlier calls that `finish` left in the manifest.

    Raises:
        DataError: If the folder cannot be made, or its manifest cannot be read or holds columns of its owner
            that would be lost.
    """

    def __init__(self, folder: Path | str, force: bool = False):
        self.folder = Path(folder)
        self.force = force
        self.kept = 0
        self._replaced: set[str] = set()
        self.manifest_file = self.folder / MANIFEST_NAME
        self._before = self._listed()
        self._places = self._listed_places()
        make_folder(self.folder)
        files.check_output(self.manifest_file)

    @classmethod
    def of(cls, folder: "CorpusFolder | Path | str") -> "CorpusFolder":
        """Returns the folder itself, or that of a path."""
        return folder if isinstance(folder, cls) else cls(folder)

    def _listed(self) -> Manifest | None:
        if not os.path.lexists(self.manifest_file):
            return None
        _check_columns(self.manifest_file, ("id", "clean", "noisy"), COLUMNS)
        return Manifest.read(self.manifest_file)

    def _listed_places(self) -> dict[str, tuple]:
        path = self.folder / MIXTURES_NAME
        if not os.path.lexists(path):
            return {}
        _check_columns(path, ("id",), MIXTURE_COLUMNS)
        rows = files.read_table(path, ("id",))
        return {row.text("id"): tuple(row.path(name, "") for name in MIXTURE_COLUMNS) for row in rows}

    def path(self, split: str, kind: str, name: str) -> Path:
        """Returns the path of a file, `kind` being "clean" or "noisy".

        Raises:
            DataError: If the id is no name for a file.
        """
        problem = files.name_problem(name)
        if problem:
            raise DataError(f"The id '{printable(name)}' {problem}; ids become file names.")
        return self.folder / split / kind / f"{name}.wav"

    def write(self, path: Path, waveform: np.ndarray, subtype: str = "PCM_16"):
        """Writes a file of the corpus; see `write_wav`."""
        if write_wav(path, waveform, subtype, self.force):
            self._replaced.add(os.path.abspath(path))

    def finish(self, manifest: Manifest, places: Sequence[tuple] = ()) -> Manifest:
        """Writes the manifest, and the places of noises to mixtures.csv; earlier pairs stay listed.

        Args:
            manifest: The pairs of this call.
            places: Rows of `MIXTURE_COLUMNS`, one for each pair.

        Returns:
            The pairs of this call, with the ids that they have in the file.

        Raises:
            DataError: If the files cannot be written.
        """
        earlier = self._before.utterances if self._before else ()
        ours = {os.path.abspath(u.noisy) for u in manifest.utterances} | self._replaced
        kept = tuple(
            u
            for u in earlier
            if os.path.abspath(u.noisy) not in ours and os.path.abspath(u.clean) not in self._replaced
        )
        self.kept = len(kept)
        named = _with_free_ids(manifest.utterances, kept)
        corpora = {manifest.corpus} | ({self._before.corpus} if self._before and kept else set())
        corpus = manifest.corpus if len(corpora) == 1 else "folder"
        Manifest((*kept, *named), corpus).write(self.manifest_file)
        if places:
            rows = {u.id: self._places[u.id] for u in kept if u.id in self._places}
            rows |= {u.id: (u.id, *place[1:]) for u, place in zip(named, places, strict=True)}
            files.write_table(self.folder / MIXTURES_NAME, MIXTURE_COLUMNS, rows.values())
        return replace(manifest, utterances=named)


def _check_columns(path: Path, required: Sequence[str], known: Sequence[str]):
    columns = next(files.read_table(path, required)).columns
    strange = [name for name in columns if name and name not in known]
    if strange:
        raise DataError(
            f"{printable(path)}: the column '{printable(strange[0])}' would be lost; choose another folder."
        )


def _with_free_ids(utterances: Sequence[Utterance], kept: Sequence[Utterance]) -> tuple[Utterance, ...]:
    """Puts the split before ids that others have already, then a number."""
    taken = {files.name_key(u.id) for u in kept}
    named = []
    for u in utterances:
        tries = [u.id, f"{u.split}_{u.id}", *(f"{u.split}_{u.id}_{n}" for n in range(2, 2 + len(taken)))]
        name = next(name for name in map(files.file_name, tries) if files.name_key(name) not in taken)
        taken.add(files.name_key(name))
        named.append(replace(u, id=name))
    return tuple(named)
