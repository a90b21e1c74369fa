"""Looking into model files before anything is built from them: `.keras`, `.h5` and `.npz`.

What a file holds is data. Its members are measured by the archive's directory before they are unpacked, its
arrays by their headers before they are read, and its configuration may name only what Keras and this package
consist of, in sizes within `limits`. Nothing here imports Keras.
"""

import io
import json
import math
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_segan import front_ends, limits
from keras_segan.errors import ModelError

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MODELS = ("Enhancer", "ListeningEnhancer", "Predictor", "FeatureMapper")
OURS = "keras_segan>"  # how Keras registers this package's classes and functions

_MODULES = (
    *("keras", "keras.activations", "keras.constraints", "keras.initializers", "keras.layers"),
    *("keras.models", "keras.regularizers", "keras.src.models.functional", "keras.src.models.sequential"),
    *("keras.src.ops.math", "keras.src.ops.nn", "keras.src.ops.numpy"),  # functions in a functional model
)
# Layers that run code of the file's, or read other files.
_REFUSED = (
    *("FlaxLayer", "Hashing", "IntegerLookup", "JaxLayer", "Lambda", "StringLookup", "TFSMLayer"),
    *("TextVectorization", "TorchModuleWrapper"),
)


def check_keras_file(path: Path):
    """Raises `ModelError` if a `.keras` file is damaged, too large, or holds anything but data."""
    members = read_archive(path, (CONFIG, METADATA, WEIGHTS))
    config = _parsed(members[CONFIG], path)
    _check_config(config, path)
    with _hdf5(io.BytesIO(members[WEIGHTS]), path) as file:
        arrays_of(file, path)


def read_config(path: Path) -> dict:
    """Returns the configuration of a `.keras` file."""
    return _parsed(read_archive(path, (CONFIG, METADATA, WEIGHTS))[CONFIG], path)


def read_archive(path: Path, names: tuple[str, ...] | None = None) -> dict[str, bytes]:
    """Reads the members of a zip archive, whose sizes are checked before.

    Args:
        path: The file.
        names: The members that it must have, and no others; any if `None`.

    Returns:
        Their contents.

    Raises:
        ModelError: If it is no zip archive, damaged, too large, or has other members.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            found = [info.filename for info in infos]
            if names is not None and sorted(found) != sorted(names):
                raise ModelError(f"{path}: holds {_listed(found)}, not {_listed(names)}; get it again.")
            unpacked = sum(info.file_size for info in infos)
            if unpacked > limits.MOST_UNPACKED:
                raise ModelError(
                    f"{path}: unpacks to {unpacked:,} bytes; at most {limits.MOST_UNPACKED:,} are taken."
                )
            return {info.filename: archive.read(info) for info in infos}
    except ModelError:
        raise
    except Exception as error:  # zipfile has many for what is damaged, encrypted or odd
        raise ModelError(f"{path}: damaged, or no such archive ({error}); get it again.") from error


def _listed(names) -> str:
    shown = ", ".join(map(repr, list(names)[:4]))
    return f"{shown}..." if len(names) > 4 else shown or "nothing"


def _parsed(text: bytes, path: Path) -> dict:
    if len(text) > limits.MOST_TEXT:
        raise ModelError(
            f"{path}: its {CONFIG} has more than {limits.MOST_TEXT:,} bytes, which is not taken."
        )
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: its {CONFIG} is not readable ({error}); get it again.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: its {CONFIG} holds no model.")
    return config


# --- configurations


def _check_config(config: dict, path: Path):
    """Checks that this is an enhancer, with a front end of ours and a network of known parts."""
    kind, inside = config.get("class_name"), config.get("config")
    if kind not in MODELS or config.get("registered_name") != f"{OURS}{kind}":
        raise ModelError(
            f"{path}: holds a {str(kind)[:60]}, not a model of this package; it has no front end to use it"
            " with."
        )
    if not isinstance(inside, dict):
        raise ModelError(f"{path}: its {CONFIG} has no settings; get it again.")
    front_end = inside.get("front_end")
    if not isinstance(front_end, dict):
        raise ModelError(f"{path}: names no front end; it cannot be used without one.")
    try:
        if not _is_of_the_program(front_end.get("registered_name")):
            front_ends.build(front_end.get("class_name"), front_end.get("config"))
    except ModelError as error:
        raise ModelError(f"{path}: {error}.") from error
    if not isinstance(inside.get("information", {}), (dict, type(None))):
        raise ModelError(f"{path}: its information is no table of facts.")
    network = inside.get("network")
    if not isinstance(network, dict):
        raise ModelError(f"{path}: has no network.")
    check_parts(config, path)


def check_parts(config, path: Path):
    """Raises `ModelError` if a configuration names code, is nested too deeply, or has sizes beyond reason.

    Args:
        config: Anything that JSON can hold.
        path: The file, for the message.
    """
    for key, value in _values(config, path):
        if isinstance(value, dict) and "class_name" in value:
            _check_part(value, path)
        is_size = isinstance(value, int) and "seed" not in key and key != "shared_object_id"
        if is_size and abs(value) > limits.LARGEST_SIZE:
            raise ModelError(f"{path}: '{key}' is beyond {limits.LARGEST_SIZE:,}, the largest size taken.")


def parts(config, path: Path) -> list[tuple[str, dict]]:
    """Lists class and settings of everything that a configuration names, in its order.

    Args:
        config: Anything that JSON can hold.
        path: The file, for the message.
    """
    found = [value for _, value in _values(config, path) if isinstance(value, dict)]
    named = [(value.get("class_name"), value.get("config")) for value in found]
    return [(kind, inner) for kind, inner in named if isinstance(kind, str) and isinstance(inner, dict)]


def _values(config, path: Path) -> Iterator[tuple[str, object]]:
    """Yields every value with its key, in their order; facts that nothing is built from are left out."""
    waiting = [("", config, 0)]
    while waiting:
        key, value, depth = waiting.pop()
        if depth > limits.DEEPEST_TEXT:
            raise ModelError(f"{path}: nested more than {limits.DEEPEST_TEXT} deep; this is no model.")
        yield key, value
        inside = []
        if isinstance(value, dict):
            inside = [(name, inner) for name, inner in value.items() if name != "information"]
        elif isinstance(value, list):
            inside = [(key, inner) for inner in value]
        waiting += [(name, inner, depth + 1) for name, inner in reversed(inside)]


def _is_of_the_program(registered: object) -> bool:
    """Says whether the program that loads a file has itself registered a class of its own under a name."""
    keras = sys.modules.get("keras")
    is_own = isinstance(registered, str) and ">" in registered and not registered.startswith(OURS)
    return is_own and keras is not None and keras.saving.get_registered_object(registered) is not None


def _check_part(part: dict, path: Path):
    kind, module, registered = (part.get(name) for name in ("class_name", "module", "registered_name"))
    if any(not isinstance(name, (str, type(None))) for name in (kind, module, registered)) or kind is None:
        raise ModelError(f"{path}: names a part that is no name; get it again.")
    if kind in _REFUSED:
        raise ModelError(f"{path}: has a {kind} layer, which holds code or reads other files; it is not run.")
    is_ours = (registered or "").startswith(OURS) or _is_of_the_program(registered)
    if kind == "function":
        is_ours = is_ours or str(part.get("config")).startswith(OURS)
    is_marker = module is None and kind == "__keras_tensor__"
    if not (is_ours or is_marker or (module in _MODULES and kind != "function")):
        raise ModelError(f"{path}: names {module}.{kind}, which is no part of Keras's networks or ours.")


# --- arrays


def _hdf5(file, path: Path, what: str = "HDF5 file"):
    try:
        import h5py
    except ImportError as error:
        raise ModelError(f"{path}: reading it needs h5py; pip install keras_segan[convert].") from error
    try:
        return h5py.File(file, "r")
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(f"{path}: no {what}, or a damaged one ({error}); get it again.") from error


def opened_hdf5(path: Path):
    """Opens an HDF5 file for reading.

    Raises:
        ModelError: If it is missing, no such file or damaged, or h5py is not installed.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; check the path.")
    return _hdf5(path, path, ".h5 file of Keras 2")


