"""Frames of many utterances as training examples of a mask: context of noisy log spectra, one clean frame."""

from collections.abc import Iterable, Iterator

import numpy as np


class MaskingFrames:
    """Log spectra of many utterances, kept once in single precision; context is put together per batch.

    Args:
        pairs: Per utterance the noisy and the clean log spectrum, each `(frames, bands)`.
        context: Frames before and after the centre; at an utterance's edges its first and last are repeated.
    """

    def __init__(self, pairs: Iterable[tuple[np.ndarray, np.ndarray]], context: int):
        noisy, clean, neighbours, levels = [], [], [], []
        start = 0
        for noisy_log, clean_log in pairs:
            count = len(noisy_log)
            noisy.append(noisy_log.astype(np.float32))
            clean.append(clean_log.astype(np.float32))
            index = np.arange(count)[:, None] + np.arange(-context, context + 1)
            neighbours.append((start + np.clip(index, 0, count - 1)).astype(np.int32))
            levels.append(np.tile(_mean_and_deviation(noisy_log), (count, 1)))
            start += count
        self._noisy = np.concatenate(noisy)
        noisy.clear()  # before the next copy: the whole of VoiceBank-DEMAND takes 0.8 GB each
        self._clean = np.concatenate(clean)
        self._neighbours = np.concatenate(neighbours)
        self._levels = np.concatenate(levels)

    def __len__(self) -> int:
        return len(self._noisy)

    def clean_statistics(self) -> tuple[float, float]:
        """Returns mean and standard deviation of all clean log values."""
        return float(self._clean.mean(dtype=np.float64)), float(self._clean.std(dtype=np.float64))

    def batch(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns examples.

        Args:
            frames: Numbers of frames `(batch,)`.

        Returns:
            Standardised context `(batch, (2 context + 1) bands)`, linear noisy spectrum `(batch, bands)` and
            clean log spectrum `(batch, bands)`, all float32.
        """
        mean, deviation = self._levels[frames].T[:, :, None, None]
        features = (self._noisy[self._neighbours[frames]] - mean) / deviation
        return features.reshape(len(frames), -1), np.exp(self._noisy[frames]), self._clean[frames]

    def shuffled(self, size: int, seed) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields batches of random frames, every frame at most once; the remainder is dropped.

        Args:
            size: Frames per batch.
            seed: Of the order, anything that `numpy.random.default_rng` takes.

        Yields:
            As `batch` returns.
        """
        order = np.random.default_rng(seed).permutation(len(self))
        for start in range(0, len(order) - size + 1, size):
            yield self.batch(order[start : start + size])

    def ordered(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields all frames in order, the last batch shorter.

        Args:
            size: Frames per batch.

        Yields:
            As `batch` returns.
        """
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))


def _mean_and_deviation(log_spectrum: np.ndarray) -> np.ndarray:
    # MATLAB's std: the divisor of the variance is n - 1.
    varies = log_spectrum.max() > log_spectrum.min()
    return np.array([log_spectrum.mean(), log_spectrum.std(ddof=1) if varies else 1.0], np.float32)
