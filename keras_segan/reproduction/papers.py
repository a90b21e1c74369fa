"""The reproductions from Python: `ks.reproduce` and `ks.list_papers`."""

import dataclasses
from typing import Any

from keras_segan.reproduction import recipe, run


def list_papers() -> list[str]:
    """Returns the names of the papers that can be reproduced."""
    return recipe.names()


def reproduce(
    paper: str, data: str | None = None, out: str | None = None, variant: str | None = None, **options: Any
) -> run.Result:
    """Trains, evaluates and reports, as `kseg reproduce` does.

    Args:
        paper: Name from `list_papers`, or the path of a recipe's Python file.
        data: Folder or manifest of a corpus; `None` for the bundled mini corpus.
        out: Run folder; `None` for a new one under `runs/`.
        variant: Name of a variant; `None` for the one made for the data.
        **options: Further fields of `reproduction.run.Request`, such as `jobs=2` or `resume=True`; all
            others are settings of the paper, such as `metric="pesq"` or `seed=1`.

    Returns:
        Folder, table, and the content of `result.json`.

    Raises:
        KsegError: If the paper, a setting, the data or a file is wrong.
    """
    fields = {field.name for field in dataclasses.fields(run.Request)}
    known = {name: value for name, value in options.items() if name in fields}
    changes = {name: value for name, value in options.items() if name not in fields}
    changes |= known.pop("changes", {})
    return run.reproduce(run.Request(paper, data, variant, out, changes, **known))
