"""Enhancing audio with a trained model: the library behind `ks.enhance` and `kseg enhance`.

Memory does not grow with the length: a signal is read, resampled, enhanced and written block by block,
what must be kept lies in temporary files. A long signal is enhanced in chunks that see some seconds of their
neighbours and are cross-faded; what a front end normalises by is measured beforehand over all of it, so that
a chunk is treated as it would be in the whole. A channel that is quieter or louder than anything that the
network was trained on is brought to the nearest level that it knows, and back.
"""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_segan import audio, audio_streams, files
from keras_segan.errors import AudioError, AudioUsageError, ModelError, ModelUsageError
from keras_segan.inference import WaveformEnhancer
from keras_segan.waveform import checked, checked_rate, checked_share

WHOLE = 60.0  # seconds up to which a signal is enhanced as a whole
CHUNK = 20.0  # seconds of a longer one that are enhanced together
MARGIN = 2.0  # seconds before and after a chunk that the network sees, too
FADE = 0.1  # seconds of the cross-fade
BATCH = 8  # chunks that the network sees at once
SILENT = 1e-8  # RMS value below which a channel is not amplified
IN_MEMORY = 1 << 26  # bytes of a signal that are kept in memory before a file is opened

STANDARD_STREAM = Path("-")

Progress = Callable[[float, float], None]
Read = Callable[[], Iterable[np.ndarray]]


def enhance(model: WaveformEnhancer, waveform: np.ndarray, sample_rate: int, wet: float = 1.0) -> np.ndarray:
    """Enhances a waveform of any rate and length, mono or with several channels.

    Args:
        model: An enhancer, from `load_model`.
        waveform: Float in [-1, 1] or integers as `keras_segan.waveform` takes them, `(samples,)` or
            `(samples, channels)`; channels are enhanced one by one.
        sample_rate: In Hz.
        wet: Share of the enhanced signal; the rest is the noisy one.

    Returns:
        float32 of the same shape at the same rate. Silent channels stay silent.

    Raises:
        AudioError: If the waveform is empty, not finite or of another type or layout; or if rate or `wet` is
            beyond its range.
    """
    sample_rate, wet = checked_rate(sample_rate), checked_share(wet, "wet")
    noisy = checked(waveform, channels=True).astype(np.float32)
    columns = noisy.reshape(len(noisy), -1)
    blocks = enhanced_blocks(model, lambda: [columns], sample_rate, columns.shape[1], wet)
    return np.concatenate(list(blocks)).reshape(noisy.shape)


def with_mask_floor(model: WaveformEnhancer, floor: float) -> WaveformEnhancer:
    """Changes the smallest value of the mask: how much noise is left at most.

    Args:
        model: An enhancer; it is changed.
        floor: From 0 to 1.

    Returns:
        The enhancer.

    Raises:
        ModelError: If its front end has no mask.
    """
    if not hasattr(model.front_end, "mask_floor"):
        raise ModelUsageError(
            f"This model's {type(model.front_end).__name__} has no mask; leave out --mask-floor."
        )
    model.front_end.mask_floor = floor
    return model


def with_seed(model: WaveformEnhancer, seed: int) -> WaveformEnhancer:
    """Changes the seed of the noise that a network takes beside the signal.

    Args:
        model: An enhancer; it is changed.
        seed: The same file with the same seed gives the same output.

    Returns:
        The enhancer.

    Raises:
        ModelError: If its network takes no noise.
    """
    if not getattr(model.front_end, "latent", 0):
        raise ModelUsageError("This model's network takes no noise beside the signal; leave out --seed.")
    model.front_end.seed = seed
    return model


class Signal:
    """A signal of any length `(samples, channels)` that is appended to and read from anywhere.

    Args:
        channels: Their number.
        folder: Where the file goes that holds a long one; the system's folder if `None`.
    """

    def __init__(self, channels: int, folder: Path | None = None):
        self.channels = channels
        place = None if folder is None else str(folder)
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=place)  # noqa: SIM115 - closed by the owner
        self._size = 4 * channels
        self._squares = np.zeros(channels)
        self.peak = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __len__(self) -> int:
        return self._file.seek(0, 2) // self._size

    def extend(self, blocks: Iterable[np.ndarray]):
        """Appends blocks `(samples, channels)`."""
        for block in blocks:
            if len(block):
                self.peak = max(self.peak, float(np.max(np.abs(block))))
                self._squares += np.sum(np.square(block, dtype=np.float64), axis=0)
                self._file.seek(0, 2)
                self._file.write(np.ascontiguousarray(block, np.float32).tobytes())

    def read(self, start: int, stop: int) -> np.ndarray:
        """Returns float32 `(stop - start, channels)`, less at the end of the signal."""
        self._file.seek(start * self._size)
        stored = self._file.read((stop - start) * self._size)
        return np.frombuffer(stored, np.float32).reshape(-1, self.channels)

    def rms(self) -> np.ndarray:
        """Returns each channel's root mean square, `(channels,)`."""
        return np.sqrt(self._squares / max(len(self), 1))

    def blocks(self, gain: float = 1.0) -> Iterator[np.ndarray]:
        """Yields the whole signal, multiplied."""
        for start in range(0, len(self), audio.BLOCK):
            yield self.read(start, start + audio.BLOCK) * np.float32(gain)


