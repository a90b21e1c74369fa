"""Predicting a score of speech with a trained network: the library behind `ks.predict`."""

from typing import TYPE_CHECKING, Any

import numpy as np

from keras_segan import audio
from keras_segan.errors import AudioError, ModelError

if TYPE_CHECKING:
    from keras_segan.models.base import Predictor


def predict(model: "Predictor", waveform: np.ndarray, sample_rate: float) -> dict[str, Any]:
    """Predicts the score of a waveform of any rate, mono or with several channels.

    Args:
        model: A predictor, from `load_model`.
        waveform: Float `(samples,)` or `(samples, channels)`.
        sample_rate: Its rate in Hz.

    Returns:
        `score`, a number, and `frame_scores`, `(frames,)`, if the network gives them; for several channels
        `(channels,)` and `(frames, channels)`.

    Raises:
        AudioError: If the waveform is empty, silent, too short, or holds NaN or infinity.
        ModelError: If the model predicts no score.
    """
    if not hasattr(model, "front_end") or hasattr(model, "enhance") or not hasattr(model, "predict"):
        raise ModelError(f"A {type(model).__name__} predicts no score; load a Predictor.")
    waveform = np.asarray(waveform, dtype=np.float32)
    if waveform.ndim not in (1, 2) or waveform.size == 0:
        raise AudioError(
            f"A waveform of shape {waveform.shape} has no score; give (samples,) or (samples, channels) with "
            "at least one sample."
        )
    if waveform.ndim == 1:
        return _predict_channel(model, waveform, sample_rate)
    found = [_predict_channel(model, waveform[:, c], sample_rate) for c in range(waveform.shape[1])]
    return {name: np.stack([one[name] for one in found], axis=-1) for name in found[0]}


def _predict_channel(model: "Predictor", waveform: np.ndarray, sample_rate: float) -> dict[str, Any]:
    if not np.isfinite(waveform).all():
        raise AudioError("The waveform holds NaN or infinite samples; repair it first.")
    if not waveform.any():
        raise AudioError("The waveform is silent (every sample is zero); there is nothing to score.")
    front_end = model.front_end
    resampled = audio.resample(waveform, sample_rate, front_end.sample_rate)
    least = getattr(front_end, "minimum_samples", 1)
    if len(resampled) < least:
        raise AudioError(
            f"The waveform has {len(resampled)} samples at {front_end.sample_rate} Hz; this model needs at "
            f"least {least}."
        )
    return model.predict(resampled)
