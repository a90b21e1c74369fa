import numpy as np
import pytest
import soundfile

from keras_segan.data import corpora
from keras_segan.errors import DataError


def put(path, waveform=None, rate=16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, speech() if waveform is None else waveform, rate)


def speech(seed=0):
    return np.random.default_rng(seed).standard_normal(8000) * 0.05


def pair(folder, clean, noisy, name, factor=1.0):
    put(folder / clean / name, speech())
    put(folder / noisy / name, factor * (speech() + 0.3 * speech(1)))


@pytest.mark.parametrize("suffix", ["", "_16k", "_16kHz"])
@pytest.mark.parametrize(
    ("train", "corpus"),
    [
        ("28spk_", "voicebank-demand"),
        ("56spk_", "voicebank-demand-56spk"),
        ("", "voicebank-demand"),
    ],
)
def test_voicebank_as_distributed(tmp_path, suffix, train, corpus):
    for name in ("p226_001.wav", "p287_002.wav"):
        pair(tmp_path, f"clean_trainset_{train}wav{suffix}", f"noisy_trainset_{train}wav{suffix}", name)
    pair(tmp_path, f"clean_testset_wav{suffix}", f"noisy_testset_wav{suffix}", "p232_001.wav")
    (tmp_path / "logfiles").mkdir()
    (tmp_path / "logfiles" / "log_testset.txt").write_text("p232_001 bus 17.5\nsome words\n")
    manifest = corpora.load(tmp_path)
    assert manifest.corpus == corpus
    assert [(u.id, u.split, u.speaker, u.noise, u.snr) for u in manifest.utterances] == [
        ("p226_001", "train", "p226", "", None),
        ("p287_002", "train", "p287", "", None),
        ("p232_001", "test", "p232", "bus", 17.5),
    ]


def test_voicebank_unpacked_into_folders_of_the_same_name(tmp_path):
    inner = "clean_testset_wav/clean_testset_wav", "noisy_testset_wav/noisy_testset_wav"
    pair(tmp_path, *inner, "p232_001.wav")
    assert [u.id for u in corpora.load(tmp_path).utterances] == ["p232_001"]


def test_of_two_voicebank_copies_the_one_at_16_khz_is_taken(tmp_path):
    for suffix in ("", "_16k"):
        pair(tmp_path, f"clean_testset_wav{suffix}", f"noisy_testset_wav{suffix}", "p232_001.wav")
    (u,) = corpora.load(tmp_path).utterances
    assert u.clean.parent.name == "clean_testset_wav_16k"


def test_two_voicebank_training_sets_are_ambiguous(tmp_path):
    for speakers in (28, 56):
        kinds = (f"{kind}_trainset_{speakers}spk_wav" for kind in ("clean", "noisy"))
        pair(tmp_path, *kinds, "p226_001.wav")
    with pytest.raises(DataError, match="28- and the 56-speaker"):
        corpora.load(tmp_path)


def test_voicebank_in_split_folders_needs_its_speakers_or_its_conditions(tmp_path):
    for name in ("p232_001.wav", "p257_001.wav"):
        pair(tmp_path, "test/clean", "test/noisy", name)
    assert corpora.load(tmp_path).corpus == "voicebank-demand"
    pair(tmp_path, "test/clean", "test/noisy", "p300_001.wav")
    assert corpora.load(tmp_path).corpus == "folder"
    (tmp_path / "conditions_test.csv").write_text("file,noise,snr_db\np300_001,bus,2.5\n")
    manifest = corpora.load(tmp_path)
    assert manifest.corpus == "voicebank-demand"
    assert manifest.utterances[-1].snr == 2.5
    (tmp_path / "conditions_test.csv").write_text("file,noise\np300_001,bus\n")
    with pytest.raises(DataError, match="lacks the column snr_db"):
        corpora.load(tmp_path)


