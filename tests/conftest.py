import os
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # as keras_segan does; tests may import Keras first
# A deadline of 200 ms fails on a busy machine, and where a first call compiles.
hypothesis.settings.register_profile("keras_segan", deadline=None)
hypothesis.settings.load_profile("keras_segan")
SHARED = Path(os.environ.get("KSEG_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared():
    """Finds a file of the material beside the repository, or skips the test."""

    def find(path: str) -> Path:
        if not (SHARED / path).exists():
            pytest.skip(f"needs {path} of the shared material, which is not beside this checkout")
        return SHARED / path

    return find
