"""SEGAN, UNetGAN and CP-GAN from data to table with tiny networks: resume, lengths, noise, planted faults."""

import csv
import dataclasses
import json
import tracemalloc

import keras
import numpy as np
import pytest
import soundfile
from keras import ops

from keras_segan import enhancement
from keras_segan.backends import value_and_gradients
from keras_segan.cli import run as command
from keras_segan.errors import DataError, ModelError, RecipeError
from keras_segan.front_ends import WaveformFrontEnd
from keras_segan.models import cpgan as networks
from keras_segan.models import segan as segan_networks
from keras_segan.models import waveform
from keras_segan.models.registry import load_model
from keras_segan.reproduction import recipe
from keras_segan.reproduction.run import Request, look_up, plan, reproduce
from keras_segan.reproduction.settings import changed
from keras_segan.reproductions import cpgan, segan, unetgan

RATE = 16000
SMALL = {
    "segan": {"depths": (2, 3, 4), "window": 2048, "hop": 1024, "overlap": 256, "batch": 8},
    "unetgan": {"levels": 3, "baseline_levels": 3, "interval": 2, "widths": (2, 3), "window": 2048}
    | {"overlap": 256, "batch": 2, "validate_every": 2},
    "cpgan": {"widths": (2, 3, 4), "lateral": 3, "growth": 2, "depths": (2, 3, 4), "local_widths": (2, 3)}
    | {"window": 2048, "hop": 1024, "overlap": 256, "batch": 8, "segment_lengths": (256, 512)},
}


@pytest.fixture(scope="module")
def corpus(short_corpus):
    return short_corpus({"train": 3, "validation": 1, "test": 2}, 1.2)


def request(paper, corpus, folder, epochs, resume=False, **changes):
    changes = {**SMALL[paper], "epochs": epochs, **changes}
    return Request(
        paper, str(corpus), variant="mini", out=str(folder), changes=changes, resume=resume, quiet=True
    )


@pytest.fixture(scope="module", params=SMALL)
def runs(request, corpus, tmp_path_factory):
    """A run of two epochs, and one that was resumed after the first."""
    paper, folder = request.param, tmp_path_factory.mktemp(request.param)
    return paper, folder, _both(paper, corpus, folder)


def _both(paper, corpus, folder):
    result = reproduce(request(paper, corpus, folder / "whole", 2))
    reproduce(request(paper, corpus, folder / "resumed", 1))
    reproduce(request(paper, corpus, folder / "resumed", 2, resume=True))
    return result


def log(folder):
    with open(folder / "log.csv") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_a_resumed_run_ends_with_the_same_numbers(runs):
    _, folder, _ = runs
    assert log(folder / "whole") == log(folder / "resumed")
    ours, theirs = (np.load(folder / f / "checkpoints" / "epoch-00002.npz") for f in ("resumed", "whole"))
    assert ours.files == theirs.files
    for key in theirs.files:
        if not key.startswith("__"):
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def test_the_table_has_all_systems_and_judges_the_claims(runs):
    paper, _, result = runs
    assert "NOT COMPARABLE" in result.text
    systems = {row["system"] for row in result.content["rows"]}
    expected = set(recipe.load(paper).variants["mini"].models)
    names = {"segan": segan.SYSTEMS, "unetgan": unetgan.SYSTEMS, "cpgan": cpgan.SYSTEMS}[paper]
    assert {names[model] for model in expected} | {"noisy", "Wiener"} <= systems
    assert any(claim["verdict"] != "not measured" for claim in result.content["claims"])
    if paper == "cpgan":
        flagged = [row for row in result.content["rows"] if row["system"] == "CP-GAN"]
        assert all(row["grade"] == "unverified" for row in flagged)


def test_nothing_of_the_training_data_is_left(runs):
    _, folder, _ = runs
    assert not list((folder / "whole").rglob("*.f32"))


