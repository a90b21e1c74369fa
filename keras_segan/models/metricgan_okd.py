"""Networks of MetricGAN-OKD (Shin et al., ICML 2023), as in the authors' program.

One generator for every metric, all built like MetricGAN+'s, and one discriminator with one score for
every metric. The features and the front end are MetricGAN+'s, too.
"""

from typing import Any

import keras

from keras_segan.models import metricgan_plus

FILTERS = (16, 32, 64, 128)
DROPOUT = 0.1


def generator(
    bins: int = 257,
    dropout: float = DROPOUT,
    causal: bool = False,
    torch_bias: bool = True,
    name: str = "metricgan_okd_generator",
) -> keras.Model:
    """MetricGAN+'s generator with dropout between the two LSTM layers.

    Args:
        bins: Frequency bins.
        dropout: Share dropped between the two LSTM layers in training.
        causal: Forward direction only: the paper's causal model.
        torch_bias: See `models.metricgan_plus.generator`.
        name: Name of the model; several generators need several names.

    Returns:
        A model from the log1p magnitude `(batch, frames, bins)` to the mask, before its floor.
    """
    return metricgan_plus.generator(bins, dropout=dropout, causal=causal, torch_bias=torch_bias, name=name)


def discriminator(scores: int = 2, bins: int = 257, name: str = "metricgan_okd_discriminator") -> keras.Model:
    """MetricGAN+'s discriminator, wider and with one score for every metric.

    Args:
        scores: Number of metrics.
        bins: Frequency bins.
        name: Name of the model.

    Returns:
        A model from two log1p magnitudes `(batch, frames, bins, 2)`, see `pair`, to `(batch, scores)`.
    """
    return metricgan_plus.discriminator(bins, FILTERS, scores, name=name)


def pair(degraded: Any, clean: Any) -> Any:
    """The discriminator's input, channels (clean, degraded): MetricGAN+'s the other way round.

    Args:
        degraded: See `models.metricgan_plus.pair`.
        clean: The same.

    Returns:
        `(batch, frames, bins, 2)`.
    """
    return metricgan_plus.pair(clean, degraded)
