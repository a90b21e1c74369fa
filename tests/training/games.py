"""Toy games that the tests of steps, loop and keeping play."""

import keras
import numpy as np
from keras import ops

from keras_segan.data.examples.base import Examples
from keras_segan.training.keep import Last
from keras_segan.training.loop import Training
from keras_segan.training.player import Player
from keras_segan.training.run_folder import Run
from keras_segan.training.sources import Batches
from keras_segan.training.step import Step

SHAPES = {"x": (None, 3)}


def network(name, seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)], name=name)


def sgd(rate=0.1):
    return keras.optimizers.SGD(rate)


def adam():
    return keras.optimizers.Adam(0.01)


def weights(net):
    return [np.array(array) for array in net.get_weights()]


def two_players(generator, discriminator, make_optimizer=sgd):
    """A game in which each loss depends on both networks, so that a wrong variable list would show."""

    def difference(x):
        return ops.mean(ops.square(discriminator(x) - generator(x)))

    return [
        Player("discriminator", (discriminator,), make_optimizer(), lambda x: -difference(x)),
        Player(
            "generator", (generator,), make_optimizer(), lambda x: (difference(x), {"level": ops.mean(x)})
        ),
    ]


def regression(net, make_optimizer=adam):
    """One player that fits a network to the sum of its inputs."""

    def loss(x):
        return ops.mean(ops.square(net(x, training=True) - ops.sum(x, axis=-1, keepdims=True)))

    return Player("model", (net,), make_optimizer(), loss)


class Rows(Examples):
    """Rows of random numbers; counts how many batches were read."""

    def __init__(self, count=20, seed=0):
        self.rows = np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32)
        self.read = 0

    def __len__(self):
        return len(self.rows)

    def per_pass(self, size):
        return -(-len(self) // size)

    def order(self, size, iteration, seed):
        passes, batch = divmod(iteration, self.per_pass(size))
        order = np.random.default_rng((seed, passes)).permutation(len(self))
        return order[batch * size : (batch + 1) * size]

    def batch(self, numbers):
        self.read += 1
        return {"x": self.rows[numbers]}


class TimedRun(Run):
    """A run folder whose time is up after `steps_left` steps, however long they take."""

    steps_left = 10**9

    @property
    def time_is_up(self):
        self.steps_left -= 1
        return self.steps_left < 0


def open_run(folder, steps=10**9, resume=False):
    run = (TimedRun.resume if resume else TimedRun.create)(folder, {}, quiet=True)
    run.steps_left = steps - 1
    return run


def dropping_network(name="net"):
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dropout(0.3), keras.layers.Dense(1)]
    return keras.Sequential([keras.layers.Input((3,)), *layers], name=name)


def training(run, rounds, net=None, keep=None, examples=None, size=6):
    """A regression with dropout on batches of rows, of which the last of a pass is short."""
    net = net or dropping_network()
    source = Batches(examples or Rows(), size, 7, rounds)
    step = Step([regression(net)], SHAPES)
    return Training({"train": step}, source, rounds, run, keep or Last())


def log(run):
    """The log without what depends on the clock."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in run.log]


def variables(trained):
    return {
        f"{name}.{number}": np.array(ops.convert_to_numpy(variable))
        for name, group in trained.variables().items()
        for number, variable in enumerate(group)
    }


def assert_same(ours, theirs):
    assert list(ours) == list(theirs)
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
