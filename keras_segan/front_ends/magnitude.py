"""Magnitude spectra in; nothing comes back: the signal processing of networks that judge speech."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.fft

from keras_segan import dsp
from keras_segan.audio import SAMPLE_RATE
from keras_segan.front_ends import values
from keras_segan.front_ends.moments import Piece


class MagnitudeFrontEnd:
    """Linear magnitudes `(frames, bins)`, not normalised.

    Args:
        n_fft: Frame length in samples.
        hop: Distance of frames in samples.
        window: See `dsp.window`.
        ends: `"reflect"`: the first frame's centre is the first sample, and the signal is reflected at both
            ends; `"drop"`: only whole frames are taken, and the tail is dropped.
        normalisation: `"peak"`: the waveform is divided by its largest magnitude; or `"none"`.
        sample_rate: In Hz.
    """

    levels = None  # the networks are told how loud the file is, or the peak is 1

    def __init__(
        self,
        n_fft: int = 512,
        hop: int = 256,
        window: str = "hamming-symmetric",
        ends: str = "reflect",
        normalisation: str = "peak",
        sample_rate: int = SAMPLE_RATE,
    ) -> None:
        self.n_fft = values.whole("n_fft", n_fft, 2)
        self.hop = values.whole("hop", hop, 1, n_fft)
        self.window = values.choice("window", window, dsp.WINDOWS)
        self.ends = values.choice("ends", ends, ("reflect", "drop"))
        self.normalisation = values.choice("normalisation", normalisation, ("peak", "none"))
        self.sample_rate = values.rate(sample_rate)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """What a network takes for a frame."""
        return (self.n_fft // 2 + 1,)

    @property
    def output_size(self) -> int:
        """What it gives for a frame: a score."""
        return 1

    @property
    def minimum_samples(self) -> int:
        """Shortest waveform: reflection needs more than half a frame, whole frames need one."""
        return self.n_fft // 2 + 1 if self.ends == "reflect" else self.n_fft

    def measure(self, pieces: Iterable[Piece]) -> float | None:
        """Finds the largest magnitude of a whole utterance; `None` if nothing is divided by it."""
        if self.normalisation == "none":
            return None
        return max((float(np.max(np.abs(piece), initial=0.0)) for piece, _, _ in pieces), default=0.0)

    def analyse(self, waveform: np.ndarray, statistics: float | None = None) -> tuple[np.ndarray, Any]:
        """Computes the network's input.

        Args:
            waveform: `(samples,)` at `sample_rate`.
            statistics: From `measure`, if the waveform is a piece of an utterance.

        Returns:
            The magnitudes, float32 `(frames, bins)`, and `None`: there is no way back.
        """
        if self.normalisation == "peak":
            peak = np.max(np.abs(waveform)) if statistics is None else statistics
            waveform = waveform / np.float32(peak)
        if self.ends == "reflect":
            return np.abs(dsp.stft(waveform, self.n_fft, self.hop, self.window)), None
        framed = dsp.frames(np.asarray(waveform, np.float64), self.n_fft, self.hop)
        spectrum = scipy.fft.rfft(framed * dsp.window(self.window, self.n_fft), axis=-1)
        return np.abs(spectrum).astype(np.float32), None

    def get_config(self) -> dict:
        """Configuration for serialisation."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict) -> "MagnitudeFrontEnd":
        """The front end from its configuration."""
        return cls(**config)
