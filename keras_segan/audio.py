"""Reading, writing and resampling of audio; the only user of soundfile and soxr.

Waveforms are float32 in [-1, 1]: `(samples,)` when mono, `(samples, channels)` otherwise.
16-bit samples are read as `int16 / 32768`, as librosa does.
"""

import os
import re
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

from keras_segan.errors import AudioError

SAMPLE_RATE = 16000
INT16_MAX = 32767
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")

# libsndfile repairs the header of a cut RIFF file silently, but says so in its log.
_TRUNCATED = re.compile(r"^data : \d+ \(should be \d+\)", re.MULTILINE)


def is_audio_file(path: Path | str) -> bool:
    """Says whether a path has a suffix of a known audio format (any case)."""
    return Path(path).suffix.lower() in AUDIO_SUFFIXES


def read(path: Path | str) -> tuple[np.ndarray, int]:
    """Reads an audio file of any format that soundfile knows.

    Args:
        path: The file.

    Returns:
        The waveform as float32, `(samples,)` or `(samples, channels)`, and its sample rate in Hz.

    Raises:
        AudioError: If the file is missing, no audio, empty, truncated or holds NaN or infinity.
    """
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path}: this is a folder, not an audio file; name the file itself.")
    if not path.exists():
        raise AudioError(f"{path}: no such file; check the path.")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file has no bytes; copy it again.")
    try:
        with soundfile.SoundFile(path) as file:
            truncated = _TRUNCATED.search(file.extra_info)
            announced = file.frames
            waveform = file.read(dtype="float32")
            sample_rate = file.samplerate
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = getattr(error, "error_string", str(error)).strip().rstrip(".")
        raise AudioError(
            f"{path}: not a readable audio file or truncated ({reason}); copy it again."
        ) from error
    if truncated or len(waveform) < announced:
        raise AudioError(
            f"{path}: truncated, the header announces more samples than there are; copy it again."
        )
    if len(waveform) == 0:
        raise AudioError(f"{path}: holds no samples; remove it or record it again.")
    if not np.isfinite(waveform).all():
        raise AudioError(f"{path}: holds NaN or infinite samples; repair or remove it.")
    return waveform, sample_rate


def seconds(path: Path | str) -> float:
    """Returns the length that a file's header announces, in seconds; 0 if it cannot be read."""
    try:
        return soundfile.info(path).duration
    except (soundfile.LibsndfileError, OSError, RuntimeError):
        return 0.0


def read_mono(path: Path | str, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Reads a mono file and resamples it if its rate is another one.

    Args:
        path: The file.
        sample_rate: The rate wanted, in Hz.

    Returns:
        The waveform as float32, `(samples,)`.

    Raises:
        AudioError: As `read`, and for more than one channel or a silent file.
    """
    waveform, file_rate = read(path)
    if waveform.ndim != 1:
        raise AudioError(f"{path}: has {waveform.shape[1]} channels; mono is needed, mix it down first.")
    if not waveform.any():
        raise AudioError(f"{path}: is silent (every sample is zero); remove it.")
    return resample(waveform, file_rate, sample_rate)


def resample(waveform: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Resamples a waveform with soxr in very high quality.

    Args:
        waveform: `(samples,)` or `(samples, channels)`.
        from_rate: Its sample rate in Hz.
        to_rate: The sample rate wanted in Hz.

    Returns:
        The waveform as float32; the same values if the rates are equal.
    """
    waveform = np.asarray(waveform, dtype=np.float32)
    if from_rate == to_rate:
        return waveform
    return soxr.resample(waveform, from_rate, to_rate, quality="VHQ")


def write(path: Path | str, waveform: np.ndarray, sample_rate: int = SAMPLE_RATE, subtype: str | None = None):
    """Writes an audio file atomically: either the whole file appears, or none.

    Args:
        path: Where to; the suffix decides the format.
        waveform: Float in [-1, 1] or int16, `(samples,)` or `(samples, channels)`.
        sample_rate: In Hz.
        subtype: A subtype of soundfile such as `"PCM_16"` or `"FLOAT"`; the format's default if `None`.

    Raises:
        AudioError: If the folder cannot be written or the format is unknown.
    """
    path = Path(path)
    file_format = path.suffix[1:].upper()
    if file_format not in soundfile.available_formats():
        raise AudioError(f"{path}: unknown audio format '{path.suffix}'; use .wav or .flac.")
    try:
        handle, temporary = tempfile.mkstemp(prefix=".writing-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise AudioError(f"{path}: cannot write into {path.parent} ({error.strerror}).") from error
    try:
        soundfile.write(temporary, waveform, sample_rate, subtype=subtype, format=file_format)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        raise AudioError(f"{path}: could not be written ({error}).") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def to_int16(waveform: np.ndarray) -> np.ndarray:
    """Converts to 16 bit as the original programs do: times 32767, truncated toward zero.

    Values beyond 1 wrap around, as `(x * 32767).astype(int16)` does in the VoiceBank script of
    MetricGAN; callers that do not want this limit the waveform first.

    Args:
        waveform: Float, any shape.

    Returns:
        int16 of the same shape.
    """
    # Through int64: a float beyond the range of int16 is undefined behaviour in a direct cast.
    return (np.asarray(waveform) * INT16_MAX).astype(np.int64).astype(np.int16)


def from_int16(samples: np.ndarray, divisor: float = 32768.0) -> np.ndarray:
    """Converts 16-bit samples to float32.

    Args:
        samples: int16, any shape.
        divisor: 32768 (librosa, soundfile) or 32767 (MetricGAN's VoiceBank script).

    Returns:
        float32 of the same shape.
    """
    return (samples.astype(np.float64) / divisor).astype(np.float32)
