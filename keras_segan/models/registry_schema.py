"""What an entry of a registry of models may hold: every value's type, and paths that stay in the folder."""

import math
import re
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath

_SHA256 = re.compile(r"[0-9a-f]{64}")


def problem(facts) -> str:
    """Says what is wrong with an entry ("lacks sha256"), or nothing.

    Args:
        facts: The entry as TOML gives it.
    """
    if not isinstance(facts, dict):
        return "is no table"
    return _first_problem(facts, _ENTRY, ("file", "sha256")) or _unprintable(facts)


def _first_problem(facts: dict, schema: dict[str, Callable[[object], str]], required: tuple[str, ...]) -> str:
    missing = sorted(set(required) - set(facts))
    if missing:
        return f"lacks {', '.join(missing)}"
    checked = ((name, schema[name](value)) for name, value in facts.items() if name in schema)
    return next((f"has a '{name}' that {wrong}" for name, wrong in checked if wrong), "")


def _file(value) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        return "is no file name"
    paths = PurePosixPath(value), PureWindowsPath(value)
    if any(path.is_absolute() or path.drive or ".." in path.parts for path in paths):
        return "leads out of the folder"
    return ""


def _checksum(value) -> str:
    return (
        "" if isinstance(value, str) and _SHA256.fullmatch(value) else "is no SHA-256 in hexadecimal digits"
    )


def _text(value) -> str:
    return "" if isinstance(value, str) else "is no text"


def _number(value) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return "" if is_number else "is no finite number"


def _samples(value) -> str:
    is_list = isinstance(value, list) and value and not any(map(_number, value))
    return "" if is_list else "is no list of numbers"


def _twin(value) -> str:
    if not isinstance(value, dict):
        return "is no table"
    return _first_problem(value, {"file": _file, "sha256": _checksum}, ("file", "sha256"))


def _scores(value) -> str:
    if not isinstance(value, dict) or not all(isinstance(score, dict) for score in value.values()):
        return "is no table of metrics"
    schema = dict.fromkeys(("mean", "noisy", "low", "high", "gain", "gain_low", "gain_high", "n"), _number)
    found = (_first_problem(score, schema, ("mean",)) for score in value.values())
    return next(filter(None, found), "")


_ENTRY = {
    "file": _file,
    "sha256": _checksum,
    "onnx": _twin,
    "scores": _scores,
    "output": _samples,
    **dict.fromkeys(("recipe", "target", "summary", "variant", "command", "data", "licence"), _text),
}


def _unprintable(value) -> str:
    """Dates and times, which TOML has and JSON has not."""
    if isinstance(value, dict):
        return next(filter(None, map(_unprintable, value.values())), "")
    if isinstance(value, list):
        return next(filter(None, map(_unprintable, value)), "")
    return "" if isinstance(value, (str, int, float, bool)) else f"holds a {type(value).__name__}"
