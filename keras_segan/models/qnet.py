"""Networks of Q-Net (Fu, Liao, Tsao, IEEE SPL 2020): a score of degraded speech beside the clean one."""

import math
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import layers

from keras_segan.front_ends import MagnitudeFrontEnd
from keras_segan.layers import SpectralNormalization, UnbiasedBatchNormalization
from keras_segan.models import torch_layout
from keras_segan.models.metricgan import CONVOLUTIONS, scores_of_images

BINS = 257
DENSE = (50, 10)
LEAKY_SLOPE = 0.01  # torch's


def network(
    bins: int = BINS,
    convolutions: Sequence[tuple[int, int]] = CONVOLUTIONS,
    dense: Sequence[int] = DENSE,
    name: str = "qnet",
) -> keras.Model:
    """The network of the PyTorch program.

    Args:
        bins: Frequency bins.
        convolutions: Filters and kernel size of each convolution.
        dense: Units of the hidden dense layers.
        name: Name of the model.

    Returns:
        A model from the pair `(batch, bins, frames, 2)`, channels (clean, degraded), to
        `{"score": (batch, 1)}` in (0, 1). Weights are in the program's order; see `torch_weights`.

    Reference:
        seunghyeon528/Q-Net, model.py.
    """
    inputs = layers.Input((bins, None, 2), name="clean_and_degraded")
    x, channels = inputs, 2
    for number, (filters, size) in enumerate(convolutions, start=1):
        bound = 1 / math.sqrt(channels * size * size)
        settings = {**_torch_initialisation(bound), "padding": "same", "name": f"conv_{number}"}
        x = layers.Conv2D(filters, size, **settings)(x)
        x = UnbiasedBatchNormalization(name=f"batch_norm_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
        channels = filters
    x = layers.GlobalAveragePooling2D(name="average")(x)
    for number, units in enumerate((*dense, 1), start=1):
        layer = layers.Dense(units, name=f"dense_{number}", **_torch_initialisation(1 / math.sqrt(channels)))
        x = SpectralNormalization(layer, "miyato", name=f"sn_dense_{number}")(x)
        channels = units
        if number <= len(dense):
            x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=f"leaky_relu_{number}")(x)
    return keras.Model(inputs, {"score": layers.Activation("sigmoid", name="score")(x)}, name=name)


def _torch_initialisation(bound: float) -> dict:
    uniform = keras.initializers.RandomUniform
    return {"kernel_initializer": uniform(-bound, bound), "bias_initializer": uniform(-bound, bound)}


def letter_network(
    bins: int = BINS,
    convolutions: Sequence[tuple[int, int]] = CONVOLUTIONS,
    dense: Sequence[int] = DENSE,
    name: str = "qnet",
) -> keras.Model:
    """The network of the letter: four convolutions, global average, dense layers.

    The letter gives no sizes; these are those of MetricGAN's discriminator, by the same authors. Where
    MetricGAN normalises by the statistics of a batch of one utterance, this network normalises each utterance
    by its own, in training and evaluation alike.

    Args:
        bins: Frequency bins.
        convolutions: Filters and kernel size of each convolution.
        dense: Units of the hidden dense layers.
        name: Name of the model.

    Returns:
        A model from the pair `(batch, bins, frames, 2)`, channels (clean, degraded), to
        `{"score": (batch, 1)}` without bounds.
    """
    inputs = layers.Input((bins, None, 2), name="clean_and_degraded")
    x = layers.GroupNormalization(groups=-1, axis=-1, epsilon=1e-3, name="normalisation")(inputs)
    score = scores_of_images(x, convolutions, dense, 1, "miyato", "tiled")
    return keras.Model(inputs, {"score": score}, name=name)


def minimum_frames(convolutions: Sequence[tuple[int, int]] = CONVOLUTIONS) -> int:
    """Returns the frames that `letter_network` needs, whose convolutions take some away."""
    return 1 + sum(size - 1 for _, size in convolutions)


def scaled(network: keras.Model, factor: float, offset: float) -> keras.Model:
    """Returns a network that gives scores in the measure's own unit.

    Args:
        network: Gives a normalised `score`.
        factor: What it is multiplied by.
        offset: What is added.
    """
    rescaling = layers.Rescaling(factor, offset, name="in_the_measures_unit")
    score = rescaling(network.output["score"])
    return keras.Model(network.input, {"score": score}, name=f"{network.name}_scaled")


def front_end(hop: int = 128, window: str = "hann-periodic", ends: str = "drop") -> MagnitudeFrontEnd:
    """Builds the signal processing; defaults are those of the PyTorch program.

    Reference:
        seunghyeon528/Q-Net, dataset.py.
    """
    return MagnitudeFrontEnd(512, hop, window, ends, normalisation="none")


def torch_weights(state: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Converts the weights of the PyTorch program.

    Args:
        state: Arrays by torch name, in torch's order.

    Returns:
        What `set_weights` of `network` takes.
    """
    weights: list[np.ndarray] = []
    for name in state:
        if name.endswith(".0.weight"):
            layer = name.removesuffix("0.weight")
            weights += [np.asarray(state[name]).transpose(2, 3, 1, 0), np.asarray(state[f"{layer}0.bias"])]
            parts = ("weight", "bias", "running_mean", "running_var")
            weights += [np.asarray(state[f"{layer}1.{part}"]) for part in parts]
        elif name.endswith("weight_orig"):
            weights += torch_layout.spectrally_normalised(state, name.removesuffix("weight_orig"))
    return weights
