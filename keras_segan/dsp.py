"""Signal processing in NumPy: windows, short-time spectra, context frames, emphasis.

Conventions: a waveform is `(samples,)`, a spectrum `(frames, bins)`, time first. Arithmetic is done
in double precision and returned in single precision, as the originals do. Nothing here imports
Keras, so that scoring processes start quickly.
"""

import numpy as np
import scipy.fft

WINDOWS = ("hamming-symmetric", "hamming-periodic", "hann-periodic")
_WINDOW_LEVELS = {"hamming": 0.54, "hann": 0.5}


def window(name: str, length: int) -> np.ndarray:
    """Returns a window by name.

    Args:
        name: One of `WINDOWS`. Symmetric Hamming is what `scipy.signal.hamming` passed as a function
            to librosa 0.5 gives, the periodic one what its name gives and what torch uses.
        length: In samples.

    Returns:
        float64, `(length,)`.

    Raises:
        ValueError: For an unknown name.
    """
    if name not in WINDOWS:
        raise ValueError(f"unknown window '{name}', known: {', '.join(WINDOWS)}")
    family, kind = name.split("-")
    # As scipy.signal.get_window does; importing scipy.signal takes longer than enhancing a file.
    level = _WINDOW_LEVELS[family]
    angles = np.linspace(-np.pi, np.pi, length + (kind == "periodic"))
    return (level + (1.0 - level) * np.cos(angles))[:length]


