"""Turns players into compiled training steps with named state."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_segan import backends
from keras_segan.training.player import Player, check_names, check_players

Shapes = Mapping[str, tuple[int | None, ...]]


class Step:
    """Lets players take turns on a batch: each makes its moves, in the order given.

    A player sees what the players before it have just changed, as in the released programs.

    Args:
        players: In the order of their moves.
        shapes: Shape of each array of a batch, with `None` for free axes. Arrays that a batch does not hold
            are left out, so that one step serves batches with and without an optional array.
        others: Networks that the losses call but nobody here moves; their statistics and seeds do move.
        prepare: Takes the arrays of a batch before anybody moves; what it returns joins them, as constants.
        jit: Whether XLA compiles the step on TensorFlow, anew for every length.

    Raises:
        ValueError: If two players share a name, an optimizer or a variable, or two networks a name.
    """

    def __init__(
        self,
        players: Sequence[Player],
        shapes: Shapes,
        others: Sequence[keras.Model] = (),
        prepare: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        jit: bool = False,
    ):
        self.players = tuple(players)
        self.shapes = dict(shapes)
        self.others = tuple(others)
        self.prepare = prepare
        self.jit = jit
        self._compiled: dict[tuple[str, ...], Callable[..., dict[str, Any]]] = {}
        check_players(self.players)
        check_names([*(network for player in players for network in player.all_networks), *self.others])
        for player in self.players:
            # Built now: an optimizer that builds lazily would come back from a checkpoint without moments.
            if not player.optimizer.built:
                player.optimizer.build(player.variables)

    @property
    def state(self) -> dict[str, Sequence[keras.Variable]]:
        """All variables that the step may change, by name: networks, optimizers, rules."""
        groups: dict[str, Sequence[keras.Variable]] = {}
        for player in self.players:
            groups |= {network.name: network.variables for network in player.all_networks}
            groups[f"{player.name}_optimizer"] = player.optimizer.variables
            if player.rule is not None and player.rule.variables:
                groups[f"{player.name}_rule"] = player.rule.variables
        return groups | {network.name: network.variables for network in self.others}

    def player_of(self, name: str) -> Player:
        """Returns the player that logs a name; where one player's name begins another's, the longer one."""
        players = [player for player in self.players if name.startswith(f"{player.name}_")]
        return max(players, key=lambda player: len(player.name))

    def __call__(self, **batch: np.ndarray) -> dict[str, Any]:
        """Trains every player on a batch.

        Args:
            **batch: Arrays by name, converted to float32.

        Returns:
            `{"<player>_loss": ...}` and what the losses add, each taken before that player's own (last)
            move. The values are left where they were computed; `fetch` brings them in.
        """
        names = tuple(name for name in self.shapes if name in batch)
        if names not in self._compiled:
            self._compiled[names] = self._compile(names)
        return self._compiled[names](*(np.asarray(batch[name], np.float32) for name in names))

    def _compile(self, names: tuple[str, ...]) -> Callable[..., dict[str, Any]]:
        for player in self.players:
            if self.prepare is None:
                player.arguments(names)

        def take_turns(*values: Any) -> dict[str, Any]:
            arrays = dict(zip(names, values, strict=True))
            if self.prepare is not None:
                arrays |= self.prepare(arrays)
            logged: dict[str, Any] = {}
            for player in self.players:
                for _ in range(player.steps):
                    logged |= move(player, arrays)
            return logged

        state = distinct(variable for group in self.state.values() for variable in group)
        shapes = [self.shapes[name] for name in names]
        return backends.compile_step(take_turns, state, shapes, jit=self.jit)


def move(player: Player, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Moves a player once.

    Args:
        player: The player.
        arrays: Arrays of the batch by name.

    Returns:
        Its loss and what the loss adds, before the move, by the name of the column.
    """
    taken = {name: arrays[array] for name, array in player.arguments(list(arrays)).items()}
    variables, watched = player.variables, player.watched_variables
    result, gradients = backends.value_and_gradients(lambda: player.loss(**taken), [*variables, *watched])
    own, seen = gradients[: len(variables)], gradients[len(variables) :]
    player.optimizer.apply(own if player.rule is None else player.rule(own, seen), variables)
    loss, extra = result if isinstance(result, tuple) else (result, {})
    return {f"{player.name}_loss": loss} | {f"{player.name}_{name}": value for name, value in extra.items()}


def distinct(variables: Iterable[keras.Variable]) -> list[keras.Variable]:
    """Returns variables in order, each once."""
    return list({id(variable): variable for variable in variables}.values())


def fetch(logged: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Brings logged values in from the device, all at once.

    Args:
        logged: What steps returned, the same names in each.

    Returns:
        The values of each name, in order.
    """
    if not logged:
        return {}
    table = {name: ops.stack([row[name] for row in logged]) for name in logged[0]}
    return {name: ops.convert_to_numpy(column).astype(np.float32).tolist() for name, column in table.items()}


def evaluation(
    loss: Callable[..., Any], networks: Sequence[keras.Model], shapes: Shapes
) -> Callable[..., Any]:
    """Compiles a loss that nobody is moved by, for validation.

    Args:
        loss: Called with arrays by name; returns a scalar.
        networks: What it calls.
        shapes: Shape of each array, with `None` for free axes.

    Returns:
        A function of arrays by name; its value is left where it was computed.
    """
    names = tuple(shapes)
    state = distinct(variable for network in networks for variable in network.variables)
    compiled = backends.compile_step(
        lambda *values: loss(**dict(zip(names, values, strict=True))), state, list(shapes.values())
    )
    return lambda **arrays: compiled(*(np.asarray(arrays[name], np.float32) for name in names))


def mean_loss(loss: Callable[..., Any], batches: Iterable[Mapping[str, np.ndarray]]) -> float:
    """Returns the mean of a loss over batches, in which every example counts the same.

    Args:
        loss: Returned by `evaluation`.
        batches: Arrays by name, the first axis that of the examples.
    """
    sizes, values = [], []
    for batch in batches:
        sizes.append(len(next(iter(batch.values()))))
        values.append({"loss": loss(**batch)})
    return float(np.average(fetch(values)["loss"], weights=sizes))
