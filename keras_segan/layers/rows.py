"""Parts of rows: for networks whose several inputs lie beside each other in one."""

import keras


@keras.saving.register_keras_serializable("keras_segan")
class Columns(keras.layers.Layer):
    """Takes some neighbouring columns of rows.

    Args:
        start: The first one.
        stop: The one behind the last one; `None` for the end of the row.
        **kwargs: Of `keras.layers.Layer`.
    """

    def __init__(self, start: int, stop: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.stop = stop

    def call(self, inputs):
        """Takes columns of `(batch, columns)`."""
        return inputs[:, self.start : self.stop]

    def compute_output_shape(self, input_shape):
        """The input's shape with fewer columns."""
        return (input_shape[0], len(range(input_shape[1])[self.start : self.stop]))

    def get_config(self):
        """Configuration for serialisation."""
        return {**super().get_config(), "start": self.start, "stop": self.stop}
