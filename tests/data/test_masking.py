import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_segan import gammatone
from keras_segan.data.masking import MaskingFrames

BANDS = 4


def pairs(lengths, seed=0):
    random = np.random.default_rng(seed)
    return [tuple(random.normal(-5, 2, (length, BANDS)) for _ in range(2)) for length in lengths]


@pytest.mark.parametrize("context", [0, 1, 3])
def test_examples_are_those_of_each_utterance_alone(context):
    utterances = pairs([2, 5, 3])
    frames = MaskingFrames(utterances, context)
    features, noisy, clean = frames.batch(np.arange(len(frames)))
    expected = [
        gammatone.context_features(np.exp(noisy_log.T), context, context) for noisy_log, _ in utterances
    ]
    np.testing.assert_allclose(features, np.concatenate(expected), atol=1e-5)
    np.testing.assert_allclose(noisy, np.exp(np.concatenate([n for n, _ in utterances])), rtol=1e-5)
    np.testing.assert_allclose(clean, np.concatenate([c for _, c in utterances]), rtol=1e-6)
    assert {array.dtype for array in (features, noisy, clean)} == {np.dtype(np.float32)}


@given(st.lists(st.integers(2, 9), min_size=1, max_size=5), st.integers(1, 12))
def test_a_shuffled_epoch_has_each_frame_at_most_once_and_drops_the_remainder(lengths, size):
    frames = MaskingFrames(pairs(lengths), 1)
    seen = [clean for _, _, clean in frames.shuffled(size, 3)]
    assert len(seen) == len(frames) // size
    assert all(len(clean) == size for clean in seen)
    values = np.concatenate(seen)[:, 0] if seen else np.empty(0)
    assert len(np.unique(values)) == len(values)


def test_order_depends_on_the_seed_alone():
    frames = MaskingFrames(pairs([20]), 1)
    first, again, other = (
        np.concatenate([b[2] for b in frames.shuffled(5, s)]) for s in ((1, 1), (1, 1), (1, 2))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@given(st.lists(st.integers(2, 9), min_size=1, max_size=5), st.integers(1, 12))
def test_an_ordered_pass_has_every_frame(lengths, size):
    utterances = pairs(lengths)
    seen = np.concatenate([clean for _, _, clean in MaskingFrames(utterances, 1).ordered(size)])
    np.testing.assert_array_equal(seen, np.concatenate([c for _, c in utterances]).astype(np.float32))


def test_statistics_of_the_clean_frames():
    utterances = pairs([4, 6])
    clean = np.concatenate([c for _, c in utterances])
    assert MaskingFrames(utterances, 2).clean_statistics() == pytest.approx(
        (clean.mean(), clean.std()), rel=1e-6
    )


def test_a_constant_utterance_gives_no_nan():
    constant = np.full((3, BANDS), -18.0)
    features, _, _ = MaskingFrames([(constant, constant)], 1).batch(np.arange(3))
    assert not features.any()
