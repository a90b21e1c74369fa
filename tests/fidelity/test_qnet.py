"""Q-Net's predictor against arrays of its program (PyTorch), on the backend that KERAS_BACKEND names."""

import json
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from keras_segan import audio, backends
from keras_segan.models import qnet
from keras_segan.reproductions import qnet as recipe

ARRAYS = Path(__file__).parent / "arrays" / "qnet"
CONVOLUTIONS = ((3, 5), (4, 7), (5, 9), (6, 11))
MOVING = ("running_mean", "running_var", "weight_u", "weight_v")


def numpy(value):
    return ops.convert_to_numpy(value)


@pytest.fixture(scope="module")
def small():
    return np.load(ARRAYS / "small.npz")


def state(arrays, prefix):
    return {
        k.removeprefix(f"{prefix}."): arrays[k]
        for k in arrays.files
        if k.startswith(f"{prefix}.layer") or k.startswith(f"{prefix}.fc")
    }


def image(array):
    """From torch's (batch, channels, bins, frames)."""
    return np.asarray(array, np.float32).transpose(0, 2, 3, 1)


def features(array):
    """As a batch of examples holds them: (batch, frames, bins, channels)."""
    return np.asarray(array, np.float32).transpose(0, 3, 2, 1)


@pytest.fixture
def network(small):
    network = qnet.network(13, CONVOLUTIONS, (5, 4))
    network.set_weights(qnet.torch_weights(state(small, "w0")))
    return network


def test_scores_in_evaluation_mode(small, network):
    outputs = network(image(small["x"]), training=False)["score"]
    np.testing.assert_allclose(numpy(outputs), small["eval.out"], atol=2e-6)
    alone = network(image(small["x"])[1:2, :, :9], training=False)["score"]
    np.testing.assert_allclose(numpy(alone), small["eval.single1"], atol=2e-6)
    # The program's padding moves a score; ours does not pad.
    assert abs(small["eval.single1"][0, 0] - small["eval.out"][1, 0]) > 1e-4


def test_a_forward_pass_in_training_moves_what_torch_moves(small, network):
    outputs = network(image(small["x"]), training=True)["score"]
    np.testing.assert_allclose(numpy(outputs), small["train.out"], atol=2e-6)
    moved = qnet.torch_weights({**state(small, "w0"), **state(small, "forward1")})
    for ours, expected in zip(network.get_weights(), moved, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_gradients(small, network):
    objective = recipe.PredictorObjective(network)

    def losses(x, score):
        return backends.value_and_gradients(lambda: objective.loss(x, score), network.trainable_variables)

    step = backends.compile_step(losses, network.variables, [(None, None, 13, 2), (None, 1)])
    _, found = step(features(small["x"]), small["y"])
    recorded = {**{k: v * 0 for k, v in state(small, "w0").items()}, **state(small, "grad")}
    expected = [g for g, w in zip(qnet.torch_weights(recorded), network.weights, strict=True) if w.trainable]
    whole = np.sqrt(sum(np.sum(np.square(each)) for each in expected))
    for variable, gradient, reference in zip(network.trainable_variables, found, expected, strict=True):
        if "conv" in variable.path and "bias" in variable.path:
            continue  # zero in exact arithmetic: batch normalisation follows
        difference = np.linalg.norm(numpy(gradient) - reference)
        assert difference <= max(1e-5 * np.linalg.norm(reference), 1e-6 * whole), variable.path


def test_five_steps_of_adam(small, network):
    step = recipe.PredictorObjective(network).step(1e-3, 13)
    for number in range(1, 6):
        logged = step(features=features(small["x"]), score=small["y"])
        np.testing.assert_allclose(
            float(numpy(logged["q_loss"])), small["train.losses"][number - 1], rtol=1e-4
        )
        if number in (1, 3):
            expected = qnet.torch_weights(state(small, f"step{number}"))
            pairs = [
                (ours, theirs)
                for variable, ours, theirs in zip(
                    network.weights, network.get_weights(), expected, strict=True
                )
                if variable.trainable and not ("conv" in variable.path and "bias" in variable.path)
            ]
            off = np.concatenate([np.abs(ours - theirs).ravel() > 1e-5 for ours, theirs in pairs])
            assert off.mean() <= (0.0 if number == 1 else 1e-3)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_what_the_frozen_network_sends_into_the_enhancer(small, network, mode):
    pair = image(small["x"])
    clean, degraded = (ops.convert_to_tensor(pair[..., n].transpose(0, 2, 1)) for n in (0, 1))
    import keras

    variable = keras.Variable(degraded)
    objective = recipe.EnhancerObjective(recipe.CODE, None, network, target=1.0, training=mode == "train")

    def loss():
        return ops.sum(objective.distances(clean, variable + 0.0))

    value, (gradient,) = backends.value_and_gradients(loss, [variable])
    scale = small[f"frozen_{mode}.loss"] / float(numpy(value))
    assert scale == pytest.approx(1.0, rel=1e-5) or scale == pytest.approx(1 / 3, rel=1e-5)
    expected = small[f"frozen_{mode}.grad_degraded"][:, 0].transpose(0, 2, 1)
    assert np.linalg.norm(numpy(gradient) * scale - expected) <= 1e-4 * np.linalg.norm(expected)


def test_torch_s_own_file(small):
    torch = pytest.importorskip("torch")
    state_dict = torch.load(ARRAYS / "small_state_dict.pth", map_location="cpu", weights_only=True)
    network = qnet.network(13, CONVOLUTIONS, (5, 4))
    network.set_weights(qnet.torch_weights({name: np.asarray(value) for name, value in state_dict.items()}))
    outputs = network(image(small["x"]), training=False)["score"]
    np.testing.assert_allclose(numpy(outputs), small["step5.eval.out"], atol=2e-6)


def test_size():
    trained = sum(int(np.prod(v.shape)) for v in qnet.network().trainable_variables)
    assert trained == 345_586


# The network's own size


def test_features(shared):
    manifest = json.loads(shared("goldens/qnet/manifest.json").read_text())
    arrays = np.load(shared("goldens/qnet/features.npz"))
    pair = manifest["pairs"][0]
    front = qnet.front_end()
    for channel, name in enumerate(("clean", "degraded")):
        waveform, _ = audio.read(shared(f"data/{pair[name]}"))
        ours = front.analyse(waveform)[0]
        np.testing.assert_allclose(ours, arrays["u1.clean_degraded"][channel].T, atol=1e-5)
