"""Network of Xu et al. 2015: a DNN that maps noisy log spectra in context to clean ones, frame by frame."""

import keras
import numpy as np
from keras import layers


def dnn(
    frames: int = 7,
    bins: int = 257,
    units: int = 2048,
    hidden_layers: int = 3,
    activation: str = "relu",
    dropout: float = 0.2,
    input_dropout: float = 0.0,
    scale_at_test: bool = False,
    name: str = "xu_dnn",
) -> keras.Model:
    """The regression network.

    Args:
        frames: Context frames, with a noise estimate one more: 7 (sednn), 11 or 12 (paper).
        bins: 257 (16 kHz), 129 (8 kHz).
        units: Units of each hidden layer.
        hidden_layers: Number of hidden layers.
        activation: `"relu"` (sednn), `"sigmoid"` (paper).
        dropout: After each hidden layer.
        input_dropout: Of the input values.
        scale_at_test: Whether dropout leaves the kept values as they are and scales all of them at test time
            (paper), or divides the kept ones in training (Keras, sednn).
        name: Name of the model.

    Returns:
        A model from normalised log spectra `(batch, frames, bins)` to one frame `(batch, bins)`; weights:
        kernel and bias of each layer.

    Reference:
        Paper, section II and figure 1; sednn, main_dnn.py, `train`.
    """
    inputs = layers.Input((frames, bins), name="context")
    x = _drop(layers.Flatten()(inputs), input_dropout, scale_at_test)
    for _ in range(hidden_layers):
        x = _drop(layers.Dense(units, activation=activation)(x), dropout, scale_at_test)
    return keras.Model(inputs, layers.Dense(bins)(x), name=name)


def _drop(x, rate: float, scale_at_test: bool):
    if not rate:
        return x
    dropped = layers.Dropout(rate)(x)
    return layers.Rescaling(1 - rate)(dropped) if scale_at_test else dropped


def pass_centre_frame(network: keras.Model) -> None:
    """Sets a network's weights so that its output is the middle frame of its context, unchanged.

    The first 2 x bins units of each hidden layer carry the positive and the negative part of the frame. All
    other units keep their random weights, but do not reach the output yet.

    Args:
        network: From `dnn`, new, with ReLU units, at least twice as many in each hidden layer as bins.

    Raises:
        ValueError: If a hidden layer has fewer units.
    """
    frames, bins = network.input_shape[1:]
    first, *hidden, last = [layer for layer in network.layers if isinstance(layer, layers.Dense)]
    if min(layer.units for layer in (first, *hidden)) < 2 * bins:
        raise ValueError(f"A hidden layer has fewer than {2 * bins} units, twice the bins of a frame.")
    parts = np.concatenate([np.eye(bins), -np.eye(bins)], axis=1)
    centre = (frames - 1) // 2 * bins  # a noise estimate behind the context does not move it
    kernel = keras.ops.convert_to_numpy(first.kernel).copy()
    kernel[:, : 2 * bins] = 0
    kernel[centre : centre + bins, : 2 * bins] = parts
    first.kernel.assign(kernel)
    for layer in hidden:
        kernel = keras.ops.convert_to_numpy(layer.kernel).copy()
        kernel[:, : 2 * bins] = np.eye(len(kernel), 2 * bins)
        layer.kernel.assign(kernel)
    kernel = np.zeros(last.kernel.shape)
    kernel[: 2 * bins] = parts.T
    last.kernel.assign(kernel)
