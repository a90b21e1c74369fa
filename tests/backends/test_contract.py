"""The contract of `keras_segan.backends`, on the backend that KERAS_BACKEND names."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_segan import backends

from .game import BINS, REFERENCE, STEPS, Game, batch, discriminator, generator, play, random_weights


def numpy(value):
    return ops.convert_to_numpy(value)


@pytest.fixture
def variable():
    return keras.Variable(np.array([1.0, 2.0], "float32"))


def test_losses_and_weights_are_tensorflow_s():
    reference = np.load(REFERENCE)
    losses, values = play(Game())
    np.testing.assert_allclose(losses, reference["losses"], rtol=1e-4)
    assert len(values) == len(reference.files) - 1
    for number, value in enumerate(values):
        np.testing.assert_allclose(value, reference[f"{number:03d}"], rtol=1e-5, atol=2e-5)


def test_a_game_goes_on_from_its_state_exactly():
    whole, half = Game(dropout=0.3), Game(dropout=0.3)
    losses, _ = play(whole)
    play(half, STEPS - 2)
    again = Game(dropout=0.3)
    for ours, theirs in zip(again.variables(), half.variables(), strict=True):
        ours.assign(numpy(theirs))
    rest = [numpy(again.step(*batch(number))["g_loss"]) for number in range(STEPS - 2, STEPS)]
    np.testing.assert_array_equal(rest, losses[-2:, 1].astype(np.float32))


def test_dropout_is_drawn_anew_in_every_step():
    network = generator(dropout=0.5)
    step = backends.compile_step(lambda x: network(x, training=True), network.variables, [(None, None, BINS)])
    x = batch(0)[0]
    assert np.abs(numpy(step(x)) - numpy(step(x))).max() > 0.01


def test_what_a_step_returns_keeps_its_structure(variable):
    def function(x):
        return {"sum": ops.sum(x), "rest": (x * 2, [variable + 0.0])}

    result = backends.compile_step(function, [variable], [(None,)])(np.ones(3))
    assert numpy(result["sum"]) == 3
    np.testing.assert_array_equal(numpy(result["rest"][0]), [2, 2, 2])
    np.testing.assert_array_equal(numpy(result["rest"][1][0]), [1, 2])


def test_a_step_takes_any_arguments_where_no_shapes_are_named(variable):
    step = backends.compile_step(lambda x: variable.assign_add(ops.cast(x, "float32")), [variable])
    step(np.array([1, 2], "int32"))
    np.testing.assert_array_equal(numpy(variable), [2, 4])


@pytest.mark.parametrize("compiled", [False, True])
def test_a_gradient_that_does_not_exist_is_zeros(variable, compiled):
    other = keras.Variable(np.ones((2, 3), "float32"))

    def function():
        return backends.value_and_gradients(lambda: ops.sum(variable * variable), [other, variable])

    step = backends.compile_step(function, [variable, other]) if compiled else function
    loss, (missing, own) = step()
    assert numpy(loss) == 5
    np.testing.assert_array_equal(numpy(missing), np.zeros((2, 3)))
    np.testing.assert_array_equal(numpy(own), [2, 4])
    _, gradients = backends.value_and_gradients(lambda: ops.sum(ops.ones(3)), [variable])
    np.testing.assert_array_equal(numpy(gradients[0]), [0, 0])


@pytest.mark.parametrize("compiled", [False, True])
def test_what_a_loss_changes_is_changed_afterwards(compiled):
    network = discriminator()
    random_weights(network, 0)
    image = np.stack(batch(0), axis=-1)
    moving = network.non_trainable_variables
    before = [numpy(v) for v in moving]

    def function(x):
        return backends.value_and_gradients(
            lambda: ops.mean(network(x, training=True)), network.trainable_variables
        )

    function = backends.compile_step(function, network.variables, [image.shape]) if compiled else function
    function(ops.convert_to_tensor(image))
    assert len(moving) == 6  # averages, u of three layers and v of one
    assert all(np.abs(numpy(v) - old).max() > 1e-4 for v, old in zip(moving, before, strict=True))


def test_a_value_that_was_assigned_is_a_constant_for_gradients(variable):
    memory = keras.Variable(np.zeros(2, "float32"), trainable=False)

    def loss():
        memory.assign(variable * 3)
        return ops.sum(variable * memory)

    _, (gradient,) = backends.value_and_gradients(loss, [variable])
    np.testing.assert_array_equal(numpy(gradient), [3, 6])
    np.testing.assert_array_equal(numpy(memory), [3, 6])


def test_a_variable_may_change_between_its_use_and_the_gradient(variable):
    memory = keras.Variable(np.ones(2, "float32"), trainable=False)

    def loss():
        first = ops.sum(variable * memory)
        memory.assign(memory * 2)
        return first + ops.sum(variable * memory)

    _, (gradient,) = backends.value_and_gradients(loss, [variable])
    np.testing.assert_array_equal(numpy(gradient), [3, 3])
    np.testing.assert_array_equal(numpy(memory), [2, 2])


@pytest.mark.parametrize("masked", [False, True])
def test_inference_at_any_length_is_the_network_s(masked):
    network = generator()
    random_weights(network, 0)
    run = backends.infer(network)
    for frames in (1, 12, 65):
        x = batch(0, frames)[0]
        mask = np.arange(frames)[None] < np.array([[frames], [max(frames - 3, 1)]]) if masked else None
        expected = numpy(network(x, training=False, mask=mask))
        ours = run(x, None if mask is None else mask.astype(np.float32))
        assert isinstance(ours, np.ndarray)
        assert ours.shape == expected.shape
        kept = slice(None) if mask is None else mask
        np.testing.assert_allclose(ours[kept], expected[kept], atol=1e-6)


def test_inference_of_many_rows_and_of_networks_without_masks():
    inputs = keras.Input((5, 3))
    flat = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))
    image = discriminator()
    for network, shapes in (
        (flat, [(n, 5, 3) for n in (1, 70, 200)]),
        (image, [(2, n, BINS, 2) for n in (11, 19)]),
    ):
        random_weights(network, 0)
        run = backends.infer(network)
        for shape in shapes:
            weights = network.get_weights()
            x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
            expected = numpy(network(x, training=False))
            network.set_weights(weights)  # u moves in every call
            np.testing.assert_allclose(run(x), expected, atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX has to be told of a step's variables")
@pytest.mark.parametrize("use", ["read", "assigned"])
def test_a_variable_that_is_missing_from_the_state_is_named(variable, use):
    def function():
        return variable + 1 if use == "read" else variable.assign([3, 4])

    with pytest.raises(ValueError, match=variable.path):
        backends.compile_step(function, [])()


@pytest.mark.parametrize(
    ("name", "words"), [("mxnet", "Unknown value of KERAS_BACKEND"), ("jax", "pip install")]
)
def test_a_backend_that_cannot_be_used_is_told_of_in_a_sentence(name, words, tmp_path):
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'jax' else find(name, *rest)\n"
        "from keras_segan.cli import options\n"
        "try: options.import_keras()\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": name}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("BackendUsageError")
    assert words in done.stdout


def test_importing_it_imports_no_backend():
    code = "import sys, keras_segan.backends, keras_segan.kernels; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"keras", "tensorflow", "jax", "torch"} & set(done.stdout.split())
