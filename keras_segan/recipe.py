"""What a reproduction is, how one is found, and how its variants are chosen and changed.

A reproduction is a module with

* `PAPER`: a `Paper`,
* `Config`: a frozen dataclass, every field a number or word of the paper with its source,
* `VARIANTS`: named `Config`s; each has the attributes `corpus`, `epochs` (or `length`, see below) and `seed`,
* where a variant is ours and not the paper's, `ADAPTED`: names of such variants and of those that they depart
  from; what differs stands above the table,
* `build(config)`: the networks,
* `fit(config, manifest, run)`: trains and returns `{name of the system: Enhancer}`, the one to keep first,
* `estimate(config, manifest)`: a `Plan`,
* `shown_metrics(config)`: definition ids of the table's measures,
* `published(config)`: table and row of the CSV file that the result is held against, or a row for each system
  by name,
* and where it needs them: `check(config)`, which raises where settings cannot work, before anything is
  written; `mixing(config)`, arguments of `data.sources.mix` for data that come as speech and noise;
  `breakdown(config)`, `"noise"` for a table with a row for each noise; `reader(config)`, a
  `data.pipeline.UtteranceReader` of its own; an attribute `length` of `Config`,
  words for how long it trains, if not epochs; an attribute `sample_rate` if it is not 16 kHz,

beside a ledger `<paper>.md` and a table `<paper>.csv`. It holds no paths, prints or argument parsing.
"""

import ast
import csv
import dataclasses
import importlib
import importlib.metadata
import importlib.resources
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from keras_segan.errors import RecipeError, unknown

PACKAGE = "keras_segan.reproductions"


@dataclass(frozen=True)
class Paper:
    """A paper that is reproduced.

    Attributes:
        title: Its title.
        authors: Its authors.
        venue: Where and when it appeared.
        url: Where to read it.
        metrics: Definition ids of the measures that its tables and ours show.
    """

    title: str
    authors: str
    venue: str
    url: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    Attributes:
        steps: Number of steps by kind.
        seconds: Estimated time on two CPU cores.
        bytes: Estimated disk space of the run folder.
    """

    steps: dict[str, int]
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Published:
    """One row of a reproduction's CSV file; `deviation` is its column std."""

    source: str
    table: str
    row: str
    variant: str
    dataset: str
    metric: str
    definition: str
    value: float
    deviation: float | None = None


def require_choices(config, choices: Mapping[str, tuple[str, ...]]):
    """Raises if a field of a configuration holds none of the words that it may.

    Args:
        config: A configuration.
        choices: Words by name of the field.

    Raises:
        ValueError: That names the field and its words.
    """
    for name, known in choices.items():
        if getattr(config, name) not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not '{getattr(config, name)}'.")


def names() -> list[str]:
    """Returns the names of all reproductions, without importing them."""
    files = importlib.resources.files(PACKAGE).iterdir()
    own = {f.name[:-3] for f in files if f.name.endswith(".py") and not f.name.startswith("_")}
    return sorted(own | {point.name for point in _entry_points()})


def _entry_points():
    return importlib.metadata.entry_points(group=PACKAGE)


def summary(name: str) -> str:
    """Returns the first line of a reproduction's docstring, without importing Keras."""
    source = importlib.resources.files(PACKAGE) / f"{name}.py"
    if not source.is_file():
        return (load(name).__doc__ or "").partition("\n")[0]
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def load(name: str) -> ModuleType:
    """Imports a reproduction.

    Args:
        name: Its name; `-` and `_` are the same.

    Returns:
        The module.

    Raises:
        RecipeError: If there is none of that name.
    """
    name = name.replace("-", "_")
    for point in _entry_points():
        if point.name == name:
            return point.load()
    if name not in names():
        raise RecipeError(unknown("paper", name, names()), exit_code=2)
    return importlib.import_module(f"{PACKAGE}.{name}")


def choose_variant(recipe: ModuleType, variant: str | None, corpus: str) -> str:
    """Chooses the variant: the one named, or else the first made for the corpus.

    Args:
        recipe: The reproduction.
        variant: A name, or `None` or `"code"` for the released program that belongs to the corpus.
        corpus: Name of the corpus at hand.

    Returns:
        A key of the recipe's `VARIANTS`.

    Raises:
        RecipeError: For an unknown variant.
    """
    variants = recipe.VARIANTS
    if variant in variants:
        return variant
    if variant not in (None, "code"):
        raise RecipeError(unknown("variant", variant, variants), exit_code=2)
    published = [name for name in variants if name != "mini"]
    matching = [name for name in published if variants[name].corpus == corpus]
    if variant is None and corpus == "mini" and "mini" in variants:
        return "mini"
    return (matching or published)[0]


def reference_variant(recipe: ModuleType, variant: str) -> str:
    """Returns the variant whose published numbers a variant is held against.

    That is the variant itself, but for `mini` the first one, and for one that is ours what `ADAPTED` says.
    """
    if variant == "mini":
        return next(name for name in recipe.VARIANTS if name != "mini")
    return getattr(recipe, "ADAPTED", {}).get(variant, variant)


def override(config, changes: Mapping[str, object]):
    """Changes fields of a configuration.

    Args:
        config: A frozen dataclass.
        changes: Values by field name; text is converted to the field's type.

    Returns:
        The changed configuration.

    Raises:
        RecipeError: For an unknown field or a value of the wrong type.
    """
    types = typing.get_type_hints(type(config))
    fields = {field.name for field in dataclasses.fields(config)}
    for name in changes:
        if name not in fields:
            raise RecipeError(unknown("setting", name, fields), exit_code=2)
    values = {name: _converted(name, value, types[name]) for name, value in changes.items()}
    try:
        return dataclasses.replace(config, **values)
    except ValueError as error:
        raise RecipeError(str(error), exit_code=2) from error


def _converted(name: str, value, kind):
    if not isinstance(value, str):
        return value
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        return kind(value)
    except (ValueError, KeyError, TypeError) as error:
        raise RecipeError(
            f"Setting {name} needs a value of type {kind.__name__}, not '{value}'.", exit_code=2
        ) from error


_NO_DIFFERENCE = ("corpus", "seed", "metric", "causal", "model", "select", "log_interval")


def differences(recipe: ModuleType, config, variant: str) -> list[str]:
    """Lists what was changed of the variant's settings, but for what chooses a published row or nothing."""
    reference = recipe.VARIANTS[variant]
    changed = []
    for field in dataclasses.fields(config):
        ours, theirs = getattr(config, field.name), getattr(reference, field.name)
        if ours != theirs and field.name not in _NO_DIFFERENCE:
            changed.append(f"{field.name} = {ours} instead of {theirs}")
    return changed


def table(name: str) -> list[Published]:
    """Reads a reproduction's CSV file: published numbers and ours.

    Args:
        name: The reproduction.

    Returns:
        Its rows.
    """
    source = importlib.resources.files(PACKAGE) / f"{name}.csv"
    if not source.is_file():
        return []
    rows = csv.DictReader(source.read_text(encoding="utf-8").splitlines())
    texts = [
        field.name for field in dataclasses.fields(Published) if field.type == "str" or field.type is str
    ]
    return [
        Published(
            **{key: row[key] for key in texts},
            value=float(row["value"]),
            deviation=float(row["std"]) if row["std"] else None,
        )
        for row in rows
    ]
