"""What comparisons with SEGAN's program need: recorded arrays, weights by the recipe, the recipe's game."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np

from keras_segan.front_ends import WaveformFrontEnd
from keras_segan.reproductions import segan as recipe

ARRAYS = Path(__file__).parent / "arrays" / "segan"
FACTS = json.loads((ARRAYS / "facts.json").read_text())


def arrays(name):
    return dict(np.load(ARRAYS / f"{name}.npz"))


def numpy(value):
    return keras.ops.convert_to_numpy(value)


def ours(array):
    """An array of the original in our layout."""
    return array[:, 0] if array.ndim == 4 else array


def drawn(weights, seed):
    """The recorded weights, as the README of the recordings draws them."""
    random = np.random.RandomState(seed)
    for each in weights:
        yield ours((each["mean"] + each["std"] * random.standard_normal(each["shape"])).astype(np.float32))


def windows(samples):
    """16-bit windows as the networks take them."""
    return WaveformFrontEnd().to_network(samples / np.float32(32768))


def play(depths, weights, batch=3, devices=1, **changes):
    """The recipe's game with given weights, and its steps."""
    settings = dataclasses.replace(recipe.CODE, depths=tuple(depths), batch=batch, devices=devices, **changes)
    game = recipe.game(settings, "segan")
    weights = list(weights)
    count = len(game.generator.weights)
    game.generator.set_weights(weights[:count])
    game.discriminator.set_weights(weights[count:])
    return game, recipe.steps([game])


def values(game):
    """All weights in the original's order."""
    return [numpy(v) for network in (game.generator, game.discriminator) for v in network.weights]


def is_idle(name):
    """Whether a weight is a bias that D's normalisation takes off: its gradient is rounding noise."""
    return name.startswith("d_model") and name.endswith("downconv/b")
