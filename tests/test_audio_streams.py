"""Inputs that are no plain files, and headers of programs that write to a pipe."""

import io
import os
import stat
import threading

import numpy as np
import pytest
import soundfile

from keras_segan import audio, audio_streams, limits
from keras_segan.errors import AudioError

NOISE = np.random.default_rng(0).normal(0, 0.1, 4000)
UNKNOWN = {
    "ffmpeg": 0xFFFFFFFF,
    "sox": 0x7FFFF000,
    "arecord": 0x80000000,
    "less the header": 0xFFFFFFDB,
    "zero": 0,
}


def sound(file_format, subtype=None, waveform=NOISE):
    content = io.BytesIO()
    soundfile.write(content, waveform, 16000, format=file_format, subtype=subtype)
    return bytearray(content.getvalue())


def streamed_wav(size):
    content = sound("WAV")
    content[4:8] = content[40:44] = size.to_bytes(4, "little")
    return content


def streamed(file_format):
    content = sound(file_format)
    if file_format == "FLAC":
        content[21] &= 0xF0
        content[22:26] = bytes(4)
    elif file_format == "CAF":
        place = content.find(b"data") + 4
        content[place : place + 8] = b"\xff" * 8
    elif file_format == "AU":
        content[8:12] = b"\xff" * 4
    elif file_format == "AIFF":
        place = content.find(b"SSND") + 4
        content[4:8] = content[place : place + 4] = (0x7FFFF000).to_bytes(4, "big")
    else:  # RF64, whose sizes ffmpeg leaves at 0
        place = content.find(b"ds64") + 8
        content[place : place + 24] = bytes(24)
    return content


@pytest.mark.parametrize("content", [*map(streamed_wav, UNKNOWN.values())], ids=list(UNKNOWN))
def test_a_wav_whose_length_was_unknown_is_read_to_its_end(content, tmp_path):
    (tmp_path / "x.wav").write_bytes(content)
    assert len(audio.read(tmp_path / "x.wav")[0]) == len(NOISE)


@pytest.mark.parametrize("file_format", ["FLAC", "CAF", "AU", "AIFF", "RF64"])
def test_other_formats_of_unknown_length_are_read_to_their_end(file_format, tmp_path):
    (tmp_path / "x").write_bytes(streamed(file_format))
    waveform, rate = audio.read(tmp_path / "x")
    assert rate == 16000
    np.testing.assert_allclose(waveform, NOISE, atol=1e-4)


@pytest.mark.parametrize("file_format", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC"])
def test_a_cut_file_of_known_length_is_truncated(file_format, tmp_path):
    (tmp_path / "x").write_bytes(sound(file_format)[:4001])
    with pytest.raises(AudioError, match="truncated"):
        audio.read(tmp_path / "x")


def test_an_empty_wav_with_text_behind_holds_no_samples(tmp_path):
    content = sound("WAV", waveform=NOISE[:0])[:44] + b"LIST" + (4).to_bytes(4, "little") + b"INFO"
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(AudioError, match="no samples"):
        audio.read(tmp_path / "x.wav")


def test_a_pipe_is_read_like_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(streamed_wav(0xFFFFFFFF),))
    writer.start()
    with audio.AudioSource(tmp_path / "pipe") as source:
        first, second = (np.concatenate(list(source.blocks(1000))) for _ in range(2))
    writer.join()
    assert len(first) == len(NOISE)
    np.testing.assert_array_equal(first, second)


def test_devices_and_endless_or_empty_streams_are_refused(monkeypatch):
    if os.path.exists("/dev/zero") and stat.S_ISCHR(os.stat("/dev/zero").st_mode):
        with pytest.raises(AudioError, match="neither a file nor a pipe"):
            audio.read("/dev/zero")
    with pytest.raises(AudioError, match="no bytes came"):
        audio_streams.spooled(io.BytesIO(), "standard input")
    monkeypatch.setattr(limits, "MOST_STREAMED", 1000)
    with pytest.raises(AudioError, match="standard input: more than 1,000 bytes"):
        audio_streams.spooled(io.BytesIO(bytes(2000)), "standard input")


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (24, (1).to_bytes(4, "little"), "rate of 1 Hz"),
        (24, (0x7FFFFFFF).to_bytes(4, "little"), "rate of 2147483647 Hz"),
        (22, (1000).to_bytes(2, "little"), "1000 channels"),
    ],
)
def test_a_header_beyond_reason_is_refused(place, value, words, tmp_path):
    content = sound("WAV")
    content[place : place + len(value)] = value
    if place == 22:
        content[32:34] = (2000).to_bytes(2, "little")
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(AudioError, match=words):
        audio.read(tmp_path / "x.wav")


def test_what_is_too_long_is_refused(monkeypatch, tmp_path):
    audio.write(tmp_path / "x.wav", NOISE)
    monkeypatch.setattr(limits, "MOST_IN_MEMORY", 1000)
    with pytest.raises(AudioError, match=r"x.wav: more than 1,000 samples"):
        audio.read(tmp_path / "x.wav")
    monkeypatch.setattr(limits, "LONGEST", 0)
    with pytest.raises(AudioError, match="longer than"):
        audio.AudioSource(tmp_path / "x.wav")


@pytest.mark.filterwarnings("error")
def test_samples_near_the_largest_float_are_named_without_a_warning(tmp_path):
    soundfile.write(
        tmp_path / "x.wav", np.where(np.arange(4000) == 2000, 3e38, NOISE), 16000, subtype="FLOAT"
    )
    with pytest.raises(AudioError, match=r"far beyond full scale \(first at 0.125 s\)"):
        audio.read(tmp_path / "x.wav")


@pytest.mark.parametrize(
    ("kind", "suffix", "expected"),
    [
        (("MP3", None), ".wav", "PCM_16"),
        (("OGG", "VORBIS"), ".wav", "PCM_16"),
        (("WAV", "FLOAT"), ".flac", "PCM_24"),
        (("WAV", "DOUBLE"), ".wav", "DOUBLE"),
        (("FLAC", "PCM_24"), ".wav", "PCM_24"),
        (("WAV", "GSM610"), ".wav", "GSM610"),
        (("AU", "G721_32"), ".au", "G721_32"),
    ],
)
def test_an_output_has_the_nearest_subtype_and_says_so(kind, suffix, expected, tmp_path):
    if not soundfile.check_format(*kind):
        pytest.skip("not in this libsndfile")
    (tmp_path / f"x{suffix}").write_bytes(sound(*kind))
    with audio.AudioSource(tmp_path / f"x{suffix}") as source:
        kept = audio.output_format(source, tmp_path / f"y{suffix}")
        audio.write_blocks(tmp_path / f"y{suffix}", source.blocks(), 16000, 1, kept.subtype, kept.format)
    assert kept.subtype == expected
    assert (source.subtype in kept.note) == (expected != source.subtype)
    assert soundfile.info(tmp_path / f"y{suffix}").subtype == expected


def test_a_format_that_cannot_hold_the_signal_is_told_before_the_work(tmp_path):
    audio.write(tmp_path / "x.wav", np.zeros((100, 12), np.float32) + 0.1)
    with audio.AudioSource(tmp_path / "x.wav") as source, pytest.raises(AudioError, match="12 channels"):
        audio.output_format(source, tmp_path / "y.flac")


def test_names_that_are_not_utf_8_are_read_and_written(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    audio.write(path, NOISE)
    assert len(audio.read(path)[0]) == len(NOISE)
    assert audio.seconds(path) == 0.25
