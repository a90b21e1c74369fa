import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segan import audio
from keras_segan.data import mixing
from keras_segan.data.manifest import Manifest
from keras_segan.errors import AudioError, DataError, UsageError

seeds = st.integers(0, 2**31)
snrs = st.floats(-12, 20)


def signal(seed, length, level=0.1):
    return np.random.default_rng(seed).standard_normal(length) * level


def power_ratio(a, b):
    return 10 * np.log10(np.mean(a**2) / np.mean(b**2))


@given(seeds, st.integers(800, 20000), snrs, st.floats(0.001, 0.9))
@settings(max_examples=40, deadline=None)
def test_sednn_mixing_reaches_the_snr_and_peak_one(seed, length, snr, level):
    mixed, speech, noise = mixing.mix_sednn(signal(seed, length, level), signal(seed + 1, length), snr)
    assert power_ratio(speech, noise) == pytest.approx(snr, abs=1e-6)
    assert np.abs(mixed).max() == pytest.approx(1)
    np.testing.assert_allclose(speech + noise, mixed, atol=1e-12)


@given(seeds, st.integers(800, 20000), snrs, st.floats(0.001, 0.9))
@settings(max_examples=40, deadline=None)
def test_active_level_mixing_reaches_the_snr_and_never_clips(seed, length, snr, level):
    clean, noisy = mixing.mix_active_level(signal(seed, length, level), signal(seed + 1, length), snr)
    noise_level = 10 * np.log10(np.mean((noisy - clean) ** 2))
    gain = np.abs(clean).max() / np.abs(signal(seed, length, level)).max()
    speech_level = mixing.active_level(signal(seed, length, level)) + 20 * np.log10(gain)
    assert speech_level - noise_level == pytest.approx(snr, abs=1e-6)
    assert max(np.abs(clean).max(), np.abs(noisy).max()) <= mixing.PEAK_LIMIT + 1e-9


def test_active_level_of_steady_noise_is_its_power():
    steady = signal(0, 64000)
    assert mixing.active_level(steady) == pytest.approx(10 * np.log10(np.mean(steady**2)), abs=0.05)


def test_active_level_leaves_out_long_pauses():
    talk = signal(0, 32000)
    with_pauses = np.concatenate([talk, np.zeros(32000), talk, np.zeros(32000)])
    # Two hangovers of 0.2 s, and the time in which the envelope falls, count as active.
    assert mixing.active_level(with_pauses) == pytest.approx(
        10 * np.log10(np.mean(talk**2) * 4 / 4.4), abs=0.2
    )


def test_active_level_gives_back_the_nominal_snr_of_voicebank_demand(shared):
    folder = shared("data/voicebank_demand")
    with open(folder / "conditions_test.csv", newline="") as file:
        rows = list(csv.DictReader(file))[::40]
    errors = []
    for row in rows:
        clean, noisy = (
            audio.read_mono(folder / "test" / k / f"{row['file']}.flac") for k in ("clean", "noisy")
        )
        noise = noisy.astype(float) - clean
        measured = mixing.active_level(clean) - 10 * np.log10(np.mean(noise**2))
        errors.append(measured - float(row["snr_db"]))
    # 16 kHz copies of mixtures made at 48 kHz: the data's README found 0.00 to 0.10 dB per noise.
    assert abs(np.median(errors)) < 0.15


@given(st.integers(1, 500), st.integers(1, 2000), st.integers(0, 400))
def test_tile_repeats_the_noise(length_of_noise, length, offset):
    noise = np.arange(length_of_noise)
    cut = mixing.tile(noise, length, offset)
    np.testing.assert_array_equal(cut, (np.arange(length) + offset) % length_of_noise)


@pytest.mark.parametrize("rule", [mixing.mix_sednn, mixing.mix_active_level])
def test_silence_and_unequal_lengths_are_refused(rule):
    with pytest.raises(DataError, match="silent"):
        rule(np.zeros(1000), signal(0, 1000), 0)
    with pytest.raises(DataError, match="silent"):
        rule(signal(0, 1000), np.zeros(1000), 0)
    with pytest.raises(DataError, match="1000 samples"):
        rule(signal(0, 1000), signal(0, 999), 0)


