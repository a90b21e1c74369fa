import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_segan.layers import SpectralNormalization

from ..helpers import examples


def array(value):
    return ops.convert_to_numpy(value)


def ones(*shape):
    return np.ones(shape, np.float32)


def largest_singular_value(kernel):
    return np.linalg.norm(np.reshape(kernel, (-1, kernel.shape[-1])), 2)


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


def converged(layer, x):
    layer(x)
    for _ in range(300):
        layer.power_iteration(ops.convert_to_tensor(layer.kernel), training=True)
    return layer


@pytest.mark.parametrize("mode", ["keras2", "miyato"])
@pytest.mark.parametrize("kind", ["dense", "conv1d", "conv2d"])
def test_the_kernel_applied_has_norm_one(mode, kind):
    inner, x = {
        "dense": (keras.layers.Dense(6), ones(2, 4)),
        "conv1d": (keras.layers.Conv1D(6, 3), ones(2, 9, 4)),
        "conv2d": (keras.layers.Conv2D(6, 3), ones(2, 9, 9, 4)),
    }[kind]
    layer = converged(SpectralNormalization(inner, mode=mode), x)
    sigma = largest_singular_value(array(inner.kernel))
    np.testing.assert_allclose(array(layer(x)), array(inner(x)) / sigma, atol=1e-4)


def test_the_kernel_itself_stays():
    layer = SpectralNormalization(keras.layers.Dense(6))
    layer.build((None, 4))
    before = array(layer.kernel)
    layer(ones(2, 4), training=True)
    np.testing.assert_array_equal(array(layer.kernel), before)


def test_weights_are_in_the_order_of_the_original():
    layer = SpectralNormalization(keras.layers.Conv2D(6, 3))
    layer.build((None, 9, 9, 2))
    assert [w.shape for w in layer.get_weights()] == [(3, 3, 2, 6), (6,), (1, 6)]
    assert [w.name for w in layer.trainable_weights] == ["kernel", "bias"]


def test_u_moves_at_inference_only_in_mode_keras2():
    for mode, moves in (("keras2", True), ("miyato", False)):
        layer = SpectralNormalization(keras.layers.Dense(6), mode=mode)
        layer.build((None, 4))
        before = array(layer.u).copy()
        layer(ones(2, 4), training=False)
        assert np.array_equal(before, array(layer.u)) != moves


@settings(max_examples=examples(10), deadline=None)
@given(st.floats(0.1, 100))
def test_the_output_does_not_depend_on_the_kernel_s_scale(factor):
    layer = SpectralNormalization(keras.layers.Dense(6, use_bias=False))
    layer.build((None, 4))
    x, u = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32), array(layer.u).copy()
    first = array(layer(x))
    layer.kernel.assign(layer.kernel * factor)
    layer.u.assign(u)
    np.testing.assert_allclose(array(layer(x)), first, atol=1e-5)


def test_wrong_use():
    with pytest.raises(ValueError, match="mode"):
        SpectralNormalization(keras.layers.Dense(6), mode="torch")
    with pytest.raises(ValueError, match="LSTM"):
        SpectralNormalization(keras.layers.LSTM(6))


@pytest.mark.parametrize("mode", ["keras2", "miyato"])
def test_saved_and_loaded(mode, tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, SpectralNormalization(keras.layers.Dense(6), mode=mode)(inputs))
    model.save(tmp_path / "x.keras")
    again = keras.saving.load_model(tmp_path / "x.keras", safe_mode=True)
    assert again.layers[-1].mode == mode
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
