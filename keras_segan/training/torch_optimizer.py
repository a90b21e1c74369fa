"""What torch does between gradient and weight, where Keras does otherwise."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_segan")
class TorchAdam(keras.optimizers.Adam):
    """Adam with torch's place of epsilon: added to the bias-corrected root, sqrt(v / (1 - beta_2^t)).

    Keras adds it to the root before the correction (Kingma and Ba's "epsilon hat"), where it weighs
    32 times as much in the first step. Gradients of 1e-6 and less, as the last layers of a MetricGAN+
    discriminator have, are moved by other amounts.

    Args:
        learning_rate: Step size.
        epsilon: See above.
        **kwargs: Of `keras.optimizers.Adam`.
    """

    def __init__(self, learning_rate=5e-4, epsilon: float = 1e-8, **kwargs):
        super().__init__(learning_rate, epsilon=epsilon, **kwargs)

    def update_step(self, gradient, variable, learning_rate):
        """Moves one variable."""
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        gradient = ops.cast(gradient, variable.dtype)
        step = ops.cast(self.iterations + 1, variable.dtype)
        self.assign_add(first, (gradient - first) * (1 - self.beta_1))
        self.assign_add(second, (ops.square(gradient) - second) * (1 - self.beta_2))
        mean = first / (1 - ops.power(self.beta_1, step))
        root = ops.sqrt(second / (1 - ops.power(self.beta_2, step)))
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * mean / (root + self.epsilon))


def global_norm(gradients):
    """Returns the Euclidean norm over all elements of a list of gradients."""
    return ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients))


def clip_factor(norm, limit: float):
    """Returns what torch's `clip_grad_norm_` multiplies gradients by: at most 1.

    Args:
        norm: Their global norm.
        limit: The largest norm.
    """
    return ops.minimum(limit / (norm + 1e-6), 1.0)