@pytest.mark.parametrize("validation", ["validation", "Valid", "dev"])
def test_split_folders_of_any_origin(tmp_path, validation):
    for split in ("train", validation, "TEST"):
        pair(tmp_path, f"{split}/Clean", f"{split}/noisy", "same.wav")
    manifest = corpora.load(tmp_path)
    assert manifest.corpus == "folder"
    assert [(u.id, u.scale) for u in manifest.utterances] == [
        ("train_same", 1.0),
        ("validation_same", 1.0),
        ("test_same", 1.0),
    ]


def test_metricgan_files_are_known_by_their_factor_and_not_by_their_names(tmp_path):
    for split in ("Train", "Test"):
        for k in range(3):
            pair(tmp_path / "tenth", f"{split}/Clean", f"{split}/Noisy", f"Train_{k}.wav", 0.1)
            pair(tmp_path / "whole", f"{split}/Clean", f"{split}/Noisy", f"Train_{k}.wav", 1.0)
    tenth, whole = corpora.load(tmp_path / "tenth"), corpora.load(tmp_path / "whole")
    assert (tenth.corpus, whole.corpus) == ("metricgan-timit", "folder")
    assert {u.scale for u in tenth.utterances} == {10.0}
    assert {u.scale for u in whole.utterances} == {1.0}
    assert {u.split for u in tenth.utterances} == {"train", "validation"}
    assert {u.split for u in whole.utterances} == {"train", "test"}
    given = corpora.load(tmp_path / "tenth", scale=5.0)
    assert given.corpus == "metricgan-timit"
    assert {u.scale for u in given.utterances} == {5.0}


def test_the_tree_of_metricgans_author(tmp_path):
    for split in ("Train", "Test"):
        for k in range(2):
            put(tmp_path / split / "Clean" / f"Train_{k}.wav", speech())
            for noise in ("n1.wav", "engine.wav"):
                for snr in ("-4dB", "8dB"):
                    noisy = 0.1 * (speech() + 0.3 * speech(1))
                    put(tmp_path / split / "Noisy" / noise / snr / f"Train_{k}.wav", noisy)
    put(tmp_path / "Train" / "Noisy" / "n1.wav" / "8dB" / "Train_9.wav")
    with pytest.raises(DataError, match=r"Train_9\.wav: this file has no partner"):
        corpora.load(tmp_path)
    manifest = corpora.load(tmp_path, ignore_unpaired=True)
    assert manifest.corpus == "metricgan-timit"
    assert len(manifest) == 2 * 2 * 2 * 2
    first = manifest.utterances[0]
    assert (first.id, first.noise, first.snr, first.scale) == (
        "train_engine_-4dB_Train_0",
        "engine",
        -4.0,
        10.0,
    )
    assert first.clean == tmp_path / "Train" / "Clean" / "Train_0.wav"
    assert {u.split for u in manifest.utterances} == {"train", "validation"}


def test_an_unknown_layout_says_what_was_looked_for_and_what_is_there(tmp_path):
    put(tmp_path / "speech" / "a.wav")
    with pytest.raises(DataError) as error:
        corpora.load(tmp_path)
    for words in (
        "manifest.csv",
        "noisy_testset_wav",
        "train|validation",
        "There is: speech/",
        "kseg data scan",
    ):
        assert words in str(error.value)


def test_a_manifest_is_read_and_its_scale_can_be_given(tmp_path):
    pair(tmp_path, "train/clean", "train/noisy", "a.wav")
    corpora.load(tmp_path).write(tmp_path / "manifest.csv")
    for path in (tmp_path, tmp_path / "manifest.csv"):
        assert [u.scale for u in corpora.load(path, scale=10).utterances] == [10]
    with pytest.raises(DataError, match="this is no text"):
        corpora.load(tmp_path / "train" / "clean" / "a.wav")


def test_folders_without_a_common_name_are_refused(tmp_path):
    put(tmp_path / "train" / "clean" / "a.wav")
    put(tmp_path / "train" / "noisy" / "b.wav")
    with pytest.raises(DataError, match="nothing to pair"):
        corpora.load(tmp_path)
