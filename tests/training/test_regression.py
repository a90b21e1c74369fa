"""Regression: optimizers, resume, equalisation, RBMs."""

import keras
import numpy as np
import pytest

from keras_segan.data.segments import SegmentStore
from keras_segan.models import xu
from keras_segan.training import rbm
from keras_segan.training.regression import LOSSES, RegressionSteps, RegressionTrainer, Rounds
from keras_segan.training.run import Run

BINS = 5


@pytest.fixture
def store(tmp_path):
    random = np.random.default_rng(0)
    pairs = [(noisy, 0.5 * noisy) for noisy in random.standard_normal((3, 20, BINS)).astype(np.float32)]
    with SegmentStore.create(tmp_path / "features", pairs, BINS, 1) as store:
        yield store


def trainer(store, folder, iterations, resume=False, dropout=0.2):
    keras.utils.set_random_seed(1)
    network = xu.dnn(3, BINS, units=16, hidden_layers=1, dropout=dropout)
    steps = RegressionSteps(network, keras.optimizers.Adam(1e-2), LOSSES["mae"])
    run = (Run.resume if resume else Run.create)(folder, {"iterations": iterations}, quiet=True)
    rounds = Rounds(iterations, 10, 16, evaluated=2, seed=3)
    return RegressionTrainer(steps, {"train": store}, SegmentStore.batch, rounds, run)


def test_training_learns_and_logs_each_round(store, tmp_path):
    training = trainer(store, tmp_path / "run", 60)
    training.fit()
    losses = [row["train_loss"] for row in training.run.log]
    assert [row["iteration"] for row in training.run.log] == [0, 10, 20, 30, 40, 50, 60]
    assert losses[-1] < 0.6 * losses[0]


def test_a_resumed_run_ends_with_the_same_weights(store, tmp_path):
    whole = trainer(store, tmp_path / "whole", 40)
    whole.fit()
    trainer(store, tmp_path / "parts", 20).fit()
    resumed = trainer(store, tmp_path / "parts", 40, resume=True)
    assert resumed.done == 20
    resumed.fit()
    for ours, theirs in zip(resumed.steps.network.variables, whole.steps.network.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())  # dropout's generator is one of them
    untimed = [
        [{k: v for k, v in row.items() if k != "seconds_per_iteration"} for row in t.run.log]
        for t in (whole, resumed)
    ]
    assert untimed[0] == untimed[1]


def test_momentum_and_rate_of_sgd_change_between_steps():
    network = xu.dnn(1, 2, units=1, hidden_layers=0, dropout=0)
    network.set_weights([np.zeros((2, 2)), np.zeros(2)])
    steps = RegressionSteps(network, keras.optimizers.SGD(0.1, momentum=0.5), LOSSES["mse"])
    x, y = np.zeros((4, 1, 2), np.float32), np.ones((4, 2), np.float32)
    steps.train(x, y)  # dE/db = -2: velocity 0.2
    np.testing.assert_allclose(network.get_weights()[1], 0.2, rtol=1e-6)
    steps.set_sgd(0.05, 0.9)
    steps.train(x, y)  # dE/db = -1.6: velocity 0.9 * 0.2 + 0.08
    np.testing.assert_allclose(network.get_weights()[1], 0.2 + 0.26, rtol=1e-6)


def test_weight_decay_acts_on_kernels_only():
    network = xu.dnn(1, 2, units=1, hidden_layers=0, dropout=0)
    network.set_weights([np.ones((2, 2)), np.ones(2)])
    steps = RegressionSteps(network, keras.optimizers.SGD(0.1), LOSSES["mse"], weight_decay=0.5)
    steps.train(np.zeros((4, 1, 2), np.float32), np.ones((4, 2), np.float32))
    kernel, bias = network.get_weights()
    np.testing.assert_allclose(kernel, 1 - 0.1 * 0.5, rtol=1e-6)
    np.testing.assert_allclose(bias, 1.0)


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


def test_classic_dropout_scales_at_test_time():
    network = xu.dnn(1, 3, units=400, hidden_layers=1, dropout=0.25, scale_at_test=True)
    network.set_weights([np.zeros((3, 400)), np.ones(400), np.ones((400, 3)), np.zeros(3)])
    x = np.zeros((50, 1, 3), np.float32)
    np.testing.assert_allclose(network(x, training=False), 300, rtol=1e-5)
    trained = np.asarray(network(x, training=True))
    np.testing.assert_array_equal(trained, np.round(trained))  # what is kept is kept as it is
    assert trained.mean() == pytest.approx(300, rel=0.05)
