import io
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import soundfile

from keras_segan.cli import run
from keras_segan.models import metricgan_plus
from keras_segan.models.base import Enhancer

NOISY = np.random.default_rng(0).normal(0, 0.1, 8001)


@pytest.fixture(scope="module")
def enhancer():
    keras.utils.set_random_seed(0)
    network = metricgan_plus.generator(units=4, hidden=5, causal=True)
    return Enhancer(network, metricgan_plus.front_end())


@pytest.fixture(scope="module")
def model(enhancer, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    enhancer.save(path)
    return str(path)


def test_a_file_comes_out_as_without_the_option(model, tmp_path, capsys):
    soundfile.write(tmp_path / "noisy.flac", np.stack([NOISY, NOISY[::-1]], axis=1), 44100)
    for name, options in {"whole.flac": [], "streamed.flac": ["--stream"]}.items():
        words = ["enhance", str(tmp_path / "noisy.flac"), "-o", str(tmp_path / name), "--model", model]
        assert run([*words, *options]) == 0, capsys.readouterr().err
    whole, streamed = (soundfile.read(tmp_path / name) for name in ("whole.flac", "streamed.flac"))
    assert streamed[1] == 44100
    assert streamed[0].shape == (8001, 2)
    np.testing.assert_allclose(streamed[0], whole[0], atol=1e-4)  # both in 16 bit


def test_raw_samples_pass_through_standard_streams(model, enhancer, monkeypatch, capsys):
    samples = np.round(NOISY * 32768).astype("<i2")
    stdout = io.BytesIO()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(samples.tobytes())))
    monkeypatch.setattr(
        "keras_segan.cli.enhance.sys.stdout", SimpleNamespace(buffer=stdout, flush=lambda: None)
    )
    assert run(["enhance", "-", "-o", "-", "--stream", "--model", model]) == 0
    enhanced = np.frombuffer(stdout.getvalue(), "<i2") / 32767
    np.testing.assert_allclose(enhanced, enhancer.enhance(samples / np.float32(32768)), atol=3e-5)


def test_what_cannot_stream_is_told(tmp_path, capsys):
    path = tmp_path / "model.keras"
    Enhancer(metricgan_plus.generator(units=4, hidden=5), metricgan_plus.front_end()).save(path)
    soundfile.write(tmp_path / "a.wav", NOISY, 16000)
    words = [
        "enhance",
        str(tmp_path / "a.wav"),
        "-o",
        str(tmp_path / "b.wav"),
        "--model",
        str(path),
        "--stream",
    ]
    assert run(words) == 1
    assert "later frames" in capsys.readouterr().err
    assert not (tmp_path / "b.wav").exists()
    assert run([*words, "--wet", "0.5"]) == 2
