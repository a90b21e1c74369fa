"""The one place of TensorFlow-only code: gradients, compiled steps, fast algorithms, determinism.

Networks, layers and losses are written in `keras.ops`; what a training loop needs beyond that is here.
"""

import functools
import os
import warnings

import keras


def require():
    """Imports TensorFlow and returns it.

    Returns:
        The module.

    Raises:
        RuntimeError: If Keras runs on another backend.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"Training needs Keras on TensorFlow, not on '{keras.backend.backend()}';"
            " set KERAS_BACKEND=tensorflow."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow

    return tensorflow


def value_and_gradients(function, variables):
    """Computes a loss and its gradients.

    Args:
        function: Called without arguments; returns a scalar loss or a tuple (loss, auxiliary...).
        variables: List of `keras.Variable`.

    Returns:
        What the function returned, and the list of gradients (`None` where the loss does not depend).
    """
    tensorflow = require()
    values = [variable.value for variable in variables]
    # Only what is named is watched: the other player's kernels need no gradient.
    with tensorflow.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        result = function()
        loss = result[0] if isinstance(result, tuple) else result
    return result, tape.gradient(loss, values)


def compiled(function, *shapes, jit: bool = False):
    """Compiles a function of float32 tensors into one graph for all lengths.

    Args:
        function: Takes one tensor per shape.
        *shapes: Shapes with `None` for free axes, so that a new length retraces nothing.
        jit: Whether XLA compiles the graph, anew for every length: worth it where lengths repeat.

    Returns:
        The compiled function; on other backends than TensorFlow the function as it is.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    tensorflow = require()
    signature = [tensorflow.TensorSpec(shape, tensorflow.float32) for shape in shapes]
    # Functions made by one line are one to TensorFlow's warning of retracing, but not as partial objects.
    function = functools.partial(function)
    return tensorflow.function(function, input_signature=signature, autograph=False, jit_compile=jit)


def enable_determinism(seed: int):
    """Seeds Python, NumPy and Keras and asks TensorFlow for repeatable operations.

    Args:
        seed: The seed.
    """
    keras.utils.set_random_seed(seed)
    require().config.experimental.enable_op_determinism()


def adam(variable, moments, gradient, powers, learning_rate, betas, epsilon):
    """Moves a variable and its two moments by Adam, in one pass.

    Args:
        variable: A float32 variable, of Keras or of TensorFlow.
        moments: Its first and second moment, likewise.
        gradient: Of the variable's shape.
        powers: beta_1^t and beta_2^t, scalars.
        learning_rate: Scalar.
        betas: beta_1 and beta_2.
        epsilon: Scalar, added to the root of the uncorrected second moment.

    Reference:
        Kingma and Ba, ICLR 2015, end of section 2 ("epsilon hat").
    """
    tensorflow = require()
    handles = [v.value.handle if isinstance(v, keras.Variable) else v.handle for v in (variable, *moments)]
    tensorflow.raw_ops.ResourceApplyAdam(
        **dict(zip(("var", "m", "v"), handles, strict=True)),
        beta1_power=powers[0],
        beta2_power=powers[1],
        lr=tensorflow.cast(learning_rate, tensorflow.float32),
        beta1=betas[0],
        beta2=betas[1],
        epsilon=epsilon,
        grad=gradient,
    )


def on_cpu() -> bool:
    """Says whether Keras computes by TensorFlow on a CPU, where our own algorithms are the faster ones."""
    return keras.backend.backend() == "tensorflow" and not require().config.list_physical_devices("GPU")


def warn_of_onednn():
    """Warns if TensorFlow began with oneDNN, whose layout pass aborts MetricGAN's steps (TensorFlow 2.21).

    `keras_segan` turns it off, but only if it is imported first. The abort itself names no cause.
    """
    require()
    try:
        from tensorflow.python.util._pywrap_util_port import IsMklEnabled
    except ImportError:  # private, the only place that tells
        return
    if on_cpu() and IsMklEnabled():
        warnings.warn(
            "TensorFlow was started with oneDNN, which can abort this training ('Could not find input "
            "edge'): import keras_segan before keras and tensorflow, or set TF_ENABLE_ONEDNN_OPTS=0.",
            RuntimeWarning,
            stacklevel=2,
        )


def convolve(image, kernel):
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
    return _convolution()(*map(require().convert_to_tensor, (image, kernel)))


_FEW_CHANNELS = 4  # of image or filters; a product of so few is too narrow
_COLUMNS_AT_ONCE = 4  # then as many neighbouring columns are taken for channels
_CHANNELS_AT_ONCE = 8  # numbers in a register of a CPU; 15 channels take a fifth longer than 16
_MANY_FILTERS = 48  # above, a product for each position is faster than one for all