@pytest.fixture
def folders(tmp_path):
    """Two utterances, and noises of another rate, shorter than speech, and plain."""
    for place in ("speech", "noise"):
        (tmp_path / place).mkdir()
    for k in range(2):
        audio.write(tmp_path / "speech" / f"s{k}.wav", signal(k, 16000 + 500 * k))
    audio.write(tmp_path / "noise" / "long.wav", signal(5, 40000), 20000)
    audio.write(tmp_path / "noise" / "plain.flac", signal(6, 30000))
    audio.write(tmp_path / "noise" / "short.wav", signal(7, 3000))
    return tmp_path


def test_mix_folders_is_deterministic_and_repeatable(folders):
    first = mixing.mix_folders(folders / "speech", folders / "noise", folders / "a", [0, 5], 2, 3)
    mixing.mix_folders(folders / "speech", folders / "noise", folders / "b", [0, 5], 2, 3)
    other = mixing.mix_folders(folders / "speech", folders / "noise", folders / "c", [0, 5], 2, 4)
    assert len(first) == 2 * 2 * 2
    for path in (folders / "a").rglob("*.*"):
        assert path.read_bytes() == (folders / "b" / path.relative_to(folders / "a")).read_bytes()
    assert (folders / "a" / "mixtures.csv").read_bytes() != (folders / "c" / "mixtures.csv").read_bytes()
    assert len(other) == len(first)


def test_mix_folders_writes_what_the_manifest_says(folders):
    mixing.mix_folders(folders / "speech", folders / "noise", folders / "out", [-5], None, split="test")
    manifest = Manifest.read(folders / "out" / "manifest.csv")
    assert [u.id for u in manifest.utterances[:3]] == ["s0.long.-5dB", "s0.plain.-5dB", "s0.short.-5dB"]
    for u in manifest.utterances:
        clean, noisy = audio.read_mono(u.clean).astype(float), audio.read_mono(u.noisy)
        assert u.split == "test"
        assert power_ratio(clean, noisy - clean) == pytest.approx(u.snr, abs=0.02)
        assert max(np.abs(clean).max(), np.abs(noisy).max()) >= 0.999


def test_resampling_comes_before_the_places_are_drawn(folders):
    plan = list(mixing.Mixer.of_folders(folders / "speech", folders / "noise").plan(magnification=None))
    # 40000 samples at 20 kHz are 32000 at 16 kHz, room for the onsets 0 to 15999 of a 16000-sample utterance.
    expected = np.random.RandomState(0).randint(0, 16000, size=1)[0]
    assert (plan[0].noise.name, plan[0].onset) == ("long.wav", expected)
    assert (plan[2].noise.name, plan[2].onset) == ("short.wav", 0)


def test_the_draws_and_the_audio_are_those_of_the_original_program(shared):
    golden = json.loads((shared("goldens/sednn") / "manifest.json").read_text())
    arrays = np.load(shared("goldens/sednn") / "sednn.npz")
    data = shared("data/sednn_mini")
    for split, magnification in (("train", 2), ("test", None)):
        mixer = mixing.Mixer.of_folders(data / f"{split}_speech", data / f"{split}_noise")
        plan = list(mixer.plan([0.0], magnification, seed=0))
        drawn = [[m.speech.name, m.noise.name, str(m.onset)] for m in plan]
        assert drawn == [row[:3] for row in golden["csv"][split][1:]]
    speech_name, noise_name, onset, _ = golden["train_mixture_row"]
    speech = audio.read_mono(data / "train_speech" / speech_name)
    noise = mixing.tile(audio.read_mono(data / "train_noise" / noise_name), len(speech), int(onset))
    for ours, name in zip(mixing.mix_sednn(speech, noise, 0), ("mixed", "speech", "noise"), strict=True):
        theirs = arrays[f"mix.{name}_audio_f64_first_4096"]
        assert np.abs(ours[:4096] - theirs).max() < 5e-6 * np.abs(theirs).max()


