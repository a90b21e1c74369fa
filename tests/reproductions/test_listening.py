"""MetricGAN-OKD's listening enhancement from data to table on a tiny corpus."""

import csv

import numpy as np
import pytest

from keras_segan import load_model
from keras_segan.data.layouts import recognise
from keras_segan.errors import ModelError, RecipeError
from keras_segan.reproduction.run import Request, reproduce
from keras_segan.reproduction.settings import changed
from keras_segan.reproductions import metricgan_okd_listening as listening
from keras_segan.training.listening import LEVEL


@pytest.fixture(scope="module")
def corpus(short_corpus):
    return short_corpus({"train": 3, "validation": 1, "test": 2}, 0.9)


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    changes = {"metric": "siib,estoi", "epochs": 2, "utterances_per_epoch": 2}
    request = Request("metricgan_okd_listening", str(corpus), out=str(folder), changes=changes, quiet=True)
    return folder, reproduce(request).text


@pytest.fixture(scope="module")
def utterance(corpus):
    return recognise(corpus)[0].split("test")[0]


def test_the_reader_sets_noise_to_the_task_s_levels(utterance):
    reader = listening.reader(listening.CODE)
    clean, noise, noisy = reader.clean(utterance), reader.noise(utterance), reader.noisy(utterance)
    assert np.sqrt(np.mean(clean**2)) == pytest.approx(LEVEL, rel=1e-4)
    level = 10 * np.log10(np.sum(clean**2.0) / np.sum(noise**2.0))
    assert any(level == pytest.approx(each, abs=1e-3) for each in (-6.5, -4.5, -2.5, -0.5))
    np.testing.assert_allclose(noisy, clean + noise, atol=1e-7)


def test_from_data_to_table(finished):
    folder, text = finished
    assert "NOT COMPARABLE" in text
    for target in ("siib", "estoi"):
        assert f"{target} generator best on validation" in text
    with open(folder / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["d1_steps"] for row in rows] == ["4", "4"]
    assert float(rows[1]["g2_loss"]) > 0


def test_the_model_moves_power_and_adds_none(finished, utterance):
    model = load_model(finished[0] / "model.keras")
    reader = listening.reader(listening.CODE)
    speech, noise = reader.clean(utterance), reader.noise(utterance)
    changed = model.prepare(speech, noise)
    assert changed.shape == speech.shape
    assert np.mean(changed**2.0) == pytest.approx(np.mean(speech**2.0), rel=1e-3)
    assert np.abs(changed - speech).max() > 1e-3
    with pytest.raises(ModelError, match="speech, noise"):
        model.enhance(speech)


def test_levels_must_be_numbers():
    with pytest.raises(RecipeError, match="numbers with commas"):
        changed(listening.CODE, {"training_levels": "loud"})
    with pytest.raises(RecipeError, match="at least one SNR"):
        changed(listening.CODE, {"training_levels": ""})
    assert changed(listening.CODE, {"test_levels": "-3,0"}).test_levels == (-3.0, 0.0)
