"""What one command writes the next one reads: scan, join, mix, prepare, enhance and evaluate, by layout."""

import csv
import json
import os

import numpy as np
import pytest
import soundfile

from keras_segan import cli
from keras_segan.front_ends import SpectralMaskFrontEnd
from keras_segan.inference import WaveformEnhancer
from keras_segan.metrics.items import score_item

RATE = 16000


class Passing(WaveformEnhancer):
    """An enhancer that passes the noisy signal on."""

    input_rank = 3

    def __init__(self):
        self.front_end = SpectralMaskFrontEnd()
        self.information = {}
        self.infer = np.ones_like


class HereAndNow:
    """Scores in this process, which is faster for a few files than starting workers."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def map(self, items):
        return map(score_item, items)


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setattr("keras_segan.cli.options.load_enhancer", lambda *_: Passing())
    monkeypatch.setattr("keras_segan.metrics.pool.ScoringPool", HereAndNow)
    monkeypatch.chdir(tmp_path)


def kseg(capsys, *words):
    code = cli.run(list(map(str, words)))
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def put(path, waveform):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        soundfile.write(file, waveform, RATE, format=path.suffix[1:].upper(), subtype="PCM_16")


def corpus(root, names, clean_suffix=".wav"):
    """Writes pairs each of which has a signal-to-noise ratio of its own."""
    rng = np.random.default_rng(0)
    for number, (clean, noisy) in enumerate(names):
        speech, noise = 0.05 * rng.standard_normal((2, RATE // 4))
        put(root / "clean" / f"{clean}{clean_suffix}", speech)
        put(root / "noisy" / f"{noisy}.wav", speech + noise * 10 ** (-number / 20))


def flat(root):
    corpus(root, [(name, name) for name in ("u0", "u1", "a b", "=x", "-y")])


def by_noise(root):
    corpus(root, [(f"{noise}/{name}",) * 2 for noise in ("bus", "cafe") for name in ("s1", "s2")])


def one_noise(root):
    corpus(root, [("bus/s1", "bus/s1")])


def by_speaker(root):
    corpus(root, [(f"p{k}/x/p{k}_{n}",) * 2 for k in range(2) for n in range(2)] + [("p_0", "p_0")])


def other_suffix(root):
    corpus(root, [("u.0", "u.0"), ("a/u.1", "a/u.1")], ".flac")


def other_unicode_and_case(root):
    corpus(root, [("caf\u00e9", "cafe\u0301"), ("U1", "u1"), ("日本", "日本")])


def not_utf8(root):
    corpus(root, [("caf\udce9", "caf\udce9"), ("u1", "u1")])


def linked(root):
    by_noise(root / "elsewhere")
    for kind in ("clean", "noisy"):
        (root / kind).mkdir()
        (root / kind / "linked").symlink_to(root / "elsewhere" / kind)
        (root / kind / "loop").symlink_to(".")


LAYOUTS = [flat, by_noise, one_noise, by_speaker, other_suffix, other_unicode_and_case, not_utf8, linked]


def everything_is_scored_with_its_own_file(capsys, manifest, enhanced, count):
    """An enhancer that passes on has the scores of its input, and each pair has another one."""
    kseg(
        capsys,
        "evaluate",
        "--manifest",
        manifest,
        "--enhanced",
        enhanced,
        "--metrics",
        "snr",
        "--csv",
        "s.csv",
    )
    with open("s.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count
    for row in rows:
        assert float(row["snr"] or "nan") == pytest.approx(float(row["noisy_snr"]), abs=0.1)
    assert len({round(float(row["noisy_snr"]), 1) for row in rows}) == count


def files_below(folder):
    return sum(len(names) for _, _, names in os.walk(folder, followlinks=False))


@pytest.mark.parametrize("place", ["m.csv", "deep/er/m.csv", "linked/m.csv"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_scan_enhance_evaluate(layout, place, tmp_path, capsys):
    layout(tmp_path)
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "linked").symlink_to("far/away")
    kseg(capsys, "data", "scan", "clean", "noisy", "--split", "test", "-o", place)
    kseg(capsys, "data", "check", place, "--no-metrics")
    kseg(capsys, "enhance", "noisy", "-o", "enhanced", "-q")
    count = files_below("enhanced")
    assert count == files_below("elsewhere/noisy" if layout is linked else "noisy")
    everything_is_scored_with_its_own_file(capsys, place, "enhanced", count)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scan_prepare_enhance_evaluate(layout, tmp_path, capsys):
    layout(tmp_path)
    kseg(capsys, "data", "scan", "--test", "clean", "noisy", "-o", "m.csv")
    for _ in range(2):  # the second time nothing is left to do
        kseg(capsys, "data", "prepare", "m.csv", "--out", "copy", "-q")
    kseg(capsys, "enhance", "copy/test/noisy", "-o", "enhanced", "-q")
    everything_is_scored_with_its_own_file(capsys, "copy/manifest.csv", "enhanced", files_below("enhanced"))
    kseg(capsys, "enhance", "copy", "-o", "all", "-q")
    kseg(capsys, "data", "check", "copy", "--no-metrics")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_enhance_and_evaluate_by_folders(layout, tmp_path, capsys):
    layout(tmp_path)
    kseg(capsys, "enhance", "noisy", "-o", "enhanced", "-q")
    words = ("--clean", "clean", "--enhanced", "enhanced", "--noisy", "noisy", "--metrics", "snr", "--json")
    rows = json.loads(kseg(capsys, "evaluate", *words))["rows"]
    assert len(rows) == files_below("enhanced")
    for row in rows:
        assert row["scores"]["snr"] == pytest.approx(row["noisy"]["snr"], abs=0.1)


def test_two_splits_of_one_tree(tmp_path, capsys):
    for split in ("train", "test"):
        by_noise(tmp_path / split)
    kseg(
        capsys,
        "data",
        "scan",
        "--train",
        "train/clean",
        "train/noisy",
        "--test",
        "test/clean",
        "test/noisy",
        "-o",
        "m.csv",
    )
    for split in ("train", "test"):
        words = ("--split", split, "-o", f"{split}.csv")
        kseg(capsys, "data", "scan", f"{split}/clean", f"{split}/noisy", *words)
    kseg(capsys, "data", "join", "train.csv", "test.csv", "-o", "joined.csv")
    assert (tmp_path / "joined.csv").read_text() == (tmp_path / "m.csv").read_text()
    kseg(capsys, "enhance", "test/noisy", "-o", "e", "-q")
    everything_is_scored_with_its_own_file(capsys, "m.csv", "e", 4)
    out = json.loads(kseg(capsys, "data", "check", "m.csv", "--no-metrics", "--json"))
    assert {split: counts["pairs"] for split, counts in out["counts"].items()} == {"train": 4, "test": 4}


def test_what_scan_prints_is_a_manifest(tmp_path, capsys):
    flat(tmp_path)
    (tmp_path / "m.csv").write_text(kseg(capsys, "data", "scan", "clean", "noisy"), encoding="utf-8")
    kseg(capsys, "data", "check", "m.csv", "--no-metrics")


def test_metricgans_tree(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for number, (noise, level, name) in enumerate(
        (noise, level, name) for noise in ("engine", "street") for level in (-4, 2.5) for name in ("a", "b")
    ):
        speech = 0.05 * np.random.default_rng(ord(name)).standard_normal(RATE // 2)
        added = rng.standard_normal(RATE // 2) * 0.05 * 10 ** (-number / 20)
        put(tmp_path / "data/Test/Clean" / f"{name}.wav", speech)
        put(tmp_path / "data/Test/Noisy" / f"{noise}.wav" / f"{level}dB" / f"{name}.wav", speech + added)
    kseg(capsys, "data", "join", "data", "-o", "m.csv")
    kseg(capsys, "enhance", "data/Test/Noisy", "-o", "e", "-q")
    everything_is_scored_with_its_own_file(capsys, "m.csv", "e", 8)
    kseg(capsys, "data", "prepare", "data", "--out", "copy", "-q")
    kseg(capsys, "enhance", "copy/validation/noisy", "-o", "e2", "-q")
    everything_is_scored_with_its_own_file(capsys, "copy/manifest.csv", "e2", 8)


def test_mix_enhance_evaluate(tmp_path, capsys):
    by_noise(tmp_path)
    for split in ("train", "test", "train"):
        words = ("--speech", "clean", "--noise", "noisy/bus", "--all-noises", "--split", split)
        kseg(capsys, "data", "mix", *words, "--snr", 3, "--out", "corpus", "-q")
    kseg(capsys, "enhance", "corpus/test/noisy", "-o", "e", "-q")
    words = ("--manifest", "corpus/manifest.csv", "--enhanced", "e", "--metrics", "snr", "--json")
    rows = json.loads(kseg(capsys, "evaluate", *words))["rows"]
    assert len(rows) == 8
    assert all(row["scores"]["snr"] == pytest.approx(row["noisy"]["snr"], abs=0.1) for row in rows)
    with open("corpus/mixtures.csv", newline="") as file:
        places = {row["id"] for row in csv.DictReader(file)}
    with open("corpus/manifest.csv", newline="") as file:
        assert {row["id"] for row in csv.DictReader(file)} == places
    assert len(places) == 16
