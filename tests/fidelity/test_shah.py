"""Shah's networks, losses and training steps against the released TensorFlow 1 graph, in both forms."""

import json

import numpy as np
import pytest
from keras import ops

from keras_segan import backends
from keras_segan.models import shah
from keras_segan.reproductions.shah import Game, Settings
from keras_segan.training.step import Step, fetch

OUTPUTS = {"paper": "mask", "released": "log-spectrum"}


class Form:
    """One form of the graph: its arrays, its weights drawn again, our networks with these weights."""

    def __init__(self, arrays, manifest, name):
        self.name = name
        self.facts = manifest["forms"][name]
        self.arrays = arrays
        random = np.random.RandomState(self.facts["weights_seed"])
        drawn = {
            w["name"]: random.uniform(w["lo"], w["hi"], size=w["shape"]).astype("float32")
            for w in self.facts["weights"]
        }
        self.generator = shah.generator(self.facts["n_input"], self.facts["n_output"], output=OUTPUTS[name])
        self.discriminator = shah.discriminator(self.facts["n_output"])
        self.networks = {"G": self.generator, "D": self.discriminator}
        self.weight_names = {player: [n for n in drawn if n[0] == player] for player in "GD"}
        for player, network in self.networks.items():
            network.set_weights([drawn[n] for n in self.weight_names[player]])

    def __getitem__(self, key):
        return self.arrays[f"{self.name}.{key}"]

    @property
    def batch(self):
        noisy = self["h"] if self.name == "paper" else np.zeros_like(self["y"])
        return [ops.convert_to_tensor(array) for array in (self["x"], noisy, self["y"])]

    def game(self, model="mmse-gan", per_batch=False):
        statistics = None if per_batch else tuple(float(value) for value in self["mean_std"])
        settings = Settings(output=OUTPUTS[self.name])
        return Game(model, self.generator, self.discriminator, settings, statistics)

    def stored(self, key, ours):
        """Returns what is stored under a key, and the same elements of ours."""
        if f"{self.name}.{key}" in self.arrays:
            return self[key].ravel(), np.ravel(numpy(ours))
        stored = self[f"{key}.strided"]
        stride = (self.facts["grad"] | self.facts["step"])[key.removeprefix("grad.")]["stride"]
        return stored, np.ravel(numpy(ours))[::stride]


@pytest.fixture(params=OUTPUTS)
def form(request, recorded, shared):
    manifest = json.loads(shared("goldens/shah/manifest.json").read_text())
    return Form(recorded("shah/shah"), manifest, request.param)


def numpy(array):
    return ops.convert_to_numpy(array)


def close(ours, theirs, tolerance=1e-5):
    ours = numpy(ours)
    assert np.shape(ours) == np.shape(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def test_forward_pass(form):
    features, noisy, clean = form.batch
    game = form.game()
    enhanced = game.enhanced(features, noisy)
    if form.name == "paper":
        close(form.generator(features), form["mask"])
    close(enhanced, form["esti_spec"])
    close(game.judged(clean, clean), form["D_logit_real"])
    close(game.judged(enhanced, clean), form["D_logit_fake"])


def test_statistics_of_the_batch_are_the_stored_ones(form):
    features, noisy, clean = form.batch
    close(form.game(per_batch=True).judged(clean, clean), form["D_logit_real"])


def test_losses_and_gradients(form):
    game, batch = form.game(), form.batch
    d_loss, d_gradients = backends.value_and_gradients(
        lambda: game.discriminator_loss(*batch), form.discriminator.trainable_variables
    )
    (g_loss, parts), g_gradients = backends.value_and_gradients(
        lambda: game.generator_loss(*batch), form.generator.trainable_variables
    )
    close(d_loss, form["D_loss"])
    close(g_loss, form["G_loss"])
    close(parts["mse"], form["G_RMSE"])
    close(parts["gan"], form["G_gan"])
    for player, gradients in (("D", d_gradients), ("G", g_gradients)):
        for name, gradient in zip(form.weight_names[player], gradients, strict=True):
            theirs, ours = form.stored(f"grad.{name}", gradient)
            # Of the last bias a single number, which is left of larger ones that cancel.
            assert np.linalg.norm(ours - theirs) < 2e-5 * np.linalg.norm(theirs) + 1e-7, name


@pytest.mark.parametrize("objective", ["v-gan", "dnn"])
def test_the_other_systems_minimise_one_part(form, objective):
    loss = form.game(objective).generator_loss(*form.batch)
    close(loss[0] if objective == "v-gan" else loss, form["G_gan" if objective == "v-gan" else "G_RMSE"])


def test_three_rounds_of_both_players(form):
    game, batch = form.game(), form.batch
    step = Step(game.players, game.shapes)
    arrays = dict(zip(game.shapes, map(numpy, batch), strict=True))
    trace = []
    for number in (1, 2, 3):
        logged = {name: values[0] for name, values in fetch([step(**arrays)]).items()}
        error_after = float(numpy(game.generator_loss(*batch)[1]["mse"]))
        trace.append([logged["discriminator_loss"], logged["generator_loss"], error_after])
        if number != 2:
            assert share_within(form, f"step{number}", 1e-6) > 0.99
    close(trace, form["trace_Dloss_Gloss_Grmse"])


def share_within(form, step, tolerance):
    differences = []
    for player, network in form.networks.items():
        for name, weight in zip(form.weight_names[player], network.get_weights(), strict=True):
            theirs, ours = form.stored(f"{step}.{name}", weight)
            differences.append(np.abs(ours - theirs))
    return np.mean(np.concatenate(differences) <= tolerance)


@pytest.mark.parametrize(("inputs", "outputs"), [(448, 64), (225, 25)])
def test_from_the_released_initialisation_the_discriminator_does_not_learn(inputs, outputs):
    random = np.random.default_rng(0)
    sizes = inputs, outputs, outputs
    batch = [ops.convert_to_tensor(random.standard_normal((40, size)), "float32") for size in sizes]
    generator = shah.generator(inputs, outputs, output="log-spectrum", initialisation="released")
    discriminator = shah.discriminator(outputs, initialisation="released")
    game = Game("mmse-gan", generator, discriminator, Settings(output="log-spectrum"))
    loss, gradients = backends.value_and_gradients(
        lambda: game.discriminator_loss(*batch), discriminator.trainable_variables
    )
    assert float(numpy(loss)) == pytest.approx(2 * np.log(2), abs=1e-6)
    assert max(np.abs(numpy(gradient)).max() for gradient in gradients[:4]) < 1e-13
