"""The run folder: settings, log, checkpoints and progress of one training run.

Every file is written atomically, nothing of the user's is deleted, and a run goes on after
`kill -9` from its last checkpoint. One process at a time works in a folder.
"""

import csv
import json
import os
import platform
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from tqdm import tqdm

from keras_segan.backends import BACKENDS
from keras_segan.errors import RecipeError, RecipeUsageError

KEPT_CHECKPOINTS = 2
_CHECKPOINT = re.compile(r"epoch-(\d+)\.npz$")
_STATE = "__state__"
_PACKAGES = (
    "keras_segan",
    "keras",
    *BACKENDS,
    "numpy",
    "soundfile",
    "soxr",
    "pesq",
    "pystoi",
)
FORMAT = 2  # of the run folder; 1 was that of version 0.1
HEARTBEAT = 30.0  # seconds after which a log file gets a line of progress


class Run:
    """A run folder.

    Args:
        folder: The folder.
        pool: A `metrics.pool.ScoringPool` for the scores that training needs.
        quiet: Whether to show no progress.
        stop_after: Seconds after which training stops at the next step; `None` for never.
    """

    def __init__(
        self, folder: Path | str, pool: Any = None, quiet: bool = False, stop_after: float | None = None
    ) -> None:
        self.folder = Path(folder)
        self.pool = pool
        self.quiet = quiet
        self.log: list[dict] = []
        self.notes: list[str] = []
        self._deadline = None if stop_after is None else time.monotonic() + stop_after
        self._bar = None
        self._last_line = time.monotonic()
        # The operating system frees it when the process ends, however that happens.
        self._lock = filelock.FileLock(
            self.folder.resolve() / "run.lock", is_singleton=True, thread_local=False
        )

    def _claim(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise RecipeError(
                f"{self.folder}: another process is at work in this run; wait until it has ended, or choose "
                "another --out."
            ) from error

    @classmethod
    def create(cls, folder: Path | str, settings: dict, **kwargs: Any) -> "Run":
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
            raise RecipeUsageError(f"{folder}: not empty; {hint}.")
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            (run.folder / "checkpoints").mkdir()
            run._claim()
        except OSError as error:
            raise RecipeError(
                f"{folder}: cannot write a run there ({error.strerror}); choose another --out."
            ) from error
        run.write_json("env.json", environment())
        run.write_json("config.json", {"format": FORMAT, **settings})
        return run

    @classmethod
    def resume(
        cls, folder: Path | str, settings: dict, may_change: Iterable[str] = (), **kwargs: Any
    ) -> "Run":
        """Goes on with a run.

        Args:
            folder: Its folder.
            settings: As for `create`.
            may_change: Names of settings that may differ from those that it was started with.
            **kwargs: Of `Run`.

        Returns:
            The run.

        Raises:
            RecipeError: If there is no run, one with other settings, or one that goes on in another process.
        """
        if not is_run(folder):
            raise RecipeUsageError(f"{folder}: holds no run to resume; start one without --resume.")
        run = cls(folder, **kwargs)
        run._claim()
        before = read_config(run.folder)
        changed = sorted(
            key
            for key in (before.keys() | settings.keys()) - {"format", *may_change}
            if before.get(key) != json.loads(json.dumps(settings.get(key)))
        )
        if changed:
            raise RecipeUsageError(f"{folder}: was started with other settings ({', '.join(changed)}).")
        started = json.loads((run.folder / "env.json").read_text(encoding="utf-8")) if before else {}
        if started.get("backend") != environment()["backend"]:
            run.note(
                f"This run was started on {started.get('backend')} and goes on with "
                f"{environment()['backend']}; the numbers differ from those of either backend alone."
            )
        run.write_json("config.json", {"format": FORMAT, **settings})
        (run.folder / "checkpoints").mkdir(exist_ok=True)
        return run

    def path(self, name: str) -> Path:
        """Returns a path in the folder, its parents made."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file atomically."""
        path = self.path(name)
        temporary = path.with_name(path.name + ".writing")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)

    def write_json(self, name: str, content: object) -> None:
        """Writes a JSON file atomically."""
        self.write_text(name, json.dumps(content, indent=2) + "\n")

    def write_csv(self, name: str, rows: list[dict]) -> None:
        """Writes rows as CSV atomically; columns are the union of the rows' keys, in order of appearance."""
        path = self.path(name)
        temporary = path.with_name(path.name + ".writing")
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, path)

    def note(self, sentence: str) -> None:
        """Tells the user something on stderr and keeps it for the report."""
        if sentence not in self.notes:
            self.notes.append(sentence)
            tqdm.write(f"Note: {sentence}", file=sys.stderr)

    def say(self, sentence: str) -> None:
        """Tells the user something on stderr, unless the run is quiet."""
        if not self.quiet:
            tqdm.write(sentence, file=sys.stderr)

    @property
    def time_is_up(self) -> bool:
        """Whether training is to stop at the next step."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def log_epoch(self, row: dict) -> None:
        """Adds a row to `log.csv`."""
        self.log.append(row)
        self.write_csv("log.csv", self.log)

    def save_checkpoint(self, position: int, arrays: Mapping[str, np.ndarray], state: dict) -> None:
        """Saves everything that training needs to go on; older checkpoints go.

        Args:
            position: Epochs or iterations that are complete; the file is named after it.
            arrays: Arrays by name.
            state: Whatever JSON holds; the log goes with it.
        """
        state = {**state, "position": position, "log": self.log, "notes": self.notes}
        text = np.frombuffer(json.dumps(state).encode(), np.uint8)
        save_arrays(self.path(f"checkpoints/epoch-{position:05d}.npz"), {**arrays, _STATE: text})
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

    def last_checkpoint(self) -> str:
        """Returns the name of the last checkpoint, empty if there is none."""
        found = self._checkpoints()
        return f"{found[-1][1].parent.name}/{found[-1][1].name}" if found else ""

    def _checkpoints(self) -> list[tuple[int, Path]]:
        found = [(_CHECKPOINT.search(p.name), p) for p in (self.folder / "checkpoints").glob("*.npz")]
        return sorted((int(match[1]), path) for match, path in found if match)

    def start_progress(self, total: float, done: float = 0.0) -> None:
        """Opens the progress bar.

        Args:
            total: The whole run's work in any unit of time.
            done: Work done before.
        """
        self._done = self._done_before = done
        self._started = time.monotonic()
        self._bar = tqdm(
            total=total,
            initial=done,
            disable=self.quiet or None,  # none in a log file
            file=sys.stderr,
            bar_format="{percentage:3.0f}%|{bar:20}| {desc} [{elapsed}, {remaining} left]",
            mininterval=0.5,
        )

    def advance(self, work: float, description: str) -> None:
        """Moves the progress bar; a log file gets a line from time to time instead.

        Args:
            work: Work done since the last call.
            description: E.g. "epoch 2/5, D pass 1, step 12/16".
        """
        if self._bar is None:
            return
        if not self._bar.disable:
            self._bar.set_description_str(description, refresh=False)
            self._bar.update(min(work, max(self._bar.total - self._bar.n, 0.0)))
            return
        self._done += work
        if not self.quiet and time.monotonic() - self._last_line >= HEARTBEAT:
            self._last_line = time.monotonic()
            share = self._done / max(self._bar.total, 1e-9)
            self.say(f"{100 * share:.0f} %, {description}{self._remaining(self._bar.total)}")

    def _remaining(self, total: float) -> str:
        """Returns how long the rest will take at the speed that was measured so far, in words."""
        done = self._done - self._done_before
        if done <= 0:
            return ""
        seconds = (time.monotonic() - self._started) * max(total - self._done, 0.0) / done
        return f", about {tqdm.format_interval(seconds)} left at this speed"

    def end_progress(self) -> None:
        """Closes the progress bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def is_run(folder: Path | str) -> bool:
    """Says whether a folder holds a run."""
    return (Path(folder) / "config.json").is_file()


