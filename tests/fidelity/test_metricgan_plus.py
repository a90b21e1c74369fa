"""MetricGAN+'s networks and steps against arrays of SpeechBrain's program (torch)."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from keras_segan import backends
from keras_segan.layers import stft
from keras_segan.models import metricgan_plus, torch_layout
from keras_segan.reproductions import metricgan_plus as recipe
from keras_segan.training.gradients import global_norm
from keras_segan.training.step import Step

from ..helpers import beginning

RECORDED_STEPS = ("clean", "enh", "noisy")


numpy = ops.convert_to_numpy


def close(ours, theirs, tolerance):
    np.testing.assert_allclose(beginning(ours, theirs), theirs, atol=tolerance)


@pytest.fixture
def goldens(torch_goldens):
    return torch_goldens("metricganplus")


@pytest.fixture
def networks(goldens):
    generator, discriminator = metricgan_plus.generator(), metricgan_plus.discriminator()
    generator.set_weights(torch_layout.generator(goldens("generator_weights")))
    discriminator.set_weights(torch_layout.discriminator(goldens("discriminator_weights")))
    return generator, discriminator


@pytest.fixture
def game(networks):
    return recipe.Game(recipe.CODE, *networks)


@pytest.fixture
def feature(goldens):
    features = goldens("features")
    return lambda name: features[f"{name}_feat"][None]


def test_parameter_counts():
    trained = sum(int(np.prod(v.shape)) for v in metricgan_plus.discriminator().trainable_variables)
    assert trained == 19_010
    assert metricgan_plus.generator().count_params() == 1_895_514
    assert metricgan_plus.generator(torch_bias=False).count_params() == 1_892_314


@pytest.mark.parametrize("name", ["noisy_0", "clean_0", "noisy_1", "clean_1"])
def test_features_in_numpy_and_in_the_graph(goldens, feature, name):
    waveform = goldens.waveform(name)
    # In double precision the same formula is up to 1.16e-6 away from the goldens.
    theirs = feature(name)
    ours = metricgan_plus.front_end().magnitude(waveform)[None]
    np.testing.assert_allclose(beginning(ours, theirs), theirs, atol=1.5e-6)
    graph = numpy(metricgan_plus.features(stft.stft(waveform[None])))
    np.testing.assert_allclose(beginning(graph, theirs), theirs, atol=1.5e-6)


def test_mask_waveform_and_features_of_it(goldens, networks):
    recorded = goldens("forward")
    front_end, noisy = metricgan_plus.front_end(), goldens.waveform("noisy_0")
    features, analysis = front_end.analyse(noisy)
    mask = numpy(networks[0](features[None]))
    np.testing.assert_allclose(mask[0], recorded["mask"], atol=1e-6)
    close(front_end.synthesise(mask[0], analysis), recorded["enh_wav"], 1e-6)
    floored = np.maximum(mask, metricgan_plus.MASK_FLOOR)
    close(floored[0] * features, recorded["enh_feat"], 2e-6)

    waveform = metricgan_plus.resynthesis(ops.convert_to_tensor(floored), stft.stft(noisy[None]), len(noisy))
    close(numpy(waveform)[0], recorded["enh_wav"], 1e-6)
    again = metricgan_plus.features(stft.stft(waveform))
    np.testing.assert_allclose(numpy(again)[0], recorded["enh_feat_reanalysed"], atol=2e-6)


def test_padded_batch(goldens, networks):
    recorded = goldens("forward")
    waveforms = [goldens.waveform(f"noisy_{number}") for number in (0, 1)]
    batch = np.stack([np.pad(w, (0, len(waveforms[0]) - len(w))) for w in waveforms])
    features = metricgan_plus.features(stft.stft(batch))
    frames = features.shape[1]
    # torch packs int(relative length * frames) of them, which can be one less than the utterance has.
    lengths = (recorded["batch_rel_lengths"] * frames).astype(int)
    assert lengths[1] == 1 + len(waveforms[1]) // 256 - 1
    mask = numpy(networks[0](features, mask=np.arange(frames) < lengths[:, None]))
    close(mask, recorded["batch_mask"], 1e-6)


def test_scores_with_moving_averages(goldens, networks, feature):
    recorded = goldens("forward")
    degraded = {
        "enh": recorded["enh_feat_reanalysed"][None],
        "noisy": feature("noisy_0"),
        "clean": feature("clean_0"),
    }
    for name, spectrum in degraded.items():
        score = networks[1](metricgan_plus.pair(spectrum, feature("clean_0")), training=False)
        np.testing.assert_allclose(numpy(score), recorded[f"D_eval_score_{name}"], atol=1e-6)


def test_one_bias_for_two(goldens, networks):
    single = metricgan_plus.generator(torch_bias=False)
    single.set_weights(torch_layout.generator(goldens("generator_weights"), two_biases=False))
    features = metricgan_plus.front_end().magnitude(goldens.waveform("noisy_0"))[None]
    ours, theirs = (numpy(network(features)) for network in (single, networks[0]))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_generator_gradient_and_step(goldens, game, feature):
    recorded = goldens("generator_step")
    file = "generator_weights"
    names = goldens.names(file)
    noisy, clean = goldens.waveform("noisy_0")[None], feature("clean_0")
    before = game.discriminator.get_weights()

    game.generator.get_layer("mask").limit_slope(recipe.CODE.largest_slope)
    loss, gradients = backends.value_and_gradients(
        lambda: game.generator_loss(ops.convert_to_tensor(noisy), ops.convert_to_tensor(clean)),
        game.generator.trainable_variables,
    )
    np.testing.assert_allclose(numpy(loss), recorded["loss"], rtol=1e-6)
    np.testing.assert_allclose(numpy(global_norm(gradients)), recorded["norm_G"], rtol=2e-5)
    goldens.assert_gradients(file, names, recorded, "grad_before_clip.", gradients)

    game.discriminator.set_weights(before)
    game.generator.set_weights(torch_layout.generator(goldens(file)))
    step = game.steps()["generator"]
    logged = step(waveform=noisy, clean=clean)
    np.testing.assert_allclose(numpy(logged["g_loss"]), recorded["loss"], rtol=1e-6)
    norm = numpy(global_norm(step.players[0].rule.theirs.gradients))
    np.testing.assert_allclose(norm, recorded["norm_D"], rtol=2e-5)
    goldens.assert_updated(file, names, recorded, "after.", game.generator.get_weights())
    names = goldens.names("discriminator_weights")
    moved = game.discriminator.get_weights()
    after = goldens.compared("discriminator_weights", names, recorded, "D_after.", moved)
    assert [name for name, *_ in after] == [name for name in names if name.endswith(goldens.RUNNING)]
    for name, ours, theirs in goldens.compared("discriminator_weights", names, recorded, "D_after.", moved):
        np.testing.assert_allclose(ours, theirs, atol=1e-6, err_msg=name)


def test_discriminator_gradients_and_steps(goldens, game, feature):
    steps = game.steps()
    rule = steps["discriminator"].players[0].rule
    recorded = goldens("discriminator_step")
    file = "discriminator_weights"
    clean = feature("clean_0")
    for number, kind in enumerate(RECORDED_STEPS):
        key = f"step{number}_{kind}"
        target = recorded[f"{key}_target"]
        if kind == "enh":
            noisy = goldens.waveform("noisy_0")[None]
            logged = steps["on_enhanced"](waveform=noisy, clean=clean, scores=target)
        else:
            degraded = clean if kind == "clean" else feature("noisy_0")
            logged = steps["discriminator"](degraded=degraded, clean=clean, scores=target)
        loss, error = (numpy(logged[f"d_{name}"]) for name in ("loss", "error"))
        # The loss is a squared distance: of 0.0019 in the last step, 1e-6 in the score are 5e-5.
        np.testing.assert_allclose(loss, recorded[f"{key}_loss"], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(error, abs(recorded[f"{key}_score"] - target).item(), atol=1e-6)
        own = rule.mine.gradients
        np.testing.assert_allclose(numpy(global_norm(own)), recorded[f"{key}_norm_D"], rtol=2e-5)
        leftover = numpy(global_norm(rule.theirs.gradients))
        np.testing.assert_allclose(leftover, recorded[f"{key}_norm_G_leftover"], rtol=2e-5)
        goldens.assert_gradients(file, goldens.trained(file), recorded, f"{key}_grad_before_clip.", own)
        weights = game.discriminator.get_weights()
        goldens.assert_updated(file, goldens.names(file), recorded, f"{key}_after.", weights)


def test_kerass_own_adam_would_differ(goldens, networks, feature):
    step = recipe.Game(recipe.CODE, *networks).steps()["discriminator"]
    adam = keras.optimizers.Adam(5e-4)
    step = Step([dataclasses.replace(step.players[0], optimizer=adam)], step.shapes, step.others)
    recorded = goldens("discriminator_step")
    step(degraded=feature("clean_0"), clean=feature("clean_0"), scores=recorded["step0_clean_target"])
    file = "discriminator_weights"
    after = goldens.compared(
        file, goldens.names(file), recorded, "step0_clean_after.", networks[1].get_weights()
    )
    off = [np.abs(ours - theirs) > 1e-6 for name, ours, theirs in after if not name.endswith(goldens.RUNNING)]
    assert np.concatenate(off).mean() > 0.1
