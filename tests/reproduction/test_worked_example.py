"""The recipe that CONTRIBUTING.md shows is a recipe, and it runs."""

import json
import re
from pathlib import Path

import pytest

from keras_segan.data import mini
from keras_segan.reproduction import recipe, run
from keras_segan.reproduction.settings import listed

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    (shown,) = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    path = tmp_path_factory.mktemp("paper") / "corrector.py"
    path.write_text(shown, encoding="utf-8")
    return path


def test_the_worked_example_meets_the_contract(path):
    found = recipe.load(str(path))
    assert found.name == "corrector"
    assert found.published() == []
    assert all(entry["meaning"] and entry["source"] for entry in listed(found.variants["paper"]))


def test_the_worked_example_runs(path, tmp_path):
    manifest = mini.prepare(tmp_path / "mini")
    few = [u for split in ("train", "test") for u in manifest.split(split)[:2]]
    type(manifest)(tuple(few), manifest.corpus).write(tmp_path / "manifest.csv")
    data, out = str(tmp_path / "manifest.csv"), str(tmp_path / "run")
    request = run.Request(str(path), data=data, variant="mini", out=out, jobs=1, quiet=True)
    assert "steps" in run.plan(request)
    assert "Corrector" in run.reproduce(request).text
    content = json.loads((tmp_path / "run" / "result.json").read_text())
    assert {row["system"] for row in content["rows"]} >= {"Corrector"}
