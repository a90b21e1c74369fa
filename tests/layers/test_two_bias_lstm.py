import keras
import numpy as np
import pytest
from keras import ops

from keras_segan.layers import Bidirectional
from keras_segan.layers.learnable_sigmoid import LearnableSigmoid
from keras_segan.layers.two_bias_lstm import PlainTwoBiasLSTM, TwoBiasLSTM
from keras_segan.models import metricgan_plus


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


def assert_equal(ours, theirs):
    np.testing.assert_allclose(ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs), atol=1e-6)


def random_weights(layer):
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(0, 0.5, w.shape) for w in layer.get_weights()])


@pytest.mark.parametrize("recurrence", ["compiled", "keras"])
def test_the_sum_of_the_biases_counts(recurrence):
    x = np.random.default_rng(1).normal(size=(2, 7, 3)).astype("float32")
    two = TwoBiasLSTM(4, return_sequences=True, recurrence=recurrence)
    two.build(x.shape)
    random_weights(two)
    one = keras.layers.LSTM(4, return_sequences=True)
    one.build(x.shape)
    kernel, recurrent, bias, recurrent_bias = two.get_weights()
    one.set_weights([kernel, recurrent, bias + recurrent_bias])
    assert_equal(two(x), one(x))


def test_both_biases_get_the_gradient_and_both_move():
    layer = TwoBiasLSTM(4)
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.Adam(0.1), "mse")
    assert [w.name for w in layer.trainable_weights] == ["kernel", "recurrent_kernel", "bias", "bias_hh"]
    assert not np.any(ops.convert_to_numpy(layer.cell.bias))  # no forget bias
    model.train_on_batch(np.ones((2, 5, 3)), np.ones((2, 4)))
    biases = [ops.convert_to_numpy(b) for b in (layer.cell.recurrent_bias, layer.cell.input_bias)]
    np.testing.assert_allclose(*biases, rtol=1e-4)
    assert np.abs(biases[0]).min() > 0.05


@pytest.mark.parametrize("causal", [True, False])
def test_saved_and_loaded(causal, tmp_path):
    model = metricgan_plus.generator(units=4, hidden=5, causal=causal)
    random_weights(model)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    x = np.random.default_rng(1).random((1, 9, 257)).astype("float32")
    assert_equal(again(x), model(x))


def test_the_plain_one_is_for_a_bidirectional():
    layer = Bidirectional(PlainTwoBiasLSTM(4, return_sequences=True))
    assert layer(np.ones((1, 6, 3), "float32")).shape == (1, 6, 8)
    assert len(layer.get_weights()) == 8


def test_learnable_sigmoid_and_its_limit():
    layer = LearnableSigmoid(1.2)
    x = np.linspace(-3, 3, 12).reshape(4, 3).astype("float32")
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), 1.2 / (1 + np.exp(-x)), rtol=1e-6)
    layer.slope.assign([0.5, 9.0, np.nan])
    layer.limit_slope(3.5)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.slope), np.float32([0.5, 3.5, 3.5]))
