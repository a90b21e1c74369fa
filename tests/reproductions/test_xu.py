"""The reproduction of Xu et al.: variants, end to end on speech and noise, and what its tables say."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_segan import audio, backends
from keras_segan.data.examples.stored import Stored
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.errors import DataError, RecipeError, UsageError
from keras_segan.models import xu as networks
from keras_segan.models.registry import load_model
from keras_segan.reproduction import recipe
from keras_segan.reproduction import run as runs
from keras_segan.reproduction.settings import changed, differences, listed
from keras_segan.reproductions import xu
from keras_segan.training.loop import Stopped
from keras_segan.training.player import Player
from keras_segan.training.run_folder import Run
from keras_segan.training.step import Step

SMALL = dataclasses.replace(
    xu.VARIANTS["mini"], model="snn1", iterations=30, log_interval=15, batch=50, learning_rate=1e-3
)
PAPER = dataclasses.replace(
    xu.VARIANTS["paper"], model="snn1", batch=32, learning_rate=0.25, epochs=2, pretraining_epochs=1
)


def tone(number, seconds=1.0):
    t = np.arange(int(16000 * seconds)) / 16000
    return (0.3 * np.sin(2 * np.pi * (200 + 100 * number) * t * (1 + t))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Gliding tones and two noises, laid out as sednn's data."""
    folder = tmp_path_factory.mktemp("sources")
    random = np.random.default_rng(0)
    for split, count in (("train", 4), ("test", 2)):
        for kind in ("speech", "noise"):
            (folder / f"{split}_{kind}").mkdir()
        for number in range(count):
            audio.write(folder / f"{split}_speech" / f"{split}{number}.wav", tone(number))
        for name in ("hiss", "rumble"):
            noise = random.standard_normal(40000).astype(np.float32)
            audio.write(folder / f"{split}_noise" / f"{name}.wav", noise / 8)
    return folder


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    random = np.random.default_rng(0)
    utterances = []
    for number, split in enumerate(("train", "train", "train", "validation", "test")):
        clean, files = tone(number), {}
        for kind, waveform in (
            ("clean", clean),
            ("noisy", clean + 0.05 * random.standard_normal(len(clean)).astype(np.float32)),
        ):
            files[kind] = folder / f"{number}-{kind}.wav"
            audio.write(files[kind], waveform)
        utterances.append(Utterance(str(number), files["clean"], files["noisy"], split))
    return Manifest(tuple(utterances), "mini")


def stored(settings, manifest, folder):
    spectra = xu.log_spectra(settings, manifest.split("train"))
    return Stored.create(folder / "features", spectra, xu.layout(settings))


def fit(config, manifest, folder, resume=False):
    backends.make_deterministic(config.seed)
    settings = dataclasses.asdict(config)
    if resume:
        run = Run.resume(folder, settings, may_change=("epochs", "iterations"), quiet=True)
    else:
        run = Run.create(folder, settings, quiet=True)
    return xu.fit(config, manifest, run)["DNN"], run


def test_variants_are_those_of_the_facts():
    code, paper = xu.VARIANTS["code-full"], xu.VARIANTS["paper"]
    facts = (code.learning_rate, code.batch, code.iterations, code.context, code.segment_hop, code.dropout)
    assert facts == (1e-4, 500, 10_000, 3, 3, 0.2)
    assert (paper.sample_rate, paper.window, paper.hop, paper.context) == (8000, 256, 128, 5)
    assert (paper.input_dropout, paper.dropout, paper.noise_frames, paper.equalisation) == (
        0.1,
        0.2,
        6,
        "beta",
    )
    assert xu.front_end(paper).bins == 129
    assert recipe.load("xu").choose_variant(None, "sednn-mini") == "code-mini"
    assert recipe.load("xu").choose_variant("code", "read-speech-noise115") == "code-read"


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "dnn9"},
        {"loss": "x"},
        {"equalisation": "x"},
        {"iterations": 0},
        {"epochs": 0},
        {"iterations": "none"},
        {"snrs": " "},
        {"snrs": "0,inf"},
        {"train_snrs": ","},
        {"train_snrs": "0,nan"},
        {"speeds": ""},
        {"speeds": "1,0"},
        {"speeds": "nan"},
        {"pretraining_epochs": 1},
        {"initialisation": "x"},
        {"initialisation": "identity"},  # snn1 has 512 units, 514 are needed
        {"initialisation": "identity", "model": "dnn1", "activation": "sigmoid"},
        {"initialisation": "identity", "model": "dnn1", "scale_at_test": True},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(RecipeError):
        changed(SMALL, wrong)


