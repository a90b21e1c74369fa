"""Supervised regression on stored segments: the training loop of Xu et al. 2015 and of sednn."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_segan import backends
from keras_segan.data.segments import SegmentStore
from keras_segan.training.run import Run, assign_groups, groups_to_arrays


def mean_absolute_error(estimate, target):
    """Mean over batch and bins of |estimate - target| (sednn)."""
    return ops.mean(ops.abs(estimate - target))


def summed_square_error(estimate, target):
    """Mean over the batch of the squared distance of the spectra (paper, equation 2)."""
    return ops.mean(ops.sum(ops.square(estimate - target), axis=-1))


LOSSES = {"mae": mean_absolute_error, "mse": summed_square_error}


class RegressionSteps:
    """A training step and an evaluation of a network, both compiled.

    Args:
        network: From normalised context `(batch, frames, bins)` to one frame `(batch, bins)`.
        optimizer: A Keras optimizer.
        loss: Takes estimate and target `(batch, bins)`, returns a scalar.
        weight_decay: Times half the summed squares of the kernels is added to the loss of a training step.
    """

    def __init__(
        self,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: Callable,
        weight_decay: float = 0.0,
    ):
        self.network = network
        self.optimizer = optimizer
        self.loss = loss
        self.weight_decay = weight_decay
        # Built now: an optimizer that builds lazily would come back from a checkpoint without moments.
        optimizer.build(network.trainable_variables)
        self._shapes = (network.input_shape, network.output_shape)
        self._compile()
        self._evaluate = backends.compile_step(
            lambda x, y: loss(network(x, training=False), y), network.variables, self._shapes
        )

    def _compile(self):
        self._train = backends.compile_step(
            self._step, [*self.network.variables, *self.optimizer.variables], self._shapes, jit=True
        )

    def set_sgd(self, learning_rate: float, momentum: float):
        """Changes learning rate and momentum of a `keras.optimizers.SGD`."""
        self.optimizer.learning_rate = learning_rate
        if momentum != self.optimizer.momentum:
            self.optimizer.momentum = momentum
            self._compile()  # a constant of the compiled step

    def _step(self, context, target):
        variables = self.network.trainable_variables
        loss, gradients = backends.value_and_gradients(
            lambda: self._training_loss(context, target), variables
        )
        self.optimizer.apply(gradients, variables)
        return loss

    def _training_loss(self, context, target):
        loss = self.loss(self.network(context, training=True), target)
        if self.weight_decay:
            kernels = [v for v in self.network.trainable_variables if v.name == "kernel"]
            loss += 0.5 * self.weight_decay * sum(ops.sum(ops.square(kernel)) for kernel in kernels)
        return loss

    def train(self, context: np.ndarray, target: np.ndarray) -> float:
        """Makes one step on a batch; returns its loss before the step."""
        return float(self._train(ops.convert_to_tensor(context), ops.convert_to_tensor(target)))

    def evaluate(self, context: np.ndarray, target: np.ndarray) -> float:
        """Returns the loss of a batch in inference mode."""
        return float(self._evaluate(ops.convert_to_tensor(context), ops.convert_to_tensor(target)))


@dataclass(frozen=True)
class Rounds:
    """How training is divided: after each round losses are logged and a checkpoint is written.

    Attributes:
        iterations: In all.
        length: Iterations of a round.
        batch: Segments per iteration.
        evaluated: Batches per loss evaluation at most (sednn: 100).
        seed: Of the order of the segments.
    """

    iterations: int
    length: int
    batch: int
    evaluated: int = 100
    seed: int = 0


class RegressionTrainer:
    """Trains a network on the segments of a store; keeps the last weights, as the originals do.

    Args:
        steps: Network, optimizer and loss.
        stores: Segments by split; `"train"` is trained on, of all of them the loss is logged.
        read: Takes a store and numbers of segments, returns a batch as the network takes it.
        rounds: Division of the training.
        run: A `training.run.Run`.
        before_round: Called with the number of each round, from 1, before it: learning rate schedules.

    Attributes:
        done: Iterations that the last checkpoint stands for.
    """

    def __init__(
        self,
        steps: RegressionSteps,
        stores: dict[str, SegmentStore],
        read: Callable[[SegmentStore, np.ndarray], tuple[np.ndarray, np.ndarray]],
        rounds: Rounds,
        run: Run,
        before_round: Callable[[int], None] = lambda number: None,
    ):
        self.steps = steps
        self.stores = stores
        self.read = read
        self.rounds = rounds
        self.run = run
        self.before_round = before_round
        self.done = self._restore()

    def fit(self):
        """Trains from the last checkpoint, or from the beginning, to the last iteration."""
        done = self.done
        self.run.start_progress(self.rounds.iterations, done)
        if done == 0:
            self._log(0, {})
        while done < self.rounds.iterations:
            self.before_round(1 + done // self.rounds.length)
            goal = min(done - done % self.rounds.length + self.rounds.length, self.rounds.iterations)
            start = time.perf_counter()
            for iteration in range(done, goal):
                numbers = self.stores["train"].order(self.rounds.batch, iteration, self.rounds.seed)
                self.steps.train(*self.read(self.stores["train"], numbers))
                self.run.advance(1, f"iteration {iteration + 1}/{self.rounds.iterations}")
            seconds = (time.perf_counter() - start) / (goal - done)
            self.done = done = goal
            self._log(done, {"seconds_per_iteration": round(seconds, 4)})
            self._checkpoint(done)
        self.run.end_progress()

    def _log(self, iteration: int, facts: dict):
        losses = {f"{name}_loss": self.loss(store) for name, store in self.stores.items()}
        self.run.log_epoch({"iteration": iteration, **losses, **facts})
        shown = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in losses.items())
        self.run.say(f"iteration {iteration}: {shown}")

    def loss(self, store: SegmentStore) -> float:
        """Returns the loss over at most `rounds.evaluated` batches of random segments, each used once."""
        batches = min(self.rounds.evaluated, -(-len(store) // self.rounds.batch))
        total = count = 0
        for number in range(batches):
            context, target = self.read(store, store.order(self.rounds.batch, number, self.rounds.seed))
            total += self.steps.evaluate(context, target) * len(target)
            count += len(target)
        return total / count

    def _variables(self) -> dict[str, list]:
        return {"network": self.steps.network.variables, "optimizer": self.steps.optimizer.variables}

    def _checkpoint(self, iteration: int):
        arrays = groups_to_arrays(self._variables())
        self.run.save_checkpoint(iteration, arrays, {})

    def _restore(self) -> int:
        """Restores the last checkpoint; returns its iteration, 0 if there is none."""
        checkpoint = self.run.load_checkpoint()
        if checkpoint is None:
            self.run.log.clear()
            return 0
        arrays, state = checkpoint
        assign_groups(self._variables(), arrays)
        return state["epoch"]
