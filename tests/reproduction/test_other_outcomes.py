"""Listening, prediction and features, with systems that are as small as can be."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_segan as ks
from keras_segan import dsp
from keras_segan.errors import AudioError, DataError, MetricError, ModelError, RecipeError
from keras_segan.front_ends import SpectralMaskFrontEnd
from keras_segan.models import metricgan
from keras_segan.models.base import Enhancer, FeatureMapper, Predictor
from keras_segan.reproduction.outcomes import Features, Listening, Prediction
from keras_segan.reproduction.recipe import Published

BINS = 257


@keras.saving.register_keras_serializable("test_other_outcomes")
class LogMagnitude:
    """A front end with a reference: log magnitudes."""

    sample_rate, hop, minimum_samples = 16000, 256, 257

    def reference(self, waveform):
        return np.log1p(np.abs(dsp.stft(waveform, 512, 256))).astype(np.float32)

    def analyse(self, waveform, statistics=None):
        return self.reference(waveform), None

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()


def quality(**outputs):
    """A predictor whose score is the mean of its frames' scores."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, BINS))
    frames = keras.layers.Reshape((-1,))(keras.layers.Dense(1)(inputs))
    score = keras.ops.mean(frames, axis=1, keepdims=True)
    outputs = {"score": score, "frame_scores": frames} if not outputs else score
    return Predictor(
        keras.Model(inputs, outputs), SpectralMaskFrontEnd(normalisation="none"), {"recipe": "toy"}
    )


def mapper():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, BINS))
    network = keras.Model(inputs, keras.layers.Dense(BINS, kernel_initializer="identity")(inputs))
    return FeatureMapper(network, LogMagnitude())


class Room:
    """Speech and noise at the level of the files."""

    sample_rate = 16000

    def clean(self, utterance):
        return ks.audio.read_mono(utterance.clean)

    def noise(self, utterance):
        return ks.audio.read_mono(utterance.noisy) - self.clean(utterance)

    def noisy(self, utterance):
        return self.clean(utterance) + self.noise(utterance)


class Louder:
    def enhance_utterance(self, utterance, reader):
        if utterance.id.endswith("1"):
            raise ValueError("an unforeseen one")
        return 2 * reader.clean(utterance) + reader.noise(utterance)


def test_listening_scores_what_is_heard(pairs, run):
    outcome = Listening(metrics=("stoi",), reader=Room())
    scores = outcome.score({"louder": Louder()}, pairs.utterances, run)
    by_system = {name: [line for line in scores if line["system"] == name] for name in ("noisy", "louder")}
    for before, after in zip(*by_system.values(), strict=True):
        if after["failure"]:
            assert after["id"].endswith("1")
            assert "an unforeseen one" in after["failure"]
        else:
            assert after["stoi"] > before["stoi"]
    assert outcome.tabulate(scores, [])[1].system == "louder"
    kept = {path.stem for path in (run.folder / "enhanced").iterdir()}
    assert kept == {line["id"] for line in by_system["louder"] if not line["failure"]}
    with pytest.raises(TypeError, match="reader"):
        Listening(metrics=("stoi",))


def test_predictors_are_saved_loaded_and_asked(run, pairs):
    model = quality()
    Prediction(target="stoi").save({"last": model}, run)
    loaded = ks.load_model(run.folder)
    assert isinstance(loaded, Predictor)
    assert loaded.information == {"recipe": "toy"}
    waveform = ks.audio.read_mono(pairs.utterances[0].noisy)
    one, other = ks.predict(model, waveform, 16000), ks.predict(loaded, waveform, 16000)
    assert one["score"] == pytest.approx(other["score"], abs=1e-6)
    assert one["score"] == pytest.approx(one["frame_scores"].mean(), abs=1e-5)
    assert set(ks.predict(quality(alone=True), waveform, 16000)) == {"score", "silence"}


def test_a_score_is_one_of_all_frames_and_of_no_padding(pairs):
    inputs = keras.Input((None, BINS))
    frames = keras.layers.Dense(1)(inputs)
    network = keras.Model(inputs, {"score": keras.ops.mean(frames, axis=1), "frame_scores": frames[:, :, 0]})
    model = Predictor(network, SpectralMaskFrontEnd(normalisation="none"))
    waveform = ks.audio.read_mono(pairs.utterances[0].noisy)
    kernel, bias = network.get_weights()
    expected = (model.front_end.magnitude(waveform) @ kernel + bias)[:, 0]
    found = model.predict(waveform)
    np.testing.assert_allclose(found["frame_scores"], expected, atol=1e-4)
    assert found["score"] == pytest.approx(expected.mean(), abs=1e-4)


def test_every_channel_gets_a_score_at_any_rate(pairs):
    model = quality()
    waveform = ks.audio.read_mono(pairs.utterances[0].noisy)
    both = ks.predict(model, np.stack([waveform, 0.5 * waveform], axis=1), 16000)
    assert both["score"].shape == (2,)
    assert both["score"][0] == pytest.approx(ks.predict(model, waveform, 16000)["score"], abs=1e-5)
    again = ks.audio.resample(waveform, 16000, 44100)
    assert ks.predict(model, again, 44100)["score"] == pytest.approx(both["score"][0], abs=0.05)


@pytest.mark.parametrize(
    ("waveform", "words"),
    [
        (np.zeros(8000), "silent"),
        (np.full(8000, np.nan), "NaN"),
        (np.ones(100), "at least 257"),
        (np.ones((2, 2, 2)), "shape"),
        (np.ones(0), "shape"),
    ],
)
def test_what_has_no_score_is_named(waveform, words):
    with pytest.raises(AudioError, match=words):
        ks.predict(quality(), waveform, 16000)


