"""Batches for several steps, and reading ahead."""

import threading

import numpy as np
import pytest

from keras_segan.data.examples.base import Examples
from keras_segan.training.loop import Rounds
from keras_segan.training.sources import Batches, Prefetched, Turns


class Numbers(Examples):
    """Examples that are their own numbers; counts what was read."""

    def __init__(self, count):
        self.count = count
        self.read = []
        self.threads = set()

    def __len__(self):
        return self.count

    def per_pass(self, size):
        return self.count // size

    def order(self, size, iteration, seed):
        return np.arange(iteration * size, (iteration + 1) * size)

    def batch(self, numbers):
        self.read.append(int(numbers[0]))
        self.threads.add(threading.get_ident())
        return {"x": numbers}


def taken(source, number):
    return [(batch.steps, batch.arrays()) for batch in source.round(number)]


def test_each_step_takes_a_batch_of_its_own():
    rounds = Rounds(2)
    turns = Turns(Numbers(9), 3, 0, rounds, ("d", "g"), lambda number: {"z": np.float32(number)})
    first, second = taken(turns, 1), taken(turns, 2)
    assert [steps for steps, _ in first] == [("d",), ("g",)] * 3  # 9 // 3 iterations, 18 examples
    assert [int(arrays["x"][0]) for _, arrays in first + second] == list(range(0, 36, 3))
    assert [float(arrays["z"]) for _, arrays in first + second] == list(range(12))
    assert sum(batch.work for batch in turns.round(1)) == pytest.approx(turns.work(1))


def test_steps_may_share_a_batch():
    turns = Turns(Numbers(9), 3, 0, Rounds(1), ("d", "g"), shared=True)
    assert [(steps, int(arrays["x"][0])) for steps, arrays in taken(turns, 1)] == [
        (("d", "g"), 0),
        (("d", "g"), 3),
        (("d", "g"), 6),
    ]


def test_reading_ahead_changes_nothing_but_the_thread():
    examples = Numbers(12)
    plain = taken(Batches(Numbers(12), 3, 0, Rounds(2)), 2)
    ahead = taken(Prefetched(Batches(examples, 3, 0, Rounds(2))), 2)
    for (steps, arrays), (other_steps, other) in zip(plain, ahead, strict=True):
        assert steps == other_steps
        np.testing.assert_array_equal(arrays["x"], other["x"])
    assert threading.get_ident() not in examples.threads
    assert examples.read == [12, 15, 18, 21]


def test_the_next_batch_is_read_while_a_step_is_taken():
    examples = Numbers(12)
    batches = Prefetched(Batches(examples, 3, 0, Rounds(1))).round(1)
    next(batches).arrays()
    second = next(batches)
    second.arrays()
    assert examples.read[:2] == [0, 3]
    batches.close()
    assert examples.read[2:] in ([], [6])


def test_what_is_skipped_is_not_read():
    examples = Numbers(12)
    for position, batch in enumerate(Prefetched(Batches(examples, 3, 0, Rounds(1))).round(1)):
        if position >= 2:
            batch.arrays()
    assert examples.read == [6, 9]


def test_an_error_of_reading_reaches_the_loop():
    class Broken(Numbers):
        def batch(self, numbers):
            raise OSError("gone")

    batches = Prefetched(Batches(Broken(6), 3, 0, Rounds(1))).round(1)
    with pytest.raises(OSError, match="gone"):
        next(batches).arrays()


def test_what_else_a_source_has_is_handed_on():
    source = Batches(Numbers(12), 3, 0, Rounds(1))
    ahead = Prefetched(source)
    assert ahead.work(1) == source.work(1) == 4
    assert ahead.state() == ({}, {})
