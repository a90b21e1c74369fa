"""The gammatone front end of Soni, Shah and Patil: filter bank, energies, masks, resynthesis.

Arrays have bands first, as in the MATLAB originals: sub-bands `(bands, samples)`, gammatonegrams and
masks `(bands, frames)`. Two conventions of MATLAB decide the alignment: `conv(x, h, 'same')` starts at
index `taps // 2` of the full convolution (NumPy's and SciPy's "same" start at `(taps - 1) // 2`), and
`enframe` neither pads nor keeps a tail shorter than a frame. Analysis followed by synthesis therefore
runs one sample ahead of the input.

Reference:
    V. Hohmann, "Frequency analysis and synthesis using a Gammatone filterbank", Acta Acustica 88, 2002
    (equation numbers below); M. H. Soni, N. Shah, H. A. Patil, ICASSP 2018; their `gammatone_features`
    and `reconstruction` scripts.
"""

import functools
import math
from collections.abc import Iterator

import numpy as np
import scipy.fft

from keras_segan import dsp
from keras_segan.errors import AudioError

SAMPLE_RATE = 16000  # Hz
LOWEST = 50.0  # Hz
BASE = 1500.0  # Hz, one filter is centred exactly here
FILTERS_PER_ERB = 2.05
TAPS = 800  # length of the truncated impulse responses, 50 ms
ORDER = 4  # of the gammatone filters

# Glasberg and Moore's equivalent rectangular bandwidth: ERB = L + f / Q, equation (13).
ERB_L = 24.7  # Hz
ERB_Q = 9.265

# Smaller energies count as this. It lies below the filters' tails at the end of a signal (1e-14), so it
# changes nothing but digital silence, of which the original takes log(0).
ENERGY_FLOOR = 1e-20

Numbers = np.ndarray | np.floating | float  # one or many


def erb_number(frequency: Numbers) -> Numbers:
    """Maps Hz to the ERB scale, equation (16)."""
    return ERB_Q * np.log1p(np.asarray(frequency) / (ERB_L * ERB_Q))


def erb_frequency(number: np.ndarray) -> np.ndarray:
    """Maps the ERB scale to Hz, equation (17)."""
    return ERB_L * ERB_Q * np.expm1(np.asarray(number) / ERB_Q)


def center_frequencies(
    lowest: float = LOWEST,
    highest: float = SAMPLE_RATE / 2,
    base: float = BASE,
    per_erb: float = FILTERS_PER_ERB,
) -> np.ndarray:
    """Spaces filters evenly on the ERB scale, both ways from a base frequency.

    Args:
        lowest: No centre lies below, in Hz.
        highest: No centre lies above, in Hz.
        base: Centre of one of the filters, in Hz.
        per_erb: Filters per ERB.

    Returns:
        float64 `(bands,)`, ascending, in Hz; 64 bands for the default values.
    """
    below, above = (erb_number(edge) - erb_number(base) for edge in (lowest, highest))
    steps = np.arange(math.ceil(below * per_erb), math.floor(above * per_erb) + 1)
    return erb_frequency(erb_number(base) + steps / per_erb)


def filter_coefficients(
    frequencies: np.ndarray, sample_rate: int = SAMPLE_RATE, order: int = ORDER
) -> np.ndarray:
    """Returns the complex pole of each gammatone filter, equations (1), (10) and (14).

    Args:
        frequencies: Centre frequencies in Hz.
        sample_rate: In Hz.
        order: Number of identical one-pole filters in the cascade.

    Returns:
        complex128 `(bands,)`.
    """
    bandwidths = ERB_L + np.asarray(frequencies) / ERB_Q
    a_gamma = (
        math.pi * math.factorial(2 * order - 2) * 2.0 ** (2 - 2 * order) / math.factorial(order - 1) ** 2
    )
    return np.exp((-2 * np.pi * bandwidths / a_gamma + 2j * np.pi * np.asarray(frequencies)) / sample_rate)


