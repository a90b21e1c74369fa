"""Bringing frames into the order in which a recurrence takes them, in `keras.ops`."""

from collections.abc import Callable

from keras import ops


def order(frames: int, backwards: bool, mask) -> tuple[Callable, Callable]:
    """Returns the function that brings frames into the order of a recurrence, and its inverse.

    Masked frames come last, where they change nothing before them; brought back they are zero.

    Args:
        frames: How many.
        backwards: Whether the recurrence runs from the last frame to the first.
        mask: Boolean `(batch, frames)` or `None`.
    """
    if mask is None:
        if not backwards:
            return (lambda x: x), (lambda x: x)
        flip = _flipped
        return flip, flip
    position = ops.arange(frames)[None]
    position = frames - 1 - position if backwards else position
    mask = ops.convert_to_tensor(mask)
    order = ops.argsort(ops.where(mask, position, position + frames), axis=1)
    inverse = ops.argsort(order, axis=1)
    kept = ops.cast(mask, "float32")[:, :, None]
    return lambda x: _taken(x, order), lambda x: _taken(x, inverse) * kept


def _flipped(x):
    return ops.flip(x, axis=1)


def _taken(x, order):
    return ops.take_along_axis(x, order[:, :, None], axis=1)
