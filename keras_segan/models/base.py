"""What a trained model is to its user: a network together with the front end it was trained on."""

from dataclasses import dataclass

import keras
import numpy as np

import keras_segan.layers  # noqa: F401 - registers what the networks in a .keras file are made of
from keras_segan import dsp, tensorflow_backend
from keras_segan.audio import SAMPLE_RATE


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


@keras.saving.register_keras_serializable("keras_segan")
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
    ):
        if compression not in ("none", "log1p"):
            raise ValueError(f"compression must be none or log1p, not '{compression}'")
        if normalisation not in ("none", "utterance"):
            raise ValueError(f"normalisation must be none or utterance, not '{normalisation}'")
        self.compression = compression
        self.normalisation = normalisation
        self.mask_floor = mask_floor
        self.n_fft = n_fft
        self.hop = hop
        self.window = window
        self.padding = padding
        self.tail = tail
        self.sample_rate = sample_rate

    @property
    def minimum_samples(self) -> int:
        """Samples below which reflection has nothing to reflect."""
        return self.n_fft // 2 + 1

    def _spectrum(self, waveform):
        return dsp.stft(waveform, self.n_fft, self.hop, self.window, self.padding, self.tail)

    def _compress(self, magnitude):
        return np.log1p(magnitude) if self.compression == "log1p" else magnitude

    def magnitude(self, waveform: np.ndarray) -> np.ndarray:
        """Returns the compressed magnitude, float32 `(frames, bins)`, of a waveform `(samples,)`."""
        return self._compress(np.abs(self._spectrum(waveform)))

    def analyse(self, waveform: np.ndarray) -> tuple[np.ndarray, Analysis]:
        """Computes the network's input.

        Args:
            waveform: `(samples,)` at `sample_rate`.

        Returns:
            The features, float32 `(frames, bins)`, and what `synthesise` needs.
        """
        spectrum = self._spectrum(waveform)
        magnitude = self._compress(np.abs(spectrum))
        analysis = Analysis(magnitude, np.exp(1j * np.angle(spectrum)), len(waveform))
        features = dsp.normalise_over_time(magnitude) if self.normalisation == "utterance" else magnitude
        return features, analysis

    def synthesise(self, mask: np.ndarray, analysis: Analysis) -> np.ndarray:
        """Applies a mask and returns to the time domain.

        Args:
            mask: The network's output `(frames, bins)`; floored here.
            analysis: From `analyse`.

        Returns:
            float32 `(samples,)`, as long as the waveform was.
        """
        magnitude = np.maximum(mask, np.float32(self.mask_floor)) * analysis.magnitude
        if self.compression == "log1p":
            magnitude = np.expm1(magnitude)
        return dsp.istft(magnitude * analysis.phase, analysis.length, self.n_fft, self.hop, self.window)

    def get_config(self) -> dict:
        """Configuration for serialisation."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict) -> "SpectralMaskFrontEnd":
        """The front end from its configuration."""
        return cls(**config)


@keras.saving.register_keras_serializable("keras_segan")
class Enhancer(keras.Model):
    """A trained network with its front end: noisy waveform in, enhanced waveform out.

    Saved as `.keras` it holds everything that enhancement needs, and nothing of the training.

    Args:
        network: A Keras model from the front end's features to what its synthesis takes.
        front_end: A registered object with `analyse`, `synthesise`, `sample_rate`, `minimum_samples`
            and `get_config`, such as `SpectralMaskFrontEnd`.
        information: Plain facts to keep with the model: recipe, variant, metric, seed...
        **kwargs: Of `keras.Model`.
    """

    def __init__(self, network: keras.Model, front_end, information: dict | None = None, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        self.front_end = front_end
        self.information = dict(information or {})
        self._infer = None
        self.built = True

    def call(self, inputs, training=None):
        """Runs the network on features `(batch, ...)`."""
        return self.network(inputs, training=training)

    def infer(self, features: np.ndarray) -> np.ndarray:
        """Runs the network in inference mode, compiled once for all lengths.

        Args:
            features: `(batch, ...)` as the network takes them.

        Returns:
            The network's output as an array.
        """
        if self._infer is None:
            shape = (None, *self.network.input_shape[1:])
            self._infer = tensorflow_backend.compiled(lambda x: self.network(x, training=False), shape)
        return keras.ops.convert_to_numpy(self._infer(np.asarray(features, np.float32)))

    def enhance(self, waveform: np.ndarray) -> np.ndarray:
        """Enhances one utterance as a whole.

        Args:
            waveform: Mono `(samples,)` at the front end's sample rate.

        Returns:
            float32 `(samples,)`.
        """
        features, analysis = self.front_end.analyse(waveform)
        # A network of single frames takes an utterance's frames as its batch.
        frame_wise = features.ndim == len(self.network.input_shape)
        output = self.infer(features) if frame_wise else self.infer(features[None])[0]
        return self.front_end.synthesise(output, analysis)

    def get_config(self) -> dict:
        """Configuration for serialisation."""
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "front_end": keras.saving.serialize_keras_object(self.front_end),
            "information": self.information,
        }

    @classmethod
    def from_config(cls, config: dict) -> "Enhancer":
        """The enhancer from its configuration."""
        config = dict(config)
        for part in ("network", "front_end"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)
