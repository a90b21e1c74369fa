"""Speech and noise that are mixed for a run."""

import numpy as np
import pytest

from keras_segan import audio
from keras_segan.data import sources
from keras_segan.data.manifest import Manifest
from keras_segan.errors import DataError


def signal(seed, samples):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    for number, (place, name, samples) in enumerate(
        [
            ("train_speech", "a", 8000),
            ("train_speech", "b", 9000),
            ("train_noise", "n1", 20000),
            ("train_noise", "n2", 3000),
            ("train_noise", "n3", 20000),
            ("test_speech", "c", 8000),
            ("test_noise", "pink", 30000),
        ]
    ):
        (tmp_path / place).mkdir(exist_ok=True)
        audio.write(tmp_path / place / f"{name}.wav", signal(number, samples))
    return tmp_path


def test_four_folders_are_recognised_and_mixed(folder, tmp_path):
    found = sources.recognise(folder)
    assert found.corpus == "folder"
    assert found.counts((0.0, 5.0), 2) == {"train": 8, "test": 2}
    manifest = sources.mix(found, tmp_path / "out", (0.0, 5.0))
    assert {s: len(manifest.split(s)) for s in ("train", "test")} == found.counts((0.0, 5.0))
    assert manifest.corpus == "folder"
    assert {u.noise for u in manifest.split("test")} == {"pink"}
    for u in manifest.utterances:
        clean, noisy = audio.read_mono(u.clean).astype(float), audio.read_mono(u.noisy).astype(float)
        assert np.abs(noisy).max() == pytest.approx(1, abs=1e-6)
        ratio = 10 * np.log10(np.mean(clean**2) / np.mean((noisy - clean) ** 2))
        assert ratio == pytest.approx(u.snr, abs=1e-4)
    assert Manifest.read(tmp_path / "out" / "manifest.csv").utterances == manifest.utterances


def test_speeds_are_for_training_speech(folder, tmp_path):
    found = sources.recognise(folder)
    manifest = sources.mix(found, tmp_path / "out", speeds=(0.8, 1.0))
    assert {s: len(manifest.split(s)) for s in ("train", "test")} == found.counts(speeds=(0.8, 1.0))
    lengths = [audio.seconds(u.clean) for u in manifest.split("train")]
    assert lengths[0] == pytest.approx(lengths[2] / 0.8, rel=1e-3)
    (test,) = manifest.split("test")
    assert audio.seconds(test.clean) == audio.seconds(found.speech["test"]["c"])


def test_training_speech_has_levels_of_its_own(folder, tmp_path):
    found = sources.recognise(folder)
    same = sources.mix(found, tmp_path / "same")
    manifest = sources.mix(found, tmp_path / "out", train_snrs=(5, 15, 25), magnification=1)
    levels = {split: [u.snr for u in manifest.split(split)] for split in ("train", "test")}
    assert levels == {"train": [5, 5, 15, 15, 25, 25], "test": [0]}
    counts = found.counts(train_snrs=(5, 15, 25), magnification=1)
    assert counts == {split: len(of_split) for split, of_split in levels.items()}
    (test,), (unchanged,) = manifest.split("test"), same.split("test")
    np.testing.assert_array_equal(audio.read_mono(test.noisy), audio.read_mono(unchanged.noisy))


def test_a_preview_counts_and_reads_nothing(folder):
    found = sources.recognise(folder)
    preview = sources.preview(found, magnification=2, speeds=(0.9, 1.0))
    assert {s: len(preview.split(s)) for s in ("train", "test")} == {"train": 8, "test": 1}
    assert preview.mean_seconds() == pytest.approx(8400 / 16000, abs=0.02)


def test_bad_files_are_named_and_left_out(folder, tmp_path):
    (folder / "train_speech" / "broken.wav").write_text("no audio")
    half = np.concatenate([np.zeros(60000, np.float32), signal(1, 100)])
    audio.write(folder / "test_noise" / "silent.wav", half)
    told = []
    manifest = sources.mix(sources.recognise(folder), tmp_path / "out", problem=told.append)
    assert len(manifest.split("train")) == 4
    assert [u.noise for u in manifest.split("test")] == ["pink"]
    assert any("broken.wav" in sentence for sentence in told)
    assert any("silent.wav" in sentence and "silent where" in sentence for sentence in told)


def test_other_folders_are_not_taken_for_sources(tmp_path):
    assert sources.recognise(tmp_path) is None


def test_an_empty_folder_is_named(folder):
    (folder / "test_noise" / "pink.wav").unlink()
    with pytest.raises(DataError, match="test_noise: holds no audio"):
        sources.recognise(folder)


def test_one_recording_of_each_listed_type_of_test_noise(tmp_path):
    files = {"clean_speech/a.wav": 1, "clean_speech/b.wav": 2, "noises/noise115/n1.wav": 3}
    files |= {"noises/noisex92/pink.wav": 4, "noises/x/first.wav": 5, "noises/x/second.wav": 6}
    for name, seed in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        audio.write(tmp_path / name, signal(seed, 8000))
    speech = "file,split\nclean_speech/a.wav,train\nclean_speech/b.wav,test\n"
    (tmp_path / "clean_speech" / "index.csv").write_text(speech)
    assert set(sources.recognise(tmp_path).noise["test"]) == {"pink"}
    rows = ["hum,test,noises/x/first.wav", "hum,test,noises/x/second.wav", "rain,train,noises/x/shower.wav"]
    rows += ["nonspeech,train,noises/noise115/n1.wav", "nonspeech,spare,noises/x/spare.wav"]
    audio.write(tmp_path / "noises" / "noisex92" / "white.wav", signal(7, 8000))
    rows += ["white,later,noises/noisex92/white.wav"]  # kept for another use
    (tmp_path / "noises" / "index.csv").write_text("\n".join(["type,split,file", *rows, ""]))
    noise = sources.recognise(tmp_path).noise
    names = {split: {name: path.name for name, path in noise[split].items()} for split in noise}
    assert names["test"] == {"pink": "pink.wav", "hum": "first.wav"}
    assert names["train"] == {"n1": "n1.wav", "shower": "shower.wav"}
    audio.write(tmp_path / "noises" / "noise115" / "n1.flac", signal(8, 8000))
    with pytest.raises(DataError, match="has the same name"):
        sources.recognise(tmp_path)


def test_corpora_beside_the_repository_are_known(shared):
    found = sources.recognise(shared("data/sednn_mini"))
    assert (found.corpus, found.counts()) == ("sednn-mini", {"train": 8, "test": 4})
    found = sources.recognise(shared("data"))
    assert (found.corpus, found.counts()) == ("read-speech-noise115", {"train": 2032, "test": 1328})
    others = {"babble_crowd", "demand", "kitchen", "vacuum_cleaner", "washer_dryer"}
    assert set(found.noise["test"]) == {"leopard", "m109", "machinegun"} | others
    speakers = {split: {name.split("-")[0] for name in found.speech[split]} for split in ("train", "test")}
    assert not speakers["train"] & speakers["test"]
