"""What happens to gradients before the optimizer sees them: clipping by norm, alone or over two networks."""

from collections.abc import Sequence

import keras
from keras import ops


def global_norm(gradients: Sequence):
    """Returns the Euclidean norm over all elements of a list of gradients."""
    return ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients))


def clip_factor(norm, limit: float):
    """Returns what torch's `clip_grad_norm_` multiplies gradients by: at most 1.

    Args:
        norm: Their global norm.
        limit: The largest norm.
    """
    return ops.minimum(limit / (norm + 1e-6), 1.0)


class ClipByNorm:
    """Clips a player's gradients by their global norm, as torch does.

    Args:
        limit: The largest norm.
    """

    variables: Sequence[keras.Variable] = ()

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def __call__(self, own: list, watched: list) -> list:
        """Returns the clipped gradients."""
        factor = clip_factor(global_norm(own), self.limit)
        return [gradient * factor for gradient in own]


class Leftover:
    """The gradients that torch keeps in `.grad` until a network's own next step.

    Args:
        network: The network.
    """

    def __init__(self, network: keras.Model) -> None:
        self.variables = [
            keras.Variable(ops.zeros(v.shape), trainable=False) for v in network.trainable_variables
        ]

    @property
    def gradients(self) -> list:
        """The gradients as tensors."""
        return [ops.convert_to_tensor(variable) for variable in self.variables]

    def add(self, gradients: Sequence) -> list:
        """Adds gradients, none or one for each variable, and returns the sums."""
        for variable, gradient in zip(self.variables, gradients, strict=False):
            variable.assign(variable + gradient)
        return self.gradients

    def set(self, gradients: Sequence) -> None:
        """Replaces the gradients."""
        for variable, gradient in zip(self.variables, gradients, strict=True):
            variable.assign(gradient)

    def scale(self, factor) -> None:
        """Multiplies all of them: clipping is done in place."""
        for variable in self.variables:
            variable.assign(variable * factor)


class JointClip:
    """Clips by one norm over the gradients of two networks, as torch programs do that clip "all modules".

    Those of the network that is not moved count, too: they add up in its `.grad` until its own next step.

    Args:
        mine: Leftover of the network that the player moves.
        theirs: Leftover of the other network; what the player watches is added to it.
        limit: The largest norm.

    Reference:
        SpeechBrain, `Brain.fit_batch` and `check_gradients`.
    """

    def __init__(self, mine: Leftover, theirs: Leftover, limit: float) -> None:
        self.mine = mine
        self.theirs = theirs
        self.limit = limit

    @property
    def variables(self) -> Sequence[keras.Variable]:
        """What a checkpoint has to hold."""
        return [*self.mine.variables, *self.theirs.variables]

    def __call__(self, own: list, watched: list) -> list:
        """Returns the clipped gradients of the player's own network."""
        factor = clip_factor(global_norm([*own, *self.theirs.add(watched)]), self.limit)
        self.theirs.scale(factor)
        own = [gradient * factor for gradient in own]
        self.mine.set(own)
        return own
