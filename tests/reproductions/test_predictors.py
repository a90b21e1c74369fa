"""Quality-Net and Q-Net from data to table on a tiny corpus, stopped and resumed on the way."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from keras_segan.data.manifest import Manifest
from keras_segan.errors import DataUsageError, RecipeError
from keras_segan.models import registry
from keras_segan.reproduction.run import Request, plan, reproduce
from keras_segan.reproductions import qnet, qualitynet

SMALL = {
    "qualitynet": {"epochs": 2, "enhancers": "wiener"},
    "qnet": {
        "epochs": 1,
        "pretraining_epochs": 1,
        "iterations": 2,
        "utterances_per_iteration": 2,
        "filters": "2,2,3,3",
        "units": 4,
        "hidden": 6,
    },
}
LENGTH = {"qualitynet": "epochs", "qnet": "iterations"}


@pytest.fixture(scope="module")
def corpus(short_corpus):
    return short_corpus({"train": 3, "validation": 2, "test": 3}, 1.1)


def run(paper, corpus, folder, resume=False, **changes):
    changes = {**SMALL[paper], **changes}
    request = Request(paper, str(corpus), "mini", str(folder), changes, resume=resume, quiet=True)
    return reproduce(request)


def log(folder):
    with open(folder / "log.csv") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module", params=SMALL)
def runs(request, corpus, tmp_path_factory):
    """A run, and one that was resumed before its last round."""
    folder = tmp_path_factory.mktemp(request.param)
    result = run(request.param, corpus, folder / "whole")
    run(request.param, corpus, folder / "resumed", **{LENGTH[request.param]: 1})
    run(request.param, corpus, folder / "resumed", resume=True)
    return request.param, folder, result


def test_a_resumed_run_ends_with_the_same_numbers(runs):
    _, folder, _ = runs
    assert log(folder / "whole") == log(folder / "resumed")
    ours, theirs = (
        json.loads((folder / f / "result.json").read_text())["rows"] for f in ("resumed", "whole")
    )
    assert ours == theirs


def test_the_saved_model_is_loaded_safely_and_gives_the_table_s_numbers(runs):
    paper, folder, result = runs
    model = registry.load_model(folder / "whole" / "model.keras")
    assert model.information["recipe"] == paper
    rows = {(row["system"], row["definition"]) for row in result.content["rows"]}
    if paper == "qualitynet":
        assert ("best on validation, noisy", "lcc") in rows
        assert ("best on validation, wiener", "mse") in rows
    else:
        assert ("fine-tuned", "pesq-nb-raw") in rows
        claim = result.content["claims"][0]
        assert (claim["better"], claim["worse"], claim["published"]) == ("Q-Net", "BLSTM (MSE)", 0.18)
        assert claim["verdict"] in ("holds", "contradicted", "undecided")
        assert registry.load_model(folder / "whole" / "predictor.keras").information["recipe"] == "qnet"


def test_both_scores_are_drawn_over_the_iterations(runs):
    paper, folder, _ = runs
    if paper == "qnet":
        rows = log(folder / "whole")
        assert [bool(row["validation_true"]) for row in rows] == [False, False, True, True]
        assert (folder / "whole" / "report" / "predicted-and-true.png").is_file()


def test_calibration_and_scatter_plot_are_in_the_report(runs):
    paper, folder, _ = runs
    if paper == "qualitynet":
        report = folder / "whole" / "report"
        assert len(list(report.glob("scatter-*.png"))) == 2  # best and last
        with open(next(report.glob("calibration-*.csv"))) as file:
            rows = list(csv.DictReader(file))
        assert sum(int(row["n"]) for row in rows) == 7  # 3 noisy, 3 enhanced, 1 clean


def test_scores_of_another_definition_are_refused(runs, tmp_path):
    paper, folder, _ = runs
    if paper == "qualitynet":
        manifest = Manifest.read(folder / "whole" / "manifest.csv")
        assert {u.group for u in manifest.utterances} == {"noisy", "enhanced", "clean"}
        other = tuple(dataclasses.replace(u, definition="stoi") for u in manifest.utterances)
        Manifest(other, "folder").write(tmp_path / "manifest.csv")
        with pytest.raises(DataUsageError, match="scored by stoi"):
            run(paper, tmp_path / "manifest.csv", tmp_path / "out")


def test_the_predictor_alone_ends_in_correlations(corpus, tmp_path):
    result = run("qnet", corpus, tmp_path / "out", step="predictor", enhancers="wiener", epochs=1)
    rows = {row["system"]: row for row in result.content["rows"] if row["definition"] == "mse"}
    assert np.isfinite(rows["best on validation"]["reproduced"])
    predictor = registry.load_model(tmp_path / "out" / "model.keras")
    again = run(
        "qnet",
        corpus,
        tmp_path / "enhancer",
        step="enhancer",
        predictor=str(tmp_path / "out" / "model.keras"),
    )
    assert predictor.information["definition"] == "pesq-nb-raw"
    assert {row["system"] for row in again.content["rows"]} == {"noisy", "fine-tuned", "MSE"}


def test_the_plan_counts_what_will_be_done():
    for paper, kinds in (("qualitynet", ["steps", "files"]), ("qnet", ["predictor steps", "steps with MSE"])):
        text = plan(Request(paper, variant="mini"))
        assert all(kind in text for kind in kinds)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="feedback"):
        dataclasses.replace(qualitynet.CODE, largest_norm=None)
    with pytest.raises(ValueError, match="predictor"):
        dataclasses.replace(qnet.CODE, step="enhancer")
    with pytest.raises(RecipeError, match="feedback"):
        reproduce(Request("qualitynet", changes={"largest_norm": "none"}))
