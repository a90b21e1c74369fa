import dataclasses
import importlib.util
import json
import sys
import tomllib
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from keras_segan.data import mini
from keras_segan.front_ends import SpectralMaskFrontEnd
from keras_segan.models import metricgan, registry
from keras_segan.models.base import Enhancer
from keras_segan.reproduction import recipe
from keras_segan.reproduction.tables import Row

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(scope="module")
def tool():
    sys.path.insert(0, str(TOOLS))
    spec = importlib.util.spec_from_file_location("add_pretrained", TOOLS / "add_pretrained.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(TOOLS))


@pytest.fixture
def run_folder(tmp_path):
    """A finished run of a tiny model."""
    keras.utils.set_random_seed(0)
    folder = tmp_path / "run"
    folder.mkdir()
    Enhancer(metricgan.generator(units=4, hidden=5), SpectralMaskFrontEnd()).save(folder / "model.keras")
    settings = {"paper": "metricgan", "variant": "mini", "metric": "ssnr", "seed": 1, "epochs": 2}
    (folder / "config.json").write_text(json.dumps({"format": 2, **settings}))
    write_result(folder, None)
    (folder / "log.csv").write_text("epoch,validation_ssnr\n1,-1.5\n2,2.25\n")
    (folder / "scores.csv").write_text("system,id,ssnr\nnoisy,a,0\nlast,a,1\n")
    manifest = mini.prepare(tmp_path / "data")
    rows = manifest.split("test") or manifest.split("validation")
    type(manifest)(rows[:3], "mini").write(tmp_path / "manifest.csv")
    return folder


def write_result(folder, published):
    """Writes a result with one line, for the target."""
    words = dict.fromkeys(("recipe", "title", "variant", "length", "backend", "commit"), "x")
    lists = {name: [] for name in ("facts", "reasons", "claims", "notes")}
    row = Row("last", "SSNR", "ssnr", published, 1.0, (0.0, 2.0), 2)
    content = {
        "format": 2,
        "outcome": "enhancement",
        "paper": dict.fromkeys(("title", "authors", "venue", "url"), "x"),
        "choice": {},
        "seed": 1,
        "data": dict.fromkeys(("corpus", "title", "counts", "split"), "x"),
        "details": {"target": "ssnr"},
        "rows": [dataclasses.asdict(row)],
        **words,
        **lists,
    }
    (folder / "result.json").write_text(json.dumps(content))


def add(tool, run_folder, *more):
    arguments = [
        str(run_folder),
        "tiny",
        "--manifest",
        str(run_folder.parent / "manifest.csv"),
        "--tested-on",
        "mini",
    ]
    arguments += ["--data", "mini", "--licence", "MIT", "--folder", str(run_folder.parent / "models")]
    arguments += ["--command", "kseg reproduce metricgan", "--no-twin", "--jobs", "1", *more]
    return CliRunner().invoke(tool.main, arguments)


def test_a_model_that_does_not_help_is_refused(tool, run_folder):
    result = add(tool, run_folder, "--target", "stoi", "--metrics", "stoi")
    assert result.exit_code == 1
    assert "Not added: stoi changes by -" in result.output
    assert not (run_folder.parent / "models").exists()


def test_a_model_that_helps_is_registered(tool, run_folder, monkeypatch):
    monkeypatch.setattr(tool, "require_improvement", lambda result, target: None)
    result = add(tool, run_folder, "--metrics", "ssnr")
    assert result.exit_code == 0, result.output
    folder = run_folder.parent / "models"
    entry = tomllib.loads((folder / "registry.toml").read_text())["tiny"]
    assert (entry["target"], entry["scores"]["ssnr"]["n"], entry["epochs"]) == ("ssnr", 3, 2)
    assert (
        entry["scores"]["ssnr"]["low"] <= entry["scores"]["ssnr"]["mean"] <= entry["scores"]["ssnr"]["high"]
    )
    assert entry["curve"] == {"ssnr": [-1.5, 2.25]}
    assert "levels" not in entry
    card = (folder / "tiny.md").read_text()
    assert "kseg reproduce metricgan" in card
    assert "| 1 to 2 | -1.500 2.250 | ▁█ |" in card
    assert "[tiny](tiny.md)" in (folder / "README.md").read_text()
    monkeypatch.setenv("KSEG_MODELS", str(folder))
    model = registry.load_model("tiny")
    assert registry.output_difference(model, entry["output"]) < 1e-6
    assert "use --force" in add(tool, run_folder).output


def test_published_numbers_of_other_data_are_left_out(tool, run_folder, monkeypatch):
    monkeypatch.setattr(tool, "require_improvement", lambda result, target: None)
    write_result(run_folder, 2.5)
    for flag, expected in (("--published", 2.5), ("--no-published", None)):
        assert add(tool, run_folder, "--metrics", "ssnr", "--force", flag).exit_code == 0
        entry = tomllib.loads((run_folder.parent / "models" / "registry.toml").read_text())["tiny"]
        assert entry["scores"]["ssnr"].get("published") == expected


def test_the_levels_of_the_training_inputs_go_into_the_file(tool, run_folder, monkeypatch):
    monkeypatch.setattr(tool, "require_improvement", lambda result, target: None)
    result = add(tool, run_folder, "--metrics", "ssnr", "--levels", "-33", "-16")
    assert result.exit_code == 0, result.output
    folder = run_folder.parent / "models"
    assert tomllib.loads((folder / "registry.toml").read_text())["tiny"]["levels"] == [-33.0, -16.0]
    assert registry.load_model(folder / "tiny.keras").front_end.levels == [-33.0, -16.0]
    assert "-33 to -16 dB (RMS)" in (folder / "tiny.md").read_text()


def test_the_improvement_must_be_certain(tool):
    class Result:
        failed = ()

        def __init__(self, low, high):
            from keras_segan.evaluation import Summary

            self._summary = Summary((low + high) / 2, 1.0, low, high, 10)

        def improvement(self):
            return {"stoi": self._summary}

    tool.require_improvement(Result(0.01, 0.1), "stoi")
    for limits in ((-0.01, 0.1), (-0.2, -0.1)):
        with pytest.raises(tool.ModelError, match="not shipped"):
            tool.require_improvement(Result(*limits), "stoi")


def test_registries_are_written_as_they_are_read(tool):
    content = {
        "a-b": {"text": 'quote " ü\n', "numbers": [1.5, 2e-9], "scores": {"x.y": {"n": 3}, "z": {"m": 0.1}}}
    }
    assert tomllib.loads(tool.toml(content)) == content


def test_the_command_names_what_was_changed(tool):
    known = recipe.load("metricgan")
    settings = {
        **json.loads(json.dumps(vars(known.variants["mini"]))),
        "paper": "metricgan",
        "variant": "mini",
    }
    settings |= {"mask_floor": 0.2, "metric": "stoi"}
    command = tool.command_of(settings, "FOLDER")
    assert command.startswith("kseg reproduce metricgan --variant mini --data FOLDER --metric stoi")
    assert command.endswith("--set mask_floor=0.2")
    assert np.size(command.split("--set")) == 2


def test_a_recipe_that_counts_iterations_names_no_epochs(tool):
    config = dataclasses.asdict(recipe.load("xu").variants["read"])
    settings = {**config, "paper": "xu", "variant": "read", "iterations": 8000, "noise_frames": 6}
    assert tool.length(settings) == {"iterations": 8000}
    assert tool.command_of(settings, "M.csv") == (
        "kseg reproduce xu --variant read --data M.csv --model dnn3 --seed 0"
        " --set noise_frames=6 --set iterations=8000"
    )
