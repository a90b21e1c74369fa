"""What the samplers of the MetricGAN family draw."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_segan.reproductions.metricgan import Sampler as MetricGANSampler
from keras_segan.reproductions.metricgan_okd import Sampler as OKDSampler
from keras_segan.reproductions.metricgan_okd_listening import Sampler as ListeningSampler
from keras_segan.reproductions.metricgan_plus import Sampler as MetricGANPlusSampler
from keras_segan.training.samplers import Example

SAMPLERS = [MetricGANSampler, MetricGANPlusSampler, OKDSampler, ListeningSampler]
each_sampler = pytest.mark.parametrize("sampler_class", SAMPLERS)


def run_epoch(sampler, epoch):
    """Draws an epoch; every utterance gets all kinds of examples."""
    drawn = sampler.utterances(epoch)
    current = [
        {kind: Example(kind, i, epoch if kind == "enhanced" else 0, (0.1,)) for kind in sampler.kinds}
        for i in drawn
    ]
    return drawn, list(sampler.passes(epoch, current))


@each_sampler
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_an_epoch_has_as_many_steps_as_planned(sampler_class, utterances, per_epoch, seed):
    sampler = sampler_class(utterances, 2, per_epoch, seed)
    enough = utterances >= per_epoch  # otherwise MetricGAN+ draws some more than once
    for epoch in (1, 2, 3):
        drawn, passes = run_epoch(sampler, epoch)
        assert len(drawn) == sampler.drawn
        assert set(drawn) <= set(range(utterances))
        assert len(passes) == 3
        assert len(passes[0]) == len(passes[2])
        if sampler_class is not MetricGANSampler:  # whose queue swallows one
            assert Counter(passes[0]) == Counter(passes[2])
        if enough or sampler_class is not MetricGANPlusSampler:
            assert len(set(drawn)) == len(drawn)
            assert sum(map(len, passes)) == sampler.steps(epoch)


@each_sampler
def test_a_restored_sampler_goes_on_as_if_nothing_had_happened(sampler_class):
    sampler, other = (sampler_class(9, 4, 3, 7) for _ in range(2))
    run_epoch(sampler, 1)
    other.restore(json.loads(json.dumps(sampler.state())))
    assert run_epoch(sampler, 2) == run_epoch(other, 2)
    assert sampler.validation == other.validation


def test_metricgan_plus_replays_enhanced_ones_only():
    sampler = MetricGANPlusSampler(20, 0, 5, history_share=0.4)
    for epoch in (1, 2, 3):
        _, (first, past, _) = run_epoch(sampler, epoch)
        assert [e.kind for e in first] == 5 * ["clean", "enhanced", "noisy"]
        assert {e.kind for e in past} == {"replayed"}
        assert len(set(past)) == len(past) == 2 * epoch


def test_metricgan_plus_draws_the_same_whatever_came_before():
    one, two = (MetricGANPlusSampler(50, 0, 5, seed=3) for _ in range(2))
    run_epoch(one, 1)
    assert one.utterances(2) == two.utterances(2)
    assert len(MetricGANPlusSampler(3, 0, 5).utterances(1)) == 5


def test_okd_s_second_pass_has_all_new_ones_and_a_share_of_the_old():
    sampler = OKDSampler(20, 0, 5, history_share=0.4)
    for epoch in (1, 2, 3):
        drawn, (first, past, _) = run_epoch(sampler, epoch)
        assert [e.kind for e in first] == 5 * ["enhanced", "noisy", "clean"]
        new = [e for e in past if e.epoch == epoch]
        assert {e.utterance for e in new} == set(drawn)
        assert len(past) - len(new) == 2 * (epoch - 1)
    assert {sampler.enhancing_generator(3) for _ in range(50)} == {0, 1, 2}


@each_sampler
def test_what_could_not_be_scored_is_missing(sampler_class):
    sampler = sampler_class(4, 0, 2)
    sampler.utterances(1)
    current = [{"clean": Example("clean", 0, 0, (1.0,))}, {"clean": Example("clean", 1, 0, (1.0,))}]
    passes = list(sampler.passes(1, current))
    expected = set() if sampler_class is ListeningSampler else {"clean"}
    assert {e.kind for examples in passes for e in examples} == expected


def test_an_epoch_of_which_nothing_could_be_scored_is_empty():
    sampler = MetricGANPlusSampler(4, 0, 2)
    assert [len(examples) for examples in sampler.passes(1, [{}, {}])] == [0, 0, 0]
