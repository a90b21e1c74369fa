"""Gammatone energies in, a mask on the sub-bands out: the signal processing of Soni, Shah and Patil."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from keras_segan import dsp, gammatone
from keras_segan.front_ends import values
from keras_segan.front_ends.moments import Moments, Piece, moments

OUTPUTS = ("mask", "log-spectrum")
MOST_CONTEXT = 100  # frames before and after the centre


@dataclass(frozen=True)
class GammatoneAnalysis:
    """What the synthesis needs of the noisy signal besides the network's output.

    Attributes:
        emphasised: Pre-emphasised waveform `(samples,)`, filled up to one frame if it was shorter.
        energies: Its gammatonegram `(bands, frames)`.
        length: Samples of the waveform.
    """

    emphasised: np.ndarray
    energies: np.ndarray
    length: int


class GammatoneFrontEnd:
    """Gammatone energies in, a mask on the sub-bands out.

    Frames are as in the original (a tail shorter than a frame is dropped). Its two side effects are undone
    so that input and output can be compared: the result is delayed by the one sample that it runs ahead,
    and divided by the gain of analysis and synthesis.

    Args:
        window: Length of the symmetric Hamming window in samples: 320 (paper), 400 (released features).
        hop: Distance of frames in samples: 160 (paper), 80 (released features).
        context: Frames before and after the centre: 3 (paper), 2 (released features).
        output: What the network gives, see `generator`. A log spectrum is divided by the noisy one and
            limited to 1.
        emphasis: Coefficient of pre- and de-emphasis.
        energy_floor: See `gammatone.log_energies`.
        sample_rate: In Hz; the filter bank is made for it.
        mask_floor: Smallest value of the mask; 0 in the original.

    Raises:
        ValueError: If a setting is of another type or out of range.

    Reference:
        Paper, section 4; the authors' feature extraction and reconstruction scripts.
    """

    def __init__(
        self,
        window: int = 320,
        hop: int = 160,
        context: int = 3,
        output: str = "mask",
        emphasis: float = 0.95,
        energy_floor: float = gammatone.ENERGY_FLOOR,
        sample_rate: int = gammatone.SAMPLE_RATE,
        mask_floor: float = 0.0,
    ):
        self.window = values.whole("window", window, 1)
        self.hop = values.whole("hop", hop, 1, window)
        self.context = values.whole("context", context, 0, MOST_CONTEXT)
        self.output = values.choice("output", output, OUTPUTS)
        self.emphasis = values.number("emphasis", emphasis, 0.0, 0.999)
        self.energy_floor = values.number("energy_floor", energy_floor, 1e-300, 1.0)
        self.sample_rate = values.rate(sample_rate)
        self.mask_floor = values.number("mask_floor", mask_floor, 0.0, 1.0)

    @property
    def minimum_samples(self) -> int:
        """The shortest waveform; below one frame it is filled up with zeros."""
        return 1

    @property
    def bank(self) -> gammatone.GammatoneBank:
        """The filter bank."""
        return gammatone.bank(self.sample_rate)

    @property
    def n_inputs(self) -> int:
        """Values that the network takes per frame."""
        return (2 * self.context + 1) * self.bank.bands

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of a frame of the network's input."""
        return (self.n_inputs,)

    @property
    def output_size(self) -> int:
        """Values that the network gives for a frame."""
        return self.bank.bands

    def _window(self) -> np.ndarray:
        return dsp.window("hamming-symmetric", self.window)

    def analyse_energies(self, waveform: np.ndarray) -> GammatoneAnalysis:
        """Pre-emphasises and filters.

        Args:
            waveform: `(samples,)`.

        Returns:
            The emphasised waveform and its gammatonegram.
        """
        missing = max(0, self.window - len(waveform))
        emphasised = dsp.pre_emphasis(np.pad(np.asarray(waveform, np.float64), (0, missing)), self.emphasis)
        return GammatoneAnalysis(
            emphasised, self.bank.energies(emphasised, self._window(), self.hop), len(waveform)
        )

    def measure(self, pieces: Iterable[Piece]) -> Moments:
        """Computes the moments of all log energies of a whole utterance.

        Args:
            pieces: The utterance.

        Returns:
            What `analyse` takes to standardise a piece as the whole.
        """

        def log_energies(waveform):
            return gammatone.log_energies(self.analyse_energies(waveform).energies, self.energy_floor).T

        per_band = moments(pieces, log_energies, self.hop)
        return per_band.pooled()

    def analyse(
        self, waveform: np.ndarray, statistics: Moments | None = None
    ) -> tuple[np.ndarray, GammatoneAnalysis]:
        """Computes the network's input.

        Args:
            waveform: `(samples,)` at `sample_rate`.
            statistics: From `measure`, if the waveform is a piece of an utterance.

        Returns:
            The features, float32 `(frames, n_inputs)`, and what `synthesise` needs.
        """
        analysis = self.analyse_energies(waveform)
        level = None if statistics is None else (statistics.mean, statistics.deviation(ddof=1))
        features = gammatone.context_features(
            analysis.energies, self.context, self.context, self.energy_floor, level
        )
        return features, analysis

    def mask(self, output: np.ndarray, analysis: GammatoneAnalysis) -> np.ndarray:
        """Turns the network's output into a mask.

        Args:
            output: `(frames, bands)`.
            analysis: From `analyse`.

        Returns:
            `(bands, frames)` in [0, 1].
        """
        mask = output.T
        if self.output == "log-spectrum":
            mask = np.minimum(np.exp(mask) / np.maximum(analysis.energies, self.energy_floor), 1.0)
        return np.maximum(mask, np.float32(self.mask_floor)) if self.mask_floor else mask

    def synthesise(self, output: np.ndarray, analysis: GammatoneAnalysis) -> np.ndarray:
        """Applies the mask and returns to the time domain.

        Args:
            output: The network's output `(frames, bands)`.
            analysis: From `analyse`.

        Returns:
            float32 `(samples,)`, as long as the waveform was; the dropped tail is silent.
        """
        window = self._window()
        mask = self.mask(output, analysis)
        summed = self.bank.resynthesise(analysis.emphasised, mask, window, self.hop)
        early = dsp.de_emphasis(summed, self.emphasis) / self.bank.round_trip_gain(window, self.hop)
        waveform = np.zeros(analysis.length, np.float32)
        kept = early[: max(0, analysis.length - 1)]
        waveform[1 : 1 + len(kept)] = kept
        return waveform

    def get_config(self) -> dict:
        """Configuration for serialisation."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict) -> "GammatoneFrontEnd":
        """The front end from its configuration."""
        return cls(**config)
