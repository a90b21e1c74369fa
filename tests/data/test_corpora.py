from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segan import audio
from keras_segan.data import corpora
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.errors import AudioError, DataError
from keras_segan.files import name_key, name_problem

names = st.text("abcxyz019_-", min_size=1, max_size=6)
stems = st.sets(st.lists(names, min_size=1, max_size=2).map("/".join), max_size=6)


def noise(seed=0, length=8000, level=0.1):
    return (np.random.default_rng(seed).standard_normal(length) * level).astype(np.float32)


def put(path, waveform=None, rate=16000, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise() if waveform is None else waveform, rate, **options)
    return path


@pytest.fixture
def pairs(tmp_path):
    """Three good pairs in clean/ and noisy/."""
    for k in range(3):
        put(tmp_path / "clean" / f"u{k}.wav", noise(k))
        put(tmp_path / "noisy" / f"u{k}.wav", noise(k) + noise(9))
    return tmp_path


def scanned(folder):
    return corpora.scan(folder / "clean", folder / "noisy")


# ---------------------------------------------------------------- scan


@given(stems, stems)
@settings(max_examples=30, deadline=None)
def test_scan_pairs_exactly_the_common_stems(tmp_path_factory, clean, noisy):
    folder = tmp_path_factory.mktemp("scan")
    for kind, members, suffix in (("clean", clean, ".wav"), ("noisy", noisy, ".FLAC")):
        (folder / kind).mkdir()
        for stem in members:
            path = folder / kind / f"{stem}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    common = clean & noisy
    flat = {stem.replace("/", "_") for stem in common}
    if not common or len(flat) < len(common):
        with pytest.raises(DataError):
            corpora.scan(folder / "clean", folder / "noisy", ignore_unpaired=True)
        return
    if clean != noisy:
        with pytest.raises(DataError, match="no partner"):
            corpora.scan(folder / "clean", folder / "noisy")
    manifest = corpora.scan(folder / "clean", folder / "noisy", "test", ignore_unpaired=True)
    assert {str(u.clean.relative_to(folder / "clean").with_suffix("")) for u in manifest.utterances} == common
    assert {str(u.noisy.relative_to(folder / "noisy").with_suffix("")) for u in manifest.utterances} == common
    assert {u.split for u in manifest.utterances} == {"test"}


text = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
utterances = st.builds(
    Utterance,
    id=text,
    clean=text.map(lambda name: f"clean/{name}.wav"),
    noisy=text.map(lambda name: f"noisy/{name}.wav"),
    split=st.sampled_from(corpora.SPLITS),
    speaker=text,
    noise=text,
    snr=st.none() | st.sampled_from([-7.5, 0.0, 2.5, 17.5]),
    scale=st.sampled_from([1.0, 10.0]),
)


@given(
    st.lists(
        utterances.filter(lambda u: not name_problem(u.id)),
        min_size=1,
        max_size=5,
        unique_by=lambda u: name_key(u.id),
    )
)
@settings(max_examples=40, deadline=None)
def test_a_manifest_survives_writing_and_reading(tmp_path_factory, members):
    folder = tmp_path_factory.mktemp("manifest")
    members = tuple(replace(u, clean=folder / u.clean, noisy=folder / u.noisy) for u in members)
    Manifest(members, "mini").write(folder / "manifest.csv")
    assert Manifest.read(folder / "manifest.csv") == Manifest(members, "mini")


def test_rows_of_several_corpora_are_of_no_known_one(pairs, tmp_path):
    clean, noisy = (next((pairs / part).iterdir()) for part in ("clean", "noisy"))
    path = tmp_path / "manifest.csv"
    for named, expected in ((("a", "a"), "a"), (("a", "b"), "folder"), (("a", ""), "folder")):
        rows = [f"u{i},{clean},{noisy},{corpus}" for i, corpus in enumerate(named)]
        path.write_text("\n".join(["id,clean,noisy,corpus", *rows]), encoding="utf-8")
        assert Manifest.read(path).corpus == expected


def test_unpaired_files_are_counted_and_the_first_named(pairs):
    for k in range(7):
        put(pairs / "noisy" / f"alone{k}.wav")
    with pytest.raises(DataError) as error:
        scanned(pairs)
    assert "7 files have no partner" in str(error.value)
    assert "alone0.wav" in str(error.value)
    assert "and 2 more" in str(error.value)
    assert len(corpora.scan(pairs / "clean", pairs / "noisy", ignore_unpaired=True)) == 3


