import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segan.front_ends import band_gain
from keras_segan.layers.cumulative_norm import CumulativeLayerNormalization
from keras_segan.models import nele_gan

RNG = np.random.default_rng(0)
SPEECH = (RNG.standard_normal(9000) * np.hanning(9000)).astype(np.float32)
NOISE = (0.3 * RNG.standard_normal(9000)).astype(np.float32)


@pytest.fixture(scope="module")
def generator():
    keras.utils.set_random_seed(0)
    return nele_gan.generator()


def test_parameter_counts(generator):
    assert generator.count_params() == 2_093_120
    for scores, count in {3: 343_491}.items():
        variables = nele_gan.discriminator(scores).trainable_variables
        assert sum(int(np.prod(v.shape)) for v in variables) == count


def test_no_gain_sees_a_later_frame(generator):
    front_end = band_gain.BandGainFrontEnd()
    bands = front_end.analyse(SPEECH, NOISE)[0][None]
    later = bands.copy()
    later[:, 20:] *= 3
    np.testing.assert_allclose(generator(later)[:, :20], generator(bands)[:, :20], rtol=1e-4)
    assert np.abs(generator(later)[:, 20:] - generator(bands)[:, 20:]).max() > 1e-3
    assert np.abs(np.log(generator(bands))).max() <= nele_gan.LARGEST_LOG_GAIN


def test_the_discriminator_scores_three_bands_of_frames():
    image = np.stack([RNG.random((1, nele_gan.MINIMUM_FRAMES, 64))] * 3, axis=-1)
    scores = nele_gan.discriminator()(image.astype("float32"), training=True)
    assert scores.shape == (1, 3)
    assert np.all((np.asarray(scores) > 0) & (np.asarray(scores) < 1))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 100))
def test_power_is_moved_not_added(seed, loudness):
    rng = np.random.default_rng(seed)
    bands = (loudness * rng.random((2, 7, 5))).astype("float32")
    gains = np.exp(rng.uniform(-3.2, 3.2, bands.shape)).astype("float32")
    enhanced = np.asarray(nele_gan.enhanced_bands(gains, bands), np.float64)
    np.testing.assert_allclose((enhanced**6).sum(axis=(1, 2)), (bands**6.0).sum(axis=(1, 2)), rtol=1e-4)
    ratio = (enhanced / bands) ** 6 / gains
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1, :1], ratio.shape), rtol=1e-3)


def test_every_bin_is_shared_out_whole():
    weights = band_gain.band_weights()
    assert weights.shape == (257, 64)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert (np.diag(weights[band_gain.BAND_EDGES[:-1]]) == 1.0).all()
    assert (np.count_nonzero(weights, axis=1) <= 2).all()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100))
def test_the_power_of_the_waveform_stays(seed):
    front_end = band_gain.BandGainFrontEnd()
    bands, analysis = front_end.analyse(SPEECH, NOISE)
    gains = np.exp(np.random.default_rng(seed).uniform(-3.2, 3.2, (len(bands), 64)))
    enhanced = front_end.synthesise(gains, analysis)
    assert enhanced.shape == SPEECH.shape
    np.testing.assert_allclose(np.std(enhanced), np.std(SPEECH), rtol=1e-3)
    np.testing.assert_allclose(band_gain.heard(enhanced, NOISE) - enhanced, NOISE, atol=1e-6)


def test_gains_of_one_leave_the_speech_but_for_the_bins_without_speech():
    front_end = band_gain.BandGainFrontEnd()
    analysis = front_end.analyse(SPEECH, NOISE)[1]
    same = front_end.synthesise(np.ones((len(analysis.power), 64)), analysis)
    muted = np.isin(np.arange(257), list(band_gain.MUTED))
    before, after = (np.abs(front_end._spectrum(w)[5:-5]).mean(axis=0) for w in (SPEECH, same))
    np.testing.assert_allclose(after[~muted][3:-3] / before[~muted][3:-3], 1.0, atol=0.03)
    # Their neighbours leak into them.
    assert (after[muted] < 0.7 * before[muted]).all()


def test_the_noise_is_smoothed_without_looking_ahead():
    front_end = band_gain.BandGainFrontEnd()
    power = front_end.noise_power(NOISE)
    np.testing.assert_allclose(front_end.noise_power(NOISE[:6000])[:20], power[:20])
    raw = front_end.band_power(front_end._spectrum(NOISE))
    np.testing.assert_allclose(power[0], raw[0])
    np.testing.assert_allclose(power[1], 0.85 * raw[0] + 0.15 * raw[1])


def test_cumulative_normalisation_is_that_of_everything_so_far():
    x = RNG.normal(2, 3, (2, 6, 4)).astype("float32")
    y = np.asarray(CumulativeLayerNormalization()(x))
    for frame in range(6):
        past = x[:, : frame + 1].reshape(2, -1)
        expected = (x[:, frame] - past.mean(axis=1, keepdims=True)) / past.std(axis=1, keepdims=True)
        np.testing.assert_allclose(y[:, frame], expected, rtol=1e-4, atol=1e-5)


def test_saved_and_loaded(generator, tmp_path):
    generator.save(tmp_path / "g.keras")
    again = keras.saving.load_model(tmp_path / "g.keras", safe_mode=True)
    bands = RNG.random((1, 9, 128)).astype("float32")
    np.testing.assert_allclose(again(bands), generator(bands), rtol=1e-5)
