import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from keras_segan import audio
from keras_segan.cli import run
from keras_segan.data import corpora, mini
from keras_segan.data.manifest import Manifest


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The mini corpus on disk."""
    folder = tmp_path_factory.mktemp("mini")
    mini.prepare(folder)
    return folder


@pytest.fixture
def pairs(tmp_path):
    """Four good pairs in train/{clean,noisy}."""
    rng = np.random.default_rng(0)
    for kind in ("clean", "noisy"):
        (tmp_path / "train" / kind).mkdir(parents=True)
        for k in range(4):
            put(tmp_path / "train" / kind / f"u{k}.wav", 0.1 * rng.standard_normal(8000))
    return tmp_path


def put(path, waveform, rate=16000):
    soundfile.write(path, waveform, rate)


def kseg(capsys, *words):
    """Runs `kseg data ...`; returns exit code, stdout and stderr."""
    code = run(["data", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_mini_writes_the_corpus(tmp_path, capsys):
    code, out, err = kseg(capsys, "mini", tmp_path / "out")
    assert code == 0
    assert out.strip() == str(tmp_path / "out" / "manifest.csv")
    assert "not comparable" in err
    assert len(Manifest.read(out.strip())) == 44


def test_scan_writes_a_manifest(pairs, capsys):
    folders = pairs / "train" / "clean", pairs / "train" / "noisy"
    code, out, err = kseg(capsys, "scan", *folders, "--split", "test", "-o", pairs / "new" / "m.csv")
    assert (code, err) == (0, "4 pairs.\n")
    assert out.strip() == str(pairs / "new" / "m.csv")
    assert [u.id for u in Manifest.read(out.strip()).split("test")] == ["u0", "u1", "u2", "u3"]
    code, out, _ = kseg(capsys, "scan", *folders)
    assert (code, len(out.splitlines())) == (0, 5)  # with its head


def test_scan_names_unpaired_files(pairs, capsys):
    folders = pairs / "train" / "clean", pairs / "train" / "noisy"
    (pairs / "train" / "clean" / "u2.wav").unlink()
    code, out, err = kseg(capsys, "scan", *folders)
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert "u2.wav: this file has no partner" in err
    code, out, _ = kseg(capsys, "scan", *folders, "--ignore-unpaired")
    assert (code, len(out.splitlines())) == (0, 4)


def test_check_describes_the_mini_corpus(corpus, capsys):
    code, out, _ = kseg(capsys, "check", corpus)
    assert code == 0
    assert "mini, not comparable" in out
    assert "test: 12 pairs" in out
    assert "noise: bus 3, cafe 3, rails 3, siren 3" in out
    assert "snr: 0 6, 5 6, 10 6, 15 6" in out
    assert "No problems found." in out
    assert "No noisy row is published" in out


def test_check_prints_clean_json(corpus, capsys):
    code, out, _ = kseg(capsys, "check", corpus, "--json", "--no-metrics")
    found = json.loads(out)
    assert code == 0
    assert found["corpus"] == "mini"
    assert found["complete"] is False
    assert found["counts"]["validation"] == {
        "pairs": 8,
        "speaker": {"grace": 4, "henry": 4},
        "noise": {"drill": 2, "engine": 2, "office": 2, "wind": 2},
        "snr": {"2.5": 2, "7.5": 2, "12.5": 2, "17.5": 2},
    }
    assert found["problems"] == []


def test_check_lists_every_bad_file_and_fails(pairs, capsys):
    clean, noisy = pairs / "train" / "clean", pairs / "train" / "noisy"
    put(clean / "u0.wav", np.zeros(8000))
    put(noisy / "u1.wav", np.full((8000, 2), 0.1))
    (noisy / "u2.wav").write_bytes((noisy / "u2.wav").read_bytes()[:5000])
    (noisy / "u3.wav").unlink()
    put(clean / "u4.wav", np.full(24000, 0.1), 48000)
    put(noisy / "u4.wav", np.full(24000, 0.1), 48000)
    code, out, _ = kseg(capsys, "check", pairs)
    assert code == 1
    for name, problem in (("u0", "silent"), ("u1", "2 channels"), ("u2", "truncated"), ("u3", "no partner")):
        assert any(f"{name}.wav: " in line and problem in line for line in out.splitlines())
    assert "2 files: is at 48000 Hz" in out
    assert "4 problems." in out


@pytest.mark.parametrize("words", [["check"], ["prepare", "--out", "copy"]])
def test_a_wrong_path_is_one_sentence(tmp_path, capsys, words):
    code, out, err = kseg(capsys, words[0], tmp_path / "nowhere", *words[1:])
    assert (code, out) == (1, "")
    assert err == f"Error: {tmp_path / 'nowhere'}: no such file or folder; check the path.\n"


@pytest.mark.parametrize(
    "words", [["scan", "one"], ["mix", "--speech", "a"], ["check", "x", "--scale", "0"], ["prepare", "x"]]
)
def test_wrong_use_is_exit_code_2(capsys, words):
    assert kseg(capsys, *words)[0] == 2


def known_corpus(corpus, monkeypatch, published):
    """Passes two files of the mini corpus off as the whole test set of a known corpus."""
    manifest = Manifest.read(corpus / "manifest.csv")
    members = tuple(replace(u, split="test") for u in manifest.split("test")[:2])
    path = corpus / "known.csv"
    Manifest(members, "known").write(path)
    known = corpora.Corpus("known", "Known corpus", {"test": 2}, {"stoi": published})
    monkeypatch.setitem(corpora.CORPORA, "known", known)
    return path


def test_check_compares_the_noisy_row(corpus, capsys, monkeypatch):
    from pystoi import stoi

    test = Manifest.read(corpus / "manifest.csv").split("test")[:2]
    scores = [stoi(audio.read_mono(u.clean), audio.read_mono(u.noisy), 16000) for u in test]
    right = round(float(np.mean(scores)), 2)
    path = known_corpus(corpus, monkeypatch, right)
    code, out, err = kseg(capsys, "check", path, "--json", "-q", "--jobs", 1)
    (row,) = json.loads(out)["noisy_row"]
    assert (code, err, row["verdict"]) == (0, "", "match")
    assert row["ours"] == pytest.approx(np.mean(scores), abs=1e-3)


@pytest.mark.parametrize(
    ("verdict", "published", "code", "sentence"),
    [
        ("match", 0.81, 0, "match"),
        ("no match", 0.95, 1, "no match"),
        ("incomplete corpus (2 of 9)", 0.82, 0, "inside for all"),
        ("incomplete corpus (2 of 9)", 0.95, 0, "outside for stoi"),
    ],
)
def test_only_a_wrong_row_of_a_complete_corpus_is_a_failure(
    corpus, capsys, monkeypatch, verdict, published, code, sentence
):
    row = {
        "metric": "stoi",
        "definition": "stoi",
        "ours": 0.81,
        "low": 0.8,
        "high": 0.83,
        "n": 2,
        "failures": [],
    }
    row |= {"published": published, "verdict": verdict}
    monkeypatch.setattr("keras_segan.evaluation.check_noisy_row", lambda *args, **options: [row])
    found = kseg(capsys, "check", known_corpus(corpus, monkeypatch, published))
    assert found[0] == code
    assert sentence in found[1]


def test_check_keeps_its_findings_when_nothing_can_be_scored(corpus, capsys, monkeypatch, tmp_path):
    source = Manifest.read(known_corpus(corpus, monkeypatch, 0.9))
    silent = tmp_path / "silent.wav"
    put(silent, np.zeros(30000))
    Manifest(tuple(replace(u, clean=silent) for u in source.utterances), "known").write(tmp_path / "bad.csv")
    code, out, _ = kseg(capsys, "check", tmp_path / "bad.csv", "--jobs", 1)
    assert code == 1
    assert f"{silent}: is silent" in out
    assert "No noisy file could be scored" in out


def test_prepare_copies(pairs, capsys):
    put(pairs / "train" / "clean" / "u0.wav", np.full(24000, 0.1), 48000)
    put(pairs / "train" / "noisy" / "u0.wav", np.full(24000, 0.1), 48000)
    code, out, err = kseg(capsys, "prepare", pairs, "--out", pairs / "copy", "-q")
    assert (code, err) == (0, "4 pairs.\n")
    copy = Manifest.read(out.strip())
    assert all(soundfile.info(u.noisy).samplerate == 16000 for u in copy.utterances)
    assert kseg(capsys, "check", pairs / "copy")[0] == 0


def test_prepare_into_a_file_in_the_way(pairs, capsys):
    (pairs / "file").write_text("")
    code, _, err = kseg(capsys, "prepare", pairs, "--out", pairs / "file" / "copy", "-q")
    assert code == 1
    assert "cannot create this folder" in err


def test_mix_writes_mixtures_at_every_snr(pairs, capsys):
    folders = ["--speech", pairs / "train" / "clean", "--noise", pairs / "train" / "noisy"]
    words = ["mix", *folders, "--snr", 0, "--snr", 5, "--magnification", 3, "--seed", 7, "-q"]
    code, out, err = kseg(capsys, *words, "--out", pairs / "a")
    assert (code, err) == (0, "24 mixtures.\n")
    manifest = Manifest.read(out.strip())
    assert {u.snr for u in manifest.utterances} == {0.0, 5.0}
    assert corpora.verify(manifest) == []
    kseg(capsys, *words, "--out", pairs / "b")
    for u in manifest.utterances:
        other = pairs / "b" / u.noisy.relative_to(pairs / "a")
        assert u.noisy.read_bytes() == other.read_bytes()
    code, _, err = kseg(
        capsys, "mix", *folders, "--all-noises", "--split", "test", "--out", pairs / "c", "-q"
    )
    assert (code, err) == (0, "16 mixtures.\n")


def test_mix_writes_mixtures_at_every_speed(pairs, capsys):
    folders = ["--speech", pairs / "train" / "clean", "--noise", pairs / "train" / "noisy"]
    words = ["mix", *folders, "--speed", 0.9, "--speed", 1, "--magnification", 1, "-q"]
    code, _, err = kseg(capsys, *words, "--out", pairs / "a")
    assert (code, err) == (0, "8 mixtures.\n")
    with open(pairs / "a" / "mixtures.csv", newline="") as rows:
        assert [row["speed"] for row in csv.DictReader(rows)] == ["0.9", "1"] * 4
    code, _, err = kseg(capsys, *words[:5], "--speed", 0, "--out", pairs / "b", "-q")
    assert code == 2
    assert "speeds go from 0.1 to 10" in err


def test_mix_with_too_few_noises_is_wrong_use(pairs, capsys):
    folders = ["--speech", pairs / "train" / "clean", "--noise", pairs / "train" / "noisy"]
    code, _, err = kseg(capsys, "mix", *folders, "--magnification", 9, "--out", pairs / "out", "-q")
    assert code == 2
    assert "there are 4 noises" in err


def test_scan_takes_several_splits_and_join_their_manifests(pairs, capsys, monkeypatch):
    monkeypatch.chdir(pairs)
    both = ["train/clean", "train/noisy"]
    assert kseg(capsys, "scan", "--train", *both, "--test", *both, "-o", "m.csv")[0] == 0
    assert [(u.split, u.id) for u in Manifest.read("m.csv").utterances][3:5] == [
        ("train", "train_u3"),
        ("test", "test_u0"),
    ]
    kseg(capsys, "scan", *both, "-o", "train.csv")
    kseg(capsys, "scan", "--test", *both, "-o", "test.csv")
    code, out, err = kseg(capsys, "join", "train.csv", "test.csv", "-o", "joined.csv")
    assert (code, out, err) == (0, "joined.csv\n", "8 pairs.\n")
    assert (pairs / "joined.csv").read_text() == (pairs / "m.csv").read_text()
    code, _, err = kseg(capsys, "join", "train.csv", "train.csv")
    assert code == 1
    assert "Two pairs would get the id" in err


@pytest.mark.parametrize("words", [["scan"], ["scan", "one"], ["scan", "--train", "one"], ["join"]])
def test_scan_and_join_need_folders(capsys, words):
    assert kseg(capsys, *words)[0] == 2


def test_a_manifest_is_replaced_only_when_asked_and_nothing_else_ever(pairs, capsys, monkeypatch):
    monkeypatch.chdir(pairs)
    words = ["scan", "train/clean", "train/noisy", "-o"]
    for _ in range(2):  # the same content is no loss
        assert kseg(capsys, *words, "m.csv")[0] == 0
        assert kseg(capsys, *words, "new/m.csv")[0] == 0
    code, _, err = kseg(capsys, *words, "m.csv", "--split", "test")
    assert code == 2
    assert "m.csv: exists already; use --force to replace it" in err
    assert len(Manifest.read("m.csv").split("train")) == 4
    assert kseg(capsys, *words, "m.csv", "--split", "test", "--force")[0] == 0
    assert len(Manifest.read("m.csv").split("test")) == 4
    for name in ("train/clean/u0.wav", "train"):
        assert kseg(capsys, *words, name, "--force")[0] == 2
    assert kseg(capsys, "check", "m.csv", "--no-metrics")[0] == 0


def test_mix_adds_a_second_split(pairs, capsys):
    folders = ["--speech", pairs / "train" / "clean", "--noise", pairs / "train" / "noisy"]
    for split, rest in (("train", ""), ("test", " The manifest lists 4 pairs of earlier calls, too.")):
        words = ("--magnification", 1, "--split", split, "--out", pairs / "corpus", "-q")
        code, _, err = kseg(capsys, "mix", *folders, *words)
        assert (code, err) == (0, f"4 mixtures.{rest}\n")
    manifest = Manifest.read(pairs / "corpus" / "manifest.csv")
    assert (len(manifest.split("train")), len(manifest.split("test"))) == (4, 4)
