"""What MetricGAN, MetricGAN+ and MetricGAN-OKD train on, in which order: one class for each paper."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from keras_segan.data.manifest import Manifest
from keras_segan.training.replay import ReplayBuffer, SampleStream, python2_shuffle


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

    def __init__(self, utterances: int, validation: int, per_epoch: int, seed: int):
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

    def restore(self, state: dict):
        """Goes on from a state."""
        version, numbers, gauss = state["random"]
        self.rng.setstate((version, tuple(numbers), gauss))
        self.order = state["order"]
        self.validation = state["validation"]
        self.replay.history = [Example(*entry[:3], tuple(entry[3])) for entry in state["history"]]


class MetricGANSampler(Sampler):
    """MetricGAN: clean and enhanced utterances shuffled together, a tenth of all that came before.

    Args:
        utterances: Number of training utterances.
        validation: Number of validation utterances.
        per_epoch: Utterances drawn for an epoch.
        seed: Of the order.
        history_divisor: One in so many earlier examples, clean ones included, is trained on again.
        prefetch: See `replay.SampleStream.take`.

    Reference:
        MetricGAN.py, the loop over `gan_epoch`.
    """

    kinds = ("clean", "enhanced")

    def __init__(
        self,
        utterances: int,
        validation: int,
        per_epoch: int = 100,
        seed: int = 999,
        history_divisor: int = 10,
        prefetch: int = 1,
    ):
        super().__init__(utterances, validation, per_epoch, seed)
        self.prefetch = prefetch
        self.replay = ReplayBuffer(self.rng, history_divisor)
        python2_shuffle(self.order, self.rng)
        python2_shuffle(self.validation, self.rng)

    def utterances(self, epoch: int) -> list[int]:
        """Shuffles all utterances and takes the first ones."""
        python2_shuffle(self.order, self.rng)
        return self.order[: self.per_epoch]

    def generator_order(self, drawn: list[int]) -> list[int]:
        """Returns them in order, but the original's queue shuffles when it starts anew."""
        return list(SampleStream(list(drawn), self.rng).take(len(drawn), self.prefetch))

    def passes(self, epoch: int, current: Current) -> Iterator[list[Example]]:
        """Yields this epoch's examples, those with a share of the history, and this epoch's again."""
        examples = in_turn(current, "enhanced") + in_turn(current, "clean")
        python2_shuffle(examples, self.rng)
        stream = SampleStream(examples, self.rng)
        yield list(stream.take(len(examples), self.prefetch))
        past = self.replay.current_and_past(examples)
        yield list(SampleStream(past, self.rng).take(len(past), self.prefetch))
        self.replay.remember(examples)
        yield list(stream.take(len(examples), self.prefetch))

    def steps(self, epoch: int) -> int:
        """Three times the current ones and the share of the history."""
        current = 2 * self.drawn
        return 3 * current + (epoch - 1) * current // self.replay.divisor


class MetricGANPlusSampler(Sampler):
    """MetricGAN+: three steps for each utterance, a fifth of all enhanced utterances.

    Args:
        utterances: Number of training utterances.
        validation: Number of validation utterances.
        per_epoch: Utterances drawn for an epoch, more than once only if there are fewer.
        seed: Of the order.
        history_share: Share of the history that is trained on again.

    Reference:
        SpeechBrain, `MetricGanBrain.on_fit_start`, `train_discriminator`; its own random numbers are
        torch's.
    """

    def __init__(
        self,
        utterances: int,
        validation: int,
        per_epoch: int = 100,
        seed: int = 0,
        history_share: float = 0.2,
    ):
        super().__init__(utterances, validation, per_epoch, seed)
        self.history_share = history_share

    @property
    def drawn(self) -> int:
        """Number of utterances of an epoch."""
        return self.per_epoch

    def utterances(self, epoch: int) -> list[int]:
        """Draws utterances that depend on seed and epoch only."""
        rng = random.Random(f"{self.seed} {epoch}")
        if len(self.order) < self.per_epoch:
            return rng.choices(self.order, k=self.per_epoch)
        return rng.sample(self.order, self.per_epoch)

    def passes(self, epoch: int, current: Current) -> Iterator[list[Example]]:
        """Yields this epoch's examples, a share of the history, this epoch's again.

        The history holds enhanced utterances, this epoch's included.
        """
        examples = in_turn(current, "clean", "enhanced", "noisy")
        enhanced = {e.utterance: replace(e, kind="replayed") for e in in_turn(current, "enhanced")}
        self.replay.remember(list(enhanced.values()))
        history = self.replay.history
        yield examples
        yield self.rng.sample(history, self._share(len(history)))
        yield examples

    def _share(self, history: int) -> int:
        return min(max(1, round(self.history_share * history)), history)

    def steps(self, epoch: int) -> int:
        """Twice three for each utterance and the share of the history."""
        return 6 * self.drawn + self._share(epoch * self.drawn)


class OKDSampler(Sampler):
    """MetricGAN-OKD: the output of one generator, drawn in each epoch; a fifth of the history.

    Args:
        utterances: Number of training utterances.
        validation: Number of validation utterances.
        per_epoch: Utterances drawn for an epoch.
        seed: Of the order.
        history_share: Share of the earlier enhanced utterances that is trained on again.

    Reference:
        Shin et al., ICML 2023; the authors' program, folder SE.
    """

    def __init__(
        self,
        utterances: int,
        validation: int,
        per_epoch: int = 100,
        seed: int = 1,
        history_share: float = 0.2,
    ):
        super().__init__(utterances, validation, per_epoch, seed)
        self.history_share = history_share

    def utterances(self, epoch: int) -> list[int]:
        """Draws utterances without replacement."""
        return self.rng.sample(self.order, self.drawn)

    def enhancing_generator(self, generators: int) -> int:
        """Draws a generator."""
        return self.rng.randrange(generators)

    def passes(self, epoch: int, current: Current) -> Iterator[list[Example]]:
        """Yields this epoch's examples, a share of the history with this epoch's enhanced ones, and again."""
        examples, enhanced = in_turn(current, "enhanced", "noisy", "clean"), in_turn(current, "enhanced")
        yield examples
        history = self.replay.history
        past = self.rng.sample(history, int(self.history_share * len(history))) + enhanced
        self.rng.shuffle(past)
        yield past
        self.replay.remember(enhanced)
        yield examples

    def steps(self, epoch: int) -> int:
        """Twice three for each utterance, the share of the history and each enhanced one."""
        return 7 * self.drawn + int(self.history_share * (epoch - 1) * self.drawn)


class ListeningSampler(OKDSampler):
    """MetricGAN-OKD's listening enhancement: enhanced speech and speech that was not changed, both in noise.

    NELE-GAN trains on examples of another program (SSDRC) in the place of the unchanged ones, which is not
    at hand.
    """

    kinds = ("enhanced", "noisy")

    def passes(self, epoch: int, current: Current) -> Iterator[list[Example]]:
        """As for speech enhancement, without clean ones: there is no listening without noise."""
        heard = [{kind: e for kind, e in examples.items() if kind != "clean"} for examples in current]
        yield from super().passes(epoch, heard)

    def steps(self, epoch: int) -> int:
        """Twice two for each utterance, the share of the history and each enhanced one."""
        return super().steps(epoch) - 2 * self.drawn
