import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from keras_segan.models import xu


def context(frames, bins, seed=0):
    return np.random.default_rng(seed).standard_normal((20, frames, bins)).astype(np.float32)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 4), st.booleans(), st.integers(1, 6), st.integers(1, 4), st.integers(0, 5))
def test_the_centre_frame_is_passed_on(around, noise_estimate, bins, hidden_layers, spare):
    frames = 2 * around + 1 + noise_estimate
    network = xu.dnn(frames, bins, 2 * bins + spare, hidden_layers)
    xu.pass_centre_frame(network)
    x = context(frames, bins)
    np.testing.assert_array_equal(network(x, training=False), x[:, around])


def test_units_that_do_not_pass_it_on_stay_random_and_learn():
    keras.utils.set_random_seed(0)
    network = xu.dnn(3, 4, units=16, hidden_layers=2, dropout=0.0)
    before = [kernel.copy() for kernel in network.get_weights()[::2]]
    xu.pass_centre_frame(network)
    after = network.get_weights()[::2]
    for random, kernel in zip(before[:-1], after[:-1], strict=True):
        np.testing.assert_array_equal(kernel[:, 8:], random[:, 8:])
    assert not after[-1][8:].any()
    x = context(3, 4)
    network.compile(keras.optimizers.Adam(1e-2), "mae")
    losses = network.fit(x, x.mean(axis=1), epochs=60, batch_size=5, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    reached = network.get_weights()[-2][8:].any(axis=1)  # all but units that are never active
    assert reached.mean() > 0.5


def test_too_few_units_are_named():
    with pytest.raises(ValueError, match="fewer than 8 units"):
        xu.pass_centre_frame(xu.dnn(3, 4, units=7))


def test_dropout_of_the_paper_scales_at_test_time():
    network = xu.dnn(3, 4, 8, dropout=0.2, scale_at_test=True)
    scales = [layer.scale for layer in network.layers if isinstance(layer, layers.Rescaling)]
    assert scales == [0.8] * 3


def test_classic_dropout_scales_at_test_time():
    network = xu.dnn(1, 3, units=400, hidden_layers=1, dropout=0.25, scale_at_test=True)
    network.set_weights([np.zeros((3, 400)), np.ones(400), np.ones((400, 3)), np.zeros(3)])
    x = np.zeros((50, 1, 3), np.float32)
    np.testing.assert_allclose(network(x, training=False), 300, rtol=1e-5)
    trained = np.asarray(network(x, training=True))
    np.testing.assert_array_equal(trained, np.round(trained))  # what is kept is kept as it is
    assert trained.mean() == pytest.approx(300, rel=0.05)
