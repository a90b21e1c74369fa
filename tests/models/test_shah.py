import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segan import gammatone
from keras_segan.models import shah
from keras_segan.models.base import Enhancer
from keras_segan.models.registry import load_model


def noise(samples, seed=0):
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * 0.1


def test_parameter_counts_are_the_papers():
    assert shah.generator().count_params() == 788_032
    assert shah.discriminator().count_params() == 559_105


def test_names_and_shapes():
    assert shah.generator(225, 25, output="log-spectrum").output_shape == (None, 25)
    assert shah.generator().input_shape == (None, 448)
    assert shah.discriminator(25).input_shape == (None, 25)
    assert shah.discriminator().output_shape == (None, 1)


def test_weights_are_kernels_then_biases():
    shapes = [w.shape for w in shah.generator(10, 3, units=5, hidden_layers=2).get_weights()]
    assert shapes == [(10, 5), (5, 5), (5, 3), (5,), (5,), (3,)]


def test_networks_compute_what_the_paper_says():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 6)).astype(np.float32)
    generator = shah.generator(6, 2, units=5, hidden_layers=2)
    discriminator = shah.discriminator(6, units=5, hidden_layers=2)
    for network, hidden, last in (
        (generator, lambda z: np.maximum(z, 0), lambda z: 1 / (1 + np.exp(-z))),
        (discriminator, np.tanh, lambda z: z),
    ):
        weights = [rng.standard_normal(w.shape).astype(np.float32) for w in network.get_weights()]
        network.set_weights(weights)
        (w1, w2, w3), (b1, b2, b3) = weights[:3], weights[3:]
        expected = last(hidden(hidden(x @ w1 + b1) @ w2 + b2) @ w3 + b3)
        np.testing.assert_allclose(network(x), expected, rtol=1e-4, atol=1e-5)


def test_linear_output_is_the_sigmoids_argument():
    mask = shah.generator(6, 2, units=5)
    linear = shah.generator(6, 2, units=5, output="log-spectrum")
    linear.set_weights(mask.get_weights())
    x = noise(12).reshape(2, 6)
    np.testing.assert_allclose(mask(x), keras.ops.sigmoid(linear(x)), rtol=1e-6)


def test_released_initialisation_is_tiny():
    keras.utils.set_random_seed(0)
    generator = shah.generator(initialisation="released").get_weights()
    discriminator = shah.discriminator(initialisation="released").get_weights()
    for kernel in generator[:4]:
        assert np.std(kernel) == pytest.approx(1e-4, rel=0.05)
    for bias in generator[4:7]:
        assert np.std(bias) == pytest.approx(0.01, rel=0.2)
    for kernel in discriminator[:3]:
        assert np.std(kernel) == pytest.approx(1e-5 * np.sqrt(2 / kernel.shape[0]), rel=0.05)
    assert not any(bias.any() for bias in discriminator[4:])


def test_default_initialisation_is_glorot():
    keras.utils.set_random_seed(0)
    for kernel in shah.generator().get_weights()[:4]:
        assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / sum(kernel.shape)), rel=0.01)


@pytest.mark.parametrize("wrong", [{"output": "ratio"}, {"initialisation": "he"}])
def test_unknown_words_are_refused(wrong):
    with pytest.raises(ValueError, match="must be one of"):
        shah.generator(**wrong)


def test_masked_log_spectrum():
    mask, noisy = np.float32([[0.5, 0.0]]), np.float32([[2.0, 3.0]])
    np.testing.assert_allclose(shah.masked_log_spectrum(mask, noisy, 1e-8), np.log([[1.0, 1e-8]]), rtol=1e-6)


@given(st.integers(1, 2000))
@settings(max_examples=20, deadline=None)
def test_front_end_keeps_the_length(samples):
    front_end = shah.GammatoneFrontEnd()
    features, analysis = front_end.analyse(noise(samples))
    assert features.shape == (len(analysis.energies.T), front_end.n_inputs)
    assert features.dtype == np.float32
    enhanced = front_end.synthesise(np.ones((len(features), 64)), analysis)
    assert enhanced.shape == (samples,)
    assert enhanced.dtype == np.float32


def test_front_end_with_a_mask_of_ones_changes_little():
    front_end, t = shah.GammatoneFrontEnd(), np.arange(16000) / 16000
    waveform = np.sin(2 * np.pi * (300 * t + 1500 * t**2))
    features, analysis = front_end.analyse(waveform)
    enhanced = front_end.synthesise(np.ones((len(features), 64)), analysis)
    inner = slice(1000, 15000)
    assert np.corrcoef(enhanced[inner], waveform[inner])[0, 1] > 0.97
    assert np.std(enhanced[inner]) == pytest.approx(np.std(waveform[inner]), rel=0.05)


def test_silence_stays_silent():
    front_end = shah.GammatoneFrontEnd()
    features, analysis = front_end.analyse(np.zeros(1000))
    assert not features.any()
    assert not front_end.synthesise(np.ones((len(features), 64)), analysis).any()


def test_log_spectrum_becomes_a_mask_of_at_most_one():
    front_end = shah.GammatoneFrontEnd(output="log-spectrum", energy_floor=1e-8)
    _, analysis = front_end.analyse(noise(1000))
    log = gammatone.log_energies(analysis.energies, 1e-8).T
    np.testing.assert_allclose(front_end.mask(log + np.log(0.25), analysis), 0.25, rtol=1e-6)
    np.testing.assert_allclose(front_end.mask(log + 1, analysis), 1.0)


def test_enhancer_survives_saving(tmp_path):
    front_end = shah.GammatoneFrontEnd(window=400, hop=80, context=2, output="log-spectrum")
    generator = shah.generator(front_end.n_inputs, units=8, output="log-spectrum", initialisation="released")
    enhancer = Enhancer(generator, front_end, {"system": "DNN"})
    enhancer.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    waveform = noise(3000)
    np.testing.assert_array_equal(loaded.enhance(waveform), enhancer.enhance(waveform))
    assert loaded.front_end.get_config() == front_end.get_config()
    assert loaded.information == {"system": "DNN"}
