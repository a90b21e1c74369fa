import functools

import keras
import numpy as np
import pytest

from keras_segan.models import metricgan, metricgan_okd, metricgan_plus
from keras_segan.training import metric_gan_steps
from keras_segan.training.optimizers import TorchAdam, global_norm

NOISY = np.random.default_rng(0).normal(0, 0.1, (1, 6000)).astype("float32")
CLEAN = metricgan_plus.front_end().magnitude(0.5 * NOISY[0])[None]
TARGET = np.array([[0.4]])
SPECTRA = np.random.default_rng(1).random((1, 48, 257)).astype("float32")


def plus_steps(**settings):
    keras.utils.set_random_seed(0)
    generator = metricgan_plus.generator(units=4, hidden=5)
    discriminator = metricgan_plus.discriminator(filters=(2, 2, 2, 2))
    return metric_gan_steps.MetricGANPlusSteps(
        generator, discriminator, TorchAdam(1e-3), TorchAdam(1e-3), **settings
    )


def metricgan_steps(**settings):
    keras.utils.set_random_seed(0)
    generator = metricgan.generator(units=4, hidden=5, dropout=0.0)
    discriminator = metricgan.discriminator(convolutions=((2, 5), (2, 7)))
    adam = functools.partial(keras.optimizers.Adam, 1e-3)
    return metric_gan_steps.MetricGANSteps(generator, discriminator, adam(), adam(), **settings)


# What makes the players, and what their generator's step takes of an utterance.
ONE_GENERATOR = {
    "metricgan": (metricgan_steps, (SPECTRA, SPECTRA, 0.1 * SPECTRA)),
    "metricgan_plus": (plus_steps, (NOISY, CLEAN)),
}


@pytest.fixture(scope="module")
def steps():
    return plus_steps(clip_norm=1e-3)


@pytest.fixture(params=ONE_GENERATOR)
def one_generator(request):
    return ONE_GENERATOR[request.param]


def test_joint_clipping_counts_what_the_other_network_has_collected(steps):
    for _ in range(3):
        steps.generator_step(NOISY, CLEAN)
        assert joint_norm(steps) == pytest.approx(1e-3, rel=1e-2)
        assert float(global_norm(steps.leftover_generator.gradients)) < 0.9e-3
    # The discriminator's own step starts from its gradient alone; the generator's last one counts there.
    before = float(global_norm(steps.leftover_generator.gradients))
    steps.discriminator_step(CLEAN, CLEAN, TARGET)
    assert float(global_norm(steps.leftover_generator.gradients)) < before
    assert joint_norm(steps) == pytest.approx(1e-3, rel=1e-2)


def joint_norm(steps):
    both = [*steps.leftover_generator.gradients, *steps.leftover_discriminator.gradients]
    return float(global_norm(both))


