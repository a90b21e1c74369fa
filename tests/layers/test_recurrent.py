import functools
import importlib

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_segan import backends
from keras_segan.layers import recurrent

from ..helpers import examples

FEATURES, UNITS = 5, 4
GATES = (recurrent.keras2_hard_sigmoid, "sigmoid")


def make(kind, gates, recurrence):
    """A layer with random weights, biases too."""
    lstm_class = recurrent.LSTM if kind == "lstm" else keras.layers.LSTM
    layer = lstm_class(UNITS, return_sequences=True, recurrent_activation=gates)
    if kind != "lstm":
        layer = recurrent.Bidirectional(layer)
    layer.recurrence = recurrence
    layer.build((None, None, FEATURES))
    random = np.random.default_rng(0)
    layer.set_weights([random.normal(0, 1.5, w.shape).astype("float32") for w in layer.get_weights()])
    return layer


@functools.cache
def outputs_and_gradients(kind, gates, recurrence, masked):
    """A function from (x, weight, mask) to the output and all gradients of its weighted sum."""
    layer = make(kind, gates, recurrence)
    # What is differentiated by is a variable; features of any length are added to this one.
    shift = keras.Variable(np.zeros(FEATURES, "float32"))
    watched = [*layer.trainable_variables, shift]

    def compute(x, weight, mask):
        def loss():
            # Keras repeats the last output of a single direction where the mask is false.
            y = layer(x + shift, mask=mask > 0 if masked else None) * mask[:, :, None]
            return ops.sum(y * weight), y

        (_, y), gradients = backends.value_and_gradients(loss, watched)
        return [y, *gradients]

    shapes = (None, None, FEATURES), (None, None, None), (None, None)
    return backends.compile_step(compute, watched, shapes)


def assert_equal(ours, theirs):
    np.testing.assert_allclose(ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs), atol=1e-6)


def assert_same(kind, gates, mask, masked):
    random = np.random.default_rng(mask.shape[1])
    x = random.normal(size=(*mask.shape, FEATURES)).astype("float32")
    weight = random.normal(size=(*mask.shape, UNITS if kind == "lstm" else 2 * UNITS)).astype("float32")
    ours, keras_s = (
        [
            ops.convert_to_numpy(array)
            for array in outputs_and_gradients(kind, gates, recurrence, masked)(x, weight, mask)
        ]
        for recurrence in ("compiled", "keras")
    )
    np.testing.assert_allclose(ours[0], keras_s[0], atol=3e-6)
    for mine, theirs in zip(ours[1:], keras_s[1:], strict=True):
        assert np.linalg.norm(mine - theirs) <= 3e-5 * np.linalg.norm(theirs) + 1e-6


@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize("kind", ["lstm", "bidirectional"])
@settings(max_examples=examples(8), deadline=None)
@given(batch=st.integers(1, 2), frames=st.integers(1, 130))
def test_equals_keras(kind, gates, batch, frames):
    assert_same(kind, gates, np.ones((batch, frames), bool), masked=False)


@pytest.mark.parametrize("kind", ["lstm", "bidirectional"])
@settings(max_examples=examples(8), deadline=None)
@given(lengths=st.lists(st.integers(1, 70), min_size=2, max_size=2), holes=st.booleans())
def test_equals_keras_with_a_mask(kind, lengths, holes):
    """Padding on the right, as of utterances of different lengths, and any holes."""
    mask = np.arange(max(lengths))[None] < np.array(lengths)[:, None]
    if holes:
        mask &= np.random.default_rng(0).random(mask.shape) < 0.7
        mask[:, 0] = True  # Keras repeats an output before the first
    assert_same(kind, "sigmoid", mask, masked=True)


