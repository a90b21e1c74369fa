import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segan.training import losses


@settings(deadline=None)
@given(st.floats(-30, 30), st.floats(-30, 30))
def test_losses_are_cross_entropies(real, fake):
    def sigmoid(x):
        return 1 / (1 + np.exp(-np.float64(x)))

    real, fake = np.float32(real), np.float32(fake)
    expected = np.log1p(np.exp(-np.float64(real))) + np.log1p(np.exp(np.float64(fake)))
    assert float(losses.real_or_fake(real, fake)) == pytest.approx(expected, rel=1e-5, abs=1e-12)
    assert float(losses.non_saturating(fake)) == pytest.approx(-np.log(sigmoid(fake)), rel=1e-5, abs=1e-12)


def test_an_ignorant_discriminator_pays_two_ln_two():
    zeros = np.zeros(4, np.float32)
    assert float(losses.real_or_fake(zeros, zeros)) == pytest.approx(2 * np.log(2))


def test_distances():
    estimate, target = np.float32([[1, 2]]), np.float32([[3, 2]])
    assert float(losses.l1(estimate, target)) == 1.0
    assert float(losses.l2(estimate, target)) == 2.0
    assert float(losses.half_l2(estimate, target)) == 1.0
    assert float(losses.least_squares(estimate, 1.0)) == 0.5


def test_the_distance_of_utterances_does_not_count_what_they_were_filled_up_with():
    random = np.random.default_rng(0)
    estimate, target = random.standard_normal((2, 2, 5, 3)).astype(np.float32)
    estimate[1, 3:] = target[1, 3:] = 0
    expected = np.mean([np.mean((estimate - target)[0] ** 2), np.mean((estimate - target)[1, :3] ** 2)])
    frames = np.float32([5, 3])
    assert float(losses.utterance_l2(estimate, target, frames)) == pytest.approx(expected, rel=1e-5)
    plain = np.mean(np.mean((estimate - target) ** 2, axis=(1, 2)))
    assert float(losses.utterance_l2(estimate, target)) == pytest.approx(plain, rel=1e-5)
