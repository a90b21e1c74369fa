import random

from hypothesis import given
from hypothesis import strategies as st

from keras_segan.training.replay import ReplayBuffer, SampleStream, python2_shuffle


@given(st.lists(st.integers(), max_size=40), st.integers(0, 1000))
def test_shuffle_keeps_the_items(items, seed):
    shuffled = list(items)
    python2_shuffle(shuffled, random.Random(seed))
    assert sorted(shuffled) == sorted(items)


@given(st.integers(1, 30), st.integers(0, 1000), st.integers(0, 1))
def test_a_pass_without_reading_ahead_sees_every_item_once(count, seed, passes):
    stream = SampleStream(list(range(count)), random.Random(seed))
    for _ in range(passes + 1):
        assert sorted(stream.take(count)) == list(range(count))


def test_reading_ahead_skips_an_item():
    stream = SampleStream(list(range(5)), random.Random(0))
    list(stream.take(5, prefetch=1))
    second = list(stream.take(5, prefetch=1))
    assert len(second) == 5
    assert stream.items != list(range(5))


@given(st.lists(st.integers(1, 25), max_size=8))
def test_a_tenth_of_the_history_comes_back(sizes):
    buffer = ReplayBuffer(random.Random(1))
    remembered = 0
    for size in sizes:
        current = list(range(size))
        assert len(buffer.current_and_past(current)) == size + remembered // 10
        buffer.remember(current)
        remembered += size
    assert len(buffer.history) == remembered
