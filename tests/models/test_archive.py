"""Model files are data: whatever is in one, it is loaded or refused in one sentence that names it."""

import io
import json
import zipfile

import keras
import numpy as np
import pytest

import keras_segan as ks
from keras_segan import limits
from keras_segan.errors import ModelError
from keras_segan.front_ends import FRONT_ENDS, SpectralMaskFrontEnd
from keras_segan.models import archive, metricgan
from keras_segan.models.base import Enhancer

h5py = pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """The members of a good file."""
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    Enhancer(metricgan.generator(units=4, hidden=5), SpectralMaskFrontEnd()).save(path)
    return archive.read_archive(path)


def packed(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def refused(path, words):
    with pytest.raises(ModelError, match=words) as caught:
        ks.load_model(path)
    assert str(caught.value).count(str(path)) == 1
    assert "\n" not in str(caught.value)


def part(config, *keys):
    for key in keys:
        config = config[key]
    return config


ENHANCER, FRONT_END = ("config",), ("config", "front_end", "config")
DENSE = ("config", "network", "config", "layers", 3)
FUNCTION = {"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "function"}
GET_FILE = {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "x"}
CONFIGURATIONS = {
    "no front end": (ENHANCER, {"front_end": None}, "no front end"),
    "a hop of 0": (FRONT_END, {"hop": 0}, "hop"),
    "a frame of gigabytes": (FRONT_END, {"n_fft": 10**9}, "n_fft"),
    "a frame of another network": (FRONT_END, {"n_fft": 256}, r"257.*129"),
    "a rate that is none": (FRONT_END, {"sample_rate": float("nan")}, "rate"),
    "a floor that is none": (FRONT_END, {"mask_floor": "x"}, "mask_floor"),
    "an unknown setting": (FRONT_END, {"new": 1}, "does not know: new"),
    "no network": (ENHANCER, {"network": [1]}, "no network"),
    "facts that are a list": (ENHANCER, {"information": [1]}, "facts"),
    "a front end that is a module": (
        ("config", "front_end"),
        {"module": "os", "registered_name": None},
        "os",
    ),
    "a function of Python": ((*DENSE, "config"), {"activation": FUNCTION}, "builtins"),
    "a function that fetches files": ((*DENSE, "config"), {"activation": GET_FILE}, "keras.utils"),
    "a layer of code": (DENSE, {"class_name": "Lambda"}, "Lambda"),
    "a layer of another module": (DENSE, {"module": "os", "class_name": "system"}, "os.system"),
    "a layer that is no name": (DENSE, {"class_name": ["x"]}, "no name"),
    "a layer of gigabytes": ((*DENSE, "config"), {"units": 10**9}, "'units' is beyond"),
    "a layer that does not fit": ((*DENSE, "config"), {"units": 10**6}, "damaged"),
    "a layer of negative size": ((*DENSE, "config"), {"units": -1}, "damaged"),
    "no layers": (("config", "network", "config"), {"layers": []}, "damaged"),
}


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_a_configuration_that_cannot_be_is_refused_before_anything_is_built(kind, members, tmp_path):
    keys, change, words = CONFIGURATIONS[kind]
    config = json.loads(members[archive.CONFIG])
    part(config, *keys).update(change)
    refused(packed(tmp_path / "m.keras", members | {archive.CONFIG: json.dumps(config)}), words)


MEMBERS = {
    "a configuration that is a list": ({archive.CONFIG: b"[]"}, "no model"),
    "a configuration of another model": (
        {archive.CONFIG: b'{"class_name": "Sequential"}'},
        "not an Enhancer",
    ),
    "brackets without end": ({archive.CONFIG: b"[" * 100_000}, "not readable"),
    "text that is not UTF-8": ({archive.CONFIG: b"\xff\xfe{"}, "not readable"),
    "another member": ({"assets/x": b""}, "assets/x"),
    "weights that are none": ({archive.WEIGHTS: b"x"}, "HDF5"),
}


@pytest.mark.parametrize("kind", MEMBERS)
def test_a_member_that_cannot_be_is_refused(kind, members, tmp_path):
    change, words = MEMBERS[kind]
    refused(packed(tmp_path / "m.keras", members | change), words)


def test_what_would_unpack_to_more_than_the_limit_is_not_unpacked(members, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_UNPACKED", 1 << 20)
    bomb = members | {archive.WEIGHTS: bytes(1 << 21)}
    refused(packed(tmp_path / "m.keras", bomb, zipfile.ZIP_DEFLATED), "unpacks to")


def test_flipped_bytes_are_noticed(members, tmp_path):
    path = packed(tmp_path / "m.keras", members)
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 60):
        content[place] ^= 255
    path.write_bytes(content)
    refused(path, "damaged")


def changed_weights(members, change):
    content = io.BytesIO(members[archive.WEIGHTS])
    with h5py.File(content, "a") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        del file[names[0]]
        change(file, names[0])
    return members | {archive.WEIGHTS: content.getvalue()}


def linked(file, name, link):
    file[name] = link


WEIGHTS = {
    "missing": (lambda file, name: None, "damaged"),
    "of terabytes": (
        lambda file, name: file.create_dataset(name, (10**6, 10**6), "f4", chunks=(1000, 1000)),
        "more than",
    ),
    "in another file": (
        lambda file, name: file.update({name: h5py.ExternalLink("/etc/passwd", "x")}),
        "leads",
    ),
    "elsewhere": (lambda file, name: file.update({name: h5py.SoftLink("/")}), "leads"),
    "of another shape": (lambda file, name: file.create_dataset(name, (3,), "f4"), "damaged"),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_cannot_be_are_refused(kind, members, tmp_path):
    change, words = WEIGHTS[kind]
    refused(packed(tmp_path / "m.keras", changed_weights(members, change)), words)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_every_setting_of_every_front_end_is_checked(name):
    good = FRONT_ENDS[name]().get_config()
    for setting in good:
        for wrong in ("x", [], {"a": 1}, float("nan"), float("inf"), -1e9, 10**12, True):
            with pytest.raises(ValueError, match="rate" if setting == "sample_rate" else setting):
                FRONT_ENDS[name](**{**good, setting: wrong})


def test_arrays_whose_headers_claim_more_than_there_is_are_refused(tmp_path):
    header, claim = io.BytesIO(), {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(header, claim)
    for name, content in {"claims": header.getvalue() + bytes(8), "nothing": b"", "text": b"hello"}.items():
        path = packed(tmp_path / f"{name}.npz", {"mean.npy": content})
        with pytest.raises(ModelError, match=r"mean.npy"):
            archive.read_npz(path)
    np.savez(tmp_path / "objects.npz", mean=np.array([{}], object))
    with pytest.raises(ModelError, match="mean"):
        archive.read_npz(tmp_path / "objects.npz")
    np.savez_compressed(tmp_path / "good.npz", mean=np.arange(3.0), scale=np.ones(3))
    assert archive.read_npz(tmp_path / "good.npz")["mean"].tolist() == [0.0, 1.0, 2.0]
