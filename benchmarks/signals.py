"""Signal processing: the STFT front end and the gammatone analysis."""

import librosa
import numpy as np
import scipy.signal
from measuring import compare, relative_difference, try_torch

from keras_segan import dsp, gammatone
from keras_segan.models.base import SpectralMaskFrontEnd

SECONDS = 3
REPEATS = 25
WINDOW, HOP = 320, 160


def rows(floors):
    yield stft_row(floors)
    yield gammatone_row(floors)


def stft_row(floors):
    """Analysis and resynthesis with a mask of ones, as around every network."""
    noisy = np.random.default_rng(0).normal(0, 0.1, SECONDS * gammatone.SAMPLE_RATE).astype(np.float32)
    front_end = SpectralMaskFrontEnd()

    def ours():
        features, analysis = front_end.analyse(noisy)
        return front_end.synthesise(np.ones_like(features), analysis)

    def plain():
        window = scipy.signal.get_window("hamming", 512, fftbins=False)
        padded = np.pad(noisy, (0, 256))
        spectrum = librosa.stft(padded, n_fft=512, hop_length=256, window=window, pad_mode="reflect")
        magnitude, phase = np.abs(spectrum), np.exp(1j * np.angle(spectrum))
        _ = (magnitude - magnitude.mean(1, keepdims=True)) / (magnitude.std(1, keepdims=True) + 1e-12)
        return librosa.istft(magnitude * phase, hop_length=256, window=window, length=len(noisy))

    functions = {"ours": ours, "plain": plain}
    torch = try_torch()
    if torch:
        functions["torch"] = lambda: torch_stft(torch, noisy)
    frames = 2 + len(noisy) // 256
    # Waveform in and out, and once each in and out: complex spectrum, magnitude, features, phase.
    moved = 2 * noisy.nbytes + 2 * frames * 257 * (8 + 4 + 4 + 8)
    return compare(
        f"STFT front end there and back, {SECONDS} s",
        functions,
        REPEATS,
        difference=relative_difference([ours()], [plain()]),
        floor=moved / floors["bytes"],
        floor_of="memory",
        note="librosa",
    )


def torch_stft(torch, waveform):
    window = torch.hamming_window(512, periodic=False)
    spectrum = torch.stft(torch.from_numpy(waveform), 512, 256, window=window, return_complex=True)
    magnitude = spectrum.abs()
    _ = (magnitude - magnitude.mean(1, keepdim=True)) / (magnitude.std(1, keepdim=True) + 1e-12)
    enhanced = torch.polar(magnitude, spectrum.angle())
    return torch.istft(enhanced, 512, 256, window=window, length=len(waveform)).numpy()


def gammatone_row(floors):
    waveform = np.random.default_rng(0).standard_normal(SECONDS * gammatone.SAMPLE_RATE)
    window, bank = dsp.window("hamming-symmetric", WINDOW), gammatone.bank()
    functions = {
        "ours": lambda: bank.energies(waveform, window, HOP),
        "plain": lambda: plain_energies(waveform, bank, window),
    }
    moved = waveform.nbytes * (1 + 2 * bank.bands)  # each band is written and read once
    return compare(
        f"gammatone analysis, {bank.bands} bands, {SECONDS} s",
        functions,
        REPEATS,
        difference=relative_difference([functions["ours"]()], [functions["plain"]()]),
        floor=moved / floors["bytes"],
        floor_of="memory",
        note="scipy.signal.fftconvolve per band",
    )


def plain_energies(waveform, bank, window):
    """As the original is written: a convolution per band, then frames."""
    energies = []
    for response in bank.impulse_responses:
        start = len(response) // 2
        band = scipy.signal.fftconvolve(waveform, response)[start : start + len(waveform)]
        energies.append(np.sqrt(np.mean((dsp.frames(band, WINDOW, HOP) * window) ** 2, axis=1)))
    return np.array(energies)
