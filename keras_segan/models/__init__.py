"""Networks of the papers, one file each, and the enhancer that carries a trained one."""

import importlib
import pkgutil
from typing import Any

__all__ = sorted(module.name for module in pkgutil.iter_modules(__path__))


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"keras_segan.models.{name}")
    raise AttributeError(f"module 'keras_segan.models' has no attribute '{name}'")
