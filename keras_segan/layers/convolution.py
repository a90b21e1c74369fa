"""Convolution in a fraction of a CPU's time: large kernels in the frequency domain, tile by tile."""

import keras
import numpy as np
from keras import ops

from keras_segan import backends, kernels
from keras_segan.kernels.channels import missing_channels

LARGEST_TILE = 36  # positions a side
LARGEST_KERNEL = 16
SMALLEST_TILED_KERNEL = 9  # smaller ones are faster directly


@keras.saving.register_keras_serializable("keras_segan")
class TiledConv2D(keras.layers.Conv2D):
    """`Conv2D` with the same numbers to float32 rounding, in a fraction of the time of training on a CPU.

    The image is cut into overlapping tiles of up to 36 x 36 positions, tiles and kernel are Fourier
    transformed, multiplied and transformed back (overlap-save). The transforms are written as
    matrix products, so the whole is differentiable and runs on every Keras backend. An 11 x 11 kernel
    needs about a tenth of the operations of direct convolution. Kernels below 9 x 9 are convolved directly,
    with faster gradients where there is a kernel for them. On a GPU the layer is `Conv2D`.

    A CPU computes 16 channels faster than 15. So that they need not be copied at every layer, a layer may
    hand over `spare_channels` to the next one, which is told how many `channels` count.

    Args:
        *args: Of `keras.layers.Conv2D`; stride and dilation 1, `"valid"` padding, channels last, one group.
        channels: Channels of the image; what it has beyond them is spare and left out of account. By
            default all count.
        spare_channels: Whether channels without content follow the filters' own, up to a multiple of 8,
            where that makes at most an eighth more of them.
        **kwargs: Likewise.

    Raises:
        ValueError: For other strides, paddings or a kernel larger than 16 x 16.
    """

    def __init__(self, *args, channels: int | None = None, spare_channels: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        self.channels = channels
        self.spare_channels = spare_channels
        plain = self.strides == self.dilation_rate == (1, 1) and self.groups == 1
        if not plain or self.padding != "valid" or self.data_format != "channels_last":
            raise ValueError(
                "TiledConv2D needs stride 1, dilation 1, one group, valid padding, channels last."
            )
        if max(self.kernel_size) > LARGEST_KERNEL:
            raise ValueError(f"TiledConv2D has kernels of at most {LARGEST_KERNEL}, not {self.kernel_size}.")

    @property
    def output_channels(self) -> int:
        """The filters, with spare channels if there are any."""
        spare = missing_channels(self.filters) if self.spare_channels else 0
        return self.filters + spare

    def build(self, input_shape):
        """Creates kernel and bias, without anything for spare channels."""
        super().build((*input_shape[:-1], self.channels or input_shape[-1]))
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        """Applies the layer."""
        return self.activation(add_bias(self.convolution_op(inputs, self.kernel), self.bias))

    def convolution_op(self, inputs, kernel):
        """Convolves; see `tiled_convolution`."""
        spare = inputs.shape[-1] - kernel.shape[-2], self.output_channels - self.filters
        if any(spare):
            kernel = ops.pad(kernel, ((0, 0), (0, 0), *((0, count) for count in spare)))
        if backends.on_cpu() and max(self.kernel_size) >= SMALLEST_TILED_KERNEL:
            return tiled_convolution(inputs, kernel)
        convolve = kernels.find_faster("convolution") or super().convolution_op
        return convolve(inputs, kernel)

    def compute_output_shape(self, input_shape):
        """The shape with spare channels."""
        shape = super().compute_output_shape((*input_shape[:-1], self.channels or input_shape[-1]))
        return (*shape[:-1], self.output_channels)

    def get_config(self):
        """Configuration for serialisation."""
        own = {"channels": self.channels, "spare_channels": self.spare_channels}
        return {**super().get_config(), **own}


def add_bias(outputs, bias):
    """Adds a bias to the channels that it has a value for.

    Args:
        outputs: Of a convolution, channels last; there may be spare ones.
        bias: `(filters,)` or `None`.

    Returns:
        A tensor of the same shape.
    """
    if bias is None:
        return outputs
    spare = outputs.shape[-1] - bias.shape[0]
    return outputs + (ops.pad(bias, ((0, spare),)) if spare else bias)


def tiled_convolution(image, kernel):
    """Valid cross-correlation of an image with a kernel, as `keras.ops.conv` without padding.

    Args:
        image: `(batch, height, width, channels)`; sizes but the channels may be unknown.
        kernel: `(rows, columns, channels, filters)`.

    Returns:
        `(batch, height - rows + 1, width - columns + 1, filters)`.
    """
    rows, columns, channels, filters = kernel.shape
    batch, height, width, _ = ops.shape(image)
    down, heights, tile_rows = _tiles(height - rows + 1, rows - 1)
    across, widths, tile_columns = _tiles(width - columns + 1, columns - 1)
    pad_height = (down + 1) * heights - height
    pad_width = (across + 1) * widths - width
    image = ops.pad(image, ((0, 0), (0, pad_height), (0, pad_width), (0, 0)))
    bins, strips = tile_rows // 2 + 1, batch * down

    # The axis to be transformed comes first and channels come last, so that every transform is a few large
    # matrix products. Rows before the image is cut across: half of a real spectrum is enough.
    x = _overlapping(ops.reshape(image, (batch, down + 1, heights, -1)), 1, rows - 1)
    x = _transformed(_real_transform(tile_rows, tile_rows), x)
    x = ops.reshape(x, (strips, 2, bins, (across + 1) * widths, channels))
    x = ops.reshape(ops.transpose(x, (3, 1, 0, 2, 4)), (across + 1, widths, -1))
    x = ops.reshape(_overlapping(x, 0, columns - 1), (across, 2 * tile_columns, -1))
    x = _transformed(_complex_transform(tile_columns, tile_columns), x)
    x = ops.reshape(x, (across, 2, tile_columns, strips, bins, channels))
    x = ops.reshape(ops.transpose(x, (2, 4, 0, 3, 1, 5)), (tile_columns * bins, -1, 2 * channels))

    y = ops.matmul(x, _kernel_spectrum(kernel, tile_rows, tile_columns))
    y = ops.reshape(y, (tile_columns, bins, across, strips, 2, filters))

    y = ops.reshape(ops.transpose(y, (2, 0, 4, 3, 1, 5)), (across, 2 * tile_columns, -1))
    y = _transformed(_inverse_complex_transform(tile_columns, widths), y)
    y = ops.reshape(y, (across * widths, 2, strips, bins, filters))
    y = ops.reshape(ops.transpose(y, (2, 1, 3, 0, 4)), (strips, 2 * bins, -1))
    y = _transformed(_inverse_real_transform(tile_rows, heights), y)
    y = ops.reshape(y, (batch, down * heights, across * widths, filters))
    return y[:, : height - rows + 1, : width - columns + 1]


def _tiles(outputs, overlap: int):
    """Returns the number of tiles along an axis, the valid outputs of each, and its positions."""
    count = -(-outputs // (LARGEST_TILE - overlap))
    each = -(-outputs // count)  # of one size, so that little is padded
    each = max(each, overlap) if isinstance(each, int) else ops.maximum(each, overlap)
    return count, each, each + overlap


def _overlapping(blocks, axis: int, overlap: int):
    """Extends each block along `axis` by the beginning of the next one; the last block is used up."""
    lead = (slice(None),) * axis
    extension = blocks[(*lead, slice(1, None), slice(overlap))]
    return ops.concatenate([blocks[(*lead, slice(-1))], extension], axis=axis + 1)


def _kernel_spectrum(kernel, tile_rows, tile_columns):
    """Conjugated spectrum as a real matrix per frequency: `(bins, 2 * channels, 2 * filters)`."""
    rows, columns, channels, filters = kernel.shape
    bins = tile_rows // 2 + 1
    k = _transformed(_real_transform(tile_rows, rows), ops.reshape(kernel, (rows, -1)))
    k = ops.transpose(ops.reshape(k, (2, bins, columns, channels * filters)), (2, 0, 1, 3))
    k = _transformed(_complex_transform(tile_columns, columns), ops.reshape(k, (2 * columns, -1)))
    real, imaginary = ops.unstack(ops.reshape(k, (2, tile_columns * bins, channels, filters)), 2, axis=0)
    top = ops.concatenate([real, -imaginary], axis=-1)
    bottom = ops.concatenate([imaginary, real], axis=-1)
    return ops.concatenate([top, bottom], axis=1)


def _transformed(matrix, x):
    return ops.matmul(ops.cast(matrix, x.dtype), x)


def _waves(tile, samples):
    """Cosine and sine `(frequencies, samples)` of a Fourier transform over `tile` positions, in float64.

    Also returns the functions to go on with: NumPy's where the sizes are known.
    """
    math = np if isinstance(tile, int) and isinstance(samples, int) else ops
    turns = math.arange(tile, dtype="int32")[:, None] * math.arange(samples, dtype="int32")[None] % tile
    angles = _double(turns) * (2 * np.pi / _double(tile))
    return math.cos(angles), math.sin(angles), math


def _double(x):
    return np.float64(x) if isinstance(x, int | np.ndarray) else ops.cast(x, "float64")


def _real_transform(tile, samples):
    """Real and imaginary part of the first half of the spectrum of real values, `(2 * bins, samples)`."""
    cosine, sine, math = _waves(tile, samples)
    bins = tile // 2 + 1
    return math.concatenate([cosine[:bins], -sine[:bins]], axis=0)


def _inverse_real_transform(tile, samples):
    """First `samples` real values from both parts of half a spectrum, `(samples, 2 * bins)`."""
    cosine, sine, math = _waves(tile, samples)
    bins = tile // 2 + 1
    has_mirror_image = 2 * math.arange(bins, dtype="int32")[:, None] % tile != 0  # in the other half
    weight = (1 + _double(has_mirror_image)) / _double(tile)
    return math.transpose(math.concatenate([cosine[:bins] * weight, -sine[:bins] * weight], axis=0))


def _complex_transform(tile, samples):
    """From (sample, part) to (part, frequency), parts being real and imaginary, `(2 * tile, 2 * samples)`."""
    cosine, sine, math = _waves(tile, samples)
    parts = [math.stack([cosine, sine], axis=-1), math.stack([-sine, cosine], axis=-1)]
    return math.reshape(math.stack(parts), (2 * tile, 2 * samples))


def _inverse_complex_transform(tile, samples):
    """From (frequency, part) to the first samples as (sample, part), `(2 * samples, 2 * tile)`."""
    cosine, sine, math = _waves(tile, samples)
    cosine, sine = math.transpose(cosine), math.transpose(sine)
    parts = [math.stack([cosine, -sine], axis=-1), math.stack([sine, cosine], axis=-1)]
    return math.reshape(math.stack(parts, axis=1), (2 * samples, 2 * tile)) / _double(tile)
