"""Scoring many pairs in worker processes, which the C code of PESQ may crash without harm.

The workers of `keras_segan.workers` are fresh interpreters without Keras and TensorFlow; the same code
sends the work to a dask cluster instead.
"""

import concurrent.futures
import faulthandler
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from keras_segan.errors import MetricError, MetricUsageError
from keras_segan.metrics.items import Failure, ScoreItem, ScoreResult, apply_policy, score_item
from keras_segan.metrics.registry import get
from keras_segan.workers import WorkerDied, Workers

__all__ = ["Failure", "Handle", "ScoreItem", "ScoreResult", "ScoringPool", "apply_policy"]

# In flight for each worker: one being scored and one waiting, so that no worker idles.
_PER_WORKER = 2
_DASK_ANSWER_SECONDS = 10


@dataclass(frozen=True)
class Handle:
    """Work that was submitted; `ScoringPool.gather` waits for it."""

    futures: tuple[Future, ...]

    def done(self) -> bool:
        """Says whether all results are there."""
        return all(future.done() for future in self.futures)


class ScoringPool:
    """Worker processes that score pairs; started with the first work, kept for the next.

    A worker that dies is replaced. Its item is run once more, alone, to tell one that kills its worker from
    one that was killed with it.

    Args:
        jobs: Number of worker processes; `None` takes one for each usable core.
        dask: Address of a dask scheduler, used instead of own processes (extra `dask`).
        timeout: Seconds after which the scoring of an item is stopped and counted as failed. Measured by
            each worker process; a dask worker must have one thread for it.

    Use it as a context manager, or call `close`.
    """

    def __init__(self, jobs: int | None = None, dask: str | None = None, timeout: float | None = None):
        if jobs is not None and jobs < 1:
            raise MetricUsageError(f"jobs must be at least 1, not {jobs}.")
        self._timeout = timeout
        self._workers = _DaskWorkers(dask) if dask else _LocalWorkers(jobs)
        # One thread feeds the workers, so that the caller can do something else meanwhile.
        self._feeder = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self._closed = False

    def __enter__(self) -> "ScoringPool":
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Stops the workers; work that was submitted and not gathered is dropped."""
        self._closed = True
        self._workers.close()
        self._feeder.shutdown()
        self._workers.close()  # the feeder may just have started one anew

    def submit(self, items: Iterable[ScoreItem]) -> Handle:
        """Starts scoring and returns at once.

        Args:
            items: The pairs.

        Returns:
            A handle for `gather`.

        Raises:
            MetricUsageError: If a metric is unknown.
        """
        items = list(items)
        for metric in dict.fromkeys(metric for item in items for metric in item.metrics):
            get(metric)
        futures = tuple(Future() for _ in items)
        self._feeder.submit(self._feed, items, futures)
        return Handle(futures)

    def gather(self, handle: Handle) -> list[ScoreResult]:
        """Waits for submitted work and returns its results in the order of the items."""
        return [future.result() for future in handle.futures]

    def map(self, items: Iterable[ScoreItem]) -> Iterator[ScoreResult]:
        """Yields the results in the order of the items, each as soon as it and all before are there."""
        handle = self.submit(items)
        return (future.result() for future in handle.futures)

    def _feed(self, items: list[ScoreItem], futures: tuple[Future, ...]):
        """Runs in the feeder thread until all futures are decided."""
        try:
            waiting = deque(zip(items, futures, strict=True))
            running: dict[Future, tuple[ScoreItem, Future]] = {}
            while (waiting or running) and not self._closed:
                self._top_up(waiting, running)
                self._run_alone(_collect(running, self._workers.crash_errors))
        except BaseException as error:
            # Without this a caller would wait for ever for results that never come. After closing any
            # error may come from the executor that was stopped underneath.
            for future in futures if not self._closed else ():
                if not future.done():
                    future.set_exception(error)
        for future in futures:
            future.cancel()

    def _top_up(self, waiting: deque, running: dict):
        """Hands out work until every worker has enough."""
        while waiting and len(running) < _PER_WORKER * self._workers.count():
            item, future = waiting.popleft()
            running[self._start(item)] = item, future

    def _start(self, item: ScoreItem) -> Future:
        return self._workers.submit(_timed_score, item, self._timeout)

    def _run_alone(self, suspects: list[tuple[ScoreItem, Future]]):
        for item, future in suspects:
            if self._closed:
                return
            start = time.monotonic()
            try:
                future.set_result(self._start(item).result())
            except self._workers.crash_errors:
                future.set_result(self._crashed(item, time.monotonic() - start))

    def _crashed(self, item: ScoreItem, seconds: float) -> ScoreResult:
        # A started interpreter takes time too: only an item that had its full time ran out of it.
        if self._timeout and seconds >= self._timeout:
            return ScoreResult.failed(item, "Timeout", f"stopped after {self._timeout:g} s.", seconds)
        message = "the worker process died while scoring it (a crash in compiled code, or out of memory)."
        return ScoreResult.failed(item, "Crash", message, seconds)


def _collect(running: dict, crash_errors: tuple) -> list[tuple[ScoreItem, Future]]:
    """Waits for something to finish and hands its result on; returns what died with its worker."""
    done = next(iter(concurrent.futures.wait(running, return_when="FIRST_COMPLETED")), ())
    died = []
    for worker_future in done:
        item, future = running.pop(worker_future)
        try:
            future.set_result(worker_future.result())
        except crash_errors:
            died.append((item, future))
    return died


def _timed_score(item: ScoreItem, timeout: float | None) -> ScoreResult:
    """Scores in the worker; past the timeout the process ends itself."""
    if timeout is None:
        return score_item(item)
    # A thread of C code: it also ends a computation that never returns to Python.
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(timeout, exit=True, file=nowhere)
        try:
            return score_item(item)
        finally:
            faulthandler.cancel_dump_traceback_later()


class _LocalWorkers:
    """Processes on this machine, no more than there are items at once."""

    crash_errors = (WorkerDied,)

    def __init__(self, jobs: int | None):
        self._jobs = jobs
        self._workers = None

    def count(self) -> int:
        if self._jobs is None:
            from joblib import cpu_count

            self._jobs = cpu_count()
        return self._jobs

    def submit(self, function: Callable, *arguments) -> Future:
        if self._workers is None:
            self._workers = Workers(self.count())
        return self._workers.submit(function, *arguments)

    def close(self):
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()


class _DaskWorkers:
    """The workers of a dask cluster, each of which has the package installed and sees the files."""

    def __init__(self, address: str):
        try:
            import distributed
        except ImportError as error:
            message = "dask is not installed; install it with: pip install keras_segan[dask]"
            raise MetricUsageError(message) from error
        try:
            self._client = distributed.Client(address, timeout=_DASK_ANSWER_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise MetricError(f"No dask scheduler answers at {address} ({error}).") from error
        self.crash_errors = (distributed.KilledWorker,)

    def count(self) -> int:
        return max(1, sum(self._client.nthreads().values()))

    def submit(self, function: Callable, *arguments) -> Future:
        return _as_concurrent(self._client.submit(function, *arguments, pure=False))

    def close(self):
        self._client.close()


def _as_concurrent(dask_future) -> Future:
    future = Future()

    def copy(done):
        error = done.exception()
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(done.result())

    dask_future.add_done_callback(copy)
    return future
