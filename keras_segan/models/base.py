"""What a trained model is to its user: a network together with the front end it was trained on."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

import keras_segan.layers  # noqa: F401 - registers what the networks in a .keras file are made of
from keras_segan import backends, limits
from keras_segan.errors import ModelError
from keras_segan.front_ends import FRONT_ENDS, SpectralMaskFrontEnd, band_gain, check_fit
from keras_segan.inference import WaveformEnhancer
from keras_segan.models import archive

__all__ = [
    "Enhancer",
    "FeatureMapper",
    "ListeningEnhancer",
    "Predictor",
    "SpectralMaskFrontEnd",
    "TrainedModel",
]

# The front ends know nothing of Keras, so that an exported network can be used without it.
for _front_end in FRONT_ENDS.values():
    keras.saving.register_keras_serializable("keras_segan")(_front_end)

BATCH = 8  # utterances that a recurrent network sees at once


class TrainedModel(keras.Model):
    """A trained network with its front end: base of what a user loads.

    Saved as `.keras` it holds everything that its use needs, and nothing of the training.

    Args:
        network: A Keras model that takes the front end's features.
        front_end: A registered object such as `SpectralMaskFrontEnd`; see `keras_segan.front_ends`.
        information: Plain facts to keep with the model: recipe, variant, metric, seed...
        **kwargs: Of `keras.Model`.
    """

    def __init__(
        self, network: keras.Model, front_end: Any, information: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        inner = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
        # Keras forgets this when a model is saved or cloned.
        network.supports_masking = all(layer.supports_masking for layer in inner)
        self.network = network
        self.front_end = front_end
        self.information = dict(information or {})
        self._infer: Callable[..., Any] | None = None
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Runs the network on features `(batch, ...)`."""
        return self.network(inputs, training=training)

    @property
    def input_rank(self) -> int:
        """Number of axes of the network's input, the batch's included."""
        return len(self.network.input_shape)

    def infer(self, features: np.ndarray, mask: np.ndarray | None = None) -> Any:
        """Runs the network in inference mode, compiled once for all lengths.

        Args:
            features: `(batch, ...)` as the network takes them.
            mask: `(batch, frames)`, positive for frames that are no padding; without one none is.

        Returns:
            The network's output: an array, or what else it gives with arrays in it.
        """
        if self._infer is None:
            self._infer = backends.infer(self.network)
        return self._infer(features, mask)

    def get_config(self) -> dict[str, Any]:
        """Configuration for serialisation."""
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "front_end": keras.saving.serialize_keras_object(self.front_end),
            "information": self.information,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The model from its configuration."""
        config = dict(config)
        for part in ("network", "front_end"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


@keras.saving.register_keras_serializable("keras_segan")
class Enhancer(TrainedModel, WaveformEnhancer):
    """A trained network with its front end: noisy waveform in, enhanced waveform out.

    The network goes from the front end's features to what its synthesis takes; arguments are those of
    `TrainedModel`.
    """

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
            results = self.infer(padded, mask)
            outputs |= {index: results[row, : len(features[index])] for row, index in enumerate(group)}
        return [outputs[index] for index in range(len(features))]

    _outputs = infer_many


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
        prepared: np.ndarray = self.front_end.synthesise(self.infer(features[None])[0], analysis)
        return prepared

    def enhance_utterance(self, utterance: Any, reader: Any) -> np.ndarray:
        """Returns what a listener hears of an utterance, `(samples,)`.

        Args:
            utterance: An entry of a manifest.
            reader: A `training.listening.ListeningReader`.
        """
        noise = reader.noise(utterance)
        return band_gain.heard(self.prepare(reader.clean(utterance), noise), noise)

    def enhance_many(self, waveforms: Any, statistics: Any = None) -> list[np.ndarray]:
        """Raises, because noisy speech cannot be taken apart here."""
        raise ModelError(
            "This model changes speech before noise is added to it; give it both: prepare(speech, noise)."
        )


@keras.saving.register_keras_serializable("keras_segan")
class Predictor(TrainedModel):
    """A trained network with its front end that predicts a score of speech: waveform in, score out.

    The network's output is a dictionary `{"score": (batch, 1), "frame_scores": (batch, frames)}`; or a single
    array, `(batch, 1)` for scores and `(batch, frames)` for scores of frames, whose mean is the score.
    Arguments are those of `TrainedModel`.
    """

    def __init__(
        self, network: keras.Model, front_end: Any, information: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(network, front_end, information, **kwargs)
        network.supports_masking = False  # so that no backend pads: a score is one of all frames

    def predict(self, waveform: np.ndarray) -> dict[str, Any]:
        """Predicts the score of an utterance.

        Args:
            waveform: Mono `(samples,)` at the front end's sample rate.

        Returns:
            `score`, a number, and `frame_scores`, float32 `(frames,)`, if the network gives them.

        Raises:
            ModelError: If the score is not finite, or the network has no such outputs.
        """
        features, _ = self.front_end.analyse(waveform)
        outputs = self.infer(features[None])
        if not isinstance(outputs, dict):
            flat = outputs.reshape(len(outputs), -1)
            outputs = {"score": flat} if flat.shape[1] == 1 else {"frame_scores": flat}
        frames = outputs.get("frame_scores")
        score = outputs.get("score", frames)
        if score is None:
            raise ModelError(f"The network gives {', '.join(outputs)}; a predictor's gives score.")
        if not np.isfinite(score).all():
            raise ModelError("The predicted score is NaN or infinite; the model's weights are damaged.")
        found: dict[str, Any] = {"score": float(np.mean(score[0]))}
        return found if frames is None else {**found, "frame_scores": frames[0].reshape(-1)}


@keras.saving.register_keras_serializable("keras_segan")
class FeatureMapper(TrainedModel):
    """A trained network with its front end that maps noisy features to clean ones; there is no waveform.

    Beside `analyse` its front end has `reference(waveform)`: features `(frames, dims)` as the network is
    meant to give them. Arguments are those of `TrainedModel`.
    """

    def map(self, waveform: np.ndarray) -> np.ndarray:
        """Returns the mapped features of an utterance.

        Args:
            waveform: Noisy, mono `(samples,)` at the front end's sample rate.

        Returns:
            float32 `(frames, dims)`.
        """
        features, _ = self.front_end.analyse(waveform)
        is_framewise = features.ndim == self.input_rank
        mapped = self.infer(features if is_framewise else features[None])
        found: np.ndarray = mapped if is_framewise else mapped[0]
        return found

    def reference(self, waveform: np.ndarray) -> np.ndarray:
        """Returns the features of a waveform as they are, such as the clean one: float32 `(frames, dims)`."""
        return np.asarray(self.front_end.reference(waveform), np.float32)


def load_checked(path: Path) -> TrainedModel:
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
        if hasattr(model.front_end, "feature_shape"):
            is_enhancer = isinstance(model, Enhancer)
            output_shape = model.network.output_shape if is_enhancer else None
            check_fit(model.front_end, model.network.input_shape, output_shape)
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
