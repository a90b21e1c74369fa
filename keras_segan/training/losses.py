"""Losses that many papers share; what one paper alone has stands in its recipe."""

from typing import Any

from keras import ops

Tensor = Any  # of whichever backend


def real_or_fake(real_logit: Tensor, fake_logit: Tensor) -> Tensor:
    """The discriminator's cross entropy: -E log D(real) - E log(1 - D(fake)).

    Args:
        real_logit: D's logits of real examples.
        fake_logit: D's logits of generated examples.

    Returns:
        A scalar; 2 ln 2 for a discriminator that knows nothing.

    Reference:
        Goodfellow et al. 2014, equation 1.
    """
    return ops.mean(ops.softplus(-real_logit)) + ops.mean(ops.softplus(fake_logit))


def cross_entropy(logit: Tensor, label: Tensor | float) -> Tensor:
    """Mean cross entropy of labels and a discriminator's opinions: -l log D - (1 - l) log(1 - D).

    Args:
        logit: Logits of the opinions, any shape.
        label: From 0 to 1, a number or a tensor that broadcasts; 1 for real, less for a soft label.

    Returns:
        A scalar.
    """
    return ops.mean(ops.softplus(logit) - label * logit)


def non_saturating(fake_logit: Tensor) -> Tensor:
    """The generator's loss -E log D(fake).

    Args:
        fake_logit: D's logits of generated examples.

    Returns:
        A scalar.

    Reference:
        Goodfellow et al. 2014, section 3.
    """
    return ops.mean(ops.softplus(-fake_logit))


def least_squares(score: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of scores from a target (Mao et al. 2017, without the factor one half).

    Args:
        score: D's scores, any shape.
        target: A number, or a tensor that broadcasts.

    Returns:
        A scalar.
    """
    return ops.mean(ops.square(score - target))


def l1(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error.

    Args:
        estimate: Any shape.
        target: The same shape.

    Returns:
        A scalar.
    """
    return ops.mean(ops.abs(estimate - target))


def l2(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean squared error; arguments as `l1`."""
    return ops.mean(ops.square(estimate - target))


def half_l2(estimate: Tensor, target: Tensor) -> Tensor:
    """Half the mean squared error; arguments as `l1`."""
    return 0.5 * l2(estimate, target)


def utterance_l2(estimate: Tensor, target: Tensor, frames: Tensor | None = None) -> Tensor:
    """Mean squared error within each utterance, averaged over utterances.

    Args:
        estimate: `(batch, frames, bins)`.
        target: The same shape.
        frames: `(batch,)`, each utterance's own number of frames, if zeros follow up to one length.

    Returns:
        A scalar.
    """
    distance = ops.mean(ops.square(estimate - target), axis=(1, 2))
    if frames is not None:
        distance = distance * ops.cast(ops.shape(estimate)[1], distance.dtype) / frames
    return ops.mean(distance)
