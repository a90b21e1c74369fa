"""Loading of trained models, by name or from a file."""

import importlib
import importlib.resources
import pkgutil
import tomllib
from pathlib import Path

import keras

from keras_segan import models
from keras_segan.errors import ModelError, unknown
from keras_segan.models.base import Enhancer

PACKAGE = "keras_segan.pretrained"

# A .keras file names its classes; Keras finds those that were registered by an import.
for _module in pkgutil.iter_modules(models.__path__, f"{models.__name__}."):
    if _module.name != __name__:
        importlib.import_module(_module.name)


def list_models() -> list[str]:
    """Returns the names of the pretrained models."""
    return sorted(_registry())


def _registry() -> dict[str, dict]:
    file = importlib.resources.files(PACKAGE) / "registry.toml"
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def load_model(name: str | Path) -> Enhancer:
    """Loads a trained model.

    Args:
        name: Name of a pretrained model, or path of a `.keras` file saved by this package.

    Returns:
        The enhancer.

    Raises:
        ModelError: If there is no such model, or the file does not hold one.
    """
    known = _registry()
    if str(name) in known:
        source = importlib.resources.files(PACKAGE) / known[str(name)]["file"]
        with importlib.resources.as_file(source) as path:
            return _load(path)
    path = Path(name)
    if path.is_dir():
        path = path / "model.keras"
    if path.suffix != ".keras" and not path.exists():
        hint = unknown("model", str(name), known) if known else f"Unknown model '{name}'."
        raise ModelError(
            f"{hint} Give a .keras file or a run folder, or one of the names above.", exit_code=2
        )
    if not path.exists():
        raise ModelError(f"{path}: no such file; check the path.")
    return _load(path)


def _load(path: Path) -> Enhancer:
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, TypeError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: not a model of this package, or a damaged one ({reason}).") from error
    if not isinstance(model, Enhancer):
        raise ModelError(
            f"{path}: holds a {type(model).__name__}, not an Enhancer; it has no front end to use it with."
        )
    return model