def test_an_enhancer_predicts_nothing():
    enhancer = Enhancer(metricgan.generator(units=2, hidden=2), SpectralMaskFrontEnd())
    with pytest.raises(ModelError, match="predicts no score"):
        ks.predict(enhancer, np.ones(8000), 16000)


def test_a_predictor_enhances_nothing(pairs, tmp_path):
    with pytest.raises(ModelError, match="enhances nothing"):
        ks.enhance(quality(), np.ones(8000), 16000)


def test_prediction_tabulates_agreement_for_all_and_by_group(pairs, run):
    outcome = Prediction(target="stoi", groups=("noise",), table="Table 1", rows={"net": "Quality-Net"})
    utterances = [
        *pairs.utterances,
        dataclasses.replace(pairs.utterances[0], id="gone", noisy=run.folder / "x.wav"),
    ]
    scores = outcome.score({"net": quality()}, utterances, run)
    assert outcome.remarks(scores) == ["Predicted: stoi."]
    assert scores[-1]["failure"]
    lcc = Published("published", "Table 1", "Quality-Net", "paper", "timit", "LCC", "lcc", 0.9)
    rows = {(row.system, row.definition): row for row in outcome.tabulate(scores, [lcc])}
    whole = rows["net", "lcc"]
    scored = [line for line in scores if not line["failure"]]
    columns = [[line[name] for line in scored] for name in ("true", "predicted")]
    assert whole.reproduced == pytest.approx(np.corrcoef(columns)[0, 1])
    assert whole.published == 0.9
    assert whole.count == 6
    assert whole.interval[0] <= whole.reproduced <= whole.interval[1]
    assert rows["net", "mse"].reproduced == pytest.approx(np.mean(np.subtract(*columns) ** 2))
    assert not rows["net", "mse"].higher_is_better
    outcome.draw({"net": quality()}, utterances, scores, run)
    assert (run.folder / "report" / "scatter-net.png").is_file()


def test_predictors_are_compared_on_the_same_utterances():
    rng = np.random.default_rng(0)
    true = rng.uniform(1, 4, 40)
    columns = {"good": true + rng.normal(0, 0.1, 40), "bad": true + rng.normal(0, 1.5, 40)}
    facts = {"speaker": "", "noise": "", "snr": None, "failure": ""}
    scores = [
        {"system": name, "id": str(n), **facts, "true": true[n], "predicted": column[n]}
        for name, column in columns.items()
        for n in range(40)
    ]
    numbers = [
        Published("claim", "", "good", "", "", definition.upper(), definition, None, than="bad")
        for definition in ("lcc", "srcc", "mse")
    ]
    claims = Prediction(target="stoi").judge(scores, numbers)
    assert [found.verdict for found in claims] == ["holds"] * 3
    assert claims[2].difference < 0 < claims[0].difference


def test_true_scores_may_come_with_the_data(pairs, run):
    labels = {u.id: float(n) for n, u in enumerate(pairs.utterances[:4])}
    outcome = Prediction(truth=lambda u: labels[u.id])
    scores = outcome.score({"net": quality()}, pairs.utterances, run)
    assert [line.get("true") for line in scores] == [0.0, 1.0, 2.0, 3.0, None, None]
    assert "no true score" in scores[-1]["failure"]
    with pytest.raises(MetricError):
        Prediction()
    with pytest.raises(RecipeError, match="group"):
        Prediction(target="stoi", groups=("weather",))


def test_features_are_compared_with_the_clean_ones(pairs, run):
    def errors(utterance, features):
        return int(features.mean() > 0.1), 4

    outcome = Features(groups={"low": (0, 100)}, recogniser="toy", recognisers={"toy": errors})
    systems = {"mapped": mapper()}
    outcome.save(systems, run)
    assert isinstance(ks.load_model(run.folder), FeatureMapper)
    scores = outcome.score(systems, pairs.utterances, run)
    assert not any(line["failure"] for line in scores)
    rows = {(row.system, row.definition): row for row in outcome.tabulate(scores, [])}
    for definition in ("mse", "l1", "mse-low", "l1-low"):  # the network is the identity
        assert rows["mapped", definition].reproduced == pytest.approx(
            rows["noisy", definition].reproduced, rel=1e-4
        )
    u = pairs.utterances[0]
    clean, noisy = (LogMagnitude().reference(ks.audio.read_mono(path)) for path in (u.clean, u.noisy))
    assert scores[0]["mse-low"] == pytest.approx(np.mean((clean - noisy)[:, :100] ** 2), rel=1e-5)
    assert rows["noisy", "error-rate"].reproduced == pytest.approx(
        100 * sum(line["errors"] for line in scores[:6]) / 24
    )
    assert rows["noisy", "error-rate"].metric == "errors of toy (%)"
    assert "Recogniser: toy." in outcome.remarks(scores)


def test_a_recogniser_that_fails_on_a_file_ends_nothing(pairs, run):
    def refuse(utterance, features):
        raise DataError(f"{utterance.id}: has no transcript.")

    outcome = Features(recogniser="toy", recognisers={"toy": refuse})
    scores = outcome.score({"mapped": mapper()}, pairs.utterances[:2], run)
    assert all("no transcript" in line["failure"] for line in scores)
    assert outcome.tabulate(scores, []) == []
    with pytest.raises(RecipeError, match="Unknown recogniser"):
        Features(recogniser="sphinx")
