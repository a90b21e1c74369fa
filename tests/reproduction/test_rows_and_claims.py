"""The lines of the table and the verdicts, from scores that are made up."""

import numpy as np
import pytest

from keras_segan.reproduction.outcomes import Enhancement, bootstrap
from keras_segan.reproduction.recipe import Published


def published(row, value, definition="stoi", table="Table 1", **more):
    return Published("published", table, row, "code", "timit", "STOI", definition, value, **more)


def claim(better, worse, definition="stoi", **more):
    facts = {"table": "text", "variant": "code", "dataset": "timit", "metric": "M", "value": None}
    return Published("claim", row=better, than=worse, definition=definition, **facts, **more)


def scores(values):
    """Lines for values by system, at two levels in two noises."""
    return [
        {
            "system": system,
            "id": f"u{number}",
            "speaker": "",
            "noise": ("bus", "cafe")[number % 2],
            "snr": (0.0, 5.0)[number // 2 % 2],
            "stoi": float(value),
            "failure": "",
        }
        for system, column in values.items()
        for number, value in enumerate(column)
    ]


NOISY = np.linspace(0.5, 0.9, 8)


def test_rows_of_systems_and_of_levels_are_found_in_the_papers_table():
    outcome = Enhancement(metrics=("stoi",), table="Table 1", rows="GAN")
    numbers = [
        published("Noisy", 0.7),
        published("GAN", 0.8),
        published("GAN, 5 dB", 0.9),
        published("GAN, 20 dB", 0.95),
        published("DNN", 0.75),
        published("GAN", 0.1, table="Table 2"),
        published("GAN", 3.0, definition="pesq-wb-lqo"),
    ]
    rows = outcome.tabulate(scores({"noisy": NOISY, "last": NOISY + 0.1, "DNN": NOISY}), numbers)
    assert [(row.system, row.published) for row in rows] == [
        ("noisy", 0.7),
        ("last", 0.8),
        ("last, 5 dB", 0.9),
        ("DNN", 0.75),
    ]
    assert rows[2].count == 4


@pytest.mark.parametrize(
    ("rows", "expected"),
    [({"last": "GAN"}, [0.8, None, 0.75]), ("GAN", [0.8, 0.8, 0.75]), ({}, [None, None, 0.75])],
)
def test_a_listed_row_comes_before_that_of_the_own_name_and_a_text_after_it(rows, expected):
    outcome = Enhancement(metrics=("stoi",), table="Table 1", rows=rows)
    numbers = [published("GAN", 0.8), published("DNN", 0.75)]
    found = outcome.tabulate(scores({"last": NOISY, "best": NOISY, "DNN": NOISY}), numbers)
    assert [row.published for row in found if row.reproduced is not None] == expected


def test_by_noise_means_are_those_over_noises():
    lines = scores({"DNN": NOISY})[:3]  # two in the bus, one in the cafe
    first, bus, cafe, quoted = Enhancement(
        metrics=("stoi",), table="Table 1", rows={"DNN": "DNN"}, breakdown="noise"
    ).tabulate(lines, [published("DNN, bus", 0.6, deviation=0.1), published("DNN, rails", 0.5)])
    means = [np.mean([NOISY[0], NOISY[2]]), NOISY[1]]
    assert first.reproduced == pytest.approx(np.mean(means))
    assert first.deviations[1] == pytest.approx(np.std([NOISY[0], NOISY[2]]) / 2)
    assert (bus.system, bus.published, bus.deviations[0]) == ("DNN, bus", 0.6, 0.1)
    assert cafe.reproduced == pytest.approx(NOISY[1])
    assert (quoted.system, quoted.reproduced) == ("DNN, rails", None)


def test_grades_reach_the_table():
    outcome = Enhancement(metrics=("stoi",), table="Table 1", rows="GAN")
    rows = outcome.tabulate(scores({"last": NOISY}), [published("GAN", 0.8, grade="disputed")])
    assert rows[0].is_flagged


def test_claims_are_judged_by_the_paired_interval():
    noise = np.random.default_rng(0).normal(0, 0.2, 8)
    outcome = Enhancement(metrics=("stoi",), table="Table 1", rows={"last": "GAN"})
    lines = scores({"noisy": NOISY, "last": NOISY + 0.1, "DNN": NOISY + 0.1 + noise - noise.mean()})
    numbers = [
        claim("GAN", "Noisy"),
        claim("Noisy", "GAN"),
        claim("GAN", "DNN"),
        claim("GAN", "SEGAN"),
        claim("GAN", "Noisy", definition="pesq-wb-lqo"),
        claim("GAN, bus", "Noisy, bus"),
    ]
    holds, contradicted, undecided, unknown, unscored, few = outcome.judge(lines, numbers)
    assert (holds.verdict, holds.count) == ("holds", 8)
    assert holds.difference == pytest.approx(0.1)
    assert holds.interval == pytest.approx((0.1, 0.1))
    assert contradicted.verdict == "contradicted"
    assert undecided.verdict == "undecided"
    assert undecided.interval[0] < 0 < undecided.interval[1]
    assert [unknown.verdict, unscored.verdict] == ["not measured"] * 2
    assert unknown.difference is None
    assert (few.verdict, few.count) == ("undecided", 4)  # too few to say


def test_only_utterances_that_both_were_scored_on_count():
    lines = scores({"noisy": NOISY, "last": NOISY + 0.1})
    del lines[0]["stoi"]
    outcome = Enhancement(metrics=("stoi",))
    (found,) = outcome.judge(lines, [claim("last", "noisy")])
    assert found.count == 7


def test_for_some_measures_small_is_good():
    assert bootstrap.verdict((-2.0, -1.0), 20, higher_is_better=False) == "holds"
    assert bootstrap.verdict((-2.0, -1.0), 20, higher_is_better=True) == "contradicted"
    assert bootstrap.verdict((0.0, 0.0), 20, higher_is_better=True) == "undecided"
    assert bootstrap.verdict((1.0, 2.0), 5, higher_is_better=True) == "undecided"


def test_the_head_says_how_weights_were_chosen():
    outcome = Enhancement(metrics=("stoi",), chosen_on="validation", statements=("Causal.",))
    lines = scores({"noisy": NOISY, "best on validation": NOISY})
    assert outcome.remarks(lines) == ["Causal.", "Weights chosen on the validation set."]
    assert "Last weights" in outcome.remarks(scores({"last": NOISY}))[1]
