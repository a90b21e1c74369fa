"""Folders of audio: listing their files, and writing a corpus as split/{clean,noisy} with manifest.csv."""

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from keras_segan import audio
from keras_segan.data.manifest import Manifest
from keras_segan.errors import AudioError, DataError

MANIFEST_NAME = "manifest.csv"


def audio_files(folder: Path | str) -> dict[str, Path]:
    """Lists the audio files of a folder and of the folders in it.

    Args:
        folder: Where to look. Hidden files are passed over.

    Returns:
        Relative stem ("sub/name", without suffix) -> file, sorted by stem.

    Raises:
        DataError: If there is no such folder, or two files differ in their suffix only.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; check the path.")
    files = {}
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") or not audio.is_audio_file(name):
                continue
            path = Path(place) / name
            stem = path.relative_to(folder).with_suffix("").as_posix()
            if stem in files:
                raise DataError(f"{path}: {files[stem].name} has the same name; keep one of the two.")
            files[stem] = path
    return dict(sorted(files.items()))


def make_folder(folder: Path | str) -> Path:
    """Creates a folder with its parents.

    Raises:
        DataError: If that is impossible.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot create this folder ({error.strerror}); choose another one."
        ) from error
    return folder


def write_wav(path: Path, waveform: np.ndarray, subtype: str = "PCM_16"):
    """Writes a WAV file at 16 kHz, atomically; leaves a file alone that holds the same samples.

    Args:
        path: The file; its folder is made if need be.
        waveform: Float in [-1, 1], `(samples,)`.
        subtype: `"PCM_16"`, or `"FLOAT"` for single precision, which may exceed [-1, 1].

    Raises:
        AudioError: If the file cannot be written.
        DataError: If its folder cannot be made.
    """
    samples = pcm16(waveform) if subtype == "PCM_16" else np.asarray(waveform, np.float32)
    if not _holds(path, samples):
        make_folder(path.parent)
        audio.write(path, samples, audio.SAMPLE_RATE, subtype)


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


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence]):
    """Writes a CSV file, atomically.

    Raises:
        DataError: If the folder cannot be written.
    """
    temporary = path.with_name(path.name + ".writing")
    try:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([columns, *rows])
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}).") from error


def write_manifest(manifest: Manifest, path: Path | str) -> Path:
    """Writes a manifest, atomically, and makes its folder.

    Raises:
        DataError: If the folder cannot be written.
    """
    path = Path(path)
    make_folder(path.parent)
    try:
        manifest.write(path)
    except OSError as error:
        raise DataError(f"{path}: cannot write the manifest ({error.strerror}).") from error
    return path
