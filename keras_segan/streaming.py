"""Enhancing a signal while it arrives, block by block, with a causal model.

A model can stream if its network looks at no later frame (LSTMs of one direction, dense layers) and its front
end needs nothing of the whole utterance. `Stream` then gives what `Enhancer.enhance` gives, to
rounding, however the signal is cut into blocks.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import keras
import numpy as np
import scipy.fft

from keras_segan import audio, backends, dsp
from keras_segan.enhancement import Enhanced, Progress
from keras_segan.errors import ModelError
from keras_segan.front_ends import SpectralMaskFrontEnd
from keras_segan.layers.learnable_sigmoid import LearnableSigmoid
from keras_segan.models.base import Enhancer

# Layers that treat every frame for itself.
FRAME_WISE = (
    keras.layers.InputLayer,
    keras.layers.Dense,
    keras.layers.Activation,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.Dropout,
    LearnableSigmoid,
)


class Stream:
    """A causal enhancer that takes a signal in blocks of any lengths.

    Args:
        model: An enhancer with a causal network, such as `models.metricgan_okd.generator(causal=True)`.

    Attributes:
        sample_rate: In Hz.
        hop: Samples between frames: blocks shorter than this complete nothing more often.
        latency: Samples that arrive at most between a sample and its enhanced value: one frame.
        latency_ms: The same in milliseconds. Computing time comes on top.

    Raises:
        ModelError: If the model looks ahead; the message says where.
    """

    def __init__(self, model: Enhancer):
        check(model)
        self._front_end = model.front_end
        self._network = stateful(model.network)
        shape = (1, None, *self._network.input_shape[2:])
        self._infer = backends.compile_step(
            lambda x: self._network(x, training=False), self._network.variables, [shape]
        )
        self.sample_rate = self._front_end.sample_rate
        self.hop = self._front_end.hop
        self.latency = self._front_end.n_fft
        self.latency_ms = 1000.0 * self.latency / self.sample_rate
        self.reset()

    def reset(self):
        """Forgets everything, to begin with another signal."""
        settings = (self._front_end.n_fft, self._front_end.hop, self._front_end.window)
        self._analysis, self._synthesis = StreamingSTFT(*settings), StreamingISTFT(*settings)
        for layer in self._network.layers:
            if isinstance(layer, keras.layers.RNN):
                layer.reset_state()

    def process(self, block: np.ndarray) -> np.ndarray:
        """Takes the next samples.

        Args:
            block: `(samples,)`, any number of them.

        Returns:
            float32 `(samples,)`: what is complete by now, in order; it may be empty.
        """
        return self._enhanced(self._analysis.process(block))

    def finish(self) -> np.ndarray:
        """Ends the signal and returns what is left, float32 `(samples,)`; then `reset`."""
        missing = self._analysis.samples - self._synthesis.samples
        last = self._enhanced(self._analysis.finish())
        rest = np.concatenate([last, self._synthesis.finish()])[:missing]
        self.reset()
        return rest

    def _enhanced(self, spectrum: np.ndarray) -> np.ndarray:
        if not len(spectrum):
            return np.zeros(0, np.float32)
        analysis = self._front_end.analysis(spectrum, 0)
        mask = keras.ops.convert_to_numpy(self._infer(analysis.magnitude[None]))[0]
        return self._synthesis.process(self._front_end.masked(mask, analysis))


def enhance_blocks(model: Enhancer, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Enhances a signal that comes in blocks; together the results are as long as the signal.

    Args:
        model: An enhancer; see `Stream`.
        blocks: `(samples,)` each.

    Yields:
        float32 `(samples,)` as soon as it is complete; blocks may be empty.
    """
    stream = Stream(model)
    for block in blocks:
        yield stream.process(block)
    yield stream.finish()


