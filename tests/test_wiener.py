import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segan.wiener import WienerFilter


def speech_like(seconds=2.0, rate=16000):
    """Bursts of a harmonic tone after 0.3 s of nothing."""
    t = np.arange(int(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 12))
    return 0.2 * tone * (np.sin(2 * np.pi * 2 * t) > 0) * (t > 0.3)


def snr(clean, processed):
    return 10 * np.log10(np.sum(clean**2) / np.sum((processed - clean) ** 2))


@pytest.mark.parametrize("level", [0.03, 0.1])
def test_stationary_noise_is_reduced(level):
    clean = speech_like()
    noisy = clean + level * np.random.default_rng(0).standard_normal(len(clean))
    assert snr(clean, WienerFilter().enhance(noisy)) > snr(clean, noisy) + 3


@given(st.integers(1, 5000), st.sampled_from([8000, 16000]))
@settings(max_examples=25, deadline=None)
def test_length_and_type_are_kept(samples, rate):
    noisy = np.random.default_rng(samples).standard_normal(samples)
    enhanced = WienerFilter(rate).enhance(noisy)
    assert enhanced.shape == (samples,)
    assert enhanced.dtype == np.float32
    assert np.isfinite(enhanced).all()


def test_gains_lie_between_zero_and_one():
    power = np.random.default_rng(0).exponential(size=(50, 20)) * np.linspace(0.1, 30, 50)[:, None]
    gains = WienerFilter()._gains(power, noise=np.ones(20))
    assert gains.min() >= 0
    assert gains.max() <= 1


def test_gains_follow_the_decision_directed_rule():
    """Two frames of one bin, loud enough that the noise estimate stays, by hand."""
    gains = WienerFilter()._gains(np.array([[20.0], [30.0]]), noise=np.array([2.0]))
    first = 0.98 + 0.02 * (10 - 1)
    second = 0.98 * first / (1 + first) * 10 + 0.02 * (15 - 1)
    np.testing.assert_allclose(gains[:, 0], np.sqrt([first / (1 + first), second / (1 + second)]))


def test_the_noise_estimate_follows_frames_without_speech():
    quiet = np.full((400, 4), 4.0)  # noise rises from 1 to 4 and stays there
    updated = WienerFilter()._gains(quiet, noise=np.full(4, 3.0))
    frozen = dataclasses.replace(WienerFilter(), noise_memory=1.0)._gains(quiet, noise=np.full(4, 3.0))
    assert (updated[-1] < frozen[-1]).all()


def test_without_noise_nothing_changes():
    clean = speech_like()
    np.testing.assert_allclose(WienerFilter().enhance(clean), clean, atol=0.01)


def test_silence_stays_silent():
    assert not WienerFilter().enhance(np.zeros(1000)).any()
