import os
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from .material import ARRAYS, SHARED

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # as keras_segan does; tests may import Keras first
# A deadline of 200 ms fails on a busy machine, and where a first call compiles.
hypothesis.settings.register_profile("keras_segan", deadline=None)
hypothesis.settings.load_profile("keras_segan")


@pytest.fixture(scope="session")
def shared():
    """Finds a file of the material beside the repository, or skips the test."""

    def find(path: str, whole: bool = False) -> Path:
        own = ARRAYS / path.removeprefix("goldens/")
        if path.startswith("goldens/") and own.is_file() and not whole:
            return own
        if not (SHARED / path).exists():
            pytest.skip(f"needs {path} of the shared material, which is not beside this checkout")
        return SHARED / path

    return find


@pytest.fixture(scope="session")
def recorded(shared):
    """Reads the arrays of a recording by name, from `tests/fidelity/arrays` or from the shared material."""

    def read(name: str, whole: bool = False) -> dict[str, np.ndarray]:
        parts = [] if whole else sorted(ARRAYS.glob(f"{name}.[0-9].npz"))
        arrays = {}
        for path in parts or [shared(f"goldens/{name}.npz", whole)]:
            with np.load(path) as stored:
                arrays |= {key: stored[key] for key in stored.files}
        return arrays

    return read
