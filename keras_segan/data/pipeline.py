"""Reading the pairs of a manifest, each file once as long as memory allows."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import cachetools
import numpy as np

from keras_segan import audio
from keras_segan.data.manifest import Utterance


class RecentlyUsed:
    """Remembers what was used last, within a number of bytes.

    Args:
        max_bytes: Memory for values; one value is kept even if it is larger.
    """

    def __init__(self, max_bytes: int):
        limit = max(max_bytes, 1)

        def size(value: Any) -> int:
            # A value that is larger than all memory fills it: cachetools would refuse it.
            arrays = value if isinstance(value, tuple) else (value,)
            return min(sum(array.nbytes for array in arrays), limit)

        self._values: cachetools.LRUCache[Hashable, Any] = cachetools.LRUCache(limit, size)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def get(self, key: Hashable, make: Callable[[], Any] | None = None) -> Any:
        """Returns a value: a remembered one, or what `make` returns, an array or a tuple of arrays."""
        if key not in self._values and make is not None:
            self.put(key, make())
        return self._values[key]

    def put(self, key: Hashable, value: Any):
        """Remembers a value under a key."""
        self._values[key] = value


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
        self._gain = np.float32(32768.0 / int16_divisor)
        self._waveforms = RecentlyUsed(max_bytes)

    def clean(self, utterance: Utterance) -> np.ndarray:
        """Returns the clean waveform `(samples,)`, never scaled."""
        return self.read(utterance.clean)

    def noisy(self, utterance: Utterance) -> np.ndarray:
        """Returns the noisy waveform `(samples,)`, times the factor that the manifest states."""
        return self.read(utterance.noisy) * np.float32(utterance.scale)

    def read(self, path: Path) -> np.ndarray:
        """Returns a file's waveform, read-only."""
        waveform = self._waveforms.get(path, lambda: self.read_uncached(path))
        waveform.setflags(write=False)
        return waveform

    def read_uncached(self, path: Path) -> np.ndarray:
        """Returns a file's waveform without remembering it."""
        return audio.read_mono(path, self.sample_rate) * self._gain

    def from_int16(self, samples: np.ndarray) -> np.ndarray:
        """Converts samples as if they had been read from a file."""
        return audio.from_int16(samples) * self._gain
