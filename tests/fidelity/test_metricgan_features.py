"""MetricGAN's features, waveforms and bookkeeping against the original program."""

import json
import random

import numpy as np
import pytest

from keras_segan import audio, dsp
from keras_segan.models.base import SpectralMaskFrontEnd
from keras_segan.training.replay import ReplayBuffer, SampleStream, python2_shuffle

TABLE_1 = SpectralMaskFrontEnd()
TABLE_2 = SpectralMaskFrontEnd(compression="log1p")


@pytest.fixture
def golden(shared):
    folder = shared("goldens/metricgan")
    return lambda name: np.load(folder / f"{name}.npz")


def largest(array):
    return np.abs(array).max()


@pytest.mark.parametrize("utterance", ["u0", "u1"])
def test_features(golden, utterance):
    arrays = golden("features")
    noisy = audio.from_int16(arrays[f"{utterance}.noisy_pcm"]) * np.float32(10)
    features, analysis = TABLE_1.analyse(noisy)
    magnitude = arrays[f"{utterance}.noisy_mag"]
    np.testing.assert_allclose(analysis.magnitude, magnitude, atol=1e-5 * largest(magnitude))
    if utterance == "u0":
        normalised = arrays["u0.noisy_norm"]
        np.testing.assert_allclose(features, normalised, atol=1e-5 * largest(normalised))
        # librosa 0.5.1 returned the complex conjugate of today's spectrum.
        difference = np.angle(np.exp(1j * (np.angle(analysis.phase) + arrays["u0.phase_TF"])))
        loud = magnitude > 1e-3 * largest(magnitude)
        assert np.abs(difference[loud]).max() < 1e-3
    clean = audio.from_int16(arrays[f"{utterance}.clean_pcm"])
    expected = arrays[f"{utterance}.clean_mag"]
    np.testing.assert_allclose(TABLE_1.magnitude(clean), expected, atol=1e-5 * largest(expected))


def assert_same_files(ours, theirs):
    """Equal but for one unit in 2 % of the samples."""
    difference = np.abs(ours.astype(int) - theirs.astype(int))
    assert difference.max() <= 1
    assert np.mean(difference > 0) <= 0.02


def test_waveform_and_files_of_table_1(golden):
    arrays, features = golden("enhanced"), golden("features")
    mask = golden("generator")["u0.mask"]
    _, analysis = TABLE_1.analyse(audio.from_int16(features["u0.noisy_pcm"]) * np.float32(10))
    waveform = TABLE_1.synthesise(mask, analysis)
    expected = arrays["u0.wav_x10"]
    np.testing.assert_allclose(waveform, expected, atol=1e-5 * largest(expected))
    identity = TABLE_1.synthesise(np.ones_like(mask), analysis)
    np.testing.assert_allclose(identity, arrays["u0.identity_wav_x10"], atol=1e-5 * largest(identity))
    assert_same_files(audio.to_int16(waveform / 10), arrays["u0.pcm_train"])
    assert_same_files(audio.to_int16(dsp.peak_normalise(waveform)), arrays["u0.pcm_test"])


def test_features_of_the_enhanced_file(golden):
    pcm = golden("enhanced")["u1.pcm_train"]
    expected = golden("features")["u1.enhanced_mag_from_pcm"]
    ours = TABLE_1.magnitude(audio.from_int16(pcm) * np.float32(10))
    np.testing.assert_allclose(ours, expected, atol=1e-5 * largest(expected))


def test_table_2_features_and_files(golden):
    arrays, features = golden("table2"), golden("features")
    noisy = audio.from_int16(features["u0.noisy_pcm"], divisor=32767.0)
    normalised, analysis = TABLE_2.analyse(noisy)
    np.testing.assert_allclose(
        analysis.magnitude, arrays["u0.noisy_log1p"], atol=1e-5 * largest(analysis.magnitude)
    )
    np.testing.assert_allclose(normalised, arrays["u0.noisy_log1p_norm"], atol=1e-5 * largest(normalised))
    waveform = TABLE_2.synthesise(arrays["u0.mask"], analysis)
    np.testing.assert_allclose(waveform, arrays["u0.wav"], atol=1e-5 * largest(waveform))
    assert_same_files(audio.to_int16(waveform), arrays["u0.pcm_train"])
    assert_same_files(audio.to_int16(dsp.peak_normalise(waveform)), arrays["u0.pcm_test"])


def test_16_bit_cast_wraps_beyond_one():
    samples = np.array([1.0, -1.0, 1.1, 0.99999])
    np.testing.assert_array_equal(audio.to_int16(samples), [32767, -32767, 36043 - 65536, 32766])


class Trace:
    """Runs the bookkeeping of MetricGAN's epochs on the toy list of the trace."""

    def __init__(self, trace):
        self.trace = trace
        self.rng = random.Random(trace["seed"])
        self.buffer = ReplayBuffer(self.rng)
        self.fits = []

    def initial(self, paths):
        python2_shuffle(paths, self.rng)
        return paths

    def fit(self, stream, steps):
        self.fits.append(list(stream.take(steps, self.trace["prefetch"])))

    def epoch(self, number, paths):
        python2_shuffle(paths, self.rng)
        sampled = paths[: self.trace["num_of_sampling"]]
        if number >= 2:
            self.fit(SampleStream(list(sampled), self.rng), len(sampled))
        theirs = self.trace["epochs"][number - 1]
        assert sampled == theirs["sampled_paths"]
        scores = {entry.split(",")[1]: entry for entry in theirs["current_list_scores_and_names"]}
        current = [
            next(e for p, e in scores.items() if p.endswith(enhanced_name(path, number))) for path in sampled
        ]
        current += [f"1.00,clean/Train/{path.split('/')[-1]}" for path in sampled]
        python2_shuffle(current, self.rng)
        stream = SampleStream(current, self.rng)
        self.fit(stream, len(current))
        total = self.buffer.current_and_past(current)
        assert len(total) == theirs["n_total"]
        self.fit(SampleStream(total, self.rng), len(total))
        self.buffer.remember(current)
        if theirs["previous_after"] is not None:
            assert self.buffer.history == theirs["previous_after"]
        self.fit(stream, len(current))
        assert current == theirs["current_list_scores_and_names"]
        assert len(self.buffer.history) == theirs["n_previous_after"]


def enhanced_name(path, epoch):
    noise, level, name = path.split("/")[-3:]
    return f"{noise[:-4]}_{level}_{name[:-4]}@{epoch}.wav"


@pytest.mark.parametrize("prefetch", [0, 1])
def test_bookkeeping_trace(shared, prefetch):
    trace = json.loads(shared(f"goldens/metricgan/trace_prefetch{prefetch}.json").read_text())
    run = Trace(trace)
    first = trace["initial"]["train_after_first_shuffle"]
    # Undo the first shuffle to find the order on disk: shuffle positions with the same seed.
    positions = list(range(len(first)))
    python2_shuffle(positions, random.Random(trace["seed"]))
    on_disk = [None] * len(first)
    for position, path in zip(positions, first, strict=True):
        on_disk[position] = path
    paths = run.initial(on_disk)
    assert paths == first
    run.initial(list(range(trace["n_test"])))
    for number in range(1, len(trace["epochs"]) + 1):
        run.epoch(number, paths)
    theirs = [fit["items"] for fit in trace["fits"]]
    ours = [[item.split(",")[-1] for item in fit] for fit in run.fits]
    assert ours == theirs
    assert [run.rng.random() for _ in range(3)] == trace["random_after"]
