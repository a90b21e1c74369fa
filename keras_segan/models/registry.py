"""Finding and loading trained models: by name, from a file, a run folder or the Hugging Face hub.

A folder of models holds `registry.toml`, the files it names, and a card for each. The package brings one
folder; the one that the environment variable `KSEG_MODELS` names comes before it. Nothing is fetched from a
network but `hf://` addresses. Keras is imported when a model is loaded that needs it, and not before.
"""

import functools
import hashlib
import importlib
import importlib.resources
import importlib.util
import os
import pkgutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_segan import audio, keras_setup, limits, models
from keras_segan.errors import ModelError, ModelUsageError, unknown
from keras_segan.files import printable
from keras_segan.front_ends import FRONT_ENDS
from keras_segan.inference import OnnxEnhancer, WaveformEnhancer, describe, sidecar
from keras_segan.models import archive, registry_schema

PACKAGE = "keras_segan.pretrained"
FOLDER_VARIABLE = "KSEG_MODELS"
REGISTRY = "registry.toml"
HUB = "hf://"
BACKENDS = ("auto", "keras", "onnx")
SLICE = 32  # samples of the recorded output
OUTPUT_TOLERANCE = 1e-4  # of full scale, between machines and versions


@dataclass(frozen=True)
class Entry:
    """A model of a registry.

    Attributes:
        name: Its name.
        folder: Where its files are.
        facts: What the registry says of it; see `pretrained/README.md`.
    """

    name: str
    folder: Path
    facts: dict

    @property
    def path(self) -> Path:
        """The `.keras` file."""
        return self.folder / self.facts["file"]

    @property
    def twin(self) -> Path | None:
        """The ONNX file of the same network, if it has one."""
        return self.folder / self.facts["onnx"]["file"] if "onnx" in self.facts else None

    def output(self) -> list[float]:
        """Returns the recorded output; `ModelError` if there is none."""
        recorded = self.facts.get("output", [])
        if len(recorded) != SLICE:
            raise ModelError(f"{self.folder / REGISTRY}: '{self.name}' has no output of {SLICE} samples.")
        return recorded

    def check(self) -> None:
        """Raises `ModelError` if a file is missing or is not the one that was registered."""
        _check_sum(self.path, self.facts["sha256"], self.name)
        if self.twin is not None:
            _check_sum(self.twin, self.facts["onnx"]["sha256"], self.name)


@dataclass(frozen=True)
class Found:
    """A model that was found but not loaded.

    Attributes:
        path: Its file.
        entry: Where it comes from, `None` for a file of the user's.
    """

    path: Path
    entry: Entry | None = None


def register_classes() -> None:
    """Makes the classes of this package known to `keras.saving.load_model`; imports Keras."""
    for module in pkgutil.iter_modules(models.__path__, f"{models.__name__}."):
        importlib.import_module(module.name)


def list_models() -> list[str]:
    """Returns the names of the pretrained models."""
    return sorted(entries())


def entries() -> dict[str, Entry]:
    """Reads the registries.

    Returns:
        Entry by name; those of `KSEG_MODELS` hide those of the package.

    Raises:
        ModelError: If `KSEG_MODELS` names no folder with a registry, or one that cannot be read.
    """
    own = os.environ.get(FOLDER_VARIABLE)
    if own and not (Path(own) / REGISTRY).is_file():
        raise ModelError(f"{own}: {FOLDER_VARIABLE} names this folder, but there is no {REGISTRY} in it.")
    found = {}
    for folder in [_package_folder(), *([Path(own)] if own else [])]:
        found.update(entries_of(folder))
    return found


def _package_folder() -> Path:
    return Path(str(importlib.resources.files(PACKAGE)))


def entries_of(folder: Path) -> dict[str, Entry]:
    """Reads the registry of one folder; it is empty if there is none."""
    file = folder / REGISTRY
    if not file.is_file():
        return {}
    try:
        if file.stat().st_size > limits.MOST_TEXT:
            raise ModelError(f"{file}: more than {limits.MOST_TEXT:,} bytes; this is no registry.")
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file}: not readable ({error}).") from error
    for name, facts in content.items():
        problem = registry_schema.problem(facts)
        if problem:
            raise ModelError(f"{file}: the entry '{printable(name)}' {problem}; correct it.")
    return {name: Entry(name, folder, facts) for name, facts in content.items()}


def find(name: str | Path) -> Found:
    """Finds a model.

    Args:
        name: Name of a pretrained model, path of a `.keras` or exported `.onnx` file, a run folder, or
            `hf://owner/repository/file.keras`.

    Returns:
        Its file.

    Raises:
        ModelError: If there is no such model.
    """
    if str(name).startswith(HUB):
        return Found(_from_hub(str(name)))
    known = entries()
    if str(name) in known:
        return Found(known[str(name)].path, known[str(name)])
    path = Path(name)
    if path.is_dir():
        path = path / "model.keras"
    if path.suffix not in (".keras", ".onnx") and not path.exists():
        hint = unknown("model", str(name), known) if known else f"Unknown model '{name}'."
        raise ModelUsageError(f"{hint} Give a .keras file or a run folder, or one of the names above.")
    if not path.exists():
        raise ModelError(f"{path}: no such file; check the path.")
    return Found(path)


