import ast
import configparser
import fnmatch
import re
import sys
from pathlib import Path

from keras_segan.backends import BACKENDS

ROOT = Path(__file__).parents[1]
MOVED = {"keras_segan.reproductions": ROOT / "reproductions", "keras_segan.pretrained": ROOT / "pretrained"}


def setup():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def folders():
    inside = {p.parent for p in (ROOT / "keras_segan").rglob("__init__.py")}
    names = {".".join(folder.relative_to(ROOT).parts): folder for folder in inside}
    return {**names, **MOVED}


def test_every_package_is_in_the_wheel():
    assert set(setup()["options"]["packages"].split()) == set(folders())


def test_every_data_file_is_in_the_wheel():
    patterns = {name: value.split() for name, value in setup()["options.package_data"].items()}
    packages = folders()
    for name, folder in packages.items():
        nested = [other for other in packages.values() if other != folder and folder in other.parents]
        for path in folder.rglob("*"):
            own = path.is_file() and not any(other in path.parents for other in nested)
            if own and path.suffix not in (".py", ".pyc"):
                relative = path.relative_to(folder).as_posix()
                listed = any(fnmatch.fnmatch(relative, pattern) for pattern in patterns.get(name, []))
                assert listed, f"{name}: {relative}"


def required(*extras):
    """Modules of the requirements, with those of extras."""
    config = setup()
    texts = [config["options"]["install_requires"], *(config["options.extras_require"][e] for e in extras)]
    names = re.findall(r"^([A-Za-z0-9_-]+)", "\n".join(texts), re.MULTILINE)
    return {name.replace("-", "_") for name in names}


def imported(nodes):
    """Modules of other packages that statements import."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    return found - {"keras_segan", *sys.stdlib_module_names}


def trees():
    return [ast.parse(path.read_text()) for path in [*folders()["keras_segan"].rglob("*.py")]] + [
        ast.parse(path.read_text()) for path in MOVED["keras_segan.reproductions"].glob("*.py")
    ]


def test_what_is_required_is_imported_and_what_is_imported_at_once_is_required():
    anywhere = set().union(*(imported(ast.walk(tree)) for tree in trees()))
    at_once = set().union(*(imported(tree.body) for tree in trees()))
    assert required() <= anywhere
    assert at_once <= required("jax", "torch")


def test_every_backend_has_an_extra():
    assert set(BACKENDS) <= set(setup()["options.extras_require"])
