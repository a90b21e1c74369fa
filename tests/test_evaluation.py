import csv
import shutil

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_segan as ks
from keras_segan import audio, evaluation
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.errors import DataError, MetricError, UsageError
from keras_segan.evaluation import Scoring, bootstrap_interval, evaluate_folders, summarise, verdict

RATE = 16000
# id: what the message about it must say
PLANTED = {
    "silent": "is silent",
    "nan": "NaN",
    "truncated": "truncated",
    "unequal": "lengths differ by more than one hop",
    "ten_minutes": "lengths differ by more than one hop",
    "wrong_rate": "its rate is 8000 Hz, that of",
    "missing": "no enhanced file 'missing'",
    "no_bytes": "has no bytes",
    "folder": "this is a folder",
    "text": "not a readable audio file",
}


def plant(enhanced, clean_length: int):
    """Spoils the enhanced files named in `PLANTED`."""

    def path(name):
        return enhanced / f"{name}.wav"

    soundfile.write(path("silent"), np.zeros(clean_length), RATE)
    waveform = soundfile.read(path("nan"))[0]
    waveform[100] = np.nan
    soundfile.write(path("nan"), waveform, RATE, subtype="FLOAT")
    path("truncated").write_bytes(path("truncated").read_bytes()[: clean_length // 2])
    soundfile.write(path("unequal"), waveform[200:-200], RATE)
    soundfile.write(path("ten_minutes"), np.resize(waveform[200:], 600 * RATE), RATE)
    soundfile.write(path("wrong_rate"), waveform[200:], 8000)
    for name in ("missing", "folder"):
        path(name).unlink()
    path("no_bytes").write_bytes(b"")
    path("folder").mkdir()
    path("text").write_text("These are not the samples you are looking for.\n" * 20)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Clean, noisy and enhanced files of 10 good ids, and those of `PLANTED`."""
    root = tmp_path_factory.mktemp("folders")
    rng = np.random.default_rng(0)
    for side in ("clean", "noisy", "enhanced"):
        (root / side).mkdir()
    for name in [f"good{i}" for i in range(10)] + list(PLANTED):
        # Bursts of noise: enough for all measures but PESQ, and quick.
        clean = 0.1 * rng.standard_normal(RATE) * (np.sin(np.arange(RATE) / 1500) > 0)
        clean += 1e-3 * rng.standard_normal(RATE)
        noise = 0.05 * rng.standard_normal(RATE)
        for side, gain in (("clean", 0.0), ("noisy", 1.0), ("enhanced", 0.3)):
            soundfile.write(root / side / f"{name}.wav", clean + gain * noise, RATE)
    plant(root / "enhanced", RATE)
    return root


@pytest.fixture(scope="session")
def evaluated(folders):
    scoring = Scoring(("ssnr", "stoi"), jobs=1)
    return evaluate_folders(folders / "clean", folders / "enhanced", folders / "noisy", scoring=scoring)


def test_evaluate_is_the_public_name_and_gives_the_scores(shared):
    folder = shared("data/voicebank_demand/test")
    clean, noisy = (audio.read(folder / side / "p232_010.flac")[0] for side in ("clean", "noisy"))
    scores = ks.evaluate(clean, noisy, RATE)
    assert scores == {"pesq": pytest.approx(1.21066880, abs=1e-6), "stoi": pytest.approx(0.784979, abs=1e-6)}


def test_every_planted_file_is_named_and_all_others_are_scored(evaluated):
    assert {row.pair.id for row in evaluated.failed} == set(PLANTED)
    assert {row.pair.id for row in evaluated.scored} == {f"good{i}" for i in range(10)}
    for row in evaluated.failed:
        assert PLANTED[row.pair.id] in str(row.failures[0])
        assert row.pair.id in str(row.failures[0])


def test_improvement_is_paired(evaluated):
    gain = evaluated.improvement()["ssnr"]
    enhanced, noisy = evaluated.summary()["ssnr"], evaluated.noisy_summary()["ssnr"]
    assert gain.n == enhanced.n == noisy.n == 10
    assert gain.mean == pytest.approx(enhanced.mean - noisy.mean)
    assert gain.low > 0
    # The noise is the same but for its gain: the differences vary less than the scores.
    assert 0 < gain.high - gain.low < enhanced.high - enhanced.low


def test_csv_has_a_line_per_pair(evaluated, tmp_path):
    evaluated.write_csv(tmp_path / "rows.csv")
    with open(tmp_path / "rows.csv", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert len(rows) == 20
    row = next(row for row in evaluated.rows if row.pair.id == "good3")
    assert float(rows["good3"]["ssnr"]) == row.result.scores["ssnr"]
    assert float(rows["good3"]["noisy_stoi"]) == row.noisy.scores["stoi"]
    assert rows["good3"]["failure"] == ""
    assert (rows["silent"]["ssnr"], "silent" in rows["silent"]["failure"]) == ("", True)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_floor_counts_failures_with_the_worst_value_and_still_lists_them(folders):
    scoring = Scoring(("ssnr",), jobs=1, on_error="floor")
    result = evaluate_folders(folders / "clean", folders / "enhanced", scoring=scoring)
    assert len(result.failed) == len(result.floored) == 10
    assert result.summary()["ssnr"].n == 20
    assert {row.result.scores["ssnr"] for row in result.floored} == {-10.0}


def test_wrong_settings_are_told_before_any_work(folders):
    for scoring in (Scoring(("ssnrr",)), Scoring(("snr",), on_error="floor"), Scoring(on_error="ignore")):
        with pytest.raises(MetricError) as caught:
            evaluate_folders(folders / "clean", folders / "enhanced", scoring=scoring)
        assert isinstance(caught.value, UsageError)


def test_folders_of_which_nothing_pairs_are_an_error(folders, tmp_path):
    shutil.copy(folders / "clean" / "good0.wav", tmp_path / "other.wav")
    with pytest.raises(DataError, match="no file here has the name of a clean file"):
        evaluate_folders(folders / "clean", tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        evaluate_folders(folders / "clean", tmp_path / "nowhere")


def test_folders_in_folders_pair_by_relative_stem_whatever_the_suffix(folders, tmp_path):
    for side, suffix in (("clean", ".wav"), ("enhanced", ".flac")):
        (tmp_path / side / "a").mkdir(parents=True)
        waveform = soundfile.read(folders / side / "good0.wav")[0]
        for name in ("a/x.1", "y"):
            soundfile.write(tmp_path / side / f"{name}{suffix}", waveform, RATE)
    result = evaluate_folders(tmp_path / "clean", tmp_path / "enhanced", scoring=Scoring(("snr",), jobs=1))
    assert [row.pair.id for row in result.scored] == ["a/x.1", "y"]


@pytest.fixture
def manifest(folders):
    """The good pairs with conditions, and as a stranger a pair of the training split."""
    return Manifest(
        tuple(
            Utterance(
                f"id{i}",
                folders / "clean" / f"good{i}.wav",
                folders / "noisy" / f"good{i}.wav",
                "test" if i < 8 else "train",
                speaker="p1",
                noise=("car", "bus")[i % 2],
                snr=(2.5, 17.5)[i // 4 % 2],
            )
            for i in range(10)
        )
    )


def test_a_manifest_pairs_by_id_or_noisy_stem_and_knows_conditions(folders, manifest, tmp_path):
    for i in range(8):
        target = f"id{i}.wav" if i < 4 else f"good{i}.wav"
        shutil.copy(folders / "enhanced" / f"good{i}.wav", tmp_path / target)
    shutil.copy(folders / "enhanced" / "good0.wav", tmp_path / "stranger.wav")
    result = evaluate_folders(enhanced=tmp_path, manifest=manifest, scoring=Scoring(("ssnr",), jobs=1))
    assert [row.pair.id for row in result.scored] == [f"id{i}" for i in range(8)]
    assert [row.pair.id for row in result.failed] == ["stranger"]
    tables = result.by_condition()
    assert list(tables) == ["snr", "noise"]  # one speaker only
    assert list(tables["snr"]) == ["2.5", "17.5"]
    assert [group["ssnr"].n for group in tables["noise"].values()] == [4, 4]
    by_hand = np.mean([row.result.scores["ssnr"] for row in result.scored if row.pair.noise == "bus"])
    assert tables["noise"]["bus"]["ssnr"].mean == pytest.approx(by_hand)
    assert len(result.compared) == 8


def test_a_noisy_row_is_compared_at_the_printed_precision(manifest):
    truth = evaluation.check_noisy_row(manifest, {"ssnr": 0.0, "stoi": 0.0}, jobs=1)
    ours = {row["metric"]: row["ours"] for row in truth}
    assert {row["verdict"] for row in truth} == {"no match"}
    published = {"ssnr": f"{ours['ssnr']:.2f}", "stoi": round(ours["stoi"], 2) + 0.01}
    rows = evaluation.check_noisy_row(manifest, published, jobs=1)
    assert [row["verdict"] for row in rows] == ["match", "no match"]
    assert all(row["n"] == 8 and row["expected"] is None and not row["failures"] for row in rows)


def test_a_part_of_a_known_corpus_is_called_incomplete(manifest):
    part = Manifest(manifest.utterances, "voicebank-demand")
    row = evaluation.check_noisy_row(part, {"ssnr": 1.68}, jobs=1)[0]
    assert (row["verdict"], row["n"], row["expected"]) == ("incomplete corpus (8 of 824)", 8, 824)


def test_a_noisy_row_undoes_the_attenuation_of_the_files(manifest, folders, tmp_path):
    quiet = tmp_path / "quiet.wav"
    soundfile.write(quiet, soundfile.read(folders / "noisy" / "good0.wav")[0] / 10, RATE, subtype="FLOAT")
    u = manifest.utterances[0]
    rows = [
        evaluation.check_noisy_row(Manifest((utterance,)), {"ssnr": 1.0}, jobs=1)[0]
        for utterance in (u, Utterance("q", u.clean, quiet, "test", scale=10.0))
    ]
    assert rows[0]["ours"] == pytest.approx(rows[1]["ours"], abs=1e-4)


def test_a_manifest_without_the_split_is_an_error(manifest):
    with pytest.raises(DataError, match="no validation split"):
        evaluation.check_noisy_row(manifest, {"ssnr": 1.0}, split="validation")


@pytest.mark.parametrize(
    ("ours", "published", "expected"),
    [
        (1.9720, 1.97, "match"),
        (3.3454, "3.35", "match"),
        (3.3449, "3.35", "no match"),
        (2.43, "2.40", "no match"),
        (2.43, "2.4", "match"),
        (2.45, 2.4, "match"),
        (30.4, "30", "match"),
    ],
)
def test_verdict(ours, published, expected):
    assert verdict(ours, published, 824, 824) == expected
    assert verdict(ours, published, 823, 824) == "incomplete corpus (823 of 824)"


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40), st.integers(0, 99))
def test_bootstrap_interval_holds_the_mean_and_repeats_itself(values, seed):
    low, high = bootstrap_interval(values, seed=seed, n=300)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert (low, high) == bootstrap_interval(values, seed=seed, n=300)
    narrow = bootstrap_interval(values, level=0.5, seed=seed, n=300)
    assert low <= narrow[0] <= narrow[1] <= high


def test_bootstrap_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        low, high = bootstrap_interval(rng.normal(3.0, 1.0, 50), seed=trial, n=300)
        hits += low <= 3.0 <= high
    assert 0.90 <= hits / 200 <= 0.985


def test_bootstrap_interval_needs_values():
    with pytest.raises(MetricError, match="no values"):
        bootstrap_interval([])


def test_summarise_passes_over_what_is_no_number():
    rows = [{"id": "a", "pesq": 2.0, "failure": ""}, {"id": "b", "pesq": 3.0, "stoi": 0.5}]
    summary = summarise(rows)
    assert list(summary) == ["pesq", "stoi"]
    assert (summary["pesq"].mean, summary["pesq"].std, summary["pesq"].n) == (2.5, pytest.approx(0.5**0.5), 2)
    assert np.isnan(summary["stoi"].std)
    assert (summary["stoi"].low, summary["stoi"].high) == (0.5, 0.5)


@pytest.mark.slow
def test_a_pair_of_ten_minutes_gets_a_score_and_a_note(shared, tmp_path):
    files = sorted(shared("data/voicebank_demand/test/clean").glob("*.flac"))
    for side in ("clean", "noisy"):
        parts = [audio.read(path.parents[1] / side / path.name)[0] for path in files[:240]]
        (tmp_path / side).mkdir()
        audio.write(tmp_path / side / "long.wav", np.concatenate(parts)[: 600 * RATE])
    result = evaluate_folders(
        tmp_path / "clean", tmp_path / "noisy", scoring=Scoring(("pesq", "csig", "stoi"), jobs=1)
    )
    assert not result.failed
    assert "pieces cut at pauses" in result.notes()[0]
    assert 1.5 < result.summary()["pesq"].mean < 2.5
