"""Convolution on TensorFlow with gradients that do not wait for TensorFlow's own."""

import tensorflow

from keras_segan.kernels.channels import missing_channels

_FEW_CHANNELS = 4  # of image or filters; a product of so few is too narrow
_COLUMNS_AT_ONCE = 4  # then as many neighbouring columns are taken for channels
_MANY_FILTERS = 48  # above, a product for each position is faster than one for all


def convolution(image, kernel):
    """Valid cross-correlation with small kernels, whose gradients do not wait for TensorFlow's own.

    On a CPU TensorFlow's gradient operations of a convolution take five times as long as the convolution
    of 5 x 5 kernels itself. Here the image's gradient is a convolution with the flipped kernel, the
    kernel's is made of matrix products. Where few are missing, input channels are padded with zeros to a
    multiple of eight; up to four channels or filters are too few for a product, so there four neighbouring
    columns are taken for channels. The gradient has no gradient of its own.

    Args:
        image: `(batch, height, width, channels)`; sizes but the channels may be unknown.
        kernel: `(rows, columns, channels, filters)`.

    Returns:
        `(batch, height - rows + 1, width - columns + 1, filters)`.
    """
    return _convolution(*map(tensorflow.convert_to_tensor, (image, kernel)))


def _padded_convolution(image, kernel, rows=0, columns=0):
    """Convolves an image with `rows` and `columns` of zeros on each side."""
    if min(kernel.shape[2:]) <= _FEW_CHANNELS:
        return _convolution_by_groups(image, kernel, rows, columns)
    around = [[0, 0], [rows] * 2, [columns] * 2, [0, 0]]
    if missing := missing_channels(kernel.shape[2]):
        image = tensorflow.pad(image, [*around[:3], [0, missing]])
        kernel = tensorflow.pad(kernel, [[0, 0], [0, 0], [0, missing], [0, 0]])
        around = "VALID"
    return tensorflow.nn.conv2d(image, kernel, 1, around)


def _convolution_by_groups(image, kernel, rows, columns):
    """Convolves groups of neighbouring columns, so that they are laid out for the product only once."""
    count = _COLUMNS_AT_ONCE
    height, width, channels, filters = kernel.shape
    batch, image_rows, image_columns, _ = tensorflow.unstack(tensorflow.shape(image))
    results = image_columns + 2 * columns - width + 1
    kernel_groups = -(-(width + count - 1) // count)
    groups = -(-results // count) + kernel_groups - 1
    right = groups * count - image_columns - columns
    image = tensorflow.pad(image, [[0, 0], [rows] * 2, [columns, right], [0, 0]])
    image = tensorflow.reshape(image, [batch, -1, groups, count * channels])
    spare = kernel_groups * count - width
    shifted = [
        tensorflow.pad(kernel, [[0, 0], [shift, spare - shift], [0, 0], [0, 0]]) for shift in range(count)
    ]
    kernel = tensorflow.reshape(
        tensorflow.stack(shifted, axis=3), [height, kernel_groups, count * channels, count * filters]
    )
    result = tensorflow.nn.conv2d(image, kernel, 1, "VALID")
    image_rows += 2 * rows - height + 1
    return tensorflow.reshape(result, [batch, image_rows, -1, filters])[:, :, :results]


def _image_gradient(kernel, upstream):
    rows, columns, _, _ = kernel.shape
    flipped = tensorflow.transpose(tensorflow.reverse(kernel, [0, 1]), [0, 1, 3, 2])
    return _padded_convolution(upstream, flipped, rows - 1, columns - 1)


def _kernel_gradient(image, kernel, upstream):
    rows, columns, channels, filters = kernel.shape
    height, width = tensorflow.unstack(tensorflow.shape(upstream)[1:3])
    across = [image[:, :, column : column + width] for column in range(columns)]
    if channels <= _FEW_CHANNELS or filters > _MANY_FILTERS:
        upstream = tensorflow.reshape(upstream, [-1, filters])
        parts = [
            tensorflow.reshape(part[:, row : row + height], [-1, channels])
            for row in range(rows)
            for part in across
        ]
        products = [tensorflow.matmul(part, upstream, transpose_a=True) for part in parts]
        return tensorflow.reshape(tensorflow.stack(products), kernel.shape)
    # All positions in one product: columns beside each other in one factor, rows in the other.
    down = [tensorflow.pad(upstream, [[0, 0], [row, rows - 1 - row], [0, 0], [0, 0]]) for row in range(rows)]
    across = tensorflow.reshape(tensorflow.concat(across, -1), [-1, columns * channels])
    down = tensorflow.reshape(tensorflow.concat(down, -1), [-1, rows * filters])
    product = tensorflow.matmul(across, down, transpose_a=True)
    product = tensorflow.reshape(product, [columns, channels, rows, filters])
    return tensorflow.transpose(product, [2, 0, 1, 3])


@tensorflow.custom_gradient
def _convolution(image, kernel):
    def gradients(upstream):
        return _image_gradient(kernel, upstream), _kernel_gradient(image, kernel, upstream)

    return _padded_convolution(image, kernel), gradients
