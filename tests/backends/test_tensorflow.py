"""TensorFlow reads how to use oneDNN once, when it starts: hence processes of their own."""

import os
import platform
import subprocess
import sys

import pytest

BUILD = """
import keras
import keras_segan
from keras_segan import backends

backends.make_deterministic(0)
"""


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="TensorFlow may lack oneDNN here."
)
@pytest.mark.parametrize(("setting", "warned"), [("1", True), ("0", False)])
def test_onednn_is_warned_of(setting, warned):
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_ENABLE_ONEDNN_OPTS": setting,
        "CUDA_VISIBLE_DEVICES": "",
    }
    words = [sys.executable, "-c", BUILD]
    result = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert ("import keras_segan before keras" in result.stderr) == warned
