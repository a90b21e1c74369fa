import time

import numpy as np
import pytest

from keras_segan import audio
from keras_segan.errors import MetricError, UsageError
from keras_segan.metrics.pool import ScoreItem, ScoringPool, apply_policy

RATE = 16000


def items(metric: str, firsts) -> list[ScoreItem]:
    """Returns items whose processed signal begins with the given values."""
    rng = np.random.default_rng(0)
    made = []
    for i, first in enumerate(firsts):
        clean = 0.1 * rng.standard_normal(4800)
        processed = clean.copy()
        processed[0] = first
        made.append(ScoreItem(f"u{i}", clean, processed, RATE, (metric,)))
    return made


@pytest.fixture(scope="module")
def pool():
    with ScoringPool(jobs=2) as shared_pool:
        yield shared_pool


def test_results_come_in_the_order_of_the_items(pool, user_metrics):
    naps = [0.2, 0.0, 0.1, 0.0]  # the first is done last
    metric = f"{user_metrics}:nap@0..1"
    results = list(pool.map(items(metric, naps)))
    assert [result.id for result in results] == ["u0", "u1", "u2", "u3"]
    assert [result.scores[metric] for result in results] == naps
    assert results[0].seconds >= 0.2


def test_submitting_returns_at_once_and_gathering_waits(pool, user_metrics):
    metric = f"{user_metrics}:nap@0..1"
    start = time.perf_counter()
    first = pool.submit(items(metric, [0.5, 0.5]))
    second = pool.submit(items(metric, [0.1]))
    assert time.perf_counter() - start < 0.4
    assert not first.done()
    assert pool.gather(second)[0].scores[metric] == 0.1
    assert len(pool.gather(first)) == 2
    assert first.done()


def test_a_worker_imports_no_keras(pool, user_metrics):
    metric = f"{user_metrics}:imported@0..3"
    assert next(pool.map(items(metric, [0.0]))).scores[metric] == 0.0


def test_scores_of_a_worker_equal_those_of_this_process(pool, speech):
    from keras_segan import metrics

    asked = ("pesq", "stoi", "csig", "lsd")
    result = next(pool.map([ScoreItem("s", *speech[:2], RATE, asked)]))
    assert result.scores == pytest.approx(metrics.score(asked, *speech[:2], RATE), abs=1e-6)
    assert result.failure is None


def test_paths_are_read_by_the_worker(pool, speech, tmp_path):
    for name, waveform in zip(("clean", "noisy"), speech, strict=False):
        audio.write(tmp_path / f"{name}.wav", waveform / 10 if name == "noisy" else waveform, subtype="FLOAT")
    paths = tmp_path / "clean.wav", tmp_path / "noisy.wav"
    whole, scaled, lost = pool.map(
        [
            ScoreItem("a", *speech[:2], RATE, ("ssnr",)),
            ScoreItem("b", *paths, None, ("ssnr",), scale=10.0),
            ScoreItem("c", paths[0], tmp_path / "missing.wav", None, ("ssnr",)),
        ]
    )
    assert scaled.scores["ssnr"] == pytest.approx(whole.scores["ssnr"], abs=1e-4)
    assert lost.failure.kind == "AudioError"
    assert "missing.wav: no such file" in lost.failure.message


def test_rates_of_a_pair_must_agree_unless_one_is_named(pool, speech, tmp_path):
    audio.write(tmp_path / "clean.wav", speech[0])
    audio.write(tmp_path / "noisy.wav", audio.resample(speech[1], RATE, 22050), 22050)
    paths = tmp_path / "clean.wav", tmp_path / "noisy.wav"
    refused, resampled = pool.map([ScoreItem("a", *paths, None), ScoreItem("b", *paths, RATE)])
    assert "its rate is 22050 Hz" in refused.failure.message
    assert resampled.notes[0] == "resampled to 16000 Hz (clean 16000 Hz, processed 22050 Hz)"
    assert resampled.scores["stoi"] > 0.9


