"""Importing Keras, whatever the user's settings are."""

import importlib

from keras_segan.errors import ModelError


def imported():
    """Imports Keras with its backend.

    Returns:
        The module.

    Raises:
        ModelError: If it cannot start: the backend that `KERAS_BACKEND` or keras.json names is unknown or not
            installed, or keras.json is damaged.
    """
    try:
        return importlib.import_module("keras")
    except Exception as error:  # of the backend's own classes, too
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"Keras cannot start ({reason}); set KERAS_BACKEND=tensorflow, or correct keras.json in"
            " ~/.keras or KERAS_HOME."
        ) from error
