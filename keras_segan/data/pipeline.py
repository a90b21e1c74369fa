"""Reading the pairs of a manifest, each file once as long as memory allows."""

from collections import OrderedDict
from pathlib import Path

import numpy as np

from keras_segan import audio
from keras_segan.data.manifest import Utterance


class UtteranceReader:
    """Reads clean and noisy waveforms and remembers the last used ones.

    Args:
        int16_divisor: What 16-bit samples are divided by: 32768 (librosa) or 32767 (MetricGAN's
            VoiceBank script).
        sample_rate: In Hz; files of another rate are resampled.
        max_bytes: Memory for waveforms.
    """

    def __init__(
        self,
        int16_divisor: float = 32768.0,
        sample_rate: int = audio.SAMPLE_RATE,
        max_bytes: int = 2**30,
    ):
        self.sample_rate = sample_rate
        self.max_bytes = max_bytes
        self._gain = np.float32(32768.0 / int16_divisor)
        self._waveforms: OrderedDict[Path, np.ndarray] = OrderedDict()
        self._bytes = 0

    def clean(self, utterance: Utterance) -> np.ndarray:
        """Returns the clean waveform `(samples,)`, never scaled."""
        return self.read(utterance.clean)

    def noisy(self, utterance: Utterance) -> np.ndarray:
        """Returns the noisy waveform `(samples,)`, times the factor that the manifest states."""
        return self.read(utterance.noisy) * np.float32(utterance.scale)

    def read(self, path: Path) -> np.ndarray:
        """Returns a file's waveform, read-only."""
        if path in self._waveforms:
            self._waveforms.move_to_end(path)
            return self._waveforms[path]
        waveform = self.read_uncached(path)
        waveform.setflags(write=False)
        self._waveforms[path] = waveform
        self._bytes += waveform.nbytes
        while self._bytes > self.max_bytes and len(self._waveforms) > 1:
            self._bytes -= self._waveforms.popitem(last=False)[1].nbytes
        return waveform

    def read_uncached(self, path: Path) -> np.ndarray:
        """Returns a file's waveform without remembering it."""
        return audio.read_mono(path, self.sample_rate) * self._gain

    def from_int16(self, samples: np.ndarray) -> np.ndarray:
        """Converts samples as if they had been read from a file."""
        return audio.from_int16(samples) * self._gain
