"""Frames of a corpus on disk, read back as training segments in random order, in constant memory."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from keras_segan.data.folders import make_folder
from keras_segan.errors import DataError

NOISE_FRAMES = 6  # at an utterance's beginning: Xu et al. 2015, equation 9
_PLACE = np.dtype([("segment", np.int64), ("utterance", np.int64)])


class SegmentStore:
    """Noisy and clean log spectra of many utterances in one file, cut into segments when they are read.

    A segment is a centre frame with its context. Frames are stored once, at an utterance's edges the first
    and last one repeatedly; a second file tells where each segment and its utterance begin. Both are read
    with system calls, so that nothing of them stays in the memory of the process.

    Args:
        folder: Holds `frames.f32` and `segments.i64`, as `create` wrote them.
        bins: Bins of a spectrum.
        context: Frames before and after the centre.

    Raises:
        DataError: If the folder does not hold such files.
    """

    def __init__(self, folder: Path | str, bins: int, context: int):
        self.folder = Path(folder)
        self.bins = bins
        self.context = context
        try:
            self._frames = os.open(self.folder / "frames.f32", os.O_RDONLY)
            self._places = os.open(self.folder / "segments.i64", os.O_RDONLY)
        except OSError as error:
            raise DataError(f"{self.folder}: holds no stored segments ({error.strerror}).") from error
        self._count = os.fstat(self._places).st_size // _PLACE.itemsize

    @classmethod
    def create(
        cls,
        folder: Path | str,
        spectra: Iterable[tuple[np.ndarray, np.ndarray]],
        bins: int,
        context: int,
        hop: int = 1,
        repeat_edges: bool = True,
    ) -> "SegmentStore":
        """Writes the log spectra of utterances one after the other.

        Args:
            folder: New, or overwritten.
            spectra: Per utterance the noisy and the clean log spectrum, each `(frames, bins)`.
            bins: Bins of a spectrum.
            context: Frames before and after the centre.
            hop: Distance of the centres in frames.
            repeat_edges: Whether frames near the edges are centres too, first and last frame being repeated.

        Returns:
            The store.

        Raises:
            DataError: If the files cannot be written.
        """
        folder = make_folder(folder)
        try:
            cls._write(folder, spectra, context, hop, repeat_edges)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot write the log spectra ({error.strerror or error});"
                " they need 8 bytes per frame and bin."
            ) from error
        return cls(folder, bins, context)

    @staticmethod
    def _write(folder: Path, spectra: Iterable, context: int, hop: int, repeat_edges: bool):
        written = 0
        with open(folder / "frames.f32", "wb") as frames, open(folder / "segments.i64", "wb") as places:
            for noisy, clean in spectra:
                both = np.concatenate([noisy, clean], axis=1).astype(np.float32)
                padding = context if repeat_edges else 0
                np.pad(both, ((padding, padding), (0, 0)), mode="edge").tofile(frames)
                centres = len(both) if repeat_edges else max(0, len(both) - 2 * context)
                starts = np.empty(-(-centres // hop), _PLACE)
                starts["segment"] = written + np.arange(0, centres, hop)
                starts["utterance"] = written + padding
                starts.tofile(places)
                written += len(both) + 2 * padding

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> "SegmentStore":
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Closes the files."""
        os.close(self._frames)
        os.close(self._places)

    def remove(self):
        """Closes and deletes the files."""
        self.close()
        for name in ("frames.f32", "segments.i64"):
            (self.folder / name).unlink()
        self.folder.rmdir()

    def batch(self, numbers: np.ndarray, noise_frames: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Reads segments.

        Args:
            numbers: Of the segments, `(batch,)`.
            noise_frames: If not 0, the mean of so many first frames of the utterance is appended to the
                context: the noise estimate of noise-aware training.

        Returns:
            Noisy context `(batch, 2 context + 1 [+ 1], bins)` and clean centre `(batch, bins)`, float32.
        """
        width = 2 * self.context + 1
        places = np.concatenate([self._read(self._places, n, 1, _PLACE) for n in numbers])
        rows = np.stack([self._read_frames(start, width) for start in places["segment"]])
        noisy, clean = rows[:, :, : self.bins], rows[:, self.context, self.bins :]
        if noise_frames:
            noise = [self._noise(start, noise_frames) for start in places["utterance"]]
            noisy = np.concatenate([noisy, np.array(noise)[:, None]], axis=1)
        return np.ascontiguousarray(noisy), np.ascontiguousarray(clean)

    def _noise(self, start: int, count: int) -> np.ndarray:
        return self._read_frames(start, count)[:, : self.bins].mean(axis=0)

    def _read_frames(self, start: int, count: int) -> np.ndarray:
        values = self._read(self._frames, start * 2 * self.bins, count * 2 * self.bins, np.dtype(np.float32))
        return values.reshape(-1, 2 * self.bins)

    @staticmethod
    def _read(descriptor: int, start: int, count: int, kind: np.dtype) -> np.ndarray:
        return np.frombuffer(os.pread(descriptor, count * kind.itemsize, int(start) * kind.itemsize), kind)

    def ordered(
        self, size: int, noise_frames: int = 0, limit: int | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the segments in order.

        Args:
            size: Segments per batch; the last batch is shorter.
            noise_frames: See `batch`.
            limit: Number of batches; all if `None`.

        Yields:
            As `batch` returns.
        """
        for start in range(0, len(self), size)[:limit]:
            yield self.batch(np.arange(start, min(start + size, len(self))), noise_frames)

    def order(self, size: int, iteration: int, seed: int) -> np.ndarray:
        """Returns which segments a training iteration uses.

        Every pass over the corpus has its own random order, and its last batch is short, as in the original.

        Args:
            size: Segments per batch.
            iteration: From 0.
            seed: Of the orders.

        Returns:
            Numbers of segments.

        Reference:
            sednn, data_generator.py.
        """
        per_pass = -(-len(self) // size)
        passes, batch = divmod(iteration, per_pass)
        positions = np.arange(batch * size, min((batch + 1) * size, len(self)))
        return permuted(positions, len(self), (seed, passes))


def permuted(positions: np.ndarray, count: int, seed) -> np.ndarray:
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
