"""Importing Keras, whatever the user's settings are."""

import importlib

from keras_segan import backends
from keras_segan.errors import ModelError


def imported():
    """Imports Keras with its backend.

    Returns:
        The module.

    Raises:
        BackendError: If `KERAS_BACKEND` names a backend that is unknown or not installed.
        ModelError: If Keras cannot start for another reason, such as a damaged keras.json.
    """
    backends.require_installed()
    try:
        return importlib.import_module("keras")
    except Exception as error:  # of the backend's own classes, too
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"Keras cannot start ({reason}); set KERAS_BACKEND=tensorflow, or correct keras.json in"
            " ~/.keras or KERAS_HOME."
        ) from error
