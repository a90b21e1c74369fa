import sys

import pytest

from keras_segan import metrics
from keras_segan.errors import MetricError
from keras_segan.metrics import haspi


def test_without_its_package_it_says_what_to_install(monkeypatch, speech):
    monkeypatch.setitem(sys.modules, "clarity.evaluator.haspi", None)
    with pytest.raises(MetricError, match="pip install --no-deps pyclarity"):
        metrics.score("haspi", *speech[:2], 16000)


def test_the_weights_of_the_linear_form_make_its_range():
    assert metrics.get("haspi-linear").range == (0.0, pytest.approx(haspi.LINEAR_WEIGHTS.sum()))


def test_scores(speech):
    pytest.importorskip("clarity", reason="needs pyclarity")
    clean, noisy, _ = (signal[:16000] for signal in speech)
    asked = ("haspi", "haspi-linear")
    assert set(asked) <= set(metrics.names())
    best = metrics.score(asked, clean, clean, 16000)
    assert best == {name: pytest.approx(metrics.get(name).range[1], rel=1e-3) for name in asked}
    worse = metrics.score(asked, clean, clean + 3 * (noisy - clean), 16000)
    assert all(worse[name] < best[name] for name in asked)
    assert metrics.score("haspi", clean, noisy, 16000) == metrics.score("haspi", clean, noisy, 16000)
