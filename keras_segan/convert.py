"""Weights of the original programs in our models: Keras 2 `.h5` files and torch checkpoints.

Nothing in a file is executed: `.h5` files are read as arrays and text, torch files with `weights_only=True`.
Every conversion is proved: the network's output is compared with a plain NumPy computation from the file's
own arrays.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from keras_segan import front_ends, limits
from keras_segan.errors import ModelError, ModelUsageError
from keras_segan.layers import keras2_hard_sigmoid
from keras_segan.models import archive, metricgan, metricgan_plus, torch_layout, xu
from keras_segan.models.base import Enhancer

VARIANTS = {"table1": "none", "table2": "log1p"}  # compression of MetricGAN's two programs
LEAKY_SLOPE = metricgan.LEAKY_SLOPE
TOLERANCE = 1e-5
FRAMES = 40  # of the input that is compared


@dataclass(frozen=True)
class Conversion:
    """A converted model.

    Attributes:
        model: The enhancer.
        kind: What it is, e.g. "MetricGAN generator".
        difference: Largest difference between its output and the plain computation, on random features.
        shape: That of the features.
        assumptions: What the file does not say.
    """

    model: Enhancer
    kind: str
    difference: float
    shape: tuple[int, ...]
    assumptions: tuple[str, ...] = ()


def _convert(network, weights, plain, front_end, kind: str, information: dict, assumptions=()) -> Conversion:
    """Fills a network and compares it with a plain computation; raises `ModelError` if they differ."""
    network.set_weights(weights)
    front = tuple(FRAMES if size is None else size for size in network.input_shape[1:])
    shape = (FRAMES, *front) if len(front) == 2 and network.input_shape[1] is not None else front
    features = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    batch = features if len(shape) == len(network.input_shape) else features[None]
    ours = keras.ops.convert_to_numpy(network(batch, training=False)).reshape(FRAMES, -1)
    expected = plain(features.astype(np.float64))
    difference = float(np.abs(ours - expected).max() / max(1.0, np.abs(expected).max()))
    if not difference <= TOLERANCE:
        raise ModelError(
            f"{kind}: the converted network differs by {difference:.1e} from the file's weights."
        )
    return Conversion(Enhancer(network, front_end, information), kind, difference, shape, tuple(assumptions))


def _generator_shapes(bins: int, units: tuple[int, int], hidden: int, directions: int) -> list[tuple]:
    """The shapes of MetricGAN's generator: two LSTMs and two dense layers, kernels and biases."""
    shapes, inputs = [], bins
    for size in units:
        shapes += directions * [(inputs, 4 * size), (size, 4 * size), (4 * size,)]
        inputs = directions * size
    return [*shapes, (inputs, hidden), (hidden,), (hidden, bins), (bins,)]


def _check_shapes(path: Path, weights: Sequence[np.ndarray], expected: Sequence[tuple[int, ...]]):
    """Raises `ModelError` before a network is built from weights that do not go together."""
    for number, (weight, shape) in enumerate(zip(weights, expected, strict=True), start=1):
        if weight.shape != tuple(shape):
            raise ModelError(
                f"{path}: its weight {number} has shape {weight.shape} instead of {tuple(shape)};"
                " it is damaged, or that of another network."
            )


def _front_end(path: Path, kind: str, settings: dict):
    try:
        return front_ends.build(kind, settings)
    except ModelError as error:
        raise ModelError(f"{path}: {error}.") from error


# --- Keras 2


@dataclass(frozen=True)
class Keras2File:
    """What an `.h5` file of Keras 2 holds.

    Attributes:
        path: The file.
        version: Of the Keras that wrote it.
        weights: Arrays of the model in the order of its layers.
        layers: Class and settings of each layer; empty for a file of weights only.
    """

    path: Path
    version: str
    weights: tuple[np.ndarray, ...]
    layers: tuple[tuple[str, dict], ...] = field(default=())

    def setting(self, kind: str, name: str, default):
        """Returns a setting of the first layer of a class, with or without a wrapper."""
        return next(
            (config[name] for found, config in self.layers if found == kind and name in config), default
        )


