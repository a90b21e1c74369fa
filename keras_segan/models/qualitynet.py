"""Network of Quality-Net (Fu, Tsao, Hwang, Wang, Interspeech 2018), as in the released Keras 2 program."""

import keras
from keras import layers

from keras_segan.front_ends import MagnitudeFrontEnd
from keras_segan.layers import GateBias, GateDropoutLSTM, MeanOverTime, Squeeze, keras2_hard_sigmoid
from keras_segan.layers.recurrent import Bidirectional

BINS = 257
FORGET_BIAS = -3.0
LARGEST_NORM = 1e-5  # of a column of the recurrent kernel


def network(
    bins: int = BINS,
    units: int = 100,
    hidden: int = 50,
    dropout: float = 0.3,
    forget_bias: float = FORGET_BIAS,
    largest_norm: float | None = LARGEST_NORM,
    name: str = "qualitynet",
) -> keras.Model:
    """The BLSTM that gives every frame a score, and the utterance their mean.

    Args:
        bins: Frequency bins.
        units: LSTM units of each direction.
        hidden: Units of the dense layer.
        dropout: Share dropped of the LSTM's input, its state and the dense layer's output.
        forget_bias: Initial bias of the forget gate.
        largest_norm: Largest norm of a column of the recurrent kernels after an update; `None` for any.
        name: Name of the model.

    Returns:
        A model from the magnitude `(batch, frames, bins)` to `{"score": (batch, 1), "frame_scores": (batch,
        frames)}`; it takes a mask over frames. Scores have no bounds. Weights are in the program's order.

    Reference:
        Quality_net_training_Non_intrusive.py, "Start training".
    """
    inputs = layers.Input((None, bins), name="magnitude")
    constraint = None if largest_norm is None else keras.constraints.MaxNorm(largest_norm, axis=0)
    lstm = GateDropoutLSTM(
        units,
        input_dropout=dropout,
        state_dropout=dropout,
        recurrent_activation=keras2_hard_sigmoid,
        bias_initializer=GateBias(forget_bias),
        unit_forget_bias=False,
        recurrent_constraint=constraint,
    )
    x = Bidirectional(lstm, merge_mode="concat", name="blstm", recurrence="keras")(inputs)
    x = layers.Dense(hidden, name="dense")(x)
    x = layers.ELU(name="elu")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    frames = layers.Dense(1, name="frame_score")(x)
    outputs = {
        "score": MeanOverTime(name="average_score")(frames),
        "frame_scores": Squeeze(name="squeeze")(frames),
    }
    model = keras.Model(inputs, outputs, name=name)
    model.supports_masking = True  # padding changes no score
    return model


def front_end() -> MagnitudeFrontEnd:
    """Builds the signal processing before the network.

    Reference:
        Quality_net_training_Non_intrusive.py, `Sp_and_phase`.
    """
    return MagnitudeFrontEnd(512, 256, "hamming-symmetric", ends="reflect", normalisation="peak")
