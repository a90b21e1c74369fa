"""Networks of Soni, Shah and Patil's time-frequency-masking GAN (ICASSP 2018)."""

import keras
import numpy as np
from keras import layers, ops

from keras_segan import gammatone
from keras_segan.front_ends.gammatone_mask import OUTPUTS, GammatoneAnalysis, GammatoneFrontEnd

UNITS = 512
HIDDEN_LAYERS = 3
INITIALISATIONS = ("glorot", "released")

__all__ = ["GammatoneAnalysis", "GammatoneFrontEnd", "discriminator", "generator", "masked_log_spectrum"]


@keras.saving.register_keras_serializable("keras_segan")
class Perceptron(layers.Layer):
    """Fully connected layers in a row, with their weights in the order of the released program.

    `get_weights` lists all kernels, then all biases, as the dictionaries of training_gan.py do.

    Args:
        units: Units of each layer, the output last.
        activation: Of the hidden layers.
        output_activation: Of the last layer.
        kernel_scale: Factor on the standard deviation of the normal initialisation; `None` for Glorot's
            uniform one.
        fan_in_scaling: Whether that standard deviation is also multiplied by sqrt(2 / inputs).
        bias_deviation: Standard deviation of the initial biases; 0 for zeros.
        **kwargs: Of `keras.layers.Layer`.
    """

    def __init__(
        self,
        units,
        activation: str,
        output_activation: str = "linear",
        kernel_scale: float | None = None,
        fan_in_scaling: bool = False,
        bias_deviation: float = 0.0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.units = tuple(units)
        self.activation = activation
        self.output_activation = output_activation
        self.kernel_scale = kernel_scale
        self.fan_in_scaling = fan_in_scaling
        self.bias_deviation = bias_deviation

    def build(self, input_shape) -> None:
        """Creates the kernels, then the biases."""
        sizes = (input_shape[-1], *self.units)
        self.kernels = [
            self.add_weight(
                shape=shape, initializer=self._kernel_initializer(shape[0]), name=f"kernel_{number}"
            )
            for number, shape in enumerate(zip(sizes[:-1], sizes[1:], strict=True), start=1)
        ]
        self.biases = [
            self.add_weight(shape=(size,), initializer=_normal(self.bias_deviation), name=f"bias_{number}")
            for number, size in enumerate(self.units, start=1)
        ]

    def _kernel_initializer(self, inputs: int):
        if self.kernel_scale is None:
            return keras.initializers.GlorotUniform()
        return _normal(self.kernel_scale * (np.sqrt(2 / inputs) if self.fan_in_scaling else 1.0))

    def call(self, inputs):
        """Runs the layers on `(..., inputs)`."""
        activations = [self.activation] * (len(self.units) - 1) + [self.output_activation]
        x = inputs
        for kernel, bias, activation in zip(self.kernels, self.biases, activations, strict=True):
            x = keras.activations.get(activation)(ops.matmul(x, kernel) + bias)
        return x

    def compute_output_shape(self, input_shape):
        """Replaces the last axis by the last layer's units."""
        return (*input_shape[:-1], self.units[-1])

    def get_config(self) -> dict:
        """Configuration for serialisation."""
        own = ("units", "activation", "output_activation", "kernel_scale", "fan_in_scaling", "bias_deviation")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def _normal(deviation: float):
    return keras.initializers.RandomNormal(0.0, float(deviation)) if deviation else keras.initializers.Zeros()


def _check(kind: str, value: str, known: tuple) -> None:
    if value not in known:
        raise ValueError(f"{kind} must be one of {', '.join(known)}, not '{value}'")


def generator(
    n_inputs: int = 448,
    n_outputs: int = 64,
    units: int = UNITS,
    hidden_layers: int = HIDDEN_LAYERS,
    output: str = "mask",
    initialisation: str = "glorot",
    name: str = "shah_generator",
) -> keras.Model:
    """The network that estimates the mask; alone it is the paper's DNN.

    Args:
        n_inputs: Standardised log gammatone energies of all context frames; 7 x 64 in the paper, 225 in the
            released graph.
        n_outputs: Bands; 25 in the released graph.
        units: Units of each hidden layer.
        hidden_layers: Number of hidden layers.
        output: `"mask"`: sigmoid (paper). `"log-spectrum"`: linear (released graph).
        initialisation: `"glorot"`, or `"released"`: kernels N(0, 1e-4), biases N(0, 0.01).
        name: Name of the model.

    Returns:
        A model `(batch, n_inputs)` -> `(batch, n_outputs)`; weights: all kernels, then all biases.

    Reference:
        Paper, section 3; training_gan.py, `generator`.
    """
    _check("output", output, OUTPUTS)
    _check("initialisation", initialisation, INITIALISATIONS)
    own = {"kernel_scale": 1e-4, "bias_deviation": 0.01} if initialisation == "released" else {}
    activation = "sigmoid" if output == "mask" else "linear"
    sizes = [units] * hidden_layers + [n_outputs]
    inputs = layers.Input((n_inputs,), name="context_features")
    outputs = Perceptron(sizes, "relu", activation, name="perceptron", **own)(inputs)
    return keras.Model(inputs, outputs, name=name)


def discriminator(
    n_inputs: int = 64,
    units: int = UNITS,
    hidden_layers: int = HIDDEN_LAYERS,
    initialisation: str = "glorot",
    name: str = "shah_discriminator",
) -> keras.Model:
    """The network that tells clean from enhanced log spectra of one frame.

    Args:
        n_inputs: Bands.
        units: Units of each hidden layer.
        hidden_layers: Number of hidden layers.
        initialisation: `"glorot"`, or `"released"`: kernels N(0, sqrt(2 / inputs) 1e-5), biases 0. From the
            released values it never learns: its first gradients are 1e-15.
        name: Name of the model.

    Returns:
        A model `(batch, n_inputs)` -> logit `(batch, 1)`; weights: all kernels, then all biases.

    Reference:
        Paper, section 3; training_gan.py, `discriminator`.
    """
    _check("initialisation", initialisation, INITIALISATIONS)
    own = {"kernel_scale": 1e-5, "fan_in_scaling": True} if initialisation == "released" else {}
    sizes = [units] * hidden_layers + [1]
    inputs = layers.Input((n_inputs,), name="log_spectrum")
    logit = Perceptron(sizes, "tanh", name="perceptron", **own)(inputs)
    return keras.Model(inputs, logit, name=name)


def masked_log_spectrum(mask, noisy, floor: float = gammatone.ENERGY_FLOOR):
    """The enhanced log spectrum t = log(h m).

    Args:
        mask: m, `(batch, bands)`.
        noisy: h, linear noisy gammatone energies `(batch, bands)`.
        floor: Smaller products count as this (a sigmoid can reach zero in single precision).

    Returns:
        `(batch, bands)`.

    Reference:
        Paper, section 3.
    """
    return ops.log(ops.maximum(noisy * mask, floor))
