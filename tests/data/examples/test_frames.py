import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_segan import gammatone
from keras_segan.data.examples.frames import Frames

BANDS = 4


def pairs(lengths, seed=0):
    random = np.random.default_rng(seed)
    return [tuple(random.normal(-5, 2, (length, BANDS)) for _ in range(2)) for length in lengths]


def arrays(batch):
    return batch["features"], batch["noisy"], batch["clean"]


@pytest.mark.parametrize("context", [0, 1, 3])
def test_examples_are_those_of_each_utterance_alone(context):
    utterances = pairs([2, 5, 3])
    frames = Frames(utterances, context)
    features, noisy, clean = arrays(frames.batch(np.arange(len(frames))))
    expected = [
        gammatone.context_features(np.exp(noisy_log.T), context, context) for noisy_log, _ in utterances
    ]
    np.testing.assert_allclose(features, np.concatenate(expected), atol=1e-5)
    np.testing.assert_allclose(noisy, np.exp(np.concatenate([n for n, _ in utterances])), rtol=1e-5)
    np.testing.assert_allclose(clean, np.concatenate([c for _, c in utterances]), rtol=1e-6)
    assert {array.dtype for array in (features, noisy, clean)} == {np.dtype(np.float32)}


@given(st.lists(st.integers(2, 9), min_size=1, max_size=5), st.integers(1, 12))
def test_a_pass_has_each_frame_at_most_once_and_drops_the_remainder(lengths, size):
    frames = Frames(pairs(lengths), 1)
    seen = [batch["clean"] for batch in frames.drawn(size, 3)]
    assert len(seen) == frames.per_pass(size) == len(frames) // size
    assert all(len(clean) == size for clean in seen)
    values = np.concatenate(seen)[:, 0] if seen else np.empty(0)
    assert len(np.unique(values)) == len(values)


def test_orders_depend_on_seed_and_iteration_alone():
    """Those of the first release: a permutation for each epoch, seeded with (seed, epoch)."""
    frames = Frames(pairs([23]), 1)
    for iteration in (7, 0, 3, 4, 7):
        epoch, batch = 1 + iteration // 4, iteration % 4
        expected = np.random.default_rng((5, epoch)).permutation(23)[5 * batch : 5 * batch + 5]
        np.testing.assert_array_equal(frames.order(5, iteration, 5), expected)
    assert not np.array_equal(frames.order(5, 0, 5), frames.order(5, 0, 6))


@given(st.lists(st.integers(2, 9), min_size=1, max_size=5), st.integers(1, 12))
def test_an_ordered_pass_has_every_frame(lengths, size):
    utterances = pairs(lengths)
    seen = np.concatenate([batch["clean"] for batch in Frames(utterances, 1).ordered(size)])
    np.testing.assert_array_equal(seen, np.concatenate([c for _, c in utterances]).astype(np.float32))


def test_statistics_of_the_clean_frames():
    utterances = pairs([4, 6])
    clean = np.concatenate([c for _, c in utterances])
    assert Frames(utterances, 2).clean_statistics() == pytest.approx((clean.mean(), clean.std()), rel=1e-6)


def test_a_constant_utterance_gives_no_nan():
    constant = np.full((3, BANDS), -18.0)
    batch = Frames([(constant, constant)], 1).batch(np.arange(3))
    assert not batch["features"].any()
