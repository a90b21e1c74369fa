"""Damaged and hostile tables: always a result or one sentence, never another error."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segan import cli
from keras_segan.data import corpora, sources
from keras_segan.data.manifest import SCALE_RANGE, SNR_RANGE, SPLITS, Manifest
from keras_segan.errors import KsegError
from keras_segan.files import name_problem, read_table

GOOD = b"""id,clean,noisy,split,speaker,noise,snr,scale,corpus
u0,clean/u0.wav,noisy/u0.wav,train,p1,"bus, old",2.5,1,mini
u1,clean/u1.wav,noisy/u1.wav,test,p2,caf\xc3\xa9,-7.5,10,mini
"""
PIECES = [
    *(b"", b",", b";", b"\t", b'"', b"\n", b"\r", b"\0", b"\xe9", b"\xef\xbb\xbf", b"\xff\xfe", b"\\", b"'="),
    *(b"../", b"/", b"~", b"nan", b"inf", b"-1", b"1e999", b"u0", b"u1", b"x" * 300, b"9" * 400, b"sep=;\n"),
    *("id clean noisy".encode("utf-16"), "\u2028".encode(), "cafe\u0301".encode(), b"\xed\xa0\x80", b"con"),
]
changes = st.lists(
    st.tuples(st.integers(0, len(GOOD)), st.integers(0, 30), st.sampled_from(PIECES) | st.binary(max_size=4)),
    max_size=4,
)


def outcome(read, path):
    """Returns what a reader makes of a file, `None` if it refuses it in one sentence."""
    try:
        return read(path)
    except KsegError as error:
        message = str(error)
    assert message.startswith(str(path.parent))
    assert "\n" not in message
    return None


def damaged(found: list[tuple[int, int, bytes]], content: bytes = GOOD) -> bytes:
    """Replaces bytes from a place on by others."""
    for place, length, piece in found:
        content = content[:place] + piece + content[place + length :]
    return content


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pairs, in folders that look like VoiceBank-DEMAND, too, and speech and noise to be mixed."""
    root = tmp_path_factory.mktemp("fuzz")
    waveform = 0.1 * np.random.default_rng(0).standard_normal(4000)
    places = [f"{kind}{end}" for kind in ("clean", "noisy") for end in ("", "_testset_wav")]
    for place in [*places, "clean_speech", "noises/noise115", "noises/noisex92"]:
        (root / place).mkdir(parents=True)
        for name in ("u0", "u1"):
            soundfile.write(root / place / f"{name}.wav", waveform, 16000)
    return root


@given(changes)
@settings(max_examples=400, deadline=5000, derandomize=True)
def test_a_damaged_manifest_is_read_or_refused(folder, found):
    path = folder / "m.csv"
    path.write_bytes(damaged(found))
    manifest = outcome(Manifest.read, path)
    if manifest is None:
        return
    assert len({u.id for u in manifest.utterances}) == len(manifest) > 0
    for u in manifest.utterances:
        assert not name_problem(u.id)
        assert u.split in SPLITS
        assert u.snr is None or SNR_RANGE[0] <= u.snr <= SNR_RANGE[1]
        assert SCALE_RANGE[0] <= u.scale <= SCALE_RANGE[1]
    manifest.write(path)
    assert [u.id for u in Manifest.read(path).utterances] == [u.id for u in manifest.utterances]


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=5000, derandomize=True)
def test_bytes_of_any_kind_are_a_table_or_refused(folder, content):
    path = folder / "t.csv"
    path.write_bytes(content)
    assert outcome(lambda path: list(read_table(path)), path) != []


@given(changes)
@settings(max_examples=60, deadline=10000, derandomize=True)
def test_the_command_ends_with_a_sentence(folder, found):
    (folder / "m.csv").write_bytes(damaged(found))
    assert cli.run(["data", "check", str(folder / "m.csv"), "--no-metrics", "--jobs", "1"]) in (0, 1, 2)


CONDITIONS = b"file,noise,snr_db\nu0,bus,2.5\nu1,cafe,7\n"
LOG = b"p232_001 bus 2.5\np232_002 living 17.5\n"
INDEX = b"file,split\nclean_speech/u0.wav,train\nclean_speech/u1.wav,test\n"
NOISES = b"type,split,file\nhum,test,noises/noisex92/u0.wav\nrain,train,noises/noisex92/u1.wav\n"


@pytest.mark.parametrize(
    ("name", "content", "read"),
    [
        ("conditions_test.csv", CONDITIONS, corpora.load),
        ("log_testset.txt", LOG, corpora.load),
        ("clean_speech/index.csv", INDEX, sources.recognise),
        ("noises/index.csv", NOISES, sources.recognise),
    ],
)
def test_texts_beside_a_corpus_are_read_or_refused(folder, name, content, read):
    (folder / "clean_speech" / "index.csv").write_bytes(INDEX)

    @given(changes)
    @settings(max_examples=60, deadline=10000, derandomize=True)
    def check(found):
        (folder / name).write_bytes(damaged(found, content))
        outcome(lambda path: read(folder), folder / "any")

    try:
        check()
    finally:
        (folder / name).unlink()
