"""The order in which MetricGAN's program draws its samples, and its memory of earlier epochs."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")


def python2_shuffle(items: list, rng: random.Random) -> None:
    """Shuffles in place as Python 2's `random.shuffle` did, the original's order for the same seed.

    Args:
        items: The list.
        rng: Source of random numbers; its `random()` is the same in Python 2 and 3.
    """
    for last in reversed(range(1, len(items))):
        other = int(rng.random() * (last + 1))
        items[last], items[other] = items[other], items[last]


class SampleStream(Generic[Item]):
    """Draws from a list for ever; when the last item is drawn, the list is shuffled in place.

    Args:
        items: The list; the stream shuffles it itself, not a copy.
        rng: Source of random numbers.

    Reference:
        MetricGAN.py, `Generator_train_data_generator` and `Discriminator_train_data_generator`.
    """

    def __init__(self, items: list[Item], rng: random.Random) -> None:
        self.items = items
        self.rng = rng
        self._next = 0

    def draw(self) -> Item:
        """Draws one item."""
        item = self.items[self._next]
        self._next += 1
        if self._next == len(self.items):
            self._next = 0
            python2_shuffle(self.items, self.rng)
        return item

    def take(self, steps: int, prefetch: int = 0) -> Iterator[Item]:
        """Draws the items of one call of the original's `fit_generator`.

        Args:
            steps: Number of training steps.
            prefetch: Items that are drawn beyond the steps and thrown away: 1 in the original, whose
                generator queue (`max_queue_size=1`) reads one ahead.

        Returns:
            An iterator over `steps` items.
        """
        for _ in range(steps):
            yield self.draw()
        for _ in range(prefetch):
            self.draw()


@dataclass
class ReplayBuffer(Generic[Item]):
    """Samples of all earlier epochs; a tenth of them is trained on again in each epoch.

    Attributes:
        rng: Source of random numbers.
        divisor: One in so many earlier samples is drawn, by integer division (10 in the original).
        history: The samples of earlier epochs, clean ones included; it never forgets.
    """

    rng: random.Random
    divisor: int = 10
    history: list[Item] = field(default_factory=list)

    def current_and_past(self, current: list[Item]) -> list[Item]:
        """Returns a share of the history and the current samples, shuffled together.

        Args:
            current: The samples of this epoch.
        """
        python2_shuffle(self.history, self.rng)
        total = self.history[: len(self.history) // self.divisor] + current
        python2_shuffle(total, self.rng)
        return total

    def remember(self, current: list[Item]) -> None:
        """Adds the samples of this epoch, in their present order."""
        self.history = self.history + current
