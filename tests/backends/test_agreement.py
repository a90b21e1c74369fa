"""The first training losses of every paper are TensorFlow's, from the same weights and without dropout.

`losses.json` was written by this file on TensorFlow:
`TF_ENABLE_ONEDNN_OPTS=0 python tests/backends/test_agreement.py`.
"""

import dataclasses
import importlib
import json
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_segan import backends
from keras_segan.data import mini
from keras_segan.metrics.pool import ScoringPool
from keras_segan.reproduction.settings import changed
from keras_segan.training.run_folder import Run
from keras_segan.training.step import Step

RECORDED = Path(__file__).with_name("losses.json")
COUNT = 20
FEW = {"utterances_per_epoch": 2}  # so that all players move among the first steps
PAPERS = {
    "metricgan": {**FEW, "dropout": 0.0},
    "metricgan_plus": {**FEW, "dropout": 0.0},
    "metricgan_okd": {**FEW, "dropout": 0.0},
    "metricgan_okd_listening": FEW,
    "shah": {},
    "xu": {"dropout": 0.0, "model": "snn1"},
}


# Relative and absolute. Adam's first step moves an element by the learning rate either way, however small its
# gradient: where that is rounding noise (1e-4 to 1e-3 of the elements of a discriminator) backends part.
# Gradients agree to 1e-6 there, as do JAX and PyTorch with each other to 1e-5 in all these losses.
TOLERANCES = {"metricgan": (1e-4, 2e-4), "metricgan_plus": (2e-4, 0.0), "shah": (3e-4, 0.0)}


class Enough(Exception):
    """As many losses as are compared have been seen."""


def with_known_weights(build):
    """Gives the networks that a recipe builds weights that do not depend on the backend."""

    def known(*arguments):
        built = build(*arguments)
        random = np.random.default_rng(0)
        for network in keras.tree.flatten(built):
            network.set_weights([_drawn(random, weight) for weight in network.get_weights()])
        return built

    return known


def _drawn(random, weight):
    if weight.ndim < 2:  # biases and what normalises have known values
        return weight
    drawn = random.standard_normal(weight.shape)
    # An estimate of a singular vector has norm one, a kernel keeps the size of what it is applied to.
    scale = np.linalg.norm(drawn) if weight.shape[0] == 1 else np.sqrt(np.prod(weight.shape[:-1]))
    return (drawn / scale).astype(np.float32)


def first_losses(paper: str, folder: Path, patch) -> list[float]:
    """Trains a paper's mini variant until enough losses have been seen."""
    module = importlib.import_module(f"keras_segan.reproductions.{paper}")
    settings = changed(module.VARIANTS["mini"], PAPERS[paper])
    losses: list[float] = []
    take = Step.__call__

    def recording(step, **batch):
        logged = take(step, **batch)
        for name, value in sorted(logged.items()):
            if name.endswith("_loss"):
                losses.append(float(keras.ops.convert_to_numpy(value)))
        if len(losses) >= COUNT:
            raise Enough
        return logged

    patch.setattr(Step, "__call__", recording)
    patch.setattr(module, "build", with_known_weights(module.build))
    run = Run.create(folder / "run", dataclasses.asdict(settings), quiet=True)
    manifest = mini.prepare(folder / "data")
    backends.make_deterministic(settings.seed)
    with ScoringPool(jobs=1) as run.pool, pytest.raises(Enough):
        module.fit(settings, manifest, run)
    return losses[:COUNT]


@pytest.mark.parametrize("paper", PAPERS)
def test_the_first_losses_are_tensorflow_s(paper, tmp_path, monkeypatch):
    expected = json.loads(RECORDED.read_text())[paper]
    ours = first_losses(paper, tmp_path, monkeypatch)
    relative, absolute = TOLERANCES.get(paper, (1e-4, 0.0))
    np.testing.assert_allclose(ours, expected, rtol=relative, atol=absolute)


if __name__ == "__main__":
    found = {}
    for name in PAPERS:
        with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as context:
            found[name] = first_losses(name, Path(place), context)
            print(name, found[name], file=sys.stderr)
    RECORDED.write_text(json.dumps(found, indent=1) + "\n")
