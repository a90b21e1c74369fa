"""Short-time spectra in, a mask on them out: the signal processing of MetricGAN and its successors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_segan import dsp
from keras_segan.audio import SAMPLE_RATE
from keras_segan.front_ends import values
from keras_segan.front_ends.moments import Moments, Piece, moments


@dataclass(frozen=True)
class Analysis:
    """What the synthesis needs of the noisy signal besides the network's output.

    Attributes:
        magnitude: Compressed magnitude `(frames, bins)`, not normalised.
        phase: exp(j phase) of the noisy spectrum `(frames, bins)`.
        length: Samples of the waveform.
    """

    magnitude: np.ndarray
    phase: np.ndarray
    length: int


class SpectralMaskFrontEnd:
    """Short-time spectra in, a mask on them out, noisy phase kept (MetricGAN's signal processing).

    Args:
        compression: `"none"` (MetricGAN.py, Table 1) or `"log1p"` (the VoiceBank script, Table 2). The
            mask multiplies the compressed magnitude, so with `"log1p"` it acts as a power law.
        normalisation: `"utterance"` (each bin over time) or `"none"` for the network's input.
        mask_floor: Smallest value of the mask.
        n_fft: Frame length in samples.
        hop: Distance of frames in samples.
        window: See `dsp.window`.
        padding: See `dsp.stft`.
        tail: Zeros appended to the waveform, in samples.
        sample_rate: In Hz.
        levels: Lowest and highest level that the network knows, dB of the RMS value against 1; `None` for
            any. Nothing is scaled here: `enhancement.enhance` brings other recordings there and back.

    Raises:
        ValueError: If a setting is of another type or out of range.

    Reference:
        MetricGAN.py, `Sp_and_phase` and `SP_to_wav`.
    """

    def __init__(
        self,
        compression: str = "none",
        normalisation: str = "utterance",
        mask_floor: float = 0.05,
        n_fft: int = 512,
        hop: int = 256,
        window: str = "hamming-symmetric",
        padding: str = "reflect",
        tail: int = 256,
        sample_rate: int = SAMPLE_RATE,
        levels: Sequence[float] | None = None,
    ):
        self.compression = values.choice("compression", compression, ("none", "log1p"))
        self.normalisation = values.choice("normalisation", normalisation, ("none", "utterance"))
        self.mask_floor = values.number("mask_floor", mask_floor, 0.0, 1.0)
        self.n_fft = values.whole("n_fft", n_fft, 2)
        self.hop = values.whole("hop", hop, 1, n_fft)
        self.window = values.choice("window", window, dsp.WINDOWS)
        self.padding = values.choice("padding", padding, ("reflect", "constant"))
        self.tail = values.whole("tail", tail, 0)
        self.sample_rate = values.rate(sample_rate)
        self.levels = values.levels(levels)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of a frame of the network's input."""
        return (self.n_fft // 2 + 1,)

    @property
    def output_size(self) -> int:
        """Values that the network gives for a frame."""
        return self.n_fft // 2 + 1

    @property
    def minimum_samples(self) -> int:
        """Samples below which reflection has nothing to reflect."""
        return self.n_fft // 2 + 1

    def _spectrum(self, waveform):
        return dsp.stft(waveform, self.n_fft, self.hop, self.window, self.padding, self.tail)

    def compressed(self, spectrum: np.ndarray) -> np.ndarray:
        """Returns the compressed magnitude, float32 `(frames, bins)`, of a complex spectrum."""
        magnitude = np.abs(spectrum)
        return np.log1p(magnitude) if self.compression == "log1p" else magnitude

    def magnitude(self, waveform: np.ndarray) -> np.ndarray:
        """Returns the compressed magnitude, float32 `(frames, bins)`, of a waveform `(samples,)`."""
        return self.compressed(self._spectrum(waveform))

    def measure(self, pieces: Iterable[Piece]) -> Moments | None:
        """Computes each bin's moments over a whole utterance.

        Args:
            pieces: The utterance.

        Returns:
            What `analyse` takes to normalise a piece as the whole; `None` if nothing is normalised.
        """
        return moments(pieces, self.magnitude, self.hop) if self.normalisation == "utterance" else None

    def analyse(self, waveform: np.ndarray, statistics: Moments | None = None) -> tuple[np.ndarray, Analysis]:
        """Computes the network's input.

        Args:
            waveform: `(samples,)` at `sample_rate`.
            statistics: From `measure`, if the waveform is a piece of an utterance.

        Returns:
            The features, float32 `(frames, bins)`, and what `synthesise` needs.
        """
        spectrum = self._spectrum(waveform)
        analysis = self.analysis(spectrum, len(waveform))
        return self._normalise(analysis.magnitude, statistics), analysis

    def analysis(self, spectrum: np.ndarray, length: int) -> Analysis:
        """Returns what `synthesise` needs of a complex spectrum `(frames, bins)` of so many samples."""
        return Analysis(self.compressed(spectrum), dsp.phase_factor(spectrum), length)

    def _normalise(self, magnitude, statistics):
        if self.normalisation == "none":
            return magnitude
        if statistics is None:
            return dsp.normalise_over_time(magnitude)
        normalised = (magnitude - statistics.mean) / (statistics.deviation() + dsp.NORMALISATION_EPSILON)
        return normalised.astype(np.float32)

    def synthesise(self, mask: np.ndarray, analysis: Analysis) -> np.ndarray:
        """Applies a mask and returns to the time domain.

        Args:
            mask: The network's output `(frames, bins)`; floored here.
            analysis: From `analyse`.

        Returns:
            float32 `(samples,)`, as long as the waveform was.
        """
        spectrum = self.masked(mask, analysis)
        return dsp.istft(spectrum, analysis.length, self.n_fft, self.hop, self.window)

    def masked(self, mask: np.ndarray, analysis: Analysis) -> np.ndarray:
        """Returns the enhanced complex spectrum `(frames, bins)`; arguments as `synthesise`."""
        magnitude = np.maximum(mask, np.float32(self.mask_floor)) * analysis.magnitude
        if self.compression == "log1p":
            magnitude = np.expm1(magnitude)
        return magnitude * analysis.phase

    def get_config(self) -> dict:
        """Configuration for serialisation."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict) -> "SpectralMaskFrontEnd":
        """The front end from its configuration."""
        return cls(**config)
