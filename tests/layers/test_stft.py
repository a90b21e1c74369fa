import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_segan import backends, dsp
from keras_segan.layers import stft

from ..helpers import examples


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(1, 3000), st.sampled_from([(512, 256), (64, 16)]), st.sampled_from(dsp.WINDOWS[:2]))
def test_equals_the_one_in_numpy_and_inverts(samples, sizes, window):
    x = np.random.default_rng(samples).normal(0, 0.1, (2, samples)).astype("float32")
    spectrum = [ops.convert_to_numpy(part) for part in stft.stft(x, *sizes, window)]
    expected = np.stack([dsp.stft(w, *sizes, window, "constant") for w in x])
    np.testing.assert_allclose(spectrum[0], expected.real, atol=2e-6)
    np.testing.assert_allclose(spectrum[1], expected.imag, atol=2e-6)
    back = stft.istft(spectrum, samples, *sizes, window)
    np.testing.assert_allclose(ops.convert_to_numpy(back), x, atol=2e-6)


def test_a_changed_spectrum_comes_back_as_in_numpy():
    x = np.random.default_rng(0).normal(0, 0.1, 5001)
    spectrum = dsp.stft(x, window_name="hamming-periodic", padding="constant")
    spectrum *= np.random.default_rng(1).random(spectrum.shape)
    parts = spectrum.real[None], spectrum.imag[None]
    expected = dsp.istft(spectrum, 5001, window_name="hamming-periodic")
    ours = ops.convert_to_numpy(stft.istft(parts, 5001))[0]
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_the_gradient_at_silence_is_finite():
    silence = keras.Variable(np.zeros((1, 600), "float32"))
    _, (gradient,) = backends.value_and_gradients(
        lambda: ops.sum(stft.magnitude(stft.stft(silence.value))), [silence]
    )
    assert np.isfinite(ops.convert_to_numpy(gradient)).all()
