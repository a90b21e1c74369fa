import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_segan.metrics.pool import ScoreItem, ScoringPool
from keras_segan.workers import WorkerDied, Workers

COMMON = ("random", "queue", "logging", "numpy", "scipy", "soundfile", "pesq", "tempfile", "keras")

PARENT = """
import os, sys, time
from keras_segan.workers import Workers
with Workers(2) as workers:
    print(*[workers.submit(os.getpid).result() for _ in range(2)], flush=True)
    [workers.submit(sum, range(10**{size})) for _ in range(2)]
    time.sleep(60)
"""


def is_running(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
@pytest.mark.parametrize("size", [1, 12])  # idle, and busy for hours
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent_however_it_ends(end, size):
    code = PARENT.format(size=size)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        workers = {int(word) for word in parent.stdout.readline().split()}
        time.sleep(0.3)
        assert all(map(is_running, workers))
        parent.send_signal(end)
        parent.wait()
    limit = time.monotonic() + 10
    while any(map(is_running, workers)) and time.monotonic() < limit:
        time.sleep(0.1)
    assert not any(map(is_running, workers))


def test_workers_import_nothing_from_the_folder_where_the_user_stands(tmp_path):
    for name in COMMON:
        (tmp_path / f"{name}.py").write_text("open('RAN', 'a').close()\nraise RuntimeError('wrong module')\n")
    # -P for the parent: what it imports itself is not the workers' affair.
    code = (
        "import os, sys\nfrom keras_segan.metrics import registry\nfrom keras_segan.workers import Workers\n"
        "sys.path.append(os.getcwd())\n"
        "with Workers(1) as workers:\n    assert 'pesq-wb-lqo' in workers.submit(registry.names).result()\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "RAN").exists()


def test_no_more_workers_start_than_there_is_work():
    with Workers(50) as workers:
        pids = {workers.submit(os.getpid).result() for _ in range(4)}
        assert len(pids) == len(workers._processes) == 1
    rng = np.random.default_rng(0)
    items = [ScoreItem(str(n), *rng.standard_normal((2, 4800)), 16000, ("snr",)) for n in range(3)]
    with ScoringPool(jobs=50) as pool:
        assert all(result.scores for result in pool.map(items))
        assert len(pool._workers._workers._processes) <= 3


def test_what_a_function_raises_and_a_death_are_told_apart_and_the_next_call_goes_on():
    with Workers(1) as workers:
        with pytest.raises(ZeroDivisionError):
            workers.submit(divmod, 1, 0).result()
        with pytest.raises(WorkerDied):
            workers.submit(os._exit, 3).result()
        assert workers.submit(sum, [1, 2]).result() == 3


def test_what_a_function_prints_does_not_disturb_its_result(capfd):
    with Workers(1) as workers:
        assert workers.submit(print, "noise").result() is None
        assert workers.submit(sum, [1, 2]).result() == 3
    assert "noise" not in capfd.readouterr().out


def test_closing_ends_a_call_that_never_ends():
    workers = Workers(1)
    future = workers.submit(time.sleep, 1000)
    time.sleep(0.5)
    start = time.monotonic()
    workers.close()
    assert time.monotonic() - start < 5
    with pytest.raises(WorkerDied):
        future.result()
