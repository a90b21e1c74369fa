"""Wave-U-Net against its program, and UNetGAN's game against the authors' training loop."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_segan import backends
from keras_segan.models import unetgan
from keras_segan.reproductions import unetgan as recipe
from keras_segan.training.losses import l2
from keras_segan.training.step import fetch

ARRAYS = Path(__file__).parent / "arrays" / "unetgan"
LENGTH = 256


def numpy(value):
    return keras.ops.convert_to_numpy(value)


def in_time(array):
    """A signal of PyTorch's `(batch, channel, time)` as ours, or back."""
    return np.transpose(array, (0, 2, 1))


def recorded(arrays, prefix):
    """Arrays by name, kernels in our layout."""
    found = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    return {
        name: array.T if array.ndim == 3 else array
        for name, array in found.items()
        if not name.endswith("num_batches_tracked")
    }


def is_idle(name):
    """Whether a weight is a bias that a batch normalisation takes off."""
    return name.endswith(".main.0.bias") or name in (
        "middle.0.bias",
        "net.1.bias",
        "net.5.bias",
        "net.9.bias",
    )


def assert_trained(network, expected, atol=5e-6):
    """Compares what Adam moves; idle biases go either way by its step size, and moving averages with them."""
    assert len(network.weights) == len(expected)
    for variable, (name, array) in zip(network.weights, expected.items(), strict=True):
        if not is_idle(name) and "running" not in name:
            np.testing.assert_allclose(numpy(variable), array, rtol=0, atol=atol, err_msg=name)


@pytest.fixture(scope="module")
def wave():
    return dict(np.load(ARRAYS / "waveunet.npz"))


@pytest.fixture(scope="module")
def gan():
    return dict(np.load(ARRAYS / "unetgan.npz"))


@pytest.fixture
def wave_unet(wave):
    network = unetgan.wave_unet(4, 3, LENGTH)
    network.set_weights(list(recorded(wave, "init|").values()))
    return network


@pytest.fixture
def game(gan):
    settings = dataclasses.replace(
        recipe.CODE, window=LENGTH, levels=4, interval=3, widths=(4, 5, 6), batch=3, overlap=0
    )
    playing = recipe.game(settings, "unetgan")
    for network, prefix in ((playing.generator, "init|G."), (playing.discriminator, "init|D.")):
        network.set_weights(list(recorded(gan, prefix).values()))
    return playing


def test_published_sizes():
    assert unetgan.generator().count_params() - 2 * norms(unetgan.generator()) == 3_046_273
    assert unetgan.discriminator().count_params() - 2 * norms(unetgan.discriminator()) == 659_009
    assert unetgan.wave_unet().count_params() - 2 * norms(unetgan.wave_unet()) == 10_132_802


def norms(network):
    """Channels of the batch normalisations, each of which has two moving values beside its weights."""
    return sum(layer.gamma.shape[0] for layer in network.layers if "norm" in layer.name)


def test_wave_unet_forward(wave, wave_unet):
    x = in_time(wave["x"])
    evaluated = numpy(wave_unet(x, training=False))
    np.testing.assert_allclose(in_time(evaluated), wave["eval_out"], atol=7e-6)
    trained = numpy(wave_unet(x, training=True))
    np.testing.assert_allclose(in_time(trained), wave["train_out"], atol=4e-5)
    after = recorded(wave, "bn_after|")
    moved = [v for v in wave_unet.weights if v.name.startswith("moving")]
    assert len(moved) == len(after)
    for variable, (name, array) in zip(moved, after.items(), strict=True):
        np.testing.assert_allclose(numpy(variable), array, atol=2e-6, err_msg=name)


def test_interpolation_with_aligned_corners(wave):
    from keras_segan.layers import LinearUpsampling

    doubled = LinearUpsampling()(in_time(wave["interp_in"]))
    np.testing.assert_allclose(in_time(numpy(doubled)), wave["interp_out"], atol=1e-6)


