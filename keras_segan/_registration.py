"""Tells Keras of our classes as soon as both are imported, in whichever order.

Keras looks for the classes in a `.keras` file in its own registry only, and importing this package shall not
import Keras. So, where Keras is not there yet, the imports of Keras and of our own modules are watched.
"""

import importlib
import sys


def register():
    """Registers the classes now, or as soon as Keras is imported."""
    if "keras" in sys.modules:
        importlib.import_module("keras_segan.models.registry").register_classes()
    else:
        sys.meta_path.insert(0, Watch)


class Watch:
    """A finder that finds nothing itself; see `importlib.abc.MetaPathFinder`."""

    running = 0  # modules of Keras's or ours that are being executed

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        """Returns what the other finders find of Keras or of us, with an eye on its execution."""
        if name != "keras" and not name.startswith("keras_segan."):
            return None
        finders = (finder for finder in sys.meta_path if finder is not cls)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in finders)), None)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = cls._watched(spec.loader.exec_module)
        return spec

    @classmethod
    def _watched(cls, execute):
        def execute_and_register(module):
            cls.running += 1
            try:
                execute(module)
            finally:
                cls.running -= 1
            # Not while one of our modules waits for Keras: it cannot be imported again at that moment.
            if not cls.running and "keras" in sys.modules and cls in sys.meta_path:
                sys.meta_path.remove(cls)
                register()

        return execute_and_register