@dataclass(frozen=True)
class Chunk:
    """A part of a signal that is enhanced at once; all in samples.

    Attributes:
        start: First sample that the network sees.
        begin: First sample that the chunk answers for.
        end: Where the next chunk begins.
        stop: Where the network stops seeing.
    """

    start: int
    begin: int
    end: int
    stop: int


def chunks(length: int, rate: int, hop: int) -> list[Chunk]:
    """Divides a signal, at multiples of the hop so that frames stay where they are in the whole.

    Args:
        length: Samples of the signal.
        rate: Its sample rate in Hz.
        hop: Distance of frames in samples.

    Returns:
        Chunks in order; a single one for a short signal.
    """
    if length <= WHOLE * rate:
        return [Chunk(0, 0, length, length)]
    size, margin = (round(seconds * rate / hop) * hop for seconds in (CHUNK, MARGIN))
    count = max(1, round(length / size))
    begins = [number * size for number in range(count)]
    ends = [*begins[1:], length]
    starts = [max(0, begin - margin) for begin in begins]
    # All but the last are of one length, so that they fit into one batch.
    stops = [min(start + size + 2 * margin, length) for start in starts[:-1]]
    return [Chunk(*limits) for limits in zip(starts, begins, ends, [*stops, length], strict=True)]


def enhanced_blocks(
    model: WaveformEnhancer,
    read: Read,
    sample_rate: int,
    channels: int,
    wet: float = 1.0,
    progress: Progress | None = None,
    folder: Path | None = None,
) -> Iterator[np.ndarray]:
    """Enhances a signal of any length in constant memory.

    Args:
        model: An enhancer.
        read: Called for the signal from its beginning, in blocks `(samples, channels)`; twice if `wet` is
            less than 1.
        sample_rate: Its rate in Hz.
        channels: Their number.
        wet: See `enhance`.
        progress: Called with the seconds done and those of the whole.
        folder: See `Signal`.

    Yields:
        float32 `(samples, channels)`, together as long as the signal.
    """
    if not hasattr(model, "enhance_many"):
        raise ModelError(f"A {type(model).__name__} enhances nothing; load an enhancer.")
    rate = model.front_end.sample_rate
    length = _Count()
    with Signal(channels, folder) as inside:
        inside.extend(audio.Resampler(sample_rate, rate, channels).resample(length.of(read())))
        enhanced = _faded(_enhanced_chunks(model, inside, progress), round(FADE * rate / 2))
        restored = audio.Resampler(rate, sample_rate, channels).resample(enhanced)
        fitted = _of_length(restored, length.samples, channels)
        yield from fitted if wet == 1 else _mixed(fitted, read(), wet)


