import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segan import dsp


def noise(length, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, length).astype(np.float32)


@pytest.mark.filterwarnings("ignore:n_fft")
@settings(max_examples=25, deadline=None)
@given(st.integers(257, 6000), st.sampled_from([0, 256]), st.sampled_from(["reflect", "constant"]))
def test_stft_equals_librosa(length, tail, padding):
    x = noise(length)
    # Padded as a whole, as librosa 0.5 did: today's reflects the wrong samples at the end of a waveform whose
    # length is a multiple of the hop.
    padded = np.pad(np.pad(x, (0, tail)), 256, mode=padding)
    expected = librosa.stft(padded, n_fft=512, hop_length=256, window=np.hamming(512), center=False)
    ours = dsp.stft(x, padding=padding, tail=tail)
    np.testing.assert_allclose(ours, expected.T, atol=2e-6 * np.abs(expected).max())


@settings(max_examples=25, deadline=None)
@given(st.integers(257, 6000), st.sampled_from(dsp.WINDOWS))
def test_istft_inverts_stft(length, window):
    x = noise(length)
    again = dsp.istft(dsp.stft(x, window_name=window, tail=256), length, window_name=window)
    np.testing.assert_allclose(again, x, atol=1e-6)


@pytest.mark.parametrize(("length", "frames"), [(16000, 64), (45876, 181)])
def test_number_of_frames(length, frames):
    assert dsp.stft(noise(length), tail=256).shape == (frames, 257)


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 12), st.integers(1, 12))
def test_overlap_add_is_the_adjoint_of_framing(count, length, hop):
    hop = min(hop, length)
    framed = np.random.default_rng(1).normal(size=(count, length))
    total = np.zeros((count - 1) * hop + length)
    for index, frame in enumerate(framed):
        total[index * hop : index * hop + length] += frame
    np.testing.assert_allclose(dsp.overlap_add(framed, hop), total, atol=1e-12)


@given(st.integers(1, 30), st.integers(0, 4), st.integers(0, 4), st.integers(1, 4))
def test_context_frames(count, before, after, hop):
    x = np.arange(count)[:, None]
    context = dsp.context_frames(x, before, after, hop)
    assert context.shape == (-(-count // hop), before + 1 + after, 1)
    np.testing.assert_array_equal(context[:, before, 0], np.arange(0, count, hop))
    assert context[0, 0, 0] == 0


@settings(deadline=None)
@given(st.floats(-45, 37), st.integers(0, 9))
def test_phase_factor(exponent, seed):
    random = np.random.default_rng(seed)
    spectrum = np.exp(2j * np.pi * random.random(20)) * random.uniform(1, 2, 20) * 10.0**exponent
    spectrum = spectrum.astype(np.complex64)
    spectrum[0] = 0
    factor = dsp.phase_factor(spectrum)
    assert factor.dtype == np.complex64
    assert factor[0] == 1
    if exponent > -37:
        np.testing.assert_allclose(factor, np.exp(1j * np.angle(spectrum)), atol=4e-7)
    np.testing.assert_allclose(np.abs(factor), 1, atol=2e-7)


def test_normalise_over_time():
    x = dsp.normalise_over_time(np.random.default_rng(0).normal(3, 5, (50, 4)))
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=1e-9)


def test_emphasis_is_undone():
    x = noise(1000).astype(float)
    np.testing.assert_allclose(dsp.de_emphasis(dsp.pre_emphasis(x)), x, atol=1e-12)


def test_peak_normalise_keeps_silence():
    np.testing.assert_array_equal(dsp.peak_normalise(np.zeros(5)), np.zeros(5))
    assert np.max(np.abs(dsp.peak_normalise(noise(100)))) == pytest.approx(1)


def test_unknown_window():
    with pytest.raises(ValueError, match="unknown window"):
        dsp.window("kaiser-flat", 512)
