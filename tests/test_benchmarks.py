"""Benchmarks are not run here, but they name only what there is, and their table is whole."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
FILES = sorted([*FOLDER.glob("*.py"), *(FOLDER.parent / "tools").glob("*.py")])


@pytest.fixture(scope="module")
def measuring():
    spec = importlib.util.spec_from_file_location("measuring", FOLDER / "measuring.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_imported_from_the_package_is_there(path):
    """Also inside functions, where nobody would notice."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "keras_segan":
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.util.find_spec(f"{node.module}.{alias.name}")


def test_every_group_is_a_function():
    tree = ast.parse((FOLDER / "run.py").read_text())
    groups = next(n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "GROUPS")
    for target in ast.literal_eval(groups).values():
        module, _, function = target.partition(":")
        names = [n.name for n in ast.parse((FOLDER / f"{module}.py").read_text()).body if hasattr(n, "name")]
        assert function in names, target


def test_the_table_has_a_column_for_each_backend(measuring):
    functions = dict.fromkeys(("ours", "ours on jax", "ours on torch", "keras", "torch"), lambda: None)
    rows = [vars(measuring.compare("a step", functions, 1)), vars(measuring.Row("b", note="not measured"))]
    floors = dict.fromkeys(("flops", "bytes", "recurrent_product", "recurrent_product_of_8"), 1.0)
    facts = {"processor": "p", "cores": 2, "threads": 2, "versions": {}}
    text = measuring.document({"g": {"rows": rows, "floors": floors, "machine": facts, "date": "d"}})
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert {line.count("|") for line in table} == {table[0].count("|")}
    assert "| ours | ours on JAX | ours on PyTorch |" in table[0]
    cells = [cell.strip() for cell in table[2].split("|")]
    assert all(cells[column] for column in (3, 4, 5, 6, 8))
