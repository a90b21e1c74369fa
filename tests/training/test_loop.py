"""The loop: resume, stop in the middle of a round, the log, and what happens when training diverges."""

import numpy as np
import pytest
from keras import ops

from keras_segan.errors import KsegError
from keras_segan.training.keep import Best, KeepAll, MeanOfLast
from keras_segan.training.loop import Batch, Rounds, Stopped, Training
from keras_segan.training.player import Player
from keras_segan.training.sources import Batches
from keras_segan.training.step import Step

from .games import (
    SHAPES,
    Rows,
    adam,
    assert_same,
    dropping_network,
    log,
    network,
    open_run,
    sgd,
    training,
    two_players,
    variables,
    weights,
)

EPOCHS = Rounds(5)
ITERATIONS = Rounds(18, "iteration", 5, log_start=True)  # 4 batches a pass; the last round is short


def kept_game(run, rounds, **others):
    """A training whose best and mean weights are kept by a loss that falls and rises."""
    net = dropping_network()
    rule = KeepAll({"best": Best(net, "validation_loss"), "mean": MeanOfLast(net, 2)})
    game = training(run, rounds, net, rule, **others)
    game.measure = lambda: {"validation_loss": abs(game.done - 2.0)}
    return game


@pytest.mark.parametrize("rounds", [EPOCHS, ITERATIONS])
@pytest.mark.parametrize("stops", [(1,), (4, 1, 6), (5, 5)])  # steps until time is up, each time
def test_a_stopped_and_resumed_run_ends_as_if_it_had_not_been_stopped(tmp_path, rounds, stops):
    whole = kept_game(open_run(tmp_path / "whole"), rounds)
    whole.fit()
    for number, steps in enumerate(stops):
        broken = kept_game(open_run(tmp_path / "broken", steps, resume=number > 0), rounds)
        with pytest.raises(Stopped, match=f"Stopped in {rounds.unit} .*--resume goes on from there"):
            broken.fit()
    resumed = kept_game(open_run(tmp_path / "broken", resume=True), rounds)
    resumed.fit()
    assert log(resumed.run) == log(whole.run)
    assert_same(variables(resumed), variables(whole))
    for name in ("best", "mean"):
        ours, theirs = (game.keep.rules[name].kept for game in (resumed, whole))
        assert ours.position == theirs.position
        for a, b in zip(ours.weights, theirs.weights, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_was_trained_on_is_not_read_again(tmp_path):
    examples = Rows()
    with pytest.raises(Stopped):
        training(open_run(tmp_path / "run", 7), EPOCHS, examples=examples).fit()
    assert examples.read == 7
    training(open_run(tmp_path / "run", resume=True), EPOCHS, examples=examples).fit()
    assert examples.read == 5 * 4


@pytest.mark.parametrize(
    ("short", "long"), [(Rounds(2), Rounds(5)), (Rounds(7, "iteration", 5), Rounds(18, "iteration", 5))]
)
def test_a_longer_training_goes_on_where_the_shorter_one_ended(tmp_path, short, long):
    """Also in the middle of a round, if that was the end."""
    whole = training(open_run(tmp_path / "whole"), long)
    whole.fit()
    training(open_run(tmp_path / "parts"), short).fit()
    resumed = training(open_run(tmp_path / "parts", resume=True), long)
    resumed.fit()
    assert_same(variables(resumed), variables(whole))
    positions = {long.end(number) for number in range(1, long.count + 1)} | {short.total}
    assert [row[long.unit] for row in resumed.run.log] == sorted(positions)


def test_a_finished_run_resumes_without_training(tmp_path):
    training(open_run(tmp_path / "run"), EPOCHS).fit()
    examples = Rows()
    again = training(open_run(tmp_path / "run", resume=True), EPOCHS, examples=examples)
    again.fit()
    assert (again.done, examples.read) == (5, 0)


def test_training_learns_and_logs_each_round(tmp_path):
    game = training(open_run(tmp_path / "run"), Rounds(60, "iteration", 10, log_start=True))
    game.measure = lambda: {"checked": 1.0}
    game.fit()
    rows = game.run.log
    assert [row["iteration"] for row in rows] == [0, 10, 20, 30, 40, 50, 60]
    assert list(rows[0]) == ["iteration", "checked"]  # there is no loss before the first step
    assert list(rows[1]) == ["iteration", "model_loss", "checked", "seconds"]
    assert rows[-1]["model_loss"] < 0.6 * rows[1]["model_loss"]


def test_a_state_before_training_is_logged_but_never_kept(tmp_path):
    game = kept_game(open_run(tmp_path / "run"), ITERATIONS)
    game.measure = lambda: {"validation_loss": float(game.done)}
    game.fit()
    assert game.keep.rules["best"].kept.position == 5


def test_hooks_are_called_when_they_should(tmp_path):
    calls = []

    def hooked(run, rounds):
        game = training(run, rounds)
        game.at_start = lambda: calls.append("start")
        game.before_round = calls.append
        return game

    with pytest.raises(Stopped):
        hooked(open_run(tmp_path / "run", 6), Rounds(3)).fit()
    assert calls == ["start", 1, 2]
    hooked(open_run(tmp_path / "run", resume=True), Rounds(3)).fit()
    assert calls == ["start", 1, 2, 2, 3]


def test_steps_side_by_side_have_columns_of_their_own(tmp_path):
    games = {name: two_players(network("g", n), network("d", 10 + n), adam) for n, name in enumerate("ab")}
    rounds = Rounds(2)
    source = Batches(Rows(), 6, 7, rounds, tuple(games))
    steps = {name: Step(players, SHAPES) for name, players in games.items()}
    run = open_run(tmp_path / "run")
    Training(steps, source, rounds, run, KeepAll({})).fit()
    columns = [f"{name}_{column}" for name in "ab" for column in ("discriminator_loss", "generator_loss")]
    assert set(columns) < set(run.log[0])
    assert run.log[0]["a_generator_loss"] != run.log[0]["b_generator_loss"]


class Labelled(Batches):
    """Two passes of an epoch, the second one under a label and with weights."""

    def round(self, number):
        for position, batch in enumerate(super().round(number)):
            yield batch if position % 2 else Batch(batch.arrays, label="first", weight=3)


def test_labels_name_columns_and_weights_count(tmp_path):
    net, rounds = network("net"), Rounds(1)
    player = Player("model", (net,), sgd(0.0), lambda x: (ops.mean(x), {"largest": ops.max(x)}))
    examples = Rows(18)
    game = Training(
        {"train": Step([player], SHAPES)},
        Labelled(examples, 6, 7, rounds),
        rounds,
        open_run(tmp_path / "run"),
        KeepAll({}),
    )
    game.fit()
    first, second, third = (examples.rows[examples.order(6, n, 7)] for n in range(3))
    row = game.run.log[0]
    assert row["first_loss"] == pytest.approx((first.mean() + third.mean()) / 2, abs=1e-6)
    assert row["first_largest"] == pytest.approx((first.max() + third.max()) / 2, rel=1e-6)
    assert row["model_loss"] == pytest.approx(second.mean(), abs=1e-6)


def test_a_loss_that_is_not_finite_ends_training_at_the_last_good_checkpoint(tmp_path):
    net, rounds = network("net"), Rounds(4)
    examples = Rows()
    player = Player("model", (net,), sgd(), lambda x: ops.mean(net(x)))
    run = open_run(tmp_path / "run")
    game = Training({"only": Step([player], SHAPES)}, Batches(examples, 6, 7, rounds, ("only",)), rounds, run,
                    KeepAll({}))  # fmt: skip

    def poison(number):
        if number == 3:
            examples.rows[examples.order(6, 2 * 4 + 1, 7)[0]] = np.inf

    game.before_round = poison
    with pytest.raises(KsegError) as caught:
        game.fit()
    message = str(caught.value)
    for part in ("player 'model'", "step 'only'", "batch 2 of epoch 3", "checkpoints/epoch-00002.npz"):
        assert part in message
    assert [row["epoch"] for row in run.log] == [1, 2]
    again = Training(game.steps, Batches(Rows(), 6, 7, rounds, ("only",)), rounds,
                     open_run(tmp_path / "run", resume=True), KeepAll({}))  # fmt: skip
    again.fit()
    assert all(np.isfinite(array).all() for array in weights(net))


def test_losses_are_fetched_once_a_round(tmp_path, monkeypatch):
    from keras_segan.training import loop

    fetched = []

    def counting(logged, original=loop.fetch):
        fetched.append(len(logged))
        return original(logged)

    monkeypatch.setattr(loop, "fetch", counting)
    training(open_run(tmp_path / "run"), Rounds(3)).fit()
    assert fetched == [4, 4, 4]


def test_where_training_is(tmp_path):
    epochs = Batches(Rows(), 6, 7, EPOCHS)
    assert [batch.where for batch in epochs.round(2)][1] == "epoch 2/5, batch 2/4"
    iterations = Batches(Rows(), 6, 7, ITERATIONS)
    assert [batch.where for batch in iterations.round(4)] == [
        "iteration 16/18",
        "iteration 17/18",
        "iteration 18/18",
    ]
    assert [iterations.work(number) for number in (1, 2, 3, 4)] == [5, 5, 5, 3]
