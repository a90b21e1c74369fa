import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_segan as ks
from keras_segan.cli import run
from keras_segan.errors import ModelError
from keras_segan.models import metricgan, registry
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd

ENTRY = """
[tiny]
file = "tiny.keras"
sha256 = "{sha256}"
recipe = "metricgan"
target = "pesq-wb-lqo"
output = {output}

[tiny.scores.pesq-wb-lqo]
mean = 2.5
noisy = 1.97
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder of models with one of them."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("models")
    model = Enhancer(metricgan.generator(units=4, hidden=5), SpectralMaskFrontEnd())
    model.save(folder / "tiny.keras")
    write_entry(folder, model)
    return folder


def write_entry(folder, model):
    entry = ENTRY.format(
        sha256=registry.sha256(folder / "tiny.keras"), output=json.dumps(registry.output_slice(model))
    )
    (folder / "registry.toml").write_text(entry)


@pytest.fixture
def models(tiny, tmp_path, monkeypatch):
    for path in tiny.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("KSEG_MODELS", str(tmp_path))
    return tmp_path


def test_a_folder_of_models_is_found(models):
    assert "tiny" in ks.list_models()
    assert len(registry.output_slice(ks.load_model("tiny"))) == registry.SLICE
    with pytest.raises(ModelError, match="Did you mean 'tiny'"):
        ks.load_model("tinny")


def test_a_wrong_checksum_is_refused(models):
    content = bytearray((models / "tiny.keras").read_bytes())
    content[len(content) // 2] ^= 1
    (models / "tiny.keras").write_bytes(content)
    with pytest.raises(ModelError, match=r"tiny.keras.*wrong checksum"):
        ks.load_model("tiny")
    (models / "tiny.keras").unlink()
    with pytest.raises(ModelError, match="missing"):
        ks.load_model("tiny")


def test_a_folder_without_registry_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("KSEG_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="KSEG_MODELS"):
        ks.list_models()
    (tmp_path / "registry.toml").write_text("[x]\nfile = 'x.keras'\n")
    with pytest.raises(ModelError, match="'x' lacks sha256"):
        ks.list_models()
    (tmp_path / "registry.toml").write_text("no toml")
    with pytest.raises(ModelError, match="not readable"):
        ks.list_models()


def test_listing_needs_no_keras(models):
    code = (
        "import sys, keras_segan.cli as c; assert c.run(['models', 'list']) == 0;"
        "assert 'keras' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pesq-wb-lqo 2.500 (noisy 1.970)" in done.stdout


def test_info_and_verify(models, capsys):
    assert run(["models", "info", "tiny"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["recipe"] == "metricgan"
    assert facts["front_end"]["class"] == "SpectralMaskFrontEnd"
    assert run(["models", "verify"]) == 0
    assert "tiny: ok" in capsys.readouterr().out


def test_a_twin_is_not_run_where_its_runtime_is_missing(monkeypatch, capsys):
    shipped = [name for name, entry in registry.entries().items() if entry.twin]
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert run(["models", "verify", *shipped[:1]]) == 0
    assert "onnx not run" in capsys.readouterr().out


def test_another_output_is_noticed(models, capsys):
    write_entry(models, Enhancer(metricgan.generator(units=4, hidden=5), SpectralMaskFrontEnd()))
    assert run(["models", "verify", "tiny"]) == 1
    assert "tiny: WRONG" in capsys.readouterr().out


def test_only_registered_models_can_be_verified(models, capsys):
    assert run(["models", "verify", str(models / "tiny.keras")]) == 1
    assert "no registry" in capsys.readouterr().err


def test_the_hub_is_asked_only_with_its_package(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match="pip install huggingface_hub"):
        ks.load_model("hf://owner/repository/model.keras")
    with pytest.raises(ModelError, match="hf://owner/repository/file.keras"):
        ks.load_model("hf://owner")


def test_the_hub_is_asked_for_the_file(models, monkeypatch):
    asked = []

    class Hub:
        @staticmethod
        def hf_hub_download(repository, file):
            asked.append((repository, file))
            if file == "missing.keras":
                raise OSError("404")
            return str(models / "tiny.keras")

    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub)
    assert isinstance(ks.load_model("hf://owner/repository/sub/model.keras"), Enhancer)
    assert asked == [("owner/repository", "sub/model.keras")]
    with pytest.raises(ModelError, match="could not be fetched"):
        ks.load_model("hf://owner/repository/missing.keras")


@pytest.mark.parametrize(
    "imports",
    [
        "import keras, keras_segan",
        "import keras_segan as ks, keras; ks.register_classes()",
    ],
)
def test_keras_itself_loads_a_model_once_the_classes_are_registered(imports, models, tmp_path):
    np.save(tmp_path / "noisy.npy", np.random.default_rng(0).normal(0, 0.1, 5000))
    code = (
        f"{imports}\nimport keras; assert keras.saving.load_model({str(models / 'tiny.keras')!r}).front_end"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_imports_no_keras_and_hooks_into_no_import():
    code = (
        "import sys; before = list(sys.meta_path); import keras_segan;"
        "assert sys.meta_path == before; assert 'keras' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
