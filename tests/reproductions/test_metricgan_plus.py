"""MetricGAN+ and MetricGAN-OKD from data to table on a tiny corpus, stopped and resumed on the way."""

import csv
import dataclasses
import json

import numpy as np
import pytest

import keras_segan as ks
from keras_segan.errors import MetricError, RecipeError
from keras_segan.reproduction import recipe
from keras_segan.reproduction.run import Request, look_up, reproduce
from keras_segan.reproduction.settings import changed
from keras_segan.reproductions import metricgan_okd, metricgan_plus

PAPERS = {
    "metricgan_plus": {"metric": "stoi"},
    "metricgan_okd": {"metric": "stoi,csig+pesq", "causal": True, "alpha": 10.0},
}
SMALL = {"utterances_per_epoch": 2, "history_share": 0.5}


@pytest.fixture(scope="module")
def corpus(short_corpus):
    return short_corpus({"train": 3, "validation": 1, "test": 2}, 0.9)


def run(paper, corpus, folder, epochs, resume=False):
    changes = {**PAPERS[paper], **SMALL, "epochs": epochs}
    if paper == "metricgan_okd":
        changes["first_evaluated_epoch"] = 1
    request = Request(paper, str(corpus), out=str(folder), changes=changes, resume=resume, quiet=True)
    return reproduce(request).text


@pytest.fixture(scope="module", params=PAPERS)
def runs(request, corpus, tmp_path_factory):
    """A run of two epochs and one that was resumed after the first."""
    folder = tmp_path_factory.mktemp(request.param)
    text = run(request.param, corpus, folder / "whole", 2)
    run(request.param, corpus, folder / "resumed", 1)
    run(request.param, corpus, folder / "resumed", 2, resume=True)
    return request.param, folder, text


def log(folder):
    with open(folder / "log.csv") as file:
        rows = list(csv.DictReader(file))
    return [
        {k: v for k, v in row.items() if v and not k.startswith(("s_", "peak", "seconds"))} for row in rows
    ]


def test_a_resumed_run_ends_with_the_same_numbers(runs):
    _, folder, _ = runs
    whole, resumed = folder / "whole", folder / "resumed"
    assert log(whole) == log(resumed)
    ours, theirs = (np.load(f / "checkpoints" / "epoch-00002.npz") for f in (resumed, whole))
    assert ours.files == theirs.files
    for key in theirs.files:
        if not key.startswith("__"):
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def test_steps_are_those_of_the_paper(runs):
    paper, folder, _ = runs
    rows = log(folder / "whole")
    # Two utterances, three steps each; half of a history of 2 and 4, or of 0 and 2 with the two new ones.
    past = ["1", "2"] if paper == "metricgan_plus" else ["2", "3"]
    assert [row["d1_steps"] for row in rows] == [row["d3_steps"] for row in rows] == ["6", "6"]
    assert [row["d2_steps"] for row in rows] == past
    generator = "g_loss" if paper == "metricgan_plus" else "g2_imitation_loss"
    assert [generator in row for row in rows] == [paper == "metricgan_plus", True]


# MetricGAN's first epoch after a warm-up trains the discriminator alone, as the original's first one does.
WARM_UPS = {"metricgan": 1, "metricgan_plus": 2}
BEST_ON_VALIDATION = {"metricgan": "model-best-on-validation.keras", "metricgan_plus": "model.keras"}


@pytest.mark.parametrize("paper", WARM_UPS)
def test_a_run_goes_on_with_both_players_after_its_warm_up(paper, corpus, tmp_path):
    warm_up = WARM_UPS[paper]
    history = {"history_divisor": 2} if paper == "metricgan" else {"history_share": 0.5}
    changes = {"metric": "stoi", "utterances_per_epoch": 2, **history, "warm_up_epochs": warm_up, "epochs": 3}
    request = Request(paper, str(corpus), out=str(tmp_path / "run"), changes=changes, quiet=True)
    reproduce(request)
    rows = log(tmp_path / "run")
    assert ["warm_up_loss" in row for row in rows] == [True, warm_up == 2, False]
    if warm_up == 2:
        assert float(rows[1]["warm_up_loss"]) < float(rows[0]["warm_up_loss"])
        assert [row.get("d2_steps") for row in rows] == [None, None, "1"]
    assert ["d2_steps" in row for row in rows] == [False, warm_up == 1, True]
    assert ["g_loss" in row for row in rows] == [False, False, True]
    assert all("validation_stoi" in row for row in rows)
    # Whatever they score, weights of the warm-up are no result of the game.
    best = ks.load_model(tmp_path / "run" / BEST_ON_VALIDATION[paper])
    assert best.information["epoch"] == 3
    # Cut off before the last epoch.
    (tmp_path / "run" / "checkpoints" / "epoch-00003.npz").unlink()
    reproduce(dataclasses.replace(request, resume=True))
    assert log(tmp_path / "run") == rows


def test_the_table_names_what_was_chosen_on_what(runs):
    paper, folder, text = runs
    assert "NOT COMPARABLE" in text
    assert "Weights chosen on the validation set." in text
    config = json.loads((folder / "whole" / "config.json").read_text())
    assert config["select"] == "validation"
    assert config["variant"] == "code"
    if paper == "metricgan_plus":
        assert "best on validation" in text
        assert "| last " in text
    else:
        assert "Causal" in text
        for target in PAPERS[paper]["metric"].split(","):
            assert f"{target} generator best on validation" in text


def test_selection_on_the_test_set_is_said(corpus):
    request = Request("metricgan_plus", str(corpus), changes={"select": "test"})
    settings = look_up(request).settings
    assert metricgan_plus.schedule(settings).evaluation.splits == ("test",)
    assert metricgan_plus.outcome(settings).chosen_on == "test"
    okd = dataclasses.replace(metricgan_okd.VARIANTS["code"], select="test")
    assert metricgan_okd.outcome(okd).rows == {"pesq generator best on test": "PESQ and CSIG"}


@pytest.mark.parametrize("paper", PAPERS)
def test_published_rows_are_in_the_table(paper):
    found = recipe.load(paper)
    known = {(row.table, row.row) for row in found.published()}
    targets = [("pesq", False)] if paper == "metricgan_plus" else list(metricgan_okd.ROWS)
    for metric, causal in targets:
        settings = dataclasses.replace(found.variants["code"], metric=metric, causal=causal)
        outcome = found.outcome(settings)
        row = outcome.rows if isinstance(outcome.rows, str) else next(iter(outcome.rows.values()))
        assert (outcome.table, row) in known


def test_labels_of_several_metrics():
    (first, second) = metricgan_okd.goals(metricgan_okd.Settings(metric="pesq, csig+cbak"))
    assert first.label({"pesq-wb-lqo": 2.5}) == pytest.approx(0.5)
    assert second.label({"csig": 3.0, "cbak": 5.0}) == pytest.approx(0.75)
    with pytest.raises(MetricError, match="range has no end"):
        metricgan_okd.goals(metricgan_okd.Settings(metric="pesq,si-sdr"))
    with pytest.raises(MetricError, match="one metric"):
        metricgan_plus.Settings(metric="pesq,csig")


@pytest.mark.parametrize(
    ("paper", "wrong"),
    [
        ("metricgan_plus", {"clip_scope": "none"}),
        ("metricgan_plus", {"convolution": "x"}),
        ("metricgan_okd", {"distillation": "x"}),
    ],
)
def test_unknown_words_are_refused(paper, wrong):
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        changed(recipe.load(paper).variants["code"], wrong)
