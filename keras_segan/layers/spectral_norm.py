"""Spectral normalisation: a layer's kernel divided by an estimate of its largest singular value."""

import keras
from keras import ops

from keras_segan.layers.convolution import add_bias

MODES = ("keras2", "miyato")
EPSILON = 1e-12


@keras.saving.register_keras_serializable("keras_segan")
class SpectralNormalization(keras.layers.Layer):
    """Applies a dense or convolution layer with its kernel divided by its spectral norm.

    The kernel itself is never overwritten; W / sigma is computed in every call, with one step of
    power iteration on W reshaped to `(-1, outputs)`. The weights are kernel, bias, u (and v in mode
    `"miyato"`), as in the original program.

    Mode `"keras2"` is the third-party layer that MetricGAN used, on TensorFlow 1: u (drawn from
    N(0, 1)) moves in every call, also at inference, and the gradient flows through sigma and the
    power iteration. TensorFlow 1 read u again in the backward pass, after its update, so the term
    that flows through the iteration uses the new u; this layer does the same.

    Mode `"miyato"` is the paper's method and what torch does: u and v are constants for the gradient
    and move only when `training=True`.

    Args:
        layer: A `keras.layers.Dense` or `Conv1D`, `Conv2D`, `Conv3D` layer.
        mode: `"keras2"` or `"miyato"`.
        **kwargs: Of `keras.layers.Layer`.

    Reference:
        Miyato et al., "Spectral normalization for generative adversarial networks", ICLR 2018;
        SpectralNormalizationKeras.py in the MetricGAN repository (`DenseSN`, `ConvSN2D`).
    """

    def __init__(self, layer, mode: str = "keras2", **kwargs):
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, not '{mode}'")
        if not isinstance(layer, keras.layers.Dense) and not hasattr(layer, "convolution_op"):
            raise ValueError(f"SpectralNormalization wraps Dense and Conv layers, not {type(layer).__name__}")
        super().__init__(**kwargs)
        self.layer = layer
        self.mode = mode
        # A layer of its own, so that u is listed after the inner layer's kernel and bias.
        self.power_iteration = PowerIteration(mode, name="power_iteration")

    @property
    def kernel(self):
        """The unnormalised kernel of the inner layer."""
        return self.layer.kernel

    @property
    def bias(self):
        """The bias of the inner layer."""
        return self.layer.bias

    @property
    def u(self):
        """The left singular vector's estimate, `(1, outputs)`."""
        return self.power_iteration.u

    def build(self, input_shape):
        """Builds the inner layer and the power iteration."""
        if not self.layer.built:  # a loaded one is
            self.layer.build(input_shape)
        self.power_iteration.build(self.layer.kernel.shape)
        self.built = True

    def call(self, inputs, training=None):
        """Applies the layer with W / sigma.

        Args:
            inputs: What the inner layer takes.
            training: Whether u moves in mode `"miyato"`; without effect in mode `"keras2"`.

        Returns:
            What the inner layer returns.
        """
        kernel = ops.convert_to_tensor(self.layer.kernel)
        kernel = kernel / self.power_iteration(kernel, training=training)
        if hasattr(self.layer, "convolution_op"):
            outputs = self.layer.convolution_op(inputs, kernel)
            channels_first = self.layer.data_format == "channels_first"
        else:
            outputs = ops.matmul(inputs, kernel)
            channels_first = False
        if self.layer.use_bias and channels_first:
            outputs = outputs + ops.reshape(self.layer.bias, (1, -1) + (1,) * (len(outputs.shape) - 2))
        else:
            outputs = add_bias(outputs, self.layer.bias)
        return self.layer.activation(outputs)

    def compute_output_shape(self, input_shape):
        """The inner layer's output shape."""
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        """Configuration for serialisation."""
        config = super().get_config()
        return {**config, "layer": keras.saving.serialize_keras_object(self.layer), "mode": self.mode}

    @classmethod
    def from_config(cls, config):
        """The layer from its configuration."""
        config = dict(config)
        config["layer"] = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**config)


@keras.saving.register_keras_serializable("keras_segan")
class PowerIteration(keras.layers.Layer):
    """Estimates a kernel's largest singular value, one step of power iteration a call.

    Args:
        mode: See `SpectralNormalization`.
        **kwargs: Of `keras.layers.Layer`.
    """

    def __init__(self, mode: str, **kwargs):
        super().__init__(**kwargs)
        self.mode = mode

    def build(self, kernel_shape):
        """Creates u, and v in mode `"miyato"`."""
        outputs = kernel_shape[-1]
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.u = self.add_weight(name="u", shape=(1, outputs), initializer=normal, trainable=False)
        if self.mode == "miyato":
            inputs = 1
            for size in kernel_shape[:-1]:
                inputs *= size
            self.v = self.add_weight(name="v", shape=(1, inputs), initializer=normal, trainable=False)
            self.u.assign(_unit(ops.convert_to_tensor(self.u)))
            self.v.assign(_unit(ops.convert_to_tensor(self.v)))
        self.built = True

    def call(self, kernel, training=None):
        """Returns sigma, a tensor `(1, 1)`, and moves u.

        Args:
            kernel: `(..., outputs)`.
            training: Whether u and v move in mode `"miyato"`.
        """
        matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
        return self._keras2(matrix) if self.mode == "keras2" else self._miyato(matrix, training)

    def _keras2(self, matrix):
        constant = ops.stop_gradient(matrix)
        old_product = ops.matmul(ops.convert_to_tensor(self.u), ops.transpose(constant))
        new_u = _unit(ops.matmul(_unit(old_product), constant))
        # The value uses the old u, the derivative the new one (TensorFlow 1 re-read the variable).
        product = ops.matmul(new_u, ops.transpose(matrix))
        v = _unit(ops.stop_gradient(old_product - product) + product)
        u = _unit(ops.matmul(v, matrix))
        sigma = ops.matmul(ops.matmul(v, matrix), ops.transpose(u))
        self.u.assign(new_u)
        return sigma

    def _miyato(self, matrix, training):
        u, v = ops.convert_to_tensor(self.u), ops.convert_to_tensor(self.v)
        if training:
            constant = ops.stop_gradient(matrix)
            v = _unit(ops.matmul(u, ops.transpose(constant)))
            u = _unit(ops.matmul(v, constant))
            self.u.assign(u)
            self.v.assign(v)
        return ops.matmul(ops.matmul(v, matrix), ops.transpose(u))

    def compute_output_shape(self, kernel_shape):
        """Sigma is `(1, 1)`."""
        return (1, 1)

    def get_config(self):
        """Configuration for serialisation."""
        return {**super().get_config(), "mode": self.mode}


def _unit(x):
    return x / (ops.sqrt(ops.sum(ops.square(x))) + EPSILON)
