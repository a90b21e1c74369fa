"""Our training steps, built by the recipes at the sizes that are measured.

`elsewhere` takes them on Keras's other backends, each in a process of its own, which this file is, too:

    KERAS_BACKEND=jax python benchmarks/games.py
"""

import contextlib
import functools
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import ops

from keras_segan.models import metricgan
from keras_segan.reproductions import metricgan as metricgan_recipe
from keras_segan.reproductions import shah as shah_recipe
from keras_segan.reproductions import xu as xu_recipe
from keras_segan.training.player import Player
from keras_segan.training.step import Step

BINS, HOP, RATE = 257, 256, 16000
SMALL = ((15, 5),) * 4  # MetricGAN+'s discriminator
SCORE = np.array([[0.4]], np.float32)
MIXED = (1.5, 2.0, 2.6, 3.3, 4.1, 6.0)
XU_BATCH, CONTEXT = 500, 7
SHAH_BATCH, INPUTS, BANDS = 1000, 448, 64
OTHER_BACKENDS = ("jax", "torch")
Call = Callable[[], object]


def spectra(seconds: float) -> list[np.ndarray]:
    frames = 1 + int(seconds * RATE) // HOP
    return list(np.random.default_rng(0).uniform(0, 1, (3, 1, frames, BINS)).astype(np.float32))


def metricgan_game(convolutions=metricgan.CONVOLUTIONS, gates=metricgan.keras2_hard_sigmoid):
    """MetricGAN's game without dropout, so that its numbers can be compared."""
    return metricgan_recipe.Game(
        metricgan_recipe.Settings(dropout=0.0),
        metricgan.generator(dropout=0.0, recurrent_activation=gates),
        metricgan.discriminator(convolutions=convolutions, spare_channels=convolutions == SMALL),
    )


def small_game():
    """The same with the sizes of MetricGAN+."""
    return metricgan_game(SMALL, "sigmoid")


def xu_step(network: keras.Model) -> Step:
    settings = xu_recipe.Settings()
    loss = xu_recipe.training_loss(settings, network)
    player = Player("dnn", (network,), xu_recipe.make_optimizer(settings), loss)
    return Step([player], {"context": network.input_shape, "target": network.output_shape}, jit=True)


def xu_batch() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    context = random.standard_normal((XU_BATCH, CONTEXT, BINS)).astype(np.float32)
    return {"context": context, "target": random.standard_normal((XU_BATCH, BINS)).astype(np.float32)}


def shah_game() -> shah_recipe.Game:
    settings = shah_recipe.Settings()
    return shah_recipe.Game("mmse-gan", *shah_recipe.build(settings), settings, statistics=(0.0, 1.0))


def shah_batch() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "features": random.standard_normal((SHAH_BATCH, INPUTS)).astype(np.float32),
        "noisy": random.uniform(0.1, 1, (SHAH_BATCH, BANDS)).astype(np.float32),
        "clean": random.standard_normal((SHAH_BATCH, BANDS)).astype(np.float32),
    }


def take(step: Step, **batch: np.ndarray) -> dict[str, float]:
    """Takes a step and waits for its numbers."""
    return {name: float(ops.convert_to_numpy(value)) for name, value in step(**batch).items()}


def generator_call(steps: dict[str, Step], seconds: float) -> Call:
    batch = dict(zip(("features", "noisy", "clean"), spectra(seconds), strict=True))
    return lambda: take(steps["generator"], **batch)


def discriminator_call(steps: dict[str, Step], *lengths: float) -> Call:
    batches = [dict(zip(("degraded", "clean"), spectra(length)[:2], strict=True)) for length in lengths]
    return lambda: [take(steps["discriminator"], **batch, scores=SCORE) for batch in batches]


@functools.cache
def _calls(kind: str) -> Callable[..., Call]:
    """Builds a step; returns what makes a call of it for lengths of audio in seconds."""
    if kind == "xu":
        step, batch = xu_step(xu_recipe.build(xu_recipe.Settings())), xu_batch()
        return lambda: lambda: take(step, **batch)
    if kind == "shah":
        game, batch = shah_game(), shah_batch()
        step = Step(game.players, game.shapes)
        return lambda: lambda: take(step, **batch)
    name, _, player = kind.partition(" ")
    steps = (small_game if name == "small" else metricgan_game)().steps()
    return functools.partial(generator_call if player == "G" else discriminator_call, steps)


class Elsewhere:
    """Our steps on another backend, in a process of its own.

    Args:
        backend: What Keras runs on there.
    """

    def __init__(self, backend: str):
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "KERAS_BACKEND": backend},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, kind: str, *lengths: float) -> Call:
        """Returns a function that takes a step there; see `elsewhere`."""
        return lambda: self._ask(json.dumps([kind, lengths]))

    def _ask(self, line: str):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline().strip() != "done":
            raise RuntimeError(f"The step {line} failed on another backend; see above.")


@contextlib.contextmanager
def elsewhere(kind: str) -> Iterator[Callable[..., dict[str, Call]]]:
    """Gives a function that returns the calls of a step on the other backends that are installed.

    Args:
        kind: "xu", "shah", or "G" or "D" after "metricgan" or "small".
    """
    others = {name: Elsewhere(name) for name in OTHER_BACKENDS if importlib.util.find_spec(name)}
    try:
        yield lambda *lengths: {
            f"ours on {name}": other.call(kind, *lengths) for name, other in others.items()
        }
    finally:
        for other in others.values():
            other.process.stdin.close()
            other.process.wait()


def answer():
    """Takes the steps that are asked for line by line; each is built once."""
    calls: dict[str, Call] = {}
    replies, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no reply
    for line in sys.stdin:
        if line not in calls:
            kind, lengths = json.loads(line)
            calls[line] = _calls(kind)(*lengths)
        calls[line]()
        print("done", file=replies, flush=True)


if __name__ == "__main__":
    answer()
