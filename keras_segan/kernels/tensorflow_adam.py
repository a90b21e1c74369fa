"""Adam on TensorFlow in one pass over memory."""

import keras
import tensorflow


def adam(variable, moments, gradient, powers, learning_rate, betas, epsilon):
    """Moves a variable and its two moments by Adam, in one pass.

    Args:
        variable: A float32 variable, of Keras or of TensorFlow.
        moments: Its first and second moment, likewise.
        gradient: Of the variable's shape.
        powers: beta_1^t and beta_2^t, scalars.
        learning_rate: Scalar.
        betas: beta_1 and beta_2.
        epsilon: Scalar, added to the root of the uncorrected second moment.

    Reference:
        Kingma and Ba, ICLR 2015, end of section 2 ("epsilon hat").
    """
    handles = [v.value.handle if isinstance(v, keras.Variable) else v.handle for v in (variable, *moments)]
    tensorflow.raw_ops.ResourceApplyAdam(
        **dict(zip(("var", "m", "v"), handles, strict=True)),
        beta1_power=powers[0],
        beta2_power=powers[1],
        lr=tensorflow.cast(learning_rate, tensorflow.float32),
        beta1=betas[0],
        beta2=betas[1],
        epsilon=epsilon,
        grad=gradient,
    )
