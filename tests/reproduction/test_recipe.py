"""The contract: recipes are found, checked when they are loaded, and their settings are data."""

import dataclasses
import importlib.resources
import types

import pytest

from keras_segan.errors import RecipeError, UsageError
from keras_segan.reproduction import recipe, tables
from keras_segan.reproduction.outcomes import Outcome
from keras_segan.reproduction.settings import BaseSettings, changed, differences, listed, setting

PAPERS = recipe.names()


def test_papers_are_found():
    assert {"metricgan", "shah", "xu"} <= set(PAPERS)


@pytest.mark.parametrize("name", PAPERS)
def test_every_recipe_meets_the_contract(name):
    found = recipe.load(name)
    assert recipe.summary(name) == found.summary
    assert "mini" in found.variants
    for settings in found.variants.values():
        assert settings.length
        assert isinstance(found.outcome(settings), Outcome)


@pytest.mark.parametrize("name", PAPERS)
def test_every_setting_has_a_meaning_and_a_source(name):
    for entry in listed(next(iter(recipe.load(name).variants.values()))):
        assert entry["meaning"], entry["name"]
        assert entry["source"], entry["name"]


@pytest.mark.parametrize("name", PAPERS)
def test_every_recipe_has_published_numbers_and_a_ledger(name):
    rows = recipe.load(name).published()
    assert any(row.source == "published" for row in rows)
    text = (importlib.resources.files(recipe.PACKAGE) / f"{name}.md").read_text()
    assert "ledger" in text.lower()
    assert tables.results_block(rows) in text, "run `make docs`"


LONGER = {"qnet": 520}  # it trains a predictor, and then an enhancer


@pytest.mark.parametrize("name", PAPERS)
def test_a_recipe_can_be_read_in_one_sitting(name):
    text = (importlib.resources.files(recipe.PACKAGE) / f"{name}.py").read_text()
    assert 150 <= text.count("\n") <= LONGER.get(name, 400)
    assert "_loss" in text or "Game(" in text  # or the game of the paper that it succeeds


def test_published_numbers_are_found_by_table_and_row():
    found = recipe.load("metricgan")
    outcome = found.outcome(found.variants["table2"])
    numbers = [r for r in found.published() if (r.table, r.row) == (outcome.table, outcome.rows)]
    values = {r.definition: r.value for r in numbers}
    assert values == {"pesq-wb-lqo": 2.86, "csig": 3.99, "cbak": 3.18, "covl": 3.42}


@pytest.mark.parametrize(
    ("variant", "corpus", "expected"),
    [
        (None, "mini", "mini"),
        (None, "voicebank-demand", "table2"),
        (None, "timit-noise10", "table1"),
        ("code", "timit-noise10", "table1"),
        ("code", "mini", "table2"),
        (None, "folder", "table2"),
        ("table1", "voicebank-demand", "table1"),
    ],
)
def test_variant_follows_the_corpus(variant, corpus, expected):
    assert recipe.load("metricgan").choose_variant(variant, corpus) == expected


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'metricgan'"):
        recipe.load("metrigan")
    with pytest.raises(UsageError, match="table2"):
        recipe.load("metricgan").choose_variant("tabel2", "mini")
    with pytest.raises(UsageError, match="Did you mean 'mask_floor'"):
        changed(recipe.load("metricgan").variants["mini"], {"maskfloor": "0.1"})


def test_an_incomplete_recipe_names_what_is_missing():
    module = types.ModuleType("toy")
    with pytest.raises(RecipeError, match="'toy' is incomplete: PAPER is missing") as caught:
        recipe.Recipe.of(module)
    for part in ("Settings", "VARIANTS", "build", "fit", "plan", "outcome"):
        assert f"{part} is missing" in str(caught.value)


def test_a_part_of_another_kind_is_named():
    module = types.ModuleType("toy")
    vars(module).update(vars(__import__("keras_segan.reproductions.metricgan", fromlist=["PAPER"])))
    module.__name__ = "toy"
    module.VARIANTS = {"code": 7}
    with pytest.raises(RecipeError, match=r"VARIANTS\['code'\] is no Settings"):
        recipe.Recipe.of(module)
    module.fit = "no function"
    with pytest.raises(RecipeError, match="fit is not a function of settings, manifest and run"):
        recipe.Recipe.of(module)


@dataclasses.dataclass(frozen=True)
class Toy(BaseSettings):
    rate: float = setting(0.5, "step size", unit="per step", source="ours", at_least=0)
    levels: tuple[float, ...] = setting((0.0, 5.0), "SNRs", unit="dB")
    limit: int | None = setting(None, "how many; none for all", at_least=1)
    names: tuple[str, ...] = setting((), "speakers")
    fast: bool = setting(False, "whether", role="row")
    kind: str = setting("a", "which", choices=("a", "b"))
    epochs: int = setting(3, "epochs", unit="epochs", at_least=1, role="length")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ({"rate": "1e-3"}, 1e-3),
        ({"levels": "0, -5,20"}, (0.0, -5.0, 20.0)),
        ({"levels": ""}, ()),
        ({"limit": "none"}, None),
        ({"limit": "7"}, 7),
        ({"names": "p226,p287"}, ("p226", "p287")),
        ({"fast": "yes"}, True),
        ({"kind": "b"}, "b"),
    ],
)
def test_settings_are_read_by_their_type(text, value):
    name = next(iter(text))
    assert getattr(changed(Toy(), text), name) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ({"rate": "fast"}, "rate needs a number, not 'fast'"),
        ({"rate": "nan"}, "rate must be a finite number"),
        ({"rate": "-1"}, "rate must be at least 0"),
        ({"limit": "many"}, "limit needs a whole number or none|limit needs a whole number"),
        ({"limit": "0"}, "limit must be at least 1"),
        ({"levels": "0,loud"}, "levels needs numbers with commas between them"),
        ({"levels": "0,inf"}, "levels must be a finite number"),
        ({"fast": "perhaps"}, "fast needs true or false"),
        ({"kind": "c"}, "kind must be one of a, b, not 'c'"),
        ({"seed": "-1"}, "seed must be at least 0"),
        ({"seed": str(2**32)}, "seed must be at most"),
    ],
)
def test_wrong_values_are_refused_in_one_sentence(text, sentence):
    with pytest.raises(UsageError, match=sentence):
        changed(Toy(), text)


def test_only_what_makes_another_experiment_is_a_difference():
    other = dataclasses.replace(Toy(), fast=True, seed=5, rate=0.1, limit=4)
    assert differences(other, Toy()) == ["rate = 0.1 instead of 0.5", "limit = 4 instead of none"]
    assert other.choice == {"fast": True}
    assert Toy().choice == {}
    assert Toy().length == "3 epochs"


def test_changed_settings_are_named():
    found = recipe.load("metricgan")
    reference = found.variants[found.reference("mini")]
    assert differences(reference, reference) == []
    named = differences(found.variants["mini"], reference)
    assert any(sentence.startswith("epochs = ") and "instead of 600" in sentence for sentence in named)
