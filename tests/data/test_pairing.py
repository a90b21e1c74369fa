"""Whose file is whose: no file is ever taken for two."""

import pytest

from keras_segan.data.manifest import Utterance
from keras_segan.data.pairing import find_outputs, partners


def utterances(**noisy):
    return [Utterance(name, "c.wav", f"/data/{path}.wav") for name, path in noisy.items()]


def test_names_pair_exactly_or_but_for_their_case_where_that_is_clear():
    assert partners(["a", "B"], ["a", "b"]) == {"a": "a", "B": "b"}
    assert partners(["A", "a"], ["a"]) == {"a": "a"}
    assert partners(["U"], ["u", "ü"]) == {"U": "u"}
    assert partners(["AB"], ["ab", "Ab"]) == {}


@pytest.mark.parametrize(
    ("noisy", "stems", "expected"),
    [
        ({"u0": "n/u0"}, ["u0"], {"u0": "u0"}),
        ({"id0": "n/u0", "id1": "n/u1"}, ["id0", "u1"], {"id0": "id0", "id1": "u1"}),
        ({"a_u0": "n/a/u0"}, ["a/u0"], {"a_u0": "a/u0"}),
        ({"a_u": "n/a/u", "b_u": "n/b/u"}, ["a/u", "b/u"], {"a_u": "a/u", "b_u": "b/u"}),
        ({"a_u": "n/a/u", "u": "n/u"}, ["a/u", "u"], {"a_u": "a/u", "u": "u"}),
        ({"x": "n/a/u", "y": "n/u"}, ["a/u", "u"], {"x": "a/u", "y": "u"}),
        ({"x": "n/a/u", "y": "n/b/v"}, ["u", "v"], {"x": "u", "y": "v"}),
        ({"x": "one/n/u", "y": "two/n/v"}, ["n/u", "v"], {"x": "n/u", "y": "v"}),
        ({"x": "n.wav/-5dB/u", "y": "n.wav/0dB/u"}, ["n.wav/0dB/u"], {"y": "n.wav/0dB/u"}),
        ({"x": "n/caf\u00e9"}, ["caf\u00e9"], {"x": "caf\u00e9"}),
        ({"x": "n/U0"}, ["u0"], {"x": "u0"}),
        ({"x": "n/u0"}, ["v0"], {}),
    ],
)
def test_an_output_is_found_by_id_or_by_the_noisy_path(noisy, stems, expected):
    found = find_outputs(utterances(**noisy), stems)
    assert found.found == expected
    assert found.unclear == {}
    assert found.claimed == set()


@pytest.mark.parametrize(
    ("noisy", "stems", "unclear"),
    [
        ({"cafe_s1": "n/cafe/s1", "bus_s1": "n/bus/s1"}, ["s1"], {"cafe_s1", "bus_s1"}),
        ({"a": "x/cafe/s1", "b": "y/bus/s1", "c": "y/bus/s2"}, ["s1", "s2"], {"a", "b"}),
        ({"u1": "n/u2", "u2": "n/u1"}, ["u1", "u2"], {"u1", "u2"}),
        ({"a": "n/s1", "b": "n/s1"}, ["s1"], {"a", "b"}),
        ({"u": "n/v"}, ["u", "v"], {"u"}),
    ],
)
def test_what_may_belong_to_two_belongs_to_none_and_is_named(noisy, stems, unclear):
    found = find_outputs(utterances(**noisy), stems)
    assert set(found.unclear) == unclear
    assert not set(found.found) & unclear
    assert all("may be the output of" in problem for problem in found.unclear.values())
    assert len(set(found.found.values())) == len(found.found)
