"""Adversarial training: players that take turns on each batch.

A player is named, moves the variables of the networks that it names and nothing else, has its own
optimizer and a loss that is passed in. Which networks meet in a loss, on what inputs and with which
weights is the recipe's business; the losses below are those that GAN papers share.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_segan import backends
from keras_segan.training.run import Run, assign_groups, groups_to_arrays, variables_to_arrays


@dataclass(frozen=True)
class Player:
    """One side of the game.

    Attributes:
        name: Prefix of its columns in the log, and its optimizer's name in a checkpoint.
        networks: The networks whose trainable variables it moves.
        optimizer: Its own Keras optimizer; two players never share one.
        loss: Takes the arrays of a batch, returns the scalar loss, or (loss, {name: scalar to log}).
        steps: Updates on each batch.
    """

    name: str
    networks: tuple[keras.Model, ...]
    optimizer: keras.optimizers.Optimizer
    loss: Callable
    steps: int = 1

    @property
    def variables(self) -> list:
        """The variables that this player moves."""
        return [variable for network in self.networks for variable in network.trainable_variables]


class AdversarialTrainer:
    """Lets players take turns: on every batch each makes its steps, in the order given.

    A player's gradient is taken with respect to its own variables only, so nobody has to be frozen, and it
    sees what the players before it have just changed, as in the released programs (D, then G).

    Args:
        players: In the order of their steps.
        shapes: Shape of each array of a batch, with `None` for free axes.
        compile: Whether to compile the step into one graph.

    Raises:
        ValueError: If two players share a name, an optimizer or a variable, or two networks a name.
    """

    def __init__(self, players: Sequence[Player], shapes: Sequence[tuple], compile: bool = True):
        self.players = tuple(players)
        self._check_players()
        for player in self.players:
            # Built now: an optimizer that builds lazily would come back from a checkpoint without moments.
            player.optimizer.build(player.variables)
        self._step = (
            backends.compile_step(self._take_turns, self._variables, shapes) if compile else self._take_turns
        )

    def _variables(self) -> list:
        return [variable for part in self.state.values() for variable in part.variables]

    def _check_players(self):
        for kind, owned in (
            ("name", [player.name for player in self.players]),
            ("network name", [network.name for player in self.players for network in player.networks]),
            ("optimizer", [id(player.optimizer) for player in self.players]),
            ("variable", [id(variable) for player in self.players for variable in player.variables]),
        ):
            if len(set(owned)) < len(owned):
                raise ValueError(f"there is one {kind} for two; each needs its own")

    @property
    def state(self) -> dict:
        """What a checkpoint must hold: networks and optimizers by name."""
        networks = {network.name: network for player in self.players for network in player.networks}
        return networks | {f"{player.name}_optimizer": player.optimizer for player in self.players}

    def step(self, *batch: np.ndarray) -> dict[str, float]:
        """Trains every player on a batch.

        Args:
            *batch: Arrays, handed to the losses as float32 tensors.

        Returns:
            `{"<player>_loss": ...}` and what the losses add, each taken before that player's own (last) step
            and after the steps of the players before it.
        """
        logged = self._step(*(ops.convert_to_tensor(np.asarray(array, np.float32)) for array in batch))
        return {name: float(value) for name, value in logged.items()}

    def _take_turns(self, *batch):
        logged = {}
        for player in self.players:
            for _ in range(player.steps):
                logged |= _move(player, batch)
        return logged


def _move(player: Player, batch: tuple) -> dict:
    variables = player.variables
    result, gradients = backends.value_and_gradients(lambda: player.loss(*batch), variables)
    player.optimizer.apply(gradients, variables)
    loss, extra = result if isinstance(result, tuple) else (result, {})
    return {f"{player.name}_loss": loss} | {f"{player.name}_{name}": value for name, value in extra.items()}


def real_or_fake_loss(real_logit, fake_logit):
    """The discriminator's cross entropy: -E log D(real) - E log(1 - D(fake)).

    Args:
        real_logit: D's logits of real examples.
        fake_logit: D's logits of generated examples.

    Returns:
        A scalar; 2 ln 2 for a discriminator that knows nothing.

    Reference:
        Goodfellow et al. 2014, equation 1.
    """
    return ops.mean(ops.softplus(-real_logit)) + ops.mean(ops.softplus(fake_logit))


def non_saturating_loss(fake_logit):
    """The generator's loss -E log D(fake).

    Args:
        fake_logit: D's logits of generated examples.

    Returns:
        A scalar.

    Reference:
        Goodfellow et al. 2014, section 3.
    """
    return ops.mean(ops.softplus(-fake_logit))


def half_mean_square(estimate, target):
    """Half the mean squared error.

    Args:
        estimate: Any shape.
        target: The same shape.

    Returns:
        A scalar.
    """
    return 0.5 * ops.mean(ops.square(estimate - target))


@dataclass(frozen=True)
class System:
    """A network in training, with its players and its measure of progress.

    Attributes:
        name: How logs, checkpoints and tables call it.
        trainer: Its players.
        network: The network that is kept.
        validate: Returns its validation loss; less is better.
    """

    name: str
    trainer: AdversarialTrainer
    network: keras.Model
    validate: Callable[[], float]


class Training:
    """Trains systems side by side on the same batches and keeps the best epoch of each.

    Args:
        systems: At least one. Of a single one the log's columns carry no name.
        batches: Takes the number of an epoch, from 1, and returns its batches; always the same ones for the
            same number, so that a resumed run goes on as it would have.
        batches_per_epoch: How many.
        epochs: Number of epochs.
        run: A `training.run.Run`.
    """

    def __init__(
        self,
        systems: Sequence[System],
        batches: Callable[[int], Iterable[tuple]],
        batches_per_epoch: int,
        epochs: int,
        run: Run,
    ):
        self.systems = tuple(systems)
        self.batches = batches
        self.batches_per_epoch = batches_per_epoch
        self.epochs = epochs
        self.run = run
        self._best: dict[str, tuple[int, float, list[np.ndarray]]] = {}

    def fit(self) -> dict[str, int]:
        """Trains from the last checkpoint, or from the beginning, to the last epoch.

        Returns:
            The best epoch of each system by name; its weights are in the system's network.
        """
        done = self._restore()
        self.run.start_progress(self.epochs * self.batches_per_epoch, done * self.batches_per_epoch)
        for epoch in range(done + 1, self.epochs + 1):
            self.run.log_epoch({"epoch": epoch, **self._epoch(epoch)})
            self._checkpoint(epoch)
        self.run.end_progress()
        for system in self.systems:
            system.network.set_weights(self._best[system.name][2])
        return {name: epoch for name, (epoch, _, _) in self._best.items()}

    def _epoch(self, epoch: int) -> dict[str, float]:
        start = time.perf_counter()
        logged = [[] for _ in self.systems]
        for batch in self.batches(epoch):
            for system, steps in zip(self.systems, logged, strict=True):
                steps.append(system.trainer.step(*batch))
            self.run.advance(
                1, f"epoch {epoch}/{self.epochs}, batch {len(logged[0])}/{self.batches_per_epoch}"
            )
        row = {}
        for system, steps in zip(self.systems, logged, strict=True):
            values = _means(steps) | {"validation_loss": system.validate()}
            self._remember_best(system, epoch, values["validation_loss"])
            prefix = f"{system.name}_" if len(self.systems) > 1 else ""
            row |= {prefix + name: value for name, value in values.items()}
        return row | {"seconds": round(time.perf_counter() - start, 2)}

    def _remember_best(self, system: System, epoch: int, loss: float):
        if system.name not in self._best or loss < self._best[system.name][1]:
            self._best[system.name] = (epoch, loss, system.network.get_weights())

    def _variables(self) -> dict[str, list]:
        return {
            f"{system.name}.{name}": part.variables
            for system in self.systems
            for name, part in system.trainer.state.items()
        }

    def _checkpoint(self, epoch: int):
        arrays = groups_to_arrays(self._variables())
        for name, (_, _, weights) in self._best.items():
            arrays |= variables_to_arrays(f"{name}.best", weights)
        best = {name: [best_epoch, loss] for name, (best_epoch, loss, _) in self._best.items()}
        self.run.save_checkpoint(epoch, arrays, {"best": best})

    def _restore(self) -> int:
        """Restores the last checkpoint; returns its epoch, 0 if there is none."""
        checkpoint = self.run.load_checkpoint()
        if checkpoint is None:
            return 0
        arrays, state = checkpoint
        assign_groups(self._variables(), arrays)
        for system in self.systems:
            epoch, loss = state["best"][system.name]
            weights = [arrays[f"{system.name}.best.{i:03d}"] for i in range(len(system.network.weights))]
            self._best[system.name] = (epoch, loss, weights)
        return state["epoch"]


def _means(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([step[name] for step in steps])) for name in steps[0]}