def read_keras2(path: Path | str) -> Keras2File:
    """Reads an `.h5` file that Keras 2 wrote: a whole model, with or without optimizer, or its weights.

    Args:
        path: The file.

    Returns:
        Its weights and, of a whole model, its settings.

    Raises:
        ModelError: If it is missing, no such file, or holds layers of Python code.
    """
    path = Path(path)
    with archive.opened_hdf5(path) as file:
        arrays = archive.arrays_of(file, path)
        root = file.get("model_weights", file)
        prefix = "" if root is file else "/model_weights"
        weights = [_weight(arrays, f"{prefix}/{name}", path) for name in _weight_names(root, path)]
        text = _text(file.attrs.get("model_config", "{}"), path)
        version = _text(root.attrs.get("keras_version", "unknown"), path)
    layers = tuple(archive.parts(_config(text, path), path))
    if any(kind == "Lambda" for kind, _ in layers):
        raise ModelError(f"{path}: has Lambda layers; they are Python code, which is not run.")
    return Keras2File(path, version, tuple(weights), layers)


def _weight_names(root, path: Path) -> list[str]:
    """Returns the names of the arrays within `root`, in the order of the layers."""
    names = []
    for layer in _names(root, "layer_names", path):
        if not hasattr(root.get(layer), "keys"):
            raise ModelError(f"{path}: lacks the layer '{layer}' that it lists; get it again.")
        names += [f"{layer}/{name}" for name in _names(root[layer], "weight_names", path)]
    return names


def _names(group, attribute: str, path: Path) -> list[str]:
    listed = group.attrs.get(attribute)
    if not isinstance(listed, np.ndarray) or listed.ndim != 1:
        raise ModelError(f"{path}: no .h5 file of Keras 2: it has no list '{attribute}'.")
    return [_text(name, path) for name in listed]


def _weight(arrays: Mapping, name: str, path: Path) -> np.ndarray:
    if name not in arrays or arrays[name].dtype.kind != "f" or not arrays[name].size:
        raise ModelError(f"{path}: has no array of floats '{name}', which it lists; get it again.")
    try:
        return np.asarray(arrays[name], np.float32)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the array '{name}' is damaged ({error}); get it again.") from error


def _text(value, path: Path) -> str:
    try:
        return value.decode("utf-8") if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: holds text that is not UTF-8 ({error}); get it again.") from error


def _config(text: str, path: Path):
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: its model_config is no JSON ({error}); get it again.") from error


