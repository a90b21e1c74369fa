"""MetricGAN-OKD's networks and steps against arrays of the authors' program (torch)."""

import numpy as np
import pytest
from keras import ops

from keras_segan import backends
from keras_segan.models import metricgan_okd, metricgan_plus, torch_layout
from keras_segan.training.metric_gan_steps import OKDSteps
from keras_segan.training.optimizers import TorchAdam, global_norm

from ..helpers import beginning

numpy = ops.convert_to_numpy


@pytest.fixture
def goldens(torch_goldens):
    return torch_goldens("okd")


@pytest.fixture
def judge(goldens):
    """The steps with the recorded discriminator, whatever the generators are."""
    generators = [metricgan_okd.generator(dropout=0.0, name=f"generator_{number}") for number in (0, 1)]
    discriminator = metricgan_okd.discriminator(2)
    discriminator.set_weights(torch_layout.discriminator(goldens("discriminator_weights")))
    return OKDSteps(generators, discriminator, [TorchAdam(5e-4), TorchAdam(5e-4)], TorchAdam(5e-4))


@pytest.fixture
def steps(goldens, judge):
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


@pytest.mark.parametrize("number", ["0", "1", "causal"])
def test_generators(goldens, steps, number):
    recorded, front_end = goldens("generator_forward"), metricgan_plus.front_end()
    if number == "causal":
        generator = metricgan_okd.generator(causal=True)
        generator.set_weights(torch_layout.generator(goldens("generator_causal_weights")))
    else:
        generator = steps.generators[int(number)]
    key = f"g{number}" if number != "causal" else number
    features, analysis = front_end.analyse(goldens.waveform("noisy_0"))
    mask = numpy(generator(features[None]))[0]
    np.testing.assert_allclose(mask, recorded[f"{key}_mask_raw"], atol=1e-6)
    np.testing.assert_allclose(front_end.synthesise(mask, analysis), recorded[f"{key}_enh_wav"], atol=1e-6)


def test_padded_batch(goldens, steps, feature):
    recorded = goldens("generator_forward")
    lengths = recorded["batch_lengths"]
    batch = np.zeros((2, lengths[0], 257), np.float32)
    for number, length in enumerate(lengths):
        batch[number, :length] = feature(f"noisy_{number}")[0]
    mask = numpy(steps.generators[0](batch, mask=np.arange(lengths[0]) < lengths[:, None]))
    for number, length in enumerate(lengths):
        np.testing.assert_allclose(
            mask[number, :length], recorded["g0_batch_mask"][number, :length], atol=1e-6
        )


def test_discriminator_gradient_and_steps(goldens, judge, feature):
    steps = judge
    recorded = goldens("discriminator_step")
    file = "discriminator_weights"
    clean = feature("clean_0")
    degraded = (recorded["enh_feat"][None], feature("noisy_0"), clean)
    for spectrum, kind in zip(degraded, ("enh", "noisy", "clean"), strict=True):
        scores = numpy(steps.discriminator(steps.pair(spectrum, clean), training=False))
        np.testing.assert_allclose(scores, recorded[f"eval_score_{kind}"], atol=1e-6)

    before = steps.discriminator.get_weights()
    tensors = [ops.convert_to_tensor(x) for x in (degraded[0], clean, recorded["step0_target"])]
    _, gradients = backends.value_and_gradients(
        lambda: steps.discriminator_loss(*tensors), steps.discriminator.trainable_variables
    )
    np.testing.assert_allclose(
        numpy(global_norm(gradients)), recorded["step0_grad_norm_before_clip"], rtol=2e-5
    )
    goldens.assert_gradients(file, goldens.trained(file), recorded, "step0_grad_before_clip.", gradients)

    steps.discriminator.set_weights(before)
    for number, spectrum in enumerate(degraded):
        loss, _ = steps.discriminator_step(spectrum, clean, recorded[f"step{number}_target"])
        np.testing.assert_allclose(loss, recorded[f"step{number}_loss"], rtol=5e-6)
        weights = steps.discriminator.get_weights()
        goldens.assert_updated(file, goldens.names(file), recorded, f"step{number}_after.", weights)


def test_generator_gradients_and_steps_with_distillation(goldens, steps, feature):
    recorded = goldens("generator_step")
    noisy, clean = ops.convert_to_tensor(feature("noisy_0")), ops.convert_to_tensor(feature("clean_0"))
    names = goldens.names("generator0_weights")
    before = steps.discriminator.get_weights()
    enhanced = [steps.enhanced(number, noisy) for number in (0, 1)]
    assert float(recorded["alpha"]) == steps.alpha
    for number in (0, 1):
        losses, gradients = backends.value_and_gradients(
            lambda number=number: steps.generator_loss(number, noisy, clean, [enhanced[1 - number]]),
            steps.generators[number].trainable_variables,
        )
        theirs = [recorded[f"g{number}_loss_{part}"] for part in ("total", "metric", "kd")]
        np.testing.assert_allclose([float(loss) for loss in losses], theirs, rtol=1e-6)
        norm = recorded[f"g{number}_grad_norm_before_clip"]
        np.testing.assert_allclose(numpy(global_norm(gradients)), norm, rtol=2e-5)
        prefix = f"g{number}_grad_before_clip."
        goldens.assert_gradients(f"generator{number}_weights", names, recorded, prefix, gradients)

    steps.discriminator.set_weights(before)
    losses = steps.generator_step(feature("noisy_0"), feature("clean_0"))
    theirs = [[recorded[f"g{n}_loss_{part}"] for part in ("total", "metric", "kd")] for n in (0, 1)]
    np.testing.assert_allclose(losses, theirs, rtol=1e-6)
    for number, generator in enumerate(steps.generators):
        file = f"generator{number}_weights"
        goldens.assert_updated(file, names, recorded, f"g{number}_after.", generator.get_weights())
    names = goldens.names("discriminator_weights")
    moved = steps.discriminator.get_weights()
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
