"""Worker processes: fresh interpreters that call functions, which compiled code may crash without harm.

A worker imports what its parent would import, and nothing in place of one of Python's modules from the folder
where the user stands. There are never more workers than calls at once. They end with their parent, however
that ends: a worker's standard input is a pipe that closes with the parent; a thread watches it.
"""

import contextlib
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_LENGTH = struct.Struct(">Q")
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# -P: the folder where the user stands is not searched. The parent's own additions come last, so that no file
# in them hides a module of Python or of an installed package; only this package is the parent's in any case.
_START = """
import sys
sys.path[:0] = [{home!r}]
import keras_segan
del sys.path[0]
sys.path += [folder for folder in {folders!r} if folder not in sys.path]
from keras_segan.workers import serve
serve()
"""


class WorkerDied(Exception):
    """A worker process ended while it was calling a function."""


class Workers:
    """Calls functions in worker processes, each of which is started when there is work for it.

    Args:
        most: How many there are at the most.

    Use it as a context manager, or call `close`.
    """

    def __init__(self, most: int):
        # A thread for each process; a new one starts only if none is idle.
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="worker")
        self._own = threading.local()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen] = set()
        self._closed = False

    def submit(self, function: Callable, *arguments) -> Future:
        """Calls a function in a worker.

        Args:
            function: One that can be pickled.
            *arguments: Likewise.

        Returns:
            Its result, or what it raised; `WorkerDied` if its process ended.
        """
        return self._threads.submit(self._call, function, arguments)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends all processes at once; work that is not done is dropped."""
        with self._lock:
            self._closed = True
            for process in self._processes:
                process.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for process in self._processes:
            _buried(process)
        self._processes.clear()

    def _call(self, function: Callable, arguments: tuple) -> Any:
        import cloudpickle  # it knows functions of the user's own script, too

        call = cloudpickle.dumps((function, arguments))
        process = self._process()
        try:
            _send(process.stdin, call)
            succeeded, value = pickle.loads(_received(process.stdout))
        except (OSError, EOFError) as error:
            with self._lock:
                self._processes.discard(process)
            self._own.process = None
            process.kill()
            _buried(process)
            raise WorkerDied(f"a worker process ended with code {process.returncode}") from error
        if not succeeded:
            raise value
        return value

    def _process(self) -> subprocess.Popen:
        if getattr(self._own, "process", None) is None:
            with self._lock:
                if self._closed:
                    raise WorkerDied("the workers were stopped")
                self._own.process = _started()
                self._processes.add(self._own.process)
        return self._own.process


def _started() -> subprocess.Popen:
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = _START.format(home=home, folders=[os.path.abspath(folder) for folder in sys.path])
    with _without_interrupts():
        return subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ONE_THREAD},
        )


@contextlib.contextmanager
def _without_interrupts():
    """What starts inside never sees Ctrl-C: the parent decides what becomes of its workers."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _buried(process: subprocess.Popen):
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # of what could not be written any more
            pipe.close()


def _send(pipe, content: bytes):
    pipe.write(_LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def _received(pipe) -> bytes:
    """Reads a message; `EOFError` if the other side is gone."""
    head = pipe.read(_LENGTH.size)
    content = pipe.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    if len(head) < _LENGTH.size or len(content) < _LENGTH.unpack(head)[0]:
        raise EOFError
    return content


# --- in the worker


def serve():
    """Calls what comes through standard input until it closes; what is printed goes to standard error."""
    import queue

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    calls, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_watch, args=(calls, waiting), daemon=True).start()
    while True:
        _send(results, _outcome(waiting.get()))


def _die_with_parent():
    """Asks Linux to end the process with its parent; compiled code may keep the thread from watching."""
    if sys.platform == "linux":
        import ctypes

        parent = os.getppid()
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(0)


def _watch(calls, waiting):
    """Takes calls; ends the process, whatever it is doing, when the parent is gone."""
    try:
        while True:
            waiting.put(_received(calls))
    except (EOFError, OSError):
        os._exit(0)


def _outcome(call: bytes) -> bytes:
    try:
        function, arguments = pickle.loads(call)
        return pickle.dumps((True, function(*arguments)))
    except Exception as error:
        try:
            return pickle.dumps((False, error))
        except Exception:  # an error that cannot travel
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
