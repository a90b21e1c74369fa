"""Recurrent layers as the originals used them, and fast on a CPU."""

import contextlib
from typing import Any

import keras
from keras import ops

from keras_segan import kernels

RECURRENCES = ("auto", "compiled", "keras")


@keras.saving.register_keras_serializable("keras_segan")
def keras2_hard_sigmoid(x):
    """Hard sigmoid of Keras 2: clip(0.2 x + 0.5, 0, 1), the default gate of its LSTM up to 2.2.

    Keras 3's `"hard_sigmoid"` is another function, relu6(x + 3) / 6; the two differ by up to 0.067.

    Args:
        x: Tensor of any shape.

    Returns:
        Tensor of the same shape, in [0, 1].
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


class _Recurrence:
    """What the two layers below share: the choice of how the recurrence is computed.

    `recurrence` is no part of a layer's configuration, so a `.keras` file does not depend on it. It may
    be set until the layer's model is compiled or called in a graph; see `using_recurrence`.
    """

    name: str  # of the Keras layer

    def __init__(self, *args, recurrence: str = "auto", **kwargs):
        super().__init__(*args, **kwargs)
        self.recurrence = recurrence

    @property
    def recurrence(self) -> str:
        """`"compiled"`, `"keras"` or `"auto"`: compiled where that is faster and possible."""
        return self._recurrence

    @recurrence.setter
    def recurrence(self, value: str):
        if value not in RECURRENCES:
            raise ValueError(f"recurrence must be one of {', '.join(RECURRENCES)}, not '{value}'")
        self._recurrence = value

    def _compiles(self, reason: str) -> bool:
        """Says whether to use the compiled recurrence, which `reason` (empty: nothing) forbids."""
        if self.recurrence == "compiled" and reason:
            raise ValueError(f"The recurrence of layer '{self.name}' cannot be compiled: {reason}.")
        return self.recurrence == "compiled" or (
            self.recurrence == "auto" and not reason and kernels.find_faster("lstm") is not None
        )


@keras.saving.register_keras_serializable("keras_segan")
class LSTM(_Recurrence, keras.layers.LSTM):
    """`keras.layers.LSTM`, several times as fast on a CPU at batch sizes of a training step.

    The input product is computed for all frames at once; XLA compiles a loop over the state alone, and
    the gradient is written by hand. The numbers are Keras's to float32 rounding. Lengths are padded to
    multiples of 64 frames inside, exactly, so that few are compiled.

    Args:
        units: Number of units.
        recurrence: `"compiled"`; `"keras"`, the plain layer; or `"auto"`, compiled on TensorFlow without
            a GPU where activation, dropout and so on allow it, otherwise plain.
        **kwargs: Of `keras.layers.LSTM`. Compiled needs tanh, gates `"sigmoid"` or `keras2_hard_sigmoid`,
            a bias, no dropout, no state given, kept or returned, float32. With a mask, sequences
            only, and the output is zero where it is false.
    """

    def call(self, sequences, initial_state=None, mask=None, training=False):
        """Applies the layer; arguments as `keras.layers.LSTM`."""
        reason = _obstacle(self, initial_state)
        if self.go_backwards or (mask is not None and not self.return_sequences):
            reason = "it runs backwards, or returns the last state of masked sequences"
        if not self._compiles(reason):
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        states = _compiled(self, sequences, mask)
        return states if self.return_sequences else states[:, -1]


@keras.saving.register_keras_serializable("keras_segan")
class Bidirectional(_Recurrence, keras.layers.Bidirectional):
    """`keras.layers.Bidirectional` of an LSTM, several times as fast on a CPU; see `LSTM`.

    Args:
        layer: A `keras.layers.LSTM` (or a subclass) that returns sequences.
        recurrence: See `LSTM`.
        **kwargs: Of `keras.layers.Bidirectional`. Compiled needs `merge_mode="concat"`.
    """

    def call(self, sequences, initial_state=None, mask=None, training=None):
        """Applies the layer; arguments as `keras.layers.Bidirectional`."""
        reason = _obstacle(self.forward_layer, initial_state)
        if self.merge_mode != "concat" or not self.return_sequences:
            reason = "its directions are not concatenated, or it returns no sequences"
        if not self._compiles(reason):
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        # Two products are faster than one for both directions, whose halves would have to be copied.
        directions = (self.forward_layer, self.backward_layer)
        return ops.concatenate([_compiled(lstm, sequences, mask) for lstm in directions], axis=-1)


def _obstacle(lstm: keras.layers.LSTM, initial_state) -> str:
    """Says what keeps a layer's recurrence from being compiled, nothing if it can be."""
    if not isinstance(lstm, keras.layers.LSTM):
        return "it is no LSTM"
    if kernels.find("lstm") is None or lstm.compute_dtype != "float32":
        return "that needs float32, and a backend that has a kernel"
    if lstm.activation is not keras.activations.tanh or lstm.recurrent_activation not in _GATES:
        return "that needs tanh and gates 'sigmoid' or keras2_hard_sigmoid"
    if lstm.dropout or lstm.recurrent_dropout or not lstm.use_bias:
        return "that needs a bias and no dropout"
    if initial_state is not None or lstm.stateful or lstm.return_state:
        return "its state is given, kept or returned"
    return ""


_GATES = (keras.activations.sigmoid, keras2_hard_sigmoid)


def _compiled(lstm: keras.layers.LSTM, sequences, mask):
    """Runs an LSTM by its compiled recurrence."""
    kernel: Any = kernels.find("lstm")  # there is one: `_obstacle` has looked
    return kernel(
        sequences,
        *(ops.convert_to_tensor(x) for x in (lstm.cell.kernel, lstm.cell.bias, lstm.cell.recurrent_kernel)),
        hard_gates=lstm.recurrent_activation is keras2_hard_sigmoid,
        backwards=lstm.go_backwards,
        mask=mask,
    )


@contextlib.contextmanager
def using_recurrence(model: keras.Model, recurrence: str):
    """Sets how all recurrent layers of a model compute, e.g. `"keras"` while it is exported.

    Args:
        model: The model; what was traced into a graph before stays as it is.
        recurrence: See `LSTM`.
    """
    layers = [layer for layer in _with_sublayers(model) if isinstance(layer, _Recurrence)]
    before = [layer.recurrence for layer in layers]
    try:
        for layer in layers:
            layer.recurrence = recurrence
        yield
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.recurrence = value


def _with_sublayers(model: keras.Model):
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _with_sublayers(layer)


def bidirectional_lstm(
    units: int, recurrent_activation=keras2_hard_sigmoid, name: str | None = None, recurrence: str = "auto"
):
    """A bidirectional LSTM that returns sequences, directions concatenated.

    Args:
        units: Units of each direction.
        recurrent_activation: The gates' activation; `keras2_hard_sigmoid` or `"sigmoid"` are fast.
        name: Name of the layer.
        recurrence: See `LSTM`.

    Returns:
        A layer from `(batch, frames, features)` to `(batch, frames, 2 * units)`; its weights are
        kernel, recurrent kernel and bias (gates i, f, c, o), forward direction first.
    """
    lstm = keras.layers.LSTM(units, return_sequences=True, recurrent_activation=recurrent_activation)
    return Bidirectional(lstm, merge_mode="concat", name=name, recurrence=recurrence)
