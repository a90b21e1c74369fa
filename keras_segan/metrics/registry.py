"""Looking metrics up by name, built in or the user's own, and scoring with several at once."""

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points

import numpy as np

from keras_segan.errors import MetricError, MetricUsageError, unknown
from keras_segan.metrics.builtin import METRICS, OPTIONAL
from keras_segan.metrics.metric import Metric
from keras_segan.metrics.pair import Pair
from keras_segan.metrics.scale import parse_ends

ENTRY_POINTS = "keras_segan.metrics"
ALIASES = {"pesq": "pesq-wb-lqo", "segsnr": "ssnr", "fwsnrseg": "fwsegsnr", "sisdr": "si-sdr"}


def names() -> tuple[str, ...]:
    """Returns the names of all metrics: built in, then those of installed packages."""
    optional = OPTIONAL if importlib.util.find_spec("clarity") else ()
    return (*METRICS, *optional, *sorted(_entry_points()))


def _entry_points() -> dict:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def get(name: "str | Metric", range: tuple[float, float] | None = None) -> Metric:
    """Returns a metric.

    Args:
        name: A name or alias; `module:function` for a function `(clean, processed, sample_rate) -> float`
            of the user; or `module:function@WORST..BEST`, which declares its range as well.
        range: Worst and best value of the user's function; worst above best means lower is better.

    Returns:
        The metric.

    Raises:
        MetricError: If there is no such metric or its range is not declared.
    """
    if isinstance(name, Metric):
        return name
    name = ALIASES.get(name.lower(), name)
    for known in (METRICS, OPTIONAL):
        if name.lower() in known:
            return known[name.lower()]
    if ":" in name:
        return _user_metric(name, range)
    installed = _entry_points()
    if name in installed:
        return _from_entry_point(installed[name])
    raise MetricUsageError(unknown("metric", name, (*names(), *ALIASES)))


def _from_entry_point(entry) -> Metric:
    metric = entry.load()
    if not isinstance(metric, Metric):
        raise MetricUsageError(
            f"The entry point '{entry.name}' ({entry.value}) is no Metric of keras_segan.",
        )
    return metric


def _user_metric(spec: str, ends: tuple[float, float] | None) -> Metric:
    path, _, declared = spec.partition("@")
    if declared:
        first, _, second = declared.partition("..")
        ends = parse_ends(first, second, spec)
    if ends is None:
        raise MetricUsageError(
            f"The metric '{spec}' declares no range; write {path}@WORST..BEST, as in {path}@0..100.",
        )
    worst, best = parse_ends(*map(repr, map(float, ends)), spec)
    bounds = f"{worst!r}..{best!r}"
    return Metric(
        # The full spec, so that a worker process can look the metric up by its name.
        name=f"{path}@{bounds}",
        function=_imported(path),
        range=(min(worst, best), max(worst, best)),
        higher_is_better=best > worst,
        reference=f"user's {path}",
        label=path.rpartition(":")[2],
        default_scale=f"linear@{bounds}",
    )


def _imported(path: str) -> Callable:
    module, _, attribute = path.partition(":")
    try:
        with _user_modules():
            function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise MetricUsageError(
            f"The metric '{path}' cannot be imported ({error}); is its folder on PYTHONPATH?"
        ) from error
    if not callable(function):
        raise MetricUsageError(f"The metric '{path}' is not a function.")
    return function


@contextlib.contextmanager
def _user_modules():
    """Makes modules in the current folder importable for a moment, after all others."""
    here = os.getcwd()
    if here in sys.path:
        yield
        return
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)


def score_pair(metrics: Iterable["str | Metric"], pair: Pair) -> dict[str, float]:
    """Returns the scores of a pair by the names asked for; see `score`."""
    scores = {}
    for asked in metrics:
        metric = get(asked)
        key = asked if isinstance(asked, str) else metric.name
        if metric.of_pair:
            value = metric.of_pair(pair)
        else:
            value = _user_value(metric, pair)
        if np.isnan(value):
            raise MetricError(f"{key} is not a number for these signals.")
        scores[key] = float(value)
    return scores


def _user_value(metric: Metric, pair: Pair) -> float:
    try:
        return float(metric.function(pair.clean, pair.processed, pair.sample_rate))
    except Exception as error:
        raise MetricError(f"The metric '{metric.name}' failed: {type(error).__name__}: {error}.") from error


def score(
    names: Iterable["str | Metric"], clean: np.ndarray, processed: np.ndarray, sample_rate: int
) -> dict[str, float]:
    """Returns the scores of a processed signal; parts that metrics share are computed once.

    Args:
        names: Names of metrics, or metrics.
        clean: `(samples,)`, float in [-1, 1] or int16.
        processed: The same; at most one hop (256 samples) longer or shorter.
        sample_rate: In Hz; any rate but 8000 and 16000 is resampled to 16000.

    Returns:
        The value of each metric by the name that was asked for.

    Raises:
        MetricError: If a metric is unknown, or a signal is silent, too short, not finite or not mono.
    """
    metrics = [names] if isinstance(names, (str, Metric)) else list(names)
    for metric in metrics:
        get(metric)  # a wrong name is told before any work is done
    return score_pair(metrics, Pair(clean, processed, sample_rate))