def frames(x: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Cuts a signal into frames without padding; a tail shorter than a frame is dropped.

    Args:
        x: `(samples,)`.
        length: Frame length in samples.
        hop: Distance of frames in samples.

    Returns:
        A read-only view `(1 + (samples - length) // hop, length)`.
    """
    return np.lib.stride_tricks.sliding_window_view(x, length)[::hop]


def overlap_add(framed: np.ndarray, hop: int) -> np.ndarray:
    """Adds frames up at their positions.

    Args:
        framed: `(frames, length)`.
        hop: Distance of frames in samples, at most `length`.

    Returns:
        `((frames - 1) * hop + length,)`.
    """
    count, length = framed.shape
    blocks = -(-length // hop)
    padded = np.zeros((count, blocks * hop), framed.dtype)
    padded[:, :length] = framed
    total = np.zeros((count + blocks - 1, hop), framed.dtype)
    for block in range(blocks):
        total[block : block + count] += padded[:, block * hop : (block + 1) * hop]
    return total.reshape(-1)[: (count - 1) * hop + length]


def stft(
    waveform: np.ndarray,
    n_fft: int = 512,
    hop: int = 256,
    window_name: str = "hamming-symmetric",
    padding: str = "reflect",
    tail: int = 0,
) -> np.ndarray:
    """Short-time Fourier transform with centred frames, as librosa defines it.

    Args:
        waveform: `(samples,)`, longer than `n_fft // 2` when `padding` is `"reflect"`.
        n_fft: Frame and transform length in samples.
        hop: Distance of frames in samples.
        window_name: See `window`.
        padding: `"reflect"` (librosa 0.5) or `"constant"` (zeros; today's librosa, torch with that mode).
        tail: Zeros appended before the padding (MetricGAN's `fix_length`: 256).

    Returns:
        complex64 `(1 + (samples + tail) // hop, n_fft // 2 + 1)`.

    Reference:
        MetricGAN.py, `Sp_and_phase`.
    """
    x = np.pad(np.asarray(waveform, np.float64), (0, tail))
    x = np.pad(x, n_fft // 2, mode=padding)  # type: ignore[call-overload]  # NumPy's types want a literal
    return scipy.fft.rfft(frames(x, n_fft, hop) * window(window_name, n_fft), axis=-1).astype(np.complex64)


def istft(
    spectrum: np.ndarray,
    length: int,
    n_fft: int = 512,
    hop: int = 256,
    window_name: str = "hamming-symmetric",
) -> np.ndarray:
    """Inverse of `stft`: windowed overlap-add divided by the summed squared window.

    Args:
        spectrum: Complex `(frames, n_fft // 2 + 1)`.
        length: Length of the result in samples; cut or padded with zeros.
        n_fft: Frame length in samples.
        hop: Distance of frames in samples.
        window_name: See `window`.

    Returns:
        float32 `(length,)`.
    """
    w = window(window_name, n_fft)
    framed = scipy.fft.irfft(np.asarray(spectrum, np.complex128), n_fft, axis=-1) * w
    total = overlap_add(framed, hop)
    weight = overlap_add(np.broadcast_to(w**2, framed.shape), hop)
    audible = weight > np.finfo(np.float32).tiny
    total[audible] /= weight[audible]
    result = np.zeros(length, np.float32)
    cropped = total[n_fft // 2 :][:length]
    result[: len(cropped)] = cropped
    return result


def phase_factor(spectrum: np.ndarray) -> np.ndarray:
    """exp(j phase) of a complex spectrum, by division: five times as fast as angle, cosine and sine.

    Args:
        spectrum: Complex, any shape.

    Returns:
        The same shape and type; 1 where the spectrum is zero (or so small that it has no inverse).
    """
    magnitude = np.abs(spectrum)
    audible = magnitude > np.finfo(magnitude.dtype).tiny
    return np.divide(spectrum, magnitude, out=np.ones_like(spectrum), where=audible)


def frame_spectrum(
    waveform: np.ndarray, n_fft: int = 512, hop: int = 256, window_name: str = "hamming-symmetric"
) -> np.ndarray:
    """Spectra of whole frames, nothing padded, a tail shorter than a frame dropped.

    Scaled as `scipy.signal.spectrogram(fs=1, scaling="density", mode="complex")` does: divided by the square
    root of the window's energy.

    Args:
        waveform: `(samples,)`, at least one frame.
        n_fft: Frame and transform length in samples.
        hop: Distance of frames in samples.
        window_name: See `window`.

    Returns:
        complex64 `(1 + (samples - n_fft) // hop, n_fft // 2 + 1)`.

    Reference:
        sednn, prepare_data.py, `calc_sp`.
    """
    w = window(window_name, n_fft)
    framed = frames(np.asarray(waveform, np.float64), n_fft, hop) * w
    return (scipy.fft.rfft(framed, axis=-1) / np.sqrt(w @ w)).astype(np.complex64)


def from_frame_spectrum(
    spectrum: np.ndarray,
    length: int,
    n_fft: int = 512,
    hop: int = 256,
    window_name: str = "hamming-symmetric",
) -> np.ndarray:
    """Inverse of `frame_spectrum`: plain overlap-add divided by the summed window.

    Args:
        spectrum: Complex `(frames, n_fft // 2 + 1)`.
        length: Length of the result in samples; the tail that no frame covers is silent.
        n_fft: Frame length in samples.
        hop: Distance of frames in samples.
        window_name: See `window`.

    Returns:
        float32 `(length,)`.

    Reference:
        sednn, spectrogram_to_wave.py, `recover_wav`: no window at the synthesis, sum of windows + 1e-15.
    """
    w = window(window_name, n_fft)
    framed = scipy.fft.irfft(np.asarray(spectrum, np.complex128), n_fft, axis=-1)
    total = overlap_add(framed, hop) / (overlap_add(np.broadcast_to(w, framed.shape), hop) + 1e-15)
    result = np.zeros(length, np.float32)
    cropped = total[:length] * np.sqrt(w @ w)
    result[: len(cropped)] = cropped
    return result


NORMALISATION_EPSILON = 1e-12


def normalise_over_time(features: np.ndarray, epsilon: float = NORMALISATION_EPSILON) -> np.ndarray:
    """Gives every bin of an utterance zero mean and unit (population) standard deviation.

    Args:
        features: `(frames, bins)`.
        epsilon: Added to the standard deviation.

    Returns:
        `(frames, bins)` of the same type.

    Reference:
        MetricGAN.py, `Sp_and_phase` with `Normalization=True`.
    """
    return (features - features.mean(axis=0)) / (features.std(axis=0) + epsilon)


def context_frames(features: np.ndarray, before: int, after: int, hop: int = 1) -> np.ndarray:
    """Stacks each frame with its neighbours; at the edges the first and last frame are repeated.

    Args:
        features: `(frames, bins)`.
        before: Number of frames before the centre.
        after: Number of frames after the centre.
        hop: Distance of the centres, in frames.

    Returns:
        `(ceil(frames / hop), before + 1 + after, bins)`, earliest frame first.
    """
    count = len(features)
    centres = np.arange(0, count, hop)[:, None]
    index = np.clip(centres + np.arange(-before, after + 1), 0, count - 1)
    return features[index]


def pre_emphasis(x: np.ndarray, coefficient: float = 0.95) -> np.ndarray:
    """Filters with 1 - a z^-1 along the last axis, in the precision of the signal.

    Args:
        x: `(..., samples)`.
        coefficient: a.

    Returns:
        `(..., samples)`.
    """
    emphasised = np.array(x, np.result_type(x, np.float32))
    emphasised[..., 1:] -= coefficient * emphasised[..., :-1]
    return emphasised


def de_emphasis(x: np.ndarray, coefficient: float = 0.95) -> np.ndarray:
    """Filters with 1 / (1 - a z^-1) along the last axis: the inverse of `pre_emphasis`.

    Args:
        x: `(..., samples)`.
        coefficient: a.

    Returns:
        `(..., samples)`.
    """
    from scipy.signal import lfilter

    return lfilter([1.0], [1.0, -coefficient], x)


def peak_normalise(waveform: np.ndarray) -> np.ndarray:
    """Divides by the largest magnitude; a silent waveform stays as it is.

    Args:
        waveform: Any shape.

    Returns:
        The same shape.
    """
    peak = np.max(np.abs(waveform))
    return waveform / peak if peak > 0 else waveform
