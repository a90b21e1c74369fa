"""The source of examples of the MetricGAN family: batches, warm-up, and a stop in the middle of an epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_segan.training.metric_feedback import Evaluation, Schedule, batched, check_warm_up, stacked

LENGTHS = (41, 30, 36)
RANDOM = np.random.default_rng(0)
UTTERANCES = [
    {name: RANDOM.uniform(0, 1, (frames, 5)).astype("float32") for name in ("noisy", "clean")}
    for frames in LENGTHS
]


def test_utterances_of_a_batch_are_padded_and_their_lengths_told():
    batch = stacked(UTTERANCES)
    assert batch["frames"].tolist() == list(LENGTHS)
    for number, frames in enumerate(LENGTHS):
        np.testing.assert_array_equal(batch["noisy"][number, :frames], UTTERANCES[number]["noisy"])
        assert not batch["clean"][number, frames:].any()


def test_one_utterance_is_not_padded():
    batch = stacked(UTTERANCES[:1])
    assert set(batch) == {"noisy", "clean"}
    np.testing.assert_array_equal(batch["noisy"][0], UTTERANCES[0]["noisy"])


@given(st.lists(st.integers(), max_size=20), st.integers(1, 6))
def test_batches_hold_every_item_in_order(items, size):
    batches = list(batched(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])


@pytest.mark.parametrize(("warm_up", "first", "result"), [(2, 2, 4), (2, 1, 3), (0, 2, 1), (0, 1, 1)])
def test_what_the_warm_up_left_is_no_result_of_the_game(warm_up, first, result):
    schedule = Schedule(5, first_generator_epoch=first, warm_up_epochs=warm_up)
    assert schedule.first_result == result
    assert [schedule.plays(epoch) for epoch in range(1, 6)] == [e >= warm_up + first for e in range(1, 6)]
    assert schedule.phases_of(1) == (("warm_up", "evaluation") if warm_up else schedule.phases)


def test_a_warm_up_must_leave_some_of_the_training():
    check_warm_up(2, 3)
    with pytest.raises(ValueError, match="warm_up_epochs"):
        check_warm_up(3, 3)


def test_a_limit_is_for_validation_only():
    evaluation = Evaluation(validation_limit=2)
    assert evaluation.limit("validation") == 2
    assert evaluation.limit("test") is None
