import dataclasses

import numpy as np
import pytest

from keras_segan import audio, backends
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.errors import DataError, RecipeError
from keras_segan.models.base import Enhancer
from keras_segan.models.registry import load_model
from keras_segan.reproduction import recipe, run
from keras_segan.reproduction.settings import changed, listed
from keras_segan.reproductions import shah
from keras_segan.training.loop import Stopped
from keras_segan.training.run_folder import Run
from keras_segan.wiener import WienerFilter

SMALL = dataclasses.replace(shah.VARIANTS["mini"], units=8, batch=50, epochs=2)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Six pairs of 1 s: a gliding tone in noise."""
    folder = tmp_path_factory.mktemp("pairs")
    random = np.random.default_rng(0)
    t = np.arange(16000) / 16000
    utterances = []
    for number, split in enumerate(("train", "train", "train", "train", "validation", "test")):
        clean = 0.3 * np.sin(2 * np.pi * (200 + 100 * number) * t * (1 + t))
        files = {"clean": clean, "noisy": clean + 0.05 * random.standard_normal(len(t))}
        for kind, waveform in files.items():
            audio.write(folder / f"{number}-{kind}.wav", waveform)
        utterances.append(
            Utterance(str(number), folder / f"{number}-clean.wav", folder / f"{number}-noisy.wav", split)
        )
    return Manifest(tuple(utterances), "mini")


def fit(config, manifest, folder, resume=False):
    backends.make_deterministic(config.seed)
    settings = dataclasses.asdict(config)
    if resume:
        run = Run.resume(folder, settings, may_change=("epochs", "iterations"), quiet=True)
    else:
        run = Run.create(folder, settings, quiet=True)
    return shah.fit(config, manifest, run), run


def weights(systems):
    return [w for system in systems.values() if isinstance(system, Enhancer) for w in system.get_weights()]


def test_variants_are_those_of_the_facts():
    paper, code = shah.VARIANTS["paper"], shah.VARIANTS["code"]
    generator, discriminator = shah.build(paper)
    assert (generator.count_params(), discriminator.count_params()) == (788_032, 559_105)
    assert generator.input_shape == (None, 448)
    assert (paper.learning_rate, paper.batch, paper.epochs, paper.emphasis) == (1e-3, 1000, 30, 0.95)
    assert shah.build(code)[0].input_shape == (None, 320)
    assert (code.output, code.initialisation, code.discriminator_input) == (
        "log-spectrum",
        "released",
        "batch",
    )


@pytest.mark.parametrize(
    "wrong", [{"model": "gan"}, {"output": "x"}, {"epochs": 0}, {"discriminator_input": "x"}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(RecipeError):
        changed(SMALL, wrong)


@pytest.fixture(scope="module")
def every(manifest, tmp_path_factory):
    """Table 1 as a whole."""
    return fit(dataclasses.replace(SMALL, model="all"), manifest, tmp_path_factory.mktemp("every") / "run")


def test_all_systems_are_trained_and_drawn(every, manifest, tmp_path):
    systems, run = every
    assert list(systems) == ["MMSE-GAN", "v-GAN", "DNN", "Wiener"]
    assert isinstance(systems["Wiener"], WienerFilter)
    assert (run.folder / "report" / "figure2.png").stat().st_size > 10_000
    assert [row["epoch"] for row in run.log] == [1, 2]
    noisy = audio.read_mono(manifest.split("test")[0].noisy)
    outputs = [system.enhance(noisy) for system in systems.values()]
    assert {output.shape for output in outputs} == {noisy.shape}
    assert not np.array_equal(outputs[0], outputs[1])
    systems["DNN"].save(tmp_path / "dnn.keras")
    np.testing.assert_array_equal(load_model(tmp_path / "dnn.keras").enhance(noisy), outputs[2])


def test_a_single_system_is_the_same_as_among_all(every, manifest, tmp_path):
    alone, _ = fit(dataclasses.replace(SMALL, model="v-gan"), manifest, tmp_path / "run")
    assert list(alone) == ["v-GAN"]
    for a, b in zip(weights(alone), weights({"": every[0]["v-GAN"]}), strict=True):
        np.testing.assert_array_equal(a, b)


def test_more_epochs_resumed_equal_a_longer_run(manifest, tmp_path):
    small = dataclasses.replace(SMALL, model="dnn")
    longer = dataclasses.replace(small, epochs=3)
    whole, _ = fit(longer, manifest, tmp_path / "whole")
    fit(small, manifest, tmp_path / "parts")
    resumed, run = fit(longer, manifest, tmp_path / "parts", resume=True)
    assert [row["epoch"] for row in run.log] == [1, 2, 3]
    for a, b in zip(weights(resumed), weights(whole), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_dnn_learns(manifest, tmp_path):
    _, run = fit(dataclasses.replace(SMALL, model="dnn", epochs=8), manifest, tmp_path / "run")
    assert run.log[-1]["generator_loss"] < 0.7 * run.log[0]["generator_loss"]
    assert min(row["validation_loss"] for row in run.log[1:]) < run.log[0]["validation_loss"]


def test_the_code_variant_trains(manifest, tmp_path):
    small = {"units": 8, "batch": 50, "epochs": 1, "corpus": "mini"}
    systems, run = fit(dataclasses.replace(shah.VARIANTS["code"], **small), manifest, tmp_path / "run")
    # From its own initialisation the discriminator knows nothing and goes on knowing nothing.
    assert run.log[0]["discriminator_loss"] == pytest.approx(2 * np.log(2), abs=1e-5)
    noisy = audio.read_mono(manifest.split("test")[0].noisy)
    assert np.isfinite(systems["MMSE-GAN"].enhance(noisy)).all()


def test_validation_files_are_drawn_from_training_only_if_there_are_none(manifest):
    train, validation = shah.hold_out(SMALL, manifest)
    assert (train, validation) == (manifest.split("train"), manifest.split("validation"))
    without = Manifest(tuple(u for u in manifest.utterances if u.split != "validation"))
    train, validation = shah.hold_out(SMALL, without)
    assert (len(train), len(validation)) == (3, 1)
    assert set(train) | set(validation) == set(manifest.split("train"))


def test_too_little_data_is_refused(manifest, tmp_path):
    with pytest.raises(DataError, match="fewer than two training pairs"):
        shah.hold_out(SMALL, Manifest(manifest.split("test")))
    with pytest.raises(DataError, match="fewer than a batch"):
        fit(dataclasses.replace(SMALL, batch=10_000), manifest, tmp_path / "run")


def test_the_plan_counts_batches(manifest):
    plan = shah.plan(SMALL, manifest)
    assert plan.steps["batches"] == 2 * (4 * 100 // 50)
    more = shah.plan(dataclasses.replace(SMALL, model="all"), manifest)
    assert more.seconds > plan.seconds > 0
    assert more.bytes > plan.bytes > 0


def test_the_request_chooses_the_systems():
    def plan(**changes):
        return run.plan(run.Request("shah", changes=changes))

    assert "model all" in plan(model="all")
    assert "model v-gan" in plan(model="v-gan")


def test_every_setting_says_what_it_is_and_where_it_comes_from():
    for record in listed(SMALL):
        assert record["meaning"], record["name"]
        assert record["source"], record["name"]


def test_the_published_table_is_complete():
    published = {
        (row.row, row.definition): row.value
        for row in recipe.load("shah").published()
        if row.source == "published"
    }
    assert len(published) == 29  # 6 systems x 5 measures; STOI of the Wiener filter is not given
    assert published["MMSE-GAN", "pesq-wb-lqo"] == 2.53
    assert published["v-GAN", "covl"] == 1.91
    assert {definition for _, definition in published} == set(shah.outcome(SMALL).metrics)
    assert set(shah.SYSTEMS.values()) < {row for row, _ in published}


def test_a_run_that_is_stopped_in_an_epoch_goes_on(manifest, tmp_path):
    small = dataclasses.replace(SMALL, model="all")
    run = Run.create(tmp_path / "run", dataclasses.asdict(small), quiet=True, stop_after=0)
    backends.make_deterministic(0)
    with pytest.raises(Stopped):
        shah.fit(small, manifest, run)
    assert not run.log
    resumed, run = fit(small, manifest, tmp_path / "run", resume=True)
    whole, other = fit(small, manifest, tmp_path / "whole")
    for ours, theirs in zip(weights(resumed), weights(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(run.log, other.log, strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
