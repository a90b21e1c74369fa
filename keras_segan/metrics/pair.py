"""A pair of signals: what is checked once, and what several metrics share is computed once."""

from functools import cache, cached_property

import numpy as np

from keras_segan import waveform
from keras_segan.errors import AudioError, MetricError
from keras_segan.metrics import csii, framing, lpc, snr, spectral

RATES = (8000, 16000)  # Hz, at which the metrics are defined
HOP = 256  # samples: the most by which an enhancement may change the length


class Pair:
    """A clean signal and the processed one, checked and cut to the same length.

    Args:
        clean: `(samples,)`, float in [-1, 1] or integers as `keras_segan.waveform` takes them.
        processed: The same; at most one hop (256 samples) longer or shorter.
        sample_rate: In Hz; any rate but 8000 and 16000 is resampled to 16000.

    Attributes:
        clean: float64 `(samples,)`.
        processed: float64 `(samples,)`.
        sample_rate: 8000 or 16000.
        notes: What was done to the signals, a sentence each.

    Raises:
        MetricError: If a signal is empty, silent, not mono, not finite, or the lengths differ by more.
    """

    def __init__(self, clean: np.ndarray, processed: np.ndarray, sample_rate: int):
        self.notes: list[str] = []
        sample_rate = _checked_rate(sample_rate)
        clean, processed = _checked(clean, "clean"), _checked(processed, "processed")
        if sample_rate not in RATES:
            clean, processed = (_resampled(signal, sample_rate) for signal in (clean, processed))
            self.notes.append(f"resampled from {sample_rate} to {RATES[1]} Hz")
            sample_rate = RATES[1]
        self.sample_rate = sample_rate
        samples = self._common_length(len(clean), len(processed))
        # PESQ aligns the signals itself and takes them whole, as in the published tables.
        self._whole = clean, processed
        self.clean = clean[:samples]
        self.processed = processed[:samples]
        self._pesq: dict[str, float] = {}

    def _common_length(self, clean: int, processed: int) -> int:
        if abs(clean - processed) > HOP:
            raise MetricError(
                f"The lengths differ by more than one hop of {HOP} samples: clean {clean}, processed "
                f"{processed} at {self.sample_rate} Hz; align the two files."
            )
        if clean != processed:
            self.notes.append(f"trimmed by {abs(clean - processed)} samples to the shorter of the two")
        return min(clean, processed)

    def pesq(self, mode: str) -> float:
        """Returns MOS-LQO, `mode` "wb" or "nb"."""
        if mode not in self._pesq:
            from keras_segan.metrics import pesq

            self._pesq[mode], pieces = pesq.lqo(*self._whole, self.sample_rate, mode)
            if pieces > 1:
                self.notes.append(
                    f"PESQ ({mode}) is the mean of {pieces} pieces cut at pauses, weighted by their lengths"
                )
        return self._pesq[mode]

    @cached_property
    def _offset(self) -> tuple[np.ndarray, np.ndarray]:
        if framing.frame_count(len(self.clean), self.sample_rate) < 1:
            raise MetricError(
                f"Too short: {len(self.clean)} samples at {self.sample_rate} Hz hold no frame of 30 ms; "
                "at least 38 ms are needed."
            )
        # The MATLAB code adds eps to every sample, so that no frame is exactly zero.
        return self.clean + framing.EPS, self.processed + framing.EPS

    @cached_property
    def _spectral_pass(self) -> tuple[lpc.Prediction, np.ndarray]:
        """One batched FFT of each signal serves LLR and its relatives, and WSS."""
        (clean_lags, clean_bands), (lags, bands) = (
            _lags_and_bands(s, self.sample_rate) for s in self._offset
        )
        return lpc.Prediction.of(clean_lags, lags), spectral.wss(clean_bands, bands)

    @property
    def prediction(self) -> lpc.Prediction:
        """The linear prediction of both signals."""
        return self._spectral_pass[0]

    @cached_property
    def llr(self) -> np.ndarray:
        """Log-likelihood ratio of every frame, not limited."""
        return lpc.llr(self.prediction)

    @property
    def wss(self) -> np.ndarray:
        """Weighted spectral slope distance of every frame."""
        return self._spectral_pass[1]

    @cached_property
    def ssnr(self) -> np.ndarray:
        """SNR of every frame in dB, limited."""
        return snr.segmental(*self._offset, self.sample_rate)

    @cached_property
    def csii(self) -> dict[str, float]:
        """Coherence speech intelligibility index at the levels "high", "mid" and "low"."""
        return csii.csii(*self._offset, self.sample_rate)

    def fwsegsnr(self) -> np.ndarray:
        """Returns the frequency-weighted SNR of every frame in dB, limited."""
        return spectral.fwsegsnr(*self._offset, self.sample_rate)

    def lsd(self) -> np.ndarray:
        """Returns the log-spectral distance of every frame in dB."""
        return spectral.lsd(*self._offset, self.sample_rate)

    def snr(self) -> float:
        """Returns the SNR of the whole signal in dB."""
        return snr.snr(*self._offset)


def to_float(signal: np.ndarray, name: str = "processed signal") -> np.ndarray:
    """Returns a mono signal as float64, checked; see `keras_segan.waveform`.

    Raises:
        MetricError: If it is no mono signal of finite samples.
    """
    try:
        return waveform.checked(signal, name).astype(np.float64)
    except AudioError as error:
        raise MetricError(str(error)) from error


def _checked(signal: np.ndarray, name: str) -> np.ndarray:
    signal = to_float(signal, f"{name} signal")
    if not signal.any():
        raise MetricError(f"The {name} signal is silent (every sample is zero); no metric is defined for it.")
    return signal


def _checked_rate(sample_rate) -> int:
    try:
        return waveform.checked_rate(sample_rate)
    except AudioError as error:
        raise MetricError(str(error)) from error


def _resampled(signal: np.ndarray, sample_rate: int) -> np.ndarray:
    from keras_segan import audio

    return audio.resample(signal, sample_rate, RATES[1]).astype(np.float64)


def _lags_and_bands(signal: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns autocorrelations `(frames, P + 1)` and band powers `(frames, 25)` from one FFT."""
    to_both = _lags_and_bands_matrix(sample_rate)
    both = np.concatenate([power @ to_both for power in framing.power_spectra(signal, sample_rate)])
    return np.split(both, [lpc.order(sample_rate) + 1], axis=1)


@cache
def _lags_and_bands_matrix(sample_rate: int) -> np.ndarray:
    """Returns the matrix from a one-sided power spectrum to lags 0 to P and the 25 band powers.

    The FFT is longer than a frame plus P, so circular and linear autocorrelation agree.
    """
    length = framing.fft_length(sample_rate)
    bins = np.arange(length // 2 + 1)
    to_lags = np.cos(2 * np.pi / length * np.outer(bins, np.arange(lpc.order(sample_rate) + 1))) / length
    to_lags[1:-1] *= 2.0
    to_bands = np.pad(spectral.critical_bands(sample_rate), ((0, 1), (0, 0)))
    return np.hstack([to_lags, to_bands])
