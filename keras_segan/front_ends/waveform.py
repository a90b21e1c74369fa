"""Chunks of waveform in, chunks of waveform out: what lies around networks such as SEGAN's."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_segan import dsp
from keras_segan.audio import SAMPLE_RATE
from keras_segan.front_ends import values
from keras_segan.front_ends.moments import Piece

SCALES = ("int16", "extremes", "none")
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class WaveformAnalysis:
    """What the synthesis needs besides the network's output.

    Attributes:
        length: Samples of the waveform.
        extremes: Its smallest and largest sample.
    """

    length: int
    extremes: tuple[float, float]


class WaveformFrontEnd:
    """Cuts a waveform into chunks for the network, beside each the latent noise, and joins its output.

    A row of the network's input holds a chunk and then the noise. Zeros fill the last chunk up, and what
    comes of them is cut off, so that nothing is lost.

    Args:
        length: Samples of a chunk.
        overlap: Samples that neighbouring chunks share and are cross-faded over; 0 as in the programs, whose
            chunks follow each other.
        emphasis: Coefficient of the pre-emphasis that the network's signals have; 0 for none.
        scale: `"int16"`: samples s of 16 bit as 2 (s - 32767) / 65535 + 1, which takes -32768 to -1, 32767
            to 1 and silence to half a bit; `"extremes"`: each signal's own smallest and largest sample as -1
            and 1, and back; `"none"`.
        latent: Numbers of noise for each chunk, standard normal; 0 for none.
        seed: Seed of the noise: the same file gives the same bytes.
        sample_rate: In Hz.
        rows_at_once: Chunks that the network sees at once.

    Raises:
        ValueError: If a setting is of another type or out of range; the overlap is half a chunk at most.

    Reference:
        SEGAN's program, main.py, `pre_emph` and `de_emph`, model.py, `clean`, and data_loader.py.
    """

    def __init__(
        self,
        length: int = 16384,
        overlap: int = 0,
        emphasis: float = 0.95,
        scale: str = "int16",
        latent: int = 0,
        seed: int = 0,
        sample_rate: int = SAMPLE_RATE,
        rows_at_once: int = 8,
    ) -> None:
        self.length = values.whole("length", length, 2)
        self.overlap = values.whole("overlap", overlap, 0, length // 2)
        self.emphasis = values.number("emphasis", emphasis, 0.0, 1.0)
        self.scale = values.choice("scale", scale, SCALES)
        self.latent = values.whole("latent", latent, 0)
        self.seed = values.whole("seed", seed, 0, LARGEST_SEED)
        self.sample_rate = values.rate(sample_rate)
        self.rows_at_once = values.whole("rows_at_once", rows_at_once, 1)

    @property
    def minimum_samples(self) -> int:
        """The shortest waveform."""
        return 1

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of a row of the network's input."""
        return (self.length + self.latent,)

    @property
    def output_size(self) -> int:
        """Values that the network gives for a chunk."""
        return self.length

    @property
    def hop(self) -> int:
        """Distance of chunks in samples."""
        return self.length - self.overlap

    def measure(self, pieces: Iterable[Piece]) -> tuple[float, float] | None:
        """Finds the extremes of a whole utterance, if it is scaled by them.

        Args:
            pieces: The utterance.

        Returns:
            Smallest and largest sample, or `None`.
        """
        if self.scale != "extremes":
            return None
        limits = [_extremes(waveform[start:stop]) for waveform, start, stop in pieces]
        return min(low for low, _ in limits), max(high for _, high in limits)

    def to_network(self, waveform: np.ndarray) -> np.ndarray:
        """Scales and pre-emphasises signals, each by itself.

        Args:
            waveform: `(..., samples)`.

        Returns:
            float32 of the same shape.
        """
        return self._emphasised(self._scaled(waveform, _extremes(waveform)))

    def _scaled(self, waveform: np.ndarray, extremes: tuple[Any, Any]) -> np.ndarray:
        waveform = np.asarray(waveform, np.float32)
        if self.scale == "int16":
            return np.float32(2 / 65535) * (waveform * np.float32(32768) - np.float32(32767)) + np.float32(1)
        if self.scale == "extremes":
            low, high = extremes
            return (2 * (waveform - low) / np.maximum(high - low, 1e-12) - 1).astype(np.float32)
        return waveform

    def _emphasised(self, waveform: np.ndarray) -> np.ndarray:
        return dsp.pre_emphasis(waveform, self.emphasis) if self.emphasis else waveform

    def noise(self, rows: int) -> np.ndarray:
        """Draws the latent noise, float32 `(rows, latent)`; a row depends on its number and the seed."""
        drawn = [np.random.default_rng((self.seed, row)).standard_normal(self.latent) for row in range(rows)]
        return np.array(drawn, np.float32).reshape(rows, self.latent)

    def analyse(
        self, waveform: np.ndarray, statistics: tuple[float, float] | None = None
    ) -> tuple[np.ndarray, WaveformAnalysis]:
        """Computes the network's input.

        Args:
            waveform: `(samples,)` at `sample_rate`.
            statistics: From `measure`, if the waveform is a piece of an utterance.

        Returns:
            float32 `(chunks, length + latent)`, and what `synthesise` needs.
        """
        extremes = _extremes(waveform) if statistics is None else statistics
        emphasised = self._emphasised(self._scaled(waveform, extremes))
        count = max(1, -(-(len(waveform) - self.overlap) // self.hop))
        padded = np.pad(emphasised, (0, count * self.hop + self.overlap - len(waveform)))
        chunks = dsp.frames(padded, self.length, self.hop)
        return np.concatenate([chunks, self.noise(count)], axis=1), WaveformAnalysis(len(waveform), extremes)

    def synthesise(self, output: np.ndarray, analysis: WaveformAnalysis) -> np.ndarray:
        """Joins the chunks.

        Args:
            output: The network's output `(chunks, length)`.
            analysis: From `analyse`.

        Returns:
            float32 `(samples,)`, as long as the waveform was.
        """
        joined = self._joined(np.asarray(output))[: analysis.length]
        if self.emphasis:
            # Recursive: rounding would add up in single precision.
            joined = dsp.de_emphasis(joined.astype(np.float64), self.emphasis)
        if self.scale == "extremes":
            low, high = analysis.extremes
            joined = (joined + 1) * ((high - low) / 2) + low
        return joined.astype(np.float32)

    def _joined(self, chunks: np.ndarray) -> np.ndarray:
        if not self.overlap:
            return chunks.reshape(-1)
        ramp = (np.arange(self.overlap) + np.float32(0.5)) / np.float32(self.overlap)
        weighted = chunks.copy()
        weighted[1:, : self.overlap] *= ramp
        weighted[:-1, self.hop :] *= ramp[::-1]
        return dsp.overlap_add(weighted, self.hop)

    def get_config(self) -> dict[str, Any]:
        """Configuration for serialisation."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WaveformFrontEnd":
        """The front end from its configuration."""
        return cls(**config)


def _extremes(waveform: np.ndarray) -> tuple[Any, Any]:
    """Returns the smallest and the largest sample, of several signals `(count, samples)` as columns."""
    if waveform.ndim == 1:
        return float(waveform.min()), float(waveform.max())
    return waveform.min(axis=-1, keepdims=True), waveform.max(axis=-1, keepdims=True)
