import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_segan.training import adversarial
from keras_segan.training.adversarial import AdversarialTrainer, Player, System, Training
from keras_segan.training.run import Run


def network(name, seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)], name=name)


def sgd(rate=0.1):
    return keras.optimizers.SGD(rate)


def two_players(generator, discriminator, make_optimizer=sgd):
    """A game in which each loss depends on both networks, so that a wrong variable list would show."""

    def difference(x):
        return ops.mean(ops.square(discriminator(x) - generator(x)))

    return [
        Player("discriminator", (discriminator,), make_optimizer(), lambda x: -difference(x)),
        Player(
            "generator", (generator,), make_optimizer(), lambda x: (difference(x), {"level": ops.mean(x)})
        ),
    ]


@pytest.fixture
def batch():
    return np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)


def test_a_player_moves_its_own_variables_only(batch):
    generator, discriminator = network("g"), network("d", 1)
    player = two_players(generator, discriminator)[1]
    before = [w.copy() for w in generator.get_weights() + discriminator.get_weights()]
    AdversarialTrainer([player], [(None, 3)]).step(batch)
    assert not np.array_equal(generator.get_weights()[0], before[0])
    for now, then in zip(discriminator.get_weights(), before[2:], strict=True):
        np.testing.assert_array_equal(now, then)