def convert_keras2(
    path: Path | str, variant: str | None = None, scaler: Path | str | None = None
) -> Conversion:
    """Converts a generator of MetricGAN's or a network of sednn's (the Keras port of Xu et al.).

    Args:
        path: The `.h5` file.
        variant: Of MetricGAN, which the file does not tell: `"table2"` (the VoiceBank program, log1p; the
            default) or `"table1"`.
        scaler: For sednn: `.npz` file with the arrays `mean` and `scale` of its scaler.

    Returns:
        The model and the proof.

    Raises:
        ModelError: If the file cannot be read or holds another network.
    """
    file = read_keras2(path)
    ranks = [array.ndim for array in file.weights]
    if ranks == [2, 2, 1] * 4 + [2, 1] * 2:
        return _metricgan(file, variant)
    if ranks and ranks == [2, 1] * (len(ranks) // 2):
        return _sednn(file, scaler)
    shapes = ", ".join(str(array.shape) for array in file.weights[:6])
    raise ModelError(
        f"{file.path}: neither MetricGAN's generator nor sednn's network (its first weights are {shapes})."
    )


def _metricgan(file: Keras2File, variant: str | None) -> Conversion:
    gate = file.setting("LSTM", "recurrent_activation", "hard_sigmoid")
    if gate not in ("hard_sigmoid", "sigmoid"):
        raise ModelError(f"{file.path}: its LSTM has '{gate}' gates, which MetricGAN has not.")
    slope = file.setting("LeakyReLU", "alpha", LEAKY_SLOPE)
    if not isinstance(slope, (int, float)) or not abs(slope - LEAKY_SLOPE) <= 1e-6:
        raise ModelError(f"{file.path}: its LeakyReLU has slope {slope}, MetricGAN's has {LEAKY_SLOPE}.")
    weights = file.weights
    bins, units, hidden = (
        weights[0].shape[0],
        (weights[1].shape[0], weights[7].shape[0]),
        weights[12].shape[1],
    )
    _check_shapes(file.path, weights, _generator_shapes(bins, units, hidden, directions=2))
    network = metricgan.generator(
        bins,
        units,
        hidden,
        recurrent_activation=keras2_hard_sigmoid if gate == "hard_sigmoid" else "sigmoid",
    )
    assumptions = []
    if variant is None:
        assumptions.append("variant table2 (log1p features); --variant table1 for the TIMIT program's")
    if not file.layers:
        assumptions.append("gates are Keras 2.0's hard sigmoid: a file of weights does not tell")
    hop = bins - 1
    settings = {"compression": VARIANTS[variant or "table2"], "n_fft": 2 * hop, "hop": hop, "tail": hop}
    front_end = _front_end(file.path, "SpectralMaskFrontEnd", settings)
    activation = _hard_sigmoid if gate == "hard_sigmoid" else _sigmoid

    def plain(features):
        x = _bidirectional(features, weights[:6], activation)
        x = _bidirectional(x, weights[6:12], activation)
        x = _leaky(x @ weights[12] + weights[13])
        return _sigmoid(x @ weights[14] + weights[15])

    facts = {"recipe": "metricgan", "converted_from": f"Keras {file.version}"}
    return _convert(network, weights, plain, front_end, "MetricGAN generator", facts, assumptions)


def _sednn(file: Keras2File, scaler: Path | str | None) -> Conversion:
    kernels, biases = file.weights[::2], file.weights[1::2]
    bins = kernels[-1].shape[1]
    frames, rest = divmod(kernels[0].shape[0], bins)
    units = {kernel.shape[1] for kernel in kernels[:-1]}
    if rest or len(units) != 1:
        raise ModelError(f"{file.path}: dense layers, but not those of sednn's network.")
    if frames % 2 == 0:
        raise ModelError(f"{file.path}: takes {frames} frames; sednn's context is an odd number of them.")
    activation = file.setting("Dense", "activation", "relu")
    hidden: dict[str, Callable] = {"relu": lambda x: np.maximum(x, 0), "sigmoid": _sigmoid}
    if not isinstance(activation, str) or activation not in hidden:
        raise ModelError(f"{file.path}: its layers have the activation '{activation}', sednn's 'relu'.")
    sizes = [frames * bins, *[min(units)] * (len(kernels) - 1), bins]
    pairs = zip(sizes[:-1], sizes[1:], strict=True)
    _check_shapes(file.path, file.weights, [shape for pair in pairs for shape in (pair, pair[1:])])
    network = xu.dnn(frames, bins, min(units), len(kernels) - 1, activation)
    mean, scale = _read_scaler(scaler, bins, file.path)
    settings = {
        "n_fft": 2 * (bins - 1),
        "hop": bins - 1,
        "context": frames // 2,
        "mean": mean,
        "scale": scale,
    }
    front_end = _front_end(file.path, "LogSpectrumFrontEnd", settings)

    def plain(features):
        x = features.reshape(len(features), -1)
        for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
            x = hidden[activation](x @ kernel + bias)
        return x @ kernels[-1] + biases[-1]

    facts = {"recipe": "xu", "converted_from": f"Keras {file.version}"}
    return _convert(network, file.weights, plain, front_end, "sednn (Xu et al.) network", facts)


def _read_scaler(path: Path | str | None, bins: int, model: Path) -> tuple[np.ndarray, np.ndarray]:
    if path is None:
        raise ModelUsageError(
            f"{model}: sednn's network needs its scaler, a pickle that is not read here; where you trust it,"
            " numpy.savez('scaler.npz', mean=scaler.mean_, scale=scaler.scale_), then --scaler scaler.npz.",
        )
    stored = archive.read_npz(Path(path))
    try:
        mean, scale = (np.asarray(stored[name], np.float64) for name in ("mean", "scale"))
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path}: no .npz file with the arrays mean and scale ({error}).") from error
    if mean.shape != (bins,) or scale.shape != (bins,):
        raise ModelError(
            f"{path}: mean and scale must have {bins} values each, not {mean.shape}, {scale.shape}."
        )
    return mean, scale


# --- torch


