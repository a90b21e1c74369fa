import dataclasses

import pytest

from keras_segan.errors import MetricError
from keras_segan.reproductions import metricgan as recipe


def label(score, variant="table2", **changes):
    target = recipe.target(dataclasses.replace(recipe.VARIANTS[variant], **changes))
    return target.label(dict.fromkeys(target.maps, score))


def test_labels_are_the_papers():
    assert label(2.0) == pytest.approx(0.5)
    assert label(4.644) == pytest.approx(1.0288)
    assert label(0.73, metric="stoi") == 0.73
    assert label(3.0, metric="csig") == pytest.approx(0.5)
    assert label(25.0, metric="os.path:getsize@0..100") == pytest.approx(0.25)


def test_table_1_reads_what_the_itu_program_prints():
    assert label(1.76349, "table1") == pytest.approx((1.763 + 0.5) / 5)
    assert label(-0.123, "table1") == pytest.approx((0.123 + 0.5) / 5)


def test_a_metric_without_ends_is_no_target():
    with pytest.raises(MetricError, match="range has no end"):
        label(1.0, metric="si-sdr")


def test_it_takes_one_target():
    with pytest.raises(MetricError, match="one metric"):
        label(1.0, metric="pesq,csig")


def test_pesq_means_the_variant_s_own_kind():
    kinds = {name: list(recipe.target(config).maps) for name, config in recipe.VARIANTS.items()}
    assert kinds == {"table2": ["pesq-wb-lqo"], "table1": ["pesq-nb-raw"], "mini": ["pesq-wb-lqo"]}
    assert "pesq-nb-raw" in recipe.outcome(recipe.VARIANTS["table1"]).metrics
    assert "pesq-wb-lqo" not in recipe.outcome(recipe.VARIANTS["table1"]).metrics