def test_what_our_variants_depart_in_stands_above_their_tables():
    data = [
        "train_snrs = 0,10,20,30,40 instead of none",
        "magnification = 1 instead of 2",
        "speeds = 0.8,0.87,0.93,1,1.07,1.15,1.25 instead of 1",
        "iterations = 60000 instead of 10000",
    ]
    ours = [
        "magnification = 9 instead of 2",
        "dropout = 0 instead of 0.2",
        "initialisation = identity instead of glorot",
    ]
    for variant, expected in (("code-read", data), ("read", ours)):
        assert recipe.load("xu").reference(variant) == "code-full"
        assert differences(xu.VARIANTS[variant], xu.VARIANTS["code-full"]) == expected


@pytest.mark.parametrize("variant", [None, "code"])
def test_no_corpus_gets_another_network_than_the_port_s_unasked(variant):
    for corpus in ("read-speech-noise115", "timit-noise115", "sednn-mini", "folder"):
        config = xu.VARIANTS[recipe.load("xu").choose_variant(variant, corpus)]
        assert (config.dropout, config.initialisation) == (0.2, "glorot")


def test_an_identity_begins_with_the_noisy_spectrum(manifest, tmp_path):
    """The loss before training is the distance of the noisy from the clean spectra."""
    changes = {"initialisation": "identity", "model": "dnn1", "iterations": 1, "log_interval": 1}
    config = changed(SMALL, changes)
    store = stored(config, manifest, tmp_path)
    front = xu.normalised_by(store, config)
    noisy, clean = (front.normalise(rows) for rows in store.batch(np.arange(len(store))).values())
    store.close()
    _, run = fit(config, manifest, tmp_path / "run")
    expected = np.abs(noisy[:, config.context] - clean).mean()
    np.testing.assert_allclose(run.log[0]["train_loss"], expected, rtol=1e-5)


