"""Wiener filtering with a decision-directed a-priori SNR: the classical baseline of GAN papers' tables.

Reference:
    P. Scalart, J. V. Filho, "Speech enhancement based on a priori signal to noise estimation", ICASSP
    1996, with the settings and the voice activity rule of P. C. Loizou, "Speech Enhancement: Theory and
    Practice", chapter 6 and its program `wiener_as`, the one behind the "Wiener" column of SEGAN's table.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft

from keras_segan import dsp
from keras_segan.audio import SAMPLE_RATE

# A digitally silent beginning gives a noise estimate of zero, by which nothing can be divided.
POWER_FLOOR = 1e-12


@dataclass(frozen=True)
class WienerFilter:
    """The filter; it needs no training and takes the first moments of the signal for noise.

    Attributes:
        sample_rate: In Hz.
        frame: Frame length in seconds; frames overlap by half.
        noise_only: Length of the beginning that is taken for noise, in seconds.
        decision_weight: Weight of the previous frame in the a-priori SNR (0.98 in the book).
        noise_memory: Weight of the old noise estimate when a frame without speech updates it.
        speech_threshold: Mean log likelihood ratio above which a frame holds speech.
    """

    sample_rate: int = SAMPLE_RATE
    frame: float = 0.020
    noise_only: float = 0.120
    decision_weight: float = 0.98
    noise_memory: float = 0.98
    speech_threshold: float = 0.15

    def enhance(self, waveform: np.ndarray) -> np.ndarray:
        """Enhances an utterance.

        Args:
            waveform: Mono `(samples,)` at `sample_rate`.

        Returns:
            float32 `(samples,)`.
        """
        length = 2 * round(self.frame * self.sample_rate / 2)
        hop = length // 2
        # One hop of zeros before, at least one after: every sample lies in two frames.
        padded = np.pad(np.asarray(waveform, np.float64), (hop, hop + -len(waveform) % hop))
        window = dsp.window("hamming-periodic", length)
        spectra = scipy.fft.rfft(dsp.frames(padded, length, hop) * window)
        power = np.abs(spectra) ** 2
        noise_frames = max(1, round(self.noise_only * self.sample_rate) // hop - 1)
        gains = self._gains(power, noise=power[1 : 1 + noise_frames].mean(axis=0))
        total = dsp.overlap_add(scipy.fft.irfft(spectra * gains, length), hop)
        # A periodic Hamming window and its shifted self add up to a constant.
        return (total / (window[0] + window[hop]))[hop : hop + len(waveform)].astype(np.float32)

    def _gains(self, power: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Computes the gain of each frame and bin `(frames, bins)`; the recursion runs over frames."""
        noise = np.maximum(noise, POWER_FLOOR)
        gains = np.empty_like(power)
        previous = np.ones_like(noise)  # |S|^2 / noise of the frame before
        for index, observed in enumerate(power):
            posterior = observed / noise
            prior = self.decision_weight * previous + (1 - self.decision_weight) * np.maximum(
                posterior - 1, 0
            )
            likelihood = posterior * prior / (1 + prior) - np.log1p(prior)
            if likelihood.mean() < self.speech_threshold:
                noise = np.maximum(
                    self.noise_memory * noise + (1 - self.noise_memory) * observed, POWER_FLOOR
                )
            gains[index] = np.sqrt(prior / (1 + prior))
            previous = gains[index] ** 2 * posterior
        return gains
