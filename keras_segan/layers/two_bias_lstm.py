"""LSTM with the two bias vectors of torch."""

from typing import Any

import keras

from keras_segan.layers import recurrent


@keras.saving.register_keras_serializable("keras_segan")
class TwoBiasLSTMCell(keras.layers.LSTMCell):
    """An LSTM cell whose bias is the sum of two trained vectors, `bias_ih` and `bias_hh` in torch.

    The sum is all that the output depends on. But each vector gets the whole gradient, and an optimizer
    such as Adam, whose step does not grow with the gradient, moves each of them: the sum moves
    twice as far as a single bias would.

    Its weights are kernel, recurrent kernel, bias_ih, bias_hh (gates i, f, c, o).

    Args:
        units: Number of units.
        **kwargs: Of `keras.layers.LSTMCell`.
    """

    def build(self, input_shape):
        """Creates the weights."""
        super().build(input_shape)
        self.recurrent_bias = self.add_weight(
            name="bias_hh", shape=(4 * self.units,), initializer=self.bias_initializer
        )

    @property
    def bias(self):
        """The sum of both vectors, which everything that computes an LSTM takes for its bias."""
        return self.input_bias + self.recurrent_bias

    @bias.setter
    def bias(self, variable):
        self.input_bias = variable


class _TwoBiases:
    """Gives an LSTM layer a cell with two biases, which start at zero, without one for the forget gate."""

    cell: Any

    def __init__(self, units: int, unit_forget_bias: bool = False, **kwargs: Any) -> None:
        settings: dict[str, Any] = {"units": units, "unit_forget_bias": unit_forget_bias, **kwargs}
        super().__init__(**settings)
        self.cell = TwoBiasLSTMCell.from_config(self.cell.get_config())


@keras.saving.register_keras_serializable("keras_segan")
class TwoBiasLSTM(_TwoBiases, recurrent.LSTM):
    """`layers.LSTM` with sigmoid gates and the two bias vectors of torch; see `TwoBiasLSTMCell`.

    Args:
        units: Number of units.
        **kwargs: Of `layers.LSTM`.
    """


@keras.saving.register_keras_serializable("keras_segan")
class PlainTwoBiasLSTM(_TwoBiases, keras.layers.LSTM):
    """The same for the inside of a `layers.Bidirectional`, which decides itself how to compute it.

    Args:
        units: Number of units.
        **kwargs: Of `keras.layers.LSTM`.
    """
