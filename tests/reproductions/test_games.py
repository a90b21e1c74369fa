"""The games of the MetricGAN family: whose variables move, what counts in a loss, batches and warm-up."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from keras_segan import backends
from keras_segan.models import metricgan, metricgan_okd, metricgan_plus
from keras_segan.reproductions import metricgan as metricgan_recipe
from keras_segan.reproductions import metricgan_okd as okd_recipe
from keras_segan.reproductions import metricgan_plus as plus_recipe
from keras_segan.training.gradients import global_norm
from keras_segan.training.metric_feedback import stacked
from keras_segan.training.optimizers import TorchAdam, forget_moments

NOISY = np.random.default_rng(0).normal(0, 0.1, (1, 6000)).astype("float32")
CLEAN = metricgan_plus.front_end().magnitude(0.5 * NOISY[0])[None]
TARGET = np.array([[0.4]], "float32")
SPECTRA = np.random.default_rng(1).random((1, 48, 257)).astype("float32")


def number(value):
    return float(ops.convert_to_numpy(ops.stop_gradient(value)))


def weights(network):
    return [np.array(w) for w in network.get_weights()]


def plus_game(**settings):
    keras.utils.set_random_seed(0)
    networks = metricgan_plus.generator(units=4, hidden=5), metricgan_plus.discriminator(filters=(2, 2, 2, 2))
    return plus_recipe.Game(dataclasses.replace(plus_recipe.CODE, **settings), *networks)


def metricgan_game(**settings):
    keras.utils.set_random_seed(0)
    generator = metricgan.generator(units=4, hidden=5, dropout=0.0)
    discriminator = metricgan.discriminator(convolutions=((2, 5), (2, 7)))
    return metricgan_recipe.Game(
        dataclasses.replace(metricgan_recipe.TABLE_2, **settings), generator, discriminator
    )


# What makes the game, and what its generator's step takes of an utterance.
ONE_GENERATOR = {
    "metricgan": (metricgan_game, {"features": SPECTRA, "noisy": SPECTRA, "clean": 0.1 * SPECTRA}),
    "metricgan_plus": (plus_game, {"waveform": NOISY, "clean": CLEAN}),
}


@pytest.fixture(params=ONE_GENERATOR)
def one_generator(request):
    return ONE_GENERATOR[request.param]


def test_each_player_moves_only_itself():
    game = plus_game(clip_norm=1e-3)
    steps = game.steps()
    before = [np.array(ops.convert_to_numpy(v)) for v in game.discriminator.trainable_variables]
    steps["generator"](waveform=NOISY, clean=CLEAN)
    for variable, old in zip(game.discriminator.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), old)
    before = weights(game.generator)
    steps["on_enhanced"](waveform=NOISY, clean=CLEAN, scores=TARGET)
    for new, old in zip(game.generator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(new, old)


def test_joint_clipping_is_one_norm_over_both_networks():
    game = plus_game(clip_norm=1e-3)
    steps = game.steps()
    rule = steps["generator"].players[0].rule
    for _ in range(2):
        steps["generator"](waveform=NOISY, clean=CLEAN)
        both = [*rule.mine.gradients, *rule.theirs.gradients]
        assert number(global_norm(both)) == pytest.approx(1e-3, rel=1e-2)


def test_separate_clipping_steps_alike_below_the_limit():
    found = []
    for scope in ("joint", "separate"):
        game = plus_game(clip_scope=scope, clip_norm=1e9)
        steps = game.steps()
        assert ("on_enhanced" in steps) == (scope == "joint")
        steps["generator"](waveform=NOISY, clean=CLEAN)
        found.append(np.concatenate([w.ravel() for w in game.generator.get_weights()]))
    np.testing.assert_allclose(*found, atol=2e-5)
    with pytest.raises(ValueError, match="clip_scope"):
        plus_game(clip_scope="none")


def test_the_spectra_count_with_their_weight(one_generator):
    make, utterance = one_generator
    utterance = {name: ops.convert_to_tensor(array) for name, array in utterance.items()}
    losses = [number(make(mse_weight=weight).generator_loss(**utterance)) for weight in (0.0, 1.0, 3.0)]
    distance = number(make().warm_up_loss(**utterance))
    assert losses[1] - losses[0] == pytest.approx(distance, rel=1e-3)
    assert losses[2] - losses[0] == pytest.approx(3 * distance, rel=1e-3)


def test_warm_up_moves_the_generator_alone_and_leaves_no_moments(one_generator):
    make, utterance = one_generator
    game = make()
    step = game.steps()["warm_up"]
    discriminator = weights(game.discriminator)
    distances = [number(step(**utterance)["warm_up_loss"]) for _ in range(40)]
    assert distances[-1] < 0.9 * distances[0]
    for new, old in zip(game.discriminator.get_weights(), discriminator, strict=True):
        np.testing.assert_array_equal(new, old)
    optimizer = step.players[0].optimizer
    rate = number(optimizer.learning_rate)
    forget_moments(optimizer)
    assert number(optimizer.learning_rate) == rate > 0
    assert number(optimizer.iterations) == 0
    kept = [v for v in optimizer.variables if v is not optimizer.learning_rate]
    assert not any(np.any(ops.convert_to_numpy(v)) for v in kept)


BINS = 33
RANDOM = np.random.default_rng(0)
UTTERANCES = [
    dict(
        zip(("features", "noisy", "clean"), RANDOM.uniform(0, 1, (3, n, BINS)).astype("float32"), strict=True)
    )
    for n in (41, 30, 36)
]
SCORES = np.array([[0.2], [0.9], [0.5]], "float32")


@pytest.fixture(params=metricgan.LAYOUTS)
def small_game(request):
    keras.utils.set_random_seed(0)
    generator = metricgan.generator(BINS, units=4, hidden=5, dropout=0.0)
    # In mode miyato u does not depend on how many calls there are when it is frozen below.
    discriminator = metricgan.discriminator(BINS, ((3, 5), (4, 7)), (4,), "miyato", "direct")
    settings = dataclasses.replace(metricgan_recipe.TABLE_2, layout=request.param)
    return metricgan_recipe.Game(settings, generator, discriminator)


def same_u(game, loss, variables):
    """Value and gradients, each time from the same weights and u."""
    before = weights(game.discriminator)
    value, gradients = backends.value_and_gradients(loss, variables)
    game.discriminator.set_weights(before)
    value = value[0] if isinstance(value, tuple) else value
    return number(value), [ops.convert_to_numpy(g) for g in gradients]


def test_a_batch_is_the_mean_of_its_utterances(small_game):
    game = small_game
    batch = {name: ops.convert_to_tensor(x.astype("float32")) for name, x in stacked(UTTERANCES).items()}
    shown = {"degraded": batch["features"], "clean": batch["noisy"], "frames": batch["frames"]}

    def generator_alone(i):
        return lambda: game.generator_loss(
            **{n: ops.convert_to_tensor(x[None]) for n, x in UTTERANCES[i].items()}
        )

    def discriminator_alone(i):
        degraded, clean = (ops.convert_to_tensor(UTTERANCES[i][n][None]) for n in ("features", "noisy"))
        return lambda: game.discriminator_loss(degraded, clean, ops.convert_to_tensor(SCORES[i : i + 1]))

    cases = (
        (game.generator, generator_alone, lambda: game.generator_loss(**batch)),
        (
            game.discriminator,
            discriminator_alone,
            lambda: game.discriminator_loss(scores=ops.convert_to_tensor(SCORES), **shown),
        ),
    )
    for network, alone, together in cases:
        variables = network.trainable_variables
        each = [same_u(game, alone(i), variables) for i in range(len(UTTERANCES))]
        value, gradients = same_u(game, together, variables)
        assert value == pytest.approx(np.mean([v for v, _ in each]), rel=1e-5)
        for place, gradient in enumerate(gradients):
            expected = np.mean([g[place] for _, g in each], axis=0)
            assert np.linalg.norm(gradient - expected) <= 2e-4 * np.linalg.norm(expected) + 1e-7, place


def test_steps_of_a_batch_run(small_game):
    steps = small_game.steps()
    batch = stacked(UTTERANCES)
    assert np.isfinite(number(steps["generator"](**batch)["g_loss"]))
    shown = {"degraded": batch["features"], "clean": batch["noisy"], "frames": batch["frames"]}
    losses = [number(steps["discriminator"](scores=SCORES, **shown)["d_loss"]) for _ in range(4)]
    assert losses[-1] < losses[0]


def okd_game(count, **settings):
    keras.utils.set_random_seed(0)
    generators = [metricgan_plus.generator(units=4, hidden=5, name=f"generator_{n}") for n in range(count)]
    discriminator = metricgan_plus.discriminator(filters=(2, 2, 2, 2), scores=count)
    return okd_recipe.Game(generators, discriminator, **settings)


def test_imitation_is_the_sum_over_the_others():
    spectra = np.random.default_rng(0).random((3, 1, 4, 5)).astype("float32")
    distance = okd_recipe.imitate_each(spectra[0], list(spectra[1:]))
    assert number(distance) == pytest.approx(np.mean((spectra[1:] - spectra[0]) ** 2) * 2, rel=1e-5)
    distance = okd_recipe.imitate_mean(spectra[0], list(spectra[1:]))
    assert number(distance) == pytest.approx(np.mean((spectra[1:].mean(0) - spectra[0]) ** 2), rel=1e-5)
    for imitate in okd_recipe.DISTILLATIONS.values():
        assert number(imitate(spectra[0], [])) == 0.0


def test_generators_imitate_what_the_others_put_out_before():
    game = okd_game(2, alpha=10.0)
    steps = game.steps(("noisy", "clean"), lambda who: TorchAdam(1e-2), 5.0)
    noisy = ops.convert_to_tensor(metricgan_plus.front_end().magnitude(NOISY[0])[None])
    enhanced = [ops.convert_to_numpy(ops.stop_gradient(game.enhanced(i, noisy))) for i in (0, 1)]
    logged = {
        name: number(value)
        for name, value in steps["generator"](noisy=ops.convert_to_numpy(noisy), clean=CLEAN).items()
    }
    for g in ("g1", "g2"):
        assert logged[f"{g}_imitation_loss"] == pytest.approx(
            np.mean((enhanced[0] - enhanced[1]) ** 2), rel=1e-4
        )
        expected = logged[f"{g}_metric_loss"] + 10.0 * logged[f"{g}_imitation_loss"]
        assert logged[f"{g}_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_single_metric_needs_no_imitation():
    steps = okd_game(1).steps(("noisy", "clean"), lambda who: TorchAdam(1e-3), 5.0)
    logged = steps["generator"](noisy=CLEAN, clean=CLEAN)
    assert number(logged["g1_loss"]) == number(logged["g1_metric_loss"])
    assert number(logged["g1_imitation_loss"]) == 0.0


def test_channels_of_the_two_discriminators():
    degraded, clean = np.zeros((1, 2, 3)), np.ones((1, 2, 3))
    plus = ops.convert_to_numpy(metricgan_plus.pair(degraded, clean))
    okd = ops.convert_to_numpy(metricgan_okd.pair(degraded, clean))
    assert plus[0, 0, 0].tolist() == [0.0, 1.0]
    assert okd[0, 0, 0].tolist() == [1.0, 0.0]
