"""Weights of the torch programs as weight lists of our networks: NumPy only, neither torch nor Keras.

torch keeps `(outputs, inputs)` and `(outputs, inputs, rows, columns)`, Keras `(inputs, outputs)` and
`(rows, columns, inputs, outputs)`; both order the gates of an LSTM input, forget, cell, output. Names of
modules are not looked at, only their order and the names that torch itself gives to parameters, so that the
files of SpeechBrain and of the authors of MetricGAN-OKD are read alike.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

State = Mapping[str, np.ndarray]


def generator(state: State, two_biases: bool = True) -> list[np.ndarray]:
    """Converts a MetricGAN+ or MetricGAN-OKD generator.

    Args:
        state: Arrays by torch name, in torch's order: LSTM, two dense layers, slopes.
        two_biases: As the network was built; with `False` the two biases of the LSTM are added up.

    Returns:
        What `set_weights` of `models.metricgan_plus.generator` takes.

    Raises:
        KeyError: If there is no LSTM or no slope in the state.
    """
    prefix = _only(state, "weight_ih_l0")
    weights = []
    for layer in range(sum(name.startswith(f"{prefix}weight_ih_l") for name in state)):
        for direction in ("", "_reverse"):
            if f"{prefix}weight_ih_l{layer}{direction}" in state:
                weights += lstm(state, prefix, f"_l{layer}{direction}", two_biases)
    for name in state:
        if name.endswith(".weight") and not name.startswith(prefix):
            weights += dense(state, name.removesuffix("weight"))
    return [*weights, _array(state[_only(state, "slope") + "slope"])]


def discriminator(state: State) -> list[np.ndarray]:
    """Converts a MetricGAN+ or MetricGAN-OKD discriminator.

    Args:
        state: Arrays by torch name: batch normalisation, then spectrally normalised convolutions and
            dense layers in the order of their use.

    Returns:
        What `set_weights` of `models.metricgan_plus.discriminator` takes.

    Raises:
        KeyError: If there is no batch normalisation in the state.
    """
    norm = _only(state, "running_mean")
    weights = [_array(state[norm + name]) for name in ("weight", "bias", "running_mean", "running_var")]
    for name in state:
        if name.endswith("weight_orig"):
            weights += spectrally_normalised(state, name.removesuffix("weight_orig"))
    return weights


def lstm(state: State, prefix: str, suffix: str, two_biases: bool = True) -> list[np.ndarray]:
    """Converts one direction of one LSTM layer.

    Args:
        state: Arrays by torch name.
        prefix: What precedes the names, such as `"lstm."`.
        suffix: What follows them, such as `"_l0_reverse"`.
        two_biases: Whether to keep both biases or their sum.

    Returns:
        Kernel, recurrent kernel and bias or biases.
    """
    kernel, recurrent, bias, recurrent_bias = (
        _array(state[f"{prefix}{name}{suffix}"]) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    biases = [bias, recurrent_bias] if two_biases else [bias + recurrent_bias]
    return [kernel.T, recurrent.T, *biases]


def dense(state: State, prefix: str) -> list[np.ndarray]:
    """Converts a dense layer, without its module's name: kernel and bias."""
    return [_array(state[prefix + "weight"]).T, _array(state[prefix + "bias"])]


def spectrally_normalised(state: State, prefix: str) -> list[np.ndarray]:
    """Converts a dense layer or 2-D convolution under `torch.nn.utils.spectral_norm`.

    Args:
        state: Arrays by torch name.
        prefix: What precedes the names, such as `"conv1."`.

    Returns:
        Kernel, bias, u `(1, outputs)` and v `(1, inputs)` in the order of the flattened Keras kernel.
    """
    kernel, bias, u, v = (
        _array(state[prefix + name]) for name in ("weight_orig", "bias", "weight_u", "weight_v")
    )
    inputs = kernel.shape[1:]
    if kernel.ndim == 4:
        kernel, v = kernel.transpose(2, 3, 1, 0), v.reshape(inputs).transpose(1, 2, 0)
    else:
        kernel = kernel.T
    return [kernel, bias, u.reshape(1, -1), v.reshape(1, -1)]


def _only(state: State, ending: str) -> str:
    """Returns what precedes the one name with an ending."""
    found = [name.removesuffix(ending) for name in state if name.endswith(ending)]
    if len(found) != 1:
        raise KeyError(f"{len(found)} arrays are named ...{ending}, one is expected")
    return found[0]


def _array(values: ArrayLike) -> np.ndarray:
    return np.asarray(values, np.float32)
