import io
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import keras_segan as ks
from keras_segan.cli import run
from keras_segan.models import metricgan, registry
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
    x = np.random.default_rng(0).normal(0, 0.3, 8000).clip(-1, 1)
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


@pytest.mark.parametrize("name", registry.entries())
def test_a_bundled_model_follows_the_level(name):
    time = np.arange(24000) / 16000
    voice = 0.2 * np.sin(2 * np.pi * 150 * time) * (np.sin(2 * np.pi * 3 * time) > 0)
    loud = (voice + np.random.default_rng(0).normal(0, 0.03, time.size)).astype("float32")
    model = ks.load_model(name)
    expected, quiet = (
        ks.enhance(model, gain * loud, 16000) / gain for gain in (np.float32(1), np.float32(0.05))
    )
    assert np.linalg.norm(quiet - expected) < 0.5 * np.linalg.norm(expected)


def test_without_a_model_named_the_best_bundled_one_enhances(noisy, tmp_path, monkeypatch):
    monkeypatch.delenv("KSEG_MODELS", raising=False)
    gains = {name: e.facts["scores"]["pesq-wb-lqo"]["gain"] for name, e in registry.entries().items()}
    best = max(gains, key=gains.get)
    outputs = []
    for words in ([], ["--model", best]):
        outputs.append(tmp_path / f"{len(words)}.wav")
        assert run(["enhance", str(noisy / "a.wav"), "-o", str(outputs[-1]), *words]) == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_existing_outputs_are_kept_without_force(model, noisy, tmp_path, capsys):
    out = tmp_path / "a.wav"
    out.write_bytes(b"mine")
    arguments = ["enhance", str(noisy / "a.wav"), "-o", str(out), "--model", model]
    assert run(arguments) == 1
    assert out.read_bytes() == b"mine"
    assert run([*arguments, "--force"]) == 0
    assert soundfile.info(out).frames == 8000
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("suffix", "settings"),
    [
        ("wav", (8000, 1, "PCM_U8")),
        ("wav", (44100, 2, "PCM_24")),
        ("wav", (48000, 6, "FLOAT")),
        ("wav", (8000, 1, "ULAW")),
        ("ogg", (22050, 2, "VORBIS")),
        ("mp3", (44100, 1, "MPEG_LAYER_III")),
        ("aif", (32000, 1, "PCM_16")),
        ("au", (96000, 1, "PCM_32")),
        ("w64", (16000, 1, "DOUBLE")),
    ],
)
def test_formats(suffix, settings, model, tmp_path):
    rate, channels, subtype = settings
    source, target = tmp_path / f"noisy.{suffix}", tmp_path / f"enhanced.{suffix}"
    x = np.random.default_rng(0).normal(0, 0.1, (9001, channels))
    with soundfile.SoundFile(
        source, "w", rate, channels, subtype, format={"aif": "AIFF"}.get(suffix, suffix.upper())
    ) as file:
        file.write(x)
    assert run(["enhance", str(source), "-o", str(target), "--model", model]) == 0
    before, after = soundfile.info(source), soundfile.info(target)
    for name in ("samplerate", "channels", "frames", "subtype", "format"):
        assert getattr(after, name) == getattr(before, name), name


def test_unusable_files_are_named_and_do_not_stop_the_rest(model, noisy, tmp_path, capsys):
    x = np.random.default_rng(0).normal(0, 0.1, 16000)
    whole = (noisy / "a.wav").read_bytes()
    (noisy / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (noisy / "empty.wav").write_bytes(b"")
    soundfile.write(noisy / "no-samples.wav", np.zeros(0), 16000)
    soundfile.write(noisy / "nan.wav", np.where(np.arange(16000) == 8000, np.nan, x), 16000, subtype="FLOAT")
    soundfile.write(noisy / "silent.wav", np.zeros(16000), 16000)
    soundfile.write(noisy / "z-last.wav", x, 16000)
    out = tmp_path / "out"
    assert run(["enhance", str(noisy), "-o", str(out), "--model", model]) == 1
    message = capsys.readouterr().err
    for name, word in {
        "cut": "truncated",
        "empty": "no bytes",
        "no-samples": "no samples",
        "nan": "0.500 s",
    }.items():
        line = next(
            line for line in message.splitlines() if line.startswith("Error") and f"{name}.wav" in line
        )
        assert word in line
    assert "silent)" in message
    assert not soundfile.read(out / "silent.wav")[0].any()
    assert (out / "z-last.wav").exists()
    assert not list(out.rglob(".writing*"))


def test_nothing_clips_and_the_gain_is_told(model, tmp_path, capsys):
    # A square wave overshoots when it is resampled.
    square = np.sign(np.sin(2 * np.pi * 300 * np.arange(44100) / 44100))
    soundfile.write(tmp_path / "loud.wav", square, 44100, subtype="FLOAT")
    arguments = ["enhance", str(tmp_path / "loud.wav"), "-o", str(tmp_path / "out.wav"), "--model", model]
    assert run([*arguments, "--mask-floor", "1"]) == 0
    assert "gain 0." in capsys.readouterr().err
    assert np.abs(soundfile.read(tmp_path / "out.wav")[0]).max() <= 1.0


def test_dry_is_the_input(model, noisy, tmp_path):
    arguments = ["enhance", str(noisy / "a.wav"), "-o", str(tmp_path / "dry.wav"), "--model", model]
    assert run([*arguments, "--wet", "0", "-q"]) == 0
    before, after = (
        soundfile.read(path, dtype="int16")[0] for path in (noisy / "a.wav", tmp_path / "dry.wav")
    )
    np.testing.assert_array_equal(before, after)


def test_standard_input_and_output(model, noisy, tmp_path, monkeypatch):
    class Stream:
        def __init__(self, content=b""):
            self.buffer = io.BytesIO(content)

    class Output(Stream):
        def write(self, text):
            raise AssertionError(f"text on standard output: {text}")

        flush = isatty = lambda self: False

    assert run(["enhance", str(noisy / "a.wav"), "-o", str(tmp_path / "file.wav"), "--model", model]) == 0
    monkeypatch.setattr(sys, "stdin", Stream((noisy / "a.wav").read_bytes()))
    output = Output()
    monkeypatch.setattr(sys, "stdout", output)
    assert run(["enhance", "-", "-o", "-", "--model", model]) == 0
    assert output.buffer.getvalue() == (tmp_path / "file.wav").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["-", "a.wav", "-o", "out"], "one file"),
        (["noisy", "-o", "-"], "one file"),
        (["noisy", "-o", "noisy/a.wav"], "is a file"),
        (["noisy/a.wav", "-o", "x.wav", "--wet", "2"], "--wet"),
        (["noisy/a.wav", "-o", "x.wav", "--backend", "torch"], "--backend"),
    ],
)
def test_wrong_use(arguments, word, model, noisy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["enhance", *arguments, "--model", model]) == 2
    assert word in capsys.readouterr().err


def test_a_folder_may_hold_its_own_output(model, noisy, monkeypatch, capsys):
    monkeypatch.chdir(noisy)
    for path in (Path("text.wav"),):
        path.unlink()
    assert run(["enhance", ".", "-o", "out", "--model", model]) == 0
    assert run(["enhance", ".", "-o", "out", "--model", model, "--force"]) == 0
    assert not Path("out/out").exists()
