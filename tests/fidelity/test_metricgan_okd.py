"""MetricGAN-OKD's networks and steps against arrays of the authors' program (torch)."""

import numpy as np
import pytest
from keras import ops

from keras_segan import backends
from keras_segan.models import metricgan_okd, metricgan_plus, torch_layout
from keras_segan.reproductions import metricgan_okd as recipe
from keras_segan.training.gradients import global_norm
from keras_segan.training.optimizers import TorchAdam

from ..helpers import beginning

numpy = ops.convert_to_numpy


@pytest.fixture
def goldens(torch_goldens):
    return torch_goldens("okd")


@pytest.fixture
def judge(goldens):
    """The game with the recorded discriminator, whatever the generators are."""
    generators = [metricgan_okd.generator(dropout=0.0, name=f"generator_{number}") for number in (0, 1)]
    discriminator = metricgan_okd.discriminator(2)
    discriminator.set_weights(torch_layout.discriminator(goldens("discriminator_weights")))
    return recipe.Game(generators, discriminator)


def steps_of(game):
    return game.steps(("noisy", "clean"), lambda who: TorchAdam(5e-4), 5.0)


@pytest.fixture
def game(goldens, judge):
    for number, generator in enumerate(judge.generators):
        generator.set_weights(torch_layout.generator(goldens(f"generator{number}_weights")))
    return judge


@pytest.fixture
def feature(goldens):
    features = goldens("features")
    return lambda name: features[f"{name}_feat"][None]


def test_parameter_counts():
    assert metricgan_okd.generator(causal=True).count_params() == 826_714
    for scores, count in {1: 276_815, 2: 276_826, 4: 276_848}.items():
        variables = metricgan_okd.discriminator(scores).trainable_variables
        assert sum(int(np.prod(v.shape)) for v in variables) == count


def test_features_and_resynthesis(goldens):
    recorded, front_end = goldens("features"), metricgan_plus.front_end()
    features, analysis = front_end.analyse(goldens.waveform("noisy_0"))
    # In double precision the same formula is up to 1.24e-6 away from the goldens.
    np.testing.assert_allclose(features, recorded["noisy_0_feat"], atol=1.5e-6)
    identity, theirs = (
        front_end.synthesise(np.ones_like(features), analysis),
        recorded["noisy_0_resynth_identity"],
    )
    np.testing.assert_allclose(beginning(identity, theirs), theirs, atol=1e-6)


def test_generators(goldens, game):
    for number in ("0", "1", "causal"):
        check_generator(goldens, game, number)


def check_generator(goldens, game, number):
    recorded, front_end = goldens("generator_forward"), metricgan_plus.front_end()
    if number == "causal":
        generator = metricgan_okd.generator(causal=True)
        generator.set_weights(torch_layout.generator(goldens("generator_causal_weights")))
    else:
        generator = game.generators[int(number)]
    key = f"g{number}" if number != "causal" else number
    features, analysis = front_end.analyse(goldens.waveform("noisy_0"))
    mask = numpy(generator(features[None]))[0]
    np.testing.assert_allclose(mask, recorded[f"{key}_mask_raw"], atol=1e-6)
    np.testing.assert_allclose(front_end.synthesise(mask, analysis), recorded[f"{key}_enh_wav"], atol=1e-6)


def test_padded_batch(goldens, game):
    recorded, features = goldens("generator_forward"), goldens("features", whole=True)
    lengths = recorded["batch_lengths"]
    batch = np.zeros((2, lengths[0], 257), np.float32)
    for number, length in enumerate(lengths):
        batch[number, :length] = features[f"noisy_{number}_feat"]
    mask = numpy(game.generators[0](batch, mask=np.arange(lengths[0]) < lengths[:, None]))
    for number, length in enumerate(lengths):
        np.testing.assert_allclose(
            mask[number, :length], recorded["g0_batch_mask"][number, :length], atol=1e-6
        )


