"""What a discriminator learns: scores of metrics, mapped to [0, 1]."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keras_segan import metrics
from keras_segan.errors import MetricUsageError
from keras_segan.metrics import scale
from keras_segan.metrics.pool import ScoreItem


@dataclass(frozen=True)
class Target:
    """One output of a discriminator: a metric, or the mean of several.

    Attributes:
        name: What it is called, such as "csig+cbak".
        maps: From the raw score of each metric, named by its definition id, to [0, 1].
    """

    name: str
    maps: Mapping[str, Callable[[float], float]]

    def label(self, scores: Mapping[str, float]) -> float:
        """Returns the label of an utterance with these raw scores."""
        values = [to_unit(scores[definition]) for definition, to_unit in self.maps.items()]
        return float(sum(values) / len(values))


def parse(text: str, names: Mapping[str, str], scales: Mapping[str, str] | None = None) -> tuple[Target, ...]:
    """Reads targets as a user writes them.

    Args:
        text: Targets with commas between them, each one metric or several with `+` between them, whose
            mapped scores are averaged: "pesq,csig+cbak".
        names: Definition ids of what users call by shorter names.
        scales: Names of the maps of some definition ids, instead of the metrics' own.

    Returns:
        The targets, in order.

    Raises:
        MetricError: For an unknown metric, or one without a map to [0, 1].
    """
    targets = []
    for part in text.split(","):
        maps = {}
        for name in part.split("+"):
            metric = metrics.get(names.get(name.strip(), name.strip()))
            maps[metric.definition] = _map(metric, (scales or {}).get(metric.definition))
        targets.append(Target(part.strip(), maps))
    return tuple(targets)


def single(text: str, names: Mapping[str, str]) -> Target:
    """Reads the target of a paper that has one; see `parse`."""
    found = parse(text, names)
    if len(found) > 1:
        raise MetricUsageError(f"This paper optimises one metric, not '{text}'; metricgan_okd takes several.")
    return found[0]


def shown(targets: tuple[Target, ...], usual: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the definition ids of a table: the targets' that are not usual there, and the usual ones."""
    wanted = [name for target in targets for name in target.maps if name not in usual]
    return tuple(dict.fromkeys([*wanted, *usual]))


def _map(metric: metrics.Metric, name: str | None) -> Callable[[float], float]:
    if not (name or metric.default_scale):
        raise MetricUsageError(
            f"'{metric.name}' cannot be a target: its range has no end, so it has no map to [0, 1]."
        )
    return scale.get(name or metric.default_scale)


class Scorer:
    """Scores waveforms in the run's worker processes.

    Args:
        pool: A `metrics.pool.ScoringPool`.
        targets: What the discriminator learns.
        shown: Definition ids of the metrics logged on validation and test utterances.
        sample_rate: In Hz.
        chosen_by: Definition id of the metric by which weights are kept; the first target's if `None`.

    Attributes:
        definitions: Definition ids of all that labels are made of.
    """

    def __init__(self, pool, targets: tuple[Target, ...], shown, sample_rate: int, chosen_by=None):
        self.pool = pool
        self.targets = targets
        self.definitions = tuple(dict.fromkeys(name for target in targets for name in target.maps))
        self.chosen_by = chosen_by or self.definitions[0]
        self.shown = tuple(dict.fromkeys((*self.definitions, self.chosen_by, *shown)))
        self.sample_rate = sample_rate

    def labels(self, scores: Mapping[str, float]) -> tuple[float, ...]:
        """Returns the discriminator's labels of an utterance with these raw scores."""
        return tuple(target.label(scores) for target in self.targets)

    def submit(self, definitions, triples) -> object:
        """Starts scoring (id, clean, processed) triples; returns what `gather` takes."""
        items = [
            ScoreItem(name, clean, processed, self.sample_rate, definitions)
            for name, clean, processed in triples
        ]
        return self.pool.submit(items)

    def gather(self, *handles) -> list:
        """Waits for scores; returns `ScoreResult`s in the order of the items."""
        return [result for handle in handles for result in self.pool.gather(handle)]
