"""Imports run one way (CONTRIBUTING.md); light modules stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "keras_segan"
HEAVY = {"keras", "tensorflow", "librosa"}
LIGHT = [
    "errors",
    "files",
    "audio",
    "dsp",
    "gammatone",
    "front_ends",
    "inference",
    "enhancement",
    "models.registry",
    "page",
    "evaluation",
    "data.corpora",
    "data.mini",
    "metrics.pool",
    "cli",
]
FORBIDDEN = {
    "errors": {"audio", "dsp", "data", "metrics", "layers", "models", "training", "recipe", "cli"},
    "files": {"audio", "dsp", "data", "metrics", "layers", "models", "training", "recipe", "cli"},
    "audio": {"dsp", "data", "metrics", "layers", "models", "training", "recipe", "cli"},
    "dsp": {"audio", "data", "metrics", "layers", "models", "training", "recipe", "cli"},
    "gammatone": {"data", "metrics", "layers", "models", "training", "recipe", "cli"},
    "front_ends": {"data", "metrics", "layers", "models", "training", "recipe", "inference", "cli"},
    "inference": {"data", "metrics", "layers", "models", "training", "recipe", "cli"},
    "enhancement": {"layers", "training", "recipe", "reproduction", "cli"},
    "convert": {"training", "recipe", "reproduction", "cli"},
    "export": {"training", "recipe", "reproduction", "cli"},
    "page": {"layers", "training", "reproduction", "cli"},
    "data": {"layers", "models", "training", "recipe", "reproduction", "cli"},
    "metrics": {"data", "layers", "models", "training", "recipe", "reproduction", "cli"},
    "layers": {"data", "metrics", "models", "training", "recipe", "cli"},
    "models": {"data", "metrics", "training", "recipe", "reproduction", "cli"},
    "training": {"recipe", "reproduction", "enhancement", "cli"},
    "recipe": {"training", "models", "reproduction", "cli"},
}


def imported(path):
    """Names of package parts that a file imports, at any level."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras_segan"):
            parts = node.module.split(".")[1:]
            yield from ([parts[0]] if parts else [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("keras_segan."):
                    yield alias.name.split(".")[1]


@pytest.mark.parametrize("part", sorted(FORBIDDEN))
def test_imports_run_one_way(part):
    files = sorted((PACKAGE / part).rglob("*.py")) or [PACKAGE / f"{part}.py"]
    wrong = {
        f.name: sorted(set(imported(f)) & FORBIDDEN[part])
        for f in files
        if set(imported(f)) & FORBIDDEN[part]
    }
    assert not wrong


def test_nobody_imports_a_reproduction():
    for path in PACKAGE.rglob("*.py"):
        assert "reproductions" not in set(imported(path)), path


@pytest.mark.parametrize(("parts", "heavy"), [(LIGHT, HEAVY), (["enhancement"], {*HEAVY, "scipy.signal"})])
def test_light_modules_import_nothing_heavy(parts, heavy):
    modules = ", ".join(f"keras_segan.{name}" for name in parts)
    code = f"import sys, {modules}; print(*sorted(set(sys.modules) & {heavy!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
