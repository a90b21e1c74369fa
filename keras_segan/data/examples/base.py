"""Numbered examples that are read in batches, in random orders that depend on their arguments alone."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


class Examples(ABC):
    """Examples of one kind.

    An order is a function of seed and iteration, not of what was drawn before, so that training goes on at
    any iteration as if it had never stopped.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of examples."""

    @abstractmethod
    def per_pass(self, size: int) -> int:
        """Returns the number of batches in a pass over all examples.

        Args:
            size: Examples per batch.
        """

    @abstractmethod
    def order(self, size: int, iteration: int, seed: int) -> np.ndarray:
        """Returns which examples a training iteration uses.

        Every pass has a random order of its own and uses no example twice.

        Args:
            size: Examples per batch.
            iteration: Number of the iteration, from 0.
            seed: Seed of the orders.

        Returns:
            Numbers of examples `(batch,)`.
        """

    @abstractmethod
    def batch(self, numbers: np.ndarray) -> Arrays:
        """Reads examples.

        Args:
            numbers: Numbers of the examples `(batch,)`.

        Returns:
            Arrays by name, the first axis that of `numbers`.
        """

    def ordered(self, size: int) -> Iterator[Arrays]:
        """Yields all examples as they lie, the last batch shorter.

        Args:
            size: Examples per batch.

        Yields:
            What `batch` returns.
        """
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))

    def drawn(self, size: int, seed: int, limit: int | None = None) -> Iterator[Arrays]:
        """Yields the batches of the first random pass.

        Args:
            size: Examples per batch.
            seed: Seed of the order.
            limit: Largest number of batches, `None` for the whole pass.

        Yields:
            What `batch` returns.
        """
        for iteration in range(self.per_pass(size))[:limit]:
            yield self.batch(self.order(size, iteration, seed))


class Transformed(Examples):
    """Other examples, every array changed by a function as it is read, such as a normalisation.

    Args:
        examples: The examples.
        function: Takes and returns an array.
    """

    def __init__(self, examples: Examples, function: Callable[[Any], np.ndarray]) -> None:
        self.examples = examples
        self.function = function

    def __len__(self) -> int:
        return len(self.examples)

    def per_pass(self, size: int) -> int:
        """Returns the number of batches in a pass."""
        return self.examples.per_pass(size)

    def order(self, size: int, iteration: int, seed: int) -> np.ndarray:
        """Returns which examples a training iteration uses."""
        return self.examples.order(size, iteration, seed)

    def batch(self, numbers: np.ndarray) -> Arrays:
        """Reads examples and changes them."""
        return {name: self.function(array) for name, array in self.examples.batch(numbers).items()}