def missing_channels(count: int) -> int:
    """Returns how many channels of zeros make a convolution faster, up to a multiple of 8 if few are missing.

    Args:
        count: Number of channels.
    """
    missing = -count % _CHANNELS_AT_ONCE
    return missing if missing * _CHANNELS_AT_ONCE <= count else 0


@functools.cache
def _convolution():
    tensorflow = require()

    def padded_convolution(image, kernel, rows=0, columns=0):
        """Convolves an image with `rows` and `columns` of zeros on each side."""
        if min(kernel.shape[2:]) <= _FEW_CHANNELS:
            return convolution_by_groups(image, kernel, rows, columns)
        around = [[0, 0], [rows] * 2, [columns] * 2, [0, 0]]
        if missing := missing_channels(kernel.shape[2]):
            image = tensorflow.pad(image, [*around[:3], [0, missing]])
            kernel = tensorflow.pad(kernel, [[0, 0], [0, 0], [0, missing], [0, 0]])
            around = "VALID"
        return tensorflow.nn.conv2d(image, kernel, 1, around)

    def convolution_by_groups(image, kernel, rows, columns):
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

    def image_gradient(kernel, upstream):
        rows, columns, _, _ = kernel.shape
        flipped = tensorflow.transpose(tensorflow.reverse(kernel, [0, 1]), [0, 1, 3, 2])
        return padded_convolution(upstream, flipped, rows - 1, columns - 1)

    def kernel_gradient(image, kernel, upstream):
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
        down = [
            tensorflow.pad(upstream, [[0, 0], [row, rows - 1 - row], [0, 0], [0, 0]]) for row in range(rows)
        ]
        across = tensorflow.reshape(tensorflow.concat(across, -1), [-1, columns * channels])
        down = tensorflow.reshape(tensorflow.concat(down, -1), [-1, rows * filters])
        product = tensorflow.matmul(across, down, transpose_a=True)
        product = tensorflow.reshape(product, [columns, channels, rows, filters])
        return tensorflow.transpose(product, [2, 0, 1, 3])

    @tensorflow.custom_gradient
    def convolution(image, kernel):
        def gradients(upstream):
            return image_gradient(kernel, upstream), kernel_gradient(image, kernel, upstream)

        return padded_convolution(image, kernel), gradients

    return convolution


BUCKET = 64  # frames; XLA compiles anew for every length, so lengths are rounded up


def lstm(sequences, kernel, bias, recurrent_kernel, hard_gates: bool, backwards: bool = False, mask=None):
    """Runs an LSTM, its recurrence compiled by XLA, with a hand-written gradient.

    The gradient has no gradient of its own.

    Args:
        sequences: `(batch, frames, features)`.
        kernel: `(features, 4 * units)`, gates i, f, c, o.
        bias: `(4 * units,)`.
        recurrent_kernel: `(units, 4 * units)`.
        hard_gates: Whether the gates are Keras 2's hard sigmoid instead of the sigmoid.
        backwards: Whether time runs from the last frame to the first.
        mask: Boolean `(batch, frames)`; the state passes over frames where it is false, and the output is
            zero there.

    Returns:
        The states h `(batch, frames, units)`, in the order of the frames.
    """
    tensorflow = require()
    frames = tensorflow.shape(sequences)[1]
    there, back = _order(frames, backwards, mask)
    # What follows the last true frame changes nothing before it.
    padding = _bucketed(frames) - frames
    sequences = tensorflow.pad(there(sequences), [[0, 0], [0, padding], [0, 0]])
    product = tensorflow.tensordot(sequences, kernel, 1) + bias
    recurrence = _recurrence(recurrent_kernel.shape[0], hard_gates)
    return back(recurrence(product, tensorflow.convert_to_tensor(recurrent_kernel))[:, :frames])


