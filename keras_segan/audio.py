"""Reading, writing and resampling of audio; the only user of soundfile and soxr.

Waveforms are float32 in [-1, 1]: `(samples,)` when mono, `(samples, channels)` otherwise.
16-bit samples are read as `int16 / 32768`, as librosa does.
"""

import io
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from keras_segan import audio_streams, files, limits
from keras_segan.audio_streams import File
from keras_segan.errors import AudioError
from keras_segan.waveform import checked_rate

SAMPLE_RATE = 16000
INT16_MAX = 32767
BLOCK = 1 << 18  # samples per channel that are read at a time
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc"),
    *(".au", ".snd", ".caf", ".w64", ".rf64", ".sph"),
)

_SUFFIXES = {".aif": "AIFF", ".aifc": "AIFF", ".oga": "OGG", ".opus": "OGG", ".snd": "AU", ".sph": "NIST"}
_WAV_FAMILY = ("WAVEX", "RF64", "W64", "NIST")
_FINE = ("PCM_32", "FLOAT", "DOUBLE", "ALAC_32")  # subtypes of more than 24 bits

# libsndfile repairs the header of a cut file silently and logs "data : 9000 (should be 4000)".
_ANNOUNCED = re.compile(r"^ *(?:data|riff|SSND|BODY|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
_RF64_FRAMES = re.compile(r"Calculated frame count (\d+) does not match value from 'ds64' chunk of (\d+)")
# What programs announce that write to a pipe and do not know the length yet (sox, ffmpeg, arecord, espeak).
_UNKNOWN_LENGTHS = (range(0x7FFF0000, 0x80010000), range(0xFFFF0000, 0x100000000), range(1 << 62, 1 << 64))


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
        AudioError: If the file is missing, no audio, empty, truncated, beyond `limits`, or not finite.
    """
    with AudioSource(path) as source:
        blocks, values = [], 0
        for block in source.blocks():
            blocks.append(block)
            values += block.size
            if values > limits.MOST_IN_MEMORY:
                raise AudioError(
                    f"{path}: more than {limits.MOST_IN_MEMORY:,} samples, too long to read at once; cut it."
                )
        waveform = np.concatenate(blocks)
    return (waveform[:, 0] if source.channels == 1 else waveform), source.sample_rate


class _Forward(soundfile.SoundFile):
    """A sound file that is read from beginning to end; some formats cannot do more."""

    def seekable(self) -> bool:
        return False


class AudioSource:
    """An audio file that is read block by block, as often as needed; every reading checks it.

    Args:
        file: A path, also of a pipe, or an open binary file.
        name: What messages call it; the path if `None`.

    Attributes:
        sample_rate: In Hz.
        channels: Their number.
        frames: Samples per channel that the header announces, `None` if it does not know.
        format: A format of soundfile such as `"WAV"`.
        subtype: A subtype of soundfile such as `"PCM_16"`.

    Raises:
        AudioError: If the file is missing, no audio, empty, truncated, or its header is beyond `limits`.
    """

    def __init__(self, file: File, name: str | None = None):
        self.name = name or str(file)
        self._source = audio_streams.opened(file, self.name)
        try:
            self._first = self._open()
            self._read_header(self._first)
        except BaseException:
            self.close()
            raise

    def _open(self) -> _Forward:
        if not isinstance(self._source, bytes):
            self._source.seek(0)
        try:
            return _Forward(self._source)
        except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
            raise _unreadable(self.name, error) from error

    def _read_header(self, header: soundfile.SoundFile):
        self.channels, self.format, self.subtype = header.channels, header.format, header.subtype
        try:
            self.sample_rate = checked_rate(header.samplerate)
        except AudioError as error:
            raise AudioError(f"{self.name}: {error} Correct its header.") from error
        if self.channels > limits.MOST_CHANNELS:
            raise AudioError(
                f"{self.name}: its header says {self.channels} channels, more than the {limits.MOST_CHANNELS}"
                " that are taken; split it, or correct its header."
            )
        lengths = [tuple(map(int, found)) for found in _ANNOUNCED.findall(header.extra_info)]
        lengths += [(int(said), int(there)) for there, said in _RF64_FRAMES.findall(header.extra_info)]
        known = [(said, there) for said, there in lengths if not any(said in r for r in _UNKNOWN_LENGTHS)]
        self._truncated = any(said > there for said, there in known)
        self.frames = header.frames if header.frames < 1 << 62 else None
        if self.frames is not None:
            self._check_length(self.frames)

    def _check_length(self, frames: int):
        if frames > limits.LONGEST * self.sample_rate:
            raise AudioError(
                f"{self.name}: longer than {limits.LONGEST // 3600} hours; cut it, or correct its header."
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the file."""
        if getattr(self, "_first", None) is not None:
            self._first.close()
        if not isinstance(self._source, bytes):
            self._source.close()

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """Reads the whole file from its beginning.

        Args:
            size: Samples per channel in a block; of many channels it is less.

        Yields:
            float32 `(samples, channels)`, at least one block of at least one sample.

        Raises:
            AudioError: If the file is empty, truncated, too long, or holds NaN, infinite or absurd samples.
        """
        sound, self._first = self._first or self._open(), None
        count = 0
        with sound:
            while True:
                try:
                    block = sound.read(min(size, max(BLOCK // self.channels, 1)), "float32", always_2d=True)
                except (soundfile.LibsndfileError, RuntimeError) as error:
                    raise _unreadable(self.name, error) from error
                if len(block) == 0:
                    break
                self._check_samples(block, count)
                count += len(block)
                self._check_length(count)
                yield block
        if self._truncated or (self.frames is not None and count < self.frames):
            raise AudioError(
                f"{self.name}: truncated, the header announces more samples than there are; copy it again."
            )
        if count == 0:
            raise AudioError(f"{self.name}: holds no samples; remove it or record it again.")

    def _check_samples(self, block: np.ndarray, position: int):
        wrong = {
            "NaN or infinite samples": ~np.isfinite(block),
            "samples far beyond full scale": np.abs(block) > limits.LARGEST_SAMPLE,
        }
        for what, places in wrong.items():
            if places.any():
                second = (position + int(np.argmax(places.any(axis=1)))) / self.sample_rate
                raise AudioError(f"{self.name}: holds {what} (first at {second:.3f} s); repair or remove it.")


def _unreadable(name: str, error: Exception) -> AudioError:
    return AudioError(f"{name}: not a readable audio file or truncated ({_reason(error)}); copy it again.")


def _reason(error: Exception) -> str:
    return (getattr(error, "error_string", None) or str(error) or type(error).__name__).strip().rstrip(".")


def seconds(path: Path | str) -> float:
    """Returns the length that a file's header announces, in seconds; 0 if it is unknown or cannot be read."""
    try:
        with AudioSource(path) as source:
            return (source.frames or 0) / source.sample_rate
    except AudioError:
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
        AudioError: If the format is unknown or cannot hold the waveform.
        FileError: If the file cannot be written.
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
        AudioError: If the format is unknown or cannot hold the signal.
        FileError: If the file cannot be written.
    """
    file_format = file_format or format_of(path)
    with files.replacing(path) as temporary:
        try:
            file = soundfile.SoundFile(
                os.fsencode(temporary), "w", sample_rate, channels, subtype=subtype, format=file_format
            )
        except (soundfile.LibsndfileError, ValueError, TypeError) as error:
            raise _unwritable(path, error) from error
        with file:
            for block in blocks:
                try:
                    file.write(block)
                except (soundfile.LibsndfileError, ValueError, TypeError, AssertionError) as error:
                    raise _unwritable(path, error) from error


def _unwritable(path: Path | str, error: Exception) -> AudioError:
    reason = _reason(error)
    if isinstance(error, AssertionError) or reason == "System error":  # not all samples were written
        reason = "the disk is full, or a limit of file sizes is reached"
    return AudioError(f"{files.printable(path)}: could not be written ({reason}).")


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


class OutputFormat(NamedTuple):
    """Format and subtype of an output.

    Attributes:
        format: A format of soundfile.
        subtype: A subtype of soundfile.
        note: What differs from the input and why, empty if nothing does.
    """

    format: str
    subtype: str
    note: str = ""


def output_format(source: AudioSource, path: Path | str | None = None) -> OutputFormat:
    """Chooses format and subtype of an output so that it resembles its input.

    Args:
        source: The input.
        path: The output, whose suffix decides; `None` for a stream, which has the input's format.

    Returns:
        The input's format if the suffix allows it, else the suffix's; the input's subtype if that can be
        written, else the nearest.

    Raises:
        AudioError: If the format cannot hold so many channels at that rate.
    """
    wanted = source.format if path is None else format_of(path)
    if wanted == "WAV" and source.format in _WAV_FAMILY:
        wanted = source.format
    shape = source.sample_rate, source.channels
    nearest = ("PCM_24", "PCM_16") if source.subtype in _FINE else ("PCM_16",)
    for file_format in (wanted,) if path is not None else (wanted, "WAV"):
        for subtype in (source.subtype, *nearest, soundfile.default_subtype(file_format)):
            if _can_write(file_format, subtype, *shape):
                same = (file_format, subtype) == (wanted, source.subtype)
                note = (
                    ""
                    if same
                    else f"as {subtype}, since {wanted} files with {source.subtype} cannot be written"
                )
                return OutputFormat(file_format, subtype, note)
    raise AudioError(
        f"{files.printable(path)}: {wanted} files cannot hold {source.channels} channels at"
        f" {source.sample_rate} Hz; name a .wav file."
    )


def _can_write(file_format: str, subtype: str | None, sample_rate: int, channels: int) -> bool:
    if subtype is None or not soundfile.check_format(file_format, subtype):
        return False
    try:
        with soundfile.SoundFile(
            io.BytesIO(), "w", sample_rate, channels, subtype, format=file_format
        ) as file:
            file.write(np.zeros((1, channels), np.float32))
    except (soundfile.LibsndfileError, AssertionError):
        return False
    return True


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
