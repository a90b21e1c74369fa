"""Networks of the papers, one file each, and the enhancer that carries a trained one."""

import importlib

_PAPERS = ("metricgan", "metricgan_okd", "metricgan_plus", "nele_gan", "qnet", "qualitynet", "shah", "xu")

__all__ = ["base", "registry", *_PAPERS]


def __getattr__(name: str):
    if name in __all__:
        return importlib.import_module(f"keras_segan.models.{name}")
    raise AttributeError(f"module 'keras_segan.models' has no attribute '{name}'")
