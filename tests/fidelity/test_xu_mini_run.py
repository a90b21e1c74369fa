"""The original's training on its own mini data: its first losses as a band that ours fall into."""

import csv
import subprocess
import sys

import pytest

# goldens/sednn: train / test loss of one seed before training, after 1000 and after 2000 iterations.
ORIGINAL = {0: (1.919, 1.903), 1000: (0.198, 1.094), 2000: (0.147, 1.067)}


@pytest.mark.slow
def test_mini_run(shared, tmp_path):
    data = shared("data/sednn_mini")
    command = [sys.executable, "-m", "keras_segan", "reproduce", "xu", "--data", str(data), "--quiet"]
    subprocess.run([*command, "--set", "iterations=2000", "--out", str(tmp_path / "run")], check=True)
    with open(tmp_path / "run" / "log.csv") as file:
        ours = {int(row["iteration"]): row for row in csv.DictReader(file)}
    assert list(ours) == list(ORIGINAL)
    for iteration, (train, test) in ORIGINAL.items():
        # Before training they depend on the drawn weights, then on dropout: 0.05 is what seeds differ by.
        assert float(ours[iteration]["train_loss"]) == pytest.approx(train, abs=0.06)
        assert float(ours[iteration]["test_loss"]) == pytest.approx(test, abs=0.06)