def test_wrong_paths_are_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        corpora.scan(tmp_path / "nowhere", tmp_path)
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        corpora.load(tmp_path / "nowhere")
    with pytest.raises(DataError, match="'exam' is none of train"):
        corpora.scan(tmp_path, tmp_path, "exam")


def test_two_files_that_differ_in_suffix_only_are_refused(pairs):
    put(pairs / "clean" / "u1.flac")
    with pytest.raises(DataError, match="the same name"):
        scanned(pairs)


# ---------------------------------------------------------------- completeness


def manifest_of(corpus, **counts):
    members = [Utterance(f"{s}{k}", "c", "n", s) for s, count in counts.items() for k in range(count)]
    return Manifest(tuple(members), corpus)


def test_completeness_counts_every_split():
    complete, sentence = corpora.completeness(manifest_of("voicebank-demand", train=11572, test=824))
    assert complete
    assert "complete" in sentence
    incomplete = manifest_of("voicebank-demand", train=11572, test=549)
    assert corpora.completeness(incomplete)[0] is False
    assert "549 of 824 test" in corpora.completeness(incomplete)[1]
    assert corpora.completeness(incomplete, ["train"])[0] is True


def test_a_validation_set_held_out_of_the_training_part_counts_as_training():
    assert corpora.completeness(manifest_of("voicebank-demand", train=10802, validation=770, test=824))[0]
    assert not corpora.completeness(manifest_of("voicebank-demand", train=10802, validation=769, test=824))[0]


@pytest.mark.parametrize("corpus", ["folder", "mini"])
def test_nothing_is_comparable_on_other_data(corpus):
    complete, sentence = corpora.completeness(manifest_of(corpus, train=24, validation=8, test=12))
    assert not complete
    assert "not comparable" in sentence


# ---------------------------------------------------------------- verify


def test_good_files_have_no_problems(pairs):
    assert corpora.verify(scanned(pairs), jobs=2) == []


def spoil_missing(path):
    path.unlink()


def spoil_empty(path):
    path.write_bytes(b"")


def spoil_text(path):
    path.write_text("this is no audio")


def spoil_truncated(path):
    path.write_bytes(path.read_bytes()[:9000])


def spoil_silent(path):
    put(path, np.zeros(8000))


def spoil_nan(path):
    put(path, np.where(np.arange(8000) == 77, np.nan, noise()), subtype="FLOAT")


def spoil_stereo(path):
    put(path, np.stack([noise(), noise(1)], axis=1))


def spoil_length(path):
    put(path, noise(0, 7990))


def spoil_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_missing, "no such file"),
        (spoil_empty, "no bytes"),
        (spoil_text, "not a readable audio file"),
        (spoil_truncated, "truncated"),
        (spoil_silent, "silent"),
        (spoil_nan, "NaN"),
        (spoil_stereo, "2 channels"),
        (spoil_length, "has 7990 samples at 16 kHz, its clean file has 8000"),
        (spoil_folder, "a folder, not an audio file"),
    ],
)
def test_each_kind_of_bad_file_is_named_in_one_sentence(pairs, spoil, message):
    manifest = scanned(pairs)
    bad = manifest.utterances[1].noisy
    spoil(bad)
    (problem,) = corpora.verify(manifest)
    assert problem.file == bad
    assert message in problem.problem
    assert not problem.problem.startswith(str(bad))
    assert not problem.is_note


def test_short_pairs_are_a_problem_only_for_who_says_a_least_length(pairs):
    for kind in ("clean", "noisy"):
        put(pairs / kind / "u0.wav", noise(0, 6912))
        put(pairs / kind / "u1.wav", noise(0, 6911))
    assert corpora.verify(scanned(pairs)) == []
    (problem,) = corpora.verify(scanned(pairs), least_seconds=0.432)
    assert problem.file.name == "u1.wav"
    assert "is too short: 0.432 s" in problem.problem


def test_another_rate_is_a_note_and_not_an_error(pairs):
    for kind in ("clean", "noisy"):
        put(pairs / kind / "u0.wav", noise(0, 24001), 48000)
    problems = corpora.verify(scanned(pairs))
    assert [p.is_note for p in problems] == [True, True]
    assert "48000 Hz" in problems[0].problem