def enhance_file(
    model: Enhancer, source: Path | str, target: Path | str, progress: Progress | None = None
) -> Enhanced:
    """Enhances a file as a stream: in one pass, each channel by itself, in memory for one block.

    A stream does not know how loud it will become, so what exceeds full scale is cut off; the whole is
    not made softer, as `enhancement.enhance_file` does.

    Args:
        model: An enhancer; see `Stream`.
        source: The noisy file.
        target: Where to write; rate, channels and subtype stay.
        progress: Called with the seconds done and those of the whole.

    Returns:
        What was done.

    Raises:
        AudioError: If the file cannot be read or written.
        ModelError: If the model looks ahead.
    """
    source, target = Path(source), Path(target)
    with audio.AudioSource(source) as opened:
        rate, channels = opened.sample_rate, opened.channels
        streams = [Stream(model) for _ in range(channels)]
        inside = streams[0].sample_rate
        kept = audio.output_format(opened, target)
        limiter = _Limiter(opened.frames)
        noisy = audio.Resampler(rate, inside, channels).resample(limiter.counted(opened.blocks(BLOCK)))
        enhanced = audio.Resampler(inside, rate, channels).resample(_columns(streams, noisy))
        written = limiter.limited(enhanced, rate, progress)
        audio.write_blocks(target, written, rate, channels, kept.subtype, kept.format)
        return Enhanced(source, target, 1.0, limiter.done / rate, limiter.peak == 0.0, kept.note)


BLOCK = 1 << 14  # samples per channel of a file that are read at a time