def filter_normalisation(coefficients: np.ndarray, order: int = ORDER) -> np.ndarray:
    """Returns the factor that gives the real part of each filter unit gain at its centre.

    Args:
        coefficients: Poles, `(bands,)`.
        order: Of the filters.

    Returns:
        float64 `(bands,)`.
    """
    return 2 * (1 - np.abs(coefficients)) ** order


def impulse_responses(coefficients: np.ndarray, taps: int = TAPS, order: int = ORDER) -> np.ndarray:
    """Returns the real, truncated impulse responses.

    Args:
        coefficients: Poles, `(bands,)`.
        taps: Length in samples.
        order: Of the filters.

    Returns:
        float64 `(bands, taps)`.
    """
    n = np.arange(taps)
    # A cascade of `order` equal poles: binomial(n + order - 1, order - 1) a^n.
    envelope = np.prod([n + k for k in range(1, order)], axis=0) / math.factorial(order - 1)
    powers = coefficients[:, None] ** n
    return filter_normalisation(coefficients, order)[:, None] * envelope * powers.real


class GammatoneBank:
    """A bank of gammatone filters with its energies and its resynthesis.

    Filtering is done block by block in the frequency domain (overlap-save), one band after the other, so
    that the working set stays in the cache.

    Args:
        sample_rate: In Hz.
        lowest: Lower end of the bank in Hz.
        highest: Upper end in Hz; half the sample rate if `None`.
        base: Centre of one filter, in Hz.
        per_erb: Filters per ERB.
        taps: Length of the impulse responses in samples.

    Attributes:
        center_frequencies: `(bands,)` in Hz.
        coefficients: Complex poles, `(bands,)`.
        impulse_responses: `(bands, taps)`.
    """

    def __init__(
        self,
        sample_rate: int = SAMPLE_RATE,
        lowest: float = LOWEST,
        highest: float | None = None,
        base: float = BASE,
        per_erb: float = FILTERS_PER_ERB,
        taps: int = TAPS,
    ):
        self.sample_rate = sample_rate
        self.center_frequencies = center_frequencies(lowest, highest or sample_rate / 2, base, per_erb)
        self.coefficients = filter_coefficients(self.center_frequencies, sample_rate)
        self.impulse_responses = impulse_responses(self.coefficients, taps)
        self._size = scipy.fft.next_fast_len(5 * taps, real=True)
        self._step = self._size - taps + 1
        self._spectra = scipy.fft.rfft(self.impulse_responses, self._size)
        self._reversed_spectra = scipy.fft.rfft(self.impulse_responses[:, ::-1], self._size)

    @property
    def bands(self) -> int:
        """Number of filters."""
        return len(self.center_frequencies)

    @property
    def taps(self) -> int:
        """Length of the impulse responses in samples."""
        return self.impulse_responses.shape[1]

    def subbands(self, waveform: np.ndarray) -> np.ndarray:
        """Filters a waveform with every band: MATLAB's `conv(waveform, response, 'same')`.

        Args:
            waveform: `(samples,)`.

        Returns:
            float64 `(bands, samples)`.
        """
        filtered = [band.reshape(-1)[: len(waveform)] for band in self._filtered(waveform)]
        return np.array(filtered)

    def round_trip_gain(self, window: np.ndarray, hop: int) -> float:
        """Returns the gain of analysis and synthesis with a mask of ones, mean over 100 Hz to 6 kHz.

        Args:
            window: `(length,)`.
            hop: Distance of frames in samples.

        Returns:
            The factor; 1.63 for the paper's 320 / 160, flat within 0.1 dB.
        """
        power = np.sum(np.abs(self._spectra) ** 2, axis=0)
        frequencies = np.arange(len(power)) * self.sample_rate / self._size
        middle = (frequencies >= 100) & (frequencies <= 6000)
        return float(power[middle].mean() * np.sum(window**2) / hop)

    def energies(self, waveform: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
        """Computes the gammatonegram: the root mean square of each windowed frame of each band.

        Args:
            waveform: `(samples,)`.
            window: Analysis window, `(length,)`.
            hop: Distance of frames in samples.

        Returns:
            float64 `(bands, frames)` with `frames = (samples - length + hop) // hop`.

        Raises:
            AudioError: If the waveform is shorter than the window.
        """
        count = frame_count(len(waveform), len(window), hop)
        weights = _segments(window**2, hop)
        rows = count + len(weights) - 1
        squares = np.zeros(max(rows * hop, self._block_count(len(waveform)) * self._step))
        result = np.empty((self.bands, count))
        for band, filtered in enumerate(self._filtered(waveform)):
            np.multiply(filtered, filtered, out=squares[: filtered.size].reshape(filtered.shape))
            hops = squares[: rows * hop].reshape(rows, hop)
            # A frame's energy: its first hop under the window's first segment, and so on.
            result[band] = sum((hops @ weight)[j : j + count] for j, weight in enumerate(weights))
        return np.sqrt(result / len(window))

    def resynthesise(
        self, waveform: np.ndarray, mask: np.ndarray, window: np.ndarray, hop: int
    ) -> np.ndarray:
        """Applies a mask to the sub-bands of a waveform and sums them up again.

        Windowed frames are weighted by the mask, windowed again, overlap-added without normalisation and
        filtered with the time-reversed responses. With the window applied twice this is the same as
        multiplying each sub-band by the overlap-added `mask * window^2`, which is what is done here.

        Args:
            waveform: `(samples,)`, as given to `energies`.
            mask: `(bands, frames)`.
            window: `(length,)`.
            hop: Distance of frames in samples.

        Returns:
            float64 `((frames - 1) * hop + length,)`, one sample ahead of the waveform.

        Raises:
            AudioError: If the waveform is shorter than the window.
            ValueError: If the mask has another shape than the gammatonegram.
        """
        count = frame_count(len(waveform), len(window), hop)
        if mask.shape != (self.bands, count):
            raise ValueError(f"the mask is {mask.shape}, but {self.bands} bands x {count} frames are needed")
        length = (count - 1) * hop + len(window)
        weights = _segments(window**2, hop)
        total = np.zeros((self._block_count(length), self._size // 2 + 1), complex)
        for band, filtered in enumerate(self._filtered(waveform)):
            masked = filtered.reshape(-1)[:length] * _gain(mask[band], weights)[:length]
            total += self._block_spectra(masked) * self._reversed_spectra[band]
        return self._valid_part(total).reshape(-1)[:length]

    def _block_count(self, samples: int) -> int:
        return -(-samples // self._step)

    def _block_spectra(self, waveform: np.ndarray) -> np.ndarray:
        """Transforms overlapping blocks so that the valid part of the first begins where 'same' does."""
        count = self._block_count(len(waveform))
        padded = np.zeros((count - 1) * self._step + self._size)
        start = self.taps - 1 - self.taps // 2
        padded[start : start + len(waveform)] = waveform
        return scipy.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, self._size)[:: self._step])

    def _valid_part(self, spectra: np.ndarray) -> np.ndarray:
        return scipy.fft.irfft(spectra, self._size, overwrite_x=True)[:, self.taps - 1 :]

    def _filtered(self, waveform: np.ndarray) -> Iterator[np.ndarray]:
        """Yields band after band as `(blocks, step)`: consecutive pieces of the filtered waveform."""
        blocks = self._block_spectra(waveform)
        for response in self._spectra:
            yield self._valid_part(blocks * response)


@functools.cache
def bank(sample_rate: int = SAMPLE_RATE) -> GammatoneBank:
    """Returns the paper's bank (64 bands at 16 kHz), built once per sample rate.

    Args:
        sample_rate: In Hz.

    Returns:
        A bank from 50 Hz to half the sample rate, to be used read-only.
    """
    return GammatoneBank(sample_rate)


def frame_count(samples: int, length: int, hop: int) -> int:
    """Returns how many frames VOICEBOX's `enframe` gives.

    Args:
        samples: Length of the waveform.
        length: Length of the window in samples.
        hop: Distance of frames in samples.

    Returns:
        `(samples - length + hop) // hop`.

    Raises:
        AudioError: If there is no complete frame.
    """
    if samples < length:
        raise AudioError(
            f"The waveform has {samples} samples, fewer than one frame of {length}; pad it first."
        )
    return (samples - length + hop) // hop


def ideal_ratio_mask(clean: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Returns the oracle mask S^2 / (S^2 + N^2).

    Args:
        clean: Gammatonegram of the clean signal, `(bands, frames)`.
        noise: Gammatonegram of the noise alone (clean minus noisy), same shape.

    Returns:
        In [0, 1], same shape; 0 where both are silent.
    """
    speech_power, noise_power = np.square(clean), np.square(noise)
    total = speech_power + noise_power
    return np.divide(speech_power, total, out=np.zeros_like(total), where=total > 0)


def log_energies(energies: np.ndarray, floor: float = ENERGY_FLOOR) -> np.ndarray:
    """Returns the natural logarithm of energies, limited from below.

    Args:
        energies: Any shape, not negative.
        floor: Smaller values count as this.

    Returns:
        Same shape.
    """
    return np.log(np.maximum(energies, floor))


def context_features(
    energies: np.ndarray,
    before: int,
    after: int,
    floor: float = ENERGY_FLOOR,
    level: tuple[Numbers, Numbers] | None = None,
) -> np.ndarray:
    """Computes the network's input: standardised log energies with their neighbour frames.

    Args:
        energies: Gammatonegram `(bands, frames)`.
        before: Number of frames before the centre.
        after: Number of frames after the centre.
        floor: See `log_energies`.
        level: Mean and standard deviation of the log energies; those of `energies` if `None`.

    Returns:
        float32 `(frames, (before + 1 + after) * bands)`, earliest frame first, edges repeated.
    """
    log = log_energies(energies, floor)
    log = (standardise(log) if level is None else (log - level[0]) / (level[1] or 1.0)).T
    return dsp.context_frames(log, before, after).reshape(len(log), -1).astype(np.float32)


def standardise(features: np.ndarray) -> np.ndarray:
    """Subtracts one mean and divides by one standard deviation, over all bands and frames of an utterance.

    Args:
        features: `(bands, frames)`.

    Returns:
        Same shape; zeros if all values are equal.
    """
    if features.max() == features.min():
        return np.zeros_like(features)
    # MATLAB's std: the divisor of the variance is n - 1.
    return (features - features.mean()) / features.std(ddof=1)


def normalise_level(waveform: np.ndarray, headroom: float = 12.0) -> np.ndarray:
    """Brings a waveform to the level at which the original was scored: (x - mean) / std / 12.

    Args:
        waveform: `(samples,)`.
        headroom: Multiple of the standard deviation that maps to 1.

    Returns:
        Same shape; zeros if all samples are equal.
    """
    return standardise(waveform) / headroom


def _segments(weights: np.ndarray, hop: int) -> np.ndarray:
    """Cuts a window into rows of one hop; the last row is filled up with zeros."""
    rows = -(-len(weights) // hop)
    return np.pad(weights, (0, rows * hop - len(weights))).reshape(rows, hop)


def _gain(mask: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Overlap-adds `mask[frame] * weights`; `weights` in rows of one hop."""
    rows, hop = weights.shape
    gain = np.zeros((len(mask) + rows - 1, hop))
    for row, weight in enumerate(weights):
        gain[row : row + len(mask)] += mask[:, None] * weight
    return gain.reshape(-1)
