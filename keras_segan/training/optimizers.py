"""Adam in one pass over memory, and what torch does differently between gradient and weight."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_segan import kernels


@keras.saving.register_keras_serializable("keras_segan")
class Adam(keras.optimizers.Adam):
    """`keras.optimizers.Adam` with the same numbers to float32 rounding, in a fraction of the time.

    On TensorFlow weight and moments are read and written once instead of once in each of a dozen
    operations. On other backends it is Keras's.

    Args:
        *args: Of `keras.optimizers.Adam`; no `amsgrad`.
        **kwargs: Likewise.

    Raises:
        ValueError: For `amsgrad=True`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.amsgrad:
            raise ValueError(f"{type(self).__name__} has no amsgrad; use keras.optimizers.Adam.")

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Moves one variable."""
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        step = ops.cast(self.iterations + 1, "float32")
        powers = ops.power(self.beta_1, step), ops.power(self.beta_2, step)
        epsilon = self.uncorrected_epsilon(powers[1])
        if adam := kernels.find("adam"):
            betas = self.beta_1, self.beta_2
            adam(variable, (first, second), gradient, powers, learning_rate, betas, epsilon)
            return
        self.assign_add(first, (gradient - first) * (1 - self.beta_1))
        self.assign_add(second, (ops.square(gradient) - second) * (1 - self.beta_2))
        size = learning_rate * ops.sqrt(1 - powers[1]) / (1 - powers[0])
        self.assign_sub(variable, first * size / (ops.sqrt(second) + epsilon))

    def uncorrected_epsilon(self, power: Any) -> Any:
        """Returns what is added to the root of the second moment before its bias is corrected.

        Args:
            power: beta_2^t.
        """
        return self.epsilon


@keras.saving.register_keras_serializable("keras_segan")
class TorchAdam(Adam):
    """Adam with torch's place of epsilon: added to the bias-corrected root, sqrt(v / (1 - beta_2^t)).

    Keras adds it to the root before the correction (Kingma and Ba's "epsilon hat"), where it weighs
    32 times as much in the first step. Gradients of 1e-6 and less, as the last layers of a MetricGAN+
    discriminator have, are moved by other amounts.

    Args:
        learning_rate: Step size.
        epsilon: See above.
        **kwargs: Of `keras.optimizers.Adam`.
    """

    def __init__(self, learning_rate: Any = 5e-4, epsilon: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(learning_rate, epsilon=epsilon, **kwargs)

    def uncorrected_epsilon(self, power: Any) -> Any:
        """Brings torch's form into that of Keras; see `Adam.uncorrected_epsilon`."""
        return self.epsilon * ops.sqrt(1 - power)


@keras.saving.register_keras_serializable("keras_segan")
class Keras2RMSprop(keras.optimizers.RMSprop):
    """RMSprop as Keras 2 has it: epsilon is added to the root, not under it.

    Where a gradient is small the difference is large: with epsilon 1e-8 under the root the step is that of a
    gradient of 1e-4.

    Args:
        learning_rate: Step size.
        epsilon: 1e-8 up to Keras 2.1.2, 1e-7 from 2.1.6 on.
        **kwargs: Of `keras.optimizers.RMSprop`; neither `momentum` nor `centered`.

    Raises:
        ValueError: For `momentum` or `centered`.
    """

    def __init__(self, learning_rate: float = 1e-3, epsilon: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(learning_rate, epsilon=epsilon, **kwargs)
        if self.momentum or self.centered:
            raise ValueError(
                "Keras2RMSprop has no momentum and is not centered; use keras.optimizers.RMSprop."
            )

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Moves one variable."""
        velocity = self._velocities[self._get_variable_index(variable)]
        learning_rate = ops.cast(learning_rate, variable.dtype)
        self.assign(velocity, self.rho * velocity + (1 - self.rho) * ops.square(gradient))
        self.assign_sub(variable, learning_rate * gradient / (ops.sqrt(velocity) + self.epsilon))


def forget_moments(optimizer: keras.optimizers.Optimizer) -> None:
    """Starts an optimizer anew: those of a warm-up are of another size than what follows."""
    for variable in optimizer.variables:
        if variable is not optimizer.learning_rate:
            variable.assign(ops.zeros(variable.shape, variable.dtype))


@keras.saving.register_keras_serializable("keras_segan")
class MomentumSGD(keras.optimizers.Optimizer):
    """`keras.optimizers.SGD` whose momentum is a variable, like its learning rate.

    A schedule can change both between steps; in Keras's the momentum is a constant of the compiled step.

    Args:
        learning_rate: Step size.
        momentum: Share of the last step that is taken again, at first.
        **kwargs: Of `keras.optimizers.Optimizer`.

    Attributes:
        momentum: The variable, once the optimizer is built.
    """

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self._first_momentum = momentum

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes momentum and velocities."""
        if self.built:
            return
        super().build(variables)
        first = keras.initializers.Constant(self._first_momentum)
        self.momentum = self.add_variable((), first, dtype="float32", name="momentum")
        self._velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Moves one variable."""
        velocity = self._velocities[self._get_variable_index(variable)]
        self.assign(velocity, velocity * self.momentum - gradient * learning_rate)
        self.assign_add(variable, velocity)

    def get_config(self) -> dict[str, Any]:
        """Configuration for serialisation."""
        return {**super().get_config(), "momentum": self._first_momentum}


@keras.saving.register_keras_serializable("keras_segan")
class OnesRMSprop(keras.optimizers.RMSprop):
    """RMSprop of TensorFlow 1: the mean square starts at 1, not at 0, and epsilon is 1e-10, in the root.

    The first steps are thus as small as the gradient; from 0 they would be of the step size times 3,
    whatever the gradient.

    Args:
        learning_rate: Step size.
        rho: Share of the old mean square.
        epsilon: Added to the mean square before the root is taken.
        **kwargs: Of `keras.optimizers.RMSprop`.

    Reference:
        TensorFlow 1.15, python/training/rmsprop.py, and its kernel `ApplyRMSProp`.
    """

    def __init__(
        self, learning_rate: float = 2e-4, rho: float = 0.9, epsilon: float = 1e-10, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, rho=rho, epsilon=epsilon, **kwargs)

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes the mean squares, all ones."""
        if self.built:
            return
        super().build(variables)
        for mean_square in self._velocities:
            mean_square.assign(np.ones(mean_square.shape, np.float32))
