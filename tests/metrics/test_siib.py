import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segan import metrics
from keras_segan.errors import MetricError
from keras_segan.metrics import siib

RATE = 16000


def talk(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise in bursts, of another rhythm for every seed."""
    samples = int(seconds * RATE)
    rng = np.random.default_rng(seed)
    return rng.standard_normal(samples) * (1.1 + np.sin(np.arange(samples) / (900.0 + 97 * seed)))


def test_identical_signals_carry_what_the_talkers_variability_leaves():
    """420 components of 15 frames, 80 frames a second: 0.5 * 80 / 15 * 420 * -log2(1 - 0.75^2)."""
    np.testing.assert_allclose(siib.LARGEST, 40 * 28 * -np.log2(0.4375))
    assert siib.siib_gauss(talk(3), talk(3), RATE) == pytest.approx(siib.LARGEST, rel=1e-6)


@settings(max_examples=5, deadline=None)
@given(st.floats(0.1, 2), st.integers(0, 100))
def test_gaussian_channels_have_their_capacity(noise, seed):
    """Independent components of power 1 to 2 in noise: rho^2 = P / (P + N) each."""
    rng = np.random.default_rng(seed)
    power = np.linspace(1, 2, 6)
    sent = rng.standard_normal((50_000, 6)) * np.sqrt(power)
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    received = sent + noise * rng.standard_normal(sent.shape)
    expected = -0.5 * 80 / 15 * np.sum(np.log2(1 - 0.5625 * power / (power + noise**2)))
    assert siib._information(sent @ rotation, received @ rotation) == pytest.approx(expected, rel=0.05)


def test_unrelated_signals_carry_next_to_nothing_and_noise_takes_away():
    clean = talk(21)
    scores = [siib.siib_gauss(clean, clean + level * talk(21, 1), RATE) for level in (0.1, 1.0)]
    assert scores == sorted(scores, reverse=True)
    assert siib.siib_gauss(clean, talk(21, 1), RATE) < 0.01 * siib.LARGEST


def test_the_level_of_both_does_not_matter():
    clean, noisy = talk(21), talk(21) + talk(21, 1)
    assert siib.siib_gauss(7 * clean, 7 * noisy, RATE) == pytest.approx(siib.siib_gauss(clean, noisy, RATE))


def test_a_short_signal_counts_as_its_repetition():
    clean, noisy = talk(5), talk(5) + talk(5, 1)
    long = siib.siib_gauss(np.tile(clean, 4), np.tile(noisy, 4), RATE)
    assert siib.siib_gauss(clean, noisy, RATE) == long


def test_forward_masking_falls_to_the_threshold_within_200_ms():
    levels = np.full((30, 2), -4.0)
    levels[5] = (6.0, 1.0)
    masked = siib._forward_masked(levels, np.full(2, -4.0))
    lag = np.arange(16)
    share = np.log(lag + 1) / np.log(16)
    np.testing.assert_allclose(masked[5:21, 0], 6.0 - share * 10.0)
    np.testing.assert_allclose(masked[5:21, 1], 1.0 - share * 5.0)
    assert (np.delete(masked, np.arange(5, 20), axis=0) == -4.0).all()


def test_filters_are_one_erb_wide_and_one_apart():
    power = siib._filters()
    assert power.shape == (28, 201)
    assert (power.max(axis=1) == 1.0).all()
    peaks = power.argmax(axis=1) * 40.0
    assert abs(peaks[[0, -1]] - [100, 6500]).max() <= 20
    erb = 24.7 * (0.00437 * peaks + 1)
    np.testing.assert_allclose(power[10:].sum(axis=1) * 40.0, erb[10:], rtol=0.12)


def test_too_short():
    with pytest.raises(MetricError, match="0.2 s"):
        siib.siib_gauss(np.r_[np.ones(400), np.zeros(RATE * 21)], np.ones(400 + RATE * 21), RATE)


def test_maps_of_nele_gan():
    for name, metric, centre in (
        ("siib-logistic", "siib-gauss", 32.0),
        ("haspi-logistic", "haspi-linear", 2.8),
    ):
        assert metrics.get(metric).default_scale == name
        assert metrics.scale.get(name)(centre) == 0.5
