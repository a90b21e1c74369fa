"""Networks of MetricGAN (Fu, Liao, Tsao, Lin, ICML 2019), as in the released MetricGAN.py."""

import keras
from keras import layers, ops

from keras_segan.layers import SpectralNormalization, TiledConv2D, keras2_hard_sigmoid
from keras_segan.layers.recurrent import bidirectional_lstm

LEAKY_SLOPE = 0.3  # LeakyReLU's default in Keras 2
CONVOLUTIONS = ((15, 5), (25, 7), (40, 9), (50, 11))  # filters, kernel size
MINIMUM_FRAMES = 29  # below this the last convolution has no output
LAYOUTS = ("legacy", "transpose")
CONVOLUTION_METHODS = ("tiled", "direct")
SMALLEST_TILED_KERNEL = 7  # below, direct convolution is faster


def generator(
    bins: int = 257,
    units: int = 200,
    hidden: int = 300,
    dropout: float = 0.05,
    recurrent_activation=keras2_hard_sigmoid,
    name: str = "metricgan_generator",
) -> keras.Model:
    """The BLSTM that estimates a mask.

    Args:
        bins: Frequency bins of input and output.
        units: LSTM units of each direction.
        hidden: Units of the hidden dense layer.
        dropout: Share of the hidden units dropped in training.
        recurrent_activation: The LSTM gates' activation; the original's is Keras 2's hard sigmoid.
        name: Name of the model.

    Returns:
        A model from the normalised magnitude `(batch, frames, bins)` to the mask
        `(batch, frames, bins)` in [0, 1], before its floor.

    Reference:
        MetricGAN.py, `de_model`.
    """
    inputs = layers.Input((None, bins), name="normalised_magnitude")
    x = bidirectional_lstm(units, recurrent_activation, name="blstm_1")(inputs)
    x = bidirectional_lstm(units, recurrent_activation, name="blstm_2")(x)
    x = layers.Dense(hidden, name="dense_1")(x)
    x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name="leaky_relu")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    mask = layers.Dense(bins, activation="sigmoid", name="mask")(x)
    return keras.Model(inputs, mask, name=name)


def discriminator(
    bins: int = 257,
    convolutions=CONVOLUTIONS,
    dense=(50, 10),
    spectral_norm: str = "keras2",
    convolution_method: str = "tiled",
    name: str = "metricgan_discriminator",
) -> keras.Model:
    """The surrogate of the metric: looks at a degraded and a clean spectrum and predicts the score.

    Args:
        bins: Frequency bins.
        convolutions: Filters and kernel size of each convolution.
        dense: Units of the hidden dense layers.
        spectral_norm: Mode of `layers.SpectralNormalization`.
        convolution_method: `"tiled"` (`layers.TiledConv2D` for kernels of 7 and more, three times as fast
            on a CPU, equal to float32 rounding) or `"direct"`.
        name: Name of the model.

    Returns:
        A model from `(batch, bins, frames, 2)`, channels (degraded, clean), to the score `(batch, 1)`.
        Call it with `training=True` always: the original never used the moving averages of its
        batch normalisation.

    Reference:
        MetricGAN.py, `Discriminator`.
    """
    if convolution_method not in CONVOLUTION_METHODS:
        known = ", ".join(CONVOLUTION_METHODS)
        raise ValueError(f"convolution_method must be one of {known}, not '{convolution_method}'")
    inputs = layers.Input((bins, None, 2), name="degraded_and_clean")
    x = layers.BatchNormalization(axis=-1, momentum=0.99, epsilon=1e-3, name="batch_norm")(inputs)
    for number, (filters, size) in enumerate(convolutions, start=1):
        tiled = convolution_method == "tiled" and size >= SMALLEST_TILED_KERNEL
        layer_class = TiledConv2D if tiled else layers.Conv2D
        convolution = layer_class(filters, size, padding="valid", name=f"conv_{number}")
        x = SpectralNormalization(convolution, spectral_norm, name=f"sn_conv_{number}")(x)
        x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=f"conv_{number}_leaky_relu")(x)
    x = layers.GlobalAveragePooling2D(name="average_score")(x)
    for number, units in enumerate(dense, start=1):
        layer = layers.Dense(units, name=f"dense_{number}")
        x = SpectralNormalization(layer, spectral_norm, name=f"sn_dense_{number}")(x)
        x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=f"dense_{number}_leaky_relu")(x)
    score = SpectralNormalization(layers.Dense(1, name="score"), spectral_norm, name="sn_score")(x)
    return keras.Model(inputs, score, name=name)


def image(magnitude, layout: str = "legacy"):
    """Turns a time-major magnitude into the one-channel image that the discriminator sees.

    The original *reshapes* `(1, frames, bins)` to `(1, bins, frames, 1)` instead of transposing it, in
    every place alike: row f, column t of the image is frame (f T + t) // 257, bin (f T + t) % 257.

    Args:
        magnitude: `(batch, frames, bins)`.
        layout: `"legacy"` as the original, or `"transpose"` for what was probably meant.

    Returns:
        `(batch, bins, frames, 1)`.
    """
    if layout == "transpose":
        return ops.expand_dims(ops.transpose(magnitude, (0, 2, 1)), -1)
    if layout != "legacy":
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, not '{layout}'")
    batch, frames, bins = ops.shape(magnitude)
    return ops.reshape(magnitude, (batch, bins, frames, 1))


def pair(degraded, clean, layout: str = "legacy"):
    """The discriminator's input.

    Args:
        degraded: Magnitude `(batch, frames, bins)`.
        clean: Magnitude `(batch, frames, bins)`.
        layout: See `image`.

    Returns:
        `(batch, bins, frames, 2)`.
    """
    return ops.concatenate([image(degraded, layout), image(clean, layout)], axis=-1)
