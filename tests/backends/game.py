"""A small game with everything that steps of the papers have; `reference.npz` holds TensorFlow's numbers.

Record them anew with `KERAS_BACKEND=tensorflow python tests/backends/game.py`.
"""

from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_segan import backends
from keras_segan.layers import LearnableSigmoid, SpectralNormalization, TiledConv2D
from keras_segan.layers.recurrent import bidirectional_lstm
from keras_segan.training.optimizers import Adam, TorchAdam

REFERENCE = Path(__file__).with_name("reference.npz")
BINS, FRAMES, STEPS = 9, 12, 5


def random_weights(network, seed):
    random = np.random.default_rng(seed)
    positive = ("moving_variance", "gamma")
    network.set_weights(
        [
            random.uniform(0.5, 1.5, v.shape) if v.name in positive else random.normal(0, 0.3, v.shape)
            for v in network.weights
        ]
    )


def generator(dropout=0.0):
    inputs = keras.Input((None, BINS))
    x = bidirectional_lstm(6)(inputs)
    x = bidirectional_lstm(5, recurrent_activation="sigmoid")(x)
    x = keras.layers.Dropout(dropout, seed=0)(x)
    outputs = LearnableSigmoid()(keras.layers.Dense(BINS)(x))
    return keras.Model(inputs, outputs)


def discriminator():
    inputs = keras.Input((None, BINS, 2))
    x = keras.layers.BatchNormalization(momentum=0.9)(inputs)
    x = SpectralNormalization(TiledConv2D(5, 3), mode="keras2")(x)
    x = keras.layers.LeakyReLU(0.3)(x)
    x = SpectralNormalization(TiledConv2D(4, (9, 5)), mode="miyato")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, SpectralNormalization(keras.layers.Dense(1), mode="keras2")(x))


class Game:
    """Two players in one compiled step: D on two images, then G through D."""

    def __init__(self, dropout=0.0):
        self.generator, self.discriminator = generator(dropout), discriminator()
        self.optimizers = Adam(1e-3, epsilon=1e-8), TorchAdam(1e-3)
        for seed, network in enumerate((self.generator, self.discriminator)):
            random_weights(network, seed)
            self.optimizers[seed].build(network.trainable_variables)
        shape = (None, None, BINS)
        self.step = backends.compile_step(self._step, self.variables, [shape, shape])

    def variables(self):
        parts = self.generator, self.discriminator, *self.optimizers
        return [variable for part in parts for variable in part.variables]

    def judged(self, degraded, clean):
        return self.discriminator(ops.stack([degraded, clean], axis=-1), training=True)

    def discriminator_loss(self, noisy, clean):
        fake = self.judged(self.generator(noisy, training=True) * noisy, clean)
        real = self.judged(clean, clean)
        return ops.mean(ops.square(real - 1)) + ops.mean(ops.square(fake)), {"score": ops.mean(real)}

    def generator_loss(self, noisy, clean):
        enhanced = self.generator(noisy, training=True) * noisy
        distance = ops.mean(ops.square(enhanced - clean))
        return ops.mean(ops.square(self.judged(enhanced, clean) - 1)) + distance

    def _step(self, noisy, clean):
        (d_loss, logged), gradients = backends.value_and_gradients(
            lambda: self.discriminator_loss(noisy, clean), self.discriminator.trainable_variables
        )
        self.optimizers[1].apply(gradients, self.discriminator.trainable_variables)
        g_loss, gradients = backends.value_and_gradients(
            lambda: self.generator_loss(noisy, clean), self.generator.trainable_variables
        )
        self.optimizers[0].apply(gradients, self.generator.trainable_variables)
        return {"d_loss": d_loss, "g_loss": g_loss, **logged}


def batch(number, frames=FRAMES):
    random = np.random.default_rng(100 + number)
    return random.uniform(0, 1, (2, 2, frames, BINS)).astype(np.float32)


def play(game, steps=STEPS):
    """Returns losses `(steps, 3)`, and weights and moments after the last step."""
    logged = [game.step(*batch(number)) for number in range(steps)]
    names = ("d_loss", "g_loss", "score")
    losses = [[float(ops.convert_to_numpy(values[name])) for name in names] for values in logged]
    values = [ops.convert_to_numpy(variable) for variable in game.variables()]
    # Seeds of random numbers are drawn when a layer is made.
    return np.array(losses), [value for value in values if value.dtype == np.float32]


if __name__ == "__main__":
    losses, values = play(Game())
    np.savez_compressed(REFERENCE, losses=losses, **{f"{n:03d}": value for n, value in enumerate(values)})
