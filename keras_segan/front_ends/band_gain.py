"""Near-end listening enhancement: the power of speech is moved between bands before noise is added to it.

The room's noise cannot be changed; speech that is played into it can, but shall not become louder. So a
network sees bands of the speech and of the noise and gives a gain for every band, and the result is brought
to the power that the speech had.
"""

from dataclasses import dataclass

import numpy as np

from keras_segan import dsp
from keras_segan.audio import SAMPLE_RATE
from keras_segan.front_ends import values

# Bins where the bands peak: 64 overlapping triangles, about equally far apart in ERB at 16 kHz.
BAND_EDGES = [0, *range(3, 27), 28, 30, 32, 34, 36, 38, 41, 43, 46, 49, 52, 55, 58, 62, 66, 70, 74, 79] + [
    *(83, 88, 93, 99, 105, 111, 117, 124, 131, 139, 147, 156, 165, 174, 184, 195, 206, 218, 230, 243, 257)
]
BANDS = len(BAND_EDGES)
COMPRESSION = 1.0 / 6.0  # of band powers
N_FFT, HOP = 512, 256  # samples
MUTED = {0: 1e-4, 1: 1e-4, N_FFT // 2: 1e-2}  # power gain of bins that carry no speech


def band_weights() -> np.ndarray:
    """The triangles, `(bins, bands)`: they sum powers of bins to bands and spread bands' gains over bins."""
    bins = np.arange(N_FFT // 2 + 1)
    peaks = np.array(BAND_EDGES)
    left = np.searchsorted(peaks, bins, side="right") - 1
    share = (bins - peaks[left]) / (peaks[np.minimum(left + 1, BANDS - 1)] - peaks[left])
    weights = np.zeros((len(bins), BANDS))
    weights[bins, left] = 1 - share
    weights[bins, left + 1] += share
    return weights


@dataclass(frozen=True)
class SpeechAnalysis:
    """What the synthesis needs of the speech.

    Attributes:
        spectrum: Complex `(frames, bins)`.
        power: Of its bands, `(frames, bands)`.
        length: Samples.
        rms: Of the waveform.
    """

    spectrum: np.ndarray
    power: np.ndarray
    length: int
    rms: float


class BandGainFrontEnd:
    """Bands of speech and noise in, gains of the bands out; the power of the speech stays.

    Args:
        noise_smoothing: Share of the past in the estimate of the noise's power, frame by frame.
        sample_rate: In Hz.

    Raises:
        ValueError: If a setting is of another type or out of range.

    Reference:
        H. Li, J. Yamagishi, "Multi-metric optimization using generative adversarial networks for near-end
        speech intelligibility enhancement", IEEE/ACM TASLP 29, 2021 (NELE-GAN).
    """

    hop = HOP
    minimum_samples = N_FFT // 2 + 1
    feature_shape = (2 * BANDS,)
    output_size = BANDS

    def __init__(self, noise_smoothing: float = 0.85, sample_rate: int = SAMPLE_RATE):
        self.noise_smoothing = values.number("noise_smoothing", noise_smoothing, 0.0, 0.9999)
        self.sample_rate = values.rate(sample_rate)
        self._weights = band_weights()

    def analyse(self, speech: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, SpeechAnalysis]:
        """Computes the network's input.

        Args:
            speech: `(samples,)`.
            noise: The noise alone, `(samples,)`.

        Returns:
            Compressed bands of speech, then of noise, float32 `(frames, 2 * bands)`, and what `synthesise`
            needs.
        """
        spectrum = self._spectrum(speech)
        power = self.band_power(spectrum)
        rms = float(np.sqrt(np.mean(np.square(speech, dtype=np.float64))))
        bands = np.concatenate([power, self.noise_power(noise)], axis=1) ** COMPRESSION
        return bands.astype(np.float32), SpeechAnalysis(spectrum, power, len(speech), rms)

    def synthesise(self, gains: np.ndarray, analysis: SpeechAnalysis) -> np.ndarray:
        """Applies gains and brings the speech to the power that it had.

        Args:
            gains: Of the power of each band, `(frames, bands)`.
            analysis: From `analyse`.

        Returns:
            float32 `(samples,)`.
        """
        bins = gains @ self._weights.T
        for number, gain in MUTED.items():
            bins[:, number] = gain
        spectrum = np.sqrt(bins) * analysis.spectrum
        waveform = dsp.istft(spectrum, analysis.length, N_FFT, HOP, "hann-periodic")
        rms = np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))
        return (waveform * (analysis.rms / rms if rms > 0 else 1.0)).astype(np.float32)

    def magnitude(self, waveform: np.ndarray) -> np.ndarray:
        """Returns the compressed bands, float32 `(frames, bands)`, of a waveform `(samples,)`."""
        return (self.band_power(self._spectrum(waveform)) ** COMPRESSION).astype(np.float32)

    def band_power(self, spectrum: np.ndarray) -> np.ndarray:
        """Returns the power of the bands, `(frames, bands)`, of a complex spectrum `(frames, bins)`."""
        return np.square(np.abs(spectrum), dtype=np.float64) @ self._weights

    def noise_power(self, noise: np.ndarray) -> np.ndarray:
        """Returns the smoothed power of the noise's bands, `(frames, bands)`; no frame looks ahead."""
        from scipy.signal import lfilter  # takes longer to import than a file to enhance

        power = self.band_power(self._spectrum(noise))
        past = self.noise_smoothing
        return lfilter([1 - past], [1, -past], power, axis=0, zi=past * power[:1])[0]

    @staticmethod
    def _spectrum(waveform: np.ndarray) -> np.ndarray:
        return dsp.stft(waveform, N_FFT, HOP, "hann-periodic", "reflect")

    def get_config(self) -> dict:
        """Configuration for serialisation."""
        return {"noise_smoothing": self.noise_smoothing, "sample_rate": self.sample_rate}

    @classmethod
    def from_config(cls, config: dict) -> "BandGainFrontEnd":
        """The front end from its configuration."""
        return cls(**config)


def heard(enhanced: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """What reaches the listener, and what intelligibility is measured on: the noise comes after the gains."""
    return enhanced + noise
