import os

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from keras_segan import audio
from keras_segan.errors import AudioError, FileError

TONE = np.sin(np.arange(16000) * 0.1).astype(np.float32) * 0.5


def write(path, waveform=TONE, rate=16000, **kwargs):
    soundfile.write(path, waveform, rate, **kwargs)
    return path


def damaged(kind, folder):
    path = folder / f"{kind}.wav"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("hello")
    elif kind == "truncated":
        write(path).write_bytes(path.read_bytes()[:9000])
    elif kind == "no-samples":
        write(path, np.zeros(0))
    elif kind == "nan":
        write(path, np.full(100, np.nan), subtype="FLOAT")
    return path


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "truncated", "no-samples", "nan"])
def test_a_bad_file_is_named(kind, tmp_path):
    path = damaged(kind, tmp_path)
    with pytest.raises(AudioError) as caught:
        audio.read(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).count(str(path)) == 1


def test_a_truncated_flac_is_named(tmp_path):
    path = write(tmp_path / "x.flac", np.random.default_rng(0).normal(0, 0.1, 16000))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(AudioError, match="x.flac"):
        audio.read(path)


def test_mono_is_mono_and_not_silent(tmp_path):
    with pytest.raises(AudioError, match="2 channels"):
        audio.read_mono(write(tmp_path / "stereo.wav", np.stack([TONE, TONE], axis=1)))
    with pytest.raises(AudioError, match="silent"):
        audio.read_mono(write(tmp_path / "silent.wav", np.zeros(16000)))


def test_16_bit_files_are_read_as_librosa_reads_them(tmp_path):
    samples = np.array([-32768, -1, 0, 1, 32767], np.int16)
    waveform, rate = audio.read(write(tmp_path / "x.wav", samples))
    np.testing.assert_array_equal(waveform, samples / np.float32(32768))
    assert waveform.dtype == np.float32
    assert rate == 16000


def test_another_rate_is_resampled(tmp_path):
    t = np.arange(48000) / 48000
    path = write(tmp_path / "x.wav", 0.5 * np.sin(2 * np.pi * 440 * t), 48000, subtype="FLOAT")
    waveform = audio.read_mono(path)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert len(waveform) == 16000
    np.testing.assert_allclose(waveform[500:-500], expected[500:-500], atol=1e-3)


def test_speed_moves_length_and_pitch():
    tone = np.sin(2 * np.pi * 500 * np.arange(16000) / 16000).astype(np.float32)
    faster = audio.change_speed(tone, 1.25)
    assert faster.dtype == np.float32
    assert len(faster) == 12800
    assert np.abs(np.fft.rfft(faster)).argmax() * 16000 / len(faster) == pytest.approx(625, abs=1.3)
    np.testing.assert_array_equal(audio.change_speed(tone, 1.0), tone)


def test_writing_is_atomic_and_named(tmp_path):
    path = tmp_path / "x.wav"
    audio.write(path, TONE)
    before = path.read_bytes()
    with pytest.raises(AudioError, match="x.wav"):
        audio.write(path, np.zeros((2, 2, 2), np.float32))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.wav"]
    assert os.stat(path).st_mode & 0o400
    with pytest.raises(FileError, match="x.wav"):
        audio.write(path / "y.wav", TONE)
    with pytest.raises(AudioError, match="unknown audio format"):
        audio.write(tmp_path / "x.docx", TONE)


@given(st.lists(st.integers(-32767, 32767), min_size=1, max_size=50))
def test_16_bit_round_trip_loses_less_than_one_unit(samples):
    samples = np.array(samples, np.int16)
    again = audio.to_int16(audio.from_int16(samples, divisor=32767.0))
    assert np.max(np.abs(again.astype(int) - samples)) <= 1
    assert np.all(np.abs(again.astype(int)) <= np.abs(samples.astype(int)))
