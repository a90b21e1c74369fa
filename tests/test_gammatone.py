import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segan import dsp, gammatone
from keras_segan.errors import AudioError

# Few bands and taps, so that the definitions can be written out; odd and even lengths align differently.
SMALL = {taps: gammatone.GammatoneBank(8000, 100.0, 3000.0, 1000.0, 0.25, taps) for taps in (40, 41)}
waveforms = st.builds(
    lambda seed, samples: np.random.default_rng(seed).standard_normal(samples),
    st.integers(0, 2**32 - 1),
    st.integers(60, 700),
)
framings = st.tuples(st.integers(1, 60), st.integers(1, 80))


def convolve_same(waveform, response):
    """MATLAB's conv(waveform, response, 'same')."""
    start = len(response) // 2
    return np.convolve(waveform, response)[start : start + len(waveform)]


def random_window(length):
    return np.random.default_rng(length).uniform(0.1, 1.0, length)


def close(ours, theirs, tolerance=1e-12):
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def test_default_bank_is_the_papers():
    bank = gammatone.bank()
    assert bank.bands == 64
    assert bank.taps == 800
    np.testing.assert_allclose(bank.center_frequencies[[0, 34, 63]], [59.77, 1500.0, 7730.22], atol=5e-3)


@given(
    st.floats(20, 200), st.floats(300, 2000), st.floats(2500, 8000), st.floats(0.2, 4.0)
)  # lowest < base < highest
def test_centres_lie_evenly_on_the_erb_scale_and_include_the_base(lowest, base, highest, per_erb):
    centres = gammatone.center_frequencies(lowest, highest, base, per_erb)
    assert centres[0] >= lowest * (1 - 1e-9)
    assert centres[-1] <= highest * (1 + 1e-9)
    assert np.abs(centres - base).min() < 1e-6 * base
    steps = np.diff(gammatone.erb_number(centres))
    np.testing.assert_allclose(steps, 1 / per_erb, rtol=1e-6)
    # One more filter on either side would lie outside.
    assert gammatone.erb_number(centres[0]) - 1 / per_erb < gammatone.erb_number(lowest)
    assert gammatone.erb_number(centres[-1]) + 1 / per_erb > gammatone.erb_number(highest)


@given(st.floats(0, 20000))
def test_erb_scale_is_inverted(frequency):
    assert gammatone.erb_frequency(gammatone.erb_number(frequency)) == pytest.approx(frequency, abs=1e-6)


def test_impulse_response_is_that_of_the_cascade():
    coefficients = gammatone.filter_coefficients(np.array([300.0, 2000.0]))
    response = np.eye(1, 60)[0].astype(complex)
    for n, coefficient in enumerate(coefficients):
        cascade = response
        for _ in range(gammatone.ORDER):
            out = np.zeros_like(cascade)
            for k in range(len(out)):
                out[k] = cascade[k] + (coefficient * out[k - 1] if k else 0)
            cascade = out
        expected = gammatone.filter_normalisation(coefficients)[n] * cascade.real
        close(gammatone.impulse_responses(coefficients, 60)[n], expected)


def test_filters_have_unit_gain_at_their_centres():
    bank = gammatone.bank()
    for band in (20, 40, 60):
        t = np.arange(bank.taps) * bank.center_frequencies[band] / 16000
        gain = np.abs(bank.impulse_responses[band] @ np.exp(-2j * np.pi * t))
        assert gain == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("taps", [40, 41])
@settings(max_examples=25)
@given(waveform=waveforms)
def test_subbands_are_convolutions(taps, waveform):
    bank = SMALL[taps]
    expected = np.array([convolve_same(waveform, response) for response in bank.impulse_responses])
    close(bank.subbands(waveform), expected)


@given(waveform=waveforms, scale=st.floats(-5, 5))
@settings(max_examples=25)
def test_filtering_is_linear(waveform, scale):
    bank, other = SMALL[40], waveform[::-1]
    mixed = bank.subbands(waveform + scale * other)
    close(mixed, bank.subbands(waveform) + scale * bank.subbands(other), 1e-11)


