"""Frames of many utterances in memory: context of noisy log spectra, one noisy and one clean frame."""

from collections.abc import Iterable

import numpy as np

from keras_segan.data.examples.base import Arrays, Examples


class Frames(Examples):
    """Log spectra of many utterances, kept once in single precision; context is put together per batch.

    A pass drops the frames that do not fill a batch.

    Args:
        pairs: Noisy and clean log spectrum of each utterance, both `(frames, bands)`.
        context: Frames before and after the centre; at an utterance's edges its first and last are repeated.
    """

    def __init__(self, pairs: Iterable[tuple[np.ndarray, np.ndarray]], context: int) -> None:
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
        self._permutation: tuple[tuple[int, int], np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._noisy)

    def clean_statistics(self) -> tuple[float, float]:
        """Returns mean and standard deviation of all clean log values."""
        return float(self._clean.mean(dtype=np.float64)), float(self._clean.std(dtype=np.float64))

    def per_pass(self, size: int) -> int:
        """Returns the number of full batches."""
        return len(self) // size

    def order(self, size: int, iteration: int, seed: int) -> np.ndarray:
        """Returns which frames a training iteration uses; the seed of a pass is `(seed, pass from 1)`."""
        passes, batch = divmod(iteration, self.per_pass(size))
        return self._permuted((seed, passes + 1))[batch * size : (batch + 1) * size]

    def _permuted(self, seed: tuple[int, int]) -> np.ndarray:
        if self._permutation is None or self._permutation[0] != seed:
            self._permutation = seed, np.random.default_rng(seed).permutation(len(self))
        return self._permutation[1]

    def batch(self, numbers: np.ndarray) -> Arrays:
        """Reads frames.

        Args:
            numbers: Numbers of the frames `(batch,)`.

        Returns:
            `features`: standardised context `(batch, (2 context + 1) bands)`; `noisy`: linear noisy spectrum
            `(batch, bands)`; `clean`: clean log spectrum `(batch, bands)`; all float32.
        """
        mean, deviation = self._levels[numbers].T[:, :, None, None]
        features = (self._noisy[self._neighbours[numbers]] - mean) / deviation
        return {
            "features": features.reshape(len(numbers), -1),
            "noisy": np.exp(self._noisy[numbers]),
            "clean": self._clean[numbers],
        }


def _mean_and_deviation(log_spectrum: np.ndarray) -> np.ndarray:
    # MATLAB's std: the divisor of the variance is n - 1.
    varies = log_spectrum.max() > log_spectrum.min()
    return np.array([log_spectrum.mean(), log_spectrum.std(ddof=1) if varies else 1.0], np.float32)
