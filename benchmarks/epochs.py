"""One whole epoch of MetricGAN on 20 utterances: training, enhancing, scoring."""

import sys
import tempfile
from pathlib import Path

import baselines
import keras
import numpy as np
from games import BINS, SCORE, metricgan_game, take
from measuring import REPEATS, Row, try_torch
from training_steps import discriminator_flops, generator_floor, plain_game

from keras_segan import audio, backends
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.inference import WaveformEnhancer
from keras_segan.metrics.pool import ScoringPool
from keras_segan.models import metricgan
from keras_segan.models.base import SpectralMaskFrontEnd
from keras_segan.training import targets
from keras_segan.training.keep import Last
from keras_segan.training.loop import Rounds, Training
from keras_segan.training.metric_feedback import Material, MetricFeedback, Schedule
from keras_segan.training.run_folder import Run
from keras_segan.training.samplers import MetricGANSampler

SIGNALS = Path(__file__).parents[1] / "keras_segan" / "data" / "selftest"
LENGTHS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2)  # seconds, in turn
UTTERANCES = 20
EVALUATED = 4


def corpus(folder: Path, train: int, evaluated: int = EVALUATED, lengths=LENGTHS) -> Manifest:
    """Pieces of the self-test signals."""
    signals = {kind: audio.read_mono(SIGNALS / f"{kind}.flac") for kind in ("clean", "noisy")}
    utterances = []
    for split, count in {"train": train, "validation": evaluated, "test": evaluated}.items():
        for number in range(count):
            samples = int(lengths[number % len(lengths)] * audio.SAMPLE_RATE)
            paths = {kind: folder / split / f"{number:05d}-{kind}.wav" for kind in signals}
            for kind, path in paths.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                audio.write(path, np.resize(np.roll(signals[kind], -500 * number), samples))
            utterances.append(Utterance(f"{split}-{number:05d}", paths["clean"], paths["noisy"], split))
    return Manifest(tuple(utterances))


class TorchEnhancer(WaveformEnhancer):
    """What the loop needs of an enhancer, with PyTorch's network."""

    input_rank = 3

    def __init__(self, system, front_end):
        self.infer, self.front_end = system.infer, front_end

    def infer_many(self, features):
        return [self.infer(each[None])[0] for each in features]


def feedback(game, manifest: Manifest, run: Run, metric: str, drawn: int) -> MetricFeedback:
    """The source of examples of MetricGAN's loop, with every utterance evaluated and G trained at once."""
    front_end = SpectralMaskFrontEnd(compression="log1p")
    is_torch = isinstance(game, baselines.TorchMetricGAN)
    source = MetricFeedback(
        game.steps(),
        () if is_torch else (game.generator,),
        Material(front_end, UtteranceReader(), manifest.training()),
        MetricGANSampler.of(manifest, drawn),
        targets.Scorer(run.pool, (targets.single(metric, {}),), ("stoi",), audio.SAMPLE_RATE),
        Schedule(epochs=REPEATS, first_generator_epoch=1),
    )
    if is_torch:
        source.enhancers = [TorchEnhancer(game, front_end)]
    source.attach(run, manifest)
    return source


def warm_up(source: MetricFeedback):
    """Compiles the steps."""
    names = ("features", "noisy", "clean", "degraded")
    batch = {name: np.full((1, 60, BINS), 0.5, np.float32) for name in names} | {"scores": SCORE}
    for name in ("generator", "discriminator"):
        step = source.steps[name]
        take(step, **{array: value for array, value in batch.items() if array in step.shapes})


def seconds_of_epoch(training: Training, epoch: int) -> float:
    """Trains to the end of an epoch; returns its time, without that of the checkpoint."""
    training.rounds = Rounds(epoch)
    training.fit()
    return training.run.log[-1]["seconds"]


def rows(floors):
    """Whole epochs, one after the other, of each kind in turn; everything was compiled before."""
    kinds = {"ours": metricgan_game, "keras": plain_game}
    if torch := try_torch():
        kinds["torch"] = lambda: baselines.TorchMetricGAN(torch)
    times = {kind: [] for kind in kinds}
    backends.make_deterministic(0)
    with tempfile.TemporaryDirectory() as folder, ScoringPool(1) as pool:
        manifest = corpus(Path(folder), UTTERANCES)
        trained = {}
        for kind, make in kinds.items():
            keras.utils.set_random_seed(0)
            run = Run.create(Path(folder) / kind, {}, pool=pool, quiet=True)
            source = feedback(make(), manifest, run, "pesq-wb-lqo", UTTERANCES)
            warm_up(source)
            trained[kind] = Training(source.steps, source, Rounds(0), run, Last())
        for epoch in range(1, REPEATS + 1):
            for kind, training in trained.items():
                times[kind].append(seconds_of_epoch(training, epoch))
                print(f"epoch {epoch}, {kind}: {training.run.log[-1]}", file=sys.stderr)
        frames = [len(source.material.clean(index)) for index in range(UTTERANCES)]
    medians = {kind: float(np.median(values)) for kind, values in times.items()}
    floor = sum(generator_floor(floors, n, True) + generator_floor(floors, n, False) for n in frames)
    floor += sum(
        (6 * 3 + 2) * discriminator_flops(metricgan.CONVOLUTIONS, n) / floors["flops"] for n in frames
    )
    yield Row(
        f"MetricGAN, whole epoch, {UTTERANCES} utterances of {min(LENGTHS):g} to {max(LENGTHS):g} s",
        medians.pop("ours"),
        medians,
        REPEATS,
        floor=floor,
        floor_of="training: recurrence, GEMM",
        note="same loop and scoring around each",
    )
