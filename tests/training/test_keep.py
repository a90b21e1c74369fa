"""Which weights stay: last, best, mean of the last; each through a checkpoint, too."""

import numpy as np
import pytest

from keras_segan.training.keep import (
    Best,
    KeepAll,
    Kept,
    Last,
    MeanOfLast,
    clone_with,
    kept_or_last,
    make_keep,
)
from keras_segan.training.run_folder import variables_to_arrays

from .games import network, weights


def after(rule, net, values):
    """Sets all weights to 1, 2, 3, ... and tells the rule a loss each time."""
    for number, value in enumerate(values, start=1):
        net.set_weights([np.full_like(array, number) for array in net.get_weights()])
        rule.after_round(number, {"loss": value} if value is not None else {})


def kept_value(kept):
    (value,) = {float(each) for array in kept.weights for each in array.ravel()}
    return kept.position, value


def through_a_checkpoint(rule, fresh):
    facts, groups = rule.state()
    fresh.restore(facts, variables_to_arrays({f"keep.{name}": each for name, each in groups.items()}))
    return fresh


@pytest.mark.parametrize(
    ("values", "higher", "position"),
    [
        ([3.0, 1.0, 2.0, 1.0], False, 2),  # of equal ones the first
        ([3.0, 1.0, 2.0, 4.0], True, 4),
        ([None, 2.0, None, 3.0], False, 2),  # rounds without the column are passed over
        ([3.0, float("nan"), 2.0], False, 3),
    ],
)
def test_the_best_is_kept(values, higher, position):
    net = network("net")
    rule = Best(net, "loss", higher)
    after(rule, net, values)
    assert kept_value(rule.kept) == (position, position)
    again = through_a_checkpoint(rule, Best(net, "loss", higher))
    assert kept_value(again.kept) == (position, position)
    after(again, net, [2.5])  # neither better nor as good
    assert kept_value(again.kept)[0] in (position, 1) if higher else kept_value(again.kept)[0] == position


def test_what_is_kept_does_not_move_with_the_network():
    net = network("net")
    rule = Best(net, "loss")
    after(rule, net, [1.0])
    for variable in net.trainable_variables:
        variable.assign_add(variable * 0 + 5)
    assert kept_value(rule.kept) == (1, 1)


def test_the_mean_of_the_last_rounds_is_kept():
    net = network("net")
    rule = MeanOfLast(net, 3)
    assert rule.kept is None
    after(rule, net, [0.0, 0.0])
    assert kept_value(rule.kept) == (2, 1.5)
    after(rule, net, [0.0] * 5)
    assert kept_value(rule.kept) == (5, 4.0)
    assert kept_value(through_a_checkpoint(rule, MeanOfLast(net, 3)).kept) == (5, 4.0)
    with pytest.raises(ValueError, match="keep at least one"):
        MeanOfLast(net, 0)


def test_several_rules_side_by_side():
    first, second = network("first"), network("second")

    def rules():
        return KeepAll({"a": Best(first, "loss"), "b": MeanOfLast(second, 2), "c": Last()})

    both = rules()
    after(both, first, [2.0, 1.0, 3.0])
    again = through_a_checkpoint(both, rules())
    assert kept_value(again.rules["a"].kept) == (2, 2)
    assert again.rules["b"].kept.position == 3
    for ours, theirs in zip(again.rules["b"].kept.weights, second.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_rule_is_made_by_its_name():
    net = network("net")
    assert type(make_keep("last", net, "loss", False)) is Last
    assert make_keep("best", net, "loss", True).sign == 1.0
    assert make_keep("mean_of_last(4)", net, "loss", False).rounds == 4
    for wrong in ("first", "mean_of_last(x)", "mean_of_last(2"):
        with pytest.raises(ValueError, match="last, best or mean_of_last"):
            make_keep(wrong, net, "loss", False)


def test_without_kept_weights_those_of_the_network_stay():
    net = network("net")
    kept = kept_or_last(Last(), net, 7)
    assert isinstance(kept, Kept)
    assert kept.position == 7
    copy = clone_with(net, [array + 1 for array in kept.weights])
    for ours, theirs in zip(weights(copy), weights(net), strict=True):
        np.testing.assert_array_equal(ours, theirs + 1)
