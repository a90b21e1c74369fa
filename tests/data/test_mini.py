import csv
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pesq import pesq
from pystoi import stoi

from keras_segan import audio
from keras_segan.data import corpora, mini
from keras_segan.data.manifest import Manifest
from keras_segan.errors import KsegError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mini")
    return folder, mini.prepare(folder)


def test_counts_are_those_of_the_known_corpus(prepared):
    _, manifest = prepared
    assert manifest.corpus == "mini"
    assert Counter(u.split for u in manifest.utterances) == corpora.CORPORA["mini"].counts


def test_voices_noises_and_sentences_of_the_splits_are_apart():
    rows = mini.mixing_list()
    for column in ("speaker", "noise", "clean"):
        seen = {split: {r[column] for r in rows if r["split"] == split} for split in corpora.SPLITS}
        assert not seen["train"] & (seen["validation"] | seen["test"])
        assert not seen["validation"] & seen["test"]
    assert len({r["clean"] for r in rows}) == len(rows)


def test_every_noise_and_snr_is_used_equally_often():
    rows = mini.mixing_list()
    for split, snrs in (("train", (0, 5, 10, 15)), ("test", (2.5, 7.5, 12.5, 17.5))):
        mine = [r for r in rows if r["split"] == split]
        assert set(Counter(float(r["snr"]) for r in mine)) == set(snrs)
        for column in ("snr", "noise"):
            assert len(set(Counter(r[column] for r in mine).values())) == 1


def test_files_are_sound_and_short_enough_for_a_quick_run(prepared):
    _, manifest = prepared
    assert corpora.verify(manifest) == []
    for u in manifest.utterances:
        clean, noisy = audio.read_mono(u.clean), audio.read_mono(u.noisy)
        assert 1.2 * 16000 <= len(clean) <= 2.2 * 16000
        assert np.abs(noisy).max() < 0.9901


def test_scores_are_in_the_usual_ranges(prepared):
    _, manifest = prepared
    scores = []
    for u in manifest.split("test"):
        clean, noisy = audio.read_mono(u.clean), audio.read_mono(u.noisy)
        scores.append((pesq(16000, clean, noisy, "wb"), stoi(clean, noisy, 16000)))
    quality, intelligibility = np.array(scores).T
    assert 1.1 < quality.min() < 1.4
    assert 2.3 < quality.max() < 3.0
    assert intelligibility.min() > 0.6
    assert pesq(16000, clean, clean, "wb") == pytest.approx(4.644, abs=0.001)


def test_preparing_again_leaves_equal_files_alone_and_repairs_others(prepared):
    folder, manifest = prepared
    first, second = manifest.utterances[0].noisy, manifest.utterances[1].noisy
    before = first.read_bytes()
    old = os.stat(second).st_mtime_ns - 10**12
    os.utime(second, ns=(old, old))
    first.write_bytes(before[:1000])
    assert mini.prepare(folder) == manifest
    assert first.read_bytes() == before
    assert os.stat(second).st_mtime_ns == old


def test_loading_the_folder_gives_the_manifest(prepared):
    folder, manifest = prepared
    loaded = corpora.load(folder)
    assert loaded == Manifest.read(folder / "manifest.csv")
    assert [(u.id, u.split, u.snr) for u in loaded.utterances] == [
        (u.id, u.split, u.snr) for u in manifest.utterances
    ]
    complete, sentence = corpora.completeness(loaded)
    assert not complete
    assert "not comparable" in sentence


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KsegError, match="file"):
        mini.prepare(tmp_path / "file" / "out")


def test_the_bundle_is_small_and_complete():
    files = [path for path in mini.SOURCE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 6e6
    named = {row[column] for row in mini.mixing_list() for column in ("clean", "noise_file")}
    assert named == {str(Path(*f.parts[-2:])) for f in files if f.suffix == ".flac"}
    with open(mini.SOURCE / "mixes.csv", newline="") as file:
        assert tuple(next(csv.reader(file))) == mini.MIX_COLUMNS
