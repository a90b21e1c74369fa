"""Which weights stay: the last ones, the best ones by a column of the log, or the mean of the last rounds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_segan.training.run_folder import take_arrays

Weights = list[np.ndarray]


@dataclass(frozen=True)
class Kept:
    """Weights that stay.

    Attributes:
        position: Epoch or iteration that they are of.
        weights: As `network.get_weights` returns them.
    """

    position: int
    weights: Weights


class Keep:
    """Keeps the last weights; base of the other rules."""

    def after_round(self, position: int, row: Mapping[str, Any]) -> None:
        """Looks at the weights at the end of a round.

        Args:
            position: Epoch or iteration that is complete.
            row: Its line of the log.
        """

    def state(self) -> tuple[dict[str, Any], dict[str, Weights]]:
        """Returns what a checkpoint has to hold: JSON, and weights by name."""
        return {}, {}

    def restore(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Goes on from a state; `arrays` are those of the whole checkpoint."""


class Last(Keep):
    """Keeps the last weights, which the networks hold anyway."""


class Best(Keep):
    """Keeps the weights of a network at the best value of a column of the log; of equal ones the first.

    Args:
        network: The network.
        column: The column; rounds without it are passed over.
        higher_is_better: Whether large values are good.
        first: Epoch or iteration before which weights do not count.
    """

    name = "best"  # in the checkpoint

    def __init__(self, network: keras.Model, column: str, higher_is_better: bool = False, first: int = 0):
        self.network = network
        self.column = column
        self.sign = 1.0 if higher_is_better else -1.0
        self.first = first
        self.kept: Kept | None = None
        self.value = -float("inf")

    def after_round(self, position: int, row: Mapping[str, Any]) -> None:
        """Keeps the weights if they are the best so far."""
        value = row.get(self.column)
        if position >= self.first and value is not None and self.sign * value > self.value:
            self.value = self.sign * value
            self.kept = Kept(position, copied_weights(self.network))

    def state(self) -> tuple[dict[str, Any], dict[str, Weights]]:
        """Returns position and value, and the weights."""
        if self.kept is None:
            return {}, {}
        return {"position": self.kept.position, "value": self.value}, {self.name: self.kept.weights}

    def restore(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Goes on from a state."""
        if state:
            self.value = state["value"]
            self.kept = Kept(state["position"], take_arrays(f"keep.{self.name}", arrays))


class MeanOfLast(Keep):
    """Keeps the mean of a network's weights over the last rounds.

    Args:
        network: The network.
        rounds: Number of rounds.
    """

    name = "mean"  # in the checkpoint

    def __init__(self, network: keras.Model, rounds: int):
        if rounds < 1:
            raise ValueError(f"The mean of the last {rounds} rounds does not exist; keep at least one.")
        self.network = network
        self.rounds = rounds
        self._last: list[Kept] = []

    @property
    def kept(self) -> Kept | None:
        """The mean of the weights so far."""
        if not self._last:
            return None
        layers = zip(*(each.weights for each in self._last), strict=True)
        means = [np.stack(arrays).mean(axis=0, dtype=np.float64).astype(np.float32) for arrays in layers]
        return Kept(self._last[-1].position, means)

    def after_round(self, position: int, row: Mapping[str, Any]) -> None:
        """Remembers the weights of the round and forgets the oldest."""
        self._last = [*self._last, Kept(position, copied_weights(self.network))][-self.rounds :]

    def state(self) -> tuple[dict[str, Any], dict[str, Weights]]:
        """Returns the positions, and the weights of each round."""
        positions = [each.position for each in self._last]
        return {"positions": positions}, {
            f"{self.name}-{number}": each.weights for number, each in enumerate(self._last)
        }

    def restore(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Goes on from a state."""
        self._last = [
            Kept(position, take_arrays(f"keep.{self.name}-{number}", arrays))
            for number, position in enumerate(state.get("positions", []))
        ]


class KeepAll(Keep):
    """Several rules side by side, such as one for each system or split.

    Args:
        rules: Rules by name.
    """

    def __init__(self, rules: Mapping[str, Keep]):
        self.rules = dict(rules)

    def after_round(self, position: int, row: Mapping[str, Any]) -> None:
        """Tells every rule."""
        for rule in self.rules.values():
            rule.after_round(position, row)

    def state(self) -> tuple[dict[str, Any], dict[str, Weights]]:
        """Returns the states of all rules."""
        facts: dict[str, Any] = {}
        weights: dict[str, Weights] = {}
        for name, rule in self.rules.items():
            facts[name], own = rule.state()
            weights |= {f"{name}/{key}": value for key, value in own.items()}
        return facts, weights

    def restore(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Goes on from a state."""
        for name, rule in self.rules.items():
            prefix = f"keep.{name}/"
            own = {
                f"keep.{key.removeprefix(prefix)}": array
                for key, array in arrays.items()
                if key.startswith(prefix)
            }
            rule.restore(state[name], own)


def copied_weights(network: keras.Model) -> Weights:
    """Returns a network's weights as they are now; on torch `get_weights` shares their memory."""
    return [np.array(array) for array in network.get_weights()]


def make_keep(rule: str, network: keras.Model, column: str, higher_is_better: bool) -> Keep:
    """Makes the rule that a setting names: `last`, `best` or `mean_of_last(N)`.

    Args:
        rule: Its name.
        network: The network whose weights are kept.
        column: Column of the log that `best` goes by.
        higher_is_better: Whether large values of the column are good.

    Returns:
        The rule.

    Raises:
        ValueError: For an unknown rule.
    """
    if rule == "last":
        return Last()
    if rule == "best":
        return Best(network, column, higher_is_better)
    if match := re.fullmatch(r"mean_of_last\((\d+)\)", rule):
        return MeanOfLast(network, int(match[1]))
    raise ValueError(f"keep must be last, best or mean_of_last(N), not '{rule}'.")


def kept_or_last(rule: Keep, network: keras.Model, position: int) -> Kept:
    """Returns the weights that a rule keeps, the network's own if it keeps none."""
    kept = getattr(rule, "kept", None)
    return kept if kept is not None else Kept(position, copied_weights(network))


def clone_with(network: keras.Model, weights: Sequence[np.ndarray]) -> keras.Model:
    """Returns a copy of a network with other weights."""
    copy = keras.models.clone_model(network)
    copy.set_weights(list(weights))
    return copy
