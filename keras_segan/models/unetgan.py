"""Networks of UNetGAN (Hao et al. 2019), and Wave-U-Net as its first author has it, the paper's baseline.

Weights come in the order of the authors' PyTorch modules: of each block kernel and bias of the convolution,
then scale, offset, moving mean and moving variance of its batch normalisation. A kernel
`(out, in, size)` of PyTorch is ours with the axes turned round.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from keras_segan.layers import Decimation, LinearUpsampling, UnbiasedBatchNormalization

LENGTH = 16384
DILATIONS = (1, 2, 4)
WIDTHS = (64, 128, 256)
SLOPE = 0.1


def generator(
    levels: int = 8,
    interval: int = 24,
    length: int = LENGTH,
    dilations: Sequence[int] = DILATIONS,
    sees_input: bool = False,
    name: str = "unetgan_generator",
) -> keras.Model:
    """The generator: a U-Net on the waveform with dilated convolutions at its bottom.

    Args:
        levels: How often the length is halved and doubled.
        interval: Channels that each level adds.
        length: Samples of a window.
        dilations: Of the convolutions at the bottom.
        sees_input: Whether the last convolution sees the noisy waveform besides, as in Wave-U-Net.
        name: Name of the model.

    Returns:
        A model from `(batch, length, 1)` to the same shape.

    Raises:
        ValueError: If the length cannot be halved that often.

    Reference:
        Paper, figure 1; blocks as in the first author's Wave-U-Net.
    """
    noisy = layers.Input((length, 1), name="noisy")
    x, skips = _down(noisy, levels, interval)
    for number, dilation in enumerate(dilations):
        x = _block(x, levels * interval, 3, f"dilated_{number}", dilation)
    return keras.Model(noisy, _up(x, skips, noisy if sees_input else None), name=name)


def wave_unet(
    levels: int = 12, interval: int = 24, length: int = LENGTH, name: str = "wave_unet"
) -> keras.Model:
    """Wave-U-Net (Stoller et al. 2018) in the first author's form.

    Args:
        levels: See `generator`, as the other arguments.
        interval: See there.
        length: See there.
        name: Name of the model.

    Returns:
        A model from `(batch, length, 1)` to the same shape.

    Reference:
        haoxiangsnr/Wave-U-Net-for-Speech-Enhancement, model/unet_basic.py.
    """
    noisy = layers.Input((length, 1), name="noisy")
    x, skips = _down(noisy, levels, interval)
    x = _block(x, levels * interval, 15, "middle")
    return keras.Model(noisy, _up(x, skips, noisy), name=name)


def discriminator(
    widths: Sequence[int] = WIDTHS, length: int = LENGTH, name: str = "unetgan_discriminator"
) -> keras.Model:
    """The discriminator, which judges every eighth position.

    Args:
        widths: Channels of the convolutions, each of which halves the length.
        length: Samples of a window.
        name: Name of the model.

    Returns:
        A model from a pair, see `pair`, to logits `(batch, length / 2^n, 1)`; the program has the sigmoid in
        the network, here it is in the losses.

    Reference:
        Paper, figure 2.
    """
    x = judged = layers.Input((length, 2), name="pair")
    for number, width in enumerate(widths):
        x = _block(x, width, 16, f"block_{number}", strides=2)
    return keras.Model(judged, _convolution(1, 1, x.shape[-1], "logits")(x), name=name)


def pair(noisy: Any, candidate: Any) -> Any:
    """Returns what the discriminator sees, `(batch, length, 2)`: the noisy waveform comes first."""
    return ops.concatenate([noisy, candidate], axis=-1)


def _down(x: Any, levels: int, interval: int) -> tuple[Any, list[Any]]:
    if x.shape[1] % 2**levels:
        raise ValueError(f"A window of {x.shape[1]} samples cannot be halved {levels} times.")
    skips = []
    for level in range(1, levels + 1):
        x = _block(x, level * interval, 15, f"encoder_{level - 1}")
        skips.append(x)  # before every second position goes
        x = Decimation(name=f"down_{level - 1}")(x)
    return x, skips


def _up(x: Any, skips: list[Any], noisy: Any = None) -> Any:
    for number, skip in enumerate(reversed(skips)):
        x = LinearUpsampling(name=f"up_{number}")(x)
        x = layers.Concatenate(name=f"skip_{number}")([x, skip])
        x = _block(x, skip.shape[-1], 5, f"decoder_{number}")
    if noisy is not None:
        x = layers.Concatenate(name="with_input")([x, noisy])
    return layers.Activation("tanh", name="enhanced")(_convolution(1, 1, x.shape[-1], "out")(x))


def _block(x: Any, width: int, kernel: int, name: str, dilation: int = 1, strides: int = 1) -> Any:
    convolution = _convolution(width, kernel, x.shape[-1], name, dilation_rate=dilation, strides=strides)
    x = UnbiasedBatchNormalization(name=f"{name}_norm")(convolution(x))
    return layers.LeakyReLU(SLOPE, name=f"{name}_leaky")(x)


def _convolution(width: int, kernel: int, channels: int, name: str, **kwargs: Any) -> layers.Conv1D:
    """PyTorch's initial weights: kernel and bias uniform within 1 / sqrt(inputs)."""
    limit = (kernel * channels) ** -0.5
    initial = [keras.initializers.RandomUniform(-limit, limit) for _ in range(2)]
    options: dict[str, Any] = {
        "padding": "same",
        "kernel_initializer": initial[0],
        "bias_initializer": initial[1],
    }
    return layers.Conv1D(width, kernel, name=name, **options, **kwargs)