@pytest.mark.parametrize(("jobs", "bad"), [(1, {2}), (2, {2, 3})])
def test_items_that_kill_their_worker_are_named_and_the_others_scored(user_metrics, jobs, bad):
    metric = f"{user_metrics}:crash@0..1"
    firsts = [1.0 if i in bad else i / 100 for i in range(14)]
    with ScoringPool(jobs) as pool:
        results = list(pool.map(items(metric, firsts)))
        again = pool.gather(pool.submit(items(metric, [0.25])))  # the pool goes on
    assert {i for i, result in enumerate(results) if result.failure} == bad
    assert {result.failure.kind for result in results if result.failure} == {"Crash"}
    assert [r.scores[metric] for i, r in enumerate(results) if i not in bad] == [
        first for i, first in enumerate(firsts) if i not in bad
    ]
    assert again[0].scores[metric] == 0.25


def test_an_item_that_never_ends_is_stopped(user_metrics):
    metric = f"{user_metrics}:hang@0..1"
    with ScoringPool(jobs=1, timeout=1.0) as pool:
        results = list(pool.map(items(metric, [0.0, 1.0, 0.1])))
    assert [str(result.failure) for result in results] == ["None", "Timeout: stopped after 1 s.", "None"]


def test_closing_drops_what_was_not_gathered(user_metrics):
    pool = ScoringPool(jobs=1)
    handle = pool.submit(items(f"{user_metrics}:nap@0..1", [0.5] * 50))
    start = time.perf_counter()
    pool.close()
    assert time.perf_counter() - start < 10
    assert handle.futures[-1].cancelled()


def test_wrong_names_and_numbers_are_told_before_any_work():
    with pytest.raises(MetricError, match="jobs must be at least 1"):
        ScoringPool(jobs=0)
    with ScoringPool(jobs=1) as pool, pytest.raises(MetricError, match="Unknown metric"):
        pool.submit(items("stoy", [0.0]))


@pytest.fixture(scope="module")
def mixed():
    """A good, a silent and a good item, scored."""
    clean = 0.1 * np.random.default_rng(0).standard_normal(4800)
    asked = ("ssnr", "llr-limited")
    with ScoringPool(jobs=1) as pool:
        return pool.gather(
            pool.submit(
                ScoreItem(name, clean, processed, RATE, asked)
                for name, processed in (("a", 0.9 * clean), ("b", 0 * clean), ("c", 0.8 * clean))
            )
        )


def test_policy_floor_marks_the_failure_and_gives_the_worst_values(mixed):
    kept = apply_policy(mixed, "floor")
    assert [result.id for result in kept] == ["a", "b", "c"]
    assert kept[1].scores == {"ssnr": -10.0, "llr-limited": 2.0}
    assert "silent" in kept[1].failure.message


def test_policy_skip_and_raise(mixed):
    assert [result.id for result in apply_policy(mixed, "skip")] == ["a", "c"]
    with pytest.raises(MetricError, match="1 of 3 could not be scored: b: The processed signal is silent"):
        apply_policy(mixed, "raise")
    assert len(apply_policy([mixed[0]], "raise")) == 1
    with pytest.raises(MetricError, match="'ignore' is none of"):
        apply_policy(mixed, "ignore")


def test_policy_floor_needs_a_range_with_an_end():
    with ScoringPool(jobs=1) as pool:
        results = list(pool.map([ScoreItem("a", np.zeros(9), np.zeros(9), RATE, ("wss",))]))
    with pytest.raises(MetricError, match="wss has no worst value") as caught:
        apply_policy(results, "floor")
    assert isinstance(caught.value, UsageError)


def test_a_dask_cluster_of_two_processes_scores_and_survives_a_crash(user_metrics):
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    metric = f"{user_metrics}:crash@0..1"
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        ScoringPool(dask=cluster.scheduler_address) as pool,
    ):
        good = list(pool.map(items(metric, [i / 100 for i in range(12)])))
        assert [result.scores[metric] for result in good] == [i / 100 for i in range(12)]
        results = list(pool.map(items(metric, [0.1, 0.2, 1.0, 0.3, 0.4, 0.5])))
    assert [result.id for result in results if result.failure] == ["u2"]
    assert results[2].failure.kind == "Crash"
    assert [r.scores[metric] for r in results if r.scores] == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_an_address_without_a_scheduler_is_an_error(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("keras_segan.metrics.pool._DASK_ANSWER_SECONDS", 1)
    with pytest.raises(MetricError, match="No dask scheduler answers"):
        ScoringPool(dask="tcp://127.0.0.1:9")
