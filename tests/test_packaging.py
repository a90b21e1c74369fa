import configparser
import fnmatch
from pathlib import Path

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
