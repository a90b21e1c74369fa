"""What a reproduction is: the contract, how recipes are found and checked, and their published tables.

A recipe is a Python module that holds

* `PAPER`: a `Paper`,
* `Settings`: a frozen dataclass on `BaseSettings`, each field made by `setting`,
* `VARIANTS`: settings by name, the first one the default; `"mini"` is for the bundled corpus,
* `build(settings)`: the networks,
* `fit(settings, manifest, run)`: trains and returns the systems by name, the one to keep first,
* `plan(settings, manifest)`: a `Plan`,
* `outcome(settings)`: what the run ends in, an `outcomes.Outcome`,

and, where it needs them,

* `ADAPTED`: for a variant that is ours and not the paper's, the variant that it departs from,
* `mixing(settings)`: arguments of `data.sources.mix`, for data that come as speech and noise,

with its ledger `<paper>.md` and its numbers `<paper>.csv` beside it. It holds no paths, prints or argument
parsing. `load` finds a recipe and checks it, so that nothing else has to ask what a recipe has.
"""

import ast
import dataclasses
import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from keras_segan.data.manifest import Manifest
from keras_segan.errors import RecipeError, RecipeUsageError, unknown
from keras_segan.reproduction.settings import BaseSettings, setting

__all__ = ["BaseSettings", "Paper", "Plan", "Published", "Recipe", "load", "names", "setting", "summary"]

PACKAGE = "keras_segan.reproductions"
MINI = "mini"
SOURCES = ("published", "original-code", "ours", "claim")
UNSAFE_GRADES = ("unverified", "disputed", "secondary")  # not to be printed as published without a flag


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
    metrics: tuple[str, ...] = ()


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
    """One row of a recipe's CSV file.

    Attributes:
        source: One of `SOURCES`; a claim is what the article says in words.
        table: Table of the paper.
        row: The system; of a claim the better one.
        variant: Variant that it belongs to.
        dataset: Corpus that it was obtained on.
        metric: Name of the measure in the paper.
        definition: Definition id of the measure.
        value: The number; `None` for a claim.
        deviation: Standard deviation over utterances, column `std`.
        n: Number of utterances.
        grade: How well the number is attested, empty if it was read in the paper itself.
        than: Of a claim the worse system.
    """

    source: str
    table: str
    row: str
    variant: str
    dataset: str
    metric: str
    definition: str
    value: float | None
    deviation: float | None = None
    n: int | None = None
    grade: str = ""
    than: str = ""

    @property
    def is_safe(self) -> bool:
        """Whether the number may be printed as published without a flag."""
        return self.grade not in UNSAFE_GRADES


@dataclass(frozen=True)
class Recipe:
    """A reproduction whose parts have been checked.

    Attributes:
        name: How the command calls it.
        summary: First line of its docstring.
        paper: The paper.
        settings: The class of its settings.
        variants: Settings by name of the variant.
        build: Makes the networks.
        fit: Trains; takes settings, manifest and run, returns systems by name.
        plan: Counts steps and estimates time and disk space; takes settings and manifest.
        outcome: Says what a run with these settings ends in.
        mixing: Arguments of `data.sources.mix`, if the recipe takes data as speech and noise.
        adapted: Variants that are ours, each with the variant that it departs from.
        folder: Where its ledger and its CSV file are.
    """

    name: str
    summary: str
    paper: Paper
    settings: type[BaseSettings]
    variants: Mapping[str, BaseSettings]
    build: Callable[[Any], Any]
    fit: Callable[[Any, Manifest, Any], dict[str, Any]]
    plan: Callable[[Any, Manifest], Plan]
    outcome: Callable[[Any], Any]
    mixing: Callable[[Any], dict[str, Any]] | None = None
    adapted: Mapping[str, str] = field(default_factory=dict)
    folder: Any = None

    @classmethod
    def of(cls, module: ModuleType) -> "Recipe":
        """Checks a module and returns it as a recipe.

        Args:
            module: An imported recipe.

        Returns:
            The recipe.

        Raises:
            RecipeError: That names everything that is missing or of another kind.
        """
        name = module.__name__.rpartition(".")[2]
        problems = [problem for part, kind in _PARTS.items() if (problem := _problem(module, part, kind))]
        if not problems:
            problems = _odd_variants(module)
        if problems:
            raise RecipeError(f"The recipe '{name}' is incomplete: {'; '.join(problems)}.")
        return cls(
            name=name,
            summary=(module.__doc__ or "").strip().partition("\n")[0],
            paper=module.PAPER,
            settings=module.Settings,
            variants=module.VARIANTS,
            build=module.build,
            fit=module.fit,
            plan=module.plan,
            outcome=module.outcome,
            mixing=getattr(module, "mixing", None),
            adapted=getattr(module, "ADAPTED", {}),
            folder=_folder(module),
        )

    def choose_variant(self, variant: str | None, corpus: str) -> str:
        """Chooses the variant: the one named, or else the first that was made for the corpus.

        Args:
            variant: A name, or `None` or `"code"` for the released program that belongs to the corpus.
            corpus: Name of the corpus at hand.

        Returns:
            A key of `variants`.

        Raises:
            RecipeError: For an unknown variant.
        """
        if variant in self.variants:
            return variant
        if variant not in (None, "code"):
            raise RecipeUsageError(unknown("variant", variant, self.variants))
        if variant is None and corpus == MINI and MINI in self.variants:
            return MINI
        published = [name for name in self.variants if name != MINI] or list(self.variants)
        return next((name for name in published if self.variants[name].corpus == corpus), published[0])

    def reference(self, variant: str) -> str:
        """Returns the variant whose published numbers a variant is held against.

        That is the variant itself, but for `mini` the first one, and for one that is ours what `ADAPTED`
        says.
        """
        if variant == MINI:
            return next((name for name in self.variants if name != MINI), MINI)
        return self.adapted.get(variant, variant)

    def published(self) -> list[Published]:
        """Reads the CSV file beside the recipe; empty if there is none."""
        return read_table(self.folder / f"{self.name}.csv") if self.folder else []