def test_discriminator_gradient_and_steps(goldens, judge, feature):
    game = judge
    recorded = goldens("discriminator_step")
    file = "discriminator_weights"
    clean = feature("clean_0")
    degraded = (recorded["enh_feat"][None], feature("noisy_0"), clean)
    for spectrum, kind in zip(degraded, ("enh", "noisy", "clean"), strict=True):
        scores = numpy(game.discriminator(metricgan_okd.pair(spectrum, clean), training=False))
        np.testing.assert_allclose(scores, recorded[f"eval_score_{kind}"], atol=1e-6)

    before = game.discriminator.get_weights()
    tensors = [ops.convert_to_tensor(x) for x in (degraded[0], clean, recorded["step0_target"])]
    _, gradients = backends.value_and_gradients(
        lambda: game.discriminator_loss(*tensors), game.discriminator.trainable_variables
    )
    np.testing.assert_allclose(
        numpy(global_norm(gradients)), recorded["step0_grad_norm_before_clip"], rtol=2e-5
    )
    goldens.assert_gradients(file, goldens.trained(file), recorded, "step0_grad_before_clip.", gradients)

    game.discriminator.set_weights(before)
    step = steps_of(game)["discriminator"]
    for number, spectrum in enumerate(degraded):
        logged = step(degraded=spectrum, clean=clean, scores=recorded[f"step{number}_target"])
        loss = numpy(logged["d_loss"])
        np.testing.assert_allclose(loss, recorded[f"step{number}_loss"], rtol=5e-6)
        weights = game.discriminator.get_weights()
        goldens.assert_updated(file, goldens.names(file), recorded, f"step{number}_after.", weights)


def test_generator_gradients_and_steps_with_distillation(goldens, game, feature):
    recorded = goldens("generator_step")
    noisy, clean = ops.convert_to_tensor(feature("noisy_0")), ops.convert_to_tensor(feature("clean_0"))
    names = goldens.names("generator0_weights")
    before = game.discriminator.get_weights()
    enhanced = [game.enhanced(number, noisy) for number in (0, 1)]
    assert float(recorded["alpha"]) == game.alpha
    for number in (0, 1):
        (total, parts), gradients = backends.value_and_gradients(
            lambda number=number: game.generator_loss(number, noisy, clean, [enhanced[1 - number]]),
            game.generators[number].trainable_variables,
        )
        theirs = [recorded[f"g{number}_loss_{part}"] for part in ("total", "metric", "kd")]
        np.testing.assert_allclose(
            [float(numpy(x)) for x in (total, parts["metric_loss"], parts["imitation_loss"])],
            theirs,
            rtol=1e-6,
        )
        norm = recorded[f"g{number}_grad_norm_before_clip"]
        np.testing.assert_allclose(numpy(global_norm(gradients)), norm, rtol=2e-5)
        prefix = f"g{number}_grad_before_clip."
        goldens.assert_gradients(f"generator{number}_weights", names, recorded, prefix, gradients)

    game.discriminator.set_weights(before)
    logged = steps_of(game)["generator"](noisy=feature("noisy_0"), clean=feature("clean_0"))
    kinds = ("loss", "metric_loss", "imitation_loss")
    losses = [[float(numpy(logged[f"g{n}_{kind}"])) for kind in kinds] for n in (1, 2)]
    theirs = [[recorded[f"g{n}_loss_{part}"] for part in ("total", "metric", "kd")] for n in (0, 1)]
    np.testing.assert_allclose(losses, theirs, rtol=1e-6)
    for number, generator in enumerate(game.generators):
        file = f"generator{number}_weights"
        goldens.assert_updated(file, names, recorded, f"g{number}_after.", generator.get_weights())
    names = goldens.names("discriminator_weights")
    moved = game.discriminator.get_weights()
    for name, ours, theirs in goldens.compared(
        "discriminator_weights", names, recorded, "g1_D_after.", moved
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6, err_msg=name)


def test_maps_of_the_metrics():
    from keras_segan.metrics import scale

    # Shin et al. 2023, after NELE-GAN: 2.5 in the middle; the other ratings linear from 1 to 5.
    pesq, mos = scale.get("pesq-logistic"), scale.get("mos-linear")
    np.testing.assert_allclose([pesq(2.5), pesq(4.5)], [0.5, 1 / (1 + np.exp(-3.0))])
    np.testing.assert_allclose([mos(1.0), mos(3.0), mos(5.0)], [0.0, 0.5, 1.0])
