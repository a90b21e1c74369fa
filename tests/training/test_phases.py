"""Trainings one after the other, and a step size that falls on a plateau."""

from pathlib import Path

import numpy as np
import pytest

from keras_segan.data.examples.whole import WholeUtterances
from keras_segan.data.manifest import Utterance
from keras_segan.training.loop import ITERATION, Rounds
from keras_segan.training.plateau import rate_after
from keras_segan.training.sources import Batches, Phases

ARRAYS = Path(__file__).parents[1] / "fidelity" / "arrays" / "qnet"


@pytest.fixture
def phases():
    examples = WholeUtterances([Utterance(str(n), "c", "n") for n in range(3)], lambda u: {"x": np.ones(1)})
    first = Batches(examples, 1, 0, Rounds(2))
    second = Batches(examples, 1, 0, Rounds(6, ITERATION, 2))
    return Phases([("first", first, 2), ("second", second, 3)])


def test_each_phase_takes_its_own_steps(phases):
    taken = [[batch.steps for batch in phases.round(number)] for number in range(1, phases.count + 1)]
    assert taken == [[("first",)] * 3] * 2 + [[("second",)] * 2] * 3
    assert [phases.work(number) for number in range(1, 6)] == [3, 3, 2, 2, 2]
    assert (phases.first("first"), phases.first("second")) == (1, 3)
    with pytest.raises(ValueError, match="5 rounds"):
        phases.at(6)


def test_the_step_size_falls_as_torch_s_does():
    small = np.load(ARRAYS / "small.npz")
    losses = small["plateau.val_loss"]
    rates = [rate_after(losses[: n + 1], 1e-3, patience=2, least=5e-6) for n in range(len(losses))]
    np.testing.assert_allclose(rates, small["plateau.lr"], rtol=1e-6)
    assert min(rates) < max(rates)