def test_saved_models_enhance_any_length_without_losing_a_sample(runs):
    _, folder, _ = runs
    model = load_model(folder / "whole")
    noise = np.random.default_rng(0).standard_normal(7000).astype(np.float32) / 10
    for length in (1, 100, 2047, 2048, 2049, 3840, 3841, 7000):
        enhanced = enhancement.enhance(model, noise[:length], RATE)
        assert enhanced.shape == (length,)
        assert np.isfinite(enhanced).all()
        np.testing.assert_array_equal(enhanced, enhancement.enhance(model, noise[:length], RATE))
    assert enhancement.enhance(model, np.zeros(5000, np.float32), RATE).max() == 0


def test_what_the_sources_leave_open_stands_in_the_settings():
    open_ones = [each for each in cpgan.Settings.__dataclass_fields__.values() if each.metadata]
    sources = {each.name: each.metadata["about"].source for each in open_ones}
    for name in ("growth", "depths", "segments", "segment_lengths", "l1_weight", "learning_rate", "batch"):
        assert sources[name].startswith("ours"), name


@pytest.mark.parametrize("paper", SMALL)
def test_what_cannot_be_is_refused_before_anything_is_written(paper, corpus):
    for wrong in ({"overlap": 9000}, {"window": 1000}, {"batch": 0}, {"model": "x"}):
        settings = recipe.load(paper).variants["mini"]
        if paper == "unetgan" and "window" in wrong:
            continue
        with pytest.raises(RecipeError, match=next(iter(wrong)) + "|window|halved"):
            changed(settings, wrong)


@pytest.mark.parametrize("paper", SMALL)
def test_a_plan_counts_without_training(paper, corpus, tmp_path):
    text = plan(request(paper, corpus, tmp_path / "run", 2))
    assert "iterations" in text
    assert not (tmp_path / "run").exists()


def test_too_little_speech_is_said(corpus, tmp_path):
    with pytest.raises(DataError, match="fewer than a batch of 500"):
        reproduce(request("segan", corpus, tmp_path / "run", 1, batch=500))


# --- SEGAN


def test_variants_of_segan_are_those_of_program_and_paper():
    code, paper, alone = (segan.VARIANTS[name] for name in ("code", "paper", "l1"))
    assert (code.adversarial_factor, code.all_windows, code.devices) == (1.0, 300, 3)
    assert (paper.adversarial_factor, paper.all_windows, paper.devices) == (0.5, 400, 1)
    assert (code.learning_rate, code.l1_weight, code.epochs, code.overlap) == (2e-4, 100, 86, 0)
    assert (alone.models, segan.ADAPTED) == (("l1",), {"l1": "code"})


def test_the_weight_of_the_l1_distance():
    code = segan.VARIANTS["code"]
    assert [segan.l1_weight(code, i, 10) for i in (0, 1499, 1500)] == [100, 100, 0]
    falling = dataclasses.replace(code, l1_until=None, l1_decay=1e-2)
    assert [segan.l1_weight(falling, i, 10) for i in (0, 1000, 1100, 99999)] == [100, 100, 99, 0]


def test_factors_of_one_half_reach_the_losses():
    settings = changed(segan.VARIANTS["mini"], {**SMALL["segan"], "model": "segan"})
    random = np.random.default_rng(0)
    noisy, clean = random.standard_normal((2, 8, 2048)).astype(np.float32)
    latent = random.standard_normal((8, 256, 4)).astype(np.float32)
    found = {}
    for factor in (1.0, 0.5):
        game = segan.game(dataclasses.replace(settings, adversarial_factor=factor), "segan")
        d, _ = game.discriminator_loss(noisy, clean, latent)
        g, parts = game.generator_loss(noisy, clean, latent, 100.0)
        found[factor] = [float(ops.convert_to_numpy(each)) for each in (d, g - parts["l1"], parts["l1"])]
    np.testing.assert_allclose(found[0.5][:2], np.array(found[1.0][:2]) / 2, rtol=1e-5)
    assert found[0.5][2] == pytest.approx(found[1.0][2])


# --- CP-GAN


