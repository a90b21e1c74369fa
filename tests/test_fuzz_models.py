"""Damaged and hostile audio and model files: always a result or one sentence, never another error."""

import io
import json
import zipfile

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segan import audio, convert, front_ends, limits
from keras_segan.errors import KsegError
from keras_segan.front_ends import SpectralMaskFrontEnd
from keras_segan.inference import describe, sidecar
from keras_segan.models import archive, registry

h5py = pytest.importorskip("h5py")

# Numbers that headers and settings do not expect.
ODD = [0, 1, -1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 10**30, 0.5, float("nan"), float("inf"), True, None]
values = st.recursive(
    st.sampled_from(ODD) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
fuzzed = settings(max_examples=150, deadline=10_000, derandomize=True)


def outcome(read, path, names_file=True):
    """Returns what a reader makes of a file, `None` if it refuses it in one sentence."""
    try:
        return read(path)
    except KsegError as error:
        message = str(error)
    assert str(path) in message or not names_file
    assert "\n" not in message
    return None


def written(file_format, subtype=None):
    content = io.BytesIO()
    waveform = 0.1 * np.random.default_rng(0).standard_normal((400, 2))
    soundfile.write(content, waveform, 16000, format=file_format, subtype=subtype)
    return content.getvalue()


KINDS = [
    ("WAV",),
    ("WAV", "FLOAT"),
    ("WAV", "IMA_ADPCM"),
    ("WAVEX", "PCM_24"),
    ("RF64",),
    ("W64",),
    ("AIFF",),
]
KINDS += [("AU",), ("CAF",), ("FLAC",), ("OGG",)]
SOUNDS = [written(*kind) for kind in KINDS]
sizes = st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x01\0\0\0"])
damages = st.lists(st.tuples(st.integers(0, 120), sizes | st.binary(max_size=4)), min_size=1, max_size=4)


@fuzzed
@given(st.sampled_from(SOUNDS), damages, st.integers(0, 3000))
def test_a_header_of_any_kind_is_read_or_refused(tmp_path_factory, content, damage, end):
    for place, piece in damage:
        content = content[:place] + piece + content[place + len(piece) :]
    path = tmp_path_factory.getbasetemp() / "fuzz.wav"
    path.write_bytes(content[:end] if end < 1000 else content)
    found = outcome(audio.read, path)
    if found is not None:
        waveform, rate = found
        assert np.isfinite(waveform).all()
        assert limits.LOWEST_RATE <= rate <= limits.HIGHEST_RATE
        assert waveform.nbytes < 1 << 20


GOOD_SETTINGS = {
    "front_end": {"class": "SpectralMaskFrontEnd", "config": SpectralMaskFrontEnd().get_config()},
    "information": {},
    "model_sha256": None,
}


@fuzzed
@given(st.sampled_from(list(SpectralMaskFrontEnd().get_config())), values, st.integers(0, 400), st.booleans())
def test_settings_of_an_exported_model_are_read_or_refused(tmp_path_factory, setting, value, place, is_cut):
    content = json.loads(json.dumps(GOOD_SETTINGS))
    content["front_end"]["config"][setting] = value
    text = json.dumps(content)
    path = tmp_path_factory.getbasetemp() / "fuzz.onnx"
    sidecar(path).write_text(text[:place] if is_cut else text)
    found = outcome(describe, path)
    if found is not None:
        outcome(lambda _: analysed(found), path, names_file=False)


def analysed(description):
    front_end = front_ends.build(description.front_end_class, description.front_end_config)
    return front_end.analyse(np.ones(max(front_end.minimum_samples, 600)))


@fuzzed
@given(st.sampled_from(["class_name", "config", "module", "registered_name", "network", "front_end"]), values)
def test_a_configuration_of_any_kind_is_refused(tmp_path_factory, key, value):
    config = {
        "module": "keras_segan.models.base",
        "class_name": "Enhancer",
        "registered_name": "keras_segan>Enhancer",
        "config": {
            "network": {"class_name": "Functional", "module": "keras.models", "config": {"x": value}},
            "front_end": {"class_name": "SpectralMaskFrontEnd", "config": {}},
        },
    }
    (config if key in config else config["config"])[key] = value
    path = tmp_path_factory.getbasetemp() / "fuzz.keras"
    with zipfile.ZipFile(path, "w") as file:
        members = {archive.CONFIG: json.dumps(config), archive.METADATA: "{}", archive.WEIGHTS: b"no weights"}
        for name, member in members.items():
            file.writestr(name, member)
    assert outcome(archive.check_keras_file, path) is None


@fuzzed
@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 400))
def test_an_archive_of_any_bytes_is_read_or_refused(tmp_path_factory, piece, place, end):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mean.npy", b"x" * 200)
        file.writestr("scale.npy", b"y" * 200)
    whole = content.getvalue()
    damaged = whole[:place] + piece + whole[place + len(piece) :]
    path = tmp_path_factory.getbasetemp() / "fuzz.npz"
    path.write_bytes(damaged[:end] if end < 100 else damaged)
    found = outcome(archive.read_archive, path)
    assert found is None or sum(map(len, found.values())) < 1000


keys = st.sampled_from(["file", "sha256", "onnx", "scores", "output", "recipe", "target", "other"])
TOML = ["5", "-1", "nan", "inf", "true", "1979-05-27", "[]", "[1, 'a']", "{}", "'x.keras'", "'../x'", "''"]
TOML += ["'/etc/passwd'", "'C:\\x'", "{file = 5}", "{file = 'x', sha256 = 7}", "{pesq = {mean = 'x'}}"]
TOML += ["{pesq = 3}", "[" * 3000 + "]" * 3000, f"'{'0' * 64}'", "9" * 5000]
toml_values = st.sampled_from(TOML)


@fuzzed
@given(st.dictionaries(keys, toml_values, max_size=5), st.binary(max_size=3))
def test_a_registry_of_any_kind_is_read_or_refused(tmp_path_factory, entry, junk):
    folder = tmp_path_factory.getbasetemp()
    lines = {"file": "'x.keras'", "sha256": f"'{'0' * 64}'"} | entry
    text = "[m]\n" + "\n".join(f"{key} = {value}" for key, value in lines.items()) + "\n"
    (folder / registry.REGISTRY).write_bytes(text.encode() + junk)
    found = outcome(registry.entries_of, folder)
    for known in (found or {}).values():
        assert known.path.parent.resolve().is_relative_to(folder.resolve())
        assert known.twin is None or known.twin.parent.resolve().is_relative_to(folder.resolve())
        json.dumps(known.facts)


CONFIGS = ["[1, 2]", "5", "null", '"x"', "{", "[" * 5000, '{"config": 5}', '{"config": {"layers": 7}}']
configs = st.sampled_from(CONFIGS) | values.map(json.dumps)
shapes = st.sampled_from([(2, 2), (0, 3), (), (10**6, 10**6)])


@settings(max_examples=60, deadline=10_000, derandomize=True)
@given(configs, shapes, st.sampled_from(["f4", "i8", "S3"]))
def test_an_h5_file_of_any_kind_is_read_or_refused(tmp_path_factory, config, shape, kind):
    path = tmp_path_factory.getbasetemp() / "fuzz.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([b"a"])
        group = file.create_group("a")
        group.attrs["weight_names"] = np.array([b"w", b"v"])
        group.create_dataset("w", shape, kind)
        group["v"] = np.zeros(2, np.float32)
        file.attrs["model_config"] = config
    outcome(convert.convert_keras2, path)
