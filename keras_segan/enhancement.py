"""Enhancing audio with a trained model: the library behind `ks.enhance` and `kseg enhance`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from keras_segan import audio
from keras_segan.errors import AudioError
from keras_segan.models.base import Enhancer


def enhance(model: Enhancer, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Enhances a waveform of any rate, mono or with several channels.

    Args:
        model: An enhancer, from `load_model`.
        waveform: Float `(samples,)` or `(samples, channels)`; channels are enhanced one by one.
        sample_rate: In Hz.

    Returns:
        float32 of the same shape at the same rate. Silent channels stay silent.

    Raises:
        AudioError: If the waveform is empty or holds NaN or infinity.
    """
    waveform = np.asarray(waveform, dtype=np.float32)
    if waveform.ndim not in (1, 2) or waveform.size == 0:
        raise AudioError(
            f"A waveform of shape {waveform.shape} cannot be enhanced; give (samples,) or (samples, channels)"
            " with at least one sample."
        )
    if not np.isfinite(waveform).all():
        raise AudioError("The waveform holds NaN or infinite samples; repair it first.")
    if waveform.ndim == 2:
        channels = [enhance(model, channel, sample_rate) for channel in waveform.T]
        return np.stack(channels, axis=1)
    if not waveform.any():
        return waveform.copy()
    inside = audio.resample(waveform, sample_rate, model.front_end.sample_rate)
    short = model.front_end.minimum_samples - len(inside)
    padded = np.pad(inside, (0, max(short, 0)))
    enhanced = model.enhance(padded)[: len(inside)]
    enhanced = audio.resample(enhanced, model.front_end.sample_rate, sample_rate)
    return fit_length(enhanced, len(waveform))


def fit_length(waveform: np.ndarray, length: int) -> np.ndarray:
    """Cuts or pads with zeros to a length in samples."""
    return np.pad(waveform[:length], (0, max(length - len(waveform), 0)))


@dataclass(frozen=True)
class Enhanced:
    """An enhanced file.

    Attributes:
        source: The noisy file.
        target: The enhanced file.
        gain: Factor that kept it from clipping, 1 if none was needed.
        seconds: Its length.
    """

    source: Path
    target: Path
    gain: float
    seconds: float


def enhance_file(model: Enhancer, source: Path, target: Path) -> Enhanced:
    """Enhances a file; length, rate, channels and subtype stay, and nothing clips.

    Args:
        model: An enhancer.
        source: The noisy file.
        target: Where to write.

    Returns:
        What was done.

    Raises:
        AudioError: If the file cannot be read, enhanced or written.
    """
    waveform, sample_rate = audio.read(source)
    enhanced = enhance(model, waveform, sample_rate)
    peak = float(np.max(np.abs(enhanced)))
    gain = 1.0 / peak if peak > 1.0 else 1.0
    subtype = soundfile.info(source).subtype
    file_format = target.suffix[1:].upper()
    known = (
        soundfile.check_format(file_format, subtype)
        if file_format in soundfile.available_formats()
        else False
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    audio.write(target, enhanced * np.float32(gain), sample_rate, subtype if known else None)
    return Enhanced(Path(source), target, gain, len(waveform) / sample_rate)


def targets(sources: list[Path], out: Path) -> dict[Path, Path]:
    """Names the output of every input.

    Args:
        sources: Files and folders; a folder stands for the audio files in it and below.
        out: A file for a single input file, otherwise a folder.

    Returns:
        Output by input file, in order.

    Raises:
        AudioError: If an input does not exist or two inputs would write the same file.
    """
    if len(sources) == 1 and sources[0].is_file() and out.suffix and not out.is_dir():
        return {sources[0]: out}
    named = {}
    for source in sources:
        if source.is_dir():
            found = sorted(path for path in source.rglob("*") if path.is_file() and audio.is_audio_file(path))
            named.update({path: out / path.relative_to(source) for path in found})
        elif source.exists():
            named[source] = out / source.name
        else:
            raise AudioError(f"{source}: no such file or folder; check the path.")
    if not named:
        raise AudioError(f"{', '.join(map(str, sources))}: no audio files there.")
    if len(set(named.values())) < len(named):
        raise AudioError("Two inputs would be written to the same file; enhance them into different folders.")
    return named
