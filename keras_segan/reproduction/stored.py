"""A run folder as it is read again, such as by its page: everything in it is data and is checked first.

Nothing that a file names is imported or looked up, and no file needs to be as a run wrote it: whatever is
wrong with one becomes a sentence that names it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_segan import files
from keras_segan.errors import DataError, DataUsageError, FileError
from keras_segan.reproduction.tables import Claim, Row

FORMAT = 2  # of the run folder and of result.json; 1 was that of version 0.1
OUTCOMES = ("enhancement", "listening", "prediction", "features")
LARGEST = 1e300  # beyond it a number cannot be formatted

# What `result.json` holds: a type, types of which one must fit, a list of one kind, or a record.
NUMBER = (int, float)
NUMBER_OR_NONE = (int, float, None)
ROW = {
    "system": str,
    "metric": str,
    "definition": str,
    "published": NUMBER_OR_NONE,
    "reproduced": NUMBER_OR_NONE,
    "interval": ([NUMBER], None),
    "count": int,
    "deviations": [NUMBER_OR_NONE],
    "grade": str,
    "higher_is_better": bool,
}
CLAIM = {
    "better": str,
    "worse": str,
    "metric": str,
    "definition": str,
    "published": NUMBER_OR_NONE,
    "difference": NUMBER_OR_NONE,
    "interval": ([NUMBER], None),
    "count": int,
    "verdict": str,
    "grade": str,
}
CONTENT = {
    "format": int,
    "outcome": str,
    "paper": {"title": str, "authors": str, "venue": str, "url": str},
    "recipe": str,
    "title": str,
    "variant": str,
    "choice": dict,
    "length": str,
    "seed": int,
    "backend": str,
    "commit": str,
    "data": {"corpus": str, "title": str, "counts": str, "split": str},
    "details": dict,
    "facts": [str],
    "reasons": [str],
    "rows": [ROW],
    "claims": [CLAIM],
    "notes": [str],
}
PAIRS = ("interval", "deviations")  # lists of two


@dataclass(frozen=True)
class StoredRun:
    """What a run left behind.

    Attributes:
        folder: Where.
        content: `result.json`, checked.
        rows: The lines of the table.
        claims: The article's claims.
        config: `config.json`.
        environment: `env.json`, empty if it is missing.
        log: Rows of `log.csv`; text by column.
        scores: Rows of `scores.csv`; text by column.
    """

    folder: Path
    content: Mapping[str, Any]
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    log: tuple[Mapping[str, str], ...]
    scores: tuple[Mapping[str, str], ...]

    @property
    def systems(self) -> list[str]:
        """Names of the scored systems, in order."""
        return list(dict.fromkeys(line["system"] for line in self.scores))

    def detail(self, name: str, kind: type, default: Any) -> Any:
        """Returns a detail of the outcome, or the default if it is missing or of another type."""
        value = self.content["details"].get(name)
        return value if isinstance(value, kind) else default


def read(folder: Path | str) -> StoredRun:
    """Reads the folder of a finished run.

    Args:
        folder: The folder.

    Returns:
        What is in it.

    Raises:
        DataError: If it holds no run, one that is not finished or that another version wrote, or a file is
            damaged.
    """
    folder = Path(folder)
    shown = files.printable(folder)
    if not (folder / "config.json").is_file():
        raise DataUsageError(f"{shown}: holds no run; name the folder that kseg reproduce made.")
    config = files.read_json(folder / "config.json", dict)
    if config.get("format") != FORMAT:
        raise DataError(
            f"{shown}: written by another version of keras_segan; its model.keras still loads, but for a "
            "page reproduce it anew in another --out."
        )
    if not (folder / "result.json").is_file():
        raise DataError(f"{shown}: this run is not finished; kseg reproduce --resume goes on with it.")
    content = read_result(folder / "result.json")
    return StoredRun(
        folder=folder,
        content=content,
        rows=tuple(Row(**row) for row in content["rows"]),
        claims=tuple(Claim(**claim) for claim in content["claims"]),
        config=config,
        environment=_optional_json(folder / "env.json"),
        log=_table(folder / "log.csv") if _has_content(folder / "log.csv") else (),
        scores=_table(folder / "scores.csv", ("system", "id")),
    )


def read_result(path: Path) -> dict[str, Any]:
    """Reads and checks a file `result.json`.

    Raises:
        FileError: If it is damaged, with the place in it.
    """
    content = files.read_json(path, dict)
    try:
        checked: dict[str, Any] = _checked(content, CONTENT, "")
        if checked["format"] != FORMAT:
            raise ValueError(f"'format' should be {FORMAT}")
        if checked["outcome"] not in OUTCOMES:
            raise ValueError(f"'outcome' should be one of {', '.join(OUTCOMES)}")
    except (ValueError, RecursionError) as error:
        shown = files.printable(path)
        raise FileError(f"{shown}: damaged, {error}; kseg reproduce makes the run anew.") from error
    return checked


def _checked(value: Any, kind: Any, place: str) -> Any:
    """Returns a value of a kind, records without what is unknown; raises `ValueError` with the place."""
    if isinstance(kind, tuple):
        return _one_of(value, kind, place)
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise ValueError(f"'{place}' should be a list")
        if place.rpartition(".")[2] in PAIRS and len(value) != 2:
            raise ValueError(f"'{place}' should hold two numbers")
        return [_checked(each, kind[0], f"{place}[{number}]") for number, each in enumerate(value)]
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            raise ValueError(f"'{place or 'the whole'}' should be an object")
        return {name: _member(value, name, inner, place) for name, inner in kind.items()}
    return _one_of(value, (kind,), place)


def _member(record: Mapping[str, Any], name: str, kind: Any, place: str) -> Any:
    inside = f"{place}.{name}" if place else name
    if name not in record:
        raise ValueError(f"'{inside}' is missing")
    return _checked(record[name], kind, inside)


def _one_of(value: Any, kinds: tuple[Any, ...], place: str) -> Any:
    if value is None and None in kinds:
        return None
    lists = [kind for kind in kinds if isinstance(kind, list)]
    if lists:
        return _checked(value, lists[0], place)
    types = tuple(kind for kind in kinds if kind is not None)
    is_wrong_number = isinstance(value, bool) and bool not in types
    if is_wrong_number or not isinstance(value, types):
        raise ValueError(f"'{place}' should be {' or '.join(_WORDS[kind] for kind in types)}")
    if isinstance(value, NUMBER) and abs(value) > LARGEST:
        raise ValueError(f"'{place}' is beyond all numbers")
    return value


_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}


def _optional_json(path: Path) -> dict[str, Any]:
    return files.read_json(path, dict) if path.is_file() else {}


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _table(path: Path, required: tuple[str, ...] = ()) -> tuple[Mapping[str, str], ...]:
    rows = tuple(files.read_table(path, required))
    for row in rows:
        for column in required:
            row.text(column)  # raises for a row that is too short
    return tuple(dict(row.cells) for row in rows)


def plain(value: Any) -> str:
    """Returns a value from JSON as one line of text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return files.printable(text)[:1000]
