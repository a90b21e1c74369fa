"""A run that is stopped in the middle of an epoch goes on from that very step."""

import csv
import dataclasses

import numpy as np
import pytest

from keras_segan.reproduction.run import Request, reproduce
from keras_segan.training.run_folder import Run

SMALL = {"metric": "stoi", "epochs": 2, "utterances_per_epoch": 2}
PAPERS = {
    "metricgan": {**SMALL, "history_divisor": 2},
    "metricgan_plus": {**SMALL, "history_share": 0.5},
}


@pytest.fixture(scope="module")
def corpus(short_corpus):
    return short_corpus({"train": 3, "validation": 1, "test": 1}, 0.9)


def log(folder):
    with open(folder / "log.csv") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if not k.startswith(("s_", "peak", "seconds"))} for row in rows]


@pytest.mark.parametrize("paper", PAPERS)
def test_a_run_stopped_within_epochs_ends_with_the_same_numbers(paper, corpus, tmp_path, monkeypatch):
    request = Request(paper, str(corpus), out=str(tmp_path / "whole"), changes=PAPERS[paper], quiet=True)
    assert reproduce(request).finished
    stopped = dataclasses.replace(request, out=str(tmp_path / "stopped"))
    with monkeypatch.context() as patch:
        # Stops at every fifth step: in the passes of the discriminator, and between generator and scoring.
        checks = iter(range(1, 1000))
        patch.setattr(Run, "time_is_up", property(lambda run: next(checks) % 5 == 0))
        result, times = reproduce(stopped), 1
        while not result.finished:
            assert "--resume" in result.text
            result = reproduce(dataclasses.replace(stopped, resume=True))
            times += 1
    assert times > 3
    assert log(tmp_path / "stopped") == log(tmp_path / "whole")
    last = "checkpoints/epoch-00002.npz"
    ours, theirs = (np.load(tmp_path / name / last) for name in ("stopped", "whole"))
    assert set(ours.files) == set(theirs.files)
    for key in theirs.files:
        if not key.startswith("__"):
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)
