"""SEGAN against arrays of its authors' program, small networks; see arrays/segan/README.md."""

import numpy as np
import pytest
from keras import Model

from keras_segan import backends
from keras_segan.data.examples.slices import window_starts
from keras_segan.front_ends import WaveformFrontEnd
from keras_segan.models import segan, waveform
from keras_segan.training.step import fetch

from .segan import ARRAYS, FACTS, arrays, drawn, is_idle, numpy, play, values, windows

NAMES = [each["name"] for each in FACTS["weights"]]
STRIDE = FACTS["stride"]


@pytest.fixture(scope="module")
def batches():
    """Clean and noisy windows `(step, player, batch, samples)`, and the noise."""
    clean, noisy = (windows(arrays(kind)[kind]) for kind in ("clean", "noisy"))
    return clean, noisy, arrays("forward")["z"]


@pytest.fixture(scope="module")
def first(batches):
    clean, noisy, latent = batches
    return {"clean": clean[0, 0], "noisy": noisy[0, 0], "latent": latent[0, 0]}


@pytest.fixture(scope="module")
def recorded():
    return arrays("forward")


@pytest.fixture
def playing():
    return play(FACTS["depths"], drawn(FACTS["weights"], FACTS["seed"]))


@pytest.fixture
def game(playing):
    return playing[0]


def test_the_arrays_are_small_and_say_where_they_come_from():
    sizes = [path.stat().st_size for path in ARRAYS.iterdir()]
    assert max(sizes) < 1e6
    assert sum(sizes) < 2e6
    assert "santi-pdp/segan" in (ARRAYS / "README.md").read_text()


def test_parameter_counts_and_order_of_the_weights(game):
    assert segan.generator().count_params() == 73_100_049
    assert segan.discriminator().count_params() == 24_373_081
    shapes = [(s[0], *s[2:]) if len(s) == 4 else tuple(s) for s in (w["shape"] for w in FACTS["weights"])]
    assert [value.shape for value in values(game)] == shapes


def test_layers_of_the_generator(game, first, recorded):
    names = {
        f"G.{part}_{number}": f"{layer}_{number}"
        for part, layer, count in (
            ("downconv.enc", "enc", 11),
            ("prelu.enc_prelu", "enc_prelu", 11),
            ("prelu.dec_prelu", "dec_prelu", 10),
        )
        for number in range(count)
    }
    inner = [game.generator.get_layer(layer).output for layer in names.values()]
    outputs = Model(game.generator.inputs, inner)([first["noisy"][..., None], first["latent"]])
    for name, output in zip(names, outputs, strict=True):
        strided = numpy(output).ravel()[:: FACTS["strides"][name]]
        np.testing.assert_allclose(strided[: len(recorded[name])], recorded[name], atol=4e-6, err_msg=name)


def test_output_of_the_generator(game, first, recorded):
    enhanced = numpy(game.enhanced(first["noisy"], first["latent"]))
    np.testing.assert_allclose(enhanced.ravel()[::STRIDE], recorded["G.out"], atol=3e-6)


def test_virtual_batch_norm_and_scores(game, first, recorded):
    enhanced = numpy(game.enhanced(first["noisy"], first["latent"]))
    inner = [game.discriminator.get_layer(f"vbn_{number}").output for number in range(11)]
    pairs = [segan.pair(wave, first["noisy"][..., None]) for wave in (first["clean"][..., None], enhanced)]
    for number, both in enumerate(Model(game.discriminator.inputs, inner)(pairs)):
        for kind, output in zip(("Dreal", "Dfake"), both, strict=True):
            name = f"{kind}.vbn.{number}"
            strided = numpy(output).ravel()[:: FACTS["strides"][name]]
            np.testing.assert_allclose(
                strided[: len(recorded[name])], recorded[name], atol=1e-4, err_msg=name
            )
    scores = game.discriminator(pairs)
    for kind, score in zip(("Dreal", "Dfake"), scores, strict=True):
        np.testing.assert_allclose(numpy(score), recorded[f"{kind}.out"], atol=5e-5)


