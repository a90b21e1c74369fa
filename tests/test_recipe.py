import dataclasses
import importlib.resources

import pytest

from keras_segan import recipe, report
from keras_segan.errors import RecipeError, UsageError

PAPERS = recipe.names()


def test_papers_are_found():
    assert "metricgan" in PAPERS


@pytest.mark.parametrize("name", PAPERS)
def test_every_reproduction_follows_the_protocol(name):
    module = recipe.load(name)
    assert recipe.summary(name) == module.__doc__.partition("\n")[0]
    for part in ("build", "fit", "estimate", "shown_metrics", "published"):
        assert callable(getattr(module, part)), part
    assert "mini" in module.VARIANTS
    for config in module.VARIANTS.values():
        assert dataclasses.is_dataclass(config)
        assert config.epochs >= 1 or config.length
        assert isinstance(config.seed, int)
        assert module.shown_metrics(config)


@pytest.mark.parametrize("name", PAPERS)
def test_every_reproduction_has_published_numbers_and_a_ledger(name):
    rows = recipe.table(name)
    assert any(row.source == "published" for row in rows)
    text = (importlib.resources.files(recipe.PACKAGE) / f"{name}.md").read_text()
    assert "ledger" in text.lower()
    assert report.results_block(rows) in text, "run `make docs`"


def test_published_numbers_are_found_by_table_and_row():
    module = recipe.load("metricgan")
    table, row = module.published(module.VARIANTS["table2"])
    values = {r.definition: r.value for r in recipe.table("metricgan") if (r.table, r.row) == (table, row)}
    assert values == {"pesq-wb-lqo": 2.86, "csig": 3.99, "cbak": 3.18, "covl": 3.42}


@pytest.mark.parametrize(
    ("variant", "corpus", "expected"),
    [
        (None, "mini", "mini"),
        (None, "voicebank-demand", "table2"),
        (None, "metricgan-timit", "table1"),
        ("code", "metricgan-timit", "table1"),
        ("code", "mini", "table2"),
        (None, "folder", "table2"),
        ("table1", "voicebank-demand", "table1"),
    ],
)
def test_variant_follows_the_corpus(variant, corpus, expected):
    assert recipe.choose_variant(recipe.load("metricgan"), variant, corpus) == expected


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(RecipeError, match="Did you mean 'metricgan'") as caught:
        recipe.load("metrigan")
    assert isinstance(caught.value, UsageError)
    with pytest.raises(RecipeError, match="table2"):
        recipe.choose_variant(recipe.load("metricgan"), "tabel2", "mini")


def test_settings_are_converted_and_checked():
    config = recipe.load("metricgan").VARIANTS["mini"]
    changed = recipe.override(config, {"epochs": "7", "mask_floor": "0.1", "layout": "transpose"})
    assert (changed.epochs, changed.mask_floor, changed.layout) == (7, 0.1, "transpose")
    for wrong in ({"epoch": "7"}, {"epochs": "many"}, {"epochs": "0"}, {"layout": "sideways"}):
        with pytest.raises(RecipeError) as caught:
            recipe.override(config, wrong)
        assert isinstance(caught.value, UsageError)


def test_changed_settings_are_named():
    module = recipe.load("metricgan")
    assert recipe.differences(module, module.VARIANTS["table2"], "table2") == []
    named = recipe.differences(module, module.VARIANTS["mini"], recipe.reference_variant(module, "mini"))
    assert any(sentence.startswith("epochs = ") and "instead of 600" in sentence for sentence in named)
