"""What tests share."""

import keras
import numpy as np


def examples(count: int) -> int:
    """Returns how many examples Hypothesis tries: fewer on JAX, which compiles anew for every shape.

    Args:
        count: For the other backends.
    """
    return max(count // 4, 2) if keras.backend.backend() == "jax" else count


def beginning(ours, recorded):
    """Cuts an array to the size of a recording, of which only the beginning may have been kept.

    Args:
        ours: An array.
        recorded: What it is compared with.
    """
    return np.asarray(ours)[tuple(slice(size) for size in np.shape(recorded))]
