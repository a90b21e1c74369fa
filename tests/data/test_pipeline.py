import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_segan import audio
from keras_segan.data.manifest import Utterance
from keras_segan.data.pipeline import RecentlyUsed, UtteranceReader


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 9)), max_size=40), st.integers(1, 120))
def test_memory_is_bounded_and_values_are_right(uses, limit):
    """Whatever is asked for comes back, and no more bytes are kept than allowed, or one value."""
    remembered, made = RecentlyUsed(limit), {}
    for key, size in uses:
        value = remembered.get(key, lambda size=size: np.zeros(size, np.float32))
        if value is not made.get(key):
            made[key] = value
        kept = [k for k in made if k in remembered]
        assert key in kept
        assert len(kept) == 1 or sum(made[k].nbytes for k in kept) <= limit


def test_the_longest_unused_goes_first():
    remembered = RecentlyUsed(2 * 4)
    for key in "aba":
        remembered.get(key, lambda: np.zeros(1, np.float32))
    remembered.put("c", (np.zeros(1, np.float32),))
    assert [key in remembered for key in "abc"] == [True, False, True]


def test_a_file_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    audio.write(path, np.array([0, 1000, -2000], np.int16), 16000)
    reader = UtteranceReader()
    first = reader.noisy(Utterance("x", path, path, scale=10.0))
    path.unlink()
    np.testing.assert_array_equal(reader.noisy(Utterance("x", path, path, scale=10.0)), first)
    assert not reader.read(path).flags.writeable
    np.testing.assert_allclose(first, 10 * np.array([0, 1000, -2000]) / 32768)
