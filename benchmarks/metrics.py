"""Speed of the metrics: the composite set against per-frame loops, and scoring with 1 and 2 workers.

    python benchmarks/metrics.py

The baseline below is the MATLAB programs written down frame by frame, as other Python ports do it. Both sides
run in turn in the same process on one core, and must give the same numbers before a ratio is printed.
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import time
from pathlib import Path

import numpy as np

from keras_segan import audio
from keras_segan.metrics import framing, hu_loizou, spectral
from keras_segan.metrics.pair import Pair
from keras_segan.metrics.pool import ScoreItem, ScoringPool

SECONDS = 3
REPEATS = 15
UTTERANCES = 60
ALL = ("pesq", "csig", "cbak", "covl", "ssnr", "llr", "wss", "stoi")
SIGNALS = Path(__file__).parents[1] / "keras_segan" / "data" / "selftest"


def main():
    clean, noisy = signals()
    print(
        f"Composite set without PESQ (LLR, WSS, SSNR), {SECONDS} s, one core, CPU time, median of {REPEATS}:"
    )
    ours, loops = [], []
    for _ in range(REPEATS):
        ours.append(timed(composite_parts, clean, noisy))
        loops.append(timed(loop_parts, clean, noisy))
    difference = np.abs(np.subtract(composite_parts(clean, noisy), loop_parts(clean, noisy))).max()
    fast, slow = np.median(ours), np.median(loops)
    print(f"  per-frame loops {1e3 * slow:8.1f} ms\n  keras_segan     {1e3 * fast:8.1f} ms")
    print(f"  {slow / fast:.0f} times faster; largest difference of a value {difference:.1e}")
    whole = [timed(hu_loizou.composite, clean, noisy, audio.SAMPLE_RATE) for _ in range(REPEATS)]
    print(f"  with PESQ       {1e3 * np.median(whole):8.1f} ms")
    print(f"\nWhole set ({', '.join(ALL)}), {UTTERANCES} utterances of {SECONDS} s, {os.cpu_count()} cores:")
    for jobs in (1, 2):
        print(f"  {jobs} worker{'s' * (jobs > 1):1}   {throughput(clean, noisy, jobs):6.1f} utterances/s")


def signals() -> tuple[np.ndarray, np.ndarray]:
    read = (audio.read_mono(SIGNALS / f"{name}.flac") for name in ("clean", "noisy"))
    return tuple(np.resize(waveform, SECONDS * audio.SAMPLE_RATE).astype(np.float64) for waveform in read)


def timed(function, *arguments) -> float:
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def throughput(clean, noisy, jobs: int) -> float:
    items = [ScoreItem(str(i), clean, noisy, audio.SAMPLE_RATE, ALL) for i in range(UTTERANCES)]
    with ScoringPool(jobs) as pool:
        list(pool.map(items[: 2 * jobs]))  # starts the workers and their imports
        start = time.perf_counter()
        list(pool.map(items))
        return UTTERANCES / (time.perf_counter() - start)


def composite_parts(clean, processed) -> tuple[float, float, float]:
    pair = Pair(clean, processed, audio.SAMPLE_RATE)
    return framing.trimmed_mean(pair.llr), framing.trimmed_mean(pair.wss), float(np.mean(pair.ssnr))


def loop_parts(clean, processed) -> tuple[float, float, float]:
    """The same by `comp_llr.m`, `comp_wss.m` and `comp_snr.m`, a frame at a time."""
    clean, processed = clean + framing.EPS, processed + framing.EPS
    window = framing.hann(480)
    starts = range(0, 120 * framing.frame_count(len(clean), 16000), 120)
    cut = [(clean[s : s + 480] * window, processed[s : s + 480] * window) for s in starts]
    llr = np.array([loop_llr(c, p) for c, p in cut])
    wss = np.array([loop_wss(c, p) for c, p in cut])
    ssnr = [loop_ssnr(c, p) for c, p in cut]
    return framing.trimmed_mean(llr), framing.trimmed_mean(wss), float(np.mean(ssnr))


def loop_ssnr(clean, processed) -> float:
    noise = np.sum((clean - processed) ** 2)
    return min(max(10 * np.log10(np.sum(clean**2) / (noise + framing.EPS) + framing.EPS), -10), 35)


def loop_lpc(frame, order=16):
    lags = np.array([np.sum(frame[: len(frame) - k] * frame[k:]) for k in range(order + 1)])
    a = np.zeros(order)
    error = lags[0]
    for i in range(order):
        past = a[:i].copy()
        reflection = (lags[i + 1] - np.sum(past * lags[i:0:-1])) / error
        a[i] = reflection
        a[:i] = past - reflection * past[::-1]
        error *= 1 - reflection**2
    return lags, np.concatenate([[1.0], -a])


def loop_llr(clean, processed) -> float:
    lags, own = loop_lpc(clean)
    other = loop_lpc(processed)[1]
    toeplitz = np.array([[lags[abs(i - j)] for j in range(17)] for i in range(17)])
    return np.log((other @ toeplitz @ other) / (own @ toeplitz @ own))


def loop_wss(clean, processed) -> float:
    slopes, weights = zip(*(loop_slopes(frame) for frame in (clean, processed)), strict=True)
    weight = (weights[0] + weights[1]) / 2
    return np.sum(weight * (slopes[0] - slopes[1]) ** 2) / np.sum(weight)


def loop_slopes(frame):
    power = np.abs(np.fft.fft(frame, 1024)[:512]) ** 2
    filters = spectral.critical_bands(16000)
    level = np.array([10 * np.log10(max(np.sum(power * filters[:, i]), 1e-10)) for i in range(25)])
    slope = level[1:] - level[:-1]
    peak = np.zeros(24)
    for i in range(24):
        n = i
        if slope[i] > 0:
            while n < 24 and slope[n] > 0:
                n += 1
            peak[i] = level[n - 1]
        else:
            while n >= 0 and slope[n] <= 0:
                n -= 1
            peak[i] = level[n + 1]
    to_global = 20 / (20 + level.max() - level[:-1])
    return slope, to_global / (1 + peak - level[:-1])


if __name__ == "__main__":
    main()