def _columns(streams: list[Stream], blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for block in blocks:
        yield np.stack([s.process(column) for s, column in zip(streams, block.T, strict=True)], axis=1)
    yield np.stack([stream.finish() for stream in streams], axis=1)


class _Limiter:
    """Limits blocks to full scale and to as many samples as have come in, and remembers their peak.

    Args:
        announced: Samples that the header announces, `None` if it does not know.
    """

    def __init__(self, announced: int | None):
        self._announced = announced
        self._given = 0
        self.done = 0
        self.peak = 0.0

    def counted(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            self._given += len(block)
            yield block

    def limited(self, blocks, rate: int, progress: Progress | None) -> Iterator[np.ndarray]:
        for block in blocks:
            block = block[: self._given - self.done]
            if not np.isfinite(block).all():
                raise ModelError("The model returns NaN; its weights are damaged.")
            self.done += len(block)
            self.peak = max(self.peak, float(np.max(np.abs(block), initial=0.0)))
            if progress is not None and len(block):
                progress(self.done / rate, (self._announced or self._given) / rate)
            yield np.clip(block, -1.0, 1.0)


def enhance_raw(model: Enhancer, source: BinaryIO, target: BinaryIO):
    """Enhances raw samples as they arrive, e.g. from a microphone's program to a loudspeaker's.

    Args:
        model: An enhancer; see `Stream`.
        source: 16-bit little-endian mono samples at the model's rate.
        target: The same; every block is written as soon as it is complete.
    """
    stream = Stream(model)
    block = 2 * stream.hop
    for data in iter(lambda: source.read(block), b""):
        samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2")
        _write_raw(target, stream.process(audio.from_int16(samples)))
    _write_raw(target, stream.finish())


def _write_raw(target: BinaryIO, waveform: np.ndarray):
    if len(waveform):
        target.write(np.round(np.clip(waveform, -1.0, 1.0) * 32767.0).astype("<i2").tobytes())
        target.flush()


def check(model: Enhancer):
    """Raises if a model needs to know what comes later.

    Args:
        model: An enhancer.

    Raises:
        ModelError: The message names the part that looks ahead.
    """
    front_end = model.front_end
    if not isinstance(model, Enhancer):
        raise _cannot_stream("an exported network keeps no state; take its .keras file")
    if not isinstance(front_end, SpectralMaskFrontEnd):
        raise _cannot_stream(f"its front end {type(front_end).__name__} works on whole utterances")
    if front_end.normalisation != "none":
        raise _cannot_stream("its front end normalises over the whole utterance")
    if front_end.padding != "constant" or front_end.tail:
        raise _cannot_stream("its front end mirrors or lengthens the signal")
    for layer in model.network.layers:
        recurrent = isinstance(layer, keras.layers.RNN) and not layer.go_backwards
        if not recurrent and not isinstance(layer, FRAME_WISE):
            raise _cannot_stream(f"its layer '{layer.name}' ({type(layer).__name__}) may see later frames")


def _cannot_stream(reason: str) -> ModelError:
    return ModelError(f"This model cannot stream: {reason}. Use a causal one, or enhance whole signals.")


def stateful(network: keras.Model) -> keras.Model:
    """Copies a network so that its recurrent layers keep their state from call to call.

    Args:
        network: From `(batch, frames, features)`; only the first two axes are free.

    Returns:
        A network of the same weights for a batch of one, `(1, frames, features)`.
    """

    def copy(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.RNN):
            config["stateful"] = True
        return type(layer).from_config(config)

    inputs = keras.Input(batch_shape=(1, None, *network.input_shape[2:]))
    twin = keras.models.clone_model(network, input_tensors=inputs, clone_function=copy)
    for ours, theirs in zip(twin.trainable_variables, network.trainable_variables, strict=True):
        ours.assign(theirs)
    return twin


class StreamingSTFT:
    """`dsp.stft` with zero padding, block by block.

    Args:
        n_fft: Frame and transform length in samples.
        hop: Distance of frames in samples.
        window_name: See `dsp.window`.
    """

    def __init__(self, n_fft: int, hop: int, window_name: str):
        self._n_fft, self._hop = n_fft, hop
        self._window = dsp.window(window_name, n_fft)
        self._pending = np.zeros(n_fft // 2)
        self.samples = 0

    def process(self, block: np.ndarray) -> np.ndarray:
        """Takes samples; returns the spectra of the frames that are complete, complex64 `(frames, bins)`."""
        self.samples += len(block)
        return self._complete(block)

    def finish(self) -> np.ndarray:
        """Returns the last frames, filled up with zeros, as `dsp.stft` has them."""
        return self._complete(np.zeros(self._n_fft // 2))

    def _complete(self, block: np.ndarray) -> np.ndarray:
        pending = np.concatenate([self._pending, block])
        count = max(1 + (len(pending) - self._n_fft) // self._hop, 0)
        self._pending = pending[count * self._hop :]
        if not count:
            return np.zeros((0, self._n_fft // 2 + 1), np.complex64)
        framed = dsp.frames(pending, self._n_fft, self._hop)
        return scipy.fft.rfft(framed * self._window, axis=-1).astype(np.complex64)


class StreamingISTFT:
    """`dsp.istft`, block by block.

    Args:
        n_fft: Frame length in samples.
        hop: Distance of frames in samples.
        window_name: See `dsp.window`.
    """

    def __init__(self, n_fft: int, hop: int, window_name: str):
        self._n_fft, self._hop = n_fft, hop
        self._window = dsp.window(window_name, n_fft)
        # Sum of the windowed frames and of the squared windows where more frames will follow.
        self._open = np.zeros((2, n_fft - hop))
        self._skipped = n_fft // 2  # of the padding before the first sample
        self.samples = 0

    def process(self, spectrum: np.ndarray) -> np.ndarray:
        """Takes frames `(frames, bins)`; returns the samples that no later frame changes, float32."""
        framed = scipy.fft.irfft(np.asarray(spectrum, np.complex128), self._n_fft, axis=-1) * self._window
        weights = np.broadcast_to(self._window**2, framed.shape)
        sums = np.stack([dsp.overlap_add(each, self._hop) for each in (framed, weights)])
        sums[:, : self._open.shape[1]] += self._open
        complete = len(spectrum) * self._hop
        self._open = sums[:, complete:]
        return self._divided(sums[:, :complete])

    def finish(self) -> np.ndarray:
        """Returns the samples that the last frame leaves, as far as it reaches."""
        return self._divided(self._open)

    def _divided(self, sums: np.ndarray) -> np.ndarray:
        kept = sums[:, self._skipped :]
        self._skipped = max(self._skipped - sums.shape[1], 0)
        self.samples += kept.shape[1]
        total, weight = kept
        audible = weight > np.finfo(np.float32).tiny
        return np.divide(total, weight, out=np.zeros_like(total), where=audible).astype(np.float32)
