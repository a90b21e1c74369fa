"""The LSTM of Keras 2 with its dropout: a mask of its own for every gate, drawn once for a sequence."""

import contextlib
import math

import keras
from keras import ops

from keras_segan import kernels
from keras_segan.layers.recurrent import Bidirectional, keras2_hard_sigmoid

GATES = 4  # i, f, c, o
CLOSED = 1e9  # taken from a gate's input, shuts it


@keras.saving.register_keras_serializable("keras_segan")
class GateBias(keras.initializers.Initializer):
    """The bias of an LSTM that is zero but for the forget gate.

    Args:
        forget: Value of the forget gate's part.
    """

    def __init__(self, forget: float):
        self.forget = forget

    def __call__(self, shape, dtype=None):
        """Returns the bias `(4 * units,)`."""
        zeros = ops.zeros((shape[0] // GATES,), dtype)
        return ops.concatenate([zeros, zeros + self.forget, zeros, zeros])

    def get_config(self) -> dict:
        """Configuration for serialisation."""
        return {"forget": self.forget}


@keras.saving.register_keras_serializable("keras_segan")
class GateDropoutLSTM(keras.layers.LSTM):
    """An LSTM whose dropout masks differ from gate to gate, as in Keras 2 with implementation 0 or 1.

    In training a mask multiplies the input (or the state h) of each gate, every value 0 or 1 / (1 - rate),
    drawn once for a sequence. Keras 3 draws one mask for all four gates.

    With a mask over frames, what follows the last true frame changes nothing before it, and the first true
    frame of the reversed direction begins with an empty state: a padded sequence gives what it gives alone.
    The true frames must come first.

    Args:
        units: Number of units.
        input_dropout: Share of the input that is dropped.
        state_dropout: Share of the state h that is dropped.
        feedback: Whether h flows back through the recurrent kernel. Without it all gates are known before the
            first frame, and c_t = f_t c_(t-1) + i_t g_t is computed for all frames at once; where
            a constraint keeps the recurrent kernel at 1e-5 that changes h by some 1e-6. No part of the
            configuration; see `without_feedback`.
        seed: Seed of the masks.
        **kwargs: Of `keras.layers.LSTM`; sequences are always returned.
    """

    def __init__(
        self,
        units: int,
        input_dropout: float = 0.0,
        state_dropout: float = 0.0,
        feedback: bool = True,
        seed: int | None = None,
        recurrent_activation=keras2_hard_sigmoid,
        **kwargs,
    ):
        kwargs.pop("return_sequences", None)
        super().__init__(units, recurrent_activation=recurrent_activation, return_sequences=True, **kwargs)
        self.input_dropout = input_dropout
        self.state_dropout = state_dropout
        self.feedback = feedback
        self.masks = keras.random.SeedGenerator(seed)

    def call(self, sequences, initial_state=None, mask=None, training=False):
        """Applies the layer.

        Args:
            sequences: `(batch, frames, features)`.
            initial_state: Not supported; `None`.
            mask: Boolean `(batch, frames)`, or `None`.
            training: Whether inputs and states are dropped.

        Returns:
            The states h `(batch, frames, units)`; backwards ones in the order they were computed in.
        """
        if initial_state is not None:
            raise ValueError(f"The state of layer '{self.name}' cannot be given; it begins at zero.")
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        if self.feedback and not training and (kernel := kernels.find("lstm")) and self._has_kernels_gates():
            weights = (self.cell.kernel, self.cell.bias, self.cell.recurrent_kernel)
            weights = [ops.convert_to_tensor(weight) for weight in weights]
            hard = self.recurrent_activation is keras2_hard_sigmoid
            return kernel(sequences, *weights, hard_gates=hard, mask=mask)
        product = self._product(sequences, training)
        if mask is not None:
            padding = 1 - ops.cast(mask, product.dtype)[:, :, None]
            product = product - CLOSED * padding * self._input_gate()
        if not self.feedback:
            i, f, g, o = self._gates(product)
            return o * self.activation(linear_recurrence(f, i * g))
        dropped = self.gate_mask(self.state_dropout, sequences, self.units) if training else None
        return self._with_feedback(product, dropped)

    def _input_gate(self):
        """Ones for the input gate and zeros for the others: shut, it leaves an empty state empty."""
        ones = ops.ones((self.units,))
        return ops.concatenate([ones, *[ops.zeros_like(ones)] * (GATES - 1)])

    def _has_kernels_gates(self) -> bool:
        gates = (keras.activations.sigmoid, keras2_hard_sigmoid)
        return self.activation is keras.activations.tanh and self.recurrent_activation in gates

    def gate_mask(self, rate: float, sequences, width: int):
        """Draws the masks of the gates, `(4, batch, width)`; `None` if nothing is dropped."""
        if not rate:
            return None
        shape = (GATES, ops.shape(sequences)[0], width)
        kept = keras.random.uniform(shape, seed=self.masks, dtype=sequences.dtype) >= rate
        return ops.cast(kept, sequences.dtype) / (1.0 - rate)

    def _product(self, sequences, training):
        """What the input adds to each gate, of all frames: `(batch, frames, 4 * units)`."""
        kernel, bias = ops.convert_to_tensor(self.cell.kernel), ops.convert_to_tensor(self.cell.bias)
        masks = self.gate_mask(self.input_dropout, sequences, sequences.shape[-1]) if training else None
        if masks is None:
            return ops.matmul(sequences, kernel) + bias
        parts = ops.split(kernel, GATES, axis=1)
        products = [ops.matmul(sequences * masks[gate][:, None], part) for gate, part in enumerate(parts)]
        return ops.concatenate(products, axis=-1) + bias

    def _gates(self, product):
        i, f, c, o = ops.split(product, GATES, axis=-1)
        gate = self.recurrent_activation
        return gate(i), gate(f), self.activation(c), gate(o)

    def _with_feedback(self, product, dropped):
        kernel = ops.convert_to_tensor(self.cell.recurrent_kernel)
        parts = ops.split(kernel, GATES, axis=1)

        def step(state, at):
            h, c = ops.split(state, 2, axis=-1)
            if dropped is None:
                back = ops.matmul(h, kernel)
            else:
                back = [ops.matmul(h * dropped[gate], part) for gate, part in enumerate(parts)]
                back = ops.concatenate(back, axis=-1)
            i, f, g, o = self._gates(at + back)
            c = f * c + i * g
            state = ops.concatenate([o * self.activation(c), c], axis=-1)
            return state, state

        frames = ops.transpose(product, (1, 0, 2))
        # One tensor: on TensorFlow, Keras's scan wants as many results as there are states.
        _, states = ops.scan(step, ops.zeros_like(frames[0, :, : 2 * self.units]), frames)
        return ops.transpose(states[:, :, : self.units], (1, 0, 2))

    def get_config(self) -> dict:
        """Configuration for serialisation; `feedback` is not in it."""
        own = {"input_dropout": self.input_dropout, "state_dropout": self.state_dropout}
        return {**super().get_config(), **own}


def linear_recurrence(factors, values):
    """Computes c_t = factor_t c_(t-1) + value_t, with c = 0 before the first frame, for all frames at once.

    On TensorFlow by a compiled loop, elsewhere by doubling: after n rounds a frame knows the 2^n before it.

    Args:
        factors: `(batch, frames, units)`.
        values: The same shape.

    Returns:
        c, the same shape.
    """
    if kernel := kernels.find("recurrence"):
        return kernel(factors, values)
    frames = values.shape[1]
    for number in range(math.ceil(math.log2(frames)) if frames > 1 else 0):
        before = [(0, 0), (1 << number, 0), (0, 0)]
        values = values + factors * ops.pad(values, before)[:, :frames]
        factors = factors * ops.pad(factors, before)[:, :frames]
    return values


@contextlib.contextmanager
def without_feedback(model: keras.Model, feedback: bool = False):
    """Leaves out the recurrent kernel of all `GateDropoutLSTM`s of a model; see there.

    Args:
        model: The model; what was traced into a graph before stays as it is.
        feedback: Whether to leave it in after all.
    """
    layers = [lstm for layer in model.layers for lstm in _inside(layer)]
    before = [lstm.feedback for lstm in layers]
    try:
        for lstm in layers:
            lstm.feedback = feedback
        yield
    finally:
        for lstm, value in zip(layers, before, strict=True):
            lstm.feedback = value


def _inside(layer) -> list[GateDropoutLSTM]:
    if isinstance(layer, Bidirectional):
        return [lstm for lstm in (layer.forward_layer, layer.backward_layer) if hasattr(lstm, "feedback")]
    return [layer] if isinstance(layer, GateDropoutLSTM) else []