# ---------------------------------------------------------------- prepare


def test_prepare_resamples_and_keeps_what_is_known(pairs):
    for kind in ("clean", "noisy"):
        tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
        put(pairs / kind / "u0.wav", tone, 48000)
    source = scanned(pairs)
    known = {"noise": "car", "snr": 2.5, "speaker": "p232", "scale": 10.0, "split": "test"}
    source = Manifest(tuple(replace(u, **known) for u in source.utterances), "voicebank-demand")
    calls = []
    corpora.prepare(source, pairs / "out", 2, lambda: calls.append(1))
    copy = corpora.load(pairs / "out")
    assert len(calls) == 3
    assert copy.corpus == "voicebank-demand"
    for before, after in zip(source.utterances, copy.utterances, strict=True):
        assert replace(after, clean=before.clean, noisy=before.noisy) == before
    waveform, rate = audio.read(copy.utterances[0].clean)
    assert (rate, len(waveform)) == (16000, 16000)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert np.abs(waveform - expected)[200:-200].max() < 1e-3
    same, _ = audio.read(copy.utterances[1].noisy)
    np.testing.assert_array_equal(same, audio.read(source.utterances[1].noisy)[0])


def test_prepare_copies_a_shared_clean_file_once(pairs):
    clean = pairs / "clean" / "u0.wav"
    members = tuple(Utterance(f"m{k}", clean, pairs / "noisy" / f"u{k}.wav") for k in range(3))
    copy = corpora.prepare(Manifest(members), pairs / "out")
    assert len(list((pairs / "out" / "train" / "clean").iterdir())) == 1
    assert {u.clean for u in copy.utterances} == {pairs / "out" / "train" / "clean" / "m0.wav"}


def test_prepare_names_the_bad_file_and_leaves_no_manifest(pairs):
    manifest = scanned(pairs)
    spoil_truncated(manifest.utterances[2].clean)
    with pytest.raises(AudioError, match=r"u2\.wav: truncated"):
        corpora.prepare(manifest, pairs / "out")
    assert not (pairs / "out" / "manifest.csv").exists()


def test_an_unwritable_folder_is_named(pairs):
    # A file in the way stops root as well; permissions do not.
    (pairs / "file").write_text("")
    with pytest.raises(DataError, match="file/out: cannot create this folder"):
        corpora.prepare(scanned(pairs), pairs / "file" / "out")


# ---------------------------------------------------------------- real material


def test_the_real_voicebank_files(shared):
    manifest = corpora.load(shared("data/voicebank_demand"))
    assert manifest.corpus == "voicebank-demand"
    assert {split: len(manifest.split(split)) for split in corpora.SPLITS} == {
        "train": 16,
        "validation": 0,
        "test": 549,
    }
    assert {u.speaker for u in manifest.split("test")} == {"p232", "p257"}
    first = next(u for u in manifest.utterances if u.id == "p232_002")
    assert (first.noise, first.snr, first.scale) == ("bus", 12.5, 1.0)
    complete, sentence = corpora.completeness(manifest, ["test"])
    assert not complete
    assert "549 of 824 test" in sentence
    assert corpora.verify(Manifest(manifest.utterances[:40], manifest.corpus)) == []


def test_the_real_metricgan_files(shared):
    folder = shared("data/metricgan_timit_mini")
    manifest = corpora.load(folder)
    assert manifest.corpus == "metricgan-timit"
    assert {split: len(manifest.split(split)) for split in corpora.SPLITS} == {
        "train": 10,
        "validation": 10,
        "test": 0,
    }
    snrs = []
    for u in manifest.utterances:
        clean, noisy = (
            audio.read_mono(u.clean).astype(float),
            u.scale * audio.read_mono(u.noisy).astype(float),
        )
        snrs.append(10 * np.log10(np.sum(clean**2) / np.sum((noisy - clean) ** 2)))
    # The grids of the paper's training and validation sets: the factor is the right one.
    np.testing.assert_allclose(snrs, np.round(snrs), atol=0.02)
    assert {round(snr) for snr in snrs} <= {-10, -8, -5, -4, 0, 4, 5, 8, 10}
    assert {u.scale for u in corpora.load(folder, scale=1.0).utterances} == {1.0}


def test_a_corpus_of_unknown_size_is_never_complete():
    for name, corpus in corpora.CORPORA.items():
        assert corpus.counts or not corpus.published, name
