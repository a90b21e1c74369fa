"""SEGAN at the published size, 97 million weights, against the authors' program: one iteration."""

import json

import numpy as np
import pytest

from keras_segan.training.step import fetch

from .segan import drawn, is_idle, numpy, play, values, windows

SEED = 20171
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recorded(shared):
    return dict(np.load(shared("goldens/segan/full.npz")))


@pytest.fixture(scope="module")
def facts(shared):
    return json.loads(shared("goldens/segan/full_manifest.json").read_text())


@pytest.fixture(scope="module")
def batches(shared):
    stored = np.load(shared("goldens/segan/small_inputs.npz"))
    clean, noisy = (windows(stored[f"{kind}_i16"][0, :, :2]) for kind in ("clean", "noisy"))
    latent = np.random.RandomState(SEED + 2).standard_normal((2, 2, 8, 1024)).astype(np.float32)
    return clean, noisy, latent


def distribution(each):
    """Mean and deviation that the README of the recordings gives for a weight."""
    name, shape = each["name"], each["shape"]
    kind = name.rpartition("/")[2]
    if "logits_conv" in name:
        return 0.0, np.sqrt(1 / shape[1])
    if kind == "W":
        return 0.0, np.sqrt(4 / (31 * shape[3])) if "/dec_" in name else np.sqrt(2 / (31 * shape[2]))
    known = {"weights": (0.0, np.sqrt(1 / 8)), "alpha": (0.25, 0.1), "gamma": (1.0, 0.1), "beta": (0.0, 0.1)}
    return known.get(kind, (0.0, 0.05))


def test_one_iteration_at_the_published_size(recorded, facts, batches):
    described = [
        {**each, **dict(zip(("mean", "std"), distribution(each), strict=True))} for each in facts["weights"]
    ]
    game, steps = play(facts["config"]["depths"], drawn(described, SEED), batch=2)
    names = [each["name"] for each in facts["weights"]]
    for value, each in zip(values(game), facts["weights"], strict=True):
        np.testing.assert_allclose(value.ravel()[:3], each["first3"], rtol=1e-5, err_msg=each["name"])
    clean, noisy, latent = batches
    enhanced = numpy(game.enhanced(noisy[0], latent[0]))
    np.testing.assert_allclose(enhanced, recorded["G.out"].reshape(enhanced.shape), atol=1e-5)
    for kind, score in zip(("Dreal", "Dfake"), game.scores(clean[0], enhanced, noisy[0]), strict=True):
        np.testing.assert_allclose(numpy(score), recorded[f"{kind}.out"], atol=3e-4)
    logged = steps["discriminator"](clean=clean[0], noisy=noisy[0], latent=latent[0])
    logged |= steps["generator"](clean=clean[1], noisy=noisy[1], latent=latent[1], l1_weight=np.float32(100))
    found = {name: each[0] for name, each in fetch([logged]).items()}
    expected = facts["step_losses_d_rl_d_fk_g_adv_g_l1"]
    expected = np.ravel(expected)[:4]
    losses = [found[name] for name in ("d_real", "d_fake", "g_adversarial", "g_l1")]
    np.testing.assert_allclose(losses, expected, rtol=1e-2)
    # Rectifiers of 97 million weights switch on rounding: of another port 1 % were off by more than 1e-5.
    off, total = 0, 0
    for name, value in zip(names, values(game), strict=True):
        if is_idle(name):
            continue
        after = recorded[f"after1|{name}"]
        strided = value.ravel()[:: facts["update"][name]["stride"]]
        off += int((np.abs(strided - after) > 1e-5).sum())
        total += after.size
    assert total > 2000
    assert off <= 0.05 * total
