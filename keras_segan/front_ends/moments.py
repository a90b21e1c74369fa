"""Mean and standard deviation of what is read piece by piece."""

from collections.abc import Iterable

import numpy as np

# A piece of an utterance: its samples, and from which to which of them the piece counts. What lies outside is
# context that belongs to the neighbours.
Piece = tuple[np.ndarray, int, int]


class Moments:
    """Mean and standard deviation over all rows that were added, in double precision.

    Sums of squares are merged around their own means, so that hours of audio lose no digits.
    """

    def __init__(self):
        self.count = 0
        self.mean = 0.0
        self._squares = 0.0

    def add(self, rows: np.ndarray):
        """Adds rows `(count, ...)`."""
        if len(rows) == 0:
            return
        rows = np.asarray(rows, np.float64)
        mean, total = rows.mean(axis=0), self.count + len(rows)
        self._squares = (
            self._squares
            + np.square(rows - mean).sum(axis=0)
            + np.square(mean - self.mean) * (self.count * len(rows) / total)
        )
        self.mean = self.mean + (mean - self.mean) * (len(rows) / total)
        self.count = total

    def deviation(self, ddof: int = 0):
        """Returns the standard deviation; the divisor is the number of rows less `ddof`."""
        return np.sqrt(self._squares / max(self.count - ddof, 1))

    def pooled(self) -> "Moments":
        """Returns the moments over all values, whichever column they stand in."""
        result, columns = Moments(), np.size(self.mean)
        result.count = self.count * columns
        result.mean = np.mean(self.mean)
        between = self.count * np.square(self.mean - result.mean).sum()
        result._squares = np.sum(self._squares) + between
        return result


def deviation_ratio(pairs: Iterable[tuple[np.ndarray, np.ndarray]], per_column: bool):
    """Returns by what estimates have to be multiplied to vary as much as their references.

    Args:
        pairs: Batches of references and of their estimates, both `(count, columns)`.
        per_column: Whether each column gets a factor of its own.

    Returns:
        A number, or one for each column.
    """
    moments = Moments(), Moments()
    for pair in pairs:
        for each, rows in zip(moments, pair, strict=True):
            each.add(rows if per_column else rows.reshape(-1))
    reference, estimated = moments
    return reference.deviation() / estimated.deviation()


def frames_within(frames: np.ndarray, start: int, stop: int, hop: int) -> np.ndarray:
    """Returns the rows of `frames (count, ...)` that begin at a sample from `start` up to `stop`."""
    return frames[-(-start // hop) : -(-stop // hop)]


def moments(pieces: Iterable[Piece], frames_of, hop: int) -> Moments:
    """Computes the moments of an utterance's frames.

    Args:
        pieces: The utterance; each piece begins at a multiple of the hop.
        frames_of: From a waveform `(samples,)` to its frames `(frames, ...)`.
        hop: Distance of frames in samples.

    Returns:
        Those of all frames, each counted once.
    """
    result = Moments()
    for waveform, start, stop in pieces:
        result.add(frames_within(frames_of(waveform), start, stop, hop))
    return result