def test_each_player_moves_only_itself(steps):
    kernels = steps.discriminator.trainable_variables
    before = [np.array(kernel) for kernel in kernels]
    steps.generator_step(NOISY, CLEAN)
    for kernel, old in zip(kernels, before, strict=True):
        np.testing.assert_array_equal(kernel, old)
    before = steps.generator.get_weights()
    steps.discriminator_step_on_enhanced(NOISY, CLEAN, TARGET)
    for new, old in zip(steps.generator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(new, old)


def test_separate_clipping_keeps_nothing_and_steps_alike_below_the_limit():
    weights = []
    for scope in metric_gan_steps.CLIP_SCOPES:
        steps = plus_steps(clip_scope=scope, clip_norm=1e9)
        steps.generator_step(NOISY, CLEAN)
        weights.append(np.concatenate([w.ravel() for w in steps.generator.get_weights()]))
    np.testing.assert_allclose(*weights, atol=2e-5)
    assert steps.leftover_generator.gradients == steps.leftover_discriminator.gradients == []
    with pytest.raises(ValueError, match="clip_scope"):
        plus_steps(clip_scope="none")


def test_the_spectra_count_with_their_weight(one_generator):
    make, utterance = one_generator
    losses = [float(make(mse_weight=weight).generator_loss(*utterance)) for weight in (0.0, 1.0, 3.0)]
    distance = float(make().warm_up_loss(*utterance))
    assert losses[1] - losses[0] == pytest.approx(distance, rel=1e-3)
    assert losses[2] - losses[0] == pytest.approx(3 * distance, rel=1e-3)


def test_the_distance_of_padded_utterances_is_that_of_each_alone():
    degraded, clean = SPECTRA, SPECTRA[:, ::-1]
    alone = metric_gan_steps.spectral_distance(degraded, clean)
    padded = [np.pad(x, ((0, 0), (0, 12), (0, 0))) for x in (degraded, clean)]
    distance = metric_gan_steps.spectral_distance(*padded, np.array([48.0], np.float32))
    assert float(distance) == pytest.approx(float(alone), rel=1e-5)
    assert float(alone) == pytest.approx(np.mean((degraded - clean) ** 2), rel=1e-5)


def test_warm_up_moves_the_generator_alone_and_leaves_no_moments(one_generator):
    make, utterance = one_generator
    steps = make()
    discriminator = [np.array(w) for w in steps.discriminator.get_weights()]
    distances = [steps.warm_up_step(*utterance) for _ in range(40)]
    assert distances[-1] < 0.9 * distances[0]
    for new, old in zip(steps.discriminator.get_weights(), discriminator, strict=True):
        np.testing.assert_array_equal(new, old)
    steps.end_warm_up()
    optimizer = steps.generator_optimizers[0]
    assert float(optimizer.learning_rate) == pytest.approx(1e-3)
    assert int(optimizer.iterations) == 0
    assert all(not np.any(np.asarray(v)) for v in optimizer.variables if v is not optimizer.learning_rate)


def test_imitation_is_the_sum_over_the_others():
    spectra = np.random.default_rng(0).random((3, 1, 4, 5)).astype("float32")
    distance = metric_gan_steps.imitate_each(spectra[0], list(spectra[1:]))
    assert float(distance) == pytest.approx(np.mean((spectra[1:] - spectra[0]) ** 2) * 2, rel=1e-5)
    distance = metric_gan_steps.imitate_mean(spectra[0], list(spectra[1:]))
    assert float(distance) == pytest.approx(np.mean((spectra[1:].mean(0) - spectra[0]) ** 2), rel=1e-5)
    for imitate in metric_gan_steps.DISTILLATIONS.values():
        assert float(imitate(spectra[0], [])) == 0.0


def test_generators_imitate_what_the_others_put_out_before():
    keras.utils.set_random_seed(0)
    generators = [
        metricgan_plus.generator(units=4, hidden=5, name=f"generator_{number}") for number in (0, 1)
    ]
    discriminator = metricgan_plus.discriminator(filters=(2, 2, 2, 2), scores=2)
    adam = [TorchAdam(1e-2) for _ in range(3)]
    steps = metric_gan_steps.OKDSteps(generators, discriminator, adam[:2], adam[2], alpha=10.0)
    noisy = metricgan_plus.front_end().magnitude(NOISY[0])[None]
    enhanced = [np.asarray(steps.enhanced(number, noisy)) for number in (0, 1)]
    losses = steps.generator_step(noisy, CLEAN)
    np.testing.assert_allclose(losses[:, 2], np.mean((enhanced[0] - enhanced[1]) ** 2), rtol=1e-4)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1] + 10.0 * losses[:, 2], rtol=1e-5)


def test_a_single_metric_needs_no_imitation():
    steps = metric_gan_steps.OKDSteps(
        [metricgan_plus.generator(units=4, hidden=5)],
        metricgan_plus.discriminator(filters=(2, 2, 2, 2)),
        [TorchAdam(1e-3)],
        TorchAdam(1e-3),
    )
    total, metric, distance = steps.generator_step(CLEAN, CLEAN)[0]
    assert (total, distance) == (metric, 0.0)


def test_channels_of_the_two_discriminators():
    degraded, clean = np.zeros((1, 2, 3)), np.ones((1, 2, 3))
    assert np.asarray(metricgan_plus.pair(degraded, clean))[0, 0, 0].tolist() == [0.0, 1.0]
    assert np.asarray(metricgan_okd.pair(degraded, clean))[0, 0, 0].tolist() == [1.0, 0.0]
