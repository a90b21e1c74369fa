"""Networks of SEGAN (Pascual, Bonafonte, Serrà 2017): a waveform encoder and decoder, and its judge.

A kernel of the original, `(31, 1, in, out)` or, transposed, `(31, 1, out, in)`, is ours without its second
axis; the weights come in the original's order. Keras pads 14 zeros before and 15 behind, as the original.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from keras_segan.layers import ChannelPReLU, ReferenceBatchNormalization

DEPTHS = (16, 32, 32, 64, 64, 128, 128, 256, 256, 512, 1024)
KERNEL = 31
LENGTH = 16384
NORMALISATIONS = ("virtual", "batch")


def generator(
    depths: Sequence[int] = DEPTHS,
    kernel: int = KERNEL,
    length: int = LENGTH,
    bias: bool = True,
    name: str = "segan_generator",
) -> keras.Model:
    """The generator: strided convolutions down to a code, latent noise beside it, and up again.

    Args:
        depths: Channels of the encoder's layers, each of which halves the length.
        kernel: Length of the convolutions in samples.
        length: Samples of a window.
        bias: Whether convolutions have biases ("v1.1" of the original) or none has ("v1").
        name: Name of the model.

    Returns:
        A model from `[noisy (batch, length, 1), latent (batch, length / 2^n, depths[-1])]` to the enhanced
        `(batch, length, 1)`; weights: kernel, bias and slopes of each layer.

    Raises:
        ValueError: If the length cannot be halved as often as there are depths.

    Reference:
        The released program, generator.py, `AEGenerator`.
    """
    coded = coded_length(length, len(depths))
    noisy = x = layers.Input((length, 1), name="noisy")
    latent = layers.Input((coded, depths[-1]), name="latent")
    skips = []
    for number, depth in enumerate(depths):
        x = _convolution(depth, kernel, bias, f"enc_{number}")(x)
        skips.append(x)  # linear: before the slopes
        x = ChannelPReLU(name=f"enc_prelu_{number}")(x)
    x = layers.Concatenate(name="code")([latent, x])
    for number, depth in enumerate((*depths[-2::-1], 1)):
        is_last = number == len(depths) - 1
        transposed = layers.Conv1DTranspose(
            depth,
            kernel,
            strides=2,
            padding="same",
            use_bias=bias,
            kernel_initializer=initial_kernel(),
            activation="tanh" if is_last else None,
            name=f"dec_{number}",
        )
        x = transposed(x)
        if not is_last:
            x = ChannelPReLU(name=f"dec_prelu_{number}")(x)
            x = layers.Concatenate(name=f"skip_{number}")([x, skips[-2 - number]])
    return keras.Model([noisy, latent], x, name=name)


def coded_length(length: int, halvings: int) -> int:
    """Returns the length of the code, `length / 2^halvings`.

    Raises:
        ValueError: If that is no whole number.
    """
    if length % 2**halvings:
        raise ValueError(f"A window of {length} samples cannot be halved {halvings} times.")
    return length // 2**halvings


def discriminator(
    depths: Sequence[int] = DEPTHS,
    kernel: int = KERNEL,
    length: int = LENGTH,
    bias: bool = True,
    normalisation: str = "virtual",
    groups: int = 1,
    name: str = "segan_discriminator",
) -> keras.Model:
    """The discriminator, which sees the real pair and the one to judge in one call.

    Args:
        depths: Channels of the layers, each of which halves the length.
        kernel: Length of the convolutions in samples.
        length: Samples of a window.
        bias: Whether convolutions have biases; they move nothing, because the normalisation takes them off.
        normalisation: `"virtual"`: by the real pairs of the batch, see `ReferenceBatchNormalization`;
            `"batch"`: each batch by itself.
        groups: Devices that share the batch, each with moments of its own; the reference is the first one's.
        name: Name of the model.

    Returns:
        A model from `[real, judged]`, both `(batch, length, 2)` as `pair` makes them, to a score without
        bounds `(batch, 1)` of each. Weights: kernel, bias, gamma and beta of each layer, kernel of the 1 x 1
        convolution, kernel and bias of the last layer.

    Raises:
        ValueError: For an unknown normalisation, or if the length cannot be halved that often.

    Reference:
        The released program, discriminator.py and bnorm.py.
    """
    coded_length(length, len(depths))
    inputs = [layers.Input((length, 2), name=each) for each in ("real", "judged")]
    x = convolutions(inputs, depths, kernel, bias, normalisation=normalisation, groups=groups)
    logits = layers.Conv1D(1, 1, use_bias=False, kernel_initializer=initial_kernel(), name="logits_conv")
    flatten, score = layers.Flatten(name="flatten"), layers.Dense(1, name="fully_connected")
    return keras.Model(inputs, [score(flatten(logits(each))) for each in x], name=name)


def convolutions(
    inputs: list[Any],
    depths: Sequence[int],
    kernel: int,
    bias: bool,
    normalisation: str = "virtual",
    groups: int = 1,
) -> list[Any]:
    """Sends several batches through the discriminator's convolutions together.

    Args:
        inputs: Tensors `(batch, length, channels)`, the reference first.
        depths: See `discriminator`, as the other arguments.
        kernel: See there.
        bias: See there.
        normalisation: See there.
        groups: See there.

    Returns:
        For each input `(batch, length / 2^n, depths[-1])`.
    """
    if normalisation not in NORMALISATIONS:
        raise ValueError(f"normalisation must be one of {', '.join(NORMALISATIONS)}, not '{normalisation}'.")
    x = inputs
    for number, depth in enumerate(depths):
        convolution = _convolution(depth, kernel, bias, f"downconv_{number}")
        x = [convolution(each) for each in x]
        norm = ReferenceBatchNormalization(groups, normalisation == "virtual", name=f"vbn_{number}")
        leaky = layers.LeakyReLU(0.3, name=f"leaky_{number}")
        x = [leaky(each) for each in norm(x)]
    return x


def pair(wave: Any, noisy: Any) -> Any:
    """Returns what the discriminator sees of a waveform: beside it the noisy one, `(batch, length, 2)`."""
    return ops.concatenate([wave, noisy], axis=-1)


def initial_kernel() -> keras.initializers.Initializer:
    """Returns the initialiser of all kernels: normal, cut at two standard deviations of 0.02."""
    return keras.initializers.TruncatedNormal(stddev=0.02)


def _convolution(depth: int, kernel: int, bias: bool, name: str) -> layers.Conv1D:
    initial = initial_kernel()
    return layers.Conv1D(
        depth, kernel, strides=2, padding="same", use_bias=bias, kernel_initializer=initial, name=name
    )
