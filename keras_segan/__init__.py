"""keras_segan: classic GAN and DNN speech-enhancement papers, reproduced faithfully in Keras 3.

Importing the package imports neither Keras nor TensorFlow; both come with the first name that
needs them. Where Keras is imported already, the package's classes are registered with it, so that
`keras.saving.load_model` reads its files; otherwise use `load_model` or call `register_classes()`.
"""

import importlib
import os
import sys

# On processors with AVX-512 TensorFlow 2.21 takes oneDNN by default, whose layout pass aborts the process in
# MetricGAN's training ("Could not find input edge"). TensorFlow reads this when it is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from keras_segan._version import __version__

_MODULES = (
    "audio",
    "data",
    "dsp",
    "errors",
    "gammatone",
    "layers",
    "metrics",
    "models",
    "reproduction",
    "streaming",
    "training",
)
_NAMES = {
    "load_model": "keras_segan.models.registry",
    "list_models": "keras_segan.models.registry",
    "register_classes": "keras_segan.models.registry",
    "enhance": "keras_segan.enhancement",
    "evaluate": "keras_segan.evaluation",
    "predict": "keras_segan.prediction",
    "list_papers": "keras_segan.reproduction.papers",
    "reproduce": "keras_segan.reproduction.papers",
}

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str):
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"keras_segan.{name}")
    else:
        raise AttributeError(f"module 'keras_segan' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)


if "keras" in sys.modules:
    __getattr__("register_classes")()
