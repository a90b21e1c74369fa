"""The recurrence of an LSTM on JAX: a scan over the state alone, with a hand-written gradient."""

import functools

import jax
from jax import lax
from jax import numpy as jnp

from keras_segan.kernels.order import order


def lstm(sequences, kernel, bias, recurrent_kernel, hard_gates: bool, backwards: bool = False, mask=None):
    """Runs an LSTM; arguments and result as `tensorflow_lstm.lstm`."""
    there, back = order(sequences.shape[1], backwards, mask)
    product = there(sequences) @ kernel + bias
    return back(_recurrence(product, recurrent_kernel, hard_gates))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _recurrence(product, recurrent_kernel, hard_gates: bool):
    """Takes `(batch, frames, 4 * units)` and the recurrent kernel to the states h."""
    return _forward(product, recurrent_kernel, hard_gates)[0]


def _forward(product, recurrent_kernel, hard_gates: bool):
    product = _time_major(product)
    zero = jnp.zeros(product.shape[1:-1] + (recurrent_kernel.shape[0],), product.dtype)

    def step(state, product):
        h, c = state
        i, f, g, o = _gates(product + h @ recurrent_kernel, hard_gates)
        c = f * c + i * g
        h = o * jnp.tanh(c)
        return (h, c), (h, c)

    _, (h, c) = lax.scan(step, (zero, zero), product)
    return _time_major(h), (product, h, c, recurrent_kernel)


def _backward(hard_gates: bool, kept, upstream):
    product, h, c, recurrent_kernel = kept
    zero = jnp.zeros_like(h[:1])
    last_h, last_c = (jnp.concatenate([zero, x[:-1]]) for x in (h, c))
    # All that does not depend on the gradient is computed for all frames at once.
    i, f, g, o = _gates(product + last_h @ recurrent_kernel, hard_gates)
    tanh_c = jnp.tanh(c)
    slope = _hard_slope if hard_gates else _sigmoid_slope
    to_others = jnp.concatenate([g * slope(i), last_c * slope(f), i * (1 - g * g)], axis=-1)
    factors = o * (1 - tanh_c * tanh_c), tanh_c * slope(o), to_others, f

    def step(state, at):
        dh, dc = state
        upstream, to_c, to_output_gate, to_others, f = at
        dh = dh + upstream
        dc = dc + dh * to_c
        dproduct = jnp.concatenate([jnp.tile(dc, (1, 3)) * to_others, dh * to_output_gate], axis=-1)
        return (dproduct @ recurrent_kernel.T, dc * f), dproduct

    start = (zero[0], zero[0])
    _, dproduct = lax.scan(step, start, (_time_major(upstream), *factors), reverse=True)
    return _time_major(dproduct), jnp.einsum("tbu,tbg->ug", last_h, dproduct)


_recurrence.defvjp(_forward, _backward)


def _gates(product, hard_gates: bool):
    i, f, g, o = jnp.split(product, 4, axis=-1)
    sigmoid = _hard_sigmoid if hard_gates else jax.nn.sigmoid
    return sigmoid(i), sigmoid(f), jnp.tanh(g), sigmoid(o)


def _time_major(x):
    return jnp.swapaxes(x, 0, 1)


def _hard_sigmoid(x):
    return jnp.clip(0.2 * x + 0.5, 0.0, 1.0)


def _hard_slope(y):
    return jnp.where((y > 0) & (y < 1), 0.2, 0.0)


def _sigmoid_slope(y):
    return y * (1 - y)
