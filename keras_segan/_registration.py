"""Tells Keras of our classes as soon as both are imported, in whichever order.

Keras looks for the classes in a `.keras` file in its own registry only, and importing this package shall not
import Keras. So, where Keras is not there yet, the import system is asked to say when it is.
"""

import importlib
import importlib.util
import sys


def register():
    """Registers the classes now, or right after Keras is imported."""
    if "keras" in sys.modules:
        importlib.import_module("keras_segan.models.registry").register_classes()
    else:
        sys.meta_path.insert(0, AfterKeras)


class AfterKeras:
    """A finder that finds nothing itself; see `importlib.abc.MetaPathFinder`."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        """Returns what the other finders find of Keras, with the registration after its execution."""
        if name != "keras":
            return None
        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        if spec is None or _we_are_importing():
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module):
            execute(module)
            register()

        spec.loader.exec_module = execute_and_register
        return spec


def _we_are_importing() -> bool:
    """Says whether a module of ours imports Keras: it cannot be imported again at that moment."""
    ours = (module for name, module in list(sys.modules.items()) if name.startswith("keras_segan."))
    return any(getattr(getattr(module, "__spec__", None), "_initializing", False) for module in ours)
