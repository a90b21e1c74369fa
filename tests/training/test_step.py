"""Players and steps: who moves what, on which arrays, how often; what may not be shared."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_segan.training.player import Player
from keras_segan.training.step import Step, evaluation, fetch, mean_loss

from .games import SHAPES, network, sgd, two_players, weights


@pytest.fixture
def batch():
    return np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)


def logged(step, **batch):
    return {name: values[0] for name, values in fetch([step(**batch)]).items()}


def test_a_player_moves_its_own_variables_only(batch):
    generator, discriminator = network("g"), network("d", 1)
    player = two_players(generator, discriminator)[1]
    before = weights(generator) + weights(discriminator)
    Step([player], SHAPES, others=[discriminator])(x=batch)
    assert not np.array_equal(weights(generator)[0], before[0])
    for now, then in zip(weights(discriminator), before[2:], strict=True):
        np.testing.assert_array_equal(now, then)


def test_players_move_in_turn_and_see_each_other(batch):
    """One step of gradient ascent of D, then of descent of G, written out."""
    generator, discriminator = network("g"), network("d", 1)
    (wg, bg), (wd, bd) = weights(generator), weights(discriminator)
    values = logged(Step(two_players(generator, discriminator), SHAPES), x=batch)
    error = batch @ (wd - wg) + bd - bg
    assert values["discriminator_loss"] == pytest.approx(-np.mean(error**2), rel=1e-5)
    wd, bd = wd + 0.2 * batch.T @ error / len(batch), bd + 0.2 * error.mean(axis=0)
    error = batch @ (wd - wg) + bd - bg
    assert values["generator_loss"] == pytest.approx(np.mean(error**2), rel=1e-5)
    assert values["generator_level"] == pytest.approx(batch.mean(), abs=1e-6)
    wg, bg = wg + 0.2 * batch.T @ error / len(batch), bg + 0.2 * error.mean(axis=0)
    for ours, expected in zip(weights(discriminator) + weights(generator), (wd, bd, wg, bg), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_several_moves_on_a_batch(batch):
    moved = {}
    for moves, batches in ((3, 1), (1, 3)):
        generator, discriminator = network("g"), network("d", 1)
        first, _ = two_players(generator, discriminator)
        player = Player("d", first.networks, first.optimizer, first.loss, steps=moves)
        step = Step([player], SHAPES, others=[generator])
        for _ in range(batches):
            step(x=batch)
        moved[moves] = weights(discriminator)[0]
        assert int(player.optimizer.iterations) == 3
    np.testing.assert_allclose(moved[3], moved[1], rtol=1e-6)


def test_players_eat_different_arrays(batch):
    """One loss, two players: each sees the array that it names, under the loss's own word for it."""
    first, second = network("first"), network("second", 1)

    def player(net, array):
        return Player(net.name, (net,), sgd(), lambda data: ops.mean(net(data)), inputs={"data": array})

    step = Step([player(first, "a"), player(second, "b")], {"a": (None, 3), "b": (None, 3)})
    before = [weights(net)[0] for net in (first, second)]
    other = np.flip(batch, axis=1)[:5]
    step(a=batch, b=other)
    for net, then, eaten in zip((first, second), before, (batch, other), strict=True):
        np.testing.assert_allclose(weights(net)[0], then - 0.1 * eaten.mean(axis=0)[:, None], atol=1e-6)


def test_an_array_that_a_loss_can_do_without(batch):
    net = network("net")

    def loss(x, weight=None):
        return ops.mean(net(x) * (1.0 if weight is None else weight))

    step = Step([Player("p", (net,), sgd(0.0), loss)], {"x": (None, 3), "weight": (None, 1)})
    plain = logged(step, x=batch)["p_loss"]
    assert logged(step, x=batch, weight=np.full((8, 1), 2.0))["p_loss"] == pytest.approx(2 * plain, rel=1e-5)
    with pytest.raises(ValueError, match="Player 'p' needs 'x', but a batch holds weight."):
        step(weight=np.ones((8, 1)))


