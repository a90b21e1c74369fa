"""Predicting a score of speech with a trained network: the library behind `ks.predict`.

A signal of up to `WHOLE` seconds is scored as a whole. A longer one is scored in windows that see `MARGIN`
seconds of their neighbours, too; what the front end normalises by is measured over all of it, the frame
scores of the windows stand one after the other, and the score is the mean of them all.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_segan import audio
from keras_segan.errors import AudioError, ModelError, ModelUsageError

if TYPE_CHECKING:
    from keras_segan.models.base import Predictor, ReferencePredictor

WHOLE = 60.0  # seconds up to which a signal is scored as a whole
WINDOW = 20.0  # seconds of a longer one that are scored together
MARGIN = 2.0  # seconds before and after a window that the network sees, too
SILENCE = -50.0  # dB below the loudest frame
SILENT_FRAME = 0.02  # seconds
MUCH_SILENCE = 0.2  # share of a signal above which its score says little


def predict(
    model: "Predictor | ReferencePredictor",
    waveform: np.ndarray,
    sample_rate: float,
    clean: np.ndarray | None = None,
    trim_silence: bool = False,
) -> dict[str, Any]:
    """Predicts the score of a waveform of any rate, mono or with several channels.

    Args:
        model: A predictor, from `load_model`.
        waveform: Float `(samples,)` or `(samples, channels)`; each channel has a score of its own.
        sample_rate: Its rate in Hz.
        clean: The clean original of the same shape, for a model that compares with it.
        trim_silence: Whether silence before and after the signal is cut off first.

    Returns:
        `score`, a number; `silence`, the share of frames that are more than 50 dB below the loudest; and if
        the network scores frames, `frame_scores` `(frames,)` and `frame_times`, their centres in seconds. For
        several channels `score` is `(channels,)` and `frame_scores` `(frames, channels)`.

    Raises:
        AudioError: If the waveform is empty, silent, too short, or holds NaN or infinity.
        ModelError: If the model predicts no score, or needs a clean original that is not given.
    """
    check_predictor(model, clean is not None)
    waveform = np.asarray(waveform, dtype=np.float32)
    if waveform.ndim not in (1, 2) or waveform.size == 0:
        raise AudioError(
            f"A waveform of shape {waveform.shape} has no score; give (samples,) or (samples, channels) with "
            "at least one sample."
        )
    if clean is not None and np.shape(clean) != waveform.shape:
        raise AudioError(f"The clean original has shape {np.shape(clean)}, the waveform {waveform.shape}.")
    channels = [np.ascontiguousarray(channel) for channel in np.atleast_2d(waveform.T)]
    if trim_silence:
        start, stop = sounding(waveform, sample_rate)
        channels = [channel[start:stop] for channel in channels]
        clean = None if clean is None else clean[start:stop]
    originals = [None] * len(channels) if clean is None else list(np.atleast_2d(np.asarray(clean).T))
    found = [
        _predict_channel(model, channel, sample_rate, original)
        for channel, original in zip(channels, originals, strict=True)
    ]
    if waveform.ndim == 1:
        return found[0]
    joined = {name: np.stack([one[name] for one in found], axis=-1) for name in found[0]}
    return joined if "frame_times" not in joined else {**joined, "frame_times": found[0]["frame_times"]}


def check_predictor(model: Any, has_reference: bool = False):
    """Raises `ModelError` if a model predicts no score, or needs a clean original that is not there."""
    if not hasattr(model, "front_end") or hasattr(model, "enhance") or not hasattr(model, "predict"):
        raise ModelError(f"A {type(model).__name__} predicts no score; load a Predictor.")
    if needs_reference(model) != has_reference:
        word = "needs the clean original, too" if not has_reference else "takes no clean original"
        raise ModelUsageError(f"This {type(model).__name__} {word}.")


def needs_reference(model: Any) -> bool:
    """Whether a predictor compares with the clean original."""
    return not hasattr(model, "predict_many")


def prepared(model: Any, waveform: np.ndarray, sample_rate: float) -> np.ndarray:
    """Returns a mono waveform as the model takes it.

    Args:
        model: A predictor.
        waveform: `(samples,)`.
        sample_rate: In Hz.

    Returns:
        The waveform at the model's rate.

    Raises:
        AudioError: If it is silent, too short, or holds NaN or infinity.
    """
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
    return resampled


def predict_many(
    model: "Predictor", waveforms: Sequence[np.ndarray], sample_rate: float
) -> list[dict[str, Any]]:
    """Predicts the scores of mono waveforms, several at once; the numbers are those of `predict`.

    Args:
        model: A predictor without reference.
        waveforms: `(samples,)` each, all of one rate.
        sample_rate: In Hz.

    Returns:
        What `predict` returns, for each.

    Raises:
        AudioError: As `predict`.
        ModelError: As `predict`.
    """
    check_predictor(model)
    ready = [prepared(model, np.asarray(waveform, np.float32), sample_rate) for waveform in waveforms]
    whole = [number for number, each in enumerate(ready) if not _is_long(model, each)]
    short = model.predict_many([ready[number] for number in whole]) if whole else []
    found = dict(zip(whole, short, strict=True))
    return [
        _completed(model, each, found[n] if n in found else _in_windows(model, each))
        for n, each in enumerate(ready)
    ]


def _predict_channel(
    model: Any, waveform: np.ndarray, sample_rate: float, clean: np.ndarray | None
) -> dict[str, Any]:
    ready = prepared(model, waveform, sample_rate)
    if clean is not None:
        found = model.predict(ready, prepared(model, clean, sample_rate))
    else:
        found = _in_windows(model, ready) if _is_long(model, ready) else model.predict(ready)
    return _completed(model, ready, found)


def _completed(model: Any, waveform: np.ndarray, found: dict[str, Any]) -> dict[str, Any]:
    front_end = model.front_end
    found = {**found, "silence": silence(waveform, front_end.sample_rate)}
    if "frame_scores" in found and hasattr(front_end, "hop"):
        found["frame_times"] = np.arange(len(found["frame_scores"])) * front_end.hop / front_end.sample_rate
    return found


def _is_long(model: Any, waveform: np.ndarray) -> bool:
    return hasattr(model.front_end, "hop") and len(waveform) > WHOLE * model.front_end.sample_rate


def _in_windows(model: "Predictor", waveform: np.ndarray) -> dict[str, Any]:
    """Scores a long signal window by window; memory does not grow with the length."""
    front_end = model.front_end
    measure = getattr(front_end, "measure", None)
    statistics = measure([(waveform, 0, len(waveform))]) if measure else None
    frame_scores, scores, weights = [], [], []
    for piece, start, stop in _windows(len(waveform), front_end.hop, front_end.sample_rate):
        found = model.predict(waveform[piece], statistics)
        if "frame_scores" in found:
            frame_scores.append(found["frame_scores"][start:stop])
        scores.append(found["score"])
        weights.append(piece.stop - piece.start)
    if not frame_scores:
        return {"score": float(np.average(scores, weights=weights))}
    whole = np.concatenate(frame_scores)
    return {"score": float(np.mean(whole)), "frame_scores": whole}


def _windows(samples: int, hop: int, sample_rate: int) -> Iterator[tuple[slice, int, int | None]]:
    """Yields the samples of each window, and which of its frames count."""
    window, margin = (round(seconds * sample_rate / hop) for seconds in (WINDOW, MARGIN))
    frames = 1 + samples // hop
    for first in range(0, frames, window):
        if first and frames - first <= margin:
            return  # counted by the window before
        begin = max(first - margin, 0)
        is_last = frames - (first + window) <= margin
        end = samples if is_last else (first + window + margin) * hop
        yield slice(begin * hop, end), first - begin, None if is_last else first - begin + window


def sounding(waveform: np.ndarray, sample_rate: float) -> tuple[int, int]:
    """Returns first and last sample (exclusive) of what is louder than silence, over all channels."""
    size = max(1, round(SILENT_FRAME * sample_rate))
    loud = np.flatnonzero(_levels(waveform, size) >= SILENCE)
    if loud.size == 0:
        return 0, len(waveform)
    return int(loud[0]) * size, min(len(waveform), (int(loud[-1]) + 1) * size)


def silence(waveform: np.ndarray, sample_rate: float) -> float:
    """Returns the share of frames of 20 ms that are more than 50 dB below the loudest one."""
    return float(np.mean(_levels(waveform, max(1, round(SILENT_FRAME * sample_rate))) < SILENCE))


def _levels(waveform: np.ndarray, size: int) -> np.ndarray:
    """Power of each frame in dB below the loudest; of several channels the loudest."""
    columns = np.reshape(waveform, (len(waveform), -1))
    padded = np.pad(columns, ((0, -len(columns) % size), (0, 0)))
    power = np.square(padded, dtype=np.float64).reshape(-1, size, columns.shape[1]).mean(axis=1).max(axis=1)
    loudest = power.max()
    if not loudest > 0:
        return np.full(len(power), -np.inf)
    return 10.0 * np.log10(np.maximum(power / loudest, 1e-30))