def _is(kind: type | tuple[type, ...]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


_PARTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "PAPER": ("a Paper", _is(Paper)),
    "Settings": (
        "a frozen dataclass on BaseSettings",
        lambda value: isinstance(value, type) and issubclass(value, BaseSettings),
    ),
    "VARIANTS": ("settings by name", lambda value: isinstance(value, Mapping) and bool(value)),
    "build": ("a function of the settings", callable),
    "fit": ("a function of settings, manifest and run", callable),
    "plan": ("a function of settings and manifest", callable),
    "outcome": ("a function of the settings", callable),
}


def _problem(module: ModuleType, part: str, kind: tuple[str, Callable[[Any], bool]]) -> str:
    words, fits = kind
    if not hasattr(module, part):
        return f"{part} is missing ({words})"
    return "" if fits(getattr(module, part)) else f"{part} is not {words}"


def _odd_variants(module: ModuleType) -> list[str]:
    odd = [name for name, value in module.VARIANTS.items() if not isinstance(value, module.Settings)]
    unknown_ones = set(getattr(module, "ADAPTED", {}).items())
    lost = [f"{a} -> {b}" for a, b in unknown_ones if not {a, b} <= set(module.VARIANTS)]
    problems = [f"VARIANTS['{name}'] is no Settings" for name in odd]
    return problems + [f"ADAPTED names an unknown variant ({pair})" for pair in lost]


def _folder(module: ModuleType):
    file = getattr(module, "__file__", None)
    return Path(file).parent if file else None


def names() -> list[str]:
    """Returns the names of all reproductions, without importing them."""
    files = importlib.resources.files(PACKAGE).iterdir()
    own = {f.name[:-3] for f in files if f.name.endswith(".py") and not f.name.startswith("_")}
    return sorted(own | {point.name for point in _entry_points()})


def _entry_points():
    return importlib.metadata.entry_points(group=PACKAGE)


def summary(name: str) -> str:
    """Returns the first line of a reproduction's docstring, for our own ones without importing Keras."""
    source = importlib.resources.files(PACKAGE) / f"{name}.py"
    if not source.is_file():
        return load(name).summary
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def variant_names(name: str) -> list[str]:
    """Returns the variants of one of our reproductions without importing it; empty if that cannot be.

    Args:
        name: Name of the reproduction.
    """
    source = importlib.resources.files(PACKAGE) / f"{name.replace('-', '_')}.py"
    if not source.is_file():
        return []
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "VARIANTS" for t in node.targets):
            keys = node.value.keys if isinstance(node.value, ast.Dict) else []
            return [str(key.value) for key in keys if isinstance(key, ast.Constant)]
    return []


def load(name: str) -> Recipe:
    """Finds a recipe, imports it and checks it.

    Args:
        name: Its name, `-` and `_` being the same; or the path of a Python file, `./mine.py`.

    Returns:
        The recipe.

    Raises:
        RecipeError: If there is none of that name, or it is incomplete.
    """
    if name.endswith(".py"):
        return Recipe.of(_from_file(Path(name)))
    name = name.replace("-", "_")
    for point in _entry_points():
        if point.name == name:
            try:
                found = point.load()
            except Exception as error:  # whatever somebody else's code raises
                reason = f"{type(error).__name__}: {error}"
                raise RecipeError(
                    f"The recipe '{name}' of {point.value} cannot be imported ({reason})."
                ) from error
            return dataclasses.replace(Recipe.of(found), name=name)
    if name not in names():
        raise RecipeUsageError(unknown("paper", name, names()))
    return Recipe.of(importlib.import_module(f"{PACKAGE}.{name}"))


def _from_file(path: Path) -> ModuleType:
    """Imports a recipe from a file that the user named."""
    if not path.is_file():
        raise RecipeUsageError(f"{path}: no such file; name a recipe's Python file or a paper.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise RecipeUsageError(f"{path}: not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code raises
        raise RecipeError(f"{path}: cannot be imported ({type(error).__name__}: {error}).") from error
    return module


def read_table(path: Any) -> list[Published]:
    """Reads a recipe's CSV file.

    Args:
        path: The file.

    Returns:
        Its rows; none if there is no such file.

    Raises:
        RecipeError: If a row lacks a column, or a value is no number.
    """
    import csv

    if not path.is_file():
        return []
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return [_published(row, f"{path} line {line}") for line, row in enumerate(rows, start=2)]


def _published(row: dict[str, str], where: str) -> Published:
    try:
        texts = {key: row[key] for key in ("source", "table", "row", "variant", "dataset", "metric")}
        if row["source"] not in SOURCES:
            raise ValueError(f"source must be one of {', '.join(SOURCES)}")
        value = float(row["value"]) if row["value"] or row["source"] != "claim" else None
        return Published(
            **texts,
            definition=row["definition"],
            value=value,
            deviation=float(row["std"]) if row.get("std") else None,
            n=int(row["n"]) if row.get("n") else None,
            grade=row.get("grade") or "",
            than=row.get("than") or "",
        )
    except (KeyError, ValueError) as error:
        raise RecipeError(f"{where}: {error}.") from error
