"""Segments on disk: what is read back, random orders that nobody writes down, statistics in a stream."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from keras_segan import dsp
from keras_segan.data.examples.base import Transformed
from keras_segan.data.examples.stored import Layout, Stored, permuted
from keras_segan.errors import DataError
from keras_segan.front_ends.moments import Moments

BINS = 4


def spectra(lengths, seed=0):
    random = np.random.default_rng(seed)
    return [tuple(random.standard_normal((2, n, BINS)).astype(np.float32)) for n in lengths]


def arrays(batch):
    return batch["context"], batch["target"]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=4),
    st.integers(0, 3),
    st.integers(1, 4),
)
def test_segments_are_context_frames_of_each_utterance(tmp_path_factory, lengths, context, hop):
    pairs = spectra(lengths)
    with Stored.create(tmp_path_factory.mktemp("s") / "new", pairs, Layout(BINS, context, hop)) as store:
        x, y = arrays(store.batch(np.arange(len(store))))
    expected = [dsp.context_frames(noisy, context, context, hop) for noisy, _ in pairs]
    np.testing.assert_array_equal(x, np.concatenate(expected))
    np.testing.assert_array_equal(y, np.concatenate([clean[::hop] for _, clean in pairs]))


def test_without_repeated_edges_centres_have_their_whole_context(tmp_path):
    pairs = spectra([9, 3, 5])
    with Stored.create(tmp_path, pairs, Layout(BINS, 2, repeat_edges=False)) as store:
        assert len(store) == 5 + 0 + 1
        x, y = arrays(store.batch(np.array([0, 4, 5])))
    np.testing.assert_array_equal(x[0], pairs[0][0][:5])
    np.testing.assert_array_equal(x[1], pairs[0][0][4:])
    np.testing.assert_array_equal(y[2], pairs[2][1][2])


@pytest.mark.parametrize("repeat_edges", [True, False])
def test_the_noise_estimate_is_the_mean_of_the_first_frames(tmp_path, repeat_edges):
    pairs = spectra([12, 9])
    with Stored.create(tmp_path, pairs, Layout(BINS, 1, 1, repeat_edges, noise_frames=6)) as store:
        x, _ = arrays(store.batch(np.array([0, len(store) - 1])))
    assert x.shape == (2, 4, BINS)
    for segment, (noisy, _) in zip(x, pairs, strict=True):
        np.testing.assert_allclose(segment[-1], noisy[:6].mean(axis=0), rtol=1e-6)


def test_every_pass_uses_every_segment_once_in_an_order_of_its_own(tmp_path):
    with Stored.create(tmp_path, spectra([23]), Layout(BINS, 1)) as store:
        orders = []
        for number in range(2):
            batches = [store.order(10, 3 * number + batch, seed=5) for batch in range(3)]
            assert [len(batch) for batch in batches] == [10, 10, 3]
            orders.append(np.concatenate(batches))
            assert sorted(orders[-1]) == list(range(23))
        assert not np.array_equal(*orders)
        assert np.array_equal(orders[1][:10], store.order(10, 3, seed=5))


def test_a_function_changes_every_array_and_nothing_else(tmp_path):
    with Stored.create(tmp_path, spectra([23]), Layout(BINS, 1)) as store:
        doubled = Transformed(store, lambda array: 2 * array)
        assert (len(doubled), doubled.per_pass(10)) == (23, 3)
        numbers = doubled.order(10, 4, seed=1)
        np.testing.assert_array_equal(numbers, store.order(10, 4, seed=1))
        for name, array in store.batch(numbers).items():
            np.testing.assert_array_equal(doubled.batch(numbers)[name], 2 * array)
        assert [len(batch["target"]) for batch in doubled.ordered(10)] == [10, 10, 3]
        assert [len(batch["target"]) for batch in doubled.drawn(10, 0, limit=2)] == [10, 10]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**31))
def test_permuted_is_a_permutation(count, seed):
    assert sorted(permuted(np.arange(count), count, seed)) == list(range(count))


def test_permutations_look_random():
    count, draws = 100, 400
    drawn = np.stack([permuted(np.arange(count), count, (7, draw)) for draw in range(draws)])
    # Every position sees every tenth of the range equally often: chi-square, 9 degrees of freedom each.
    tenths = np.stack([np.bincount(column // 10, minlength=10) for column in drawn.T])
    statistic = ((tenths - draws / 10) ** 2 / (draws / 10)).sum(axis=1)
    assert 7.5 < statistic.mean() < 10.5
    # Neighbours do not stay neighbours.
    assert np.mean(np.abs(np.diff(drawn, axis=1)) == 1) < 0.05


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: holds no stored segments"):
        Stored(tmp_path / "nowhere", Layout(BINS, 1))


def test_remove_leaves_nothing(tmp_path):
    Stored.create(tmp_path / "s", spectra([5]), Layout(BINS, 1)).remove()
    assert not list(tmp_path.iterdir())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 20), st.floats(-100, 100), st.floats(0.01, 10))
def test_streamed_statistics_are_those_of_scikit_learn(rows, size, offset, spread):
    data = np.random.default_rng(rows).normal(offset, spread, (rows, BINS)).astype(np.float32)
    data[:, 0] = 3.0
    moments = Moments()
    for start in range(0, rows, size):
        moments.add(data[start : start + size])
    scaler = StandardScaler().fit(data.astype(np.float64))
    np.testing.assert_allclose(moments.mean, scaler.mean_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(moments.deviation() ** 2, scaler.var_, rtol=1e-6, atol=1e-9)


def test_a_full_disk_is_named(tmp_path):
    def spectra_until_full():
        yield from spectra([5])
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="cannot write the log spectra.*No space left"):
        Stored.create(tmp_path / "s", spectra_until_full(), Layout(BINS, 1))
