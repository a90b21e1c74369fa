"""The only training loop: rounds of steps, resume, progress, log and checkpoints.

A source of examples says what is played on, batch by batch; it may do what it likes in between, such as
enhancing and scoring (`metric_feedback`). A round is what lies between two lines of the log: an epoch, or
some iterations.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from keras_segan import backends
from keras_segan.errors import KsegError
from keras_segan.training.keep import Keep
from keras_segan.training.run_folder import Run, assign_variables, take_arrays, variables_to_arrays
from keras_segan.training.step import Step, fetch

TRAIN = "train"  # name of the step where there is only one
ITERATION = "iteration"


class Stopped(KsegError):
    """Training was stopped before its end, and a checkpoint was written."""


@dataclass(frozen=True)
class Batch:
    """What steps are taken on.

    Attributes:
        arrays: Makes the arrays by name; not called for a batch that is skipped.
        steps: Names of the steps that are taken, in order.
        label: Prefix of the log's columns instead of the player's name, where one player logs several.
        work: Share of the progress bar, in any unit.
        weight: How often its values count in the round's mean.
        where: What the progress bar says.
    """

    arrays: Callable[[], Mapping[str, np.ndarray]]
    steps: tuple[str, ...] = (TRAIN,)
    label: str = ""
    work: float = 1.0
    weight: int = 1
    where: str = ""


class Source(Protocol):
    """A source of examples."""

    def round(self, number: int) -> Iterator[Batch]:
        """Yields the batches of a round, counted from 1; always the same for the same number and state."""

    def work(self, number: int) -> float:
        """Returns the work of a round, in the unit of `Batch.work`."""

    def facts(self) -> dict[str, Any]:
        """Returns further columns of the log for the round that has just ended."""

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Returns what a checkpoint has to hold: JSON and arrays; also in the middle of a round."""

    def restore(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Goes on from a state."""


@dataclass(frozen=True)
class Rounds:
    """How training is divided.

    Attributes:
        total: Length of the training in `unit`.
        unit: First column of the log: "epoch" or `ITERATION`.
        length: Units in a round; the last one may be shorter.
        log_start: Whether the state before the first step is measured and logged, too.
    """

    total: int
    unit: str = "epoch"
    length: int = 1
    log_start: bool = False

    @property
    def count(self) -> int:
        """Number of rounds."""
        return -(-self.total // self.length)

    def end(self, number: int) -> int:
        """Returns the position at the end of a round, in `unit`."""
        return min(number * self.length, self.total)


@dataclass
class _Progress:
    """Where training is: rounds that are complete, batches of the next one, and what they logged."""

    rounds: int = 0
    batches: int = 0
    columns: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class _Taken:
    """A step that was taken; what it logged is still on the device, the arrays are let go.

    Attributes:
        number: Number of the batch in its round, from 1.
        step: Name of the step.
        label: Label of the batch, or the name of the step and "_" where the batch took several.
        weight: Weight of the batch.
        logged: What the step returned.
    """

    number: int
    step: str
    label: str
    weight: int
    logged: Mapping[str, Any]


class Training:
    """Trains to the last round, from the last checkpoint or from the beginning.

    Args:
        steps: Steps by name. Columns of the log begin with the name of the step where a batch takes several.
        source: Where the batches come from.
        rounds: How training is divided.
        run: The run folder.
        keep: Which weights stay.

    Attributes:
        at_start: Called once, before the first step of a training that has no checkpoint, such as a
            pre-training of other kind.
        before_round: Called with the number of a round before it begins, such as a learning rate's schedule.
        measure: Called at the end of a round for further columns of the log, such as a validation loss.
        done: Number of complete rounds.
    """

    def __init__(self, steps: Mapping[str, Step], source: Source, rounds: Rounds, run: Run, keep: Keep):
        self.steps = dict(steps)
        self.source = source
        self.rounds = rounds
        self.run = run
        self.keep = keep
        self.at_start: Callable[[], None] = lambda: None
        self.before_round: Callable[[int], None] = lambda number: None
        self.measure: Callable[[], dict[str, float]] = dict
        self._progress = _Progress()
        self._pending: list[_Taken] = []

    @property
    def done(self) -> int:
        """Number of complete rounds."""
        return self._progress.rounds

    def fit(self) -> None:
        """Trains to the last round.

        Raises:
            Stopped: If the run's time was up; a checkpoint has been written.
            KsegError: If a loss is not finite.
        """
        if not self.restore():
            self.at_start()
            if self.rounds.log_start:
                self._log(0, {})
        self._start_progress()
        while self.done < self.rounds.count:
            self._round(self.done + 1)
        self.run.end_progress()

    def _start_progress(self) -> None:
        work = [self.source.work(number) for number in range(1, self.rounds.count + 1)]
        self.run.start_progress(sum(work), sum(work[: self.done]))

    def _round(self, number: int) -> None:
        start = time.perf_counter() - self._progress.seconds
        self.before_round(number)
        skipped = self._progress.batches
        for position, batch in enumerate(self.source.round(number)):
            if position >= skipped:
                self._take(batch)
            self.run.advance(batch.work, batch.where or self._where(number, position))
            if position >= skipped and self.run.time_is_up:
                self._stop(number, time.perf_counter() - start)
        self._collect(number)
        row = self._means()
        taken = self._progress.batches
        self._progress = _Progress(number)
        self._log(number, row, start)
        self._checkpoint(taken)

    def _take(self, batch: Batch) -> None:
        """Takes the steps of a batch; their losses stay on the device until the line of the log."""
        arrays = batch.arrays()
        self._progress.batches += 1
        for name in batch.steps:
            step = self.steps[name]
            wanted = {key: value for key, value in arrays.items() if key in step.shapes}
            logged = step(**wanted)
            label = batch.label or (f"{name}_" if len(batch.steps) > 1 else "")
            self._pending.append(_Taken(self._progress.batches, name, label, batch.weight, logged))

    def _where(self, number: int, position: int) -> str:
        return f"{self.rounds.unit} {self.rounds.end(number)}/{self.rounds.total}, batch {position + 1}"

    def _collect(self, number: int) -> None:
        """Fetches what the steps have logged since the last time."""
        groups: dict[tuple[str, str], list[_Taken]] = {}
        for taken in self._pending:
            groups.setdefault((taken.step, taken.label), []).append(taken)
        self._pending = []
        for (step, label), entries in groups.items():
            for name, values in fetch([each.logged for each in entries]).items():
                self._require_finite(name, values, entries, number)
                column = self._progress.columns.setdefault(self._column(step, label, name), [])
                for taken, value in zip(entries, values, strict=True):
                    column += [value] * taken.weight

    def _column(self, step: str, label: str, name: str) -> str:
        if not label or label.endswith("_"):
            return label + name
        # "discriminator_loss" of the batches labelled "d1" is "d1_loss".
        return label + name.removeprefix(self.steps[step].player_of(name).name)

    def _require_finite(
        self, name: str, values: Sequence[float], entries: Sequence[_Taken], number: int
    ) -> None:
        for taken, value in zip(entries, values, strict=True):
            if not math.isfinite(value):
                player = self.steps[taken.step].player_of(name).name
                raise KsegError(
                    f"{name} of player '{player}' in step '{taken.step}' is {value} in batch {taken.number} "
                    f"of {self.rounds.unit} {self.rounds.end(number)}: training has diverged. The last good "
                    f"checkpoint is {self.run.last_checkpoint() or 'the beginning'}."
                )

    def _means(self) -> dict[str, float]:
        return {name: float(np.mean(values)) for name, values in self._progress.columns.items()}

    def _log(self, number: int, row: dict[str, Any], start: float | None = None) -> None:
        measured = self.measure()
        position = self.rounds.end(number)
        row = {self.rounds.unit: position, **row, **measured}
        if start is not None:
            row |= {**self.source.facts(), "seconds": round(time.perf_counter() - start, 2)}
            self.keep.after_round(position, row)
        self.run.log_epoch(row)
        shown = [f"{key} {value:.3f}" for key, value in row.items() if isinstance(value, float)]
        self.run.say(f"{self.rounds.unit} {position}: {', '.join(shown)}")

    def _stop(self, number: int, seconds: float) -> None:
        self._collect(number)
        self._progress.seconds = seconds
        self._checkpoint(self._progress.batches)
        self.run.end_progress()
        raise Stopped(
            f"Stopped in {self.rounds.unit} {self.rounds.end(number)} of {self.rounds.total}, as asked; "
            "--resume goes on from there."
        )

    def variables(self) -> dict[str, Sequence[Any]]:
        """Returns all variables of the game by name, each once."""
        groups: dict[str, Sequence[Any]] = {}
        seen: set[int] = set()
        for step_name, step in self.steps.items():
            for name, variables in step.state.items():
                new = [variable for variable in variables if id(variable) not in seen]
                seen |= {id(variable) for variable in new}
                if new:
                    groups[f"{step_name}.{name}"] = new
        return groups

    def _checkpoint(self, taken: int) -> None:
        """Saves a checkpoint; `taken` are the batches of the round that is under way or has just ended."""
        state, arrays = self.source.state()
        kept, weights = self.keep.state()
        groups = {**self.variables(), **{f"keep.{name}": each for name, each in weights.items()}}
        groups["random"] = backends.random_state()
        named = {f"source.{name}": array for name, array in arrays.items()}
        progress = self._progress
        facts = {
            "rounds": progress.rounds,
            "batches": progress.batches,
            "taken": taken,
            "columns": progress.columns,
            "seconds": progress.seconds,
            "source": state,
            "keep": kept,
        }
        position = self.rounds.end(progress.rounds)
        self.run.save_checkpoint(position, {**variables_to_arrays(groups), **named}, facts)

    def restore(self) -> bool:
        """Goes back to the last checkpoint; `fit` does it itself.

        Returns:
            Whether there was one.
        """
        checkpoint = self.run.load_checkpoint()
        if checkpoint is None:
            self.run.log.clear()
            return False
        arrays, facts = checkpoint
        assign_variables(self.variables(), arrays)
        backends.set_random_state(take_arrays("random", arrays))
        prefix = "source."
        own = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
        self.source.restore(facts["source"], own)
        self.keep.restore(facts["keep"], arrays)
        self._progress = self._resumed(facts)
        return True

    def _resumed(self, facts: Mapping[str, Any]) -> _Progress:
        if facts["position"] < self.rounds.end(facts["rounds"]):
            # The last round was cut short by the end of a training that is now longer.
            return _Progress(facts["rounds"] - 1, facts["taken"])
        return _Progress(facts["rounds"], facts["batches"], facts["columns"], facts["seconds"])
