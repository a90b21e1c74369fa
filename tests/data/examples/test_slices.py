"""Windows on disk: where they begin, what is read back, random orders, random crops."""

import os

import numpy as np
import pytest

from keras_segan import audio
from keras_segan.data.examples.slices import Crops, Slices, stored_slices, window_starts
from keras_segan.data.manifest import Utterance
from keras_segan.errors import DataError

WINDOW, HOP = 16, 8


def pair(length, start=0):
    """Noisy samples that tell their place, and clean ones that are their negative."""
    noisy = np.arange(start, start + length, dtype=np.float32)
    return noisy, -noisy


@pytest.mark.parametrize(
    ("samples", "expected", "with_tail"),
    [
        (1, [], []),
        (15, [], []),
        (16, [0], [0]),
        (23, [0], [0, 7]),
        (24, [0, 8], [0, 8]),
        (35, [0, 8, 16], [0, 8, 16, 19]),
    ],
)
def test_where_windows_begin(samples, expected, with_tail):
    assert list(window_starts(samples, WINDOW, HOP)) == expected
    assert list(window_starts(samples, WINDOW, HOP, keep_tails=True)) == with_tail


def test_windows_are_those_of_each_utterance(tmp_path):
    pairs = [pair(40), pair(10, 100), pair(24, 200)]
    slices = Slices.create(tmp_path, pairs, WINDOW, HOP)
    batch = slices.batch(np.arange(len(slices)))
    assert [int(row[0]) for row in batch["noisy"]] == [0, 8, 16, 24, 200, 208]
    for row in batch["noisy"]:
        np.testing.assert_array_equal(row, row[0] + np.arange(WINDOW))
    np.testing.assert_array_equal(batch["clean"], -batch["noisy"])
    assert batch["noisy"].dtype == np.float32
    # An utterance of less than a window takes no room.
    assert os.path.getsize(tmp_path / "samples.f32") == 8 * (40 + 24)


def test_tails_that_are_kept_and_short_utterances_that_are_filled_up(tmp_path):
    slices = Slices.create(tmp_path, [pair(35), pair(10, 100)], WINDOW, HOP, keep_tails=True)
    noisy = slices.batch(np.arange(len(slices)))["noisy"]
    assert [int(row[0]) for row in noisy] == [0, 8, 16, 19, 100]
    assert int(noisy[3][-1]) == 34
    np.testing.assert_array_equal(noisy[4][10:], 0)


def test_of_unequal_lengths_what_both_have_is_taken(tmp_path):
    noisy, clean = pair(40)
    slices = Slices.create(tmp_path, [(noisy, clean[:33])], WINDOW, HOP)
    assert len(slices) == 3


def test_a_pass_uses_every_window_at_most_once_and_every_pass_another_order(tmp_path):
    slices = Slices.create(tmp_path, [pair(16 + 8 * 22)], WINDOW, HOP)
    assert (len(slices), slices.per_pass(5)) == (23, 4)
    passes = [np.concatenate([slices.order(5, 4 * p + b, seed=1) for b in range(4)]) for p in range(2)]
    for numbers in passes:
        assert len(set(numbers)) == 20
    assert list(passes[0]) != list(passes[1])
    np.testing.assert_array_equal(slices.order(5, 6, seed=1), passes[1][10:15])
    assert list(slices.order(5, 0, seed=2)) != list(passes[0][:5])


def test_crops_begin_anywhere_within_their_utterance(tmp_path):
    crops = Crops.create(tmp_path, [pair(40), pair(10, 100), pair(16, 200), pair(60, 300)], WINDOW, None)
    assert len(crops) == 3
    firsts = {0: set(), 200: set(), 300: set()}
    for iteration in range(400):
        noisy = crops.batch(crops.order(3, iteration, seed=0))["noisy"]
        np.testing.assert_array_equal(noisy - noisy[:, :1], np.tile(np.arange(WINDOW), (3, 1)))
        for first in noisy[:, 0]:
            base = int(first) // 100 * 100
            firsts[base].add(int(first) - base)
    assert firsts == {0: set(range(25)), 200: {0}, 300: set(range(45))}
    np.testing.assert_array_equal(crops.order(3, 7, seed=0), crops.order(3, 7, seed=0))
    assert [int(row[0]) for row in crops.batch(np.arange(3))["noisy"]] == [0, 200, 300]


def test_files_are_read_scaled_and_resampled(tmp_path):
    random = np.random.default_rng(0)
    waveform = 0.1 * random.standard_normal(8000).astype(np.float32)
    audio.write(tmp_path / "clean.wav", waveform, 8000)
    audio.write(tmp_path / "noisy.wav", waveform, 8000)
    utterance = Utterance("a", tmp_path / "clean.wav", tmp_path / "noisy.wav", scale=2.0)
    slices = stored_slices([utterance], tmp_path / "slices", 1024, 1024)
    assert len(slices) == 15  # of 16,000 samples
    batch = slices.batch(np.arange(15))
    np.testing.assert_allclose(batch["noisy"], 2 * batch["clean"], rtol=1e-6)


def test_too_few_windows_are_said(tmp_path):
    slices = Slices.create(tmp_path, [pair(24)], WINDOW, HOP)
    assert slices.counted(least=2) == "2 training windows of 16 samples"
    with pytest.raises(DataError, match="2 training windows of 16 samples, fewer than a batch of 3"):
        slices.counted(least=3)


def test_a_folder_that_holds_none_is_named(tmp_path):
    with pytest.raises(DataError, match="holds no stored windows"):
        Slices(tmp_path / "nothing", WINDOW)


def test_nothing_is_left_of_windows_that_are_removed(tmp_path):
    slices = Slices.create(tmp_path / "windows", [pair(24)], WINDOW, HOP)
    slices.remove()
    assert not (tmp_path / "windows").exists()