def test_one_segment_alone_drives_the_generator():
    settings = changed(cpgan.VARIANTS["mini"], SMALL["cpgan"])
    game = cpgan.game(settings, "cpgan")
    game.locally.set_weights(
        [np.random.default_rng(n).standard_normal(w.shape) / 3 for n, w in enumerate(game.locally.weights)]
    )
    random = np.random.default_rng(1)
    wave = keras.Variable(random.standard_normal((2, 2048, 2)).astype(np.float32))
    first = np.array([[0, 512, 1024, 1536], [1536, 1024, 512, 0]])
    positions = (first[..., None] + np.arange(256)).astype(np.float32)
    _, (gradient,) = value_and_gradients(lambda: game.worst_segment(wave, positions), [wave])
    gradient = np.abs(ops.convert_to_numpy(gradient)).sum(axis=-1)
    for row, starts in zip(gradient, first, strict=True):
        driven = [start for start in starts if row[start : start + 256].any()]
        assert len(driven) == 1
        assert not row[np.setdiff1d(np.arange(2048), driven[0] + np.arange(256))].any()


def test_segments_are_the_same_of_both_signals():
    pairs = np.random.default_rng(0).standard_normal((2, 64, 2)).astype(np.float32)
    positions = np.array([[3, 10], [0, 50]])[..., None] + np.arange(8)
    taken = ops.convert_to_numpy(networks.segments(pairs, positions.astype(np.float32)))
    assert taken.shape == (4, 8, 2)
    np.testing.assert_array_equal(taken[1], pairs[0, 10:18])
    np.testing.assert_array_equal(taken[2], pairs[1, 0:8])


def test_segments_are_drawn_within_the_window_one_length_a_batch():
    settings = cpgan.VARIANTS["paper"]
    lengths = set()
    for number in range(30):
        drawn = cpgan.positions(settings, number)
        assert drawn.shape[:2] == (50, 4)
        assert drawn.min() >= 0
        assert drawn.max() < 16384
        assert (np.diff(drawn, axis=-1) == 1).all()
        lengths.add(drawn.shape[2])
    assert lengths == {2048, 4096, 8192}


def test_published_size_of_the_pyramid():
    generator = networks.generator()
    slopes = sum(layer.alpha.shape[0] for layer in generator.layers if hasattr(layer, "alpha"))
    assert generator.count_params() - slopes == 14_864_193
    assert networks.local_discriminator().count_params() == 1_679_049


# --- enhancing


@pytest.fixture(scope="module")
def enhancer():
    keras.utils.set_random_seed(0)
    generator = segan_networks.generator((2, 3, 4), length=2048)
    random = np.random.default_rng(0)
    generator.set_weights([random.standard_normal(w.shape) / 4 for w in generator.weights])
    return waveform.enhancer(generator, WaveformFrontEnd(overlap=256), {})


