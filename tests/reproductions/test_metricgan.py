"""MetricGAN from data to table on a tiny corpus, as a user would run it."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

COMMAND = [
    sys.executable,
    "-m",
    "keras_segan",
    "reproduce",
    "metricgan",
    "--metric",
    "stoi",
    "--quiet",
    "--jobs",
    "1",
]
# History comes back after the first epoch: from memory, or after a resumption from the folder.
SIZES = ["--epochs", "3", "--set", "utterances_per_epoch=2", "--set", "history_divisor=2"]
SECONDS = 0.9


@pytest.fixture(scope="module")
def corpus(short_corpus, write):
    """Three good training pairs, one to validate on, two to test on, and one pair of every bad kind."""
    folder = short_corpus({"train": 3, "validation": 1, "test": 2}, SECONDS)
    good = soundfile.read(next((folder / "train" / "clean").iterdir()))[0]
    bad = {
        "silent": np.zeros(16000),
        "nan": np.full(16000, np.nan),
        "stereo": np.stack([good, good], axis=1),
        "short": good[:4000],
    }
    for name, waveform in bad.items():
        for kind in ("clean", "noisy"):
            write(folder / "train" / kind / f"bad_{name}.wav", waveform)
    for kind in ("clean", "noisy"):
        path = write(folder / "train" / kind / "bad_truncated.wav", good)
        path.write_bytes(path.read_bytes()[:9000])
        (folder / "train" / kind / "bad_text.wav").write_text("no audio here")
    return folder


def run(arguments, **kwargs):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=500, **kwargs)


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    result = run(["--data", str(corpus), "--out", str(folder), *SIZES])
    assert result.returncode == 0, result.stderr
    return folder, result


def test_the_table_says_that_it_is_not_comparable(finished):
    folder, result = finished
    table = (folder / "table.md").read_text()
    assert result.stdout.strip() == table.strip()
    assert "NOT COMPARABLE" in table
    assert "epochs = 3 instead of 600" in table
    for word in (
        "noisy",
        "last",
        "best on validation",
        "best on test",
        "pesq-wb-lqo",
        "stoi",
        "not comparable",
    ):
        assert word in table


def test_the_noisy_row_is_what_pystoi_gives(finished, corpus):
    from pystoi import stoi

    values = []
    for path in sorted((corpus / "test" / "clean").iterdir()):
        clean, noisy = (soundfile.read(corpus / "test" / kind / path.name)[0] for kind in ("clean", "noisy"))
        values.append(stoi(clean, noisy, 16000))
    rows = json.loads((finished[0] / "result.json").read_text())["rows"]
    ours = next(r["reproduced"] for r in rows if (r["system"], r["definition"]) == ("noisy", "stoi"))
    assert ours == pytest.approx(np.mean(values), abs=1e-5)


def test_bad_files_are_named_and_left_out(finished):
    _, result = finished
    for name in ("silent", "nan", "stereo", "short", "truncated", "text"):
        assert f"bad_{name}.wav" in result.stderr
    with open(finished[0] / "manifest.csv") as file:
        assert not any(row["id"].startswith("bad") for row in csv.DictReader(file))


def test_console_is_quiet(finished):
    assert "tensorflow" not in finished[1].stderr.lower()
    assert "cuda" not in finished[1].stderr.lower()


def log(folder):
    with open(folder / "log.csv") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if not k.startswith(("s_", "peak", "seconds"))} for row in rows]


def test_the_log_has_all_losses_scores_and_times(finished):
    rows = log(finished[0])
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["g_loss"] == ""
    assert float(rows[1]["g_loss"]) > 0
    assert [row["d2_steps"] for row in rows] == ["4", "6", "8"]
    for column in ("validation_stoi", "test_pesq-wb-lqo", "d1_loss", "d3_error"):
        assert np.isfinite(float(rows[2][column]))
    with open(finished[0] / "log.csv") as file:
        assert {"seconds", "s_enhance_train", "s_score_train"} <= set(csv.DictReader(file).fieldnames)


def test_learning_curves_are_drawn(finished):
    pytest.importorskip("matplotlib")
    names = {path.name for path in (finished[0] / "report").iterdir()}
    assert {"stoi.png", "pesq-wb-lqo.png", "loss.png", "error.png"} <= names


def test_a_killed_run_resumes_to_the_same_numbers(finished, corpus, tmp_path):
    folder = tmp_path / "killed"
    arguments = [*COMMAND, "--data", str(corpus), "--out", str(folder), *SIZES]
    process = subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 400
    while not (folder / "checkpoints" / "epoch-00001.npz").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "model.keras").exists()
    result = run(["--data", str(corpus), "--out", str(folder), "--resume", *SIZES])
    assert result.returncode == 0, result.stderr
    assert log(folder) == log(finished[0])
    assert (folder / "scores.csv").read_text() == (finished[0] / "scores.csv").read_text()
    ours, theirs = (np.load(f / "checkpoints" / "epoch-00003.npz") for f in (folder, finished[0]))
    for key in theirs.files:
        if not key.startswith("__"):
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def test_the_model_loads_in_a_fresh_process_and_enhances(finished, corpus, tmp_path):
    noisy = next((corpus / "test" / "noisy").iterdir())
    out = tmp_path / "enhanced.wav"
    arguments = ["enhance", str(noisy), "-o", str(out), "--model", str(finished[0] / "model.keras")]
    result = subprocess.run([sys.executable, "-m", "keras_segan", *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    enhanced, rate = soundfile.read(out)
    assert rate == 16000
    assert len(enhanced) == len(soundfile.read(noisy)[0])
    stored = soundfile.read(finished[0] / "enhanced" / noisy.name)[0]
    np.testing.assert_allclose(enhanced, stored, atol=2 / 32768)


@pytest.mark.slow
def test_pesq_on_the_whole_mini_corpus(tmp_path):
    command = [
        sys.executable,
        "-m",
        "keras_segan",
        "reproduce",
        "metricgan",
        "--metric",
        "pesq",
        "--out",
        "run",
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "mini, not comparable" in result.stdout
