"""MetricGAN's steps with several utterances at once, and what the trainer remembers."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_segan import backends
from keras_segan.models import metricgan
from keras_segan.training.metric_gan import Schedule, batched, stacked
from keras_segan.training.metric_gan_steps import MetricGANSteps

BINS = 33
LENGTHS = (41, 30, 36)
RANDOM = np.random.default_rng(0)
UTTERANCES = [tuple(RANDOM.uniform(0, 1, (3, n, BINS)).astype("float32")) for n in LENGTHS]
SCORES = np.array([[0.2], [0.9], [0.5]], "float32")


@pytest.fixture(params=metricgan.LAYOUTS)
def steps(request):
    keras.utils.set_random_seed(0)
    generator = metricgan.generator(BINS, units=4, hidden=5, dropout=0.0)
    # In mode miyato u does not depend on how many calls there are when it is frozen below.
    discriminator = metricgan.discriminator(BINS, ((3, 5), (4, 7)), (4,), "miyato", "direct")
    return MetricGANSteps(
        generator, discriminator, keras.optimizers.Adam(), keras.optimizers.Adam(), layout=request.param
    )


def same_u(steps, function, variables):
    """Value and gradients, each time from the same weights and u."""
    weights = steps.discriminator.get_weights()
    value, gradients = backends.value_and_gradients(function, variables)
    steps.discriminator.set_weights(weights)
    return np.array([value if not isinstance(value, tuple) else value[0]]), gradients


def test_a_batch_is_the_mean_of_its_utterances(steps):
    spectra, frames = stacked(UTTERANCES)
    spectra = [ops.convert_to_tensor(x) for x in spectra]
    frames = ops.convert_to_tensor(frames.astype("float32"))
    generator, discriminator = steps.generator.trainable_variables, steps.discriminator.trainable_variables
    losses = {
        "G": (generator, lambda i: steps.generator_loss(*(x[None] for x in UTTERANCES[i]))),
        "D": (
            discriminator,
            lambda i: steps.discriminator_loss(*(x[None] for x in UTTERANCES[i][:2]), SCORES[i : i + 1]),
        ),
    }
    together = {
        "G": lambda: steps.generator_loss(*spectra, frames),
        "D": lambda: steps.discriminator_loss(*spectra[:2], SCORES, frames),
    }
    for player, (variables, alone) in losses.items():
        each = [same_u(steps, lambda i=i, alone=alone: alone(i), variables) for i in range(len(LENGTHS))]
        value, gradients = same_u(steps, together[player], variables)
        np.testing.assert_allclose(value, np.mean([v for v, _ in each], axis=0), rtol=1e-5)
        for number, gradient in enumerate(gradients):
            if gradient is None:
                assert each[0][1][number] is None
                continue
            expected = np.mean([np.asarray(g[number]) for _, g in each], axis=0)
            assert np.linalg.norm(gradient - expected) <= 2e-4 * np.linalg.norm(expected) + 1e-7, number


def test_steps_of_a_batch_run(steps):
    spectra, frames = stacked(UTTERANCES)
    first = steps.generator_step(*spectra, frames)
    losses = [steps.discriminator_step(*spectra[:2], SCORES, frames)[0] for _ in range(4)]
    assert np.isfinite(first)
    assert losses[-1] < losses[0]


def test_one_utterance_is_not_padded():
    spectra, frames = stacked(UTTERANCES[:1])
    assert frames is None
    np.testing.assert_array_equal(spectra[0][0], UTTERANCES[0][0])


@given(st.lists(st.integers(), max_size=20), st.integers(1, 6))
def test_batches_hold_every_item_in_order(items, size):
    batches = list(batched(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])


@pytest.mark.parametrize(("warm_up", "first", "warm"), [(2, 2, 3), (2, 1, 2), (0, 2, 0), (0, 1, 0)])
def test_what_the_warm_up_left_is_no_result_of_the_game(warm_up, first, warm):
    schedule = Schedule(5, first_generator_epoch=first, warm_up_epochs=warm_up)
    epochs = range(1, 6)
    assert [schedule.has_warm_up_weights(epoch) for epoch in epochs] == [epoch <= warm for epoch in epochs]
    assert [schedule.plays(epoch) for epoch in epochs] == [epoch >= warm_up + first for epoch in epochs]
