"""The order of the house (CONTRIBUTING.md): imports, names of papers and backends, light modules."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_segan.data.corpora import CORPORA

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "keras_segan"
HEAVY = {"keras", "tensorflow", "librosa"}
LIGHT = [
    "workers",
    "waveform",
    "models.archive",
    "errors",
    "files",
    "audio",
    "dsp",
    "gammatone",
    "front_ends",
    "inference",
    "enhancement",
    "models.registry",
    "reproduction.page",
    "prediction",
    "comparison",
    "evaluation",
    "data.corpora",
    "data.mini",
    "metrics.pool",
    "cli",
]
# What each part may import besides `EVERYWHERE`; what is not listed may not be imported.
EVERYWHERE = {"errors", "files", "limits", "_version"}
ALLOWED = {
    "__init__": "",
    "__main__": "cli",
    "_version": "",
    "errors": "",
    "files": "",
    "limits": "",
    "keras_setup": "backends",
    "waveform": "",
    "workers": "",
    "audio_streams": "",
    "audio": "audio_streams waveform",
    "dsp": "",
    "gammatone": "dsp",
    "wiener": "audio dsp",
    "metrics": "audio waveform workers",
    "data": "audio metrics",
    "front_ends": "audio dsp gammatone waveform",
    "backends": "",
    "kernels": "backends",
    "layers": "backends dsp kernels",
    "inference": "front_ends",
    "models": "audio backends front_ends gammatone inference keras_setup layers",
    "training": "audio backends data dsp front_ends kernels metrics models",
    "enhancement": "audio audio_streams inference waveform",
    "evaluation": "audio data metrics",
    "comparison": "audio data enhancement evaluation inference metrics",
    "prediction": "audio models",
    "streaming": "audio backends dsp enhancement front_ends layers models",
    "convert": "front_ends layers models",
    "export": "inference layers models",
    "labelling": "comparison data evaluation metrics models wiener",
    "reference_free": "audio data evaluation metrics models prediction",
    "reproduction": "audio backends comparison data dsp enhancement evaluation inference metrics prediction"
    " training",
    "cli": "convert data enhancement evaluation export inference keras_setup labelling metrics models"
    " reference_free reproduction streaming",
}
BY_RECIPES = (
    "audio backends comparison data dsp evaluation front_ends gammatone labelling layers metrics models"
    " reproduction reproductions training wiener"
)
RECIPES = sorted(path for path in (ROOT / "reproductions").glob("*.py") if path.stem != "__init__")

BACKENDS = {"tensorflow", "jax", "torch"}
KNOW_BACKENDS = {
    "export.py",
    "cli/options.py",
    "convert.py",  # the weights in torch's files
    "cli/convert.py",
    "training/run_folder.py",  # env.json says what a run was made with
}

# First words of the recipes' names, and papers without a recipe whose name begins with theirs.
PAPERS = {path.stem.partition("_")[0] for path in RECIPES} | {"okd", "nele"}
NEUTRAL = ("training", "layers", "reproduction", "data", "backends", "kernels")
NAME_PAPERS = {
    "data/corpora.py",  # corpora that are called after the paper that mixed them
}


def imported(path):
    """Names of package parts that a file imports, at any level."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "keras_segan":
            parts = node.module.split(".")[1:]
            yield from ([parts[0]] if parts else [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("keras_segan."):
                    yield alias.name.split(".")[1]


def modules(*parts):
    """Files of parts of the package by their path in it."""
    found = [path for part in parts for path in (PACKAGE / part).rglob("*.py")]
    found += [PACKAGE / f"{part}.py" for part in parts if (PACKAGE / f"{part}.py").exists()]
    return {path.relative_to(PACKAGE).as_posix(): path for path in sorted(found)}


def test_every_part_has_its_place():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders | {path.stem for path in PACKAGE.glob("*.py")} == set(ALLOWED)


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_run_one_way(part):
    allowed = {*EVERYWHERE, *ALLOWED[part].split(), part}
    wrong = {name: sorted(set(imported(path)) - allowed) for name, path in modules(part).items()}
    assert not any(wrong.values()), wrong


def test_the_order_has_no_circle():
    order = {part: set(names.split()) for part, names in ALLOWED.items()}
    while order:
        free = {part for part, names in order.items() if not names & set(order)}
        assert free, f"a circle among {sorted(order)}"
        order = {part: names for part, names in order.items() if part not in free}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_imports_the_house_and_at_most_the_recipe_that_it_succeeds(path):
    assert set(imported(path)) <= {*EVERYWHERE, *BY_RECIPES.split()}
    before = re.findall(r"^from keras_segan\.reproductions import (.*)$", path.read_text(), re.MULTILINE)
    assert len(before) <= 1
    assert "," not in "".join(before)


def code_lines(path):
    """Numbers and text of the lines outside docstrings."""
    text, documented = path.read_text(), set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            documented |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return [line for line in enumerate(text.splitlines(), start=1) if line[0] not in documented]


def names_a_paper(line):
    for corpus in CORPORA:
        line = line.replace(f'"{corpus}"', "")
    line = line.replace("keras_segan", "")
    long = [name for name in PAPERS if len(name) > 4]
    # A short name may be a part of a word; one that is an abbreviation may begin a class's name.
    short = [form for name in PAPERS - {*long} for form in (name, name.capitalize(), name.upper())]
    return re.search(f"(?i:{'|'.join(long)})|(?<![A-Za-z])({'|'.join(short)})(?![a-z])", line)


def test_shared_parts_are_named_after_their_idea_not_after_a_paper():
    files = modules(*NEUTRAL) | {
        name: PACKAGE / name for name in ("front_ends/__init__.py", "models/__init__.py")
    }
    assert [
        f"{name}:{number}: {line.strip()}"
        for name, path in files.items()
        if name not in NAME_PAPERS
        for number, line in code_lines(path)
        if names_a_paper(line)
    ] == []


def named_backends(node):
    """Backends that a node of the syntax tree imports, or names in a text of its own."""
    if isinstance(node, ast.Import):
        return BACKENDS & {alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return BACKENDS & {(node.module or "").split(".")[0]}
    return BACKENDS & {node.value} if isinstance(node, ast.Constant) else set()


def test_only_few_parts_know_a_backend_by_name():
    known = {*modules("backends", "kernels"), *KNOW_BACKENDS}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text())) if name not in known else ():
            asks = isinstance(node, ast.Attribute) and ast.unparse(node).endswith("keras.backend.backend")
            assert not named_backends(node), f"{name}:{node.lineno}"
            assert not asks, (
                f"{name}:{node.lineno}: what differs between backends is for keras_segan.backends"
            )


@pytest.mark.parametrize(("parts", "heavy"), [(LIGHT, HEAVY), (["enhancement"], {*HEAVY, "scipy.signal"})])
def test_light_modules_import_nothing_heavy(parts, heavy):
    modules = ", ".join(f"keras_segan.{name}" for name in parts)
    code = f"import sys, {modules}; print(*sorted(set(sys.modules) & {heavy!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
