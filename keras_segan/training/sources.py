"""Sources of examples for the training loop that need nothing but the examples."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from keras_segan.data.examples.base import Examples
from keras_segan.training.loop import ITERATION, TRAIN, Batch, Rounds


class Batches:
    """A `loop.Source` of random batches, one after the other.

    It has no state: which examples a batch holds depends on its number and the seed. To skip batches costs
    nothing, because they are read only when a step is taken on them.

    Args:
        examples: The examples.
        size: Examples per batch.
        seed: Seed of their order.
        rounds: How training is divided; the unit "iteration" is a batch, every other one a pass.
        steps: Names of the steps that are taken on each batch, in order.
    """

    def __init__(
        self, examples: Examples, size: int, seed: int, rounds: Rounds, steps: tuple[str, ...] = (TRAIN,)
    ) -> None:
        self.examples = examples
        self.size = size
        self.seed = seed
        self.rounds = rounds
        self.steps = steps
        self._per_unit = 1 if rounds.unit == ITERATION else examples.per_pass(size)

    def _iterations(self, number: int) -> range:
        ends = self.rounds.end(number - 1), self.rounds.end(number)
        return range(ends[0] * self._per_unit, ends[1] * self._per_unit)

    def round(self, number: int) -> Iterator[Batch]:
        """Yields the batches of a round."""
        for iteration in self._iterations(number):
            yield Batch(partial(self._read, iteration), self.steps, where=self._where(iteration))

    def _read(self, iteration: int) -> dict[str, np.ndarray]:
        return self.examples.batch(self.examples.order(self.size, iteration, self.seed))

    def _where(self, iteration: int) -> str:
        unit, batch = divmod(iteration, self._per_unit)
        within = f", batch {batch + 1}/{self._per_unit}" if self._per_unit > 1 else ""
        return f"{self.rounds.unit} {unit + 1}/{self.rounds.total}{within}"

    def work(self, number: int) -> float:
        """Returns the number of batches of a round."""
        return len(self._iterations(number))

    def facts(self) -> dict[str, Any]:
        """Returns nothing: there are no further columns."""
        return {}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Returns nothing: there is no state."""
        return {}, {}

    def restore(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Does nothing: there is no state."""
