import json

import pytest

from keras_segan import cli
from keras_segan.cli import selftest
from keras_segan.metrics.builtin import METRICS

SCORES = 2 * len(METRICS)  # a noisy and a processed signal


def test_this_installation_scores_correctly(capsys):
    assert cli.run(["selftest"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("keras_segan ")
    assert captured.out.count(" ok\n") == SCORES
    assert f"All {SCORES} scores are right." in captured.err


def test_json_and_exit_code_when_a_score_is_off(capsys, monkeypatch):
    monkeypatch.setattr(selftest, "TOLERANCE", -1.0)
    assert cli.run(["selftest", "--json"]) == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["ok"] is False
    assert len(found["rows"]) == SCORES
    assert f"{SCORES} of {SCORES} values differ" in captured.err


def test_a_package_that_cannot_score_at_all_is_named(capsys, monkeypatch):
    rows = [{"signal": "noisy", "metric": "pesq", "known": 1.0, "ours": 1.0, "ok": True}]
    monkeypatch.setattr(selftest, "check", lambda: (rows, ["noisy: ImportError: no pesq"]))
    assert cli.run(["selftest"]) == 1
    assert "cannot score: noisy: ImportError: no pesq" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["clean", "noisy", "processed"])
def test_bundled_signals_are_small(name):
    from importlib.resources import files

    from keras_segan import audio

    path = files("keras_segan.data") / "selftest" / f"{name}.flac"
    assert path.stat().st_size < 100_000
    assert audio.read(path)[1] == 16000
