import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import soundfile

import keras_segan as ks
from keras_segan import export, inference
from keras_segan.cli import run
from keras_segan.errors import ModelError
from keras_segan.models import metricgan, registry, shah
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd

NOISY = np.random.default_rng(0).normal(0, 0.1, 9000).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A saved model and its ONNX twin, exported once."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    Enhancer(metricgan.generator(units=4, hidden=5), SpectralMaskFrontEnd("log1p"), {"recipe": "x"}).save(
        path
    )
    assert run(["export", str(path), "--format", "onnx"]) == 0
    return path


def test_the_twin_computes_what_keras_does(model):
    ours, twin = ks.load_model(model), ks.load_model(model, "onnx")
    assert isinstance(twin, inference.OnnxEnhancer)
    assert twin.information == {"recipe": "x"}
    assert twin.front_end.get_config() == ours.front_end.get_config()
    np.testing.assert_allclose(ks.enhance(twin, NOISY, 16000), ks.enhance(ours, NOISY, 16000), atol=1e-6)
    both = np.stack([NOISY, NOISY[::-1]], axis=1)
    np.testing.assert_allclose(ks.enhance(twin, both, 44100), ks.enhance(ours, both, 44100), atol=1e-6)


def test_the_description_says_how_to_use_it(model):
    facts = json.loads(model.with_suffix(".onnx.json").read_text())
    assert facts["input"] == {"name": "normalised_magnitude", "dtype": "float32", "shape": [None, None, 257]}
    assert facts["front_end"]["class"] == "SpectralMaskFrontEnd"
    assert facts["front_end"]["config"]["compression"] == "log1p"
    assert facts["parity"]["largest_difference"] <= export.TOLERANCE
    assert facts["model_sha256"] == registry.sha256(model)


def test_enhancing_with_the_twin_needs_no_tensorflow(model, tmp_path):
    soundfile.write(tmp_path / "noisy.wav", NOISY, 16000)
    words = ["enhance", str(tmp_path / "noisy.wav"), "-o", str(tmp_path / "out.wav"), "--model", str(model)]
    code = (
        "import sys\nfrom keras_segan.cli import run\n"
        f"assert run({words!r}) == 0\n"
        "print(*sorted({'keras', 'tensorflow', 'librosa', 'scipy.signal', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
    assert soundfile.info(tmp_path / "out.wav").frames == len(NOISY)


def test_a_twin_of_another_file_is_not_used(model, tmp_path):
    for suffix in (".keras", ".onnx", ".onnx.json"):
        shutil.copy(model.with_suffix(suffix), tmp_path / f"model{suffix}")
    found = registry.find(tmp_path / "model.keras")
    assert registry.runtime(found) == "onnx"
    assert registry.runtime(found, "keras") == "keras"
    Enhancer(metricgan.generator(units=4, hidden=6), SpectralMaskFrontEnd()).save(tmp_path / "model.keras")
    assert registry.runtime(found) == "keras"
    with pytest.raises(ModelError, match="no ONNX twin"):
        registry.runtime(found, "onnx")


def test_unusable_exports_are_named(model, tmp_path):
    shutil.copy(model.with_suffix(".onnx"), tmp_path / "alone.onnx")
    with pytest.raises(ModelError, match=r"alone.onnx.json"):
        ks.load_model(tmp_path / "alone.onnx")
    (tmp_path / "damaged.onnx").write_bytes(b"no network")
    shutil.copy(model.with_suffix(".onnx.json"), tmp_path / "damaged.onnx.json")
    with pytest.raises(ModelError, match="damaged"):
        ks.load_model(tmp_path / "damaged.onnx")


def test_an_existing_export_is_kept_without_force(model, capsys):
    assert run(["export", str(model)]) == 2
    assert "--force" in capsys.readouterr().err
    with pytest.raises(ModelError, match="Unknown format"):
        export.export(ks.load_model(model), model.with_suffix(".x"), "x")


def test_a_wrong_export_is_not_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "compare", lambda *_: export.Parity(1e-3, ((1, 2),)))
    monkeypatch.setattr(export, "_write", lambda network, path, file_format: path.write_bytes(b"x"))
    with pytest.raises(ModelError, match="not the same"):
        export.export(ks.load_model(model), tmp_path / "x.onnx", "onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["litert", "tf_saved_model"])
def test_other_formats(file_format, model, tmp_path, capsys):
    out = tmp_path / "network"
    assert run(["export", str(model), "--format", file_format, "-o", str(out)]) == 0
    assert "largest difference from Keras" in capsys.readouterr().out
    assert (tmp_path / "network.json").exists()


def test_a_network_of_single_frames(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    keras.utils.set_random_seed(0)
    model = Enhancer(shah.generator(units=8), shah.GammatoneFrontEnd())
    export.export(model, tmp_path / "shah.onnx", "onnx")
    twin = ks.load_model(tmp_path / "shah.onnx")
    np.testing.assert_allclose(ks.enhance(twin, NOISY, 16000), ks.enhance(model, NOISY, 16000), atol=1e-6)