def test_what_is_prepared_joins_the_batch_as_a_constant(batch):
    net = network("net")
    player = Player("p", (net,), sgd(), lambda x, half: ops.mean(ops.square(net(x) - half)))
    step = Step([player], SHAPES, prepare=lambda arrays: {"half": 0.5 * net(arrays["x"])})
    output = batch @ weights(net)[0]
    assert logged(step, x=batch)["p_loss"] == pytest.approx(np.mean((0.5 * output) ** 2), rel=1e-5)


def test_a_player_may_move_several_networks(batch):
    first, second = network("first"), network("second", 1)
    player = Player("both", (first, second), sgd(), lambda x: ops.mean(ops.square(first(x) + second(x) - 1)))
    before = [weights(net)[0] for net in (first, second)]
    Step([player], SHAPES)(x=batch)
    for net, then in zip((first, second), before, strict=True):
        assert not np.array_equal(weights(net)[0], then)


class Halved:
    """A rule that halves gradients, remembers how often, and adds those of what is watched."""

    def __init__(self):
        self.count = keras.Variable(0.0)
        self.variables = [self.count]

    def __call__(self, own, watched):
        self.count.assign_add(1.0)
        return [0.5 * gradient + ops.sum(seen) for gradient, seen in zip(own, watched, strict=True)]


def test_a_rule_changes_gradients_and_sees_those_that_it_watches(batch):
    net, other, rule = network("net"), network("other", 1), Halved()
    player = Player("p", (net,), sgd(), lambda x: ops.mean(net(x) + other(x)), rule=rule, watched=(other,))
    step = Step([player], SHAPES)
    before = [*weights(net), *weights(other)]
    step(x=batch)
    mean = batch.mean(axis=0)[:, None]
    expected = [before[0] - 0.1 * (0.5 * mean + mean.sum()), before[1] - 0.1 * 1.5, *before[2:]]
    for now, then in zip([*weights(net), *weights(other)], expected, strict=True):
        np.testing.assert_allclose(now, then, atol=1e-6)
    assert step.state["p_rule"] == [rule.count]
    assert float(ops.convert_to_numpy(rule.count)) == 1.0


def test_batches_of_any_size_are_taken(batch):
    step = Step(two_players(network("g"), network("d", 1)), SHAPES)
    step(x=batch)
    assert np.isfinite(logged(step, x=batch[:2])["generator_loss"])


def shared_layer(other):
    """A network of another name with the other's variables."""
    return keras.Sequential([keras.layers.Input((3,)), *other.layers], name="shared")


def test_sharing_is_refused():
    generator, discriminator = network("g"), network("d", 1)
    first, second = two_players(generator, discriminator)
    for name, net, optimizer, shared in (
        ("discriminator", generator, sgd(), "a name"),
        ("generator", generator, first.optimizer, "an optimizer"),
        ("generator", shared_layer(discriminator), sgd(), "a variable"),
        ("generator", network("d", 2), sgd(), "a network's name"),
    ):
        with pytest.raises(ValueError) as caught:
            Step([first, Player(name, (net,), optimizer, second.loss)], SHAPES)
        expected = f"Players 'discriminator' and '{name}' share {shared}; give each its own."
        assert str(caught.value) == expected


def test_networks_of_one_name_are_refused():
    """They would have one place in the checkpoint."""
    with pytest.raises(ValueError, match="Two networks are called 'd'; give each a name of its own."):
        Step(two_players(network("g"), network("d", 1)), SHAPES, others=[network("d", 2)])


def test_a_mean_loss_counts_every_example_once():
    net = network("net")
    loss = evaluation(lambda x: ops.mean(x) + 0 * ops.sum(net(x)), [net], SHAPES)
    batches = [{"x": np.full((size, 3), value, np.float32)} for size, value in ((6, 1.0), (2, 5.0))]
    assert mean_loss(loss, batches) == pytest.approx(2.0)


def test_what_was_logged_is_fetched_by_name_in_order():
    rows = [{"a": ops.convert_to_tensor(float(n)), "b": ops.convert_to_tensor(n)} for n in range(3)]
    assert fetch(rows) == {"a": [0.0, 1.0, 2.0], "b": [0.0, 1.0, 2.0]}
    assert fetch([]) == {}
