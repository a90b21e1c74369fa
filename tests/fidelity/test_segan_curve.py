"""SEGAN's first iterations on real speech against a curve recorded from the authors' program.

A curve proves the optimiser only: wrong normalisation or skips cannot be told from it (arrays can).
"""

import csv
import json

import numpy as np
import pytest
import soundfile

from keras_segan.data.examples.slices import window_starts
from keras_segan.training.step import fetch

from .segan import ours, play, windows

ITERATIONS = 60
COLUMNS = ("d_real", "d_fake", "g_adversarial", "g_l1")
RECORDED = ("d_rl_loss", "d_fk_loss", "g_adv_loss", "g_l1_loss")


@pytest.fixture(scope="module")
def facts(shared):
    return json.loads(shared("goldens/segan/mini_run.json").read_text())


@pytest.fixture(scope="module")
def curve(shared):
    with open(shared("goldens/segan/mini_run_a.csv")) as file:
        return np.array([[float(row[name]) for name in RECORDED] for row in csv.DictReader(file)])


@pytest.fixture(scope="module")
def speech(shared, facts):
    """The 139 windows of clean and noisy speech, `(2, windows, samples)`."""
    folder = shared("data/voicebank_demand/train")
    files = sorted({name.partition("#")[0] for name in facts["slices"]})
    cut = []
    for kind in ("clean", "noisy"):
        samples = [soundfile.read(folder / kind / file, dtype="int16")[0] for file in files]
        starts = [window_starts(len(each), 16384, 8192) for each in samples]
        cut.append([each[s : s + 16384] for each, at in zip(samples, starts, strict=True) for s in at])
    return windows(np.array(cut))


def initial(weights):
    """The published initialisation as the README of the recordings draws it."""
    random = np.random.RandomState(20173)
    for each in weights:
        shape, kind = each["shape"], each["name"].rpartition("/")[2]
        if kind == "W":
            yield ours((0.02 * _within_two_deviations(random, shape)).astype(np.float32))
        elif kind == "weights":
            yield (random.uniform(-1, 1, (8, 1)) * np.sqrt(6 / 9)).astype(np.float32)
        elif kind == "gamma":
            yield (1 + 0.02 * random.standard_normal(shape)).astype(np.float32)
        else:
            yield np.zeros(shape, np.float32)


def _within_two_deviations(random, shape):
    drawn = random.standard_normal(shape)
    while (far := np.abs(drawn) > 2).any():
        drawn[far] = random.standard_normal(far.sum())
    return drawn


@pytest.mark.slow
def test_the_recorded_curve(facts, curve, speech):
    weights = list(initial(facts["weights"]))
    for array, each in zip(weights, facts["weights"], strict=True):
        np.testing.assert_allclose(array.ravel()[:3], each["first3"], rtol=1e-5, err_msg=each["name"])
    _, steps = play(facts["depths"], weights, batch=10)
    random = np.random.RandomState(20175)
    logged = []
    for batches in facts["stream_run_a"][:ITERATIONS]:
        row = {}
        for name, numbers in zip(("discriminator", "generator"), batches, strict=True):
            batch = {"clean": speech[0, numbers], "noisy": speech[1, numbers]}
            batch["latent"] = random.standard_normal((10, 8, 64)).astype(np.float32)
            weight = {"l1_weight": np.float32(100)} if name == "generator" else {}
            row |= steps[name](**batch, **weight)
        logged.append(row)
    values = fetch(logged)
    found = np.array([values[name] for name in COLUMNS]).T
    np.testing.assert_allclose(found[:5], curve[:5], rtol=2e-3)
    for start in range(0, ITERATIONS, 20):
        ours_mean, theirs = (each[start : start + 20].mean(axis=0) for each in (found, curve))
        # D's opinion of fakes is a small number whose rounding grows.
        np.testing.assert_allclose(ours_mean[[0, 2, 3]], theirs[[0, 2, 3]], rtol=0.02)
        np.testing.assert_allclose(ours_mean[1], theirs[1], rtol=0.25)