def _bucketed(frames):
    """Rounds up to a multiple of `BUCKET`; from 1024 frames on by up to an eighth, for few lengths."""
    tensorflow = require()
    steps = tensorflow.constant([BUCKET << octave for octave in range(14)])
    step = tensorflow.reduce_max(tensorflow.where(8 * steps <= frames, steps, BUCKET))
    return -(-frames // step) * step


def _order(frames, backwards: bool, mask):
    """Returns the function that brings frames into the order of the recurrence, and its inverse."""
    tensorflow = require()
    if mask is None:
        flip = functools.partial(tensorflow.reverse, axis=[1])
        return (flip, flip) if backwards else (tensorflow.identity, tensorflow.identity)
    position = tensorflow.range(frames)[None]
    position = frames - 1 - position if backwards else position
    order = tensorflow.argsort(tensorflow.where(mask, position, position + frames), axis=1)
    inverse = tensorflow.argsort(order, axis=1)
    kept = tensorflow.cast(mask, tensorflow.float32)[:, :, None]
    return lambda x: _permuted(x, order, inverse), lambda x: _permuted(x, inverse, order) * kept


def _permuted(x, order, inverse):
    """Gathers frames; said to be a permutation, so that its gradient is a gather too."""
    tensorflow = require()
    gather = functools.partial(tensorflow.gather, axis=1, batch_dims=1)
    return tensorflow.custom_gradient(
        lambda values: (gather(values, order), lambda upstream: gather(upstream, inverse))
    )(x)


@functools.cache
def _recurrence(units: int, hard_gates: bool):
    """Makes the function from `(batch, frames, 4 * units)` and the recurrent kernel to the states h."""
    tensorflow = require()
    spectra = [tensorflow.TensorSpec((None, None, count * units)) for count in (4, 1, 1, 1)]
    kernel = tensorflow.TensorSpec((units, 4 * units))
    sigmoid = _hard_sigmoid if hard_gates else tensorflow.sigmoid
    slope = _hard_sigmoid_slope if hard_gates else _sigmoid_slope

    def compile_with(*signature):
        return tensorflow.function(input_signature=signature, jit_compile=True, autograph=False)

    def gates(product):
        i, f, c, o = tensorflow.split(product, 4, axis=-1)
        return sigmoid(i), sigmoid(f), tensorflow.tanh(c), sigmoid(o)

    def loop(step, frames, results, *state):
        """Runs `step(frame, *state) -> state, values` and stacks the values, one array each."""
        arrays = [tensorflow.TensorArray(tensorflow.float32, frames, element_shape=s) for s in results]

        def body(number, state, arrays):
            state, index, values = step(number, *state)
            return number + 1, state, [a.write(index, v) for a, v in zip(arrays, values, strict=True)]

        start = (tensorflow.constant(0), list(state), arrays)
        arrays = tensorflow.while_loop(
            lambda number, *_: number < frames, body, start, maximum_iterations=frames
        )[2]
        return [array.stack() for array in arrays]

    @compile_with(spectra[0], kernel)
    def forward(product, recurrent_kernel):
        product = _time_major(product)
        zero = tensorflow.zeros_like(product[0, :, :units])

        def step(frame, h, c):
            i, f, g, o = gates(tensorflow.gather(product, frame) + h @ recurrent_kernel)
            c = f * c + i * g
            h = o * tensorflow.tanh(c)
            return [h, c], frame, [h, c]

        frames = tensorflow.shape(product)[0]
        return [_time_major(x) for x in loop(step, frames, [(None, units)] * 2, zero, zero)]

    @compile_with(*spectra, kernel)
    def backward(product, h, c, upstream, recurrent_kernel):
        product, h, c, upstream = map(_time_major, (product, h, c, upstream))
        zero = tensorflow.zeros_like(h[:1])
        last_h, last_c = (tensorflow.concat([zero, x[:-1]], axis=0) for x in (h, c))
        # All that does not depend on the gradient is computed for all frames at once.
        rows = tensorflow.reshape(last_h, (-1, units)) @ recurrent_kernel
        i, f, g, o = gates(product + tensorflow.reshape(rows, tensorflow.shape(product)))
        tanh_c = tensorflow.tanh(c)
        to_c = o * (1 - tanh_c * tanh_c)
        to_output_gate = tanh_c * slope(o)
        to_others = tensorflow.concat([g * slope(i), last_c * slope(f), i * (1 - g * g)], axis=-1)
        frames = tensorflow.shape(h)[0]
        transposed = tensorflow.transpose(recurrent_kernel)

        def step(number, dh, dc):
            frame = frames - 1 - number
            at = functools.partial(tensorflow.gather, indices=frame)
            dh = dh + at(upstream)
            dc = dc + dh * at(to_c)
            others = tensorflow.tile(dc, (1, 3)) * at(to_others)
            dproduct = tensorflow.concat([others, dh * at(to_output_gate)], axis=-1)
            return [dproduct @ transposed, dc * at(f)], frame, [dproduct]

        (dproduct,) = loop(step, frames, [(None, 4 * units)], zero[0], zero[0])
        columns = tensorflow.reshape(dproduct, (-1, 4 * units))
        dkernel = tensorflow.matmul(tensorflow.reshape(last_h, (-1, units)), columns, transpose_a=True)
        return _time_major(dproduct), dkernel

    @tensorflow.custom_gradient
    def recurrence(product, recurrent_kernel):
        # Off the tape: an eager one would ask the compiled loop for what its own gradient needs.
        h, c = forward(tensorflow.stop_gradient(product), tensorflow.stop_gradient(recurrent_kernel))
        return h, lambda upstream: backward(product, h, c, upstream, recurrent_kernel)

    return recurrence


def _time_major(x):
    return require().transpose(x, (1, 0, 2))


def _hard_sigmoid(x):
    return require().clip_by_value(0.2 * x + 0.5, 0.0, 1.0)


def _hard_sigmoid_slope(y):
    return require().where((y > 0) & (y < 1), 0.2, 0.0)


def _sigmoid_slope(y):
    return y * (1 - y)
