"""Layers of the waveform networks: reference batch norm, slopes, resampling, unbiased averages, columns."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_segan.layers import (
    ChannelPReLU,
    Columns,
    Decimation,
    LinearUpsampling,
    ReferenceBatchNormalization,
    UnbiasedBatchNormalization,
)


def numpy(value):
    return ops.convert_to_numpy(value)


@pytest.fixture
def batches():
    random = np.random.default_rng(0)
    return [(s * random.standard_normal((4, 10, 3)) + m).astype(np.float32) for s, m in ((2, 1), (0.5, -3))]


def mixed(x, reference, count, epsilon=1e-5):
    """The formula of SEGAN's program."""
    share = 1 / (count + 1)
    mean = share * x.mean((0, 1)) + (1 - share) * reference.mean((0, 1))
    square = share * (x**2).mean((0, 1)) + (1 - share) * (reference**2).mean((0, 1))
    return (x - mean) / np.sqrt(epsilon + square - mean**2)


def test_a_batch_is_normalised_mostly_by_the_reference(batches):
    layer = ReferenceBatchNormalization()
    reference, judged = (numpy(each) for each in layer(batches))
    scale = numpy(layer.gamma)
    np.testing.assert_allclose(reference, scale * mixed(*batches[:1] * 2, 4), atol=2e-5)
    np.testing.assert_allclose(judged, scale * mixed(batches[1], batches[0], 4), atol=2e-5)
    assert abs(reference.mean()) < 1e-5  # by its own moments
    assert judged.mean() < -1  # by another's


def test_groups_have_moments_of_their_own_and_the_reference_of_the_first(batches):
    layer = ReferenceBatchNormalization(groups=2)
    outputs = [numpy(each) for each in layer(batches)]
    scale = numpy(layer.gamma)
    for x, output in zip(batches, outputs, strict=True):
        for part in (slice(0, 2), slice(2, 4)):
            np.testing.assert_allclose(output[part], scale * mixed(x[part], batches[0][:2], 2), atol=2e-5)


def test_without_a_reference_every_batch_is_normalised_by_itself(batches):
    layer = ReferenceBatchNormalization(uses_reference=False)
    plain = layers.BatchNormalization(epsilon=1e-5)
    for x, output in zip(batches, layer(batches), strict=True):
        expected = numpy(plain(x, training=True)) * numpy(layer.gamma)
        # Both are rounded to single precision on their own way: 2.1e-5 of 2.8 has been seen.
        np.testing.assert_allclose(numpy(output), expected, rtol=2e-5, atol=2e-5)


def test_slopes_are_one_a_channel():
    layer = ChannelPReLU()
    x = np.array([[[-1.0, -1.0], [2.0, 2.0]]], np.float32)
    np.testing.assert_array_equal(numpy(layer(x)), [[[0, 0], [2, 2]]])
    layer.alpha.assign([0.5, -1.0])
    np.testing.assert_array_equal(numpy(layer(x)), [[[-0.5, 1.0], [2, 2]]])
    assert layer.alpha.shape == (2,)


def test_decimation_and_interpolation_with_aligned_corners():
    x = np.array([0.0, 3.0, 9.0], np.float32)[None, :, None]
    np.testing.assert_array_equal(numpy(Decimation()(x)).ravel(), [0, 9])
    doubled = numpy(LinearUpsampling()(x)).ravel()
    np.testing.assert_allclose(doubled, np.interp(np.arange(6) * 2 / 5, [0, 1, 2], [0, 3, 9]), rtol=1e-6)
    assert doubled[-1] == 9
    np.testing.assert_array_equal(numpy(LinearUpsampling()(x[:, :1])).ravel(), [0, 0])


def test_the_moving_variance_is_the_unbiased_one(batches):
    x = batches[0]
    layer, plain = UnbiasedBatchNormalization(), layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    for each in (layer, plain):
        each.build(x.shape)
        each.moving_variance.assign([3.0, 2.0, 1.0])
    np.testing.assert_allclose(numpy(layer(x, training=True)), numpy(plain(x, training=True)), atol=1e-6)
    expected = 0.9 * np.array([3.0, 2.0, 1.0]) + 0.1 * x.var((0, 1), ddof=1)
    np.testing.assert_allclose(numpy(layer.moving_variance), expected, rtol=1e-5)
    np.testing.assert_allclose(numpy(layer.moving_mean), numpy(plain.moving_mean), rtol=1e-6)
    before = numpy(layer.moving_variance)
    layer(x, training=False)
    np.testing.assert_array_equal(numpy(layer.moving_variance), before)


def test_columns():
    x = np.arange(10, dtype=np.float32).reshape(2, 5)
    np.testing.assert_array_equal(numpy(Columns(3)(x)), x[:, 3:])
    np.testing.assert_array_equal(numpy(Columns(0, 3)(x)), x[:, :3])


def test_layers_come_back_from_a_file(batches, tmp_path):
    inputs = [keras.Input((10, 3)) for _ in range(2)]
    norm = ReferenceBatchNormalization(groups=2, epsilon=0.1)
    first, second = norm(inputs)
    x = layers.Add()([first, ChannelPReLU(initial=0.3)(second)])
    x = UnbiasedBatchNormalization()(LinearUpsampling()(Decimation()(x)))
    network = keras.Model(inputs, x)
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(numpy(again(batches)), numpy(network(batches)))
