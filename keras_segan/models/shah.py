"""Networks and front end of Soni, Shah and Patil's time-frequency-masking GAN (ICASSP 2018)."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from keras_segan import dsp, gammatone

UNITS = 512
HIDDEN_LAYERS = 3
OUTPUTS = ("mask", "log-spectrum")
INITIALISATIONS = ("glorot", "released")


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
    ):
        super().__init__(**kwargs)
        self.units = tuple(units)
        self.activation = activation
        self.output_activation = output_activation
        self.kernel_scale = kernel_scale
        self.fan_in_scaling = fan_in_scaling
        self.bias_deviation = bias_deviation

    def build(self, input_shape):
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


def _check(kind: str, value: str, known: tuple):
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


@dataclass(frozen=True)
class GammatoneAnalysis:
    """What the synthesis needs of the noisy signal besides the network's output.

    Attributes:
        emphasised: Pre-emphasised waveform `(samples,)`, filled up to one frame if it was shorter.
        energies: Its gammatonegram `(bands, frames)`.
        length: Samples of the waveform.
    """

    emphasised: np.ndarray
    energies: np.ndarray
    length: int


@keras.saving.register_keras_serializable("keras_segan")
class GammatoneFrontEnd:
    """Gammatone energies in, a mask on the sub-bands out.

    Frames are as in the original (a tail shorter than a frame is dropped). Its two side effects are undone
    so that input and output can be compared: the result is delayed by the one sample that it runs ahead,
    and divided by the gain of analysis and synthesis.

    Args:
        window: Length of the symmetric Hamming window in samples: 320 (paper), 400 (released features).
        hop: Distance of frames in samples: 160 (paper), 80 (released features).
        context: Frames before and after the centre: 3 (paper), 2 (released features).
        output: What the network gives, see `generator`. A log spectrum is divided by the noisy one and
            limited to 1.
        emphasis: Coefficient of pre- and de-emphasis.
        energy_floor: See `gammatone.log_energies`.
        sample_rate: In Hz; the filter bank is made for it.

    Reference:
        Paper, section 4; the authors' feature extraction and reconstruction scripts.
    """

    def __init__(
        self,
        window: int = 320,
        hop: int = 160,
        context: int = 3,
        output: str = "mask",
        emphasis: float = 0.95,
        energy_floor: float = gammatone.ENERGY_FLOOR,
        sample_rate: int = gammatone.SAMPLE_RATE,
    ):
        _check("output", output, OUTPUTS)
        self.window = window
        self.hop = hop
        self.context = context
        self.output = output
        self.emphasis = emphasis
        self.energy_floor = energy_floor
        self.sample_rate = sample_rate

    @property
    def minimum_samples(self) -> int:
        """The shortest waveform; below one frame it is filled up with zeros."""
        return 1

    @property
    def bank(self) -> gammatone.GammatoneBank:
        """The filter bank."""
        return gammatone.bank(self.sample_rate)

    @property
    def n_inputs(self) -> int:
        """Values that the network takes per frame."""
        return (2 * self.context + 1) * self.bank.bands

    def _window(self) -> np.ndarray:
        return dsp.window("hamming-symmetric", self.window)

    def analyse_energies(self, waveform: np.ndarray) -> GammatoneAnalysis:
        """Pre-emphasises and filters.

        Args:
            waveform: `(samples,)`.

        Returns:
            The emphasised waveform and its gammatonegram.
        """
        missing = max(0, self.window - len(waveform))
        emphasised = dsp.pre_emphasis(np.pad(np.asarray(waveform, np.float64), (0, missing)), self.emphasis)
        return GammatoneAnalysis(
            emphasised, self.bank.energies(emphasised, self._window(), self.hop), len(waveform)
        )

    def analyse(self, waveform: np.ndarray) -> tuple[np.ndarray, GammatoneAnalysis]:
        """Computes the network's input.

        Args:
            waveform: `(samples,)` at `sample_rate`.

        Returns:
            The features, float32 `(frames, n_inputs)`, and what `synthesise` needs.
        """
        analysis = self.analyse_energies(waveform)
        features = gammatone.context_features(
            analysis.energies, self.context, self.context, self.energy_floor
        )
        return features, analysis

    def mask(self, output: np.ndarray, analysis: GammatoneAnalysis) -> np.ndarray:
        """Turns the network's output into a mask.

        Args:
            output: `(frames, bands)`.
            analysis: From `analyse`.

        Returns:
            `(bands, frames)` in [0, 1].
        """
        if self.output == "mask":
            return output.T
        noisy = np.maximum(analysis.energies, self.energy_floor)
        return np.minimum(np.exp(output.T) / noisy, 1.0)

    def synthesise(self, output: np.ndarray, analysis: GammatoneAnalysis) -> np.ndarray:
        """Applies the mask and returns to the time domain.

        Args:
            output: The network's output `(frames, bands)`.
            analysis: From `analyse`.

        Returns:
            float32 `(samples,)`, as long as the waveform was; the dropped tail is silent.
        """
        window = self._window()
        mask = self.mask(output, analysis)
        summed = self.bank.resynthesise(analysis.emphasised, mask, window, self.hop)
        early = dsp.de_emphasis(summed, self.emphasis) / self.bank.round_trip_gain(window, self.hop)
        waveform = np.zeros(analysis.length, np.float32)
        kept = early[: max(0, analysis.length - 1)]
        waveform[1 : 1 + len(kept)] = kept
        return waveform

    def get_config(self) -> dict:
        """Configuration for serialisation."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict) -> "GammatoneFrontEnd":
        """The front end from its configuration."""
        return cls(**config)
