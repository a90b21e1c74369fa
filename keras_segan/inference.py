"""Enhancing waveforms with a network, whichever runtime computes it; ONNX Runtime without Keras.

A network that was exported stands beside a JSON file of the same name that says which front end it needs, so
that TensorFlow need not be imported: `model.onnx` and `model.onnx.json`.
"""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_segan.errors import ModelError
from keras_segan.front_ends import FRONT_ENDS

SIDECAR = ".json"


class WaveformEnhancer:
    """A network with its front end: noisy waveform in, enhanced waveform out.

    Whoever inherits has `front_end`, `information`, `input_rank` and `infer`.
    """

    def infer(self, features: np.ndarray) -> np.ndarray:
        """Runs the network on features `(batch, ...)`."""
        raise NotImplementedError

    @property
    def input_rank(self) -> int:
        """Number of axes of the network's input, the batch's included."""
        raise NotImplementedError

    def enhance(self, waveform: np.ndarray) -> np.ndarray:
        """Enhances one utterance as a whole.

        Args:
            waveform: Mono `(samples,)` at the front end's sample rate.

        Returns:
            float32 `(samples,)`.
        """
        return self.enhance_many([waveform])[0]

    def enhance_many(
        self, waveforms: Sequence[np.ndarray], statistics: Sequence | None = None
    ) -> list[np.ndarray]:
        """Enhances several waveforms, those of equal length as one batch.

        Args:
            waveforms: Mono `(samples,)` each, at the front end's sample rate.
            statistics: From the front end's `measure` for each, if they are pieces of utterances.

        Returns:
            float32 `(samples,)` each.
        """
        known = statistics or [None] * len(waveforms)
        analysed = [
            self.front_end.analyse(waveform) if fact is None else self.front_end.analyse(waveform, fact)
            for waveform, fact in zip(waveforms, known, strict=True)
        ]
        outputs = self._outputs([features for features, _ in analysed])
        return [
            self.front_end.synthesise(output, analysis)
            for output, (_, analysis) in zip(outputs, analysed, strict=True)
        ]

    def _outputs(self, features: list[np.ndarray]) -> list[np.ndarray]:
        if features[0].ndim == self.input_rank:
            # A network of single frames takes the utterances' frames as its batch.
            ends = np.cumsum([len(frames) for frames in features])[:-1]
            return np.split(self._infer_rows(np.concatenate(features)), ends)
        groups = itertools.groupby(features, key=np.shape)
        return [output for _, group in groups for output in self.infer(np.stack(list(group)))]

    def _infer_rows(self, rows: np.ndarray) -> np.ndarray:
        """Runs the network, on few rows at once if the front end says so: those of waveform are long."""
        limit = getattr(self.front_end, "rows_at_once", None) or len(rows)
        starts = range(0, len(rows), limit)
        return np.concatenate([self.infer(rows[start : start + limit]) for start in starts])


def sidecar(path: Path | str) -> Path:
    """Returns the file that describes an exported network."""
    return Path(f"{path}{SIDECAR}")


def describe(path: Path | str) -> dict:
    """Reads what is known of an exported network.

    Args:
        path: The `.onnx` file.

    Returns:
        The content of the JSON file beside it.

    Raises:
        ModelError: If it is missing or no description.
    """
    try:
        return json.loads(sidecar(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{sidecar(path)}: not there; kseg export wrote it beside the network, which needs it."
        ) from error
    except (ValueError, OSError) as error:
        raise ModelError(f"{sidecar(path)}: not readable ({error}); export the network again.") from error


class OnnxEnhancer(WaveformEnhancer):
    """An exported network in ONNX Runtime.

    Args:
        path: The `.onnx` file; its description is beside it.

    Raises:
        ModelError: If the file is damaged, its front end unknown, or ONNX Runtime not installed.
    """

    def __init__(self, path: Path | str):
        description = describe(path)
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelError(
                f"{path}: needs ONNX Runtime; pip install onnxruntime, or use --backend keras."
            ) from error
        try:
            kind = description["front_end"]["class"]
            self.front_end = FRONT_ENDS[kind].from_config(description["front_end"]["config"])
            self.information = description["information"]
        except (KeyError, TypeError) as error:
            raise ModelError(f"{sidecar(path)}: no description of a front end ({error}).") from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's own errors have no public base class
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(f"{path}: no ONNX network, or a damaged one ({reason}).") from error
        self._input = self._session.get_inputs()[0]

    @property
    def input_rank(self) -> int:
        """Number of axes of the network's input, the batch's included."""
        return len(self._input.shape)

    def infer(self, features: np.ndarray) -> np.ndarray:
        """Runs the network on features `(batch, ...)`."""
        return self._session.run(None, {self._input.name: np.asarray(features, np.float32)})[0]
