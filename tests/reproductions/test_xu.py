"""The reproduction of Xu et al.: variants, end to end on speech and noise, and what its tables say."""

import dataclasses

import numpy as np
import pytest
from click.testing import CliRunner

from keras_segan import audio, recipe, reproduction, tensorflow_backend
from keras_segan.cli import reproduce
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.errors import DataError, RecipeError, UsageError
from keras_segan.models.registry import load_model
from keras_segan.reproductions import xu
from keras_segan.training.run import Run

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


def fit(config, manifest, folder, resume=False):
    tensorflow_backend.enable_determinism(config.seed)
    run = (Run.resume if resume else Run.create)(folder, dataclasses.asdict(config), quiet=True)
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
    assert recipe.choose_variant(xu, None, "sednn-mini") == "code-mini"
    assert recipe.choose_variant(xu, "code", "read-speech-noise115") == "code-read"


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "dnn9"},
        {"loss": "x"},
        {"equalisation": "x"},
        {"iterations": 0},
        {"snrs": " "},
        {"snrs": "0,inf"},
        {"train_snrs": ""},
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
        recipe.override(SMALL, wrong)


def test_what_our_variants_depart_in_stands_above_their_tables():
    data = [
        "train_snrs = 0,10,20,30,40 instead of snrs",
        "magnification = 1 instead of 2",
        "speeds = 0.8,0.87,0.93,1,1.07,1.15,1.25 instead of 1",
        "iterations = 60000 instead of 10000",
    ]
    ours = [
        "magnification = 9 instead of 2",
        "dropout = 0.0 instead of 0.2",
        "initialisation = identity instead of glorot",
    ]
    for variant, expected in (("code-read", data), ("read", ours)):
        reference = recipe.reference_variant(xu, variant)
        assert reference == "code-full"
        assert recipe.differences(xu, xu.VARIANTS[variant], reference) == expected


@pytest.mark.parametrize("variant", [None, "code"])
def test_no_corpus_gets_another_network_than_the_port_s_unasked(variant):
    for corpus in ("read-speech-noise115", "timit-noise115", "sednn-mini", "folder"):
        config = xu.VARIANTS[recipe.choose_variant(xu, variant, corpus)]
        assert (config.dropout, config.initialisation) == (0.2, "glorot")


def test_an_identity_begins_with_the_noisy_spectrum(manifest, tmp_path):
    """The loss before training is the distance of the noisy from the clean spectra."""
    changes = {"initialisation": "identity", "model": "dnn1", "iterations": 1, "log_interval": 1}
    config = recipe.override(SMALL, changes)
    store = xu.segments(config, manifest.split("train"), tmp_path / "features")
    front = xu.normalised_by(store, config)
    noisy, clean = (front.normalise(rows) for rows in store.batch(np.arange(len(store))))
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


def test_equalisation_restores_the_variance_of_the_training_targets(manifest, tmp_path):
    """A network that gives half the target needs the factor 2."""
    store = xu.segments(SMALL, manifest.split("train"), tmp_path / "features")
    front = xu.normalised_by(store, SMALL)

    def read(store, numbers):
        context, target = store.batch(numbers)
        return front.normalise(target)[:, None], front.normalise(target)

    def network(context, training):
        return 0.5 * context[:, 0]

    for kind in ("alpha", "beta"):
        config = dataclasses.replace(SMALL, equalisation=kind)
        factors = xu.equalisation(config, network, store, read)
        np.testing.assert_allclose(factors, 2.0, rtol=1e-5)
        assert np.shape(factors) == ((257,) if kind == "alpha" else ())
    store.close()


def test_data_without_training_pairs_are_named(manifest, tmp_path):
    with pytest.raises(DataError, match="no training pairs"):
        fit(SMALL, Manifest(manifest.split("test"), "mini"), tmp_path / "run")


@pytest.mark.parametrize("wrong", [{"train_snrs": "5,5"}, {"speeds": "1,1"}, {"magnification": 3}])
def test_mixing_that_cannot_be_is_refused_before_anything_is_written(folder, tmp_path, wrong):
    request = reproduction.Request("xu", str(folder), out=str(tmp_path / "run"), changes=wrong)
    for start in (reproduction.plan, reproduction.reproduce):
        with pytest.raises(DataError) as caught:
            start(request)
        assert isinstance(caught.value, UsageError)
    assert not list(tmp_path.iterdir())


def test_command_mixes_trains_and_prints_a_table_by_noise(folder, tmp_path):
    out = tmp_path / "run"
    arguments = ["xu", "--data", str(folder), "--out", str(out), "--jobs", "1", "--plot", "-q"]
    settings = ["--model", "snn1", "--set", "iterations=20", "--set", "batch=50", "--set", "log_interval=20"]
    result = CliRunner().invoke(reproduce.command, arguments + settings, catch_exceptions=False)
    assert result.exit_code == 0
    assert "NOT COMPARABLE" in result.stdout
    assert "iterations = 20 instead of 10000" in result.stdout
    for row in ("noisy, hiss", "DNN, rumble", "DNN, pink"):  # ours, ours, the README's
        assert f"| {row} " in result.stdout
    assert "2.01 ± 0.23" in result.stdout
    assert len(list((out / "report").glob("spectrogram-*.png"))) == 2
    mixed = Manifest.read(out / "data" / "manifest.csv")
    size = sum(file.stat().st_size for file in (out / "data").rglob("*.wav"))
    assert reproduction._mixed_bytes(mixed) == pytest.approx(size, rel=0.01)
    plan = CliRunner().invoke(reproduce.command, ["xu", "--data", str(folder), "--dry-run"])
    assert "8 train, 0 validation, 4 test" in plan.stdout
    assert "adaptation" not in plan.stdout
    faster = ["xu", "--data", str(folder), "--dry-run", "--set", "speeds=0.9,1,1.1"]
    assert "24 train, 0 validation, 4 test" in CliRunner().invoke(reproduce.command, faster).stdout
    arguments = [
        "xu",
        "--data",
        str(folder),
        "--variant",
        "read",
        "--set",
        "magnification=2",
        "--dry-run",
    ]
    louder = ["xu", "--data", str(folder), "--dry-run", "--set", "train_snrs=0,10,20"]
    assert "24 train, 0 validation, 4 test" in CliRunner().invoke(reproduce.command, louder).stdout
    adapted = CliRunner().invoke(reproduce.command, arguments)
    assert "read is an adaptation of code-full: " in adapted.stdout
    assert "dropout = 0.0 instead of 0.2, initialisation = identity instead of glorot" in adapted.stdout
