"""Utterances of different lengths as batches."""

import numpy as np
import pytest

from keras_segan.data.examples.whole import WholeUtterances
from keras_segan.data.manifest import Utterance

LENGTHS = [3, 9, 4, 7, 5, 8, 2, 6, 1, 10]


@pytest.fixture
def examples():
    def arrays(utterance):
        number = int(utterance.id)
        spectrum = np.full((LENGTHS[number], 2), number + 1.0, np.float32)
        return {"features": spectrum, "score": np.array([number], np.float32)}

    return WholeUtterances([Utterance(str(n), "c", "n") for n in range(len(LENGTHS))], arrays)


def test_a_batch_is_padded_and_says_how_long_each_is(examples):
    batch = examples.batch(np.array([0, 3]))
    assert batch["features"].shape == (2, 7, 2)
    np.testing.assert_array_equal(batch["frames"], [3, 7])
    np.testing.assert_array_equal(batch["score"], [[0], [3]])
    np.testing.assert_array_equal(batch["features"][0, 3:], 0)
    np.testing.assert_array_equal(batch["features"][0, :3], 1)


def test_one_utterance_has_no_padding(examples):
    batch = examples.batch(np.array([3]))
    assert set(batch) == {"features", "score"}
    assert batch["features"].shape == (1, 7, 2)


@pytest.mark.parametrize("size", [1, 3])
def test_a_pass_uses_every_utterance_once_in_an_order_of_its_own(examples, size):
    count = examples.per_pass(size)
    passes = [
        np.concatenate([examples.order(size, n * count + i, 5) for i in range(count)]) for n in range(3)
    ]
    for order in passes:
        np.testing.assert_array_equal(np.sort(order), np.arange(len(LENGTHS)))
    assert not np.array_equal(passes[0], passes[1])
    again = [examples.order(size, i, 5) for i in range(count)]
    np.testing.assert_array_equal(np.concatenate(again), passes[0])


def test_similar_lengths_share_a_batch(examples):
    padded = sum(np.ptp([LENGTHS[n] for n in examples.order(2, i, 0)]) for i in range(examples.per_pass(2)))
    assert padded == 5  # neighbours in length
