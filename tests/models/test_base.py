import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_segan as ks
from keras_segan.errors import AudioError, ModelError
from keras_segan.models import metricgan
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd

NOISY = np.random.default_rng(0).normal(0, 0.1, 9000).astype(np.float32)


@pytest.fixture(scope="module")
def enhancer():
    keras.utils.set_random_seed(0)
    network = metricgan.generator(units=8, hidden=9)
    return Enhancer(
        network, SpectralMaskFrontEnd(compression="log1p", mask_floor=0.1), {"recipe": "test", "epoch": 3}
    )


@pytest.fixture
def saved(enhancer, tmp_path):
    enhancer.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_a_saved_model_is_the_same(enhancer, saved):
    again = ks.load_model(saved)
    assert again.information == {"recipe": "test", "epoch": 3}
    assert again.front_end.get_config() == enhancer.front_end.get_config()
    np.testing.assert_allclose(again.enhance(NOISY), enhancer.enhance(NOISY), atol=1e-6)


@pytest.mark.parametrize("first", ["keras, keras_segan", "keras_segan.models.base, keras"])
def test_keras_itself_loads_it_in_a_fresh_process(enhancer, saved, tmp_path, first):
    np.save(tmp_path / "noisy.npy", NOISY)
    np.save(tmp_path / "enhanced.npy", enhancer.enhance(NOISY))
    code = (
        f"import sys, numpy, {first}\n"
        "model = keras.saving.load_model(sys.argv[1] + '/model.keras', safe_mode=True)\n"
        "ours = model.enhance(numpy.load(sys.argv[1] + '/noisy.npy'))\n"
        "assert abs(ours - numpy.load(sys.argv[1] + '/enhanced.npy')).max() < 1e-6\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_length_of_the_batch_axis_does_not_matter(enhancer):
    for length in (5000, 7777):
        assert len(enhancer.enhance(NOISY[:length])) == length


@pytest.mark.parametrize("count", [1, 3, 11])
def test_many_at_once_are_the_same(enhancer, count):
    noisy = [NOISY[: 9000 - 431 * (number % 7)] for number in range(count)]
    together = enhancer.enhance_many(noisy)
    for ours, alone in zip(together, noisy, strict=True):
        np.testing.assert_allclose(ours, enhancer.enhance(alone), atol=1e-6)


def test_a_loaded_model_takes_batches_of_any_lengths_too(saved, monkeypatch):
    again = ks.load_model(saved)
    batches = []
    monkeypatch.setattr(again, "infer", lambda x, mask: batches.append(x.shape) or np.ones_like(x))
    again.infer_many([np.zeros((length, 257), np.float32) for length in (5, 9, 7)])
    assert len(batches) == 1


def test_any_rate_and_channels(enhancer):
    for shape, rate in (
        ((9000,), 16000),
        ((20000,), 44100),
        ((5000,), 8000),
        ((9000, 2), 16000),
        ((100,), 16000),
    ):
        waveform = np.resize(NOISY, shape)
        enhanced = ks.enhance(enhancer, waveform, rate)
        assert enhanced.shape == shape
        assert enhanced.dtype == np.float32
        assert np.isfinite(enhanced).all()


def test_channels_are_enhanced_one_by_one(enhancer):
    stereo = np.stack([NOISY, NOISY[::-1]], axis=1)
    enhanced = ks.enhance(enhancer, stereo, 16000)
    np.testing.assert_allclose(enhanced[:, 0], ks.enhance(enhancer, NOISY, 16000), atol=1e-7)


def test_silence_stays_silence(enhancer):
    assert not ks.enhance(enhancer, np.zeros(5000), 16000).any()


@pytest.mark.parametrize("waveform", [np.full(5000, np.nan), np.zeros(0), np.zeros((2, 2, 2))])
def test_unusable_waveforms(enhancer, waveform):
    with pytest.raises(AudioError):
        ks.enhance(enhancer, waveform, 16000)


def test_load_model_names_what_is_wrong(tmp_path):
    (tmp_path / "damaged.keras").write_bytes(b"not a zip file")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    for name, words in {
        tmp_path / "damaged.keras": "damaged",
        tmp_path / "other.keras": "not an Enhancer",
        tmp_path / "missing.keras": "no such file",
        "metricgan-peqs": "Unknown model",
    }.items():
        with pytest.raises(ModelError, match=words):
            ks.load_model(name)


def test_code_from_a_stranger_is_not_run(tmp_path):
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs)).save(tmp_path / "lambda.keras")
    with pytest.raises(ModelError):
        ks.load_model(tmp_path / "lambda.keras")


def test_the_front_end_checks_its_settings():
    with pytest.raises(ValueError, match="compression"):
        SpectralMaskFrontEnd(compression="cube-root")
    with pytest.raises(ValueError, match="normalisation"):
        SpectralMaskFrontEnd(normalisation="global")
