"""Scoring without a clean original against real PESQ: 100 files of three seconds on two cores."""

import time

import numpy as np
from measuring import REPEATS, Row

from keras_segan import prediction
from keras_segan.audio import SAMPLE_RATE
from keras_segan.layers.gate_dropout_lstm import without_feedback
from keras_segan.metrics.pool import ScoreItem, ScoringPool
from keras_segan.models import qualitynet
from keras_segan.models.base import Predictor

FILES = 100
SECONDS = 3


def rows(floors):
    clean, noisy = signals()
    items = [
        ScoreItem(str(n), c, x, SAMPLE_RATE, ("pesq-nb-raw",))
        for n, (c, x) in enumerate(zip(clean, noisy, strict=True))
    ]
    with ScoringPool(2) as pool:
        list(pool.map(items[:4]))  # starts the workers and their imports
        pesq = fastest(lambda: list(pool.map(items)))
    network = qualitynet.network()
    exact = Predictor(network, qualitynet.front_end())
    fast = Predictor(network, qualitynet.front_end())
    batch = fastest(lambda: prediction.predict_many(exact, noisy, SAMPLE_RATE))
    with without_feedback(network):
        scans = fastest(lambda: prediction.predict_many(fast, noisy, SAMPLE_RATE))
    yield Row(
        f"Quality-Net, {FILES} files of {SECONDS} s",
        batch / FILES,
        {"plain": pesq / FILES},
        note="real PESQ in two worker processes; time of a file",
    )
    yield Row(
        f"Quality-Net without the recurrent kernels of 1e-5, {FILES} files of {SECONDS} s",
        scans / FILES,
        {"plain": pesq / FILES},
        note="real PESQ in two worker processes; time of a file",
    )


def fastest(function) -> float:
    """Returns the shortest of some times in seconds; the first call, which compiles, does not count."""
    function()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def signals() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Speech-like signals: noise whose envelope moves as syllables do, and the same with noise added."""
    rng = np.random.default_rng(0)
    envelope = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE)
    clean = [(0.1 * envelope * rng.standard_normal(len(envelope))).astype(np.float32) for _ in range(FILES)]
    noisy = [(each + 0.02 * rng.standard_normal(len(each))).astype(np.float32) for each in clean]
    return clean, noisy
