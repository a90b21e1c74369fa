"""MetricGAN's features, waveforms and bookkeeping against the original program."""

import json

import numpy as np
import pytest

from keras_segan import audio, dsp
from keras_segan.models.base import SpectralMaskFrontEnd
from keras_segan.training.samplers import Example, MetricGANSampler

from ..helpers import beginning

TABLE_1 = SpectralMaskFrontEnd()
TABLE_2 = SpectralMaskFrontEnd(compression="log1p")


@pytest.fixture
def golden(recorded):
    return lambda name: recorded(f"metricgan/{name}")


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
        theirs = arrays["u0.phase_TF"]
        difference = np.angle(np.exp(1j * (np.angle(beginning(analysis.phase, theirs)) + theirs)))
        loud = beginning(magnitude, theirs) > 1e-3 * largest(magnitude)
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
    np.testing.assert_allclose(beginning(waveform, expected), expected, atol=1e-5 * largest(waveform))
    identity, expected = TABLE_1.synthesise(np.ones_like(mask), analysis), arrays["u0.identity_wav_x10"]
    np.testing.assert_allclose(beginning(identity, expected), expected, atol=1e-5 * largest(identity))
    assert_same_files(audio.to_int16(waveform / 10), arrays["u0.pcm_train"])
    assert_same_files(audio.to_int16(dsp.peak_normalise(waveform)), arrays["u0.pcm_test"])


def test_features_of_the_enhanced_file(golden):
    pcm = golden("enhanced")["u1.pcm_train"]
    expected = golden("features")["u1.enhanced_mag_from_pcm"]
    ours = TABLE_1.magnitude(audio.from_int16(pcm) * np.float32(10))
    np.testing.assert_allclose(beginning(ours, expected), expected, atol=1e-5 * largest(expected))


def test_table_2_features_and_files(golden):
    arrays, features = golden("table2"), golden("features")
    noisy = audio.from_int16(features["u0.noisy_pcm"], divisor=32767.0)
    normalised, analysis = TABLE_2.analyse(noisy)
    for ours, name in ((analysis.magnitude, "u0.noisy_log1p"), (normalised, "u0.noisy_log1p_norm")):
        theirs = arrays[name]
        np.testing.assert_allclose(beginning(ours, theirs), theirs, atol=1e-5 * largest(ours))
    waveform = TABLE_2.synthesise(arrays["u0.mask"], analysis)
    expected = arrays["u0.wav"]
    np.testing.assert_allclose(beginning(waveform, expected), expected, atol=1e-5 * largest(waveform))
    assert_same_files(audio.to_int16(waveform), arrays["u0.pcm_train"])
    assert_same_files(audio.to_int16(dsp.peak_normalise(waveform)), arrays["u0.pcm_test"])


def test_16_bit_cast_wraps_beyond_one():
    samples = np.array([1.0, -1.0, 1.1, 0.99999])
    np.testing.assert_array_equal(audio.to_int16(samples), [32767, -32767, 36043 - 65536, 32766])


def enhanced_name(path, epoch):
    noise, level, name = path.split("/")[-3:]
    return f"{noise[:-4]}_{level}_{name[:-4]}@{epoch}.wav"


class Trace:
    """Runs the sampler on the toy list of the trace; examples are named as the program names files."""

    def __init__(self, trace):
        self.trace = trace
        self.first = trace["initial"]["train_after_first_shuffle"]
        counts = len(self.first), trace["n_test"], trace["num_of_sampling"]
        self.sampler = MetricGANSampler(*counts, trace["seed"], prefetch=trace["prefetch"])
        # The order on disk: the sampler has just shuffled positions in it.
        self.on_disk = dict(zip(self.sampler.order, self.first, strict=True))
        self.fits = []

    def epoch(self, number):
        theirs = self.trace["epochs"][number - 1]
        drawn = self.sampler.utterances(number)
        assert [self.on_disk[index] for index in drawn] == theirs["sampled_paths"]
        if number >= 2:
            self.fits.append([self.on_disk[index] for index in self.sampler.generator_order(drawn)])
        current = [
            {"clean": Example("clean", i, 0, (1.0,)), "enhanced": Example("enhanced", i, number, (0.5,))}
            for i in drawn
        ]
        past = [self.file(example) for example in self.sampler.replay.history]
        if theirs["previous_after"] is not None and number > 1:
            assert set(past) <= {entry.split(",")[1] for entry in theirs["previous_after"]}
        passes = list(self.sampler.passes(number, current))
        assert len(passes[1]) == theirs["n_total"]
        assert sum(map(len, passes)) == self.sampler.steps(number)
        assert len(self.sampler.replay.history) == theirs["n_previous_after"]
        self.fits += [[self.file(example) for example in examples] for examples in passes]

    def file(self, example):
        path = self.on_disk[example.utterance]
        if example.kind == "clean":
            return f"clean/Train/{path.split('/')[-1]}"
        return f"OUT/For_discriminator_training/{enhanced_name(path, example.epoch)}"


@pytest.mark.parametrize("prefetch", [0, 1])
def test_bookkeeping_trace(shared, prefetch):
    trace = json.loads(shared(f"goldens/metricgan/trace_prefetch{prefetch}.json").read_text())
    run = Trace(trace)
    for number in range(1, len(trace["epochs"]) + 1):
        run.epoch(number)
    assert run.fits == [[item.split(",")[-1] for item in fit["items"]] for fit in trace["fits"]]
    assert [run.sampler.rng.random() for _ in range(3)] == trace["random_after"]
