"""Reading, writing and resampling of audio; the only user of soundfile and soxr.

Waveforms are float32 in [-1, 1]: `(samples,)` when mono, `(samples, channels)` otherwise.
16-bit samples are read as `int16 / 32768`, as librosa does.
"""

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from keras_segan.errors import AudioError

SAMPLE_RATE = 16000
INT16_MAX = 32767
BLOCK = 1 << 18  # samples per channel that are read at a time
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc"),
    *(".au", ".snd", ".caf", ".w64", ".rf64", ".sph"),
)

_SUFFIXES = {".aif": "AIFF", ".aifc": "AIFF", ".oga": "OGG", ".opus": "OGG", ".snd": "AU", ".sph": "NIST"}
_WAV_FAMILY = ("WAVEX", "RF64", "W64", "NIST")

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
    with AudioSource(path) as source:
        waveform = np.concatenate([np.zeros((0, source.channels), np.float32), *source.blocks()])
    return (waveform[:, 0] if source.channels == 1 else waveform), source.sample_rate


class AudioSource:
    """An audio file that is read block by block, as often as needed; every reading checks it.

    Args:
        file: A path, or an open binary file that can seek.
        name: What messages call it; the path if `None`.

    Attributes:
        sample_rate: In Hz.
        channels: Their number.
        frames: Samples per channel that the header announces.
        format: A format of soundfile such as `"WAV"`.
        subtype: A subtype of soundfile such as `"PCM_16"`.

    Raises:
        AudioError: If the file is missing, no audio, empty or truncated.
    """

    def __init__(self, file: Path | str | BinaryIO, name: str | None = None):
        self.name = name or str(file)
        self._file = _open(file, self.name)
        self.sample_rate = self._file.samplerate
        self.channels = self._file.channels
        self.frames = self._file.frames
        self.format = self._file.format
        self.subtype = self._file.subtype

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """Reads the whole file from its beginning.

        Args:
            size: Samples per channel in a block.

        Yields:
            float32 `(samples, channels)`, at least one block of at least one sample.

        Raises:
            AudioError: If the file is empty, truncated or holds NaN or infinity.
        """
        truncated = bool(_TRUNCATED.search(self._file.extra_info))
        count = 0
        try:
            self._file.seek(0)
            while True:
                block = self._file.read(size, dtype="float32", always_2d=True)
                if len(block) == 0:
                    break
                self._check_finite(block, count)
                count += len(block)
                yield block
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise _unreadable(self.name, error) from error
        if truncated or count < self.frames:
            raise AudioError(
                f"{self.name}: truncated, the header announces more samples than there are; copy it again."
            )
        if count == 0:
            raise AudioError(f"{self.name}: holds no samples; remove it or record it again.")

    def _check_finite(self, block: np.ndarray, position: int):
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            second = (position + int(np.argmin(finite))) / self.sample_rate
            raise AudioError(
                f"{self.name}: holds NaN or infinite samples (first at {second:.3f} s); repair or remove it."
            )


def _open(file, name: str) -> soundfile.SoundFile:
    if isinstance(file, (str, Path)):
        path = Path(file)
        if path.is_dir():
            raise AudioError(f"{name}: this is a folder, not an audio file; name the file itself.")
        if not path.exists():
            raise AudioError(f"{name}: no such file; check the path.")
        if path.stat().st_size == 0:
            raise AudioError(f"{name}: the file has no bytes; copy it again.")
    try:
        return soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> AudioError:
    reason = getattr(error, "error_string", str(error)).strip().rstrip(".")
    return AudioError(f"{name}: not a readable audio file or truncated ({reason}); copy it again.")


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


def resample(waveform: np.ndarray, from_rate: float, to_rate: float) -> np.ndarray:
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


def change_speed(waveform: np.ndarray, factor: float) -> np.ndarray:
    """Plays a waveform faster or slower; pitch and formants move with it.

    Args:
        waveform: `(samples,)`.
        factor: Above 1 it gets shorter and higher; 1 changes nothing.

    Returns:
        float32 `(samples / factor,)` at the same sample rate.

    Reference:
        T. Ko, V. Peddinti, D. Povey, S. Khudanpur, "Audio augmentation for speech recognition",
        Interspeech 2015.
    """
    return resample(waveform, SAMPLE_RATE * factor, SAMPLE_RATE)


