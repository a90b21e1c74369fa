import json

import numpy as np
import pytest

import keras_segan as ks
from keras_segan import convert
from keras_segan.cli import run
from keras_segan.errors import ModelError
from keras_segan.models import xu

h5py = pytest.importorskip("h5py")


def predict(model, features):
    return np.asarray(model.network(features.astype(np.float32), training=False))


@pytest.mark.parametrize(
    ("file", "answer"),
    [
        ("keras209_small_generator.h5", "h5.y"),
        ("keras209_small_generator_weights.h5", "h5.y"),
        ("keras209_small_generator_trained_one_step.h5", "h5.y_after_step"),
    ],
)
def test_genuine_keras_2_files(file, answer, shared):
    known = np.load(shared("goldens/metricgan/small.npz"))
    conversion = convert.convert_keras2(shared(f"goldens/metricgan/{file}"))
    assert conversion.difference < 1e-6
    assert conversion.model.front_end.n_fft == 10
    np.testing.assert_allclose(predict(conversion.model, known["h5.x"]), known[answer], atol=1e-6)
    assert any("hard sigmoid" in sentence for sentence in conversion.assumptions) == ("weights" in file)


def test_a_discriminator_is_refused(shared):
    with pytest.raises(ModelError, match="none of MetricGAN's generator"):
        convert.convert_keras2(shared("goldens/metricgan/keras209_small_discriminator_weights.h5"))


def write_sednn(path, frames=7, bins=5, units=6, lambda_layer=False):
    """A file as Keras 2.2.4 writes a Sequential model of dense layers."""
    rng = np.random.default_rng(0)
    sizes = [frames * bins, units, units, bins]
    layers = [{"class_name": "Flatten", "config": {"name": "flatten_1"}}]
    if lambda_layer:
        layers.append(
            {"class_name": "Lambda", "config": {"name": "lambda_1", "function": ["aaa", None, None]}}
        )
    weights = []
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights")
        root.attrs["keras_version"] = b"2.2.4"
        names = []
        for number, shape in enumerate(zip(sizes[:-1], sizes[1:], strict=True), start=1):
            name = f"dense_{number}"
            names.append(name.encode())
            activation = "relu" if number < 3 else "linear"
            layers.append({"class_name": "Dense", "config": {"name": name, "activation": activation}})
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
            for part, value in (("kernel:0", rng.normal(size=shape)), ("bias:0", rng.normal(size=shape[1]))):
                weights.append(value.astype(np.float32))
                group[f"{name}/{part}"] = weights[-1]
        root.attrs["layer_names"] = names
        config = {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": layers}}
        file.attrs["model_config"] = json.dumps(config).encode()
    return weights


def test_a_sednn_network_needs_its_scaler(tmp_path):
    weights = write_sednn(tmp_path / "md.h5")
    with pytest.raises(ModelError, match="--scaler"):
        convert.convert_keras2(tmp_path / "md.h5")
    np.savez(tmp_path / "scaler.npz", mean=np.arange(5.0), scale=np.ones(5))
    conversion = convert.convert_keras2(tmp_path / "md.h5", scaler=tmp_path / "scaler.npz")
    assert conversion.difference < 1e-6
    np.testing.assert_array_equal(conversion.model.front_end.mean, np.arange(5.0))
    x = np.random.default_rng(1).normal(size=(3, 7, 5))
    expected = xu.dnn(7, 5, 6, 2)
    expected.set_weights(weights)
    np.testing.assert_allclose(predict(conversion.model, x), expected(x.astype(np.float32)), atol=1e-6)
    np.savez(tmp_path / "wrong.npz", mean=np.arange(4.0), scale=np.ones(4))
    with pytest.raises(ModelError, match="5 values"):
        convert.convert_keras2(tmp_path / "md.h5", scaler=tmp_path / "wrong.npz")


def test_python_code_in_a_file_is_not_run(tmp_path):
    write_sednn(tmp_path / "md.h5", lambda_layer=True)
    with pytest.raises(ModelError, match="Lambda"):
        convert.convert_keras2(tmp_path / "md.h5")
    np.savez(tmp_path / "pickled.npz", weights=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ModelError, match="unpickling"):
        convert.convert_torch(tmp_path / "pickled.npz")


def test_the_command_writes_a_model(shared, tmp_path, capsys):
    source, out = shared("goldens/metricgan/keras209_small_generator.h5"), tmp_path / "model.keras"
    arguments = ["convert", "keras2", str(source), "-o", str(out), "--variant", "table1"]
    assert run(arguments) == 0
    captured = capsys.readouterr()
    assert "737 parameters, largest difference" in captured.out
    assert "Assumed" not in captured.err
    loaded = ks.load_model(out)
    assert loaded.front_end.compression == "none"
    assert loaded.information["converted_from"] == "Keras 2.0.9"
    assert run(arguments) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["convert", "keras2", str(source), "-o", str(tmp_path / "x.h5")]) == 2


