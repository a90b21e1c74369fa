import csv
import json
import os
import shutil
import threading

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from keras_segan import cli
from keras_segan.cli.evaluate import command
from keras_segan.data.manifest import Manifest, Utterance

RATE = 16000


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three good pairs and one whose enhanced file is silent."""
    root = tmp_path_factory.mktemp("evaluate")
    rng = np.random.default_rng(0)
    for side in ("clean", "noisy", "enhanced"):
        (root / side).mkdir()
    for name in ("a", "b", "c", "bad"):
        clean, noise = 0.1 * rng.standard_normal((2, RATE))
        for side, gain in (("clean", 0), ("noisy", 1), ("enhanced", 0.3)):
            soundfile.write(root / side / f"{name}.wav", clean + gain * noise, RATE)
    soundfile.write(root / "enhanced" / "bad.wav", np.zeros(RATE), RATE)
    good = tuple(
        Utterance(n, root / "clean" / f"{n}.wav", root / "noisy" / f"{n}.wav", "test", noise=noise)
        for n, noise in (("a", "car"), ("b", "bus"), ("c", "car"))
    )
    Manifest(good).write(root / "manifest.csv")
    return root


def run(capsys, *words) -> tuple[int, str, str]:
    code = cli.run(["evaluate", *map(str, words), "--jobs", "1"])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def pairs(folders) -> list[str]:
    return ["--clean", str(folders / "clean"), "--enhanced", str(folders / "enhanced")]


@pytest.mark.parametrize(("policy", "code", "n"), [("raise", 1, 3), ("skip", 0, 3), ("floor", 0, 4)])
def test_policies_and_their_exit_codes(folders, capsys, policy, code, n):
    got = run(capsys, *pairs(folders), "--metrics", "ssnr", "--on-error", policy, "--json")
    assert got[0] == code
    found = json.loads(got[1])  # results alone on stdout
    assert found["summary"]["ssnr"]["n"] == n
    assert (found["files"], found["failed"], found["floored"]) == (4, 1, n - 3)
    assert "Failed: bad: MetricError" in got[2]
    assert ("1 of 4 files could not be scored" in got[2]) == (code == 1)


def test_table_csv_and_improvement(folders, capsys, tmp_path):
    words = [*pairs(folders), "--noisy", folders / "noisy", "--on-error", "skip"]
    code, out, _ = run(capsys, *words, "--metrics", "ssnr, stoi", "--csv", tmp_path / "rows.csv")
    assert code == 0
    assert "3 of 4 files scored" in out
    line = next(line for line in out.splitlines() if line.startswith("SSNR")).split()
    with open(tmp_path / "rows.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["ssnr"]]
    assert len(rows) == 3
    values = np.array([[float(row["ssnr"]), float(row["noisy_ssnr"])] for row in rows])
    assert float(line[1]) == pytest.approx(values[:, 0].mean(), abs=1e-4)
    assert float(line[2]) == pytest.approx(values[:, 0].std(ddof=1), abs=1e-4)
    assert f"{np.diff(values).mean() * -1:+.4f}" in line
    assert line[-1] == "ssnr"  # the definition


def test_a_manifest_breaks_the_table_down_by_condition(folders, capsys, tmp_path):
    for name in "abc":
        shutil.copy(folders / "enhanced" / f"{name}.wav", tmp_path)
    words = ["--manifest", folders / "manifest.csv", "--enhanced", tmp_path, "--metrics", "ssnr"]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[-3:]] == [
        ["noise", "n"],
        ["bus", "1"],
        ["car", "2"],
    ]


def test_resampling_is_stated(folders, capsys, tmp_path):
    for side in ("clean", "enhanced"):
        (tmp_path / side).mkdir()
        for name in "ab":
            waveform = np.repeat(soundfile.read(folders / side / f"{name}.wav")[0], 3)
            soundfile.write(tmp_path / side / f"{name}.wav", waveform, 48000)
    code, _, err = run(capsys, *pairs(tmp_path), "--metrics", "ssnr")
    assert code == 0
    assert "Note: 2 files: resampled from 48000 to 16000 Hz." in err


@pytest.mark.parametrize(
    "words",
    [
        ["--enhanced", "{0}/enhanced"],
        ["--enhanced", "{0}/enhanced", "--clean", "{0}/clean", "--manifest", "{0}/manifest.csv"],
        ["--enhanced", "{0}/nowhere", "--clean", "{0}/clean"],
        ["--enhanced", "{0}/enhanced", "--clean", "{0}/clean", "--metrics", ","],
        ["--enhanced", "{0}/enhanced", "--clean", "{0}/clean", "--metrics", "pesk"],
        ["--enhanced", "{0}/enhanced", "--clean", "{0}/clean", "--metrics", "os.path:join"],
        ["--enhanced", "{0}/enhanced", "--clean", "{0}/clean", "--metrics", "snr", "--on-error", "floor"],
    ],
)
def test_wrong_use_exits_with_2_and_a_sentence(folders, capsys, words):
    code, out, err = run(capsys, *(word.format(folders) for word in words))
    assert (code, out) == (2, "")
    assert "Error: " in err


def test_help_names_every_policy():
    text = CliRunner().invoke(command, ["--help"]).output
    assert "[floor|skip|raise]" in text
    assert "--dask" in text


@pytest.mark.parametrize("name", ["file/s.csv", "x" * 300 + ".csv", "/dev/full"])
def test_scores_are_printed_and_kept_where_the_table_cannot_be_written(folders, capsys, tmp_path, name):
    (tmp_path / "file").write_text("x")
    words = [*pairs(folders), "--metrics", "ssnr", "--on-error", "skip"]
    code, out, err = run(capsys, *words, "--csv", tmp_path / name)
    assert code == 1
    assert "SSNR" in out
    kept = err.split("The lines are in ")[1].split(" instead")[0]
    with open(kept, newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["a", "b", "bad", "c"]
    shutil.rmtree(os.path.dirname(kept))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_missing_folders_are_made_for_the_table(folders, capsys, tmp_path):
    path = tmp_path / "new" / "s.csv"
    words = [*pairs(folders), "--metrics", "ssnr", "--on-error", "skip"]
    for _ in range(2):  # a table of scores is replaced
        assert run(capsys, *words, "--csv", path)[0] == 0
    assert [p.name for p in path.parent.iterdir()] == ["s.csv"]


def test_nothing_but_a_table_of_scores_is_replaced(folders, capsys):
    before = (folders / "manifest.csv").read_bytes()
    for name in ("manifest.csv", "clean/a.wav"):
        code, out, err = run(capsys, *pairs(folders), "--csv", folders / name)
        assert (code, out) == (2, "")
        assert "holds something else and will not be replaced" in err
    assert (folders / "manifest.csv").read_bytes() == before


def test_the_table_goes_into_a_pipe(folders, capsys, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()), daemon=True)
    reader.start()
    words = [*pairs(folders), "--metrics", "ssnr", "--on-error", "skip"]
    assert run(capsys, *words, "--csv", pipe)[0] == 0
    reader.join(10)
    assert got[0].startswith("id,speaker,noise,snr,ssnr,")
    assert pipe.is_fifo()


def test_the_metric_snr_does_not_take_the_column_of_the_level(folders, capsys, tmp_path):
    words = [*pairs(folders), "--metrics", "snr", "--on-error", "skip", "--csv", tmp_path / "s.csv"]
    run(capsys, *words)
    head = (tmp_path / "s.csv").read_text().splitlines()[0]
    assert head == "id,speaker,noise,nominal_snr,snr,failure,notes"


def test_one_file_is_not_scored_for_two_utterances(folders, capsys, tmp_path):
    utterances = []
    for noise in ("cafe", "bus"):
        (tmp_path / "noisy" / noise).mkdir(parents=True)
        noisy = shutil.copy(folders / "noisy" / "a.wav", tmp_path / "noisy" / noise / "s1.wav")
        utterances.append(Utterance(f"{noise}_s1", folders / "clean" / "a.wav", noisy, "test"))
    Manifest(tuple(utterances)).write(tmp_path / "m.csv")
    (tmp_path / "e").mkdir()
    shutil.copy(folders / "enhanced" / "a.wav", tmp_path / "e" / "s1.wav")
    words = ["--manifest", tmp_path / "m.csv", "--enhanced", tmp_path / "e", "--metrics", "ssnr"]
    code, out, err = run(capsys, *words)
    assert (code, out) == (1, "")
    assert "'s1' may be the output of 'cafe_s1' and 'bus_s1'" in err


def test_what_cannot_be_looked_into_is_named_and_the_rest_scored(folders, capsys, tmp_path):
    for side in ("clean", "enhanced"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "more").symlink_to(folders / side)
        (tmp_path / side / "gone").symlink_to("nowhere")
    words = [*pairs(tmp_path), "--metrics", "ssnr", "--json"]
    code, out, err = run(capsys, *words)
    assert code == 1
    assert json.loads(out)["scored"] == 3
    assert err.count("gone: Missing") == err.count("is a broken link") == 2
    assert "Failed: more/bad" in err
