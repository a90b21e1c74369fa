import subprocess
import sys
from types import SimpleNamespace

import pytest

from keras_segan import metrics
from keras_segan.errors import MetricError, UsageError
from keras_segan.metrics import registry


def test_the_registry_has_all_metrics_of_the_tables():
    wanted = {"pesq-wb-lqo", "pesq-nb-lqo", "pesq-nb-raw", "stoi", "estoi", "csig", "cbak", "covl", "ssnr"}
    wanted |= {"snr", "llr", "wss", "fwsegsnr", "lsd", "si-sdr"}
    assert wanted <= set(metrics.names())
    for name in metrics.names():
        metric = metrics.get(name)
        assert metric.name == metric.definition == name
        assert metric.range[0] < metric.range[1]
        assert metric.label
        assert metric.reference


def test_aliases_and_case():
    assert metrics.get("pesq") is metrics.get("PESQ-WB-LQO") is metrics.get("pesq-wb-lqo")
    assert metrics.get(metrics.get("stoi")) is metrics.get("stoi")


def test_an_unknown_name_is_wrong_use_and_gets_a_hint():
    with pytest.raises(MetricError, match=r"Unknown metric 'pesk'. Did you mean 'pesq'") as caught:
        metrics.get("pesk")
    assert isinstance(caught.value, UsageError)
    with pytest.raises(MetricError, match="Unknown metric 'sto'"):
        metrics.score(("sto",), None, None, 16000)  # told before anything is read


def test_a_users_metric_with_a_declared_range(user_metrics, speech):
    metric = metrics.get(f"{user_metrics}:first@0..2")
    assert (metric.range, metric.higher_is_better, metric.label) == ((0.0, 2.0), True, "first")
    assert metrics.scale.get(metric.default_scale)(0.5) == 0.25
    assert metrics.get(metric.name) == metric  # its name is enough for a worker process
    by_argument = metrics.get(f"{user_metrics}:first", range=(0, 2))
    assert by_argument == metric
    scores = metrics.score((f"{user_metrics}:first@0..2", "ssnr"), speech[0], speech[1], 16000)
    assert scores[f"{user_metrics}:first@0..2"] == speech[1][0]


def test_a_range_from_high_to_low_means_lower_is_better(user_metrics):
    metric = metrics.get(f"{user_metrics}:first@5..0")
    assert (metric.range, metric.higher_is_better, metric.worst) == ((0.0, 5.0), False, 5.0)
    assert metrics.scale.get(metric.default_scale)(5.0) == 0.0


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("{}:first", "declares no range"),
        ("{}:first@0", "ends of a range must be numbers"),
        ("{}:first@1..1", "must be finite and differ"),
        ("{}:missing@0..1", "cannot be imported"),
        ("no_such_module:first@0..1", "cannot be imported"),
        ("{}:number@0..1", "is not a function"),
    ],
)
def test_wrong_users_metrics_are_wrong_use(user_metrics, spec, sentence):
    with pytest.raises(MetricError, match=sentence) as caught:
        metrics.get(spec.format(user_metrics))
    assert isinstance(caught.value, UsageError)


def test_a_users_metric_that_raises_or_is_undefined_is_a_failure(user_metrics, speech):
    with pytest.raises(MetricError, match=r"wrong@0.0..1.0' failed: ValueError: no such thing"):
        metrics.score(f"{user_metrics}:wrong@0..1", *speech[:2], 16000)
    with pytest.raises(MetricError, match="is not a number"):
        metrics.score(f"{user_metrics}:undefined@0..1", *speech[:2], 16000)


def test_metrics_of_installed_packages(monkeypatch):
    theirs = metrics.Metric("theirs", lambda clean, processed, rate: 7.0, (0.0, 10.0))
    entries = {
        "theirs": SimpleNamespace(name="theirs", value="p:theirs", load=lambda: theirs),
        "odd": SimpleNamespace(name="odd", value="p:odd", load=lambda: 3),
    }
    monkeypatch.setattr(registry, "entry_points", lambda group: entries.values() if group else ())
    assert "theirs" in metrics.names()
    assert metrics.get("theirs") is theirs
    with pytest.raises(MetricError, match="is no Metric"):
        metrics.get("odd")


def test_importing_the_metrics_imports_nothing_heavy():
    code = (
        "import sys, keras_segan.metrics, keras_segan.metrics.pool\n"
        "heavy = {'keras', 'tensorflow', 'librosa', 'scipy.signal', 'soundfile', 'pesq', 'pystoi'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
