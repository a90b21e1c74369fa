"""The recurrence c_t = f_t c_(t-1) + v_t on TensorFlow, compiled by XLA, with a hand-written gradient."""

import functools

import tensorflow

from keras_segan.kernels.tensorflow_lstm import bucketed


def recurrence(factors, values):
    """Runs the recurrence from c = 0; see `layers.gate_dropout_lstm.linear_recurrence`.

    The gradient has no gradient of its own.

    Args:
        factors: `(batch, frames, units)`.
        values: The same shape.

    Returns:
        c, the same shape.
    """
    frames = tensorflow.shape(values)[1]
    padding = [[0, 0], [0, bucketed(frames) - frames], [0, 0]]
    padded = [tensorflow.pad(tensorflow.convert_to_tensor(x), padding) for x in (factors, values)]
    return _differentiable(*padded)[:, :frames]


@tensorflow.custom_gradient
def _differentiable(factors, values):
    # Off the tape: an eager one would ask the compiled loop for what its own gradient needs.
    c = _run(tensorflow.stop_gradient(factors), tensorflow.stop_gradient(values))

    def gradient(upstream):
        # s_t = upstream_t + f_(t+1) s_(t+1) is the same recurrence from the other end.
        later = tensorflow.concat([factors[:, 1:], tensorflow.zeros_like(factors[:, :1])], axis=1)
        s = _flip(_run(_flip(later), _flip(upstream)))
        earlier = tensorflow.concat([tensorflow.zeros_like(c[:, :1]), c[:, :-1]], axis=1)
        return s * earlier, s

    return c, gradient


def _flip(x):
    return tensorflow.reverse(x, axis=[1])


@functools.partial(
    tensorflow.function,
    input_signature=[tensorflow.TensorSpec((None, None, None))] * 2,
    jit_compile=True,
    autograph=False,
)
def _run(factors, values):
    factors, values = (tensorflow.transpose(x, (1, 0, 2)) for x in (factors, values))
    frames = tensorflow.shape(values)[0]
    results = tensorflow.TensorArray(tensorflow.float32, frames, element_shape=(None, None))

    def body(frame, c, results):
        c = tensorflow.gather(factors, frame) * c + tensorflow.gather(values, frame)
        return frame + 1, c, results.write(frame, c)

    start = (tensorflow.constant(0), tensorflow.zeros_like(values[0]), results)
    results = tensorflow.while_loop(lambda frame, *_: frame < frames, body, start, maximum_iterations=frames)[
        2
    ]
    return tensorflow.transpose(results.stack(), (1, 0, 2))
