"""The measures: the composite set against per-frame loops, PESQ and STOI in scoring processes.

The baseline of the composite set is the MATLAB programs written down frame by frame, as in other ports.
"""

import time
from pathlib import Path

import numpy as np
import pesq
import pystoi
from measuring import REPEATS, Row, compare, relative_difference

from keras_segan import audio
from keras_segan.metrics import framing, spectral
from keras_segan.metrics.pair import Pair
from keras_segan.metrics.pool import ScoreItem, ScoringPool

SECONDS = 3
UTTERANCES = 40
SIGNALS = Path(__file__).parents[1] / "keras_segan" / "data" / "selftest"


def rows(floors):
    clean, noisy = signals()
    functions = {"ours": lambda: composite_parts(clean, noisy), "plain": lambda: loop_parts(clean, noisy)}
    yield compare(
        f"composite measures without PESQ (LLR, WSS, SSNR), {SECONDS} s",
        functions,
        15,
        difference=relative_difference([functions["ours"]()], [functions["plain"]()]),
        floor=transforms_flops() / floors["flops"],
        floor_of="transforms, bands and lags at the GEMM rate",
        note="per-frame loops",
    )
    with ScoringPool(1) as one, ScoringPool(2) as two:
        pools = {1: one, 2: two}
        for pool in pools.values():
            list(pool.map(items(clean, noisy, 4)))  # starts the workers and their imports
        times = {1: [], 2: [], "plain": []}
        for _ in range(REPEATS):
            for key, function in (
                ("plain", lambda: [plain_scores(clean, noisy) for _ in range(UTTERANCES)]),
                *(
                    (jobs, lambda pool=pool: list(pool.map(items(clean, noisy))))
                    for jobs, pool in pools.items()
                ),
            ):
                start = time.perf_counter()
                function()
                times[key].append((time.perf_counter() - start) / UTTERANCES)
        scores = next(iter(one.map(items(clean, noisy, 1)))).scores
    medians = {key: float(np.median(values)) for key, values in times.items()}
    difference = relative_difference([list(scores.values())], [plain_scores(clean, noisy)])
    for jobs in pools:
        yield Row(
            f"PESQ and STOI of an utterance of {SECONDS} s, {jobs} worker{'s' * (jobs > 1)}",
            medians[jobs],
            {"plain": medians["plain"]},
            difference=difference,
            floor=medians["plain"] / jobs,
            floor_of="pesq and pystoi themselves on so many cores",
            note="a plain loop",
        )


def transforms_flops() -> float:
    """Per frame of two signals: a transform of 1024, 25 bands of 512 bins, 17 lags of 480 samples."""
    frames = SECONDS * audio.SAMPLE_RATE / 120
    return frames * 2 * (2.5 * 1024 * 10 + 2 * 25 * 512 + 2 * 17 * 480)


def items(clean, noisy, count: int = UTTERANCES) -> list[ScoreItem]:
    return [ScoreItem(str(i), clean, noisy, audio.SAMPLE_RATE, ("pesq", "stoi")) for i in range(count)]


def plain_scores(clean, noisy) -> list[float]:
    return [
        pesq.pesq(audio.SAMPLE_RATE, clean, noisy, "wb"),
        pystoi.stoi(clean, noisy, audio.SAMPLE_RATE),
    ]


def signals() -> tuple[np.ndarray, np.ndarray]:
    read = (audio.read_mono(SIGNALS / f"{name}.flac") for name in ("clean", "noisy"))
    return tuple(np.resize(waveform, SECONDS * audio.SAMPLE_RATE).astype(np.float64) for waveform in read)


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
