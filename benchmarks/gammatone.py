"""Time of the gammatone analysis and resynthesis of one utterance, beside plain per-band convolution."""

import time

import numpy as np
import scipy.signal

from keras_segan import dsp, gammatone

SECONDS = 3
REPEATS = 15
WINDOW, HOP = 320, 160


def timed(function, *arguments) -> float:
    """Processor time in seconds: other programs on the machine do not count."""
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def plain_energies(waveform, bank, window):
    """As the original is written: a convolution per band, then frames."""
    energies = []
    for response in bank.impulse_responses:
        start = len(response) // 2
        band = scipy.signal.fftconvolve(waveform, response)[start : start + len(waveform)]
        energies.append(np.sqrt(np.mean((dsp.frames(band, WINDOW, HOP) * window) ** 2, axis=1)))
    return np.array(energies)


def main():
    waveform = np.random.default_rng(0).standard_normal(SECONDS * gammatone.SAMPLE_RATE)
    window = dsp.window("hamming-symmetric", WINDOW)
    bank = gammatone.bank()
    mask = np.ones((bank.bands, gammatone.frame_count(len(waveform), WINDOW, HOP)))
    difference = np.abs(bank.energies(waveform, window, HOP) - plain_energies(waveform, bank, window)).max()
    ours, plain, synthesis = [], [], []
    for _ in range(REPEATS):
        ours.append(timed(bank.energies, waveform, window, HOP))
        plain.append(timed(plain_energies, waveform, bank, window))
        synthesis.append(timed(bank.resynthesise, waveform, mask, window, HOP))
    fast, slow = np.median(ours), np.median(plain)
    print(f"{bank.bands} bands, {SECONDS} s at 16 kHz, processor time, median of {REPEATS}:")
    print(f"  scipy.signal.fftconvolve per band {1e3 * slow:7.1f} ms")
    print(f"  GammatoneBank.energies            {1e3 * fast:7.1f} ms, {slow / fast:.1f} times as fast")
    print(f"  GammatoneBank.resynthesise        {1e3 * np.median(synthesis):7.1f} ms")
    print(f"  largest difference of the energies {difference:.1e}")


if __name__ == "__main__":
    main()