@pytest.mark.parametrize("content", [b"", b"no HDF5"])
def test_damaged_files(content, tmp_path):
    (tmp_path / "x.h5").write_bytes(content)
    with pytest.raises(ModelError, match=r"x.h5: no .h5 file of Keras 2"):
        convert.convert_keras2(tmp_path / "x.h5")
    with pytest.raises(ModelError, match="no such file"):
        convert.convert_keras2(tmp_path / "y.h5")


TORCH = [
    ("okd/generator0_weights.npz", "okd/generator_forward.npz", "g0_mask_raw", "MetricGAN-OKD generator"),
    (
        "okd/generator_causal_weights.npz",
        "okd/generator_forward.npz",
        "causal_mask_raw",
        "MetricGAN-OKD causal",
    ),
    ("metricganplus/generator_weights.npz", "metricganplus/forward.npz", "mask", "MetricGAN+ generator"),
]


@pytest.mark.parametrize(("weights", "answers", "name", "kind"), TORCH)
def test_torch_generators(weights, answers, name, kind, shared):
    conversion = convert.convert_torch(shared(f"goldens/{weights}"))
    assert conversion.kind.startswith(kind)
    folder = weights.partition("/")[0]
    features = np.load(shared(f"goldens/{folder}/features.npz"))["noisy_0_feat"]
    expected = np.load(shared(f"goldens/{answers}"))[name]
    np.testing.assert_allclose(predict(conversion.model, features[None])[0], expected, atol=2e-6)
    wav = np.load(shared(f"goldens/{folder}/wavs.npz"))["noisy_0"] / 32768
    own, _ = conversion.model.front_end.analyse(wav.astype(np.float32))
    np.testing.assert_allclose(own, features, atol=2e-6)


def test_torch_checkpoints(shared, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is optional; its own files cannot be read without it")
    stored = np.load(shared("goldens/okd/generator_causal_weights.npz"))
    state = {name: torch.from_numpy(stored[name].astype(np.float32)) for name in stored.files}
    expected = convert.convert_torch(shared("goldens/okd/generator_causal_weights.npz")).model.get_weights()
    torch.save({"epoch": 3, "model": state}, tmp_path / "one.ckpt")
    torch.save({"generators": {"pesq": state, "stoi": state}}, tmp_path / "two.ckpt")
    torch.save({f"module.{name}": value for name, value in state.items()}, tmp_path / "parallel.pt")
    for file, key in (("one.ckpt", None), ("two.ckpt", "generators.stoi"), ("parallel.pt", None)):
        converted = convert.convert_torch(tmp_path / file, key).model.get_weights()
        for ours, theirs in zip(converted, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ModelError, match=r"--key.*pesq, stoi"):
        convert.convert_torch(tmp_path / "two.ckpt")


class Harmful:
    """What unpickling would run."""

    def __reduce__(self):
        return (print, ("executed",))


def test_torch_files_with_code_are_refused(tmp_path, capsys):
    torch = pytest.importorskip("torch", reason="torch is optional; its own files cannot be read without it")
    torch.save({"model": Harmful()}, tmp_path / "harmful.pt")
    with pytest.raises(ModelError, match="without running code"):
        convert.convert_torch(tmp_path / "harmful.pt")
    assert "executed" not in capsys.readouterr().out
