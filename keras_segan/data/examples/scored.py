"""Whole utterances with their true score: what a network that predicts quality is trained on."""

from collections.abc import Callable, Sequence

import numpy as np

from keras_segan.data.examples.base import Arrays, Examples
from keras_segan.data.manifest import Utterance
from keras_segan.data.pipeline import RecentlyUsed
from keras_segan.errors import DataError

FEATURE_BYTES = 2**30  # of features that are kept; others are computed again
GROUPED = 16  # batches whose utterances are sorted by length, so that little is padded


class ScoredUtterances(Examples):
    """Utterances of different lengths, padded with zeros at the end to the longest of their batch.

    A batch holds `features` `(batch, frames, ...)`, `score` `(batch, 1)` and, if there are several utterances,
    `frames` `(batch,)`, each one's own number.

    Args:
        utterances: With scores.
        features: Computes the features `(frames, ...)` of an utterance.
        max_bytes: Memory for features.

    Raises:
        DataError: If an utterance has no score.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        features: Callable[[Utterance], np.ndarray],
        max_bytes: int = FEATURE_BYTES,
    ):
        lacking = [u.id for u in utterances if u.score is None]
        if lacking:
            raise DataError(f"{lacking[0]} and {len(lacking) - 1} other utterances have no score.")
        self.utterances = tuple(utterances)
        self._compute = features
        self._remembered = RecentlyUsed(max_bytes)
        self._orders: dict[tuple[int, int, int], list[np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self.utterances)

    def features(self, number: int) -> np.ndarray:
        """Returns the features of an utterance."""
        return self._remembered.get(number, lambda: self._compute(self.utterances[number]))

    def per_pass(self, size: int) -> int:
        """Returns the number of batches in a pass; the last one may be smaller."""
        return -(-len(self) // size)

    def order(self, size: int, iteration: int, seed: int) -> np.ndarray:
        """Returns which utterances a training iteration uses."""
        number, position = divmod(iteration, self.per_pass(size))
        key = size, number, seed
        if key not in self._orders:
            self._orders = {key: self._pass(*key)}
        return self._orders[key][position]

    def _pass(self, size: int, number: int, seed: int) -> list[np.ndarray]:
        rng = np.random.default_rng([seed, number])
        order = rng.permutation(len(self))
        if size == 1:
            return list(order[:, None])
        batches: list[np.ndarray] = []
        for start in range(0, len(order), size * GROUPED):
            group = order[start : start + size * GROUPED]
            by_length = group[np.argsort([len(self.features(n)) for n in group], kind="stable")]
            batches += [by_length[first : first + size] for first in range(0, len(by_length), size)]
        return [batches[n] for n in rng.permutation(len(batches))]

    def batch(self, numbers: np.ndarray) -> Arrays:
        """Reads utterances."""
        rows = [self.features(int(number)) for number in numbers]
        score = np.array([[self.utterances[int(number)].score] for number in numbers], np.float32)
        if len(rows) == 1:
            return {"features": rows[0][None], "score": score}
        frames = np.array([len(row) for row in rows], np.float32)
        padded = np.zeros((len(rows), int(frames.max()), *rows[0].shape[1:]), np.float32)
        for row, target in zip(rows, padded, strict=True):
            target[: len(row)] = row
        return {"features": padded, "score": score, "frames": frames}
