"""Exporting a network to other runtimes, and the proof that it computes the same there.

What is exported is the network: features in, mask or spectrum out. The signal processing around it stays
outside; a JSON file beside the export says which one it is, with all its settings, so that it can be rebuilt.
"""

import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_segan import files
from keras_segan._version import __version__
from keras_segan.errors import ModelError, ModelUsageError, unknown
from keras_segan.inference import SUFFIXES, check_export, sidecar
from keras_segan.layers.recurrent import using_recurrence
from keras_segan.models.base import Enhancer

FORMATS = tuple(SUFFIXES)
TOLERANCE = 1e-5
FREE_AXES = ((1, 50), (3, 111))  # batch and frames of the inputs that are compared
# Loops over a list of tensors become LiteRT's own operations, and no delegate is needed to run them.
LITERT_OPTIONS = {"_experimental_lower_tensor_list_ops": True}


@dataclass(frozen=True)
class Parity:
    """How far an exported network is from Keras.

    Attributes:
        difference: Largest difference of any output, relative to the largest output if that exceeds 1.
        shapes: Those of the inputs, which were drawn from N(0, 1).
    """

    difference: float
    shapes: tuple[tuple[int, ...], ...]

    def __str__(self):
        listed = " and ".join(str(shape) for shape in self.shapes)
        return f"largest difference from Keras {self.difference:.1e} on inputs {listed}"


def export(model: Enhancer, path: Path | str, file_format: str, model_sha256: str | None = None) -> Parity:
    """Exports a model's network and compares it with Keras.

    Args:
        model: The enhancer.
        path: The file, or the folder of a SavedModel; an earlier export there is replaced.
        file_format: One of `FORMATS`.
        model_sha256: Checksum of the `.keras` file, for the description.

    Returns:
        How far it is from Keras.

    Raises:
        ModelError: If a package is missing, the export fails, or its output differs by more than `TOLERANCE`.
        DataError: If something else is there.
    """
    if file_format not in FORMATS:
        raise ModelUsageError(unknown("format", file_format, FORMATS))
    path = Path(path)
    check_export(path, file_format, force=True)
    files.make_folder(path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".exporting-") as folder:
        # Keras checks the suffix.
        temporary = Path(folder) / f"network{SUFFIXES[file_format]}"
        _write(model.network, temporary, file_format)
        parity = compare(model.network, temporary, file_format)
        if not parity.difference <= TOLERANCE:
            raise ModelError(f"{path}: not written, the exported network is not the same: {parity}.")
        facts = describe(model, file_format, parity, model_sha256)
        if temporary.is_dir():
            if path.is_dir():
                os.replace(path, Path(folder) / "earlier")  # gone with the folder
            os.replace(temporary, path)
        else:
            with files.replacing(path) as written:
                shutil.copyfile(temporary, written)
        files.write_json(sidecar(path), facts)
    return parity


def _write(network: keras.Model, path: Path, file_format: str):
    signature = [keras.InputSpec(shape=_signature(network, file_format), dtype="float32")]
    network(np.zeros(_shapes(network, file_format)[0], np.float32))  # the ONNX export wants a called model
    options = LITERT_OPTIONS if file_format == "litert" else {}
    try:
        # What XLA compiles cannot leave TensorFlow.
        with warnings.catch_warnings(), using_recurrence(network, "keras"):
            warnings.simplefilter("ignore")  # tf2onnx uses NumPy names that are going away
            network.export(path, format=file_format, verbose=False, input_signature=signature, **options)
    except ImportError as error:
        raise ModelError(
            f"The export to {file_format} needs a package that is not installed ({error});"
            " pip install keras_segan[export]."
        ) from error
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"{network.name}: Keras cannot export it to {file_format} ({reason}).") from error


def _signature(network: keras.Model, file_format: str) -> tuple[int | None, ...]:
    """The shape of the exported input; LiteRT loops over a free number of frames for one utterance only."""
    shape = network.input_shape
    return (1, *shape[1:]) if file_format == "litert" and None in shape[1:] else shape


def _shapes(network: keras.Model, file_format: str) -> tuple[tuple[int, ...], ...]:
    """Shapes to try, free axes filled in."""
    signature = _signature(network, file_format)
    shapes = []
    for sizes in FREE_AXES:
        free = iter(sizes if signature[0] is None else sizes[1:])
        shapes.append(tuple(next(free) if size is None else size for size in signature))
    return tuple(shapes)


def compare(network: keras.Model, path: Path, file_format: str) -> Parity:
    """Runs an exported network in its own runtime and in Keras on the same random features.

    Args:
        network: What was exported.
        path: Where to.
        file_format: One of `FORMATS`.

    Returns:
        The largest difference.
    """
    runner = {"onnx": _onnx_runner, "litert": _litert_runner, "tf_saved_model": _saved_model_runner}[
        file_format
    ]
    run, rng = runner(path), np.random.default_rng(0)
    differences, shapes = [], _shapes(network, file_format)
    for shape in shapes:
        features = rng.standard_normal(shape).astype(np.float32)
        expected = keras.ops.convert_to_numpy(network(features, training=False))
        largest = max(1.0, float(np.abs(expected).max()))
        differences.append(float(np.abs(run(features) - expected).max()) / largest)
    return Parity(max(differences), shapes)


def _onnx_runner(path: Path):
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError("The comparison needs ONNX Runtime; pip install onnxruntime.") from error
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda features: session.run(None, {name: features})[0]


def _saved_model_runner(path: Path):
    import tensorflow

    loaded = tensorflow.saved_model.load(str(path))
    # The loaded functions live as long as what they belong to.
    return lambda features, owner=loaded: owner.serve(features).numpy()


def _litert_runner(path: Path):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tensorflow.lite.python.interpreter import Interpreter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow announces the move to the other package at length
        interpreter = Interpreter(model_path=str(path))
    entry, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(features):
        interpreter.resize_tensor_input(entry, features.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry, features)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return run


def describe(model: Enhancer, file_format: str, parity: Parity, model_sha256: str | None) -> dict:
    """Says what somebody who has the exported network only needs to know.

    Args:
        model: The enhancer.
        file_format: One of `FORMATS`.
        parity: From `compare`.
        model_sha256: Checksum of the `.keras` file.

    Returns:
        Plain facts for a JSON file.
    """
    network, front_end = model.network, model.front_end
    return {
        "format": file_format,
        "keras_segan": __version__,
        "model_sha256": model_sha256,
        "input": {
            "name": network.inputs[0].name,
            "dtype": "float32",
            "shape": list(_signature(network, file_format)),
        },
        "output": {"dtype": "float32", "shape": list(network.output_shape)},
        "front_end": {
            "class": type(front_end).__name__,
            "module": type(front_end).__module__,
            "config": front_end.get_config(),
        },
        "information": model.information,
        "parity": {"largest_difference": parity.difference, "input_shapes": parity.shapes},
        "note": "Features come from the front end's analyse, its synthesise turns the output into sound.",
    }
