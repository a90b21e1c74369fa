"""Networks of CP-GAN (Liu, Gong, Liang, Chen 2020): a pyramid generator, a global and a local judge.

The article states layers, kernels and the widths of blocks and of the local judge; what it leaves open is
marked "ours" in the ledger beside the recipe.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from keras_segan.layers import ChannelPReLU
from keras_segan.models import segan

WIDTHS = (32, 64, 128, 256, 512)
LOCAL_WIDTHS = (32, 64, 96, 128, 256)
LATERAL = 128
GROWTH = 32
KERNEL = 31
LENGTH = 16384
SLOPE = 0.3


def generator(
    widths: Sequence[int] = WIDTHS,
    lateral: int = LATERAL,
    growth: int = GROWTH,
    kernel: int = KERNEL,
    length: int = LENGTH,
    name: str = "cpgan_generator",
) -> keras.Model:
    """The generator: dense blocks down, a feature pyramid up, its levels fused at a quarter of the length.

    Args:
        widths: Channels of the dense blocks, each of which halves the length.
        lateral: Channels of the pyramid.
        growth: Channels that a dense convolution adds.
        kernel: Length of the convolutions.
        length: Samples of a window.
        name: Name of the model.

    Returns:
        A model from `(batch, length, 1)` to the same shape.

    Raises:
        ValueError: For fewer than two blocks, or a length that cannot be halved that often.

    Reference:
        Paper, figure 1.
    """
    if len(widths) < 2:
        raise ValueError(f"widths must name at least two blocks, not {len(widths)}.")
    segan.coded_length(length, len(widths))
    noisy = layers.Input((length, 1), name="noisy")
    x = _activated(_convolution(widths[0], kernel, "stem")(noisy), "stem")
    features = []
    for number, width in enumerate(widths):
        x = dense_block(x, width, growth, kernel, f"block_{number}")
        features.append(_convolution(lateral, 1, f"lateral_{number}")(x))
    x = _fused(features[1:], lateral, kernel)
    x = _activated(_doubled(x, lateral, kernel, "head_0"), "head_0")
    x = layers.Add(name="head_add")([x, features[0]])
    x = _activated(_doubled(x, lateral, kernel, "head_1"), "head_1")
    return keras.Model(noisy, _convolution(1, kernel, "enhanced", activation="tanh")(x), name=name)


def dense_block(x: Any, width: int, growth: int, kernel: int, name: str) -> Any:
    """Four convolutions that see all before them, the last one added to the input, and one that halves.

    Args:
        x: `(batch, length, channels)`.
        width: Channels of the output.
        growth: Channels of each of the first three convolutions; the fourth has those of the input.
        kernel: Length of the convolutions.
        name: Beginning of the layers' names.

    Returns:
        `(batch, length / 2, width)`.
    """
    channels, seen = x.shape[-1], x
    for number in range(3):
        convolution = _convolution(growth, kernel, f"{name}_dense_{number}")
        grown = _activated(convolution(seen), f"{name}_dense_{number}")
        seen = layers.Concatenate(name=f"{name}_seen_{number}")([seen, grown])
    last = _convolution(channels, kernel, f"{name}_dense_3")(seen)
    x = _activated(layers.Add(name=f"{name}_add")([last, x]), f"{name}_add")
    return _activated(_convolution(width, kernel, f"{name}_down", strides=2)(x), f"{name}_down")


def global_discriminator(
    depths: Sequence[int] = segan.DEPTHS,
    kernel: int = KERNEL,
    length: int = LENGTH,
    normalisation: str = "virtual",
    name: str = "cpgan_global",
) -> keras.Model:
    """The global judge: SEGAN's convolutions and one dense layer.

    Args:
        depths: Channels of the convolutions.
        kernel: Their length.
        length: Samples of a window.
        normalisation: See `segan.discriminator`.
        name: Name of the model.

    Returns:
        A model from `[real, judged]`, pairs as `segan.pair` makes them, to logits `(batch, 1)` of each.
    """
    segan.coded_length(length, len(depths))
    inputs = [layers.Input((length, 2), name=each) for each in ("real", "judged")]
    x = segan.convolutions(inputs, depths, kernel, bias=True, normalisation=normalisation)
    flatten, score = layers.Flatten(name="flatten"), layers.Dense(1, name="score")
    return keras.Model(inputs, [score(flatten(each)) for each in x], name=name)


def local_discriminator(
    widths: Sequence[int] = LOCAL_WIDTHS, kernel: int = KERNEL, units: int = 100, name: str = "cpgan_local"
) -> keras.Model:
    """The local judge, for segments of any length.

    Args:
        widths: Channels of the convolutions, which halve the length.
        kernel: Their length.
        units: Units of the dense layer before the last one.
        name: Name of the model.

    Returns:
        A model from pairs `(batch, samples, 2)` to logits `(batch, 1)`.
    """
    x = segment = layers.Input((None, 2), name="segment")
    for number, width in enumerate(widths):
        x = _convolution(width, kernel, f"downconv_{number}", strides=2)(x)
        x = layers.LeakyReLU(SLOPE, name=f"leaky_{number}")(x)
    x = layers.GlobalAveragePooling1D(name="average")(x)
    x = layers.LeakyReLU(SLOPE, name="leaky")(layers.Dense(units, name="dense")(x))
    return keras.Model(segment, layers.Dense(1, name="score")(x), name=name)


def segments(pairs: Any, positions: Any) -> Any:
    """Takes segments out of pairs.

    Args:
        pairs: `(batch, length, 2)`.
        positions: Samples of each segment, whole numbers `(batch, segments, samples)`.

    Returns:
        `(batch x segments, samples, 2)`.
    """
    shape = ops.shape(positions)
    flat = ops.cast(ops.reshape(positions, (shape[0], -1, 1)), "int32")
    taken = ops.take_along_axis(pairs, ops.repeat(flat, 2, axis=-1), axis=1)
    return ops.reshape(taken, (-1, shape[2], 2))


def _fused(features: list[Any], lateral: int, kernel: int) -> Any:
    """Goes down the pyramid and puts its levels together at the length of the finest."""
    x = features[-1]
    pyramid = [x]
    for number, feature in enumerate(reversed(features[:-1])):
        x = layers.UpSampling1D(2, name=f"pyramid_up_{number}")(x)
        x = layers.Add(name=f"pyramid_{number}")([x, feature])
        pyramid.append(x)
    count = len(pyramid)
    same = [
        layers.UpSampling1D(2 ** (count - 1 - number), name=f"fusion_up_{number}")(level)
        for number, level in enumerate(pyramid)
    ]
    x = layers.Concatenate(name="fusion_all")(same) if count > 1 else same[0]
    return _activated(_convolution(lateral, kernel, "fusion")(x), "fusion")


def _doubled(x: Any, width: int, kernel: int, name: str) -> Any:
    return _convolution(width, kernel, name)(layers.UpSampling1D(2, name=f"{name}_up")(x))


def _activated(x: Any, name: str) -> Any:
    return ChannelPReLU(name=f"{name}_prelu")(x)


def _convolution(width: int, kernel: int, name: str, **kwargs: Any) -> layers.Conv1D:
    initial = segan.initial_kernel()
    return layers.Conv1D(width, kernel, padding="same", kernel_initializer=initial, name=name, **kwargs)