def gradients(game, network, loss, batch):
    """Result and gradients of a loss, as a compiled step computes them."""
    state = [variable for each in (game.generator, game.discriminator) for variable in each.variables]
    names = list(batch)

    def function(*arrays):
        named = dict(zip(names, arrays, strict=True))
        return backends.value_and_gradients(lambda: loss(**named), network.trainable_variables)

    shapes = [np.shape(array) for array in batch.values()]
    return backends.compile_step(function, state, shapes)(*batch.values())


def assert_gradients(prefix, network, found):
    recorded = arrays("training")
    names = [name for name in NAMES if name.startswith(prefix[2:])]
    assert len(names) == len(network.weights) == len(found)
    largest = max(np.linalg.norm(recorded[prefix[:2] + name]) for name in names)
    for name, gradient in zip(names, found, strict=True):
        expected = recorded[prefix[:2] + name]
        difference = np.linalg.norm(numpy(gradient).ravel()[::STRIDE] - expected)
        # The biases' is noise of rounding: 4e-4 beside kernels of 14.
        noise = (1e-4 if is_idle(name) else 1e-6) * largest
        assert difference <= noise + 2e-4 * np.linalg.norm(expected), name


def test_gradients_of_the_discriminator(game, first):
    (loss, parts), found = gradients(game, game.discriminator, game.discriminator_loss, first)
    np.testing.assert_allclose(numpy(loss), FACTS["losses"]["d"], rtol=1e-4)
    np.testing.assert_allclose(numpy(parts["real"]), FACTS["losses"]["d_rl"], rtol=1e-4)
    np.testing.assert_allclose(numpy(parts["fake"]), FACTS["losses"]["d_fk"], rtol=1e-4)
    assert_gradients("d|d_model", game.discriminator, found)


def test_gradients_of_the_generator(game, first):
    batch = {**first, "l1_weight": np.float32(100)}
    (loss, parts), found = gradients(game, game.generator, game.generator_loss, batch)
    np.testing.assert_allclose(numpy(loss), FACTS["losses"]["g"], rtol=1e-4)
    np.testing.assert_allclose(numpy(parts["adversarial"]), FACTS["losses"]["g_adv"], rtol=1e-4)
    np.testing.assert_allclose(numpy(parts["l1"]), FACTS["losses"]["g_l1"], rtol=1e-4)
    assert_gradients("g|g_ae", game.generator, found)


def assert_weights(prefix, game, atol):
    recorded = arrays("training")
    for name, value in zip(NAMES, values(game), strict=True):
        np.testing.assert_allclose(
            value.ravel()[::STRIDE], recorded[prefix + name], rtol=0, atol=atol, err_msg=name
        )


def test_three_iterations_each_player_on_its_own_batch(playing, batches):
    game, steps = playing
    clean, noisy, latent = batches
    for number, expected in enumerate(FACTS["step_losses"]):
        logged = {}
        for turn, name in enumerate(("discriminator", "generator")):
            batch = {
                "clean": clean[number, turn],
                "noisy": noisy[number, turn],
                "latent": latent[number, turn],
            }
            weight = {"l1_weight": np.float32(100)} if name == "generator" else {}
            logged |= {key: values[0] for key, values in fetch([steps[name](**batch, **weight)]).items()}
        found = [logged[key] for key in ("d_real", "d_fake", "g_adversarial", "g_l1")]
        np.testing.assert_allclose(found, expected, rtol=4e-4)
        if number == 0:
            assert_weights("after1|", game, 2e-6)
    assert_weights("after3|", game, 1e-5)


