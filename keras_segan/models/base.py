"""What a trained model is to its user: a network together with the front end it was trained on."""

import math
import warnings
from pathlib import Path

import keras
import numpy as np

import keras_segan.layers  # noqa: F401 - registers what the networks in a .keras file are made of
from keras_segan import limits, tensorflow_backend
from keras_segan.errors import ModelError
from keras_segan.front_ends import FRONT_ENDS, SpectralMaskFrontEnd, band_gain, check_fit
from keras_segan.inference import WaveformEnhancer
from keras_segan.models import archive

__all__ = ["Enhancer", "SpectralMaskFrontEnd"]

# The front ends know nothing of Keras, so that an exported network can be used without it.
for _front_end in FRONT_ENDS.values():
    keras.saving.register_keras_serializable("keras_segan")(_front_end)

BATCH = 8  # utterances that a recurrent network sees at once


@keras.saving.register_keras_serializable("keras_segan")
class Enhancer(WaveformEnhancer, keras.Model):
    """A trained network with its front end: noisy waveform in, enhanced waveform out.

    Saved as `.keras` it holds everything that enhancement needs, and nothing of the training.

    Args:
        network: A Keras model from the front end's features to what its synthesis takes.
        front_end: A registered object such as `SpectralMaskFrontEnd`; see `keras_segan.front_ends`.
        information: Plain facts to keep with the model: recipe, variant, metric, seed...
        **kwargs: Of `keras.Model`.
    """

    def __init__(self, network: keras.Model, front_end, information: dict | None = None, **kwargs):
        super().__init__(**kwargs)
        inner = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
        # Keras forgets this when a model is saved or cloned.
        network.supports_masking = all(layer.supports_masking for layer in inner)
        self.network = network
        self.front_end = front_end
        self.information = dict(information or {})
        self._infer = self._infer_masked = None
        self.built = True

    def call(self, inputs, training=None):
        """Runs the network on features `(batch, ...)`."""
        return self.network(inputs, training=training)

    @property
    def input_rank(self) -> int:
        """Number of axes of the network's input, the batch's included."""
        return len(self.network.input_shape)

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

    def infer_many(self, features: list[np.ndarray]) -> list[np.ndarray]:
        """Runs the network on utterances of different lengths, similar ones as a batch.

        Padding is masked, so the numbers are those of `infer` to rounding; a network that takes no mask gets
        utterances of one length only as a batch.

        Args:
            features: For each utterance `(frames, ...)`.

        Returns:
            The network's output for each, `(frames, ...)`.
        """
        similar = self.network.supports_masking and features[0].ndim < self.input_rank
        if not similar or len({len(each) for each in features}) == 1:
            return super()._outputs(features)
        outputs: dict[int, np.ndarray] = {}
        order = sorted(range(len(features)), key=lambda index: len(features[index]))
        for start in range(0, len(order), BATCH):
            group = order[start : start + BATCH]
            # Always as many rows, for few compilations.
            padded = np.zeros((BATCH, len(features[group[-1]]), *features[0].shape[1:]), np.float32)
            mask = np.zeros(padded.shape[:2], np.float32)
            for row, index in enumerate(group):
                padded[row, : len(features[index])] = features[index]
                mask[row, : len(features[index])] = 1
            results = self._infer_padded(padded, mask)
            outputs |= {index: results[row, : len(features[index])] for row, index in enumerate(group)}
        return [outputs[index] for index in range(len(features))]

    _outputs = infer_many

    def _infer_padded(self, features: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if self._infer_masked is None:
            shape = (None, *self.network.input_shape[1:])
            self._infer_masked = tensorflow_backend.compiled(
                lambda x, mask: self.network(x, training=False, mask=mask > 0), shape, shape[:2]
            )
        return keras.ops.convert_to_numpy(self._infer_masked(features, mask))

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


@keras.saving.register_keras_serializable("keras_segan")
class ListeningEnhancer(Enhancer):
    """A trained network that changes speech for a listener in noise: speech and noise in, speech out."""

    def prepare(self, speech: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Changes speech so that it is understood better when noise is added to it.

        Args:
            speech: Mono `(samples,)` at the front end's sample rate.
            noise: The noise at the listener's place, of the same length.

        Returns:
            float32 `(samples,)`, of the speech's power.
        """
        features, analysis = self.front_end.analyse(speech, noise)
        return self.front_end.synthesise(self.infer(features[None])[0], analysis)

    def enhance_utterance(self, utterance, reader) -> np.ndarray:
        """Returns what a listener hears of an utterance, `(samples,)`.

        Args:
            utterance: An entry of a manifest.
            reader: A `training.listening.ListeningReader`.
        """
        noise = reader.noise(utterance)
        return band_gain.heard(self.prepare(reader.clean(utterance), noise), noise)

    def enhance_many(self, waveforms, statistics=None):
        """Raises, because noisy speech cannot be taken apart here."""
        raise ModelError(
            "This model changes speech before noise is added to it; give it both: prepare(speech, noise)."
        )


def load_checked(path: Path) -> Enhancer:
    """Loads a `.keras` file that `archive.check_keras_file` found nothing against.

    Args:
        path: The file.

    Returns:
        The enhancer.

    Raises:
        ModelError: If the network is too large, does not fit its weights or its front end.
    """
    config = archive.read_config(path)
    try:
        parameters = _parameters(config["config"]["network"])
        if 4 * parameters > limits.MOST_UNPACKED:
            raise ModelError(f"its network has {parameters:,} parameters, which is not taken")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Keras then refuses
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        check_fit(model.front_end, model.network.input_shape, model.network.output_shape)
    except ModelError as error:
        raise ModelError(f"{path}: {error}.") from error
    except Exception as error:  # Keras raises errors of any class for parts that do not go together
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: not a model of this package, or a damaged one ({reason}).") from error
    return model


def _parameters(network: dict) -> int:
    """Counts the parameters of a network's configuration without taking memory for them."""
    from keras.src.backend.common import global_state  # where Keras notes what it is to fill later

    pending = "uninitialized_variables"
    before = list(global_state.get_global_attribute(pending) or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            weights = keras.saving.deserialize_keras_object(network).weights
        return sum(math.prod(weight.shape) for weight in weights)
    finally:
        global_state.set_global_attribute(pending, before)