class Resampler:
    """Resamples a signal that comes in blocks, to the same values as `resample` gives for the whole.

    Args:
        from_rate: Its sample rate in Hz.
        to_rate: The sample rate wanted in Hz.
        channels: Number of channels.
    """

    def __init__(self, from_rate: int, to_rate: int, channels: int):
        same = from_rate == to_rate
        self._stream = (
            None if same else soxr.ResampleStream(from_rate, to_rate, channels, "float32", quality="VHQ")
        )
        self._nothing = np.zeros((0, channels), np.float32)

    def resample(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yields the resampled blocks; both `(samples, channels)`."""
        for block in blocks:
            yield block if self._stream is None else self._chunk(block, last=False)
        if self._stream is not None:
            yield self._chunk(self._nothing, last=True)

    def _chunk(self, block: np.ndarray, last: bool) -> np.ndarray:
        # A single channel comes back flat.
        return self._stream.resample_chunk(block, last=last).reshape(-1, block.shape[1])


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
    waveform = np.asarray(waveform)
    channels = waveform.shape[1] if waveform.ndim == 2 else 1
    write_blocks(path, [waveform], sample_rate, channels, subtype)


def write_blocks(
    path: Path | str,
    blocks: Iterable[np.ndarray],
    sample_rate: int,
    channels: int,
    subtype: str | None = None,
    file_format: str | None = None,
):
    """Writes an audio file block by block, atomically.

    Args:
        path: Where to.
        blocks: Float in [-1, 1] or int16, `(samples,)` or `(samples, channels)` each.
        sample_rate: In Hz.
        channels: Their number.
        subtype: See `write`.
        file_format: A format of soundfile; that of the suffix if `None`.

    Raises:
        AudioError: If the folder cannot be written or the format is unknown.
    """
    path = Path(path)
    file_format = file_format or format_of(path)
    try:
        handle, temporary = tempfile.mkstemp(prefix=".writing-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise AudioError(f"{path}: cannot write into {path.parent} ({error.strerror}).") from error
    try:
        with soundfile.SoundFile(
            temporary, "w", sample_rate, channels, subtype=subtype, format=file_format
        ) as file:
            for block in blocks:
                file.write(block)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        raise AudioError(f"{path}: could not be written ({error}).") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def format_of(path: Path | str) -> str:
    """Returns soundfile's name of the format that a suffix stands for.

    Raises:
        AudioError: If there is none.
    """
    suffix = Path(path).suffix
    known = _SUFFIXES.get(suffix.lower(), suffix[1:].upper())
    if known not in soundfile.available_formats():
        raise AudioError(f"{path}: unknown audio format '{suffix}'; use .wav or .flac.")
    return known


def kept_format(path: Path | str, source: AudioSource) -> tuple[str, str | None]:
    """Chooses format and subtype of an output so that it resembles its input.

    Args:
        path: The output.
        source: The input.

    Returns:
        The input's format if the suffix allows it, else the suffix's; the input's subtype if the format has
        it, else `None`.
    """
    file_format = format_of(path)
    if file_format == "WAV" and source.format in _WAV_FAMILY:
        file_format = source.format
    return file_format, source.subtype if soundfile.check_format(file_format, source.subtype) else None


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


def to_saturated_int16(waveform: np.ndarray) -> np.ndarray:
    """Converts to 16 bit as libsndfile does: times 32767, rounded, limited.

    Args:
        waveform: Float, any shape.

    Returns:
        int16 of the same shape.
    """
    return np.rint(np.clip(waveform, -1.0, 1.0) * INT16_MAX).astype(np.int16)


def from_int16(samples: np.ndarray, divisor: float = 32768.0) -> np.ndarray:
    """Converts 16-bit samples to float32.

    Args:
        samples: int16, any shape.
        divisor: 32768 (librosa, soundfile) or 32767 (MetricGAN's VoiceBank script).

    Returns:
        float32 of the same shape.
    """
    return (samples.astype(np.float64) / divisor).astype(np.float32)
