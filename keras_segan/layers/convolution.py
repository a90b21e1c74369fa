"""Convolution in a fraction of a CPU's time: large kernels in the frequency domain, tile by tile."""

import functools

import keras
import numpy as np
from keras import ops

from keras_segan import tensorflow_backend

TILE = 32
SMALLEST_TILED_KERNEL = 9  # smaller ones are faster directly


@keras.saving.register_keras_serializable("keras_segan")
class TiledConv2D(keras.layers.Conv2D):
    """`Conv2D` with the same numbers to float32 rounding, in a fraction of the time of training on a CPU.

    The image is cut into overlapping tiles of 32 x 32 positions, tiles and kernel are Fourier
    transformed, multiplied and transformed back (overlap-save). The transforms are written as small
    matrix products, so the whole is differentiable and runs on every Keras backend. An 11 x 11 kernel
    needs about a tenth of the operations of direct convolution. Kernels below 9 x 9 are convolved directly,
    with faster gradients. On a GPU and on other backends than TensorFlow the layer is `Conv2D`.

    Args:
        *args: Of `keras.layers.Conv2D`; stride and dilation 1, `"valid"` padding, channels last, one group.
        **kwargs: Likewise.

    Raises:
        ValueError: For other strides, paddings or a kernel larger than half a tile.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        plain = self.strides == self.dilation_rate == (1, 1) and self.groups == 1
        if not plain or self.padding != "valid" or self.data_format != "channels_last":
            raise ValueError(
                "TiledConv2D needs stride 1, dilation 1, one group, valid padding, channels last."
            )
        if max(self.kernel_size) > TILE // 2:
            raise ValueError(f"TiledConv2D needs kernels of at most {TILE // 2}, not {self.kernel_size}.")

    def convolution_op(self, inputs, kernel):
        """Convolves; see `tiled_convolution`."""
        if not tensorflow_backend.on_cpu():
            return super().convolution_op(inputs, kernel)
        if max(self.kernel_size) < SMALLEST_TILED_KERNEL:
            return tensorflow_backend.convolve(inputs, kernel)
        return tiled_convolution(inputs, kernel)


def tiled_convolution(image, kernel):
    """Valid cross-correlation of an image with a kernel, as `keras.ops.conv` without padding.

    Args:
        image: `(batch, height, width, channels)`; width may be unknown.
        kernel: `(rows, columns, channels, filters)`.

    Returns:
        `(batch, height - rows + 1, width - columns + 1, filters)`.
    """
    rows, columns, channels, filters = kernel.shape
    batch, height, width, _ = ops.shape(image)
    heights, widths = TILE - rows + 1, TILE - columns + 1  # valid outputs of a tile
    down = -(-(height - rows + 1) // heights)
    across = -(-(width - columns + 1) // widths)
    pad_height = (down + 1) * heights - height
    pad_width = (across + 1) * widths - width
    image = ops.pad(image, ((0, 0), (0, pad_height), (0, pad_width), (0, 0)))

    # Rows first, before the columns are cut into tiles: (batch, down, 2 * 17, width, channels).
    x = ops.reshape(image, (batch, down + 1, heights, -1))
    x = _overlapping(x, 1, rows - 1)
    x = _transformed(_real_transform(TILE), x)
    x = ops.reshape(x, (batch * down * 2 * _BINS, across + 1, widths, channels))
    x = _transformed(_complex_transform(TILE), _overlapping(x, 1, columns - 1))
    x = ops.reshape(x, (batch * down, 2, _BINS, across, 2, TILE, channels))
    # (bins, columns, tiles, real | imaginary parts)
    x = ops.concatenate(_complex_product(x, 1, 3), axis=-1)
    x = ops.reshape(ops.transpose(x, (1, 3, 0, 2, 4)), (_BINS * TILE, -1, 2 * channels))

    y = ops.matmul(x, _kernel_spectrum(kernel))
    y = ops.reshape(y, (_BINS, TILE, batch * down, across, 2, filters))
    y = ops.transpose(y, (2, 4, 0, 3, 1, 5))  # (batch * down, part, bins, across, columns, filters)

    y = _transformed(_inverse_complex_transform(TILE, widths), y)
    y = ops.reshape(y, (batch * down, 2, _BINS, across, 2, widths, filters))
    y = ops.stack(_complex_product(y, 1, 3), axis=1)
    y = _transformed(_inverse_real_transform(TILE, heights), ops.reshape(y, (batch * down, 2 * _BINS, -1)))
    y = ops.reshape(y, (batch, down * heights, across * widths, filters))
    return y[:, : height - rows + 1, : width - columns + 1]


_BINS = TILE // 2 + 1


def _transformed(matrix: np.ndarray, x):
    return ops.matmul(ops.convert_to_tensor(matrix, dtype=x.dtype), x)


def _overlapping(blocks, axis: int, overlap: int):
    """Extends each block along `axis` by the beginning of the next one; the last block is used up."""
    return ops.concatenate([blocks[:, :-1], blocks[:, 1:, :overlap]], axis=axis + 1)


def _complex_product(parts, axis: int, inner_axis: int):
    """Adds up the four real products of a complex one.

    Args:
        parts: Axis `axis` is real | imaginary part of one factor; then `inner_axis`, counted without it,
            that of the other.
        axis: See above.
        inner_axis: See above.

    Returns:
        Real and imaginary part, both axes gone.
    """
    # Unstacked, not sliced: the gradient of a slice fills a whole tensor with zeros.
    real, imaginary = ops.unstack(parts, 2, axis=axis)
    real_real, real_imaginary = ops.unstack(real, 2, axis=inner_axis)
    imaginary_real, imaginary_imaginary = ops.unstack(imaginary, 2, axis=inner_axis)
    return real_real - imaginary_imaginary, real_imaginary + imaginary_real


def _kernel_spectrum(kernel):
    """Conjugated spectrum as a real matrix per frequency: `(bins * columns, 2 * channels, 2 * filters)`."""
    rows, columns, channels, filters = kernel.shape
    k = _transformed(_real_transform(rows), ops.reshape(kernel, (rows, -1)))
    k = ops.reshape(k, (2 * _BINS, columns, channels * filters))
    k = ops.reshape(_transformed(_complex_transform(columns), k), (2, _BINS, 2, TILE, channels, filters))
    parts = _complex_product(k, 0, 1)
    real, imaginary = (ops.reshape(part, (_BINS * TILE, channels, filters)) for part in parts)
    top = ops.concatenate([real, -imaginary], axis=-1)
    bottom = ops.concatenate([imaginary, real], axis=-1)
    return ops.concatenate([top, bottom], axis=1)


@functools.cache
def _angles(samples: int) -> np.ndarray:
    return 2 * np.pi * np.outer(np.arange(TILE), np.arange(samples)) / TILE


@functools.cache
def _real_transform(samples: int) -> np.ndarray:
    """Real and imaginary part of the first half of the spectrum of `samples` real values."""
    angles = _angles(samples)[:_BINS]
    return np.concatenate([np.cos(angles), -np.sin(angles)]).astype(np.float32)


@functools.cache
def _complex_transform(samples: int) -> np.ndarray:
    """Cosine and sine part of the whole spectrum, `(2 * TILE, samples)`."""
    angles = _angles(samples)
    return np.concatenate([np.cos(angles), -np.sin(angles)]).astype(np.float32)


@functools.cache
def _inverse_complex_transform(bins: int, samples: int) -> np.ndarray:
    """Cosine and sine part of the first `samples` values, `(2 * samples, bins)`."""
    angles = _angles(samples).T
    return (np.concatenate([np.cos(angles), np.sin(angles)]) / bins).astype(np.float32)


@functools.cache
def _inverse_real_transform(bins: int, samples: int) -> np.ndarray:
    """First `samples` values from real and imaginary part of half a spectrum, `(samples, 2 * _BINS)`."""
    weight = np.full(_BINS, 2.0)
    weight[[0, -1]] = 1.0
    angles = _angles(samples)[:_BINS].T
    return (np.concatenate([np.cos(angles) * weight, -np.sin(angles) * weight], axis=1) / bins).astype(
        np.float32
    )
