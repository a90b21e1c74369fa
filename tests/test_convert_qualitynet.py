"""Genuine files of Keras 2.0.9 with a small Quality-Net."""

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_segan import convert
from keras_segan.errors import ModelError

ARRAYS = Path(__file__).parent / "fidelity" / "arrays" / "qualitynet"


@pytest.mark.parametrize("kind", ["weights", "trained"])
def test_the_converted_network_answers_as_keras_2_did(kind, tmp_path):
    small = np.load(ARRAYS / "small.npz")
    conversion = convert.convert_keras2(ARRAYS / f"keras209_small_qualitynet_{kind}.h5")
    assert conversion.kind == "Quality-Net"
    assert conversion.difference < 1e-5
    conversion.model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    for name in ("x0", "x1", "x2"):
        outputs = model.infer(small[name][None])
        np.testing.assert_allclose(outputs["frame_scores"][0], small[f"h5.{name}.frames"], atol=1e-6)
        np.testing.assert_allclose(outputs["score"][0], small[f"h5.{name}.average"], atol=1e-6)


def test_a_network_with_other_gates_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "other.h5"
    path.write_bytes((ARRAYS / "keras209_small_qualitynet_trained.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        text = file.attrs["model_config"]
        text = text.decode() if isinstance(text, bytes) else text
        file.attrs["model_config"] = text.replace('"hard_sigmoid"', '"sigmoid"').encode()
    with pytest.raises(ModelError, match="hard_sigmoid"):
        convert.convert_keras2(path)
