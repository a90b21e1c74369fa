"""Listing of audio, and corpus folders that lose nothing."""

from dataclasses import replace

import numpy as np
import pytest

from keras_segan import audio
from keras_segan.data import corpora, mini, mixing
from keras_segan.data.folders import CorpusFolder, audio_files
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.errors import DataError, DataUsageError


def noise(seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(1600)).astype(np.float32)


def put(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, noise(seed))
    return path


@pytest.fixture
def manifest(tmp_path):
    files = [
        [put(tmp_path / f"{kind}{k}.wav", seed) for seed, kind in ((k, "c"), (9 - k, "n"))] for k in (0, 1)
    ]
    return Manifest(tuple(Utterance(f"u{k}", *pair) for k, pair in enumerate(files)))


def listed(folder):
    return {(u.split, u.id) for u in Manifest.read(folder / "manifest.csv").utterances}


def test_linked_folders_are_listed_and_broken_ones_named(tmp_path):
    put(tmp_path / "other" / "b.wav")
    put(tmp_path / "a" / "a.wav")
    (tmp_path / "a" / "more").symlink_to("../other")
    assert list(audio_files(tmp_path / "a")) == ["a", "more/b"]
    (tmp_path / "a" / "gone").symlink_to("../nowhere")
    with pytest.raises(DataError, match="gone: is a broken link"):
        audio_files(tmp_path / "a")
    problems = {}
    assert list(audio_files(tmp_path / "a", problems)) == ["a", "more/b"]
    assert list(problems) == [tmp_path / "a" / "gone"]


def test_two_names_in_two_unicode_forms_are_refused(tmp_path):
    put(tmp_path / "caf\u00e9.wav")
    put(tmp_path / "cafe\u0301.wav")
    with pytest.raises(DataError, match="Unicode form"):
        audio_files(tmp_path)


def test_a_second_split_is_added_and_a_repetition_changes_nothing(tmp_path, manifest):
    out = tmp_path / "out"
    test = Manifest(tuple(replace(u, split="test") for u in manifest.utterances))
    for _ in range(2):
        corpora.prepare(manifest, out)
        returned = corpora.prepare(test, out)
        assert listed(out) == {("train", "u0"), ("train", "u1"), ("test", "test_u0"), ("test", "test_u1")}
    assert [u.id for u in returned.utterances] == ["test_u0", "test_u1"]


def test_a_users_manifest_stays_or_the_command_is_refused(tmp_path, manifest):
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.csv").write_text("id,clean,noisy\nmine,../c0.wav,../n1.wav\n")
    folder = CorpusFolder(out)
    corpora.prepare(manifest, folder)
    assert ("train", "mine") in listed(out)
    assert folder.kept == 1
    text = "id,clean,noisy,age\nmine,c.wav,n.wav,7\n"
    (out / "manifest.csv").write_text(text)
    with pytest.raises(DataError, match="the column 'age' would be lost"):
        corpora.prepare(manifest, out)
    with pytest.raises(DataError, match="the column 'age' would be lost"):
        mini.prepare(out)
    assert (out / "manifest.csv").read_text() == text


def test_a_manifest_that_cannot_be_read_is_not_overwritten(tmp_path, manifest):
    (tmp_path / "manifest.csv").write_text("something else")
    with pytest.raises(DataError, match="lacks the column"):
        corpora.prepare(manifest, tmp_path)
    assert (tmp_path / "manifest.csv").read_text() == "something else"


def test_a_file_of_other_content_is_replaced_only_when_asked(tmp_path, manifest):
    out = tmp_path / "out"
    corpora.prepare(manifest, out)
    other = Manifest((Utterance("u0", put(tmp_path / "x.wav", 5), put(tmp_path / "y.wav", 6)),))
    before = (out / "train" / "clean" / "u0.wav").read_bytes()
    with pytest.raises(DataError, match=r"u0\.wav: exists already with other content"):
        corpora.prepare(other, out)
    assert (out / "train" / "clean" / "u0.wav").read_bytes() == before
    corpora.prepare(other, CorpusFolder(out, force=True))
    assert (out / "train" / "clean" / "u0.wav").read_bytes() != before
    assert listed(out) == {("train", "u0"), ("train", "u1")}


def test_a_corpus_is_not_copied_onto_itself(tmp_path, manifest):
    copy = corpora.prepare(manifest, tmp_path / "out")
    with pytest.raises(DataUsageError, match="a file of the corpus itself"):
        corpora.prepare(copy, CorpusFolder(tmp_path / "out", force=True))


def test_an_id_that_is_no_file_name_writes_nothing(tmp_path, manifest):
    bad = Manifest((replace(manifest.utterances[0], id="../../escaped"),))
    with pytest.raises(DataError, match="holds a slash"):
        corpora.prepare(bad, tmp_path / "a" / "out")
    assert not list(tmp_path.rglob("*escaped*"))


def test_mixing_keeps_the_places_of_earlier_calls(tmp_path):
    for k in range(2):
        put(tmp_path / "speech" / f"s{k}.wav", k)
    put(tmp_path / "noise" / "deep" / "n0.wav", 7)
    for split in ("train", "test", "train"):
        mixing.mix_folders(tmp_path / "speech", tmp_path / "noise", tmp_path / "out", (0.0,), 1, split=split)
    assert listed(tmp_path / "out") >= {("train", "s0.deep_n0.0dB"), ("test", "test_s0.deep_n0.0dB")}
    rows = (tmp_path / "out" / "mixtures.csv").read_text().splitlines()
    assert len(rows) == 5
    assert {row.split(",")[0] for row in rows[1:]} == {name for _, name in listed(tmp_path / "out")}
