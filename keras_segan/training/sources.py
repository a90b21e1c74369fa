"""Sources of examples for the training loop that need nothing but the examples."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from keras_segan.data.examples.base import Examples
from keras_segan.training.loop import ITERATION, TRAIN, Batch, Rounds, Source


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


class Phases:
    """A `loop.Source` of several trainings one after the other, such as a predictor's and then an enhancer's.

    Args:
        phases: Name of the step, source of its batches and number of its rounds, in order.
    """

    def __init__(self, phases: Sequence[tuple[str, Batches, int]]):
        self.phases = tuple(phases)

    @property
    def count(self) -> int:
        """Number of rounds of all phases."""
        return sum(count for _, _, count in self.phases)

    def at(self, number: int) -> tuple[str, Batches, int]:
        """Returns step, source and number of the round in its phase; rounds are counted from 1."""
        before = 0
        for name, source, count in self.phases:
            if number <= before + count:
                return name, source, number - before
            before += count
        raise ValueError(f"There are {before} rounds; {number} is none of them.")

    def first(self, name: str) -> int:
        """Returns the first round of a phase."""
        return next(n for n in range(1, self.count + 1) if self.at(n)[0] == name)

    def round(self, number: int) -> Iterator[Batch]:
        """Yields the batches of a round."""
        name, source, own = self.at(number)
        for batch in source.round(own):
            yield replace(batch, steps=(name,), where=f"{name}, {batch.where}")

    def work(self, number: int) -> float:
        """Returns the number of batches of a round."""
        _, source, own = self.at(number)
        return source.work(own)

    def facts(self) -> dict[str, Any]:
        """Returns nothing: there are no further columns."""
        return {}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Returns nothing: there is no state."""
        return {}, {}

    def restore(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Does nothing: there is no state."""


class Turns(Batches):
    """Batches of which every step takes one of its own, the next in the order.

    An epoch has as many iterations as there are batches, although each iteration takes several.

    Args:
        examples: See `Batches`, as all but the last argument.
        size: See there.
        seed: See there.
        rounds: See there.
        steps: Names of the steps of an iteration, in order.
        extra: From the number of a batch, counted over all steps, to further arrays by name, such as noise.
        shared: Whether the steps of an iteration share a batch after all; its number is then the iteration's.
    """

    def __init__(
        self,
        examples: Examples,
        size: int,
        seed: int,
        rounds: Rounds,
        steps: tuple[str, ...],
        extra: Callable[[int], Mapping[str, np.ndarray]] = lambda number: {},
        shared: bool = False,
    ) -> None:
        super().__init__(examples, size, seed, rounds, steps)
        self.extra = extra
        self.turns = (steps,) if shared else tuple((step,) for step in steps)

    def round(self, number: int) -> Iterator[Batch]:
        """Yields the batches of a round."""
        for iteration in self._iterations(number):
            for turn, steps in enumerate(self.turns):
                read = partial(self._read, iteration * len(self.turns) + turn)
                yield Batch(read, steps, work=1 / len(self.turns), where=self._where(iteration))

    def _read(self, iteration: int) -> dict[str, np.ndarray]:
        return {**super()._read(iteration), **self.extra(iteration)}


class Prefetched:
    """Another source, the next batch of which is read while steps are taken on the present one.

    Args:
        source: The source; its batches must not depend on what the steps do.
    """

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def round(self, number: int) -> Iterator[Batch]:
        """Yields the batches of a round; one that is skipped is not read, nor the one after it."""
        with ThreadPoolExecutor(1) as reader:
            started: dict[int, Future[Mapping[str, np.ndarray]]] = {}

            def arrays(position: int, batch: Batch, following: Batch | None) -> Mapping[str, np.ndarray]:
                own = started.pop(position, None) or reader.submit(batch.arrays)
                read = own.result()
                if following is not None:
                    started[position + 1] = reader.submit(following.arrays)
                return read

            ahead: Iterator[Any] = itertools.chain(self.source.round(number), [None])
            pairs = itertools.pairwise(ahead)
            for position, (batch, following) in enumerate(pairs):
                yield replace(batch, arrays=partial(arrays, position, batch, following))