@given(waveform=waveforms, framing=framings)
@settings(max_examples=40)
def test_energies_are_rms_of_windowed_frames(waveform, framing):
    length, hop = framing
    bank, window = SMALL[40], random_window(length)
    framed = [dsp.frames(band, length, hop) * window for band in bank.subbands(waveform)]
    expected = np.sqrt(np.mean(np.square(framed), axis=-1))
    energies = bank.energies(waveform, window, hop)
    assert energies.shape == (bank.bands, (len(waveform) - length + hop) // hop)
    close(energies, expected, 1e-11)


@given(waveform=waveforms, framing=framings, seed=st.integers(0, 99))
@settings(max_examples=40)
def test_resynthesis_is_windowed_twice_and_filtered_backwards(waveform, framing, seed):
    length, hop = framing[0], min(framing)
    bank, window = SMALL[41], random_window(length)
    mask = np.random.default_rng(seed).uniform(
        size=(bank.bands, gammatone.frame_count(len(waveform), length, hop))
    )
    expected = 0
    for band, response, gains in zip(bank.subbands(waveform), bank.impulse_responses, mask, strict=True):
        framed = dsp.frames(band, length, hop) * window * gains[:, None] * window
        expected = expected + convolve_same(dsp.overlap_add(framed, hop), response[::-1])
    close(bank.resynthesise(waveform, mask, window, hop), expected, 1e-11)


def test_mask_of_ones_returns_the_signal_one_sample_early():
    bank, window, hop = gammatone.bank(), dsp.window("hamming-symmetric", 320), 160
    t = np.arange(16000) / 16000
    chirp = np.sin(2 * np.pi * (200 * t + 2400 * t**2))  # 200 Hz to 5 kHz
    mask = np.ones((bank.bands, gammatone.frame_count(len(chirp), 320, hop)))
    result = bank.resynthesise(chirp, mask, window, hop) / bank.round_trip_gain(window, hop)
    middle = slice(1000, 15000)
    shifts = {
        shift: np.corrcoef(result[middle], np.roll(chirp, -shift)[middle])[0, 1] for shift in (-1, 0, 1, 2)
    }
    assert max(shifts, key=shifts.get) == 1
    # A Hamming window applied twice at 50 % overlap does not add up to a constant; hence no more than that.
    assert shifts[1] > 0.97
    assert np.std(result[middle]) / np.std(chirp[middle]) == pytest.approx(1.0, abs=0.05)


def test_mask_of_zeros_silences():
    bank, window = SMALL[40], random_window(20)
    mask = np.zeros((bank.bands, gammatone.frame_count(200, 20, 10)))
    assert not bank.resynthesise(np.ones(200), mask, window, 10).any()


def test_what_does_not_fit_is_refused():
    bank, window = SMALL[40], random_window(20)
    with pytest.raises(AudioError, match="19 samples"):
        bank.energies(np.zeros(19), window, 10)
    with pytest.raises(ValueError, match="frames are needed"):
        bank.resynthesise(np.zeros(100), np.ones((bank.bands, 4)), window, 10)


@given(st.integers(1, 500), st.integers(1, 100), st.integers(1, 100))
def test_frame_count_is_that_of_frames(samples, length, hop):
    if samples >= length:
        assert gammatone.frame_count(samples, length, hop) == len(dsp.frames(np.zeros(samples), length, hop))


@given(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3))
def test_ideal_ratio_mask_depends_on_the_ratio_alone(speech, noise):
    mask = gammatone.ideal_ratio_mask(np.array([speech]), np.array([noise]))
    assert mask[0] == pytest.approx(1 / (1 + (noise / speech) ** 2))


def test_ideal_ratio_mask_of_silence_is_zero():
    assert gammatone.ideal_ratio_mask(np.zeros(3), np.zeros(3)).tolist() == [0, 0, 0]


def test_log_energies_are_limited_only_at_silence():
    energies = np.array([0.0, 1e-14, 1.0])
    np.testing.assert_allclose(gammatone.log_energies(energies), np.log([1e-20, 1e-14, 1.0]))
    np.testing.assert_allclose(gammatone.log_energies(energies, 1e-8), np.log([1e-8, 1e-8, 1.0]))


def test_standardising_divides_by_matlabs_deviation():
    values = np.array([[1.0, 2.0], [3.0, 6.0]])
    np.testing.assert_allclose(gammatone.standardise(values), (values - 3) / np.sqrt(14 / 3))
    assert not gammatone.standardise(np.full((2, 2), 7.0)).any()
    np.testing.assert_allclose(gammatone.normalise_level(values), (values - 3) / np.sqrt(14 / 3) / 12)


def test_context_repeats_the_edges_earliest_frame_first():
    energies = np.exp(np.arange(6.0).reshape(2, 3))
    log = gammatone.standardise(np.arange(6.0).reshape(2, 3)).T
    features = gammatone.context_features(energies, 1, 1)
    assert features.dtype == np.float32
    expected = [log[[0, 0, 1]].ravel(), log[[0, 1, 2]].ravel(), log[[1, 2, 2]].ravel()]
    np.testing.assert_allclose(features, expected, atol=1e-6)