@pytest.fixture(scope="module")
def model_file(enhancer, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "segan.keras"
    enhancer.save(path)
    return path


def test_the_noise_depends_on_the_seed_alone(enhancer, model_file, tmp_path):
    noisy = np.random.default_rng(1).standard_normal(9000) / 10
    soundfile.write(tmp_path / "noisy.wav", noisy, RATE)
    outputs = {}
    for name, options in {"a": [], "b": [], "c": ["--seed", "7"], "d": ["--seed", "7"]}.items():
        target = tmp_path / f"{name}.wav"
        words = ["enhance", str(tmp_path / "noisy.wav"), "-o", str(target), "--model", str(model_file), "-q"]
        assert command([*words, *options]) == 0
        outputs[name] = target.read_bytes()
    assert outputs["a"] == outputs["b"]
    assert outputs["c"] == outputs["d"]
    assert outputs["a"] != outputs["c"]


def test_a_seed_for_a_model_without_noise_is_refused():
    with pytest.raises(ModelError, match="takes no noise"):
        enhancement.with_seed(load_model("metricgan-stoi"), 1)


def test_chunks_after_each_other_as_in_the_program():
    """Each chunk by itself, pre-emphasis before and de-emphasis after over the whole."""
    front = WaveformFrontEnd(length=100, overlap=0, scale="none")
    x = np.random.default_rng(0).standard_normal(250).astype(np.float32)
    rows, analysis = front.analyse(x)
    assert rows.shape == (3, 100)
    np.testing.assert_array_equal(rows[2, 50:], 0)
    np.testing.assert_allclose(front.synthesise(rows, analysis), x, atol=1e-6)


@pytest.mark.parametrize("overlap", [0, 1, 30, 50])
@pytest.mark.parametrize("scale", ["int16", "extremes", "none"])
def test_chunks_that_nothing_changes_add_up_to_the_signal(overlap, scale):
    front = WaveformFrontEnd(length=100, overlap=overlap, scale=scale)
    x = np.random.default_rng(0).uniform(-0.9, 0.7, 777).astype(np.float32)
    restored = front.synthesise(*front.analyse(x))
    # The half bit of the 16-bit mapping stays, as in the program.
    np.testing.assert_allclose(restored, x * (65536 / 65535 if scale == "int16" else 1), atol=2e-5)
    assert restored.shape == x.shape


def test_extremes_of_pieces_are_those_of_the_whole():
    front = WaveformFrontEnd(length=100, scale="extremes")
    pieces = [(np.array([0.0, 9.0, -1.0]), 0, 1), (np.array([0.5, -0.25, 7.0]), 0, 2)]
    assert front.measure(pieces) == (-0.25, 0.5)
    assert WaveformFrontEnd(length=100).measure(pieces) is None


def test_memory_does_not_grow_with_the_length(enhancer):
    """What is held at once is that of some chunks."""

    def peak(seconds):
        block = (0.1 * np.random.default_rng(0).standard_normal((RATE, 1))).astype(np.float32)
        tracemalloc.start()
        blocks = enhancement.enhanced_blocks(enhancer, lambda: (block for _ in range(seconds)), RATE, 1)
        samples = sum(len(each) for each in blocks)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert samples == seconds * RATE
        return most

    peak(70)  # what is imported and compiled at first
    assert peak(400) < 1.3 * peak(200)  # eight chunks of 20 s are read at once


FAULTS = {
    "short": np.full(3, 0.1),
    "silent": np.zeros(9000),
    "nan": np.where(np.arange(9000) == 100, np.nan, 0.1),
    "rate": 0.1 * np.sin(np.arange(9000) / 5),
    "loud": 1.5 * np.sin(np.arange(9000) / 5),
}


def test_five_faults_in_files_are_named_and_survived(model_file, tmp_path, capsys):
    for name, samples in FAULTS.items():
        rate = 8000 if name == "rate" else RATE
        soundfile.write(tmp_path / f"{name}.wav", samples, rate, subtype="FLOAT")
    out = tmp_path / "out"
    assert command(["enhance", str(tmp_path), "-o", str(out), "--model", str(model_file)]) == 1
    message = capsys.readouterr().err
    assert "nan.wav" in message
    assert "NaN" in message
    assert "1 of 5 files were not enhanced" in message
    for name, samples in FAULTS.items():
        if name != "nan":
            enhanced, rate = soundfile.read(out / f"{name}.wav")
            assert (len(enhanced), rate) == (len(samples), 8000 if name == "rate" else RATE)
            assert np.abs(enhanced).max() <= 1
    assert not soundfile.read(out / "silent.wav")[0].any()


def test_five_faults_in_data_are_named_and_survived(short_corpus, write, tmp_path):
    folder = short_corpus({"train": 8, "test": 2}, 1.2)
    names = sorted(path.name for path in (folder / "train" / "noisy").iterdir())
    noisy, clean = (folder / "train" / kind for kind in ("noisy", "clean"))
    tone = 0.1 * np.sin(np.arange(19200) / 5)
    write(noisy / names[0], np.zeros(19200))
    write(noisy / names[1], np.where(np.arange(19200) == 5, np.nan, tone))
    write(noisy / names[2], tone[:1000])
    write(clean / names[2], tone[:1000])
    write(noisy / names[3], tone[:15000])
    for kind in (noisy, clean):
        soundfile.write(kind / names[4], tone[::2], 8000)
    result = reproduce(request("segan", folder, tmp_path / "run", 1, model="l1"))
    notes = " ".join(json.loads((tmp_path / "run" / "result.json").read_text())["notes"])
    assert names[0] in notes
    assert names[1] in notes
    assert result.finished
    assert look_up(request("segan", folder, tmp_path / "other", 1)).manifest is not None
