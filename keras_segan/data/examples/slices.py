"""Windows of waveform on disk, read back in random order in constant memory."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from keras_segan.data.examples.base import Arrays, Examples
from keras_segan.data.examples.stored import permuted
from keras_segan.data.manifest import Utterance
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.errors import DataError
from keras_segan.files import make_folder

_SAMPLE = np.dtype([("noisy", np.float32), ("clean", np.float32)])
_PLACES = np.dtype(np.int64)
_FILES = ("samples.f32", "slices.i64")


class Slices(Examples):
    """Windows of the noisy and the clean waveform, the same of both.

    Samples are stored once, those of both signals side by side; a second file tells where each window begins.
    Both are read with system calls, so that nothing of them stays in the memory of the process.

    A pass drops the windows that do not fill a batch.

    Args:
        folder: Folder with `samples.f32` and `slices.i64`, as `create` writes them.
        window: Samples of a window.

    Raises:
        DataError: If the folder does not hold such files.
    """

    def __init__(self, folder: Path | str, window: int) -> None:
        self.folder = Path(folder)
        self.window = window
        try:
            self._samples, self._places = (os.open(self.folder / name, os.O_RDONLY) for name in _FILES)
        except OSError as error:
            raise DataError(f"{self.folder}: holds no stored windows ({error.strerror}).") from error
        self._count = os.fstat(self._places).st_size // _PLACES.itemsize

    @classmethod
    def create(
        cls,
        folder: Path | str,
        pairs: Iterable[tuple[np.ndarray, np.ndarray]],
        window: int,
        hop: int | None,
        keep_tails: bool = False,
    ) -> Self:
        """Writes waveforms one after the other.

        Args:
            folder: New, or overwritten.
            pairs: Noisy and clean waveform of each utterance; the longer one is cut.
            window: Samples of a window.
            hop: Distance of the windows' beginnings; `None` for one window an utterance.
            keep_tails: Whether what follows the last whole window gets one more, which ends with the
                utterance; an utterance of less than a window is filled up with zeros.

        Returns:
            The windows.

        Raises:
            DataError: If the files cannot be written.
        """
        folder = make_folder(folder)
        try:
            with open(folder / _FILES[0], "wb") as samples, open(folder / _FILES[1], "wb") as places:
                written = 0
                for noisy, clean in pairs:
                    both = _side_by_side(noisy, clean, window if keep_tails else 0)
                    starts = window_starts(len(both), window, hop, keep_tails)
                    if len(starts):
                        both.tofile(samples)
                        (written + starts).astype(_PLACES).tofile(places)
                        written += len(both)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot write the waveforms ({error.strerror or error});"
                " they need 8 bytes a sample."
            ) from error
        return cls(folder, window)

    def __len__(self) -> int:
        return self._count

    def counted(self, least: int) -> str:
        """Says how many windows there are.

        Args:
            least: As many as a batch needs.

        Raises:
            DataError: If there are fewer.
        """
        sentence = f"{len(self):,} training windows of {self.window:,} samples"
        if len(self) < least:
            raise DataError(
                f"The data have {sentence}, fewer than a batch of {least}; use a smaller --set batch=N, or"
                " longer recordings."
            )
        return sentence

    def close(self) -> None:
        """Closes the files."""
        os.close(self._samples)
        os.close(self._places)

    def remove(self) -> None:
        """Closes and deletes the files."""
        self.close()
        for name in _FILES:
            (self.folder / name).unlink()
        self.folder.rmdir()

    def per_pass(self, size: int) -> int:
        """Returns the number of full batches."""
        return len(self) // size

    def order(self, size: int, iteration: int, seed: int) -> np.ndarray:
        """Returns which windows a training iteration uses; every pass has a random order of its own."""
        passes, batch = divmod(iteration, self.per_pass(size))
        return permuted(np.arange(batch * size, (batch + 1) * size), len(self), (seed, passes))

    def batch(self, numbers: np.ndarray) -> Arrays:
        """Reads windows.

        Args:
            numbers: Numbers of the windows `(batch,)`.

        Returns:
            `noisy` and `clean`, both float32 `(batch, window)`.
        """
        return self._windows([self._read(self._places, number, 1, _PLACES)[0] for number in numbers])

    def _windows(self, starts: Iterable[int]) -> Arrays:
        rows = np.stack([self._read(self._samples, start, self.window, _SAMPLE) for start in starts])
        return {name: np.ascontiguousarray(rows[name]) for name in ("noisy", "clean")}

    @staticmethod
    def _read(descriptor: int, start: int, count: int, kind: np.dtype) -> np.ndarray:
        return np.frombuffer(os.pread(descriptor, count * kind.itemsize, int(start) * kind.itemsize), kind)


class Crops(Slices):
    """Windows that begin anywhere: one a pass from each utterance, at a random place.

    The folder is one of `Slices` with a single window an utterance (`hop=None`). The number of a crop says
    which utterance it is from and where it begins: utterance + utterances x first sample.
    """

    def __init__(self, folder: Path | str, window: int) -> None:
        super().__init__(folder, window)
        self._starts = self._read(self._places, 0, len(self), _PLACES)
        end = os.fstat(self._samples).st_size // _SAMPLE.itemsize
        self._lengths = np.diff(self._starts, append=end)

    def order(self, size: int, iteration: int, seed: int) -> np.ndarray:
        """Returns the crops of a training iteration."""
        utterances = super().order(size, iteration, seed)
        random = np.random.default_rng((seed, iteration, 1))
        first = random.integers(0, self._lengths[utterances] - self.window, endpoint=True)
        return utterances + len(self) * first

    def batch(self, numbers: np.ndarray) -> Arrays:
        """Reads crops; see `Slices.batch`."""
        first, utterances = np.divmod(numbers, len(self))
        return self._windows(self._starts[utterances] + first)


def window_starts(samples: int, window: int, hop: int | None, keep_tails: bool = False) -> np.ndarray:
    """Returns where the windows of an utterance begin.

    Args:
        samples: Its length.
        window: Samples of a window.
        hop: Distance of the beginnings; `None` for a single window.
        keep_tails: Whether a last window that ends with the utterance covers what the others leave.

    Returns:
        Integers `(windows,)`; none for an utterance of less than a window.
    """
    starts = np.arange(0, samples - window + 1, hop or max(samples, 1))
    if keep_tails and samples >= window and starts[-1] + window < samples:
        starts = np.append(starts, samples - window)
    return starts


def _side_by_side(noisy: np.ndarray, clean: np.ndarray, at_least: int) -> np.ndarray:
    length = min(len(noisy), len(clean))
    both = np.zeros(max(length, at_least), _SAMPLE)
    both["noisy"][:length] = noisy[:length]
    both["clean"][:length] = clean[:length]
    return both


def stored_slices(
    utterances: Sequence[Utterance],
    folder: Path | str,
    window: int,
    hop: int | None,
    keep_tails: bool = False,
) -> Slices:
    """Reads utterances and writes their windows.

    Args:
        utterances: Entries of a manifest.
        folder: See `Slices.create`, as the other arguments.
        window: See there.
        hop: See there; with `None` the windows begin anywhere.
        keep_tails: See there.

    Returns:
        The windows.
    """
    reader = UtteranceReader(max_bytes=0)
    pairs = ((reader.noisy(utterance), reader.clean(utterance)) for utterance in utterances)
    return (Slices if hop else Crops).create(folder, pairs, window, hop, keep_tails)
