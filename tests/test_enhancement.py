import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_segan as ks
from keras_segan import enhancement
from keras_segan.errors import ModelError
from keras_segan.front_ends import GammatoneFrontEnd, LogSpectrumFrontEnd, SpectralMaskFrontEnd
from keras_segan.front_ends.moments import Moments, moments
from keras_segan.inference import WaveformEnhancer
from keras_segan.models import metricgan, xu
from keras_segan.models.base import Enhancer

RATE = 16000


class Fixed(WaveformEnhancer):
    """An enhancer whose network is a function of a frame and its features only."""

    def __init__(self, front_end, function, input_rank):
        self.front_end = front_end
        self.information = {}
        self.infer = function
        self._rank = input_rank

    @property
    def input_rank(self):
        return self._rank


def speech_like(seconds, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    level = 0.2 + np.abs(np.sin(2 * np.pi * 0.7 * t)) * (0.3 + 0.2 * np.sin(2 * np.pi * 0.11 * t))
    return (level * rng.normal(0, 0.2, len(t))).astype(np.float32)


@pytest.fixture
def short_chunks(monkeypatch):
    monkeypatch.setattr(enhancement, "WHOLE", 2.0)
    monkeypatch.setattr(enhancement, "CHUNK", 1.5)
    monkeypatch.setattr(enhancement, "MARGIN", 0.5)
    monkeypatch.setattr(enhancement, "BATCH", 3)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 10_000_000), st.sampled_from([160, 256, 1]))
def test_chunks_cover_a_signal_once_at_multiples_of_the_hop(length, hop):
    plan = enhancement.chunks(length, RATE, hop)
    assert (plan[0].start, plan[0].begin, plan[-1].end, plan[-1].stop) == (0, 0, length, length)
    for before, after in zip(plan[:-1], plan[1:], strict=True):
        assert before.end == after.begin
        assert after.start < after.begin
        assert before.stop > before.end
    assert all(chunk.start % hop == 0 for chunk in plan)
    longest = (1.5 * enhancement.CHUNK + 2 * enhancement.MARGIN) * RATE
    assert len(plan) == 1 or max(chunk.stop - chunk.start for chunk in plan) <= longest + hop


def front_ends():
    rng = np.random.default_rng(0)
    yield SpectralMaskFrontEnd(), lambda x: 1 / (1 + np.exp(-x)), 3
    yield SpectralMaskFrontEnd("log1p", "none"), lambda x: np.tanh(x), 3
    yield GammatoneFrontEnd(), lambda x: 1 / (1 + np.exp(-x[:, 192:256])), 2
    yield LogSpectrumFrontEnd(rng.normal(-4, 1, 257), rng.uniform(1, 2, 257)), lambda x: 0.5 * x[:, 3], 3
    yield LogSpectrumFrontEnd(noise_frames=6), lambda x: x[:, 3] - 0.1 * x[:, 7], 3


@pytest.mark.parametrize("number", range(5))
def test_a_chunked_signal_is_the_whole_one(number, short_chunks, monkeypatch):
    model = Fixed(*list(front_ends())[number])
    noisy = speech_like(7.3)
    chunked = ks.enhance(model, noisy, RATE)
    monkeypatch.setattr(enhancement, "WHOLE", 100.0)
    whole = ks.enhance(model, noisy, RATE)
    assert len(enhancement.chunks(len(noisy), RATE, 256)) == 1
    np.testing.assert_allclose(chunked, whole, atol=2e-5 * np.abs(whole).max())


@pytest.mark.parametrize("silent_frames", [1, 10, 1000])
def test_zeros_before_a_recording_are_no_noise(silent_frames):
    front_end = LogSpectrumFrontEnd(noise_frames=6)
    noisy = speech_like(2.0)
    silence = np.zeros(silent_frames * front_end.hop, np.float32)
    expected, after_silence = (front_end.analyse(w)[0][-1, 7] for w in (noisy, np.append(silence, noisy)))
    # One frame more holds the first samples, and the estimate ends a frame earlier.
    mixed = front_end.log_spectrum(np.append(silence, noisy))[silent_frames - 1 :][:6].mean(axis=0)
    np.testing.assert_allclose(after_silence, mixed, rtol=1e-6)
    assert np.abs(after_silence - expected).mean() < 1.0
    np.testing.assert_allclose(front_end.analyse(silence)[0][:, 7], np.log(1e-8), rtol=1e-6)


def test_a_blstm_forgets_within_the_margin(short_chunks, monkeypatch):
    keras.utils.set_random_seed(0)
    model = Enhancer(metricgan.generator(units=16, hidden=8), SpectralMaskFrontEnd())
    noisy = speech_like(5.0)
    chunked = ks.enhance(model, noisy, RATE)
    monkeypatch.setattr(enhancement, "WHOLE", 100.0)
    whole = ks.enhance(model, noisy, RATE)
    np.testing.assert_allclose(chunked, whole, atol=1e-4 * np.abs(whole).max())