def read_config(folder: Path | str) -> dict:
    """Reads the settings of a run.

    Args:
        folder: Of a run.

    Returns:
        The content of `config.json`.

    Raises:
        RecipeError: If it cannot be read, or was written by another version.
    """
    path = Path(folder) / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"{path}: not readable ({error}); this is no run folder, or a damaged one."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RecipeError(
            f"{path}: written by another version of keras_segan; its model.keras still loads, but the run "
            "cannot be resumed or shown; start it anew in another --out."
        )
    return content


def environment() -> dict:
    """Returns what a result depends on: versions, backend, machine and commit."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    machine = {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}
    facts = {"backend": keras_backend(), "commit": commit(), "processor": platform.machine()}
    return {**versions, **machine, **facts}


def keras_backend() -> str:
    """Returns the name of Keras's backend, empty if Keras is not imported."""
    return sys.modules["keras"].backend.backend() if "keras" in sys.modules else ""


def commit() -> str:
    """Returns the commit of the package's checkout, empty for an installed package."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        words = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=10"]
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an .npz file atomically."""
    temporary = path.with_name(path.name + ".writing")
    named: dict[str, Any] = dict(arrays)  # as NumPy types it, a name may be an option of savez
    with open(temporary, "wb") as file:
        np.savez(file, **named)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads an .npz file without unpickling anything."""
    with np.load(path, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def variables_to_arrays(groups: Mapping[str, Iterable]) -> dict[str, np.ndarray]:
    """Names the variables of several groups by their positions, for a checkpoint.

    Args:
        groups: Keras variables or arrays by name of the group.
    """
    return {
        f"{name}.{number:03d}": np.asarray(_as_numpy(variable))
        for name, variables in groups.items()
        for number, variable in enumerate(variables)
    }


def _as_numpy(variable: Any) -> Any:
    return variable.numpy() if hasattr(variable, "numpy") else variable


def assign_variables(groups: Mapping[str, Iterable], arrays: Mapping[str, np.ndarray]) -> None:
    """Assigns what `variables_to_arrays` named.

    Raises:
        RecipeError: If the checkpoint lacks a variable: it was written by another version.
    """
    for name, variables in groups.items():
        for number, variable in enumerate(variables):
            key = f"{name}.{number:03d}"
            if key not in arrays or arrays[key].shape != tuple(variable.shape):
                raise RecipeError(f"The checkpoint does not fit this version ({key}); start the run anew.")
            variable.assign(arrays[key])


def take_arrays(name: str, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Returns the arrays of one group of `variables_to_arrays`, in order."""
    keys = sorted(key for key in arrays if key.rpartition(".")[0] == name)
    return [arrays[key] for key in keys]
