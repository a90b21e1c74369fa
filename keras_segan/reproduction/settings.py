"""Settings of a reproduction: fields that carry their unit, source and meaning as data.

A recipe's settings are a frozen dataclass `Settings` on `BaseSettings`, each field made by `setting`:

    epochs: int = setting(600, "GAN_epoch in the program", unit="epochs", at_least=1, role="length")

so that `kseg reproduce PAPER --settings` can list them, the ledger can quote them and `--set` can read them.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_segan.errors import RecipeUsageError

LARGEST_SEED = 2**32 - 1  # numpy.random.seed takes no larger one
ROLES = ("value", "row", "length", "neutral")


@dataclass(frozen=True)
class About:
    """What is known of a setting besides its value.

    Attributes:
        meaning: What it is, in a few words.
        source: Where the value comes from: the paper's section, a variable of the program, or "ours".
        unit: Unit of the value, empty if it has none.
        choices: The values it may have; empty for any.
        at_least: Smallest value, `None` for any.
        at_most: Largest value, `None` for any.
        role: `"value"`: another value is another experiment; `"row"`: it chooses a row of the paper's tables,
            such as the target metric; `"length"`: how long the training is, which may grow when a run is
            resumed; `"neutral"`: the result does not depend on it but for rounding.
    """

    meaning: str = ""
    source: str = ""
    unit: str = ""
    choices: tuple = ()
    at_least: float | None = None
    at_most: float | None = None
    role: str = "value"


def setting(default: Any, meaning: str = "", source: str = "", **about: Any) -> Any:
    """Declares a field of a settings class.

    Args:
        default: Value of the default variant.
        meaning: What it is, in a few words.
        source: Where the value comes from; see `About`.
        **about: Further attributes of `About`: unit, choices, at_least, at_most, role.

    Returns:
        A dataclass field.
    """
    return dataclasses.field(default=default, metadata={"about": About(meaning, source, **about)})


@dataclass(frozen=True)
class BaseSettings:
    """Base of all settings; a recipe's own class adds fields and may override `check`."""

    corpus: str = setting("folder", "corpus that the variant was published on", role="neutral")
    seed: int = setting(
        0, "seed of weights and order", source="ours", role="neutral", at_least=0, at_most=LARGEST_SEED
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _check_value(field.name, getattr(self, field.name), about(field))
        self.check()

    def check(self):
        """Raises `ValueError` where settings do not fit each other, before anything is written."""

    @property
    def length(self) -> str:
        """How long the training takes, in words."""
        named = [(getattr(self, f.name), about(f).unit) for f in dataclasses.fields(self) if is_length(f)]
        return ", ".join(f"{value:,} {unit}" for value, unit in named if value is not None)

    @property
    def choice(self) -> dict[str, Any]:
        """What chooses the row of the paper's table, by name; switches that are off are left out."""
        rows = [f.name for f in dataclasses.fields(self) if about(f).role == "row"]
        return {name: getattr(self, name) for name in rows if getattr(self, name) not in (False, None)}


def about(field: dataclasses.Field) -> About:
    """Returns what is known of a field of a settings class."""
    return field.metadata.get("about", About())


def is_length(field: dataclasses.Field) -> bool:
    """Whether a field says how long the training is, which may grow when a run is resumed."""
    return about(field).role == "length"


def _check_value(name: str, value: Any, facts: About):
    for part in value if isinstance(value, tuple) else (value,):
        if isinstance(part, float) and not math.isfinite(part):
            raise ValueError(f"{name} must be a finite number, not {part}.")
        if facts.choices and part is not None and part not in facts.choices:
            known = ", ".join(map(str, facts.choices))
            raise ValueError(f"{name} must be one of {known}, not '{part}'.")
        number = isinstance(part, (int, float)) and not isinstance(part, bool)
        if number and facts.at_least is not None and part < facts.at_least:
            raise ValueError(f"{name} must be at least {facts.at_least:g}, not {part}.")
        if number and facts.at_most is not None and part > facts.at_most:
            raise ValueError(f"{name} must be at most {facts.at_most:g}, not {part}.")


def changed(settings: BaseSettings, changes: Mapping[str, Any]) -> BaseSettings:
    """Returns settings with some values replaced.

    Args:
        settings: The settings of a variant.
        changes: Values by name; text is read by the field's type: `true`, `12`, `none`, `0,5,10`.

    Returns:
        The changed settings.

    Raises:
        RecipeError: For an unknown name, a value of another type, or one that is out of range.
    """
    kinds = typing.get_type_hints(type(settings))
    fields = [field.name for field in dataclasses.fields(settings)]
    for name in changes:
        if name not in fields:
            nearest = difflib.get_close_matches(name, fields, n=1, cutoff=0.5)
            hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
            raise RecipeUsageError(f"There is no setting '{name}' here.{hint} --settings lists them all.")
    values = {name: read_value(name, value, kinds[name]) for name, value in changes.items()}
    try:
        return dataclasses.replace(settings, **values)
    except ValueError as error:
        raise RecipeUsageError(str(error)) from error


def read_value(name: str, value: Any, kind: Any) -> Any:
    """Reads the value of a setting from text.

    Args:
        name: Name of the setting, for the message.
        value: Text; anything else is returned as it is, a list as a tuple.
        kind: Type of the field: `bool`, `int`, `float`, `str`, `tuple[..., ...]`, or one of them `| None`.

    Returns:
        The value.

    Raises:
        RecipeError: If the text is not of that type.
    """
    if not isinstance(value, str):
        return tuple(value) if isinstance(value, list) else value
    options = typing.get_args(kind) if _is_union(kind) else (kind,)
    if type(None) in options and value.strip().lower() in ("none", ""):
        return None
    kind = next(option for option in options if option is not type(None))
    try:
        return _read(value.strip(), kind)
    except (ValueError, KeyError) as error:
        raise RecipeUsageError(f"{name} needs {type_name(kind)}, not '{value}'.") from error


def _is_union(kind: Any) -> bool:
    return isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union


def _read(text: str, kind: Any) -> Any:
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        return tuple(_read(part.strip(), inner) for part in text.split(",") if part.strip())
    if kind is bool:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
    return kind(text)


def type_name(kind: Any) -> str:
    """Returns the words for the type of a setting, e.g. "a whole number or none"."""
    if _is_union(kind):
        inner = [option for option in typing.get_args(kind) if option is not type(None)]
        return f"{type_name(inner[0])} or none"
    if typing.get_origin(kind) is tuple:
        return {float: "numbers", int: "whole numbers", str: "words"}[typing.get_args(kind)[0]] + (
            " with commas between them"
        )
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}[kind]


def differences(settings: BaseSettings, reference: BaseSettings) -> list[str]:
    """Says which values differ from a variant's, but for those that choose a row or do not matter."""
    found = []
    for field in dataclasses.fields(settings):
        ours, theirs = getattr(settings, field.name), getattr(reference, field.name)
        if ours != theirs and about(field).role in ("value", "length"):
            found.append(f"{field.name} = {as_text(ours)} instead of {as_text(theirs)}")
    return found


def as_text(value: Any) -> str:
    """Returns a value as `--set` takes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(as_text, value))
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def listed(settings: BaseSettings) -> list[dict[str, Any]]:
    """Lists settings as records: name, value, unit, source, meaning, type and role."""
    kinds = typing.get_type_hints(type(settings))
    records = []
    for field in dataclasses.fields(settings):
        facts = about(field)
        records.append(
            {
                "name": field.name,
                "value": getattr(settings, field.name),
                "unit": facts.unit,
                "source": facts.source,
                "meaning": facts.meaning,
                "type": type_name(kinds[field.name]),
                "choices": list(facts.choices),
                "role": facts.role,
            }
        )
    return records