def test_wave_unet_gradients(wave, wave_unet):
    def function(x, y):
        return backends.value_and_gradients(
            lambda: l2(wave_unet(x, training=True), y), wave_unet.trainable_variables
        )

    x, y = in_time(wave["x"]), in_time(wave["y"])
    loss, gradients = backends.compile_step(function, wave_unet.variables, [x.shape, y.shape])(x, y)
    np.testing.assert_allclose(numpy(loss), wave["loss_mse"], rtol=2e-6)
    expected = recorded(wave, "grad|")
    assert len(expected) == len(gradients)
    for gradient, (name, array) in zip(gradients, expected.items(), strict=True):
        limit = 1e-6 if is_idle(name) else 5e-5 * np.linalg.norm(array)
        assert np.linalg.norm(numpy(gradient) - array) <= limit, name


def test_wave_unet_three_steps_of_adam(wave, wave_unet):
    settings = dataclasses.replace(recipe.CODE, window=LENGTH, overlap=0)
    step = recipe.Game(settings, wave_unet).step()
    x, y = in_time(wave["x"])[..., 0], in_time(wave["y"])[..., 0]
    logged = []
    for number in (1, 2, 3):
        logged.append(step(raw_noisy=x, raw_clean=y))
        if number == 1:
            assert_trained(wave_unet, recorded(wave, "after1|"), 2e-6)
    assert_trained(wave_unet, recorded(wave, "after3|"), 1e-5)
    np.testing.assert_allclose(fetch(logged)["w_loss"], wave["adam_losses"], rtol=2e-5)


def test_networks_of_unetgan(gan, game):
    noisy, clean = in_time(gan["noisy"][0]), in_time(gan["clean"][0])
    for training, name in ((False, "eval"), (True, "train")):
        enhanced = numpy(game.generator(noisy, training=training))
        np.testing.assert_allclose(in_time(enhanced), gan[f"G_{name}"], atol=6e-5)
        logits = numpy(game.discriminator(unetgan.pair(noisy, clean), training=training))
        judged = 1 / (1 + np.exp(-logits))
        np.testing.assert_allclose(in_time(judged), gan[f"D_{name}_on_clean"], atol=5e-6)


def test_three_iterations_of_both_players(gan, game):
    step = game.step()
    logged = []
    for number in range(3):
        noisy, clean = (in_time(gan[kind][number])[..., 0] for kind in ("noisy", "clean"))
        logged.append(step(noisy=noisy, clean=clean, label=gan["real_labels"][number]))
        if number in (0, 2):
            for network, name in ((game.generator, "G"), (game.discriminator, "D")):
                assert_trained(network, recorded(gan, f"after{number + 1}|{name}."))
    values = fetch(logged)
    names = list(gan["log_names"])
    for ours, theirs in (("d_real", "D_real_loss"), ("d_fake", "D_fake_loss"), ("d_loss", "D_total")):
        np.testing.assert_allclose(values[ours], gan["log_before_update"][:, names.index(theirs)], rtol=1e-4)
    error = gan["log_before_update"][:, names.index("G_additional_x20")]
    np.testing.assert_allclose(values["g_mse"], error, rtol=1e-4)


def test_moving_averages_of_the_generator_move_once_an_iteration(gan, game):
    """As in the program, whose log then enhances the batch once more with the new weights."""
    noisy, clean = (in_time(gan[kind][0])[..., 0] for kind in ("noisy", "clean"))
    game.step()(noisy=noisy, clean=clean, label=gan["real_labels"][0])
    game.generator(noisy[..., None], training=True)
    expected = recorded(gan, "after1|G.")
    for variable, (name, array) in zip(game.generator.weights, expected.items(), strict=True):
        if "running" in name:
            # Idle biases, which Adam moves by 2e-4 either way, shift the means.
            np.testing.assert_allclose(numpy(variable), array, atol=1e-4, err_msg=name)