def arrays_of(file, path: Path) -> dict:
    """Finds the arrays of an HDF5 file without reading them.

    Args:
        file: The open file or a group of it.
        path: For the message.

    Returns:
        `h5py.Dataset` by name.

    Raises:
        ModelError: If they are too large, no numbers, or lie in other files.
    """
    import h5py

    found, total, waiting = {}, 0, [("", file)]
    try:
        while waiting:
            name, group = waiting.pop()
            if name.count("/") > limits.DEEPEST_TEXT:
                raise ModelError(f"{path}: nested more than {limits.DEEPEST_TEXT} deep; this is no model.")
            for key in group:
                if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                    raise ModelError(f"{path}: '{key}' leads to another place or file; it is not followed.")
                inner, value = f"{name}/{key}", group[key]
                if isinstance(value, h5py.Group):
                    waiting.append((inner, value))
                else:
                    found[inner] = value
                    total += _bytes_of(value, inner, path)
                    _check_unpacked(total, path)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged ({error}); get it again.") from error
    return found


def _bytes_of(dataset, name: str, path: Path) -> int:
    if dataset.is_virtual or dataset.external:
        raise ModelError(f"{path}: '{name}' lies in another file; it is not followed.")
    if dataset.shape is None:
        raise ModelError(f"{path}: '{name}' holds no numbers.")
    return math.prod(dataset.shape) * dataset.dtype.itemsize


def _check_unpacked(size: int, path: Path):
    if size > limits.MOST_UNPACKED:
        raise ModelError(f"{path}: its arrays take more than {limits.MOST_UNPACKED:,} bytes; it is not read.")


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads arrays by name from an `.npz` file, without unpickling.

    Raises:
        ModelError: If it is none, damaged or too large, or holds Python objects.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; check the path.")
    members = read_archive(path)
    return {name.removesuffix(".npy"): _npy(content, name, path) for name, content in members.items()}


def _npy(content: bytes, name: str, path: Path) -> np.ndarray:
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read_header(file)
        # The header may claim any size; memory is taken for what is there.
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - file.tell():
            raise ValueError("its header does not agree with its content, or it holds Python objects")
        file.seek(0)
        return np.load(file, allow_pickle=False)
    except (ValueError, KeyError, TypeError, OSError, EOFError, SyntaxError, RecursionError) as error:
        raise ModelError(f"{path}: '{name}' is not readable without unpickling ({error}).") from error
