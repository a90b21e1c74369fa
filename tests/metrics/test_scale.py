import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_segan import metrics
from keras_segan.errors import MetricError, UsageError
from keras_segan.metrics import scale

# Name, value, value on the scale as the papers' code has it.
VALUES = [
    ("pesq-linear", -0.5, 0.0),
    ("pesq-linear", 4.5, 1.0),
    ("pesq-linear", 2.0, 0.5),
    ("unit", 0.3, 0.3),
    ("mos-linear", 1.0, 0.0),
    ("mos-linear", 5.0, 1.0),
    ("mos-linear", 2.0, 0.25),
    ("pesq-logistic", 2.5, 0.5),
    ("pesq-logistic", 3.5, 1 / (1 + np.exp(-1.5))),
    ("estoi-logistic", 0.25, 0.5),
    ("linear@-10..35", 35.0, 1.0),
    ("linear@10..0", 10.0, 0.0),
    ("linear@10..0", 2.5, 0.75),
]


@pytest.mark.parametrize(("name", "value", "mapped"), VALUES)
def test_known_values(name, value, mapped):
    assert scale.get(name)(value) == pytest.approx(mapped)


@given(st.sampled_from([*scale.names(), "linear@-3..8", "linear@100..0"]), st.floats(0.001, 0.999))
def test_forward_and_inverse_undo_each_other(name, mapped):
    s = scale.get(name)
    assert s.forward(s.inverse(mapped)) == pytest.approx(mapped, abs=1e-9)


@pytest.mark.parametrize("name", metrics.names())
def test_default_scale_maps_the_range_to_zero_and_one(name):
    metric = metrics.get(name)
    if not np.isfinite(metric.range).all():
        assert metric.default_scale == ""
        return
    s = scale.get(metric.default_scale)
    at_ends = sorted(s(end) for end in metric.range)
    assert at_ends == pytest.approx([0, 1], abs=0.31)  # the papers' PESQ map begins at raw -0.5, not at 1
    assert (s(metric.range[1]) > s(metric.range[0])) == metric.higher_is_better


def test_scales_work_on_arrays():
    assert scale.get("mos-linear")(np.array([1.0, 3.0])).tolist() == [0.0, 0.5]


@pytest.mark.parametrize("name", ["pesq-linaer", "linear@1..1", "linear@a..b", "linear@0..inf", "linear@5"])
def test_wrong_names_are_wrong_use(name):
    with pytest.raises(MetricError) as caught:
        scale.get(name)
    assert isinstance(caught.value, UsageError)
    assert name in str(caught.value)
