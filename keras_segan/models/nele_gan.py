"""Networks of NELE-GAN (Li and Yamagishi, 2021) for near-end listening enhancement.

MetricGAN-OKD's second task builds on them; its own are not published. See `front_ends.band_gain`.
"""

from typing import Any

import keras
from keras import layers, ops

from keras_segan.front_ends.band_gain import BANDS, COMPRESSION
from keras_segan.layers.cumulative_norm import CumulativeLayerNormalization
from keras_segan.models import metricgan

CONVOLUTIONS = ((256, 5), *((256, 7),) * 4, (64, 5))  # of the generator: filters, kernel size
IMAGES = ((8, 1), (16, 3), (32, 5), (48, 7), (64, 9))  # of the discriminator
LARGEST_LOG_GAIN = 3.2  # of a band's power before the whole is brought to equal power: 13.9 dB
MINIMUM_FRAMES = 21  # below this the discriminator's last convolution has no output


def generator(bands: int = BANDS, name: str = "nele_gan_generator") -> keras.Model:
    """The causal network that gives the gains of the bands.

    Args:
        bands: Number of bands.
        name: Name of the model.

    Returns:
        A model from compressed bands of speech and noise `(batch, frames, 2 * bands)` to gains of the
        bands' powers `(batch, frames, bands)`, within 13.9 dB either way, before `equal_power`.

    Reference:
        NELE-GAN, model.py, `Generator_Conv1D_cLN`.
    """
    inputs = x = layers.Input((None, 2 * bands), name="speech_and_noise_bands")
    for number, (filters, size) in enumerate(CONVOLUTIONS, start=1):
        last = number == len(CONVOLUTIONS)
        x = layers.Conv1D(
            bands if last else filters,
            size,
            padding="causal",
            # Xavier's with torch's gain for tanh, 5 / 3.
            kernel_initializer=keras.initializers.VarianceScaling(
                1.0 if last else 25 / 9, "fan_avg", "uniform"
            ),
            name=f"conv_{number}",
        )(x)
        x = CumulativeLayerNormalization(name=f"norm_{number}")(x)
        x = layers.LeakyReLU(negative_slope=metricgan.LEAKY_SLOPE, name=f"conv_{number}_leaky_relu")(x)
    x = layers.Dense(bands, name="dense_1")(x)
    x = layers.LeakyReLU(negative_slope=metricgan.LEAKY_SLOPE, name="dense_1_leaky_relu")(x)
    x = layers.Dense(bands, activation="tanh", name="dense_2")(x)
    gains = ops.exp(LARGEST_LOG_GAIN * x)
    return keras.Model(inputs, gains, name=name)


def discriminator(scores: int = 3, bands: int = BANDS, name: str = "nele_gan_discriminator") -> keras.Model:
    """The surrogate of the intelligibility measures.

    Args:
        scores: Number of measures; SIIB, HASPI and ESTOI in the paper.
        bands: Number of bands.
        name: Name of the model.

    Returns:
        A model from compressed bands `(batch, frames, bands, 3)` of enhanced speech, noise and speech to the
        scores `(batch, scores)` in [0, 1].

    Reference:
        NELE-GAN, model.py, `Discriminator`.
    """
    inputs = layers.Input((None, bands, 3), name="enhanced_noise_and_speech")
    x = metricgan.scores_of_images(inputs, IMAGES, (64, 16), scores, "miyato", "direct")
    return keras.Model(inputs, layers.Activation("sigmoid", name="scores")(x), name=name)


def parts(features: Any) -> Any:
    """Divides the generator's input.

    Args:
        features: `(batch, frames, 2 * bands)`.

    Returns:
        The bands of the speech and those of the noise, `(batch, frames, bands)` each.
    """
    return ops.split(features, 2, axis=-1)


def triple(enhanced: Any, features: Any) -> Any:
    """The discriminator's input.

    Args:
        enhanced: Compressed bands of the enhanced speech `(batch, frames, bands)`.
        features: The generator's input `(batch, frames, 2 * bands)`.

    Returns:
        Enhanced speech, noise and speech, `(batch, frames, bands, 3)`.
    """
    speech, noise = parts(features)
    return ops.stack([enhanced, noise, speech], axis=-1)


def equal_power(gains: Any, bands: Any) -> Any:
    """Brings gains to the speech's own power over the utterance.

    Args:
        gains: Of the bands' powers, `(batch, frames, bands)`.
        bands: Compressed bands of the speech, the same shape.

    Returns:
        Gains of the same shape: the sum of gains times powers is the sum of the powers.
    """
    power = bands ** (1.0 / COMPRESSION)
    total, amplified = (ops.sum(x, axis=(1, 2), keepdims=True) for x in (power, gains * power))
    return gains * total / amplified


def enhanced_bands(gains: Any, bands: Any) -> Any:
    """The compressed bands of the enhanced speech, which the discriminator sees.

    Args:
        gains: From the generator, `(batch, frames, bands)`.
        bands: Compressed bands of the speech, the same shape.

    Returns:
        The same shape.
    """
    return bands * equal_power(gains, bands) ** COMPRESSION
