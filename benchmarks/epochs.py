"""One whole epoch of MetricGAN on 20 utterances: training, enhancing, scoring."""

import sys
import tempfile
import time
from pathlib import Path

import baselines
import keras
import numpy as np
from measuring import REPEATS, Row, try_torch
from training_steps import adam, discriminator_flops, generator_floor

from keras_segan import audio, backends
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.inference import WaveformEnhancer
from keras_segan.metrics.pool import ScoringPool
from keras_segan.models import metricgan
from keras_segan.models.base import SpectralMaskFrontEnd
from keras_segan.training import targets
from keras_segan.training.metric_gan import MetricGANTrainer, Schedule, Selection
from keras_segan.training.metric_gan_steps import MetricGANSteps
from keras_segan.training.run import Run
from keras_segan.training.samplers import MetricGANSampler
from keras_segan.training.targets import Scorer

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
    """What the trainer needs of an enhancer, with PyTorch's network."""

    input_rank = 3

    def __init__(self, system, front_end):
        self.infer, self.front_end = system.infer, front_end

    def infer_many(self, features):
        return [self.infer(each[None])[0] for each in features]


class TorchTrainer(MetricGANTrainer):
    """The same loop around PyTorch's players; checkpoints hold Keras's, which are not trained."""

    def __init__(self, system, keras_steps, front_end, *arguments):
        super().__init__(keras_steps, front_end, *arguments)
        for name in (
            "generators",
            "generator_takes",
            "generator_losses",
            "generator_cost",
            "through_generator",
        ):
            setattr(system, name, getattr(keras_steps, name))
        self.steps, self.enhancers = system, [TorchEnhancer(system, front_end)]

    def _checkpoint(self, epoch: int):
        pass


def trainer(kind: str, manifest: Manifest, folder: Path, pool, schedule: Schedule):
    """A trainer with our players, straightforward Keras ones or PyTorch's."""
    keras.utils.set_random_seed(0)
    if kind == "keras":
        steps = MetricGANSteps(baselines.keras_generator(), baselines.keras_discriminator(), adam(), adam())
    else:
        steps = MetricGANSteps(metricgan.generator(), metricgan.discriminator(), adam(), adam())
    front_end = SpectralMaskFrontEnd(compression="log1p")
    run = Run.create(folder, {}, pool=pool, quiet=True)
    scorer = Scorer(pool, targets.parse("pesq-wb-lqo", {}), ("stoi",), audio.SAMPLE_RATE)
    sampler = MetricGANSampler(len(manifest.split("train")), 0, UTTERANCES)
    arguments = (front_end, UtteranceReader(), manifest, scorer, sampler, schedule, Selection(), run)
    if kind == "torch":
        return TorchTrainer(baselines.TorchMetricGAN(try_torch()), steps, *arguments)
    return MetricGANTrainer(steps, *arguments)


def rows(floors):
    """Whole epochs, one after the other, of each kind in turn; everything was compiled before."""
    kinds = ["ours", "keras", *(["torch"] if try_torch() else [])]
    times = {kind: [] for kind in kinds}
    backends.make_deterministic(0)
    schedule = Schedule(epochs=9, first_generator_epoch=1)
    with tempfile.TemporaryDirectory() as folder, ScoringPool(1) as pool:
        manifest = corpus(Path(folder), UTTERANCES)
        trainers = {kind: trainer(kind, manifest, Path(folder) / kind, pool, schedule) for kind in kinds}
        for each in trainers.values():  # compiles and starts the scoring process
            each._generator(1, list(range(len(LENGTHS))))
            for index in range(len(LENGTHS)):
                sample = each._clean(index)
                each.steps.discriminator_step(sample[None], sample[None], np.ones((1, 1), np.float32))
        for epoch in range(1, REPEATS + 1):
            for kind, each in trainers.items():
                start = time.perf_counter()
                each._epoch(epoch)
                times[kind].append(time.perf_counter() - start)
                print(f"epoch {epoch}, {kind}: {times[kind][-1]:.1f} s", each.seconds, file=sys.stderr)
        frames = [len(each._clean(index)) for index in range(UTTERANCES)]
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
