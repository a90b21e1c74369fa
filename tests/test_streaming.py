import functools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_segan as ks
from keras_segan import streaming
from keras_segan.errors import ModelError
from keras_segan.models import metricgan, metricgan_okd, metricgan_plus, torch_layout
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd

NOISY = np.random.default_rng(0).normal(0, 0.1, 9001).astype(np.float32)


@functools.cache
def causal(torch_bias=True):
    keras.utils.set_random_seed(0)
    network = metricgan_plus.generator(units=8, hidden=9, causal=True, torch_bias=torch_bias)
    rng = np.random.default_rng(1)  # biases too, which are zero at the start
    network.set_weights([rng.normal(0, 0.5, w.shape) for w in network.get_weights()])
    return Enhancer(network, metricgan_plus.front_end())


@functools.cache
def stream(torch_bias=True):
    return ks.streaming.Stream(causal(torch_bias))


def in_blocks(waveform, lengths):
    """Cuts into blocks of the lengths given, over and over."""
    start, number = 0, 0
    while start < len(waveform):
        length = lengths[number % len(lengths)]
        yield waveform[start : start + length]
        start, number = start + length, number + 1


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, len(NOISY)),
    st.lists(st.integers(0, 1500), min_size=1, max_size=6).filter(any),
    st.booleans(),
)
def test_any_blocks_give_what_the_whole_gives(samples, lengths, torch_bias):
    waveform = NOISY[:samples]
    parts = [stream(torch_bias).process(block) for block in in_blocks(waveform, lengths)]
    streamed = np.concatenate([*parts, stream(torch_bias).finish()])
    assert streamed.dtype == np.float32
    np.testing.assert_allclose(streamed, causal(torch_bias).enhance(waveform), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 700))
def test_no_sample_waits_longer_than_the_latency(samples, block):
    arrived = returned = 0
    for part in in_blocks(NOISY[:samples], [block]):
        arrived += len(part)
        returned += len(stream().process(part))
        assert returned > arrived - stream().latency
    assert returned + len(stream().finish()) == arrived


def test_the_latency_is_a_frame():
    assert (stream().latency, stream().latency_ms, stream().sample_rate) == (512, 32.0, 16000)


def test_a_reset_stream_begins_anew():
    first = np.concatenate([stream().process(NOISY), stream().finish()])
    stream().process(NOISY[:3000])
    stream().reset()
    np.testing.assert_array_equal(np.concatenate([stream().process(NOISY), stream().finish()]), first)


def test_the_state_is_what_makes_it_equal():
    """Without it the second half would come out otherwise."""
    half = len(NOISY) // 512 * 256
    alone = np.concatenate([stream().process(NOISY[half:]), stream().finish()])
    whole = causal().enhance(NOISY)
    assert np.abs(alone - whole[half:]).max() > 1e-3


def test_enhance_blocks():
    blocks = streaming.enhance_blocks(causal(), in_blocks(NOISY, [256]))
    np.testing.assert_allclose(np.concatenate(list(blocks)), causal().enhance(NOISY), atol=1e-5)


def test_two_streams_of_one_model_do_not_mix():
    one, other = streaming.Stream(causal()), streaming.Stream(causal())
    other.process(NOISY[::-1])
    streamed = np.concatenate([one.process(NOISY), one.finish()])
    np.testing.assert_allclose(streamed, causal().enhance(NOISY), atol=1e-5)


@pytest.mark.parametrize(
    ("network", "front_end", "words"),
    [
        (lambda: metricgan_plus.generator(units=4, hidden=4), metricgan_plus.front_end, "'lstm_1'"),
        (
            lambda: metricgan.generator(units=4, hidden=4),
            SpectralMaskFrontEnd,
            "normalises over the whole utterance",
        ),
        (
            lambda: metricgan_plus.generator(units=4, hidden=4, causal=True),
            lambda: SpectralMaskFrontEnd(normalisation="none"),
            "mirrors",
        ),
    ],
)
def test_a_model_that_looks_ahead_is_refused(network, front_end, words):
    with pytest.raises(ModelError, match=words):
        streaming.Stream(Enhancer(network(), front_end()))


def test_the_papers_causal_model(shared):
    folder = shared("goldens/okd")
    network = metricgan_okd.generator(causal=True)
    network.set_weights(torch_layout.generator(dict(np.load(folder / "generator_causal_weights.npz"))))
    noisy = np.load(folder / "wavs.npz")["noisy_0"] / np.float32(32768)
    enhanced = np.load(folder / "generator_forward.npz")["causal_enh_wav"]
    enhancer = Enhancer(network, metricgan_plus.front_end())
    for lengths in ([256], [100, 1], [4096]):
        blocks = streaming.enhance_blocks(enhancer, in_blocks(noisy, lengths))
        np.testing.assert_allclose(np.concatenate(list(blocks)), enhanced, atol=1e-5)
