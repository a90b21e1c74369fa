"""Pre-training by restricted Boltzmann machines."""

import numpy as np

from keras_segan.models import xu
from keras_segan.training import rbm


def test_contrastive_divergence_of_a_machine_with_one_unit_each():
    """Two units, no noise: the hidden unit is certainly on, so that everything can be done by hand."""
    visible = np.array([[2.0], [4.0]], np.float32)
    weights = tuple(np.array(w, np.float32) for w in ([[1.0]], [50.0], [0.5]))
    kernel, hidden, bias = rbm.contrastive_divergence(visible, weights, True, np.random.default_rng(0))
    # The reconstruction is 1 * 1 + 0.5 for both rows.
    np.testing.assert_allclose(kernel, [[3.0 - 1.5]], rtol=1e-6)
    np.testing.assert_allclose(hidden, [0.0], atol=1e-6)
    np.testing.assert_allclose(bias, [3.0 - 1.5], rtol=1e-6)


def test_pretraining_makes_the_first_layer_reconstruct_better():
    random = np.random.default_rng(0)
    factors = random.standard_normal((400, 2))
    data = (factors @ random.standard_normal((2, 6))).astype(np.float32)
    data /= data.std(axis=0)
    network = xu.dnn(1, 6, units=8, hidden_layers=2, activation="sigmoid", dropout=0)
    last = network.get_weights()[-2:]

    def error():
        kernel, bias = network.get_weights()[:2]
        hidden = 1 / (1 + np.exp(-(data @ kernel + bias)))
        # The best visible bias is that which centres the reconstruction.
        field = hidden @ kernel.T
        return np.mean((data - field - (data - field).mean(axis=0)) ** 2)

    before = error()
    batches = [data[i : i + 50, None] for i in range(0, 400, 50)]
    rbm.pretrain(network, lambda epoch: batches, epochs=40, learning_rate=0.02)
    assert error() < 0.8 * before
    for ours, theirs in zip(network.get_weights()[-2:], last, strict=True):
        np.testing.assert_array_equal(ours, theirs)