def _from_hub(address: str) -> Path:
    parts = address.removeprefix(HUB).split("/", 2)
    if len(parts) < 3 or not all(parts):
        raise ModelUsageError(f"{address}: give hf://owner/repository/file.keras.")
    try:
        import huggingface_hub
    except ImportError as error:
        raise ModelError(
            f"{address}: needs the package huggingface_hub; pip install huggingface_hub."
        ) from error
    try:
        return Path(huggingface_hub.hf_hub_download(f"{parts[0]}/{parts[1]}", parts[2]))
    except Exception as error:  # no network, no such file, no right to read it: of several packages
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"{address}: could not be fetched ({reason}).") from error


def runtime(found: Found, backend: str = "auto") -> str:
    """Decides what computes the network.

    Args:
        found: The model.
        backend: One of `BACKENDS`; `"auto"` takes ONNX Runtime if it is installed and the model has been
            exported.

    Returns:
        `"keras"` or `"onnx"`.

    Raises:
        ModelError: If the backend that is asked for cannot be had.
    """
    if found.path.suffix == ".onnx":
        if backend == "keras":
            raise ModelUsageError(f"{found.path}: is an ONNX file; Keras cannot load it.")
        return "onnx"
    if backend == "keras":
        return "keras"
    twin = _twin(found)
    if backend == "onnx":
        if twin is None:
            raise ModelUsageError(
                f"{found.path}: has no ONNX twin; kseg export {found.path} --format onnx makes one.",
            )
        return "onnx"
    if twin is None or importlib.util.find_spec("onnxruntime") is None:
        return "keras"
    return "onnx" if describe(twin).front_end_class in FRONT_ENDS else "keras"


def _twin(found: Found) -> Path | None:
    """Returns the exported network of a model, if it has one and it was made from this very file."""
    if found.entry is not None:
        return found.entry.twin
    path = found.path.with_suffix(".onnx")
    if not path.is_file() or not sidecar(path).is_file():
        return None
    return path if describe(path).model_sha256 == sha256(found.path) else None


def load(found: Found, backend: str = "keras") -> WaveformEnhancer:
    """Loads what `find` found.

    Args:
        found: The model.
        backend: See `runtime`.

    Returns:
        The enhancer.

    Raises:
        ModelError: If a checksum is wrong, or the file does not hold a model of this package.
    """
    if runtime(found, backend) == "keras":
        if found.entry is not None:
            _check_sum(found.path, found.entry.facts["sha256"], found.entry.name)
        return _load_keras(found.path)
    path = found.path if found.path.suffix == ".onnx" else _twin(found)
    if path is None:  # gone since `runtime` looked
        raise ModelError(f"{found.path}: has no ONNX twin any more; export it again.")
    if found.entry is not None:
        _check_sum(path, found.entry.facts["onnx"]["sha256"], found.entry.name)
    return OnnxEnhancer(path)


def load_model(name: str | Path, backend: str | None = None) -> WaveformEnhancer:
    """Loads a trained model. Code that a file holds is never run.

    Args:
        name: Name of a pretrained model, path of a `.keras` or exported `.onnx` file, a run folder, or
            `hf://owner/repository/file.keras`.
        backend: `"keras"`, `"onnx"` or `"auto"` (ONNX Runtime if it and an exported twin are there); if
            `None`, Keras, but for an `.onnx` file.

    Returns:
        The enhancer: a `keras_segan.models.base.Enhancer`, or its twin in ONNX Runtime.

    Raises:
        ModelError: If there is no such model, its checksum is wrong, or the file does not hold one.
    """
    if backend not in (None, *BACKENDS):
        raise ModelUsageError(unknown("backend", backend, BACKENDS))
    found = find(name)
    return load(found, backend or ("onnx" if found.path.suffix == ".onnx" else "keras"))


def _load_keras(path: Path) -> WaveformEnhancer:
    archive.check_keras_file(path)
    keras_setup.imported()
    register_classes()
    from keras_segan.models.base import load_checked

    return load_checked(path)


def sha256(path: Path) -> str:
    """Returns a file's checksum in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_sum(path: Path, expected: str, name: str) -> None:
    if not path.is_file():
        raise ModelError(f"{path}: this file of the model '{name}' is missing; install the package again.")
    if sha256(path) != expected:
        raise ModelError(
            f"{path}: not the file that was registered as '{name}' (wrong checksum); it is damaged or was"
            " changed, get it again."
        )


@functools.cache
def _known_input() -> np.ndarray:
    """The bundled noisy sentence of `kseg selftest`, 3.6 s at 16 kHz."""
    with importlib.resources.as_file(importlib.resources.files("keras_segan.data") / "selftest") as folder:
        return audio.read_mono(folder / "noisy.flac")


def output_slice(model: Any) -> list[float]:
    """Enhances or scores a bundled sentence and returns some of the result, to recognise a model by.

    Args:
        model: The enhancer, or a predictor.

    Returns:
        `SLICE` samples, or scores of frames, evenly spread; one score of a model that compares two signals.
    """
    noisy = audio.resample(_known_input(), audio.SAMPLE_RATE, model.front_end.sample_rate)
    if not hasattr(model, "enhance"):
        if not hasattr(model, "predict_many"):
            return [model.predict(noisy, noisy)["score"]]
        enhanced = model.predict(noisy)["frame_scores"]
    else:
        enhanced = model.enhance(noisy)
    step = len(enhanced) // SLICE
    return [float(value) for value in enhanced[step // 2 :: step][:SLICE]]


def output_difference(model: WaveformEnhancer, recorded: list[float]) -> float:
    """Returns the largest difference between a model's `output_slice` and the recorded one."""
    return float(np.max(np.abs(np.subtract(output_slice(model), recorded))))
