"""Noisy, enhanced and clean files with their true score."""

import dataclasses
import json

import numpy as np
import pytest

from keras_segan import audio, labelling, metrics
from keras_segan.data.manifest import CLEAN, Manifest, Utterance
from keras_segan.errors import DataError, DataUsageError, FileError
from keras_segan.wiener import WienerFilter

RATE = 16000


class Louder:
    """A system that changes what a measure of level hears."""

    sample_rate = RATE

    def __init__(self):
        self.calls = 0

    def enhance(self, waveform):
        self.calls += 1
        return np.clip(waveform * 2, -1, 1).astype(np.float32)


@pytest.fixture
def manifest(tmp_path):
    rng = np.random.default_rng(0)
    utterances = []
    for number in range(6):
        clean = (0.1 * rng.standard_normal(RATE)).astype(np.float32)
        noisy = clean + (0.05 * rng.standard_normal(RATE)).astype(np.float32)
        paths = [tmp_path / kind / f"u{number}.wav" for kind in ("clean", "noisy")]
        for path, waveform in zip(paths, (clean, noisy), strict=True):
            path.parent.mkdir(exist_ok=True)
            audio.write(path, waveform, RATE)
        speaker, noise = f"s{number % 3}", f"n{number % 2}"
        utterances.append(Utterance(f"u{number}", *paths, speaker=speaker, noise=noise))
    return Manifest(tuple(utterances), "folder")


def test_every_file_stands_with_its_score_and_its_group(manifest, tmp_path):
    systems = {"louder": Louder(), "wiener": WienerFilter()}
    corpus = labelling.Corpus(manifest, systems, clean_share=0.25)
    scored = labelling.label(corpus, tmp_path / "out", "si-sdr")
    groups = [u.group for u in scored.utterances]
    assert {name: groups.count(name) for name in set(groups)} == {"noisy": 6, "enhanced": 6, "clean": 3}
    assert [u.system for u in scored.utterances if u.group == "enhanced"] == ["louder"] * 3 + ["wiener"] * 3
    for u in scored.utterances:
        assert u.definition == "si-sdr"
        if u.group != "clean":
            expected = metrics.score(["si-sdr"], audio.read(u.clean)[0], audio.read(u.noisy)[0], RATE)
            assert u.score == pytest.approx(expected["si-sdr"], abs=1e-6)
    assert all(u.noisy == u.clean for u in scored.utterances if u.group == CLEAN)


def test_the_manifest_keeps_scores(manifest, tmp_path):
    scored = labelling.label(labelling.Corpus(manifest, {}, 0.0), tmp_path / "out", "stoi")
    scored.write(tmp_path / "scored.csv")
    assert Manifest.read(tmp_path / "scored.csv") == scored
    manifest.write(tmp_path / "plain.csv")
    assert "score" not in (tmp_path / "plain.csv").read_text().splitlines()[0]
    text = (tmp_path / "scored.csv").read_text().replace(repr(scored.utterances[0].score), "high", 1)
    (tmp_path / "wrong.csv").write_text(text)
    with pytest.raises(FileError, match="high"):
        Manifest.read(tmp_path / "wrong.csv")


def test_an_interrupted_call_goes_on(manifest, tmp_path):
    first, again = Louder(), Louder()
    folder = tmp_path / "out"
    whole = labelling.label(labelling.Corpus(manifest, {"louder": first}, 0.0), folder, "stoi")
    lines = (folder / labelling.JOURNAL).read_text().splitlines(keepends=True)
    (folder / labelling.JOURNAL).write_text("".join(lines[:-2]) + lines[-2][:20])
    assert labelling.label(labelling.Corpus(manifest, {"louder": again}, 0.0), folder, "stoi") == whole
    assert (first.calls, again.calls) == (6, 2)


def test_scores_of_two_definitions_are_not_mixed(manifest, tmp_path):
    labelling.label(labelling.Corpus(manifest, {}, 0.0), tmp_path / "out", "stoi")
    with pytest.raises(DataError, match="holds stoi"):
        labelling.label(labelling.Corpus(manifest, {}, 0.0), tmp_path / "out", "si-sdr")


def test_a_file_that_cannot_be_scored_is_left_out_and_named(manifest, tmp_path):
    audio.write(manifest.utterances[2].noisy, np.zeros(RATE, np.float32), RATE)
    scored = labelling.label(labelling.Corpus(manifest, {}, 0.0), tmp_path / "out", "stoi")
    assert "u2" not in [u.id for u in scored.utterances]
    entries = [json.loads(line) for line in (tmp_path / "out" / labelling.JOURNAL).read_text().splitlines()]
    assert [e["id"] for e in entries if e["failure"]] == ["u2"]


def test_speakers_and_noises_are_held_out(manifest):
    found = labelling.disjoint(manifest, speakers=1, noises=1, seed=0)
    train, validation = found.split("train"), found.split("validation")
    assert train
    assert validation
    for fact in ("speaker", "noise"):
        assert not {getattr(u, fact) for u in train} & {getattr(u, fact) for u in validation}
    assert len(labelling.disjoint(manifest, speakers=1)) == len(manifest)
    with pytest.raises(DataUsageError, match="3 speakers"):
        labelling.disjoint(manifest, speakers=3)


def test_the_balance_counts_files_by_range():
    scores = [0.2, 0.4999, 0.5, 4.5]
    utterances = [Utterance(str(n), "c", "n", score=score) for n, score in enumerate(scores)]
    utterances[3] = dataclasses.replace(utterances[3], system=CLEAN)
    counts = {(r["group"], r["from"]): r["count"] for r in labelling.balance(Manifest(tuple(utterances)))}
    assert counts == {("noisy", 0.0): 2, ("noisy", 0.5): 1, ("clean", 4.5): 1}
