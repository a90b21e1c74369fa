"""Training for listening enhancement: speech is changed before noise is added to it."""

import zlib

import numpy as np

from keras_segan.data.manifest import Utterance
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.front_ends.band_gain import BANDS, heard
from keras_segan.models.base import ListeningEnhancer
from keras_segan.training.metric_gan import MetricGANTrainer

LEVEL = 0.03  # root mean square of speech, so that louder noise does not clip


class ListeningReader(UtteranceReader):
    """Reads pairs as speech and noise, the noise at levels that make listening hard.

    Args:
        levels: SNRs in dB by split; each utterance has one of them, by its name.
        **settings: Of `UtteranceReader`.
    """

    def __init__(self, levels: dict[str, tuple[float, ...]], **settings):
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


class ListeningTrainer(MetricGANTrainer):
    """The loop for speech that is changed and then heard in noise.

    Arguments are those of `MetricGANTrainer`, with a `BandGainFrontEnd` and a `ListeningReader`.
    """

    enhancer_class = ListeningEnhancer

    def _noisy(self, index: int) -> tuple[np.ndarray, ...]:
        """Returns the generators' input, and the bands of speech that was not changed."""
        utterance = self.train[index]

        def analyse():
            features, _ = self.front_end.analyse(self.reader.clean(utterance), self.reader.noise(utterance))
            return features, features[:, :BANDS]

        return self._features.get(("noisy", index), analyse)

    def _clean(self, index: int) -> np.ndarray:
        return self._noisy(index)[0]

    def _synthesise(self, index: int, mask: np.ndarray) -> np.ndarray:
        utterance = self.train[index]
        _, analysis = self.front_end.analyse(self.reader.clean(utterance), self.reader.noise(utterance))
        return self.front_end.synthesise(mask, analysis)

    def _scored(self, utterance: Utterance, enhanced: np.ndarray) -> np.ndarray:
        return heard(enhanced * np.float32(utterance.scale), self.reader.noise(utterance))

    def _enhance(self, enhancer: ListeningEnhancer, utterances: list[Utterance]) -> list[np.ndarray]:
        return [enhancer.enhance_utterance(utterance, self.reader) for utterance in utterances]
