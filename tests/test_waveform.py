import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_segan as ks
from keras_segan import enhancement, waveform
from keras_segan.errors import AudioError, KsegError
from keras_segan.front_ends import SpectralMaskFrontEnd
from keras_segan.inference import WaveformEnhancer

RATE = 16000


class Passing(WaveformEnhancer):
    """An enhancer that changes nothing."""

    front_end = SpectralMaskFrontEnd(normalisation="none")
    information: dict = {}
    input_rank = 3

    def infer(self, features):
        return np.ones_like(features)


def speech_like(seconds=1.0):
    t = np.arange(int(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 12))
    return 0.1 * (1 + np.sin(2 * np.pi * 3 * t)) * voice


CLEAN = speech_like()
NOISY = CLEAN + 0.02 * np.random.default_rng(0).standard_normal(len(CLEAN))
TYPES = {
    "int16": lambda x: np.round(x * 32767).astype(np.int16),
    "int8": lambda x: np.round(x * 127).astype(np.int8),
    "uint8": lambda x: np.round(x * 127 + 128).astype(np.uint8),
    "int32 at full scale": lambda x: np.round(x * (2**31 - 1)).astype(np.int32),
    "float64": lambda x: x,
    "list": lambda x: x.tolist(),
    "longdouble": lambda x: x.astype(np.longdouble),
    "big-endian": lambda x: x.astype(">f4"),
}
REFUSED = {
    "int64": lambda x: np.round(x * 32767).astype(np.int64),
    "16 bit in int32": lambda x: np.round(x * 32767).astype(np.int32),
    "24 bit in int32": lambda x: np.round(x * (2**23 - 1)).astype(np.int32),
    "uint16": lambda x: np.round(x * 32767 + 32768).astype(np.uint16),
    "uint64": lambda x: np.round(x * 32767 + 32768).astype(np.uint64),
    "bool": lambda x: x > 0,
    "complex": lambda x: x + 0j,
    "text": lambda x: [str(value) for value in x],
    "objects": lambda x: x.astype(object),
    "ragged": lambda x: [[1.0], [1.0, 2.0]],
    "nothing": lambda x: None,
    "empty": lambda x: x[:0],
    "one number": lambda x: x[0],
    "three axes": lambda x: x[:, None, None],
    "NaN": lambda x: np.where(np.arange(len(x)) == 5, np.nan, x),
    "infinite": lambda x: np.where(np.arange(len(x)) == 5, np.inf, x),
    "near the largest float": lambda x: 1e300 * x,
}


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_of_audio_files_is_scored_and_enhanced_as_its_full_scale_says(kind):
    clean, noisy = (TYPES[kind](x) for x in (CLEAN, NOISY))
    tolerance = 0.5 if "8" in kind else 1e-3
    expected = ks.evaluate(CLEAN, NOISY, RATE, ("snr",))["snr"]
    assert ks.evaluate(clean, noisy, RATE, ("snr",))["snr"] == pytest.approx(expected, abs=tolerance)
    np.testing.assert_allclose(ks.enhance(Passing(), noisy, RATE), NOISY, atol=1e-2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_full_scale_or_no_samples_is_refused_in_a_sentence(kind):
    wrong = REFUSED[kind](NOISY)
    for call in (
        lambda: ks.enhance(Passing(), wrong, RATE),
        lambda: ks.evaluate(CLEAN, wrong, RATE, ("snr",)),
        lambda: ks.evaluate(wrong, CLEAN, RATE, ("snr",)),
        lambda: ks.metrics.get("ssnr").function(CLEAN, wrong, RATE),
        lambda: ks.metrics.composite(CLEAN, wrong, RATE),
    ):
        with pytest.raises(KsegError, match="waveform|signal"):
            call()


@pytest.mark.parametrize("shape", [(2, 600), (1, 600), (3, 4), (1000, 70)])
def test_channels_first_are_refused_at_once(shape):
    with pytest.raises(AudioError, match="transpose"):
        ks.enhance(Passing(), np.zeros(shape, np.float32), RATE)


def test_channels_last_are_enhanced_one_by_one():
    both = np.stack([NOISY, CLEAN], axis=1)
    np.testing.assert_allclose(ks.enhance(Passing(), both, RATE), both, atol=1e-5)


@pytest.mark.parametrize("rate", [0, -1, 1, 10**9, 16000.5, float("nan"), float("inf"), None, "16000", True])
def test_a_rate_that_cannot_be_is_refused(rate):
    with pytest.raises(KsegError, match="rate"):
        ks.enhance(Passing(), NOISY, rate)
    with pytest.raises(KsegError, match="rate"):
        ks.evaluate(CLEAN, NOISY, rate, ("snr",))


@pytest.mark.parametrize("rate", [16000.0, np.int64(16000), np.float32(16000), np.array(16000)])
def test_a_rate_may_have_any_type_of_number(rate):
    assert waveform.checked_rate(rate) == RATE
    assert ks.evaluate(CLEAN, NOISY, rate, ("ncm",))["ncm"] > 0.5


@pytest.mark.parametrize("wet", [-0.1, 1.1, float("nan"), None, "1", True])
def test_a_share_that_cannot_be_is_refused(wet):
    with pytest.raises(AudioError, match="wet"):
        enhancement.enhance(Passing(), NOISY, RATE, wet)


@given(st.integers(-(2**31), 2**31 - 1))
def test_32_bit_integers_are_at_full_scale_or_refused(value):
    samples = np.array([value], np.int32)
    if 0 < abs(value) < 2**23:
        with pytest.raises(AudioError, match="int32"):
            waveform.checked(samples)
    else:
        assert waveform.checked(samples)[0] == value / 2**31