def test_every_speed_makes_a_voice_with_noises_of_its_own(folders):
    mixer = mixing.Mixer.of_folders(folders / "speech", folders / "noise")
    plan = list(mixer.plan([0.0], 2, 3, speeds=(0.8, 1.0, 1.25)))
    assert len(plan) == mixer.count([0.0], 2, (0.8, 1.0, 1.25)) == 2 * 3 * 2
    assert [m.speed for m in plan[:6]] == [0.8, 0.8, 1.0, 1.0, 1.25, 1.25]
    assert [m.id.partition(f".{m.noise_name}")[0] for m in plan[:6:2]] == ["s0-x0.8", "s0", "s0-x1.25"]
    assert len({m.id for m in plan}) == len(plan)
    for mixture in plan:
        clean, noisy = mixer.mix(mixture)
        assert len(clean) == len(noisy)
        whole = len(audio.read_mono(mixture.speech))
        assert len(clean) == pytest.approx(whole / mixture.speed, abs=1)
        assert power_ratio(clean, noisy - clean) == pytest.approx(0, abs=1e-6)


def test_one_speed_leaves_the_draws_alone(folders):
    mixer = mixing.Mixer.of_folders(folders / "speech", folders / "noise")
    assert list(mixer.plan([0.0, 5.0], 2, 3, speeds=(1.0,))) == list(mixer.plan([0.0, 5.0], 2, 3))


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_a_speed_out_of_range_is_wrong_use(folders, speed):
    with pytest.raises(DataError, match="speeds go from 0.1 to 10") as error:
        mixing.mix_folders(folders / "speech", folders / "noise", folders / "out", speeds=(1, speed))
    assert isinstance(error.value, UsageError)


@pytest.mark.parametrize("twice", [{"snrs": (0, 5, 0.0)}, {"speeds": (1, 1.0)}])
def test_a_level_or_speed_named_twice_is_wrong_use(folders, twice):
    with pytest.raises(DataError, match="is named twice") as error:
        mixing.mix_folders(folders / "speech", folders / "noise", folders / "out", **twice)
    assert isinstance(error.value, UsageError)
    assert not (folders / "out").exists()


@pytest.mark.parametrize("snr", [float("nan"), float("-inf")])
def test_a_level_that_is_no_number_is_wrong_use(folders, snr):
    with pytest.raises(DataError, match="An SNR is infinite or not a number") as error:
        mixing.Mixer.of_folders(folders / "speech", folders / "noise").plan([0, snr])
    assert isinstance(error.value, UsageError)


def test_too_few_noises_is_wrong_use(folders):
    with pytest.raises(DataError, match="9 noises per utterance wanted, but there are 3") as error:
        mixing.mix_folders(folders / "speech", folders / "noise", folders / "out", magnification=9)
    assert isinstance(error.value, UsageError)


def test_bad_input_is_named(folders):
    (folders / "empty").mkdir()
    with pytest.raises(DataError, match="empty: holds no audio"):
        mixing.mix_folders(folders / "speech", folders / "empty", folders / "out")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        mixing.mix_folders(folders / "nowhere", folders / "noise", folders / "out")
    half = np.concatenate([np.zeros(40000), signal(1, 200)])
    audio.write(folders / "empty" / "half.wav", half)
    with pytest.raises(DataError, match=r"s0\.wav with .*half\.wav from sample \d+: The noise is silent"):
        mixing.mix_folders(folders / "speech", folders / "empty", folders / "out", magnification=1)
    audio.write(folders / "speech" / "s2.wav", signal(3, 16000).reshape(-1, 2))
    with pytest.raises(AudioError, match=r"s2\.wav: has 2 channels"):
        mixing.mix_folders(folders / "speech", folders / "noise", folders / "out")