def test_training_on_pairs_learns_and_resumes_to_the_same_weights(manifest, tmp_path):
    whole, run = fit(SMALL, manifest, tmp_path / "whole")
    losses = [row["train_loss"] for row in run.log]
    assert losses[-1] < 0.7 * losses[0]
    assert "validation_loss" in run.log[0]
    assert not (tmp_path / "whole" / "features" / "train").exists()
    fit(dataclasses.replace(SMALL, iterations=15), manifest, tmp_path / "parts")
    resumed, _ = fit(SMALL, manifest, tmp_path / "parts", resume=True)
    for ours, theirs in zip(resumed.network.get_weights(), whole.network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_paper_variant_trains_and_its_model_comes_back(manifest, tmp_path):
    enhancer, run = fit(PAPER, manifest, tmp_path / "run")
    losses = [row["train_loss"] for row in run.log]
    assert losses[-1] < losses[0]
    assert enhancer.front_end.sample_rate == 8000
    assert float(enhancer.front_end.equalisation) > 0.2
    enhancer.save(tmp_path / "model.keras")
    noisy = tone(3)[::2]
    np.testing.assert_array_equal(
        load_model(tmp_path / "model.keras").enhance(noisy), enhancer.enhance(noisy)
    )


class Halved(keras.layers.Layer):
    def call(self, inputs):
        return 0.5 * inputs[:, 0]


@pytest.mark.parametrize("kind", ["alpha", "beta"])
def test_equalisation_restores_the_variance_of_the_training_targets(manifest, tmp_path, kind):
    """A network that gives half the target needs the factor 2."""

    class Targets(Stored):
        def batch(self, numbers):
            target = super().batch(numbers)["target"]
            return {"context": target[:, None], "target": target}

    settings = dataclasses.replace(SMALL, equalisation=kind)
    spectra = xu.log_spectra(settings, manifest.split("train"))
    inputs = keras.Input((1, 257))
    with Targets.create(tmp_path / "features", spectra, xu.layout(settings)) as store:
        factors = xu.equalisation(settings, keras.Model(inputs, Halved()(inputs)), store)
    np.testing.assert_allclose(factors, 2.0, rtol=1e-5)
    assert np.shape(factors) == ((257,) if kind == "alpha" else ())


def test_sgd_is_the_papers_and_the_trainers():
    """BP_GPU.cu: rate / batch * (1 - momentum); momentum 0.5 to 0.9 in ten epochs, then the rate falls."""
    improved, base = xu.VARIANTS["paper"], xu.VARIANTS["paper-base"]
    for epoch, momentum in ((1, 0.5), (2, 0.54), (11, 0.9), (50, 0.9)):
        assert xu.sgd(improved, epoch) == pytest.approx(((1 - momentum) / 128, momentum))
    for epoch, rate in ((1, 0.1), (10, 0.1), (11, 0.09), (12, 0.081)):
        assert xu.sgd(base, epoch) == pytest.approx((rate * 0.1 / 128, 0.9))


def test_weight_decay_acts_on_kernels_only():
    settings = dataclasses.replace(SMALL, loss="mse", weight_decay=0.5 / 50)
    network = networks.dnn(1, 2, units=1, hidden_layers=0, dropout=0)
    network.set_weights([np.ones((2, 2)), np.ones(2)])
    player = Player("dnn", (network,), keras.optimizers.SGD(0.1), xu.training_loss(settings, network))
    step = Step([player], {"context": (None, 1, 2), "target": (None, 2)})
    step(context=np.zeros((4, 1, 2)), target=np.ones((4, 2)))
    kernel, bias = network.get_weights()
    np.testing.assert_allclose(kernel, 1 - 0.1 * 0.5, rtol=1e-6)
    np.testing.assert_allclose(bias, 1.0)


def test_the_length_is_that_of_the_epochs_if_there_are_any():
    assert xu.VARIANTS["paper"].length == "50 epochs"
    assert xu.VARIANTS["code-full"].length == "10,000 iterations"
    assert changed(xu.VARIANTS["code-full"], {"epochs": 3}).length == "3 epochs"
    assert xu.divided(changed(SMALL, {"epochs": 3}), 7).total == 21


def test_every_setting_says_what_it_is_and_where_it_comes_from():
    for record in listed(SMALL):
        assert record["meaning"], record["name"]
        assert record["source"], record["name"]


def test_data_without_training_pairs_are_named(manifest, tmp_path):
    with pytest.raises(DataError, match="no training pairs"):
        fit(SMALL, Manifest(manifest.split("test"), "mini"), tmp_path / "run")


@pytest.mark.parametrize("wrong", [{"train_snrs": "5,5"}, {"speeds": "1,1"}, {"magnification": 3}])
def test_mixing_that_cannot_be_is_refused_before_anything_is_written(folder, tmp_path, wrong):
    request = runs.Request("xu", str(folder), out=str(tmp_path / "run"), changes=wrong)
    for start in (runs.plan, runs.reproduce):
        with pytest.raises(DataError) as caught:
            start(request)
        assert isinstance(caught.value, UsageError)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "variant", "counts"),
    [
        ({}, None, "8 train, 0 validation, 4 test"),
        ({"speeds": "0.9,1,1.1"}, None, "24 train, 0 validation, 4 test"),
        ({"train_snrs": "0,10,20"}, None, "24 train, 0 validation, 4 test"),
        ({"magnification": 2}, "read", "8 train, 0 validation, 4 test"),
    ],
)
def test_the_plan_counts_mixtures(folder, changes, variant, counts):
    text = runs.plan(runs.Request("xu", str(folder), variant=variant, changes=changes))
    assert counts in text
    departures = (
        "read is an adaptation of code-full: magnification = 9 instead of 2, dropout = 0 instead of 0.2, "
        "initialisation = identity instead of glorot"
    )
    assert (departures in text) == (variant == "read")


def test_a_run_mixes_trains_and_gives_a_table_by_noise(folder, tmp_path):
    out = tmp_path / "run"
    changes = {"model": "snn1", "iterations": 20, "batch": 50, "log_interval": 20}
    request = runs.Request("xu", str(folder), out=str(out), changes=changes, quiet=True, plot=True)
    text = str(runs.reproduce(request))
    assert "NOT COMPARABLE" in text
    assert "iterations = 20 instead of 10000" in text
    for row in ("noisy, hiss", "DNN, rumble", "DNN, pink"):  # ours, ours, the README's
        assert f"| {row} " in text
    assert "2.01 ± 0.23" in text
    assert len(list((out / "report").glob("spectrogram-*.png"))) == 2
    mixed = Manifest.read(out / "data" / "manifest.csv")
    size = sum(file.stat().st_size for file in (out / "data").rglob("*.wav"))
    assert runs._mixed_bytes(mixed) == pytest.approx(size, rel=0.01)


def test_a_run_that_is_stopped_leaves_no_features_and_goes_on(manifest, tmp_path):
    settings = dataclasses.replace(SMALL, iterations=6, log_interval=4)
    run = Run.create(tmp_path / "run", dataclasses.asdict(settings), quiet=True, stop_after=0)
    backends.make_deterministic(0)
    with pytest.raises(Stopped):
        xu.fit(settings, manifest, run)
    assert not list((tmp_path / "run" / "features").iterdir())
    resumed, run = fit(settings, manifest, tmp_path / "run", resume=True)
    whole, other = fit(settings, manifest, tmp_path / "whole")
    for ours, theirs in zip(resumed.network.get_weights(), whole.network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(run.log, other.log, strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
