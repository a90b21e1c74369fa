"""What a game with metric feedback trains on, in which order; each paper has a sampler of its own."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keras_segan.data.manifest import Manifest
from keras_segan.training.replay import ReplayBuffer


@dataclass(frozen=True)
class Example:
    """What one step of the discriminator is taken on.

    Attributes:
        kind: `"clean"`, `"noisy"`, `"enhanced"` (as it left the generator in this epoch) or `"replayed"`
            (read back from a 16-bit file).
        utterance: Index in the training list.
        epoch: Epoch in which it was enhanced, 0 for a clean or noisy one.
        scores: Its true scores on the scale [0, 1], one for each target.
    """

    kind: str
    utterance: int
    epoch: int
    scores: tuple[float, ...]


# Of each utterance drawn for the epoch; what could not be scored is missing.
Current = Sequence[dict[str, Example]]


def in_turn(current: Current, *kinds: str) -> list[Example]:
    """Returns the examples of each utterance in the order of `kinds`."""
    return [examples[kind] for examples in current for kind in kinds if kind in examples]


class Sampler:
    """What the samplers have in common.

    Args:
        utterances: Number of training utterances.
        validation: Number of validation utterances.
        per_epoch: Utterances drawn for an epoch.
        seed: Of the order.

    Attributes:
        kinds: What the discriminator is trained on.
        validation: Indices of validation utterances, from which the first ones are taken.
    """

    kinds = ("clean", "enhanced", "noisy")

    def __init__(self, utterances: int, validation: int, per_epoch: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.order = list(range(utterances))
        self.validation = list(range(validation))
        self.per_epoch = per_epoch
        self.seed = seed
        self.replay = ReplayBuffer(self.rng)

    @classmethod
    def of(cls, manifest: Manifest, *settings) -> "Sampler":
        """Returns a sampler of a manifest's utterances; `settings` are those after their numbers."""
        return cls(len(manifest.split("train")), len(manifest.split("validation")), *settings)

    @property
    def drawn(self) -> int:
        """Number of utterances of an epoch."""
        return min(self.per_epoch, len(self.order))

    def utterances(self, epoch: int) -> list[int]:
        """Draws the utterances of an epoch."""
        raise NotImplementedError

    def generator_order(self, drawn: list[int]) -> list[int]:
        """Returns the utterances of the generator's steps."""
        return drawn

    def enhancing_generator(self, generators: int) -> int:
        """Chooses the generator whose output the discriminator is trained on."""
        return 0

    def passes(self, epoch: int, current: Current) -> Iterator[list[Example]]:
        """Yields the examples of the discriminator's passes, of which there are three in every paper.

        Args:
            epoch: The epoch.
            current: Examples of this epoch's utterances.
        """
        raise NotImplementedError

    def steps(self, epoch: int) -> int:
        """Returns how many examples `passes` will yield in an epoch, if all can be scored."""
        raise NotImplementedError

    def state(self) -> dict:
        """Returns what a checkpoint has to hold, as JSON holds it."""
        return {
            "random": self.rng.getstate(),
            "order": list(self.order),
            "validation": list(self.validation),
            "history": [(e.kind, e.utterance, e.epoch, e.scores) for e in self.replay.history],
        }

    def restore(self, state: dict) -> None:
        """Goes on from a state."""
        version, numbers, gauss = state["random"]
        self.rng.setstate((version, tuple(numbers), gauss))
        self.order = state["order"]
        self.validation = state["validation"]
        self.replay.history = [Example(*entry[:3], tuple(entry[3])) for entry in state["history"]]
