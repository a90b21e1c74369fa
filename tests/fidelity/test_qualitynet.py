"""Quality-Net against arrays of its program (Keras 2.0.9), on the backend that KERAS_BACKEND names."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from keras_segan import audio, backends
from keras_segan.layers.gate_dropout_lstm import linear_recurrence, without_feedback
from keras_segan.models import qualitynet
from keras_segan.reproductions import qualitynet as recipe
from keras_segan.training.optimizers import Keras2RMSprop

ARRAYS = Path(__file__).parent / "arrays" / "qualitynet"
NAMES = (
    *("fw.kernel", "fw.recurrent", "fw.bias", "bw.kernel", "bw.recurrent", "bw.bias"),
    *("dense.kernel", "dense.bias", "frame.kernel", "frame.bias"),
)
LIMITS = {"net": 1e-5, "norm05": 0.5, "free": None}
STEPS = ("x0", "x1", "x2", "x0", "x1")


def numpy(value):
    return ops.convert_to_numpy(value)


@pytest.fixture(scope="module")
def small():
    return np.load(ARRAYS / "small.npz")


def small_network(small, kind, dropout=0.0):
    network = qualitynet.network(7, 5, 6, dropout=dropout, largest_norm=LIMITS[kind])
    network.set_weights([small[f"{kind}.w0.{name}"] for name in NAMES])
    return network


def objective(network):
    return recipe.Objective(recipe.CODE, network)


def gradients(network, features, score):
    """Total, utterance and frame loss, and the gradients of the weights."""

    def losses(features, score):
        return backends.value_and_gradients(
            lambda: objective(network).loss(features, score), network.trainable_variables
        )

    step = backends.compile_step(losses, network.variables, [(None, None, features.shape[-1]), (None, 1)])
    (loss, parts), found = step(features[None], np.full((1, 1), score))
    total = [float(numpy(each)) for each in (loss, parts["utterance_loss"], parts["frame_loss"])]
    return total, [numpy(gradient) for gradient in found]


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("name", ["x0", "x1", "x2"])
def test_scores_losses_and_gradients(small, kind, name):
    network = small_network(small, kind)
    outputs = network(small[name][None])
    np.testing.assert_allclose(numpy(outputs["frame_scores"])[0], small[f"{kind}.{name}.frames"], atol=1e-6)
    np.testing.assert_allclose(numpy(outputs["score"])[0], small[f"{kind}.{name}.average"], atol=5e-7)
    losses, found = gradients(network, small[name], small[f"target{name[1]}"])
    np.testing.assert_allclose(losses, small[f"{kind}.{name}.losses"], rtol=1e-6)
    for array, gradient in zip(NAMES, found, strict=True):
        recorded = small[f"{kind}.{name}.grad.{array}"]
        assert np.linalg.norm(gradient - recorded) <= 5e-6 * max(np.linalg.norm(recorded), 1e-3), array


@pytest.mark.parametrize("kind", LIMITS)
def test_five_steps_of_the_optimizer_and_the_constraint(small, kind):
    network = small_network(small, kind)
    step = objective(network).steps()[recipe.FIRST]
    for number, name in enumerate(STEPS, start=1):
        logged = step(features=small[name][None], score=np.full((1, 1), small[f"target{name[1]}"]))
        losses = [float(numpy(logged[key])) for key in ("q_loss", "q_utterance_loss", "q_frame_loss")]
        np.testing.assert_allclose(losses, small[f"{kind}.step_losses"][number - 1], rtol=1e-5)
        if number in (1, 3, 5):
            for array, weight in zip(NAMES, network.get_weights(), strict=True):
                atol = 1e-8 if kind == "net" and "recurrent" in array else 1e-5
                np.testing.assert_allclose(weight, small[f"{kind}.step{number}.{array}"], atol=atol)
    accumulators = [v for v in step.players[0].optimizer.variables if "velocity" in v.path]
    for array, value in zip(NAMES, accumulators, strict=True):
        recorded = small[f"{kind}.step5.acc.{array}"]
        np.testing.assert_allclose(numpy(value), recorded, atol=1e-5 * np.abs(recorded).max())


@pytest.mark.parametrize("kind", LIMITS)
def test_dropout_with_the_masks_that_were_drawn(small, kind, monkeypatch):
    network = small_network(small, kind, dropout=0.3)
    for side, lstm in (("fw", network.layers[1].forward_layer), ("bw", network.layers[1].backward_layer)):

        def mask(rate, sequences, width, side=side):
            part = "mask" if width == 7 else "recurrent_mask"
            return ops.stack(
                [ops.convert_to_tensor(small[f"{kind}.drop.{part}.{side}.{g}"]) for g in "ifco"]
            )[:, None]

        monkeypatch.setattr(lstm, "gate_mask", mask)
    dense = np.maximum(small[f"{kind}.drop.mask.dense"], 0.0)  # -1: the input was zero, so any value does
    dense = ops.convert_to_tensor(dense[None])
    monkeypatch.setattr(network.get_layer("dropout"), "call", lambda x, training=None: x * dense)
    losses, found = gradients(network, small["x0"], small["target0"])
    np.testing.assert_allclose(losses[0], small[f"{kind}.drop.loss"], rtol=2e-6)
    for array, gradient in zip(NAMES, found, strict=True):
        recorded = small[f"{kind}.drop.grad.{array}"]
        assert np.linalg.norm(gradient - recorded) <= 2e-5 * max(np.linalg.norm(recorded), 1e-3), array


def test_masks_are_drawn_for_each_gate_and_once_for_a_sequence():
    lstm = qualitynet.network(7, 50, 6).layers[1].forward_layer
    mask = numpy(lstm.gate_mask(0.3, ops.zeros((2, 9, 7)), 1000))
    assert mask.shape == (4, 2, 1000)
    np.testing.assert_allclose(np.unique(mask), [0.0, 1 / 0.7], rtol=1e-6)
    assert abs((mask > 0).mean() - 0.7) < 0.02
    flat = mask.reshape(8, -1) > 0
    agreement = [(flat[a] == flat[b]).mean() for a in range(8) for b in range(a)]
    assert max(agreement) < 0.7  # 0.58 for independent masks, 1 for shared ones


def test_rmsprop_adds_epsilon_outside_the_root(small):
    variable = keras.Variable(small["rmsprop.p0"])
    optimizer = Keras2RMSprop(1e-3)
    optimizer.build([variable])
    for gradient, expected in zip(small["rmsprop.grads"], small["rmsprop.p"], strict=True):
        optimizer.apply([ops.convert_to_tensor(gradient)], [variable])
        np.testing.assert_allclose(numpy(variable), expected, atol=1e-6)


def test_initial_biases(small):
    network = qualitynet.network(7, 5, 6)
    np.testing.assert_array_equal(network.get_weights()[2], small["fresh.fw.bias"])
    np.testing.assert_array_equal(network.get_weights()[5], small["fresh.bw.bias"])


def test_size_and_order_of_the_weights():
    network = qualitynet.network()
    assert network.count_params() == 296_501
    shapes = [tuple(w.shape) for w in network.get_weights()]
    assert shapes == [(257, 400), (100, 400), (400,)] * 2 + [(200, 50), (50,), (50, 1), (1,)]


def alive(units=5):
    """A small network in which every bias is alive: zero biases hide a missing mask."""
    network = qualitynet.network(7, units, 6)
    rng = np.random.default_rng(3)
    network.set_weights([rng.normal(0, 0.5, w.shape) for w in network.get_weights()])
    return network, rng


@pytest.mark.parametrize("feedback", [True, False])
def test_padding_changes_no_score(feedback):
    network, rng = alive()
    long, short = rng.random((1, 9, 7), np.float32), rng.random((1, 4, 7), np.float32)
    batch = np.concatenate([long, np.pad(short, ((0, 0), (0, 5), (0, 0)))])
    mask = np.arange(9) < np.array([[9], [4]])
    with without_feedback(network, feedback):
        together = network(batch, mask=mask)
        for row, alone, frames in ((0, long, 9), (1, short, 4)):
            expected = network(alone)
            np.testing.assert_allclose(numpy(together["score"])[row], numpy(expected["score"])[0], atol=1e-6)
            ours = numpy(together["frame_scores"])[row, :frames]
            np.testing.assert_allclose(ours, numpy(expected["frame_scores"])[0], atol=1e-6)


def test_without_feedback_is_the_faithful_layer_where_the_constraint_holds():
    network, rng = alive()
    weights = network.get_weights()
    for number in (1, 4):
        weights[number] *= 1e-5 / np.linalg.norm(weights[number], axis=0)
    network.set_weights(weights)
    features = rng.random((2, 30, 7), np.float32) * 20
    with without_feedback(network):
        fast = numpy(network(features)["frame_scores"])
    np.testing.assert_allclose(fast, numpy(network(features)["frame_scores"]), atol=6e-6)
    weights[1] *= 1e4
    network.set_weights(weights)
    assert np.abs(fast - numpy(network(features)["frame_scores"])).max() > 1e-3


@pytest.mark.parametrize("frames", [1, 2, 70])
def test_linear_recurrence_and_its_gradient(frames):
    rng = np.random.default_rng(0)
    factors, values, upstream = rng.random((3, 2, frames, 4), np.float32)
    variables = [keras.Variable(factors), keras.Variable(values)]

    def function():
        c = linear_recurrence(*[v + 0.0 for v in variables])
        return ops.sum(c * ops.convert_to_tensor(upstream)), c

    (_, c), found = backends.value_and_gradients(function, variables)
    expected, s = np.zeros_like(values), np.zeros_like(values)
    for t in range(frames):
        expected[:, t] = values[:, t] + (factors[:, t] * expected[:, t - 1] if t else 0)
    for t in reversed(range(frames)):
        s[:, t] = upstream[:, t] + (factors[:, t + 1] * s[:, t + 1] if t + 1 < frames else 0)
    earlier = np.concatenate([np.zeros_like(expected[:, :1]), expected[:, :-1]], axis=1)
    for ours, reference in zip((numpy(c), *map(numpy, found)), (expected, s * earlier, s), strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-5, atol=1e-6)


# The network's own size


@pytest.fixture(scope="module")
def goldens(shared):
    folder = shared("goldens/qualitynet")
    return lambda name: np.load(folder / f"{name}.npz")


@pytest.fixture(scope="module")
def utterances(shared):
    manifest = json.loads(shared("goldens/qualitynet/manifest.json").read_text())
    front, found = qualitynet.front_end(), {}
    for each in manifest["utterances"]:
        waveform, _ = audio.read(shared(f"data/{each['file']}"))
        found[each["name"]] = (front.analyse(waveform)[0], each["pesq_raw_nb"])
    return found


def full_network(goldens, kind, dropout=0.0):
    arrays = goldens(f"weights_{kind}")
    network = qualitynet.network(dropout=dropout)
    network.set_weights([arrays[name] for name in sorted(arrays.files, key=lambda n: int(n.split(".")[0]))])
    return network


def recorded(arrays, name):
    """An array and the stride that it was recorded with."""
    if name in arrays:
        return arrays[name].ravel(), 1
    value = arrays[f"{name}.strided"]
    return value, None


def compared(value, arrays, name):
    """Ours and the recorded values, of which large arrays have every n-th."""
    expected, stride = recorded(arrays, name)
    flat = np.asarray(value).ravel()
    return flat[:: stride or -(-flat.size // expected.size)], expected


def test_features(goldens, utterances):
    arrays = goldens("features")
    for name, (magnitude, _) in utterances.items():
        ours, expected = compared(magnitude, arrays, f"{name}.mag")
        np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["random", "released"])
def test_frame_scores_of_real_speech(goldens, utterances, kind):
    network, arrays = full_network(goldens, kind), goldens("forward")
    infer = backends.infer(network)
    for name, (magnitude, _) in utterances.items():
        outputs = infer(magnitude[None])
        np.testing.assert_allclose(outputs["frame_scores"][0], arrays[f"{kind}.{name}.frames"], atol=3e-6)
        np.testing.assert_allclose(outputs["score"][0], arrays[f"{kind}.{name}.average"], atol=1e-6)


@pytest.mark.parametrize(("kind", "name"), [("random", "u1"), ("released", "u3")])
def test_gradient_of_real_speech(goldens, utterances, kind, name):
    losses, found = gradients(full_network(goldens, kind), *utterances[name])
    arrays = goldens("gradients")
    np.testing.assert_allclose(losses[0], arrays[f"{kind}.{name}.loss"], rtol=1e-6)
    for array, gradient in zip(NAMES, found, strict=True):
        ours, expected = compared(gradient, arrays, f"{kind}.{name}.{array}")
        assert np.linalg.norm(ours - expected) <= 1e-5 * max(np.linalg.norm(expected), 1e-3), array


@pytest.mark.parametrize("kind", ["random", "released"])
def test_three_steps_on_real_speech(goldens, utterances, kind):
    network, arrays = full_network(goldens, kind), goldens("steps")
    step = objective(network).steps()[recipe.FIRST]
    for number, name in enumerate(("u0", "u1", "u2")):
        magnitude, score = utterances[name]
        logged = step(features=magnitude[None], score=np.full((1, 1), score))
        np.testing.assert_allclose(
            float(numpy(logged["q_loss"])), arrays[f"{kind}.losses"][number, 0], rtol=2e-5
        )
        if number in (0, 2):
            for array, weight in zip(NAMES, network.get_weights(), strict=True):
                ours, expected = compared(weight, arrays, f"{kind}.after{number + 1}.{array}")
                atol = 1e-8 if "recurrent" in array else 1e-5
                np.testing.assert_allclose(ours, expected, atol=atol, err_msg=array)


def test_after_the_first_step_the_fast_path_has_the_same_gradient(goldens, utterances):
    network = full_network(goldens, "released")
    magnitude, score = utterances["u0"]
    objective(network).steps()[recipe.FIRST](features=magnitude[None], score=np.full((1, 1), score))
    losses, exact = gradients(network, *utterances["u1"])
    with without_feedback(network):
        fast_losses, fast = gradients(network, *utterances["u1"])
    np.testing.assert_allclose(fast_losses, losses, rtol=1e-5)
    for array, ours, expected in zip(NAMES, fast, exact, strict=True):
        if "recurrent" not in array:
            assert np.linalg.norm(ours - expected) <= 1e-4 * np.linalg.norm(expected), array