def read_torch(path: Path | str, key: str | None = None) -> dict[str, np.ndarray]:
    """Reads a state dict without running code: from torch's files, or arrays by torch name from `.npz`.

    Args:
        path: The file.
        key: Which part of a checkpoint that holds several networks.

    Returns:
        Arrays by torch name, in the file's order.

    Raises:
        ModelError: If it cannot be read safely or holds several networks.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file; check the path.")
    content = archive.read_npz(path) if path.suffix == ".npz" else _load_torch(path)
    for step in (key or "").split(".") if key else ():
        if not isinstance(content, Mapping) or step not in content:
            raise ModelUsageError(f"{path}: has no part '{key}'; it holds {_listed(content)}.")
        content = content[step]
    while isinstance(content, Mapping) and not any(hasattr(value, "shape") for value in content.values()):
        parts = [name for name, value in content.items() if isinstance(value, Mapping)]
        if len(parts) != 1:
            raise ModelUsageError(f"{path}: name the generator with --key; it holds {_listed(content)}.")
        content = content[parts[0]]
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: holds no arrays by name.")
    arrays = {str(name).removeprefix("module."): v for name, v in content.items() if hasattr(v, "shape")}
    # What a tensor claims by its strides may be far more than what is stored.
    if 4 * sum(math.prod(value.shape) for value in arrays.values()) > limits.MOST_UNPACKED:
        raise ModelError(f"{path}: its arrays take more than {limits.MOST_UNPACKED:,} bytes; it is not read.")
    try:
        return {name: np.asarray(value, np.float32) for name, value in arrays.items()}
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: holds an array that is none of numbers ({error}).") from error


def _listed(content) -> str:
    return ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__


def _load_torch(path: Path):
    try:
        import torch
    except ImportError as error:
        raise ModelError(
            f"{path}: reading it needs torch (the CPU build will do, see pytorch.org); or save its arrays"
            " with numpy.savez under their torch names and give the .npz file."
        ) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling errors are of many kinds
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: not readable without running code from it ({reason}).") from error


def convert_torch(path: Path | str, key: str | None = None) -> Conversion:
    """Converts a generator of SpeechBrain's MetricGAN+ or of MetricGAN-OKD.

    Args:
        path: torch's file, or `.npz` with the same names.
        key: See `read_torch`.

    Returns:
        The model and the proof.

    Raises:
        ModelError: If the file cannot be read or holds another network.
    """
    state = read_torch(path, key)
    try:
        weights = torch_layout.generator(state, two_biases=False)
        prefix = next(name for name in state if name.endswith("weight_ih_l0")).removesuffix("weight_ih_l0")
    except (KeyError, StopIteration, ValueError) as error:
        raise ModelError(
            f"{path}: neither SpeechBrain's MetricGAN+ generator nor MetricGAN-OKD's ({error})."
        ) from error
    causal = f"{prefix}weight_ih_l0_reverse" not in state
    plus = prefix == "blstm.rnn."
    if len(weights) != (11 if causal else 17):
        raise ModelError(
            f"{path}: has {len(weights)} weights; the generator has two LSTM and two dense layers."
        )
    if min(weight.ndim for weight in (weights[0], weights[1], weights[-5])) < 2:
        raise ModelError(f"{path}: its first weights are no matrices; this is another network.")
    bins, units, hidden = weights[0].shape[0], weights[1].shape[0], weights[-5].shape[1]
    shapes = _generator_shapes(bins, (units, units), hidden, directions=1 if causal else 2)
    _check_shapes(path, weights, [*shapes, (bins,)])
    network = metricgan_plus.generator(
        bins=bins,
        units=units,
        hidden=hidden,
        causal=causal,
        torch_bias=False,
        name="metricgan_plus_generator" if plus else "metricgan_okd_generator",
    )

    def plain(x):
        layer = weights[:-5]
        per_layer = len(layer) // 2
        for part in (layer[:per_layer], layer[per_layer:]):
            x = _lstm(x, *part, _sigmoid) if causal else _bidirectional(x, part, _sigmoid)
        kernel, bias, last_kernel, last_bias, slope = weights[-5:]
        x = _leaky(x @ kernel + bias) @ last_kernel + last_bias
        return metricgan_plus.MASK_CEILING * _sigmoid(slope * x)

    kind = ("MetricGAN+" if plus else "MetricGAN-OKD") + (" causal" if causal else "") + " generator"
    facts = {"recipe": "metricgan_plus" if plus else "metricgan_okd", "converted_from": "torch"}
    return _convert(network, weights, plain, metricgan_plus.front_end(), kind, facts)


# --- the plain computation, in double precision


def _sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def _hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0.0, 1.0)


def _leaky(x):
    return np.where(x > 0, x, LEAKY_SLOPE * x)


def _lstm(x, kernel, recurrent_kernel, bias, gate):
    """Runs an LSTM over `(frames, inputs)`; gates i, f, c, o."""
    units = len(recurrent_kernel)
    state, cell, outputs = np.zeros(units), np.zeros(units), []
    for frame in x @ kernel + bias:
        i, f, c, o = np.split(frame + state @ recurrent_kernel, 4)
        cell = gate(f) * cell + gate(i) * np.tanh(c)
        state = gate(o) * np.tanh(cell)
        outputs.append(state)
    return np.array(outputs)


def _bidirectional(x, weights, gate):
    forward = _lstm(x, *weights[:3], gate)
    backward = _lstm(x[::-1], *weights[3:], gate)[::-1]
    return np.concatenate([forward, backward], axis=1)