def test_players_move_in_turn_and_see_each_other(batch):
    """One step of gradient ascent of D, then of descent of G, written out."""
    generator, discriminator = network("g"), network("d", 1)
    (wg, bg), (wd, bd) = generator.get_weights(), discriminator.get_weights()
    trainer = AdversarialTrainer(two_players(generator, discriminator), [(None, 3)])
    logged = trainer.step(batch)
    error = batch @ (wd - wg) + bd - bg
    assert logged["discriminator_loss"] == pytest.approx(-np.mean(error**2), rel=1e-5)
    wd, bd = wd + 0.2 * batch.T @ error / len(batch), bd + 0.2 * error.mean(axis=0)
    error = batch @ (wd - wg) + bd - bg
    assert logged["generator_loss"] == pytest.approx(np.mean(error**2), rel=1e-5)
    assert logged["generator_level"] == pytest.approx(batch.mean(), abs=1e-6)
    wg, bg = wg + 0.2 * batch.T @ error / len(batch), bg + 0.2 * error.mean(axis=0)
    for ours, expected in zip(
        discriminator.get_weights() + generator.get_weights(), (wd, bd, wg, bg), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("compiled", [True, False])
def test_several_steps_per_batch(batch, compiled):
    weights = {}
    for steps, rounds in ((3, 1), (1, 3)):
        generator, discriminator = network("g"), network("d", 1)
        first, _ = two_players(generator, discriminator)
        player = Player("d", first.networks, first.optimizer, first.loss, steps)
        trainer = AdversarialTrainer([player], [(None, 3)], compile=compiled)
        for _ in range(rounds):
            trainer.step(batch)
        weights[steps] = discriminator.get_weights()[0]
        assert int(player.optimizer.iterations) == 3
    np.testing.assert_allclose(weights[3], weights[1], rtol=1e-6)


def test_a_player_may_move_several_networks(batch):
    first, second = network("first"), network("second", 1)
    player = Player("both", (first, second), sgd(), lambda x: ops.mean(ops.square(first(x) + second(x) - 1)))
    before = [n.get_weights()[0].copy() for n in (first, second)]
    AdversarialTrainer([player], [(None, 3)]).step(batch)
    for net, then in zip((first, second), before, strict=True):
        assert not np.array_equal(net.get_weights()[0], then)


def test_batches_of_any_size_are_taken(batch):
    trainer = AdversarialTrainer(two_players(network("g"), network("d", 1)), [(None, 3)])
    trainer.step(batch)
    assert np.isfinite(trainer.step(batch[:2])["generator_loss"])


def shared_layer(other):
    """A network of another name with the other's variables."""
    return keras.Sequential([keras.layers.Input((3,)), *other.layers], name="shared")


def test_sharing_is_refused():
    generator, discriminator = network("g"), network("d", 1)
    first, second = two_players(generator, discriminator)
    for other, shared in (
        (Player("discriminator", (generator,), sgd(), second.loss), "name"),
        (Player("generator", (generator,), first.optimizer, second.loss), "optimizer"),
        (Player("generator", (shared_layer(discriminator),), sgd(), second.loss), "variable"),
        (Player("generator", (network("d", 2),), sgd(), second.loss), "network name"),
    ):
        with pytest.raises(ValueError, match=f"one {shared} for two"):
            AdversarialTrainer([first, other], [(None, 3)])


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_losses_are_cross_entropies(real, fake):
    def sigmoid(x):
        return 1 / (1 + np.exp(-np.float64(x)))

    real, fake = np.float32(real), np.float32(fake)
    expected = np.log1p(np.exp(-np.float64(real))) + np.log1p(np.exp(np.float64(fake)))
    assert float(adversarial.real_or_fake_loss(real, fake)) == pytest.approx(expected, rel=1e-5, abs=1e-12)
    assert float(adversarial.non_saturating_loss(fake)) == pytest.approx(
        -np.log(sigmoid(fake)), rel=1e-5, abs=1e-12
    )


def test_an_ignorant_discriminator_pays_two_ln_two():
    assert float(adversarial.real_or_fake_loss(np.zeros(4), np.zeros(4))) == pytest.approx(2 * np.log(2))


def test_half_mean_square():
    assert float(adversarial.half_mean_square(np.float32([[1, 2]]), np.float32([[3, 2]]))) == 1.0


class Stop(Exception):
    pass


def training(run, epochs, stop_after=None, names=("one", "two"), validation=None):
    systems = []
    for number, name in enumerate(names):
        generator, discriminator = network("g", number), network("d", 10 + number)

        def adam():
            return keras.optimizers.Adam(0.01)

        trainer = AdversarialTrainer(two_players(generator, discriminator, adam), [(None, 3)])
        losses = iter(validation) if validation else None

        def validate(generator=generator, losses=losses):
            return next(losses) if losses else float(np.abs(generator.get_weights()[0]).sum())

        systems.append(System(name, trainer, generator, validate))

    def batches(epoch):
        if stop_after is not None and epoch > stop_after:
            raise Stop
        random = np.random.default_rng((7, epoch))
        return [(random.standard_normal((4, 3)).astype(np.float32),) for _ in range(3)]

    return Training(systems, batches, 3, epochs, run)


def test_resumed_training_equals_uninterrupted_training(tmp_path):
    whole = training(Run.create(tmp_path / "whole", {}, quiet=True), 5)
    best = whole.fit()
    broken = training(Run.create(tmp_path / "broken", {}, quiet=True), 5, stop_after=2)
    with pytest.raises(Stop):
        broken.fit()
    resumed = training(Run.resume(tmp_path / "broken", {}, quiet=True), 5)
    assert resumed.fit() == best
    for ours, theirs in zip(resumed.systems, whole.systems, strict=True):
        for name, part in theirs.trainer.state.items():
            for a, b in zip(ours.trainer.state[name].variables, part.variables, strict=True):
                np.testing.assert_array_equal(a, b)
    columns = [set(row) - {"seconds"} for row in whole.run.log]
    for a, b, names in zip(resumed.run.log, whole.run.log, columns, strict=True):
        assert {name: a[name] for name in names} == {name: b[name] for name in names}
    # A finished run resumes to the same result without training.
    assert training(Run.resume(tmp_path / "whole", {}, quiet=True), 5, stop_after=0).fit() == best


def test_the_best_epoch_is_kept(tmp_path):
    weights = []
    for epochs in (2, 4):
        run = Run.create(tmp_path / str(epochs), {}, quiet=True)
        trained = training(run, epochs, names=("only",), validation=[3.0, 1.0, 2.0, 1.0])
        assert trained.fit() == {"only": 2}
        weights.append(trained.systems[0].network.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_log_names_systems_only_when_there_are_several(tmp_path):
    single, several = (Run.create(tmp_path / name, {}, quiet=True) for name in ("single", "several"))
    training(single, 1, names=("only",)).fit()
    training(several, 1).fit()
    assert {"epoch", "discriminator_loss", "generator_loss", "validation_loss"} <= set(single.log[0])
    assert {"one_generator_loss", "two_validation_loss", "seconds"} <= set(several.log[0])
