"""The run folder: settings, log, checkpoints and progress of one training run.

Every file is written atomically, nothing of the user's is deleted, and a run goes on after
`kill -9` from its last whole epoch. One process at a time works in a folder.
"""

import csv
import json
import os
import platform
import re
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import filelock
import numpy as np
from tqdm import tqdm

from keras_segan.backends import BACKENDS
from keras_segan.errors import RecipeError

KEPT_CHECKPOINTS = 2
_CHECKPOINT = re.compile(r"epoch-(\d+)\.npz$")
_STATE = "__state__"
_PACKAGES = ("keras_segan", "keras", *BACKENDS, "numpy", "librosa", "soundfile", "soxr", "pesq", "pystoi")


class Run:
    """A run folder.

    Args:
        folder: The folder.
        pool: A `metrics.pool.ScoringPool` for the scores that training needs.
        quiet: Whether to show no progress.
    """

    def __init__(self, folder: Path | str, pool=None, quiet: bool = False):
        self.folder = Path(folder)
        self.pool = pool
        self.quiet = quiet
        self.log: list[dict] = []
        self.notes: list[str] = []
        self._bar = None
        # The operating system frees it when the process ends, however that happens.
        self._lock = filelock.FileLock(
            self.folder.resolve() / "run.lock", is_singleton=True, thread_local=False
        )

    def _claim(self):
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise RecipeError(
                f"{self.folder}: another process is at work in this run; wait until it has ended, or choose "
                "another --out."
            ) from error

    @classmethod
    def create(cls, folder: Path | str, settings: dict, **kwargs) -> "Run":
        """Starts a run in a new or empty folder.

        Args:
            folder: The folder.
            settings: What is written to `config.json`.
            **kwargs: Of `Run`.

        Returns:
            The run.

        Raises:
            RecipeError: If the folder holds something already or cannot be written.
        """
        run = cls(folder, **kwargs)
        if run.folder.exists() and (not run.folder.is_dir() or any(run.folder.iterdir())):
            hint = (
                "use --resume to go on with it, or another --out"
                if is_run(folder)
                else "choose another --out"
            )
            raise RecipeError(f"{folder}: not empty; {hint}.", exit_code=2)
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            (run.folder / "checkpoints").mkdir()
            run._claim()
        except OSError as error:
            raise RecipeError(
                f"{folder}: cannot write a run there ({error.strerror}); choose another --out."
            ) from error
        run.write_json("env.json", environment())
        run.write_json("config.json", settings)
        return run

    @classmethod
    def resume(cls, folder: Path | str, settings: dict, **kwargs) -> "Run":
        """Goes on with a run.

        Args:
            folder: Its folder.
            settings: As for `create`; only the length of the training may have changed.
            **kwargs: Of `Run`.

        Returns:
            The run.

        Raises:
            RecipeError: If there is no run, one with other settings, or one that goes on in another process.
        """
        if not is_run(folder):
            raise RecipeError(f"{folder}: holds no run to resume; start one without --resume.", exit_code=2)
        run = cls(folder, **kwargs)
        run._claim()
        before = json.loads((run.folder / "config.json").read_text(encoding="utf-8"))
        changed = sorted(
            key
            for key in before.keys() | settings.keys()
            if key not in ("epochs", "iterations")
            and before.get(key) != json.loads(json.dumps(settings.get(key)))
        )
        if changed:
            raise RecipeError(
                f"{folder}: was started with other settings ({', '.join(changed)}).", exit_code=2
            )
        run.write_json("config.json", settings)
        (run.folder / "checkpoints").mkdir(exist_ok=True)
        return run

    def path(self, name: str) -> Path:
        """Returns a path in the folder, its parents made."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_text(self, name: str, text: str):
        """Writes a text file atomically."""
        path = self.path(name)
        temporary = path.with_name(path.name + ".writing")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)

    def write_json(self, name: str, content):
        """Writes a JSON file atomically."""
        self.write_text(name, json.dumps(content, indent=2) + "\n")

    def write_csv(self, name: str, rows: list[dict]):
        """Writes rows as CSV atomically; columns are the union of the rows' keys, in order of appearance."""
        path = self.path(name)
        temporary = path.with_name(path.name + ".writing")
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, path)

    def note(self, sentence: str):
        """Tells the user something on stderr and keeps it for the report."""
        if sentence not in self.notes:
            self.notes.append(sentence)
            tqdm.write(f"Note: {sentence}", file=sys.stderr)

    def say(self, sentence: str):
        """Tells the user something on stderr, unless the run is quiet."""
        if not self.quiet:
            tqdm.write(sentence, file=sys.stderr)

    def log_epoch(self, row: dict):
        """Adds a row to `log.csv`."""
        self.log.append(row)
        self.write_csv("log.csv", self.log)

    def save_checkpoint(self, epoch: int, arrays: dict[str, np.ndarray], state: dict):
        """Saves everything that training needs to go on after an epoch; older checkpoints go.

        Args:
            epoch: The epoch that is complete.
            arrays: Arrays by name.
            state: Whatever JSON holds; the log goes with it.
        """
        state = {**state, "epoch": epoch, "log": self.log, "notes": self.notes}
        text = np.frombuffer(json.dumps(state).encode(), np.uint8)
        save_arrays(self.path(f"checkpoints/epoch-{epoch:05d}.npz"), {**arrays, _STATE: text})
        for _, old in self._checkpoints()[:-KEPT_CHECKPOINTS]:
            old.unlink()

    def load_checkpoint(self) -> tuple[dict[str, np.ndarray], dict] | None:
        """Loads the last readable checkpoint and restores the log.

        Returns:
            Arrays and state, or `None` if there is no checkpoint.
        """
        for _, path in reversed(self._checkpoints()):
            try:
                arrays = load_arrays(path)
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                self.note(f"{path.name} is damaged and was passed over ({error}).")
                continue
            state = json.loads(arrays.pop(_STATE).tobytes().decode())
            self.log = state["log"]
            self.notes = list(dict.fromkeys([*state["notes"], *self.notes]))
            return arrays, state
        return None

    def _checkpoints(self) -> list[tuple[int, Path]]:
        found = [(_CHECKPOINT.search(p.name), p) for p in (self.folder / "checkpoints").glob("*.npz")]
        return sorted((int(match[1]), path) for match, path in found if match)

    def start_progress(self, total: float, done: float = 0.0):
        """Opens the progress bar.

        Args:
            total: The whole run's work in any unit of time.
            done: Work done before.
        """
        self._bar = tqdm(
            total=total,
            initial=done,
            disable=self.quiet or None,  # none in a log file
            file=sys.stderr,
            bar_format="{percentage:3.0f}%|{bar:20}| {desc} [{elapsed}, {remaining} left]",
            mininterval=0.5,
        )

    def advance(self, work: float, description: str):
        """Moves the progress bar.

        Args:
            work: Work done since the last call.
            description: E.g. "epoch 2/5, D pass 1, utterance 12/16".
        """
        if self._bar is not None:
            self._bar.set_description_str(description, refresh=False)
            self._bar.update(min(work, max(self._bar.total - self._bar.n, 0.0)))

    def end_progress(self):
        """Closes the progress bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def is_run(folder: Path | str) -> bool:
    """Says whether a folder holds a run."""
    return (Path(folder) / "config.json").is_file()


def environment() -> dict:
    """Returns the versions that a result depends on."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    machine = {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}
    return {**versions, **machine, "processor": platform.machine()}


def save_arrays(path: Path, arrays: dict[str, np.ndarray]):
    """Writes an .npz file atomically."""
    temporary = path.with_name(path.name + ".writing")
    with open(temporary, "wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads an .npz file without unpickling anything."""
    with np.load(path, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def variables_to_arrays(prefix: str, variables) -> dict[str, np.ndarray]:
    """Names a list of Keras variables by position, for a checkpoint."""
    return {f"{prefix}.{number:03d}": np.asarray(variable) for number, variable in enumerate(variables)}


def assign_from_arrays(prefix: str, variables, arrays: dict[str, np.ndarray]):
    """Assigns what `variables_to_arrays` named."""
    for number, variable in enumerate(variables):
        variable.assign(arrays[f"{prefix}.{number:03d}"])


def groups_to_arrays(groups: dict[str, list]) -> dict[str, np.ndarray]:
    """Names several lists of Keras variables, for a checkpoint."""
    return {
        key: array
        for name, variables in groups.items()
        for key, array in variables_to_arrays(name, variables).items()
    }


def assign_groups(groups: dict[str, list], arrays: dict[str, np.ndarray]):
    """Assigns what `groups_to_arrays` named."""
    for name, variables in groups.items():
        assign_from_arrays(name, variables, arrays)