@pytest.mark.parametrize("rate", [8000, 44100])
def test_length_and_position_stay_at_other_rates(rate, short_chunks):
    model = Fixed(SpectralMaskFrontEnd(normalisation="none"), np.ones_like, 3)
    t = np.arange(int(5.1 * rate)) / rate
    noisy = np.stack([np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 880 * t)], axis=1).astype(np.float32)
    enhanced = ks.enhance(model, noisy, rate)
    assert enhanced.shape == noisy.shape
    inner = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(enhanced[inner], noisy[inner], atol=2e-3)


def test_wet_mixes_with_the_noisy_signal(short_chunks):
    model = Fixed(SpectralMaskFrontEnd(), lambda x: np.full_like(x, 0.5), 3)
    noisy = speech_like(5.0)
    np.testing.assert_array_equal(ks.enhance(model, noisy, RATE, wet=0.0), noisy)
    half = ks.enhance(model, noisy, RATE, wet=0.5)
    np.testing.assert_allclose(half, 0.5 * noisy + 0.5 * ks.enhance(model, noisy, RATE), atol=1e-6)


def test_the_mask_floor_can_be_changed():
    model = Fixed(SpectralMaskFrontEnd(normalisation="none"), np.zeros_like, 3)
    noisy = speech_like(1.0)
    enhanced = ks.enhance(enhancement.with_mask_floor(model, 0.25), noisy, RATE)
    np.testing.assert_allclose(enhanced, 0.25 * noisy, atol=1e-5)
    with pytest.raises(ModelError, match="no mask"):
        enhancement.with_mask_floor(Fixed(LogSpectrumFrontEnd(), np.zeros_like, 3), 0.1)


@settings(deadline=None, max_examples=25)
@given(st.floats(-150, 30), st.floats(-150, 30), st.sampled_from([1.2, 2.6]))
def test_each_channel_is_enhanced_at_a_level_that_the_model_knows(left, right, seconds):
    model = Fixed(SpectralMaskFrontEnd("log1p", "none", levels=(-40, -20)), np.tanh, 3)
    noisy = speech_like(seconds)
    unit = noisy / np.sqrt(np.mean(np.square(noisy)))
    gains = 10 ** (np.array([left, right], np.float32) / 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(enhancement, "WHOLE", 2.0)
        patch.setattr(enhancement, "CHUNK", 1.5)
        enhanced = ks.enhance(model, gains * unit[:, None], RATE)
        model.front_end.levels = None
        for channel, level in enumerate((left, right)):
            known = np.float32(10 ** (np.clip(level, -40, -20) / 20))
            expected = ks.enhance(model, known * unit, RATE) * (gains[channel] / known)
            largest = np.abs(expected).max()
            np.testing.assert_allclose(enhanced[:, channel], expected, atol=1e-4 * largest)


@pytest.mark.parametrize("front_end", [SpectralMaskFrontEnd, LogSpectrumFrontEnd])
@pytest.mark.parametrize("levels", [(-16, -33), (-33,), (float("nan"), -16)])
def test_levels_that_make_no_range_are_refused(levels, front_end):
    with pytest.raises(ValueError, match="lowest and the highest"):
        front_end(levels=levels)


@pytest.mark.parametrize(
    ("build", "front_end"),
    [
        (lambda: metricgan.generator(units=4, hidden=4), SpectralMaskFrontEnd),
        (lambda: xu.dnn(units=4, hidden_layers=1), LogSpectrumFrontEnd),
    ],
)
def test_levels_are_kept_in_the_file_and_nothing_near_zero_is_amplified(build, front_end, tmp_path):
    keras.utils.set_random_seed(0)
    Enhancer(build(), front_end(levels=(-40, -20))).save(tmp_path / "model.keras")
    levels = ks.load_model(tmp_path / "model.keras").front_end.levels
    assert levels == [-40.0, -20.0]
    gains = enhancement.level_gains(np.array([0.0, 1e-30, 1e-4, 0.05, 1.0]), levels)
    np.testing.assert_allclose(gains, [1, 1, 100, 1, 0.1], rtol=1e-6)


def test_a_model_that_returns_nan_is_named():
    model = Fixed(SpectralMaskFrontEnd(), lambda x: np.full_like(x, np.nan), 3)
    with pytest.raises(ModelError, match="NaN"):
        ks.enhance(model, speech_like(1.0), RATE)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any), st.integers(0, 1000))
def test_moments_of_pieces_are_those_of_the_whole(lengths, offset):
    rng = np.random.default_rng(0)
    rows = rng.normal(offset, 2, (sum(lengths), 3))
    collected = Moments()
    for part in np.split(rows, np.cumsum(lengths)[:-1]):
        collected.add(part)
    np.testing.assert_allclose(collected.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(collected.deviation(), rows.std(axis=0), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(collected.pooled().deviation(), rows.std(), rtol=1e-7)


def test_frames_of_pieces_count_once():
    signal = np.arange(1000.0)
    pieces = [(signal[:500], 0, 400), (signal[300:], 100, 700)]
    counted = moments(pieces, lambda x: x[::100, None], 100)
    assert counted.count == 10
    assert counted.mean == np.mean(signal[::100])
