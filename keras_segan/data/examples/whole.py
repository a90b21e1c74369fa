"""Whole utterances as examples: of different lengths, padded to the longest of their batch."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_segan.data.examples.base import Arrays, Examples
from keras_segan.data.manifest import Utterance
from keras_segan.data.pipeline import RecentlyUsed

ARRAY_BYTES = 2**30  # of arrays that are kept; others are computed again
GROUPED = 16  # batches whose utterances are sorted by length, so that little is padded


class WholeUtterances(Examples):
    """Utterances, as arrays that a function computes.

    A batch of several utterances also holds `frames` `(batch,)`, each one's own number; a batch of one has
    no padding and no `frames`.

    Args:
        utterances: The utterances.
        arrays: Computes the arrays of an utterance by name: spectra `(frames, ...)`, all of as many frames,
            which are padded with zeros at the end, and vectors such as a score `(1,)`.
        max_bytes: Memory for arrays.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        arrays: Callable[[Utterance], Mapping[str, np.ndarray]],
        max_bytes: int = ARRAY_BYTES,
    ):
        self.utterances = tuple(utterances)
        self._compute = arrays
        self._names: tuple[str, ...] = ()
        self._remembered = RecentlyUsed(max_bytes)
        self._order: tuple[tuple[int, int, int], list[np.ndarray]] | None = None

    def __len__(self) -> int:
        return len(self.utterances)

    def arrays(self, number: int) -> Arrays:
        """Returns the arrays of an utterance."""

        def compute() -> tuple[np.ndarray, ...]:
            found = self._compute(self.utterances[number])
            self._names = tuple(found)
            return tuple(found.values())

        values = self._remembered.get(number, compute)
        return dict(zip(self._names, values, strict=True))

    def frames(self, number: int) -> int:
        """Returns the number of frames of an utterance."""
        return next(len(array) for array in self.arrays(number).values() if array.ndim > 1)

    def per_pass(self, size: int) -> int:
        """Returns the number of batches in a pass; the last one may be smaller."""
        return -(-len(self) // size)

    def order(self, size: int, iteration: int, seed: int) -> np.ndarray:
        """Returns which utterances a training iteration uses."""
        number, position = divmod(iteration, self.per_pass(size))
        key = size, number, seed
        if self._order is None or self._order[0] != key:
            self._order = key, self._pass(*key)
        return self._order[1][position]

    def _pass(self, size: int, number: int, seed: int) -> list[np.ndarray]:
        rng = np.random.default_rng([seed, number])
        order = rng.permutation(len(self))
        if size == 1:
            return list(order[:, None])
        batches: list[np.ndarray] = []
        for start in range(0, len(order), size * GROUPED):
            group = order[start : start + size * GROUPED]
            by_length = group[np.argsort([self.frames(n) for n in group], kind="stable")]
            batches += [by_length[first : first + size] for first in range(0, len(by_length), size)]
        return [batches[n] for n in rng.permutation(len(batches))]

    def batch(self, numbers: np.ndarray) -> Arrays:
        """Reads utterances."""
        rows = [self.arrays(int(number)) for number in numbers]
        if len(rows) == 1:
            return {name: array[None] for name, array in rows[0].items()}
        frames = np.array([self.frames(int(number)) for number in numbers])
        batch = {name: _stacked([row[name] for row in rows], frames) for name in self._names}
        return {**batch, "frames": frames.astype(np.float32)}


def _stacked(arrays: Sequence[np.ndarray], frames: np.ndarray) -> np.ndarray:
    if arrays[0].ndim == 1:
        return np.stack(arrays)
    padded = np.zeros((len(arrays), int(frames.max()), *arrays[0].shape[1:]), np.float32)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded
