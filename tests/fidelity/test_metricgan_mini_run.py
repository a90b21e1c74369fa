"""The original's training run on its own 10 + 10 files, as a band that ours falls into."""

import csv
import subprocess
import sys

import numpy as np
import pytest

EPOCHS = 10


def column(path, name):
    with open(path) as file:
        return np.array([float(row[name]) for row in csv.DictReader(file)])


@pytest.mark.slow
def test_mini_run(shared, tmp_path):
    data, golden = shared("data/metricgan_timit_mini"), shared("goldens/metricgan/mini_run.csv")
    command = [
        sys.executable,
        "-m",
        "keras_segan",
        "reproduce",
        "metricgan",
        "--variant",
        "table1",
        "--quiet",
    ]
    sizes = ["--epochs", str(EPOCHS), "--set", "utterances_per_epoch=10"]
    subprocess.run([*command, "--data", str(data), "--out", str(tmp_path / "run"), *sizes], check=True)
    ours = tmp_path / "run" / "log.csv"

    # Untrained: a mask of about one half everywhere, so the scores hardly depend on the weights.
    pesq, stoi = column(ours, "validation_pesq-nb-raw"), column(ours, "validation_stoi")
    their_pesq, their_stoi = column(golden, "pesq_nb_raw_mean"), column(golden, "stoi_mean")
    assert abs(pesq[0] - their_pesq[0]) < 0.03
    assert abs(stoi[0] - their_stoi[0]) < 0.005
    # Trajectories part after the first steps: the original's range, widened by its own spread, is the band.
    for mine, theirs in ((pesq, their_pesq), (stoi, their_stoi)):
        margin = 2 * theirs.std()
        assert theirs.min() - margin <= mine.min()
        assert mine.max() <= theirs.max() + margin
    # D learns the scores: its loss falls below a tenth of the first pass, as the original's does.
    assert column(golden, "d3_loss")[-1] < column(golden, "d1_loss")[0] / 10
    assert column(ours, "d3_loss")[-1] < column(ours, "d1_loss")[0] / 10
    np.testing.assert_array_equal(column(ours, "d2_steps"), column(golden, "d2_steps"))
