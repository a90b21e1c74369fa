"""Log spectra in context in, clean log spectra out: the signal processing of Xu et al. 2015 and sednn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_segan import dsp
from keras_segan.front_ends import values
from keras_segan.front_ends.moments import Piece

MOST_CONTEXT = 100  # frames before and after the centre


@dataclass(frozen=True)
class LogSpectrumAnalysis:
    """What the synthesis needs of the noisy signal besides the network's output.

    Attributes:
        phase: exp(j phase) of the noisy spectrum `(frames, bins)`.
        length: Samples of the waveform.
    """

    phase: np.ndarray
    length: int


class LogSpectrumFrontEnd:
    """Normalised log spectra in context in, clean log spectra out, noisy phase kept.

    Args:
        mean: Of the noisy log spectra of the training data, one value per bin; input and output are both
            normalised with it (paper, equation 8). Zero if `None`.
        scale: Their standard deviation; one if `None`.
        n_fft: Frame length in samples.
        hop: Distance of frames in samples.
        context: Frames before and after the centre.
        power: 1 for the logarithm of the magnitude (sednn), 2 for that of the power (paper).
        floor: Added to magnitude or power before the logarithm, and not subtracted again.
        noise_frames: So many first frames that are not digitally silent are averaged to the noise estimate
            that is appended to the context; 0 for none.
        equalisation: Factor on the normalised output: global variance equalisation; a number or one per bin.
        sample_rate: In Hz.
        levels: See `SpectralMaskFrontEnd`.

    Raises:
        ValueError: If a setting is of another type or out of range.

    Reference:
        sednn, main_dnn.py, `inference`; paper, sections II and III.
    """

    def __init__(
        self,
        mean=None,
        scale=None,
        n_fft: int = 512,
        hop: int = 256,
        context: int = 3,
        power: float = 1.0,
        floor: float = 1e-8,
        noise_frames: int = 0,
        equalisation=1.0,
        sample_rate: int = 16000,
        levels: Sequence[float] | None = None,
    ):
        self.n_fft = values.whole("n_fft", n_fft, 2)
        self.hop = values.whole("hop", hop, 1, n_fft)
        self.context = values.whole("context", context, 0, MOST_CONTEXT)
        self.power = values.number("power", power, 0.1, 10.0)
        self.floor = values.number("floor", floor, 1e-30, 1.0)
        self.noise_frames = values.whole("noise_frames", noise_frames, 0)
        self.sample_rate = values.rate(sample_rate)
        bins = (self.bins,)
        self.mean = values.array("mean", np.zeros(bins) if mean is None else mean, [bins], -1e3, 1e3)
        self.scale = values.array("scale", np.ones(bins) if scale is None else scale, [bins], 1e-9, 1e3)
        self.equalisation = values.array("equalisation", equalisation, [(), bins], 1e-6, 1e3)
        self.levels = values.levels(levels)

    @property
    def minimum_samples(self) -> int:
        """The shortest waveform; below one frame it is filled up with zeros."""
        return 1

    @property
    def bins(self) -> int:
        """Bins of a spectrum."""
        return self.n_fft // 2 + 1

    @property
    def frames(self) -> int:
        """Rows of the network's input: the context, and the noise estimate if there is one."""
        return 2 * self.context + 1 + (self.noise_frames > 0)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of a frame of the network's input."""
        return (self.frames, self.bins)

    @property
    def output_size(self) -> int:
        """Values that the network gives for a frame."""
        return self.bins

    def log_spectrum(self, waveform: np.ndarray) -> np.ndarray:
        """Returns log spectra, float32 `(frames, bins)`, of a waveform `(samples,)`."""
        return self._log(np.abs(self._spectrum(waveform)))

    def _spectrum(self, waveform):
        missing = max(0, self.n_fft - len(waveform))
        return dsp.frame_spectrum(np.pad(waveform, (0, missing)), self.n_fft, self.hop)

    def _log(self, magnitude):
        level = magnitude if self.power == 1 else magnitude**self.power
        return np.log(level + np.float32(self.floor))

    def normalise(self, log_spectra: np.ndarray) -> np.ndarray:
        """Returns log spectra `(..., bins)` with the mean taken off, divided by the scale; float32."""
        return ((log_spectra - self.mean) / self.scale).astype(np.float32)

    def measure(self, pieces: Iterable[Piece]) -> np.ndarray | None:
        """Estimates the noise from an utterance's first frames.

        Args:
            pieces: The utterance, see `front_ends.moments.Piece`.

        Returns:
            The normalised noise estimate `(bins,)`, `None` if the front end uses none.
        """
        if not self.noise_frames:
            return None
        waveform, _, _ = next(iter(pieces))
        return self._noise(self.log_spectrum(waveform))

    def _noise(self, log_spectra: np.ndarray) -> np.ndarray:
        # Zeros before a recording begins are no noise: no training file has any.
        sounding = log_spectra[(log_spectra > np.log(1.01 * self.floor)).any(axis=1)]
        first = (sounding if len(sounding) else log_spectra)[: self.noise_frames]
        return self.normalise(first).mean(axis=0)

    def analyse(
        self, waveform: np.ndarray, statistics: np.ndarray | None = None
    ) -> tuple[np.ndarray, LogSpectrumAnalysis]:
        """Computes the network's input.

        Args:
            waveform: `(samples,)` at `sample_rate`.
            statistics: From `measure`, if the waveform is a piece of an utterance.

        Returns:
            The features, float32 `(frames, context, bins)`, and what `synthesise` needs.
        """
        spectrum = self._spectrum(waveform)
        log_spectra = self._log(np.abs(spectrum))
        features = dsp.context_frames(self.normalise(log_spectra), self.context, self.context)
        if self.noise_frames:
            noise = self._noise(log_spectra) if statistics is None else statistics
            repeated = np.broadcast_to(noise, (len(features), 1, self.bins))
            features = np.concatenate([features, repeated], axis=1)
        return features, LogSpectrumAnalysis(dsp.phase_factor(spectrum), len(waveform))

    def magnitude(self, output: np.ndarray) -> np.ndarray:
        """Turns the network's output `(frames, bins)` into magnitudes of the same shape."""
        log_spectrum = output * (self.equalisation * self.scale) + self.mean
        return np.exp(log_spectrum / self.power)

    def synthesise(self, output: np.ndarray, analysis: LogSpectrumAnalysis) -> np.ndarray:
        """Returns to the time domain with the noisy phase.

        Args:
            output: The network's output `(frames, bins)`.
            analysis: From `analyse`.

        Returns:
            float32 `(samples,)`, as long as the waveform was; the tail that no frame covers is silent.
        """
        spectrum = self.magnitude(output) * analysis.phase
        return dsp.from_frame_spectrum(spectrum, analysis.length, self.n_fft, self.hop)

    def get_config(self) -> dict:
        """Configuration for serialisation."""
        arrays = {name: getattr(self, name).tolist() for name in ("mean", "scale", "equalisation")}
        return {**vars(self), **arrays}

    @classmethod
    def from_config(cls, config: dict) -> "LogSpectrumFrontEnd":
        """The front end from its configuration."""
        return cls(**config)
