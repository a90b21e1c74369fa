"""Networks of MetricGAN+ (Fu et al., Interspeech 2021), as in SpeechBrain's recipe.

MetricGAN-OKD has the same generator and a wider discriminator; see `metricgan_okd`.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from keras_segan.layers import LSTM, Bidirectional, stft
from keras_segan.layers.learnable_sigmoid import LearnableSigmoid
from keras_segan.layers.two_bias_lstm import PlainTwoBiasLSTM, TwoBiasLSTM
from keras_segan.models import metricgan
from keras_segan.models.base import SpectralMaskFrontEnd

MASK_FLOOR = 0.05
MASK_CEILING = 1.2
LARGEST_SLOPE = 3.5  # of the learnable sigmoid; cut before every generator step
FILTERS = (15, 15, 15, 15)
KERNEL_SIZE = 5
MINIMUM_FRAMES = 17  # below this the last convolution has no output


def front_end(mask_floor: float = MASK_FLOOR) -> SpectralMaskFrontEnd:
    """The signal processing around the generator: log1p magnitude, not normalised, zero padding.

    torch adds 1e-14 to the power before the root; that moves the magnitude by at most 1e-7 and is left out.

    Args:
        mask_floor: Smallest value of the mask.

    Returns:
        The front end.

    Reference:
        SpeechBrain, recipes/Voicebank/enhance/MetricGAN, `compute_feats`.
    """
    return SpectralMaskFrontEnd(
        compression="log1p",
        normalisation="none",
        mask_floor=mask_floor,
        window="hamming-periodic",
        padding="constant",
        tail=0,
    )


def generator(
    bins: int = 257,
    units: int = 200,
    hidden: int = 300,
    dropout: float = 0.0,
    causal: bool = False,
    torch_bias: bool = True,
    name: str = "metricgan_plus_generator",
) -> keras.Model:
    """The LSTM that estimates a mask.

    Args:
        bins: Frequency bins of input and output.
        units: LSTM units of each direction.
        hidden: Units of the hidden dense layer.
        dropout: Share dropped between the two LSTM layers in training; 0.1 in MetricGAN-OKD.
        causal: Forward direction only.
        torch_bias: Whether each LSTM has torch's two bias vectors or one.
        name: Name of the model.

    Returns:
        A model from the log1p magnitude `(batch, frames, bins)` to the mask `(batch, frames, bins)` in
        [0, 1.2], before its floor. Right-padded utterances take a `mask` `(batch, frames)` of true frames.

    Reference:
        SpeechBrain, `EnhancementGenerator`; Fu et al. 2021, section 3.3.
    """
    inputs = layers.Input((None, bins), name="log1p_magnitude")
    x = _recurrent(units, causal, torch_bias, "lstm_1")(inputs)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = _recurrent(units, causal, torch_bias, "lstm_2")(x)
    x = layers.Dense(hidden, name="dense_1")(x)
    x = layers.LeakyReLU(negative_slope=metricgan.LEAKY_SLOPE, name="leaky_relu")(x)
    x = layers.Dense(bins, name="dense_2")(x)
    model = keras.Model(inputs, LearnableSigmoid(MASK_CEILING, name="mask")(x), name=name)
    model.supports_masking = True  # a frame in, a frame out
    return model


def _recurrent(units: int, causal: bool, torch_bias: bool, name: str) -> layers.Layer:
    settings: dict[str, Any] = {"return_sequences": True, "unit_forget_bias": False}
    if causal:
        lstm_class = TwoBiasLSTM if torch_bias else LSTM
        return lstm_class(units, name=name, **settings)
    lstm_class = PlainTwoBiasLSTM if torch_bias else keras.layers.LSTM
    return Bidirectional(lstm_class(units, **settings), name=name)


def discriminator(
    bins: int = 257,
    filters: Sequence[int] = FILTERS,
    scores: int = 1,
    convolution_method: str = "tiled",
    name: str = "metricgan_plus_discriminator",
) -> keras.Model:
    """The surrogate of the metric: looks at two spectra and predicts one score, or several.

    Args:
        bins: Frequency bins.
        filters: Filters of each 5x5 convolution.
        scores: Number of metrics that are predicted.
        convolution_method: See `models.metricgan.discriminator`.
        name: Name of the model.

    Returns:
        A model from two log1p magnitudes `(batch, frames, bins, 2)`, see `pair`, to the scores
        `(batch, scores)`. In training it is called with `training=True` always, so that every utterance is
        standardised by its own statistics.

    Reference:
        SpeechBrain, `MetricDiscriminator`.
    """
    inputs = layers.Input((None, bins, 2), name="two_spectra")
    x = layers.BatchNormalization(axis=-1, momentum=0.99, epsilon=1e-5, name="batch_norm")(inputs)
    convolutions = [(count, KERNEL_SIZE) for count in filters]
    outputs = metricgan.scores_of_images(
        x, convolutions, (50, 10), scores, "miyato", convolution_method, spare_channels=True
    )
    return keras.Model(inputs, outputs, name=name)


def pair(degraded: Any, clean: Any) -> Any:
    """The discriminator's input, channels (degraded, clean).

    Args:
        degraded: `(batch, frames, bins)`.
        clean: `(batch, frames, bins)`.

    Returns:
        `(batch, frames, bins, 2)`.
    """
    return ops.stack([degraded, clean], axis=-1)


def features(spectrum: tuple[Any, Any]) -> Any:
    """log1p of the magnitude.

    Args:
        spectrum: Real and imaginary part, `(batch, frames, bins)`, from `layers.stft.stft`.

    Returns:
        `(batch, frames, bins)`.
    """
    return ops.log1p(stft.magnitude(spectrum))


def resynthesis(mask: Any, spectrum: tuple[Any, Any], length: int) -> Any:
    """The enhanced waveform, so that a gradient can pass.

    Args:
        mask: `(batch, frames, bins)`, with its floor.
        spectrum: Noisy real and imaginary part, `(batch, frames, bins)`, from `layers.stft.stft`.
        length: Samples of the waveforms.

    Returns:
        `(batch, length)`.

    Reference:
        SpeechBrain, `resynthesize`.
    """
    real, imaginary = spectrum
    # With the floor of 1e-14 under the root a bin of silence, which has no phase, becomes zero.
    gain = ops.expm1(mask * features(spectrum)) / stft.magnitude(spectrum)
    return stft.istft((gain * real, gain * imaginary), length)
