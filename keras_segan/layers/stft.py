"""Short-time Fourier transform and its inverse in `keras.ops`: `dsp.stft`, `dsp.istft` with gradients.

`keras.ops.istft` is off by up to 8e-4 in the tail where the length is no multiple of the hop; this is not.
"""

import numpy as np
from keras import ops

from keras_segan import dsp

# What torch programs add to the power before the root: without it the gradient at silence is infinite.
POWER_FLOOR = 1e-14


def stft(waveform, n_fft: int = 512, hop: int = 256, window_name: str = "hamming-periodic"):
    """Transforms waveforms; frames are centred and the ends padded with zeros.

    Args:
        waveform: `(batch, samples)`.
        n_fft: Frame and transform length in samples.
        hop: Distance of frames in samples.
        window_name: See `dsp.window`.

    Returns:
        Real and imaginary part, each `(batch, 1 + samples // hop, n_fft // 2 + 1)`.
    """
    padded = ops.pad(waveform, ((0, 0), (n_fft // 2, n_fft // 2)))
    return ops.stft(padded, n_fft, hop, n_fft, window=_window(window_name, n_fft), center=False)


def istft(spectrum, length, n_fft: int = 512, hop: int = 256, window_name: str = "hamming-periodic"):
    """Inverse of `stft`: windowed overlap-add divided by the summed squared window.

    Args:
        spectrum: Real and imaginary part, each `(batch, frames, n_fft // 2 + 1)`.
        length: Samples of the waveforms, at most `frames * hop`.
        n_fft: Frame length in samples, a multiple of the hop.
        hop: Distance of frames in samples.
        window_name: See `dsp.window`.

    Returns:
        `(batch, length)`.
    """
    window = _window(window_name, n_fft)
    frames = ops.irfft(spectrum, n_fft) * ops.convert_to_tensor(window)
    weight = ops.broadcast_to(ops.convert_to_tensor(window**2), ops.shape(frames)[1:])
    waveform = _overlap_add(frames, hop) / _overlap_add(ops.expand_dims(weight, 0), hop)
    start = n_fft // 2
    return waveform[:, start : start + length]


def magnitude(spectrum, floor: float = POWER_FLOOR):
    """Returns the magnitude of real and imaginary part, with a floor under the root.

    Args:
        spectrum: Real and imaginary part, of any shape.
        floor: Added to the power.
    """
    real, imaginary = spectrum
    return ops.sqrt(ops.square(real) + ops.square(imaginary) + floor)


def _window(name: str, length: int) -> np.ndarray:
    return dsp.window(name, length).astype(np.float32)


def _overlap_add(frames, hop: int):
    """Adds frames `(batch, frames, n)` up to `(batch, (frames - 1) * hop + n)`; the hop divides n."""
    batch, count, length = ops.shape(frames)
    blocks = length // hop
    parts = ops.reshape(frames, (batch, count, blocks, hop))
    shifted = [
        ops.pad(parts[:, :, block], ((0, 0), (block, blocks - 1 - block), (0, 0))) for block in range(blocks)
    ]
    return ops.reshape(sum(shifted), (batch, (count + blocks - 1) * hop))
