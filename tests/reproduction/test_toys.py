"""Papers of other kinds, registered from outside, train, are killed and resumed, and give table and page."""

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_segan.data import mini

spec = importlib.util.spec_from_file_location("toys", Path(__file__).with_name("toys.py"))
toys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toys)
COMMAND = [sys.executable, "-m", "keras_segan"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    toys.install(folder)
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A manifest of a few pairs of the mini corpus."""
    folder = tmp_path_factory.mktemp("corpus")
    manifest = mini.prepare(folder / "mini")
    few = [u for split in ("train", "test") for u in manifest.split(split)[:4]]
    type(manifest)(tuple(few)).write(folder / "manifest.csv")
    return folder / "manifest.csv"


def kseg(environment, *words):
    done = subprocess.run(
        [*COMMAND, *map(str, words)], env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=toys.TOYS)
def runs(request, environment, corpus, tmp_path_factory):
    """A run that went through, and one that was killed after its first checkpoint and resumed."""
    paper, folder = request.param, tmp_path_factory.mktemp(request.param)
    words = ["reproduce", paper, "--data", corpus, "--jobs", "1", "--quiet"]
    text = kseg(environment, *words, "--out", folder / "whole")
    killed = [*COMMAND, *map(str, words), "--out", str(folder / "killed")]
    process = subprocess.Popen(
        killed, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 300
    while not list((folder / "killed").glob("checkpoints/epoch-*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kseg(environment, *words, "--out", folder / "killed", "--resume")
    return paper, folder, text


def log(folder):
    with open(folder / "log.csv") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_a_killed_run_ends_with_the_same_numbers(runs):
    _, folder, _ = runs
    whole, killed = folder / "whole", folder / "killed"
    assert log(whole) == log(killed)
    assert (whole / "scores.csv").read_text() == (killed / "scores.csv").read_text()
    last = sorted(path.name for path in (whole / "checkpoints").iterdir())[-1]
    ours, theirs = (np.load(f / "checkpoints" / last) for f in (killed, whole))
    assert ours.files == theirs.files
    for key in theirs.files:
        if not key.startswith("__"):
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def test_the_table_says_what_it_is_made_on(runs):
    paper, folder, text = runs
    assert (folder / "whole" / "table.md").read_text().strip() == text.strip()
    assert f"{paper} on" in text
    expected = {"toy_enhancer": "stoi", "toy_predictor": "lcc", "toy_mapper": "mse"}[paper]
    assert expected in text
    content = json.loads((folder / "whole" / "result.json").read_text())
    assert {row["system"] for row in content["rows"] if row["reproduced"] is not None}


def test_claims_of_the_paper_get_a_verdict(runs):
    paper, folder, text = runs
    claims = json.loads((folder / "whole" / "result.json").read_text())["claims"]
    assert len(claims) == (paper == "toy_enhancer")  # the only one whose table claims something
    for claim in claims:
        assert claim["verdict"] in ("holds", "contradicted", "undecided")
        assert claim["verdict"] in text


def test_the_page_and_the_settings(runs, environment, tmp_path):
    paper, folder, _ = runs
    page = tmp_path / "page.html"
    kseg(environment, "report", folder / "whole", "-o", page)
    assert "<html" in page.read_text()
    entries = json.loads(kseg(environment, "reproduce", paper, "--settings", "--json"))
    assert {"corpus", "seed"} < {entry["name"] for entry in entries}


def test_toys_are_listed_with_the_papers(environment):
    listed = kseg(environment, "reproduce", "--list")
    for paper in toys.TOYS:
        assert paper in listed
