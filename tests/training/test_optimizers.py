import keras
import numpy as np
import pytest
from keras import ops

from keras_segan import backends
from keras_segan.training.gradients import clip_factor, global_norm
from keras_segan.training.optimizers import Adam, MomentumSGD, OnesRMSprop, TorchAdam


def moved(optimizer, gradients, start):
    """The variable after one step for each gradient."""
    parameter = keras.Variable(start)
    optimizer.build([parameter])
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient)])
    return np.asarray(parameter), optimizer


@pytest.mark.parametrize("epsilon", [1e-7, 1e-3])
def test_adam_is_that_of_keras(epsilon):
    random = np.random.default_rng(0)
    gradients = random.normal(scale=1e-3, size=(20, 30, 7)).astype("float32")
    start = random.normal(size=(30, 7)).astype("float32")
    settings = {"learning_rate": 1e-2, "beta_1": 0.8, "beta_2": 0.99, "epsilon": epsilon}
    (ours, our), (theirs, their) = (
        moved(kind(**settings), gradients, start) for kind in (Adam, keras.optimizers.Adam)
    )
    assert np.abs(theirs - start).max() > 0.02
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    # Checkpoints are exchangeable.
    for mine, other in zip(our.variables, their.variables, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-9)


def test_adam_without_the_one_pass_is_the_same(monkeypatch):
    random = np.random.default_rng(0)
    gradients = random.normal(scale=1e-3, size=(5, 4)).astype("float32")
    start = np.zeros(4, "float32")
    fast, _ = moved(TorchAdam(1e-2), gradients, start)
    monkeypatch.setattr("keras_segan.kernels.find", lambda name: None)
    plain, _ = moved(TorchAdam(1e-2), gradients, start)
    np.testing.assert_allclose(plain, fast, rtol=1e-5)


def test_the_learning_rate_may_change():
    optimizer = Adam(1.0)
    parameter = keras.Variable(np.zeros(1, "float32"))
    optimizer.build([parameter])
    optimizer.learning_rate = 0.25
    optimizer.apply([ops.ones(1)])
    assert float(parameter[0]) == pytest.approx(-0.25, rel=1e-5)


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="amsgrad"):
        Adam(amsgrad=True)


def test_torch_adam_is_that_of_torch():
    """Constant gradients g: every step is lr g / (|g| + epsilon), exactly."""
    gradients = np.array([1.0, 1e-6, 1e-8, -1e-9], "float32")
    for steps in (1, 2, 3):
        parameter, _ = moved(TorchAdam(0.1, epsilon=1e-8), [gradients] * steps, np.zeros(4, "float32"))
        expected = -0.1 * steps * gradients / (np.abs(gradients) + 1e-8)
        np.testing.assert_allclose(parameter, expected, rtol=1e-4)


def test_a_norm_below_the_limit_is_left_alone():
    gradients = [np.full((2, 2), 3.0), np.array([8.0])]
    assert float(global_norm(gradients)) == pytest.approx(10.0)
    assert float(clip_factor(10.0, 5.0)) == pytest.approx(0.5)
    assert float(clip_factor(4.0, 5.0)) == 1.0


def test_momentum_sgd_is_that_of_keras():
    random = np.random.default_rng(0)
    gradients = random.normal(size=(20, 30, 7)).astype("float32")
    start = random.normal(size=(30, 7)).astype("float32")
    (ours, _), (theirs, _) = (
        moved(kind(0.01, momentum=0.9), gradients, start) for kind in (MomentumSGD, keras.optimizers.SGD)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_momentum_and_rate_change_between_compiled_steps():
    bias = keras.Variable(np.zeros(2, "float32"))
    optimizer = MomentumSGD(0.1, 0.5)
    optimizer.build([bias])
    compilations = []

    def step(target):
        compilations.append(1)
        gradient = 2 * (bias - target)
        optimizer.apply([ops.convert_to_tensor(gradient)], [bias])
        return ops.sum(gradient)

    compiled = backends.compile_step(step, [bias, *optimizer.variables], [(2,)])
    compiled(np.ones(2))  # gradient -2: velocity 0.2
    np.testing.assert_allclose(ops.convert_to_numpy(bias), 0.2, rtol=1e-6)
    before = len(compilations)
    optimizer.learning_rate = 0.05
    optimizer.momentum.assign(0.9)
    compiled(np.ones(2))  # gradient -1.6: velocity 0.9 * 0.2 + 0.08
    np.testing.assert_allclose(ops.convert_to_numpy(bias), 0.2 + 0.26, rtol=1e-6)
    assert len(compilations) == before or keras.backend.backend() == "torch"
    assert optimizer.momentum in optimizer.variables  # and so in a checkpoint


def test_rmsprop_from_ones_moves_as_tensorflow_1():
    optimizer, variable = OnesRMSprop(2e-4), keras.Variable(np.zeros(2, np.float32))
    optimizer.build([variable])
    mean_square, expected = np.ones(2), np.zeros(2)
    for gradient in ([1.0, 1e-7], [0.5, -3.0], [-2.0, 0.0]):
        optimizer.apply([keras.ops.convert_to_tensor(np.array(gradient, np.float32))], [variable])
        mean_square = 0.9 * mean_square + 0.1 * np.square(gradient)
        expected -= 2e-4 * np.array(gradient) / np.sqrt(mean_square + 1e-10)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), expected, rtol=2e-5, atol=1e-12)
    again = OnesRMSprop.from_config(optimizer.get_config())
    assert (again.rho, again.epsilon) == (0.9, 1e-10)
