"""Networks from waveform to waveform inside an enhancer."""

from typing import Any

import keras
from keras import layers

from keras_segan.front_ends import WaveformFrontEnd
from keras_segan.layers import Columns
from keras_segan.models.base import Enhancer


def enhancer(generator: keras.Model, front_end: WaveformFrontEnd, information: dict[str, Any]) -> Enhancer:
    """Puts a generator and what lies around it together.

    Args:
        generator: From `(batch, length, 1)`, and latent noise `(batch, positions, channels)` if it takes any,
            to `(batch, length, 1)`.
        front_end: Its `length` and `latent` are set by the generator.
        information: Facts to keep with the model.

    Returns:
        The enhancer.
    """
    front_end.length = generator.inputs[0].shape[1]
    front_end.latent = latent_size(generator)
    return Enhancer(in_rows(generator), front_end, information)


def latent_size(generator: keras.Model) -> int:
    """Returns how many numbers of latent noise a window needs."""
    if len(generator.inputs) == 1:
        return 0
    _, positions, channels = generator.inputs[1].shape
    return positions * channels


def in_rows(generator: keras.Model) -> keras.Model:
    """Gives a generator one input: rows of samples with the latent noise behind them.

    Args:
        generator: See `enhancer`.

    Returns:
        A model from `(batch, length + latent)` to `(batch, length)`.
    """
    length = generator.inputs[0].shape[1]
    rows = layers.Input((length + latent_size(generator),), name="rows")
    places = [(0, length), (length, None)]
    inputs = [
        layers.Reshape(each.shape[1:])(Columns(*place)(rows))
        for each, place in zip(generator.inputs, places, strict=False)
    ]
    enhanced = generator(inputs if len(inputs) > 1 else inputs[0])
    return keras.Model(rows, layers.Reshape((length,))(enhanced), name=f"{generator.name}_in_rows")
