"""Networks of MetricGAN (Fu, Liao, Tsao, Lin, ICML 2019), as in the released MetricGAN.py."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers, ops

from keras_segan.layers import SpectralNormalization, TiledConv2D, keras2_hard_sigmoid
from keras_segan.layers.recurrent import bidirectional_lstm

LEAKY_SLOPE = 0.3  # LeakyReLU's default in Keras 2
CONVOLUTIONS = ((15, 5), (25, 7), (40, 9), (50, 11))  # filters, kernel size
MINIMUM_FRAMES = 29  # below this the last convolution has no output
LAYOUTS = ("legacy", "transpose")
CONVOLUTION_METHODS = ("tiled", "direct")


def generator(
    bins: int = 257,
    units: int | tuple[int, int] = 200,
    hidden: int = 300,
    dropout: float = 0.05,
    recurrent_activation: Callable[[Any], Any] | str = keras2_hard_sigmoid,
    recurrence: str = "auto",
    name: str = "metricgan_generator",
) -> keras.Model:
    """The BLSTM that estimates a mask.

    Args:
        bins: Frequency bins of input and output.
        units: LSTM units of each direction, in both layers or in each.
        hidden: Units of the hidden dense layer.
        dropout: Share of the hidden units dropped in training.
        recurrent_activation: The LSTM gates' activation; the original's is Keras 2's hard sigmoid.
        recurrence: See `layers.LSTM`.
        name: Name of the model.

    Returns:
        A model from the normalised magnitude `(batch, frames, bins)` to the mask
        `(batch, frames, bins)` in [0, 1], before its floor.

    Reference:
        MetricGAN.py, `de_model`.
    """
    inputs = layers.Input((None, bins), name="normalised_magnitude")
    first, second = (units, units) if isinstance(units, int) else units
    x = bidirectional_lstm(first, recurrent_activation, "blstm_1", recurrence)(inputs)
    x = bidirectional_lstm(second, recurrent_activation, "blstm_2", recurrence)(x)
    x = layers.Dense(hidden, name="dense_1")(x)
    x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name="leaky_relu")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    mask = layers.Dense(bins, activation="sigmoid", name="mask")(x)
    model = keras.Model(inputs, mask, name=name)
    model.supports_masking = True  # a frame in, a frame out
    return model


def discriminator(
    bins: int = 257,
    convolutions: Sequence[tuple[int, int]] = CONVOLUTIONS,
    dense: Sequence[int] = (50, 10),
    spectral_norm: str = "keras2",
    convolution_method: str = "tiled",
    spare_channels: bool = False,
    name: str = "metricgan_discriminator",
) -> keras.Model:
    """The surrogate of the metric: looks at a degraded and a clean spectrum and predicts the score.

    Args:
        bins: Frequency bins.
        convolutions: Filters and kernel size of each convolution.
        dense: Units of the hidden dense layers.
        spectral_norm: Mode of `layers.SpectralNormalization`.
        convolution_method: `"tiled"` (`layers.TiledConv2D`, 3 to 5 times as fast
            on a CPU, equal to float32 rounding) or `"direct"`.
        spare_channels: Whether layers hand over spare channels, see `layers.TiledConv2D`; faster with
            small kernels only.
        name: Name of the model.

    Returns:
        A model from `(batch, bins, frames, 2)`, channels (degraded, clean), to the score `(batch, 1)`.
        Call it with `training=True` always: the original never used the moving averages of its
        batch normalisation.

    Reference:
        MetricGAN.py, `Discriminator`.
    """
    inputs = layers.Input((bins, None, 2), name="degraded_and_clean")
    x = layers.BatchNormalization(axis=-1, momentum=0.99, epsilon=1e-3, name="batch_norm")(inputs)
    score = scores_of_images(x, convolutions, dense, 1, spectral_norm, convolution_method, spare_channels)
    return keras.Model(inputs, score, name=name)


def scores_of_images(
    x: Any,
    convolutions: Sequence[tuple[int, int]],
    dense: Sequence[int],
    scores: int,
    spectral_norm: str,
    convolution_method: str,
    spare_channels: bool = False,
) -> Any:
    """What the discriminators of the MetricGAN family share: convolutions, average, dense layers.

    Args:
        x: Images `(batch, rows, columns, channels)`.
        convolutions: Filters and kernel size of each convolution.
        dense: Units of the hidden dense layers.
        scores: Number of outputs.
        spectral_norm: Mode of `layers.SpectralNormalization`, which is on every layer.
        convolution_method: See `discriminator`.
        spare_channels: See `layers.TiledConv2D`; of all convolutions but the last.

    Returns:
        `(batch, scores)`.
    """
    if convolution_method not in CONVOLUTION_METHODS:
        known = ", ".join(CONVOLUTION_METHODS)
        raise ValueError(f"convolution_method must be one of {known}, not '{convolution_method}'")
    channels = x.shape[-1]
    for number, (filters, size) in enumerate(convolutions, start=1):
        settings = {"padding": "valid", "name": f"conv_{number}"}
        if convolution_method == "tiled":
            spare = spare_channels and number < len(convolutions)
            convolution = TiledConv2D(filters, size, channels=channels, spare_channels=spare, **settings)
        else:
            convolution = layers.Conv2D(filters, size, **settings)
        channels = filters
        x = SpectralNormalization(convolution, spectral_norm, name=f"sn_conv_{number}")(x)
        x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=f"conv_{number}_leaky_relu")(x)
    x = layers.GlobalAveragePooling2D(name="average_score")(x)
    for number, units in enumerate(dense, start=1):
        layer = layers.Dense(units, name=f"dense_{number}")
        x = SpectralNormalization(layer, spectral_norm, name=f"sn_dense_{number}")(x)
        x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=f"dense_{number}_leaky_relu")(x)
    return SpectralNormalization(layers.Dense(scores, name="score"), spectral_norm, name="sn_score")(x)


def image(magnitude: Any, layout: str = "legacy") -> Any:
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


def pair(degraded: Any, clean: Any, layout: str = "legacy") -> Any:
    """The discriminator's input.

    Args:
        degraded: Magnitude `(batch, frames, bins)`.
        clean: Magnitude `(batch, frames, bins)`.
        layout: See `image`.

    Returns:
        `(batch, bins, frames, 2)`.
    """
    return ops.concatenate([image(degraded, layout), image(clean, layout)], axis=-1)


def true_frames(frames: Any, length: Any) -> Any:
    """Says which frames of padded utterances are their own.

    Args:
        frames: Number of frames of each, integers `(batch,)`.
        length: Number of frames with the padding.

    Returns:
        Boolean `(batch, length)`.
    """
    return ops.arange(length) < ops.cast(frames, "int32")[:, None]


def padded_pair(degraded: Any, clean: Any, frames: Any, layout: str = "legacy") -> Any:
    """The discriminator's input for utterances of different lengths: each one's image as alone, then zeros.

    Args:
        degraded: Magnitude `(batch, frames, bins)`, padded at the end.
        clean: Magnitude `(batch, frames, bins)`, padded at the end.
        frames: Number of true frames of each, `(batch,)`.
        layout: See `image`.

    Returns:
        `(batch, bins, frames, 2)`.
    """
    batch, length, bins = ops.shape(degraded)
    columns = ops.cast(true_frames(frames, length), degraded.dtype)[:, None, :, None]
    if layout == "transpose":
        return pair(degraded, clean, layout) * columns
    # Pixel (f, t) of an utterance of T frames is the (fT + t)-th value of its magnitude.
    row, column = ops.arange(bins)[None, :, None], ops.arange(length)[None, None]
    position = row * ops.cast(frames, "int32")[:, None, None] + column
    position = ops.minimum(ops.reshape(position, (batch, -1)), length * bins - 1)
    images = [
        ops.reshape(
            ops.take_along_axis(ops.reshape(magnitude, (batch, -1)), position, axis=1), (batch, bins, length)
        )
        for magnitude in (degraded, clean)
    ]
    return ops.stack(images, axis=-1) * columns


def padded_scores(discriminator: keras.Model, images: Any, frames: Any) -> Any:
    """Scores utterances of different lengths at once, each as it is scored alone.

    Batch statistics are each utterance's own, the average is over its own positions. The moving averages of
    the batch normalisation, which nothing uses, stay where they are, and u of the spectral norm
    moves once.

    Args:
        discriminator: See `discriminator`.
        images: From `padded_pair`.
        frames: Number of true frames of each, `(batch,)`.

    Returns:
        `(batch, 1)`.
    """
    _, norm, *others = discriminator.layers
    frames = ops.cast(frames, "int32")
    lost = 0  # columns that the convolutions took

    def own(x: Any) -> Any:
        return ops.cast(true_frames(frames - lost, ops.shape(x)[2]), x.dtype)

    x = _normalised_by_utterance(norm, images, own(images))
    for layer in others:
        if isinstance(layer, layers.GlobalAveragePooling2D):
            lost = ops.shape(images)[2] - ops.shape(x)[2]
            x = _average_of_own(x, own(x))
        else:
            x = layer(x, training=True)
    return x


def _normalised_by_utterance(norm: layers.BatchNormalization, x: Any, mask: Any) -> Any:
    mean = _average_of_own(x, mask)[:, None, None]
    variance = _average_of_own(ops.square(x - mean), mask)[:, None, None]
    return (x - mean) * ops.rsqrt(variance + norm.epsilon) * norm.gamma + norm.beta


def _average_of_own(x: Any, mask: Any) -> Any:
    """Averages `(batch, rows, columns, channels)` over all rows and the columns where mask is one."""
    summed = ops.sum(ops.mean(x, axis=1) * mask[:, :, None], axis=1)
    return summed / ops.sum(mask, axis=1)[:, None]
