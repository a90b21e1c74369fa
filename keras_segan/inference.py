"""Enhancing waveforms with a network, whichever runtime computes it; ONNX Runtime without Keras.

A network that was exported stands beside a JSON file of the same name that says which front end it needs, so
that TensorFlow need not be imported: `model.onnx` and `model.onnx.json`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_segan import files, front_ends, limits
from keras_segan.errors import FileError, ModelError

SIDECAR = ".json"
SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "tf_saved_model": ""}  # of exports, by format


class WaveformEnhancer:
    """A network with its front end: noisy waveform in, enhanced waveform out.

    Whoever inherits has `front_end`, `information`, `input_rank` and `infer`.
    """

    front_end: Any
    information: dict[str, Any]

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


class PlainEnhancer(WaveformEnhancer):
    """A method without a network, such as a Wiener filter, used wherever a trained model can be.

    Args:
        method: Has `enhance(waveform)` and `sample_rate`.
    """

    input_rank = 1
    minimum_samples = 1

    def __init__(self, method: Any):
        self.method = method
        self.front_end = self  # a method has no features; what is asked of a front end is answered here
        self.sample_rate = method.sample_rate
        self.information = {}

    def enhance_many(
        self, waveforms: Sequence[np.ndarray], statistics: Sequence | None = None
    ) -> list[np.ndarray]:
        """Enhances waveforms one by one; see `WaveformEnhancer.enhance_many`."""
        return [self.method.enhance(waveform) for waveform in waveforms]


def sidecar(path: Path | str) -> Path:
    """Returns the file that describes an exported network."""
    return Path(f"{path}{SIDECAR}")


def is_export(path: Path) -> bool:
    """Says whether a file or folder is what `kseg export` makes, and nothing of the user's is in it."""
    if path.is_symlink() or not path.is_dir():
        return path.is_file() and (path.suffix in SUFFIXES.values() or _is_description(sidecar(path)))
    inside = [file.relative_to(path) for file in path.rglob("*") if not file.is_dir() or file.is_symlink()]
    return _is_description(sidecar(path)) and all(map(_is_saved_model, inside))


def _is_saved_model(file: Path) -> bool:
    in_variables = file.parts[:-1] == ("variables",) and file.name.startswith("variables.")
    return in_variables or str(file) in ("saved_model.pb", "fingerprint.pb", "keras_metadata.pb")


def _is_description(file: Path) -> bool:
    try:
        content = files.read_json(file, dict, limits.MOST_TEXT)
    except FileError:
        return False
    return content.get("format") in SUFFIXES and "front_end" in content


def check_export(path: Path, file_format: str, force: bool):
    """Raises if an export may not be written: only an earlier one of the same kind is replaced.

    Args:
        path: Where to.
        file_format: One of `SUFFIXES`.
        force: Whether the user has asked for replacing it.

    Raises:
        DataError: If something else is there, or an export and not `force`.
    """

    def is_ours(path: Path) -> bool:
        return is_export(path) and path.is_dir() == (file_format == "tf_saved_model")

    files.check_replaceable(path, force, is_ours)
    files.check_replaceable(sidecar(path), force, _is_description)
    if not path.is_dir():
        files.check_output(path)


@dataclass(frozen=True)
class Description:
    """What is known of an exported network.

    Attributes:
        front_end_class: Name of its front end.
        front_end_config: Its settings.
        information: Facts of the model.
        model_sha256: Checksum of the `.keras` file that it was made from, `None` if unknown.
    """

    front_end_class: str
    front_end_config: dict
    information: dict
    model_sha256: str | None


def describe(path: Path | str) -> Description:
    """Reads what is known of an exported network.

    Args:
        path: The `.onnx` file.

    Returns:
        The content of the JSON file beside it.

    Raises:
        ModelError: If it is missing or no description.
    """
    file = sidecar(path)
    if not file.exists():
        raise ModelError(f"{file}: not there; kseg export wrote it beside the network, which needs it.")
    try:
        content = files.read_json(file, dict, limits.MOST_TEXT)
    except FileError as error:
        raise ModelError(f"{str(error).rstrip('.')}; or export the network again.") from error
    front_end = content.get("front_end")
    kind, config = (
        (front_end.get(part) for part in ("class", "config")) if isinstance(front_end, dict) else (0, 0)
    )
    if not isinstance(kind, str) or not isinstance(config, dict):
        raise ModelError(f"{file}: no description of a front end; export the network again.")
    information, checksum = content.get("information") or {}, content.get("model_sha256")
    if not isinstance(information, dict) or not isinstance(checksum, (str, type(None))):
        raise ModelError(f"{file}: its facts of the model are none; export the network again.")
    return Description(kind, config, information, checksum)


class OnnxEnhancer(WaveformEnhancer):
    """An exported network in ONNX Runtime.

    Args:
        path: The `.onnx` file; its description is beside it.

    Raises:
        ModelError: If the file is damaged, its front end unknown or not that of the network, or ONNX Runtime
            not installed.
    """

    def __init__(self, path: Path | str):
        self._path = Path(path)
        description = describe(path)
        self.information = description.information
        try:
            self.front_end = front_ends.build(description.front_end_class, description.front_end_config)
        except ModelError as error:
            raise ModelError(f"{sidecar(path)}: {error}; export the network again.") from error
        self._session = _session(self._path)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or not outputs or inputs[0].type != "tensor(float)":
            raise ModelError(
                f"{path}: takes {len(inputs)} inputs; a network of this package has one, of floats."
            )
        self._input = inputs[0]
        try:
            front_ends.check_fit(self.front_end, self._input.shape, outputs[0].shape)
        except ModelError as error:
            raise ModelError(f"{path}: {error}; export the network again.") from error

    @property
    def input_rank(self) -> int:
        """Number of axes of the network's input, the batch's included."""
        return len(self._input.shape)

    def infer(self, features: np.ndarray) -> np.ndarray:
        """Runs the network on features `(batch, ...)`."""
        try:
            return self._session.run(None, {self._input.name: np.asarray(features, np.float32)})[0]
        except Exception as error:  # ONNX Runtime's own errors have no public base class
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(f"{self._path}: ONNX Runtime cannot compute this network ({reason}).") from error


def _session(path: Path):
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            f"{path}: needs ONNX Runtime; pip install onnxruntime, or use --backend keras."
        ) from error
    if not path.is_file():
        raise ModelError(f"{path}: no such file; check the path.")
    if path.stat().st_size > limits.MOST_UNPACKED:
        raise ModelError(f"{path}: has more than {limits.MOST_UNPACKED:,} bytes, which is not taken.")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it says comes as an error, too
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors have no public base class
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: no ONNX network, or a damaged one ({reason}).") from error
