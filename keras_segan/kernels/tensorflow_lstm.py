"""The recurrence of an LSTM on TensorFlow, compiled by XLA, with a hand-written gradient."""

import functools

import tensorflow

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
    frames = tensorflow.shape(sequences)[1]
    there, back = _order(frames, backwards, mask)
    # What follows the last true frame changes nothing before it.
    padding = bucketed(frames) - frames
    sequences = tensorflow.pad(there(sequences), [[0, 0], [0, padding], [0, 0]])
    product = tensorflow.tensordot(sequences, kernel, 1) + bias
    recurrence = _recurrence(recurrent_kernel.shape[0], hard_gates)
    return back(recurrence(product, tensorflow.convert_to_tensor(recurrent_kernel))[:, :frames])


def bucketed(frames):
    """Rounds up to a multiple of `BUCKET`; from 1024 frames on by up to an eighth, for few lengths."""
    steps = tensorflow.constant([BUCKET << octave for octave in range(14)])
    step = tensorflow.reduce_max(tensorflow.where(8 * steps <= frames, steps, BUCKET))
    return -(-frames // step) * step


def _order(frames, backwards: bool, mask):
    """Returns the function that brings frames into the order of the recurrence, and its inverse."""
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
    gather = functools.partial(tensorflow.gather, axis=1, batch_dims=1)
    return tensorflow.custom_gradient(
        lambda values: (gather(values, order), lambda upstream: gather(upstream, inverse))
    )(x)


@functools.cache
def _recurrence(units: int, hard_gates: bool):
    """Makes the function from `(batch, frames, 4 * units)` and the recurrent kernel to the states h."""
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
    return tensorflow.transpose(x, (1, 0, 2))


def _hard_sigmoid(x):
    return tensorflow.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)


def _hard_sigmoid_slope(y):
    return tensorflow.where((y > 0) & (y < 1), 0.2, 0.0)


def _sigmoid_slope(y):
    return y * (1 - y)