def test_biases_before_the_normalisation_do_not_move(playing, batches):
    """From an accumulator of 0, as Keras has it, rounding noise would move them by the step size."""
    game, steps = playing
    clean, noisy, latent = (each[0, 0] for each in batches)
    before = values(game)
    steps["discriminator"](clean=clean, noisy=noisy, latent=latent)
    moved = {n: np.abs(a - b).max() for n, a, b in zip(NAMES, values(game), before, strict=True)}
    assert max(value for name, value in moved.items() if is_idle(name)) < 1e-6
    assert moved["d_model/d_block_0/downconv/W"] > 1e-4
    assert max(value for name, value in moved.items() if name.startswith("g_ae")) == 0


def test_several_devices_share_the_first_one_s_reference(batches):
    """Two towers: the first with batch (0, k), the second with (1, k)."""
    recorded = arrays("towers")
    game, steps = play(FACTS["depths"], drawn(FACTS["weights"], FACTS["seed"]), devices=2)
    clean, noisy, latent = batches

    def both(player):
        parts = {"clean": clean, "noisy": noisy, "latent": latent}
        return {name: np.concatenate([array[0, player], array[1, player]]) for name, array in parts.items()}

    batch = both(0)
    enhanced = game.enhanced(batch["noisy"], batch["latent"])
    scores = game.scores(batch["clean"], enhanced, batch["noisy"])
    for kind, score in zip(("Dreal", "Dfake"), scores, strict=True):
        parts = np.split(numpy(score), 2)
        for tower, part in enumerate(parts):
            expected = recorded[f"{kind}_tower{tower}"]
            np.testing.assert_allclose(part.ravel()[::STRIDE], expected, atol=5e-5)
    steps["discriminator"](**batch)
    steps["generator"](**both(1), l1_weight=np.float32(100))
    for name, value in zip(NAMES, values(game), strict=True):
        found = value.ravel()[::STRIDE]
        np.testing.assert_allclose(found, recorded[f"after1|{name}"], rtol=0, atol=1e-5, err_msg=name)


def test_mapping_of_16_bit_samples_is_exact(shared):
    recorded = np.load(shared("goldens/segan/dataprep.npz"))
    mapped = WaveformFrontEnd(emphasis=0).to_network(recorded["map_int16"] / np.float32(32768))
    np.testing.assert_array_equal(mapped, recorded["map_float_reader"])
    assert mapped.dtype == np.float32
    lengths, counts = recorded["slice_lengths"], recorded["slice_counts"]
    assert [len(window_starts(length, 16384, 8192)) for length in lengths] == list(counts)


def test_pre_emphasis_within_windows_is_exact(shared):
    recorded = np.load(shared("goldens/segan/small_inputs.npz"))
    for kind in ("clean", "noisy"):
        np.testing.assert_array_equal(windows(recorded[f"{kind}_i16"][0, 0]), recorded[f"{kind}_pre_00"])


def test_enhancing_an_utterance(game):
    """Three chunks, the last one filled up with zeros after the pre-emphasis."""
    recorded = arrays("utterance")
    enhancer = waveform.enhancer(game.generator, WaveformFrontEnd(), {})
    features, analysis = enhancer.front_end.analyse(recorded["noisy_i16"] / np.float32(32768))
    assert features.shape == (3, 16384 + 8 * 16)
    features[:, 16384:] = recorded["z_row0"].reshape(3, -1)
    enhanced = enhancer.front_end.synthesise(enhancer.infer(features), analysis)
    # Largest at the seams; the values reach 3.6.
    np.testing.assert_allclose(enhanced, recorded["enhanced"], atol=2e-5)


def test_a_network_beside_the_original_is_told_from_it(game, first, recorded):
    """An epsilon of 1e-3 moves scores by a thousand times the tolerance, and no learning curve."""
    for norm in (layer for layer in game.discriminator.layers if layer.name.startswith("vbn")):
        norm.epsilon = 1e-3
    enhanced = game.enhanced(first["noisy"], first["latent"])
    real, _ = game.scores(first["clean"], enhanced, first["noisy"])
    assert np.abs(numpy(real) - recorded["Dreal.out"]).max() > 0.05
