import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_segan import backends, kernels
from keras_segan.layers import SpectralNormalization, TiledConv2D
from keras_segan.layers.convolution import tiled_convolution

from ..helpers import examples


@settings(max_examples=examples(20), deadline=None)
@given(
    st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 4)),
    st.tuples(st.integers(1, 16), st.integers(1, 16)),
    st.tuples(st.integers(0, 60), st.integers(0, 60)),
)
def test_equals_direct_convolution(counts, kernel_size, extra):
    batch, channels, filters = counts
    random = np.random.default_rng(0)
    image = random.normal(size=(batch, kernel_size[0] + extra[0], kernel_size[1] + extra[1], channels))
    image, kernel = (
        image.astype("float32"),
        random.normal(size=(*kernel_size, channels, filters)).astype("float32"),
    )
    direct = ops.convert_to_numpy(ops.conv(image, kernel))
    ours = ops.convert_to_numpy(
        tiled_convolution(ops.convert_to_tensor(image), ops.convert_to_tensor(kernel))
    )
    assert ours.shape == direct.shape
    np.testing.assert_allclose(ours, direct, atol=2e-5 * max(np.abs(direct).max(), 1))


@pytest.mark.parametrize("kernel_size", [1, 9, 11, 16])
def test_equals_direct_convolution_at_sizes_that_are_not_known(kernel_size):
    random = np.random.default_rng(0)
    kernel = random.normal(size=(kernel_size, kernel_size, 3, 4)).astype("float32")
    convolve = backends.compile_step(
        lambda image: tiled_convolution(image, kernel), (), [(None, None, None, 3)]
    )
    for size in (*range(kernel_size, kernel_size + 50, 7), 131):
        image = random.normal(size=(2, size, size + 1, 3)).astype("float32")
        direct = ops.convert_to_numpy(ops.conv(image, kernel))
        ours = ops.convert_to_numpy(convolve(image))
        np.testing.assert_allclose(ours, direct, atol=2e-5 * np.abs(direct).max())


def test_gradients_equal_those_of_direct_convolution():
    random = np.random.default_rng(1)
    image = keras.Variable(random.normal(size=(1, 61, 50, 3)).astype("float32"))
    kernel = keras.Variable(random.normal(size=(11, 9, 3, 5)).astype("float32"))
    weight = random.normal(size=(1, 51, 42, 5)).astype("float32")
    gradients = {}
    for name, convolve in {"direct": ops.conv, "tiled": tiled_convolution}.items():
        step = backends.compile_step(
            lambda x, convolve=convolve: backends.value_and_gradients(
                lambda: ops.sum(convolve(image.value, kernel.value) * x), [image, kernel]
            )[1],
            [image, kernel],
            [weight.shape],
        )
        gradients[name] = [ops.convert_to_numpy(gradient) for gradient in step(weight)]
    for ours, theirs in zip(gradients["tiled"], gradients["direct"], strict=True):
        assert np.linalg.norm(ours - theirs) < 5e-6 * np.linalg.norm(theirs)


def test_the_layer_has_conv2d_s_weights_and_saves(tmp_path):
    inputs = keras.Input((40, None, 2))
    model = keras.Model(inputs, TiledConv2D(3, 7, activation="relu")(inputs))
    assert model.output_shape == (None, 34, None, 3)
    model.save(tmp_path / "x.keras")
    again = keras.saving.load_model(tmp_path / "x.keras", safe_mode=True)
    x = np.random.default_rng(0).normal(size=(1, 40, 23, 2)).astype("float32")
    direct = keras.layers.Conv2D(3, 7, activation="relu")
    direct.build(x.shape)
    direct.set_weights(model.layers[-1].get_weights())
    ours, theirs = (ops.convert_to_numpy(layer(x)) for layer in (again, direct))
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


def assert_same(ours, theirs, tolerance):
    """Compares values and gradients."""
    (value, gradients), (plain_value, plain_gradients) = (
        (ops.convert_to_numpy(value), [ops.convert_to_numpy(each) for each in gradients])
        for value, gradients in (ours, theirs)
    )
    np.testing.assert_allclose(value, plain_value, rtol=1e-4, atol=1e-4)
    for mine, plain in zip(gradients, plain_gradients, strict=True):
        assert np.linalg.norm(mine - plain) <= tolerance * np.linalg.norm(plain)


@pytest.mark.parametrize("kernel_size", [5, 9])
@pytest.mark.parametrize("normalised", [False, True])
def test_spare_channels_change_no_number(kernel_size, normalised, tmp_path):
    def network(**settings):
        wrap = SpectralNormalization if normalised else (lambda layer: layer)
        inputs = keras.Input((40, None, 2))
        first = TiledConv2D(15, kernel_size, activation="relu", bias_initializer="ones", **settings)
        channels = {"channels": 15} if settings else {}
        second = TiledConv2D(3, kernel_size, **channels)
        return keras.Model(inputs, wrap(second)(wrap(first)(inputs)))

    spare, plain = network(spare_channels=True), network()
    assert [layer.output.shape[-1] for layer in spare.layers] == [2, 16, 3]
    assert [w.shape for w in spare.weights] == [w.shape for w in plain.weights]
    plain.set_weights(spare.get_weights())
    spare.save(tmp_path / "x.keras")
    spare = keras.saving.load_model(tmp_path / "x.keras", safe_mode=True)
    x = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(2, 40, 23, 2)).astype("float32"))
    results = [
        backends.value_and_gradients(lambda m=m: ops.sum(ops.square(m(x))), m.trainable_variables)
        for m in (spare, plain)
    ]
    assert_same(*results, tolerance=1e-5)


@pytest.mark.parametrize(("filters", "expected"), [(15, 16), (16, 16), (25, 25), (50, 56), (3, 3)])
def test_spare_channels_are_few(filters, expected):
    layer = TiledConv2D(filters, 5, spare_channels=True)
    assert layer.compute_output_shape((1, 9, 9, 4)) == (1, 5, 5, expected)


@pytest.mark.parametrize(
    "wrong", [{"padding": "same"}, {"strides": 2}, {"dilation_rate": 2}, {"groups": 2}, {"kernel_size": 17}]
)
def test_what_it_cannot_do_is_refused(wrong):
    with pytest.raises(ValueError, match="TiledConv2D"):
        TiledConv2D(**{"filters": 4, "kernel_size": 7, **wrong})


@pytest.mark.skipif(kernels.find("convolution") is None, reason="this backend has no kernel of its own")
@settings(max_examples=examples(20), deadline=None)
@given(
    st.tuples(st.integers(1, 2), st.integers(1, 9), st.sampled_from([1, 3, 49])),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_small_kernels_have_the_gradients_of_keras(counts, kernel_size, extra):
    batch, channels, filters = counts
    random = np.random.default_rng(0)
    size = (batch, kernel_size[0] + extra[0], kernel_size[1] + extra[1], channels)
    image = keras.Variable(random.normal(size=size).astype("float32"))
    kernel = keras.Variable(random.normal(size=(*kernel_size, channels, filters)).astype("float32"))
    weight = random.normal(size=(batch, extra[0] + 1, extra[1] + 1, filters)).astype("float32")
    results = []
    for convolve in (kernels.find("convolution"), ops.conv):
        results.append(
            backends.value_and_gradients(
                lambda convolve=convolve: ops.sum(convolve(image.value, kernel.value) * weight),
                [image, kernel],
            )
        )
    assert_same(*results, tolerance=5e-6)