class _Count:
    """Counts the samples that pass."""

    def __init__(self):
        self.samples = 0

    def of(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            self.samples += len(block)
            yield block


def _enhanced_chunks(
    model: WaveformEnhancer, signal: Signal, progress: Progress | None
) -> Iterator[tuple[Chunk, np.ndarray]]:
    front_end = model.front_end
    hop = getattr(front_end, "hop", 1)
    plan = chunks(len(signal), front_end.sample_rate, hop)
    gains = level_gains(signal.rms(), getattr(front_end, "levels", None))
    statistics = [None] * signal.channels
    if len(plan) > 1 and hasattr(front_end, "measure"):
        statistics = [front_end.measure(_pieces(signal, plan, c, gains[c])) for c in range(signal.channels)]
    for first in range(0, len(plan), BATCH):
        batch = plan[first : first + BATCH]
        noisy = [signal.read(chunk.start, chunk.stop) * gains for chunk in batch]
        columns = [_enhanced_channel(model, noisy, c, statistics[c]) for c in range(signal.channels)]
        for chunk, *channels in zip(batch, *columns, strict=True):
            if progress is not None:
                progress(chunk.end / front_end.sample_rate, len(signal) / front_end.sample_rate)
            yield chunk, np.stack(channels, axis=1) / gains


def level_gains(rms: np.ndarray, levels: Sequence[float] | None) -> np.ndarray:
    """Returns the factors that bring channels into the range of levels that a network knows.

    Args:
        rms: Each channel's root mean square `(channels,)`.
        levels: Lowest and highest level in dB of the RMS value against 1, `None` for any.

    Returns:
        float32 `(channels,)`; 1 for a channel that is in the range, or practically silent.
    """
    gains = np.ones(len(rms), np.float32)
    if levels is not None:
        lowest, highest = (10 ** (level / 20) for level in levels)
        audible = rms > SILENT
        gains[audible] = np.clip(rms[audible], lowest, highest) / rms[audible]
    return gains


def _pieces(signal: Signal, plan: list[Chunk], channel: int, gain: np.float32):
    for chunk in plan:
        stop = chunk.stop if chunk is plan[-1] else chunk.end - chunk.start
        yield signal.read(chunk.start, chunk.stop)[:, channel] * gain, chunk.begin - chunk.start, stop


def _enhanced_channel(model: WaveformEnhancer, noisy: list[np.ndarray], channel: int, statistics):
    waveforms = [block[:, channel] for block in noisy]
    audible = [number for number, waveform in enumerate(waveforms) if waveform.any()]
    padded = [_at_least(waveforms[number], model.front_end.minimum_samples) for number in audible]
    enhanced = [np.zeros_like(waveform) for waveform in waveforms]
    if audible:
        known = None if statistics is None else [statistics] * len(padded)
        for number, result in zip(audible, model.enhance_many(padded, known), strict=True):
            enhanced[number] = result[: len(waveforms[number])]
    if not all(np.isfinite(waveform).all() for waveform in enhanced):
        raise ModelError("The model returns NaN; its weights are damaged or it does not fit its front end.")
    return enhanced


def _at_least(waveform: np.ndarray, length: int) -> np.ndarray:
    return np.pad(waveform, (0, max(length - len(waveform), 0)))


def _faded(enhanced: Iterable[tuple[Chunk, np.ndarray]], half: int) -> Iterator[np.ndarray]:
    """Puts chunks together; the cross-fade reaches `half` samples to both sides of a border."""
    # Linear, because both sides are the same signal.
    ramp = ((np.arange(2 * half) + 0.5) / (2 * half)).astype(np.float32)[:, None]
    tail = None
    for chunk, waveform in enhanced:
        first = chunk.begin - (0 if tail is None else half) - chunk.start
        last = chunk.end + half - chunk.start
        part = waveform[first:last]
        if tail is not None:
            part[: 2 * half] = tail * (1 - ramp) + part[: 2 * half] * ramp
        is_last = chunk.end == chunk.stop
        tail = part[len(part) - 2 * half :].copy()
        yield part if is_last else part[: len(part) - 2 * half]


def _of_length(blocks: Iterable[np.ndarray], length: int, channels: int) -> Iterator[np.ndarray]:
    """Cuts or pads with zeros to a length; resampling there and back may be a sample off."""
    missing = length
    for block in blocks:
        yield block[:missing]
        missing -= len(block[:missing])
    yield np.zeros((missing, channels), np.float32)


def _mixed(enhanced: Iterable[np.ndarray], noisy: Iterable[np.ndarray], wet: float) -> Iterator[np.ndarray]:
    """Adds signals that come in blocks of different lengths."""
    source = iter(noisy)
    waiting = next(source)
    for block in enhanced:
        while len(waiting) < len(block):
            waiting = np.concatenate([waiting, next(source)])
        yield np.float32(wet) * block + np.float32(1 - wet) * waiting[: len(block)]
        waiting = waiting[len(block) :]


@dataclass(frozen=True)
class Enhanced:
    """An enhanced file.

    Attributes:
        source: The noisy file.
        target: The enhanced file.
        gain: Factor that kept it from clipping, 1 if none was needed.
        seconds: Its length.
        silent: Whether it is digital silence, as what comes of a silent file.
        note: How its format differs from the source's, empty if it does not.
    """

    source: Path
    target: Path
    gain: float
    seconds: float
    silent: bool = False
    note: str = ""


def enhance_file(
    model: WaveformEnhancer,
    source: Path | str,
    target: Path | str,
    wet: float = 1.0,
    progress: Progress | None = None,
    scale: float = 1.0,
) -> Enhanced:
    """Enhances a file of any length; length, rate, channels and subtype stay, and nothing clips.

    Args:
        model: An enhancer.
        source: The noisy file; `-` for standard input.
        target: Where to write; `-` for standard output, in the format of the input.
        wet: See `enhance`.
        progress: Called with the seconds done and those of the whole.
        scale: Factor for the input, such as 10 for a file that was stored as (clean + noise) / 10.

    Returns:
        What was done.

    Raises:
        AudioError: If the file cannot be read, enhanced or written.
    """
    source, target = Path(source), Path(target)
    if source == STANDARD_STREAM:
        name = "standard input"
        noisy = audio.AudioSource(audio_streams.spooled(sys.stdin.buffer, name), name)
    else:
        noisy = audio.AudioSource(source)
    with noisy:
        return _enhance_source(model, _Scaled(noisy, scale), (source, target), wet, progress)


class _Scaled:
    """An audio source whose samples are multiplied."""

    def __init__(self, source: audio.AudioSource, scale: float):
        self.source, self._scale = source, np.float32(scale)

    def __getattr__(self, name: str):
        return getattr(self.source, name)

    def blocks(self) -> Iterator[np.ndarray]:
        return (block * self._scale for block in self.source.blocks())


def _enhance_source(
    model: WaveformEnhancer,
    noisy: _Scaled,
    names: tuple[Path, Path],
    wet: float,
    progress: Progress | None,
) -> Enhanced:
    source, target = names
    rate, channels = noisy.sample_rate, noisy.channels
    is_stream = target == STANDARD_STREAM or (target.exists() and not target.is_file())
    kept = audio.output_format(noisy.source, None if is_stream else target)
    folder = None if is_stream else files.make_folder(target.parent)
    with contextlib.ExitStack() as stack:
        result = stack.enter_context(Signal(channels, folder))
        result.extend(enhanced_blocks(model, noisy.blocks, rate, channels, wet, progress, folder))
        gain = 1.0 / result.peak if result.peak > 1.0 else 1.0
        written = target
        if target == STANDARD_STREAM:
            written = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "enhanced"
        audio.write_blocks(written, result.blocks(gain), rate, channels, kept.subtype, kept.format)
        if target == STANDARD_STREAM:
            audio_streams.copied(written, sys.stdout.buffer)
        return Enhanced(source, target, gain, len(result) / rate, result.peak == 0.0, kept.note)


class Plan(NamedTuple):
    """What is to be enhanced.

    Attributes:
        files: Output by input file, in order.
        problems: What in a folder cannot be looked into, and why.
    """

    files: dict[Path, Path]
    problems: dict[Path, str]


def targets(sources: list[Path], out: Path) -> Plan:
    """Names the output of every input.

    Args:
        sources: Files, pipes and folders, or `-`; a folder stands for the audio files in it and below.
        out: A file for a single input file, otherwise a folder; or `-`.

    Returns:
        Outputs and problems.

    Raises:
        AudioError: If an input does not exist or two inputs would write the same file.
    """
    single = len(sources) == 1 and not sources[0].is_dir()
    is_standard = STANDARD_STREAM in (*sources, out)
    if is_standard and not single:
        raise AudioUsageError("Standard input and output hold one file; name one of each.")
    for source in sources:
        if source != STANDARD_STREAM and not source.exists():
            raise AudioError(f"{source}: no such file or folder; check the path.")
    if is_standard:
        if out.is_dir():
            raise AudioUsageError(f"{out}: is a folder; name a file for standard input.")
        return Plan({sources[0]: out}, {})
    is_file = out.exists() and not out.is_dir()
    if single and (is_file or (out.suffix and not out.is_dir())):
        return Plan({sources[0]: out}, {})
    if is_file:
        raise AudioUsageError(f"{out}: is a file; name a folder for several inputs.")
    plan = _targets_below(sources, out)
    if not plan.files and not plan.problems:
        raise AudioError(f"{', '.join(map(str, sources))}: no audio files there.")
    if len(set(plan.files.values())) < len(plan.files):
        raise AudioError("Two inputs would be written to the same file; enhance them into different folders.")
    return plan


def _targets_below(sources: list[Path], out: Path) -> Plan:
    plan, outputs = Plan({}, {}), out.resolve()
    for source in sources:
        if not source.is_dir():
            plan.files[source] = out / source.name
            continue
        listing = files.list_files(source, audio.is_audio_file)
        plan.problems.update(listing.problems)
        inside = source.resolve() in outputs.parents
        for name, path in listing.files.items():
            # Not what an earlier call wrote into a folder there.
            if not (inside and outputs in path.resolve().parents):
                plan.files[path] = out / name
    return plan
