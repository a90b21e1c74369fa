import numpy as np
import pytest
import soundfile

from keras_segan.cli import run
from keras_segan.models import metricgan
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    Enhancer(metricgan.generator(units=4, hidden=5), SpectralMaskFrontEnd()).save(path)
    return str(path)


@pytest.fixture
def noisy(tmp_path):
    folder = tmp_path / "noisy"
    (folder / "deep").mkdir(parents=True)
    x = np.random.default_rng(0).normal(0, 0.3, 8000)
    soundfile.write(folder / "a.wav", x, 16000)
    soundfile.write(folder / "deep" / "b.flac", np.stack([x, x], axis=1), 44100, subtype="PCM_24")
    (folder / "text.wav").write_text("hello")
    (folder / "notes.txt").write_text("not audio")
    return folder


def test_a_folder_keeps_names_rates_and_formats(model, noisy, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(["enhance", str(noisy), "-o", str(out), "--model", model]) == 1
    message = capsys.readouterr().err
    assert "text.wav" in message
    assert "1 of 3 files were not enhanced" in message
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.*")) == ["a.wav", "deep/b.flac"]
    info = soundfile.info(out / "deep" / "b.flac")
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (44100, 2, 8000, "PCM_24")


def test_existing_outputs_are_kept_without_force(model, noisy, tmp_path, capsys):
    out = tmp_path / "a.wav"
    out.write_bytes(b"mine")
    arguments = ["enhance", str(noisy / "a.wav"), "-o", str(out), "--model", model]
    assert run(arguments) == 1
    assert out.read_bytes() == b"mine"
    assert run([*arguments, "--force"]) == 0
    assert soundfile.info(out).frames == 8000
    assert capsys.readouterr().out == ""
