"""Objective measures of speech quality and intelligibility, equal to the original programs.

`get` looks a metric up, `score` computes several at once, `composite` the measures of Hu and Loizou;
`scale` holds the papers' maps to [0, 1] and `pool.ScoringPool` scores many files in worker processes.
Nothing here imports Keras.
"""

import importlib
from types import ModuleType

from keras_segan.metrics.hu_loizou import composite
from keras_segan.metrics.metric import Metric
from keras_segan.metrics.registry import get, names, score

__all__ = ["Metric", "composite", "get", "names", "pool", "scale", "score"]


def __getattr__(name: str) -> ModuleType:
    if name in ("pool", "scale"):
        return importlib.import_module(f"keras_segan.metrics.{name}")
    raise AttributeError(f"module 'keras_segan.metrics' has no attribute '{name}'")