@settings(max_examples=examples(8), deadline=None)
@given(frames=st.integers(1, 100), more=st.integers(1, 90))
def test_what_is_in_the_padding_does_not_matter(frames, more):
    layer = make("bidirectional", recurrent.keras2_hard_sigmoid, "compiled")
    random = np.random.default_rng(0)
    x = random.normal(size=(1, frames, FEATURES)).astype("float32")
    junk = np.concatenate([x, 100 * random.normal(size=(1, more, FEATURES)).astype("float32")], axis=1)
    mask = np.arange(frames + more)[None] < frames
    masked = ops.convert_to_numpy(layer(junk, mask=mask))
    np.testing.assert_allclose(masked[:, :frames], ops.convert_to_numpy(layer(x)), atol=1e-6)
    assert not masked[:, frames:].any()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a kernel for TensorFlow")
@pytest.mark.parametrize("octave", range(4))
def test_long_sequences_share_few_compilations(octave):
    kernel = importlib.import_module("keras_segan.kernels.tensorflow_lstm")
    first = 1024 * 2**octave
    rounded = {int(kernel._bucketed(n)) for n in range(first, 2 * first, 13)}
    assert len(rounded) <= 9
    for n in (1, 63, 64, 65, 1000, first + 1, 2 * first - 1):
        assert n <= int(kernel._bucketed(n)) <= max(n + 63, 1.125 * n + 1)


def test_the_last_state_of_a_causal_layer():
    x = np.random.default_rng(0).normal(size=(2, 9, FEATURES)).astype("float32")
    last = recurrent.LSTM(UNITS, recurrence="compiled")
    last.build(x.shape)
    whole = recurrent.LSTM(UNITS, return_sequences=True, recurrence="keras")
    whole.build(x.shape)
    whole.set_weights(last.get_weights())
    assert_equal(last(x), whole(x)[:, -1])


def test_a_file_does_not_depend_on_the_recurrence(tmp_path):
    def build(recurrence):
        keras.backend.clear_session()
        inputs = keras.Input((None, FEATURES), name="x")
        outputs = recurrent.bidirectional_lstm(UNITS, name="blstm", recurrence=recurrence)(inputs)
        outputs = recurrent.LSTM(3, name="lstm", recurrence=recurrence)(outputs)
        return keras.Model(inputs, outputs, name="model")

    models = {recurrence: build(recurrence) for recurrence in recurrent.RECURRENCES}
    assert len({model.to_json() for model in models.values()}) == 1
    x = np.random.default_rng(0).normal(size=(1, 20, FEATURES)).astype("float32")
    for model in models.values():
        model.save(tmp_path / "model.keras")
        for recurrence in recurrent.RECURRENCES:
            again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
            with recurrent.using_recurrence(again, recurrence):
                assert_equal(again(x), model(x))
            assert again.get_layer("blstm").recurrence == "auto"


def test_plain_keras_layers_take_the_same_weights():
    ours = make("bidirectional", "sigmoid", "compiled")
    plain = keras.layers.Bidirectional(keras.layers.LSTM(UNITS, return_sequences=True))
    plain.build((None, None, FEATURES))
    plain.set_weights(ours.get_weights())
    # forward or backward, then kernel, recurrent_kernel or bias; Keras numbers the layers between.
    orders = [[(w.path.split("/")[1].split("_")[0], w.name) for w in m.weights] for m in (ours, plain)]
    assert orders[0] == orders[1]
    x = np.ones((1, 7, FEATURES), "float32")
    assert_equal(ours(x), plain(x))


def test_what_cannot_be_compiled_is_plain_or_refused():
    x = np.ones((1, 7, FEATURES), "float32")
    assert recurrent.LSTM(UNITS, activation="relu")(x).shape == (1, UNITS)
    with pytest.raises(ValueError, match="gates"):
        recurrent.LSTM(UNITS, activation="relu", recurrence="compiled")(x)
    with pytest.raises(ValueError, match="dropout"):
        recurrent.LSTM(UNITS, dropout=0.1, recurrence="compiled")(x)
    with pytest.raises(ValueError, match="recurrence"):
        recurrent.LSTM(UNITS, recurrence="fast")
