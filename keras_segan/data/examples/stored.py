"""Segments of a corpus on disk, read back in random order in constant memory."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_segan.data.examples.base import Arrays, Examples
from keras_segan.data.folders import make_folder
from keras_segan.errors import DataError

Pair = tuple[np.ndarray, np.ndarray]  # noisy and clean log spectrum of an utterance, both `(frames, bins)`
_PLACE = np.dtype([("segment", np.int64), ("utterance", np.int64)])
_FILES = ("frames.f32", "segments.i64")


@dataclass(frozen=True)
class Layout:
    """How utterances are cut into segments.

    Attributes:
        bins: Bins of a spectrum.
        context: Frames before and after the centre.
        hop: Distance of the centres in frames.
        repeat_edges: Whether frames near the edges are centres too, the first and the last frame being
            repeated.
        noise_frames: If not 0, the mean of so many first frames of the utterance is appended to the context:
            the noise estimate of noise-aware training.
    """

    bins: int
    context: int
    hop: int = 1
    repeat_edges: bool = True
    noise_frames: int = 0

    @property
    def width(self) -> int:
        """Frames of the context, the centre included."""
        return 2 * self.context + 1


class Stored(Examples):
    """Noisy and clean log spectra of many utterances in one file, cut into segments when they are read.

    A segment is a centre frame with its context. Frames are stored once, at an utterance's edges the first
    and last one repeatedly; a second file tells where each segment and its utterance begin. Both are read
    with system calls, so that nothing of them stays in the memory of the process.

    The last batch of a pass is short.

    Args:
        folder: Folder with `frames.f32` and `segments.i64`, as `create` writes them.
        layout: The layout that they were written with.

    Raises:
        DataError: If the folder does not hold such files.
    """

    def __init__(self, folder: Path | str, layout: Layout):
        self.folder = Path(folder)
        self.layout = layout
        try:
            self._frames, self._places = (os.open(self.folder / name, os.O_RDONLY) for name in _FILES)
        except OSError as error:
            raise DataError(f"{self.folder}: holds no stored segments ({error.strerror}).") from error
        self._count = os.fstat(self._places).st_size // _PLACE.itemsize

    @classmethod
    def create(cls, folder: Path | str, spectra: Iterable[Pair], layout: Layout) -> "Stored":
        """Writes the log spectra of utterances one after the other.

        Args:
            folder: New, or overwritten.
            spectra: Noisy and clean log spectrum of each utterance, both `(frames, bins)`.
            layout: How they are cut.

        Returns:
            The segments.

        Raises:
            DataError: If the files cannot be written.
        """
        folder = make_folder(folder)
        try:
            _write(folder, spectra, layout)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot write the log spectra ({error.strerror or error});"
                " they need 8 bytes per frame and bin."
            ) from error
        return cls(folder, layout)

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> "Stored":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the files."""
        os.close(self._frames)
        os.close(self._places)

    def remove(self) -> None:
        """Closes and deletes the files."""
        self.close()
        for name in _FILES:
            (self.folder / name).unlink()
        self.folder.rmdir()

    def per_pass(self, size: int) -> int:
        """Returns the number of batches in a pass, the short one included."""
        return -(-len(self) // size)

    def order(self, size: int, iteration: int, seed: int) -> np.ndarray:
        """Returns which segments a training iteration uses.

        Every pass over the corpus has its own random order, and its last batch is short, as in the original.

        Reference:
            sednn, data_generator.py.
        """
        passes, batch = divmod(iteration, self.per_pass(size))
        positions = np.arange(batch * size, min((batch + 1) * size, len(self)))
        return permuted(positions, len(self), (seed, passes))

    def batch(self, numbers: np.ndarray) -> Arrays:
        """Reads segments.

        Args:
            numbers: Numbers of the segments `(batch,)`.

        Returns:
            `context`: noisy `(batch, 2 context + 1 [+ 1], bins)`; `target`: clean centre `(batch, bins)`;
            both float32.
        """
        layout = self.layout
        places = np.concatenate([self._read(self._places, n, 1, _PLACE) for n in numbers])
        rows = np.stack([self._read_frames(start, layout.width) for start in places["segment"]])
        noisy, clean = rows[:, :, : layout.bins], rows[:, layout.context, layout.bins :]
        if layout.noise_frames:
            noise = [self._noise(start) for start in places["utterance"]]
            noisy = np.concatenate([noisy, np.array(noise)[:, None]], axis=1)
        return {"context": np.ascontiguousarray(noisy), "target": np.ascontiguousarray(clean)}

    def _noise(self, start: int) -> np.ndarray:
        return self._read_frames(start, self.layout.noise_frames)[:, : self.layout.bins].mean(axis=0)

    def _read_frames(self, start: int, count: int) -> np.ndarray:
        values = 2 * self.layout.bins
        read = self._read(self._frames, start * values, count * values, np.dtype(np.float32))
        return read.reshape(-1, values)

    @staticmethod
    def _read(descriptor: int, start: int, count: int, kind: np.dtype) -> np.ndarray:
        return np.frombuffer(os.pread(descriptor, count * kind.itemsize, int(start) * kind.itemsize), kind)


def _write(folder: Path, spectra: Iterable[Pair], layout: Layout) -> None:
    written = 0
    padding = layout.context if layout.repeat_edges else 0
    with open(folder / _FILES[0], "wb") as frames, open(folder / _FILES[1], "wb") as places:
        for noisy, clean in spectra:
            both = np.concatenate([noisy, clean], axis=1).astype(np.float32)
            np.pad(both, ((padding, padding), (0, 0)), mode="edge").tofile(frames)
            centres = len(both) if layout.repeat_edges else max(0, len(both) - 2 * layout.context)
            starts = np.empty(-(-centres // layout.hop), _PLACE)
            starts["segment"] = written + np.arange(0, centres, layout.hop)
            starts["utterance"] = written + padding
            starts.tofile(places)
            written += len(both) + 2 * padding


def permuted(positions: np.ndarray, count: int, seed: Any) -> np.ndarray:
    """Looks positions up in a random permutation of 0..count-1 that is never written down.

    A Feistel network of four rounds permutes the next power of four; what lands beyond `count` is sent
    through again until it does not.

    Args:
        positions: Integers in [0, count).
        count: Length of the permutation.
        seed: Anything that `numpy.random.default_rng` takes.

    Returns:
        Integers in [0, count), int64, all different where the positions are.
    """
    half = max(1, (int(count - 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    keys = np.random.default_rng(seed).integers(1, 2**63, (4, 2), dtype=np.uint64)
    values = np.asarray(positions, np.uint64)
    outside = np.ones(len(values), bool)
    while outside.any():
        left, right = values[outside] >> np.uint64(half), values[outside] & mask
        for multiplier, offset in keys:
            mixed = (right + offset) * (multiplier | np.uint64(1))
            left, right = right, left ^ ((mixed ^ (mixed >> np.uint64(29))) >> np.uint64(32)) & mask
        values[outside] = (left << np.uint64(half)) | right
        outside[outside] = values[outside] >= count
    return values.astype(np.int64)
