"""A player: who moves which networks, by which loss, with which optimizer.

Regression is one player; a GAN has two. A player's gradient is taken with respect to its own variables only,
so no network is ever frozen by a flag.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import keras

Arrays = Mapping[str, Any]


class GradientRule(Protocol):
    """What happens to gradients before the optimizer sees them, such as clipping.

    `variables` is what a checkpoint has to hold of it; most rules have none.
    """

    variables: Sequence[keras.Variable]

    def __call__(self, own: list[Any], watched: list[Any]) -> list[Any]:
        """Returns the gradients to apply.

        Args:
            own: Gradients of the player's variables.
            watched: Gradients of the variables of the networks that the player watches.
        """


@dataclass(frozen=True)
class Player:
    """One side of the game; regression has only one.

    Attributes:
        name: Prefix of its columns in the log.
        networks: The networks whose trainable variables it moves.
        optimizer: Its own Keras optimizer.
        loss: Called with arrays of the batch by name; returns the scalar loss, or
            (loss, {name: scalar to log}).
        inputs: Array of the batch by argument of the loss, where the names differ: two players may eat
            different arrays. Arguments that are not listed take the array of their own name.
        steps: Updates on each batch.
        rule: What happens to the gradients before they are applied.
        watched: Networks whose gradients the rule wants to see; they are not moved.
    """

    name: str
    networks: tuple[keras.Model, ...]
    optimizer: keras.optimizers.Optimizer
    loss: Callable[..., Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    steps: int = 1
    rule: GradientRule | None = None
    watched: tuple[keras.Model, ...] = ()

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that this player moves."""
        return _trainable(self.networks)

    @property
    def watched_variables(self) -> list[keras.Variable]:
        """The variables whose gradients its rule sees besides."""
        return _trainable(self.watched)

    @property
    def all_networks(self) -> tuple[keras.Model, ...]:
        """The networks that it moves or watches."""
        return (*self.networks, *self.watched)

    def arguments(self, names: Sequence[str]) -> dict[str, str]:
        """Returns the array of a batch that each argument of the loss takes.

        Args:
            names: The arrays that the batch holds.

        Raises:
            ValueError: If the batch lacks one that the loss cannot do without.
        """
        taken: dict[str, str] = {}
        for parameter in inspect.signature(self.loss).parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                taken |= {name: name for name in names}
                continue
            array = self.inputs.get(parameter.name, parameter.name)
            if array in names:
                taken[parameter.name] = array
            elif parameter.default is inspect.Parameter.empty:
                known = ", ".join(sorted(names))
                raise ValueError(f"Player '{self.name}' needs '{array}', but a batch holds {known}.")
        return taken


def _trainable(networks: tuple[keras.Model, ...]) -> list[keras.Variable]:
    return [variable for network in networks for variable in network.trainable_variables]


def check_players(players: Sequence[Player]) -> None:
    """Checks players that take turns in one step.

    Args:
        players: In the order of their moves.

    Raises:
        ValueError: If two of them share a name, an optimizer, a variable or the name of a network.
    """
    owners: dict[tuple[str, Any], int] = {}
    for number, player in enumerate(players):
        owned = [("a name", player.name), ("an optimizer", id(player.optimizer))]
        owned += [("a variable", id(variable)) for variable in player.variables]
        owned += [("a network's name", network.name) for network in player.networks]
        for kind, thing in owned:
            first = owners.setdefault((kind, thing), number)
            if first != number:
                raise ValueError(
                    f"Players '{players[first].name}' and '{player.name}' share {kind}; give each its own."
                )


def check_names(networks: Iterable[keras.Model]) -> None:
    """Checks that networks, which a checkpoint tells apart by their names, have different ones.

    Args:
        networks: Networks, also the same one several times.

    Raises:
        ValueError: If two of them have the same name.
    """
    named: dict[str, keras.Model] = {}
    for network in networks:
        if named.setdefault(network.name, network) is not network:
            raise ValueError(f"Two networks are called '{network.name}'; give each a name of its own.")
