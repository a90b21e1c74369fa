"""Scores of any waveform and of folders without clean originals, by a small network with live weights."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner

from keras_segan import audio, metrics, prediction, reference_free
from keras_segan.cli.evaluate import command as evaluate
from keras_segan.errors import AudioError, MetricUsageError, ModelUsageError
from keras_segan.models import qnet, qualitynet
from keras_segan.models.base import Predictor, ReferencePredictor
from keras_segan.training import targets

RATE = 16000


@pytest.fixture(scope="module")
def model():
    network = qualitynet.network(257, 4, 3)
    rng = np.random.default_rng(0)
    network.set_weights([rng.normal(0, 0.2, w.shape) for w in network.get_weights()])
    return Predictor(network, qualitynet.front_end())


@pytest.fixture(scope="module")
def speech():
    rng = np.random.default_rng(1)
    return (rng.normal(0, 0.1, 2 * RATE) * np.linspace(0.2, 1, 2 * RATE)).astype(np.float32)


def test_every_channel_has_a_score_of_its_own(model, speech):
    stereo = np.stack([speech, speech[::-1]], axis=1)
    found = prediction.predict(model, stereo, RATE)
    assert found["score"].shape == (2,)
    for channel in (0, 1):
        alone = prediction.predict(model, stereo[:, channel], RATE)
        assert found["score"][channel] == pytest.approx(alone["score"], abs=1e-6)
    assert found["frame_scores"].shape == (len(found["frame_times"]), 2)


def test_a_batch_gives_what_each_file_gives_alone(model, speech):
    waveforms = [speech, speech[:9000], speech[3000:20000]]
    together = prediction.predict_many(model, waveforms, RATE)
    for waveform, found in zip(waveforms, together, strict=True):
        alone = prediction.predict(model, waveform, RATE)
        assert found["score"] == pytest.approx(alone["score"], abs=1e-6)
        np.testing.assert_allclose(found["frame_scores"], alone["frame_scores"], atol=2e-6)


def test_a_long_file_is_scored_in_windows(model, speech, monkeypatch):
    long = np.tile(speech, 4)
    whole = prediction.predict(model, long, RATE)
    monkeypatch.setattr(prediction, "WHOLE", 3.0)
    monkeypatch.setattr(prediction, "WINDOW", 2.0)
    seen = []
    predict = model.predict
    monkeypatch.setattr(model, "predict", lambda w, s: seen.append(len(w)) or predict(w, s))
    windows = prediction.predict(model, long, RATE)
    assert len(seen) == 4 or len(seen) == 3
    assert max(seen) <= 6.1 * RATE
    assert len(windows["frame_scores"]) == len(whole["frame_scores"])
    assert windows["score"] == pytest.approx(whole["score"], abs=1e-2)
    assert windows["score"] == pytest.approx(np.mean(windows["frame_scores"]), abs=1e-6)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.zeros(RATE), "silent"),
        (np.full(RATE, np.nan), "NaN"),
        (np.ones(200) * 0.1, "at least 257"),
        (np.zeros((0,)), "no score"),
    ],
)
def test_what_has_no_score_is_named(model, bad, words):
    with pytest.raises(AudioError, match=words):
        prediction.predict(model, bad, RATE)


def test_silent_ends_are_cut_off_when_asked_for(model, speech):
    framed = np.concatenate([np.zeros(RATE, np.float32), speech, np.zeros(RATE // 2, np.float32)])
    start, stop = prediction.sounding(framed, RATE)
    assert abs(start - RATE) <= 320
    assert abs(stop - 3 * RATE) <= 320
    plain = prediction.predict(model, framed, RATE)
    trimmed = prediction.predict(model, framed, RATE, trim_silence=True)
    alone = prediction.predict(model, speech, RATE)
    assert plain["silence"] == pytest.approx(1.5 / 3.5, abs=0.02)
    assert abs(trimmed["score"] - alone["score"]) < 0.1 * abs(plain["score"] - alone["score"])


def test_a_predictor_with_a_reference_says_that_it_needs_one(speech):
    network = qnet.network(257, ((2, 3),), (3,))
    model = ReferencePredictor(qnet.scaled(network, 4.5, 0.0), qnet.front_end())
    with pytest.raises(ModelUsageError, match="clean original"):
        prediction.predict(model, speech, RATE)
    found = prediction.predict(model, speech, RATE, clean=speech)
    assert 0 < found["score"] < 4.5


@pytest.fixture
def folder(tmp_path, model, speech, monkeypatch):
    reference_free.model_of.cache_clear()
    model.save(tmp_path / "model.keras")
    monkeypatch.setenv(reference_free.MODEL_VARIABLE, str(tmp_path / "model.keras"))
    files = tmp_path / "enhanced"
    files.mkdir()
    audio.write(files / "a.wav", speech, RATE)
    audio.write(files / "b.wav", np.stack([speech, speech[::-1]], axis=1), RATE)
    audio.write(files / "c.wav", np.zeros(RATE, np.float32), RATE)
    yield files
    reference_free.model_of.cache_clear()


def test_a_folder_is_scored_without_clean_files(folder, model, speech):
    found = reference_free.evaluate_folder(folder, ["qualitynet"], frames=folder.parent / "frames.csv")
    ids = [row.pair.id for row in found.rows]
    assert ids == ["a", "b channel 1", "b channel 2", "c"]
    assert [row.pair.id for row in found.failed] == ["c"]
    assert "silent" in found.failed[0].failures[0].message
    expected = prediction.predict(model, speech, RATE)
    assert found.rows[0].result.scores["qualitynet"] == pytest.approx(expected["score"], abs=1e-3)
    with open(folder.parent / "frames.csv") as file:
        lines = [line for line in csv.DictReader(file) if line["id"] == "a"]
    assert len(lines) == len(expected["frame_scores"])
    assert float(lines[10]["seconds"]) == pytest.approx(10 * 256 / RATE)
    assert float(lines[10]["score"]) == pytest.approx(expected["frame_scores"][10], abs=1e-2)


def test_as_a_metric_it_has_a_range_and_can_be_climbed_on(folder, model, speech):
    metric = metrics.get("qualitynet")
    assert (metric.definition, metric.range, metric.higher_is_better) == ("qualitynet", (-0.5, 4.5), True)
    goal = targets.single("qualitynet", {})
    assert goal.label({"qualitynet": 2.0}) == pytest.approx(0.5)
    noise = np.random.default_rng(2).normal(0, 0.1, len(speech)).astype(np.float32)
    scores = metrics.score(["qualitynet"], noise, speech, RATE)
    assert scores["qualitynet"] == pytest.approx(prediction.predict(model, speech, RATE)["score"], abs=1e-5)


def test_the_command_needs_no_clean_files(folder):
    result = CliRunner().invoke(
        evaluate, ["--enhanced", str(folder), "--metrics", "qualitynet", "--on-error", "skip"]
    )
    assert result.exit_code == 0, result.output
    assert "3 of 4 files scored" in result.output
    assert "Quality-Net" in result.output


def test_a_metric_that_compares_needs_clean_files(folder):
    with pytest.raises(MetricUsageError, match="--clean"):
        reference_free.check(["qualitynet", "pesq"])
