"""Properties of the measures that need no golden values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_toeplitz, toeplitz

from keras_segan import metrics
from keras_segan.errors import MetricError
from keras_segan.metrics import framing, lpc, snr, spectral, stoi
from keras_segan.metrics.pair import Pair

RATE = 16000


def signal(seed: int, samples: int = 4800) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples)


def test_identical_signals_get_the_best_scores(speech):
    clean = speech[0]
    scores = metrics.score(metrics.names(), clean, clean, RATE)
    for name in metrics.names():
        lo, hi = metrics.get(name).range
        best = hi if metrics.get(name).higher_is_better else lo
        assert scores[name] == pytest.approx(best, abs=1e-3), name


def test_every_score_lies_in_its_range_and_noise_makes_it_worse(speech):
    clean, noisy, _ = speech
    fair = metrics.score(metrics.names(), clean, noisy, RATE)
    bad = metrics.score(metrics.names(), clean, clean + 3 * (noisy - clean), RATE)
    for name in metrics.names():
        metric = metrics.get(name)
        assert metric.range[0] <= bad[name] <= metric.range[1], name
        assert (fair[name] > bad[name]) == metric.higher_is_better, name


def test_score_takes_int16_as_its_full_scale(speech):
    clean, noisy, _ = ((s * 32768).astype(np.int16) for s in speech)
    asked = ("ssnr", "llr", "wss", "stoi")
    assert metrics.score(asked, clean, noisy, RATE) == metrics.score(
        asked, clean / 32768, noisy / 32768, RATE
    )


def test_score_equals_the_single_metrics_and_keys_are_the_names_asked_for(speech):
    clean, noisy, _ = speech
    together = metrics.score(("pesq", "COVL", "fwsegsnr"), clean, noisy, RATE)
    assert list(together) == ["pesq", "COVL", "fwsegsnr"]
    for name, value in together.items():
        assert metrics.get(name).function(clean, noisy, RATE) == value


def test_shared_parts_are_computed_once(speech, monkeypatch):
    import pesq

    calls = []
    original = pesq.pesq
    monkeypatch.setattr(pesq, "pesq", lambda *a: calls.append("pesq") or original(*a))
    predict = lpc.Prediction.of
    monkeypatch.setattr(lpc.Prediction, "of", lambda *a: calls.append("lpc") or predict(*a))
    metrics.score(("pesq", "csig", "cbak", "covl", "llr", "llr-limited", "wss"), *speech[:2], RATE)
    assert sorted(calls) == ["lpc", "pesq"]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_si_sdr_ignores_scale_and_offset_and_snr_does_not(seed, gain):
    clean, processed = signal(seed), signal(seed) + 0.3 * signal(seed + 1)
    before = snr.si_sdr(clean, processed)
    assert snr.si_sdr(clean, gain * processed + 0.5) == pytest.approx(before, abs=1e-6)
    assert snr.si_sdr(gain * clean, processed) == pytest.approx(before, abs=1e-6)
    assert snr.snr(clean, clean + 0.1 * clean) == pytest.approx(20.0)


@settings(deadline=None, max_examples=10)
@given(st.floats(0.05, 20))
def test_stoi_and_llr_ignore_the_gain_of_the_processed_signal(gain):
    rng = np.random.default_rng(3)
    clean = rng.standard_normal(24000) * np.sin(np.arange(24000) / 2000.0)
    noisy = clean + rng.standard_normal(24000)
    assert stoi.stoi(clean, gain * noisy, RATE) == pytest.approx(stoi.stoi(clean, noisy, RATE), abs=1e-9)
    llr = Pair(clean, gain * noisy, RATE).llr
    np.testing.assert_allclose(llr, Pair(clean, noisy, RATE).llr, atol=1e-9)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([10, 16]))
def test_batched_recursion_solves_the_normal_equations(seed, order):
    frames = np.random.default_rng(seed).standard_normal((5, 200)).cumsum(axis=1)
    lags = np.stack([np.sum(frames[:, : 200 - k] * frames[:, k:], axis=1) for k in range(order + 1)], axis=1)
    inverse = lpc.levinson(lags)
    energy = lpc.residual_energy(inverse, lags)
    for a, r, e in zip(inverse, lags, energy, strict=True):
        np.testing.assert_allclose(a[1:], -solve_toeplitz(r[:-1], r[1:]), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(e, a @ toeplitz(r) @ a, rtol=1e-9)


def test_one_fft_gives_the_autocorrelation_of_each_frame():
    x = signal(1)
    pair = Pair(x, signal(2), RATE)
    frames = framing.frames(x + framing.EPS, RATE) * framing.hann(480)
    direct = np.stack([np.sum(frames[:, : 480 - k] * frames[:, k:], axis=1) for k in range(17)], axis=1)
    np.testing.assert_allclose(pair.prediction.clean_lags, direct, rtol=1e-12, atol=1e-15)


def test_trimmed_mean_rounds_half_away_from_zero_as_matlab():
    values = np.arange(310.0)  # 294.5 frames: MATLAB keeps 295, Python's round() would keep 294
    assert framing.trimmed_mean(values[::-1]) == np.mean(np.arange(295.0))


def test_nearest_peak_against_the_search_in_the_matlab_code():
    level = np.random.default_rng(0).standard_normal((50, 25)).round(1)  # with ties
    slope = np.diff(level, axis=1)
    peak = spectral._nearest_peak(level, slope)
    for row in range(50):
        for i in range(24):
            n = i
            if slope[row, i] > 0:
                while n < 24 and slope[row, n] > 0:
                    n += 1
                assert peak[row, i] == level[row, n - 1]
            else:
                while n >= 0 and slope[row, n] <= 0:
                    n -= 1
                assert peak[row, i] == level[row, n + 1]


def test_scoring_repeats_itself_to_the_bit_and_leaves_the_global_generator_alone(speech):
    np.random.seed(5)
    first = metrics.score(metrics.names(), *speech[:2], RATE)
    drawn = np.random.random()
    assert metrics.score(metrics.names(), *speech[:2], RATE) == first
    np.random.seed(5)
    assert np.random.random() == drawn


def test_ratings_at_8_khz_say_which_pesq_is_in_them(speech):
    clean, noisy, _ = speech
    pair = Pair(clean[::2], noisy[::2], 8000)
    for name in ("csig", "covl"):
        metrics.get(name).of_pair(pair)
    assert pair.notes == ["composite measures with raw narrow-band PESQ, as defined at 8000 Hz"]


def test_lsd_of_a_gain_is_that_gain_in_decibels():
    x = signal(4)
    assert metrics.score("lsd", x, 0.1 * x, RATE)["lsd"] == pytest.approx(20.0, abs=1e-3)


BAD = {
    "silent": (np.zeros(16000), "processed signal is silent"),
    "not a number": (np.full(16000, np.nan), "processed signal holds NaN"),
    "stereo": (np.ones((16000, 2)), "mono signal"),
    "empty": (np.zeros(0), "holds no samples"),
    "unequal": (signal(0, 16300), "more than one hop of 256 samples: clean 16000, processed 16300"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("metric", ["pesq", "stoi", "ssnr"])
def test_unusable_signals_are_refused_with_a_sentence(kind, metric):
    processed, sentence = BAD[kind]
    with pytest.raises(MetricError, match=sentence):
        metrics.score(metric, signal(0, 16000), processed, RATE)


def test_a_silent_reference_is_refused():
    with pytest.raises(MetricError, match="clean signal is silent"):
        metrics.score("pesq", np.zeros(16000), signal(0, 16000), RATE)


@pytest.mark.parametrize(("metric", "samples"), [("pesq", 3000), ("stoi", 4000), ("stoi", 100), ("llr", 599)])
def test_too_short_signals_are_refused_with_the_length_needed(metric, samples):
    with pytest.raises(MetricError, match=r"(needs|needed).*|.*(needs|needed)"):
        metrics.score(metric, signal(0, samples), signal(1, samples), RATE)


def test_a_hop_of_difference_is_trimmed_and_noted(speech):
    clean, noisy, _ = speech
    pair = Pair(clean, noisy[:-256], RATE)
    assert pair.notes == ["trimmed by 256 samples to the shorter of the two"]
    assert pair.llr.tolist() == Pair(clean[:-256], noisy[:-256], RATE).llr.tolist()


def test_another_rate_is_resampled_and_noted(speech):
    from keras_segan import audio

    clean, noisy, _ = speech
    pair = Pair(audio.resample(clean, RATE, 44100), audio.resample(noisy, RATE, 44100), 44100)
    assert pair.notes == ["resampled from 44100 to 16000 Hz"]
    assert np.mean(pair.ssnr) == pytest.approx(np.mean(Pair(clean, noisy, RATE).ssnr), abs=0.05)


def test_si_sdr_has_two_definitions_which_an_offset_tells_apart():
    clean, processed = signal(1), signal(1) + 0.05 * signal(2) + 0.5
    without, with_mean = (metrics.get(name) for name in ("si-sdr", "si-sdr-with-mean"))
    assert without.definition != with_mean.definition
    assert without.function(clean, processed, RATE) > 20
    assert with_mean.function(clean, processed, RATE) < 5
