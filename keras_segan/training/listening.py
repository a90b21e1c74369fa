"""Training for listening enhancement: speech is changed before noise is added to it."""

import zlib
from collections.abc import Sequence

import numpy as np

from keras_segan.data.manifest import Utterance
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.front_ends.band_gain import BANDS, heard
from keras_segan.models.base import Enhancer, ListeningEnhancer
from keras_segan.training.metric_feedback import Material

LEVEL = 0.03  # root mean square of speech, so that louder noise does not clip


class ListeningReader(UtteranceReader):
    """Reads pairs as speech and noise, the noise at levels that make listening hard.

    Args:
        levels: SNRs in dB by split; each utterance has one of them, by its name.
        **settings: Of `UtteranceReader`.
    """

    def __init__(self, levels: dict[str, tuple[float, ...]], **settings) -> None:
        super().__init__(**settings)
        self.levels = levels

    def clean(self, utterance: Utterance) -> np.ndarray:
        """Returns the speech `(samples,)`, at one level for all utterances."""
        clean = super().clean(utterance)
        return clean * np.float32(LEVEL / _rms(clean))

    def noise(self, utterance: Utterance) -> np.ndarray:
        """Returns the noise alone `(samples,)`."""
        noise = super().noisy(utterance) - super().clean(utterance)
        levels = self.levels[utterance.split]
        level = levels[zlib.crc32(utterance.id.encode()) % len(levels)]
        return noise * np.float32(LEVEL * 10 ** (-level / 20) / max(_rms(noise), 1e-9))

    def noisy(self, utterance: Utterance) -> np.ndarray:
        """Returns the speech as it was, in noise, `(samples,)`."""
        return heard(self.clean(utterance), self.noise(utterance))


def _rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


class ListeningMaterial(Material):
    """The material of a game for speech that is changed and then heard in noise.

    `clean` is here the generators' input, bands of speech and noise `(frames, 2 * bands)`; `noisy` are the
    bands of speech that was not changed. The front end is a `BandGainFrontEnd`, the reader a
    `ListeningReader`.
    """

    enhancer_class = ListeningEnhancer
    reader: ListeningReader

    def analysed(self, index: int) -> tuple[np.ndarray, ...]:
        """Returns the generators' input, and the bands of speech that was not changed."""

        def analyse():
            features, _ = self._analyse(index)
            return features, features[:, :BANDS]

        return self._features.get(("noisy", index), analyse)

    def clean(self, index: int) -> np.ndarray:
        """Returns the generators' input."""
        return self.analysed(index)[0]

    def synthesise(self, index: int, output: np.ndarray) -> np.ndarray:
        """Returns the speech as a generator's gains make it, without the noise."""
        return self.front_end.synthesise(output, self._analyse(index)[1])

    def heard(self, utterance: Utterance, enhanced: np.ndarray) -> np.ndarray:
        """Returns the changed speech in its noise."""
        return heard(enhanced * np.float32(utterance.scale), self.reader.noise(utterance))

    def enhance(self, enhancer: Enhancer, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """Returns what a listener hears of utterances that are evaluated."""
        return [enhancer.enhance_utterance(utterance, self.reader) for utterance in utterances]

    def _analyse(self, index: int) -> tuple:
        utterance = self.utterances[index]
        return self.front_end.analyse(self.reader.clean(utterance), self.reader.noise(utterance))
