import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_segan.training.gradients import ClipByNorm, JointClip, Leftover, clip_factor, global_norm


def network(name="n"):
    return keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)], name=name)


def gradients(scale):
    return [ops.full((2, 1), scale), ops.full((1,), scale)]


def norm(values):
    return float(ops.convert_to_numpy(global_norm(values)))


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_clipping_brings_a_norm_to_the_limit_and_leaves_smaller_ones(size, limit):
    clipped = ClipByNorm(limit)(gradients(size), [])
    assert norm(clipped) == pytest.approx(min(norm(gradients(size)), limit), rel=1e-3)


def test_the_factor_is_torch_s():
    factor = float(ops.convert_to_numpy(clip_factor(ops.convert_to_tensor(10.0), 5.0)))
    assert factor == pytest.approx(5.0 / (10.0 + 1e-6))


def test_joint_clipping_counts_what_the_other_network_has_collected():
    g, d = Leftover(network("g")), Leftover(network("d"))
    moves_g, moves_d = JointClip(g, d, 1e-3), JointClip(d, g, 1e-3)
    for _ in range(3):
        moves_g(gradients(1.0), gradients(2.0))
        assert norm([*g.gradients, *d.gradients]) == pytest.approx(1e-3, rel=1e-2)
        assert norm(g.gradients) < 0.9e-3
    before = norm(g.gradients)
    own = moves_d(gradients(3.0), [])
    # D's own step starts from its gradient alone; what G has left counts in the norm and shrinks with it.
    assert norm(g.gradients) < before
    np.testing.assert_allclose(ops.convert_to_numpy(own[0]), ops.convert_to_numpy(d.gradients[0]))


def test_what_adds_up_is_all_that_was_watched_since():
    g, d = Leftover(network("g")), Leftover(network("d"))
    rule = JointClip(g, d, 1e9)
    rule(gradients(1.0), gradients(2.0))
    rule(gradients(1.0), gradients(2.0))
    np.testing.assert_allclose(ops.convert_to_numpy(d.gradients[0]), 4.0, rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(g.gradients[0]), 1.0, rtol=1e-5)
