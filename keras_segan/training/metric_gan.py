"""Training of a generator through a discriminator that learns a metric (MetricGAN's loop)."""

import contextlib
import itertools
import random
import re
import resource
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_segan import audio, dsp, metrics, tensorflow_backend
from keras_segan.data.pipeline import RecentlyUsed
from keras_segan.errors import MetricError
from keras_segan.front_ends.spectral_mask import Analysis
from keras_segan.metrics.pool import ScoreItem
from keras_segan.models import metricgan
from keras_segan.models.base import Enhancer
from keras_segan.training.replay import ReplayBuffer, SampleStream, python2_shuffle
from keras_segan.training.run import assign_groups, groups_to_arrays, variables_to_arrays

# Cost of a generator step and of enhancing and scoring one utterance, in discriminator steps.
GENERATOR_COST = 1.6
ENHANCING_COST = 0.04

FEATURE_BYTES = 2**28  # of spectra that are used again in the same epoch
REPLAY_BYTES = 2**28  # of 16-bit waveforms; older ones are read back from the run folder
EVALUATION_BLOCK = 64  # utterances that are enhanced at once
WAITING_BLOCKS = 16  # at most so many wait for their scores, which bounds the memory


class MetricGANSteps:
    """The two players' training steps, each naming its own variables.

    Both networks are called with `training=True` in both steps: the discriminator's batch statistics,
    moving averages and u advance in generator steps too, as in the original.

    Args:
        generator: From normalised magnitude `(batch, frames, bins)` to mask, same shape.
        discriminator: From `(batch, bins, frames, 2)` to a score `(batch, 1)`.
        generator_optimizer: A Keras optimizer.
        discriminator_optimizer: A Keras optimizer.
        mask_floor: Smallest value of the mask.
        target_score: The score that the generator aims at: s in equation 5 of the paper.
        layout: See `models.metricgan.image`.

    Reference:
        Fu et al. 2019, equations 4 and 5; MetricGAN.py, `MetricGAN` and `Discriminator`.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
        mask_floor: float = 0.05,
        target_score: float = 1.0,
        layout: str = "legacy",
    ):
        self.generator = generator
        self.discriminator = discriminator
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.mask_floor = mask_floor
        self.target_score = target_score
        self.layout = layout
        # Built now: an optimizer that builds lazily would come back from a checkpoint without moments.
        generator_optimizer.build(generator.trainable_variables)
        discriminator_optimizer.build(discriminator.trainable_variables)
        bins = generator.input_shape[-1]
        spectrum = (None, None, bins)
        compiled, frames = tensorflow_backend.compiled, (None,)
        self._generator_step = compiled(self._step_generator, spectrum, spectrum, spectrum)
        self._discriminator_step = compiled(self._step_discriminator, spectrum, spectrum, (None,))
        self._padded_generator_step = compiled(self._step_generator, spectrum, spectrum, spectrum, frames)
        self._padded_discriminator_step = compiled(
            self._step_discriminator, spectrum, spectrum, (None,), frames
        )

    def generator_loss(self, normalised, noisy, clean, frames=None):
        """Squared distance of the predicted score from the target.

        Args:
            normalised: The generator's input `(batch, frames, bins)`.
            noisy: Noisy magnitude `(batch, frames, bins)`, not normalised.
            clean: Clean magnitude `(batch, frames, bins)`.
            frames: `(batch,)`, each utterance's own number of frames, if they are padded to one.

        Returns:
            A scalar.
        """
        own = None if frames is None else metricgan.true_frames(frames, ops.shape(normalised)[1])
        mask = ops.maximum(self.generator(normalised, training=True, mask=own), self.mask_floor)
        return ops.mean(ops.square(self._score(mask * noisy, clean, frames) - self.target_score))

    def discriminator_loss(self, degraded, clean, true_score, frames=None):
        """Squared distance of the predicted score from the true one.

        Args:
            degraded: Magnitude `(batch, frames, bins)`.
            clean: Magnitude `(batch, frames, bins)`.
            true_score: `(batch,)`, on the scale [0, 1].
            frames: See `generator_loss`.

        Returns:
            The loss and the mean of |D - true score|, scalars.
        """
        error = self._score(degraded, clean, frames)[:, 0] - true_score
        return ops.mean(ops.square(error)), ops.mean(ops.abs(error))

    def _score(self, degraded, clean, frames):
        if frames is None:
            return self.discriminator(metricgan.pair(degraded, clean, self.layout), training=True)
        images = metricgan.padded_pair(degraded, clean, frames, self.layout)
        return metricgan.padded_scores(self.discriminator, images, frames)

    def generator_step(self, normalised, noisy, clean, frames=None) -> float:
        """Updates the generator once; arguments as `generator_loss`. Returns the loss before."""
        step = self._generator_step if frames is None else self._padded_generator_step
        return float(step(*_float32(normalised, noisy, clean, frames)))

    def discriminator_step(self, degraded, clean, true_score, frames=None) -> tuple[float, float]:
        """Updates the discriminator once; arguments as `discriminator_loss`. Returns its values before."""
        step = self._discriminator_step if frames is None else self._padded_discriminator_step
        loss, error = step(*_float32(degraded, clean, true_score, frames))
        return float(loss), float(error)

    def _step_generator(self, *batch):
        variables = self.generator.trainable_variables
        loss, gradients = tensorflow_backend.value_and_gradients(
            lambda: self.generator_loss(*batch), variables
        )
        self.generator_optimizer.apply(gradients, variables)
        return loss

    def _step_discriminator(self, *batch):
        variables = self.discriminator.trainable_variables
        result, gradients = tensorflow_backend.value_and_gradients(
            lambda: self.discriminator_loss(*batch), variables
        )
        self.discriminator_optimizer.apply(gradients, variables)
        return result


def _float32(*batch) -> list:
    """Converts what a step takes; `None` is left out."""
    return [ops.convert_to_tensor(np.asarray(values, np.float32)) for values in batch if values is not None]


def stacked(rows: list[tuple[np.ndarray, ...]]) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Makes one batch of utterances.

    Args:
        rows: For each utterance its spectra `(frames, bins)`, all of one length.

    Returns:
        The spectra `(batch, frames, bins)`, padded with zeros at the end, and each utterance's own number of
        frames; `None` for a batch of one, which needs no padding.
    """
    frames = np.array([len(row[0]) for row in rows])
    columns = [
        np.stack([np.pad(spectrum, ((0, frames.max() - len(spectrum)), (0, 0))) for spectrum in column])
        for column in zip(*rows, strict=True)
    ]
    return columns, frames if len(rows) > 1 else None


def batched(items: Iterable, size: int) -> Iterator[tuple]:
    """Yields tuples of `size` items, the last one of what is left."""
    iterator = iter(items)
    return iter(lambda: tuple(itertools.islice(iterator, size)), ())


@dataclass(frozen=True)
class Sample:
    """One entry of the discriminator's training list.

    Attributes:
        utterance: Index in the training list.
        epoch: Epoch in which it was enhanced, 0 for the clean utterance itself.
        score: Its true score on the scale [0, 1].
    """

    utterance: int
    epoch: int
    score: float


@dataclass(frozen=True)
class Schedule:
    """How much of what an epoch holds; defaults are MetricGAN's.

    Attributes:
        epochs: Number of epochs.
        utterances_per_epoch: Utterances drawn for an epoch.
        first_generator_epoch: The generator is not trained before this epoch.
        clean_score: Label of a clean utterance against itself.
        history_divisor: One in so many earlier samples is trained on again.
        prefetch: See `replay.SampleStream.take`.
        validation_limit: Validate on at most so many utterances.
        batch_size: Utterances of one training step; their losses are averaged.
        seed: Of the order of the samples.
    """

    epochs: int
    utterances_per_epoch: int = 100
    first_generator_epoch: int = 2
    clean_score: float = 1.0
    history_divisor: int = 10
    prefetch: int = 1
    validation_limit: int = 1000
    batch_size: int = 1
    seed: int = 999

    def discriminator_samples(self, epoch: int, utterances: int) -> int:
        """Samples of the three passes of an epoch: current, current and past, current."""
        current = 2 * min(self.utterances_per_epoch, utterances)
        return 3 * current + (epoch - 1) * current // self.history_divisor


class Scorer:
    """Scores waveforms in the run's worker processes.

    Args:
        pool: A `metrics.pool.ScoringPool`.
        target: Definition id of the metric that is optimised.
        to_unit: Maps its raw score to the label in [0, 1].
        shown: Definition ids of the metrics logged on validation and test utterances.
        sample_rate: In Hz.
    """

    def __init__(self, pool, target: str, to_unit, shown: tuple[str, ...], sample_rate: int):
        self.pool = pool
        self.target = target
        self.to_unit = to_unit
        self.shown = tuple(dict.fromkeys((target, *shown)))
        self.sample_rate = sample_rate

    def submit(self, names, pairs) -> object:
        """Starts scoring (id, clean, processed) triples; returns what `gather` takes."""
        items = [
            ScoreItem(name, clean, processed, self.sample_rate, names) for name, clean, processed in pairs
        ]
        return self.pool.submit(items)

    def gather(self, *handles) -> list:
        """Waits for scores; returns `ScoreResult`s in the order of the items."""
        return [result for handle in handles for result in self.pool.gather(handle)]


class MetricGANTrainer:
    """MetricGAN's loop: generator, evaluate, enhance, score, discriminator three times.

    Evaluation needs the generator alone, so its utterances are scored while the discriminator is trained.

    Args:
        steps: The players.
        front_end: A `models.base.SpectralMaskFrontEnd`.
        reader: A `data.pipeline.UtteranceReader`.
        manifest: The corpus.
        scorer: A `Scorer`.
        schedule: A `Schedule`.
        run: A `training.run.Run`.

    Reference:
        MetricGAN.py, the loop over `gan_epoch`.
    """

    def __init__(self, steps, front_end, reader, manifest, scorer, schedule: Schedule, run):
        self.steps = steps
        self.reader = reader
        self.scorer = scorer
        self.schedule = schedule
        self.run = run
        self.enhancer = Enhancer(steps.generator, front_end)
        self.train = manifest.split("train")
        self.evaluated = {name: manifest.split(name) for name in ("validation", "test")}
        self.rng = random.Random(schedule.seed)
        self.order = list(range(len(self.train)))
        python2_shuffle(self.order, self.rng)
        self.validation_order = list(range(len(self.evaluated["validation"])))
        python2_shuffle(self.validation_order, self.rng)
        self.replay = ReplayBuffer(self.rng, schedule.history_divisor)
        self.best: dict[str, tuple[int, float, list[np.ndarray]]] = {}
        self.seconds: dict[str, float] = {}
        self._features = RecentlyUsed(FEATURE_BYTES)
        self._enhanced = RecentlyUsed(REPLAY_BYTES)

    def fit(self):
        """Trains from the last checkpoint, or from the beginning, to the last epoch."""
        first = self._restore() + 1
        count = len(self.train)
        work = [self._work(epoch, count) for epoch in range(1, self.schedule.epochs + 1)]
        self.run.start_progress(sum(work), sum(work[: first - 1]))
        for epoch in range(first, self.schedule.epochs + 1):
            self._epoch(epoch)
        self.run.end_progress()

    def systems(self, information: dict) -> dict[str, Enhancer]:
        """Returns the trained enhancers: the last, the best on validation and the best on test.

        Args:
            information: Facts to keep with each model.
        """
        last = self.steps.generator.get_weights()
        chosen = {"last": (self.schedule.epochs, last)}
        chosen.update(
            {f"best on {name}": (epoch, weights) for name, (epoch, _, weights) in self.best.items()}
        )
        systems = {}
        for name, (epoch, weights) in chosen.items():
            network = keras.models.clone_model(self.steps.generator)
            network.set_weights(weights)
            facts = {**information, "system": name, "epoch": int(epoch)}
            systems[name] = Enhancer(network, self.enhancer.front_end, facts)
        return systems

    def _work(self, epoch: int, utterances: int) -> float:
        """Cost of an epoch in discriminator steps, as measured on two cores."""
        sampled = min(self.schedule.utterances_per_epoch, utterances)
        evaluated = sum(len(self._list(name)) for name in self.evaluated)
        trained = sampled if epoch >= self.schedule.first_generator_epoch else 0
        enhanced = ENHANCING_COST * (evaluated + sampled)
        return self.schedule.discriminator_samples(epoch, utterances) + GENERATOR_COST * trained + enhanced

    def _epoch(self, epoch: int):
        self.seconds = {}
        python2_shuffle(self.order, self.rng)
        sampled = self.order[: self.schedule.utterances_per_epoch]
        row = {"epoch": epoch}
        if epoch >= self.schedule.first_generator_epoch:
            row["g_loss"] = self._train_generator(epoch, list(sampled))
        training = self._start_enhanced(epoch, sampled)
        evaluations = {name: self._start_evaluation(epoch, name) for name in self.evaluated}
        current = self._make_samples(epoch, sampled, training)
        trained = self._train_discriminator(epoch, current)
        for name, handles in evaluations.items():
            row.update(self._end_evaluation(epoch, name, handles))
        row["samples_scored"] = len(current) - len(sampled)
        row.update(trained)
        row.update({f"s_{phase}": round(seconds, 2) for phase, seconds in self.seconds.items()})
        row["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        self.run.log_epoch(row)
        self._checkpoint(epoch)
        self._report(epoch, row)

    def _train_generator(self, epoch: int, sampled: list[int]) -> float:
        stream = SampleStream(sampled, self.rng)
        drawn = stream.take(len(sampled), self.schedule.prefetch)
        losses, number = [], 0
        for batch in batched(drawn, self.schedule.batch_size):
            with self._timed("g"):
                spectra, frames = stacked([(*self._noisy(index)[:2], self._clean(index)) for index in batch])
                losses += len(batch) * [self.steps.generator_step(*spectra, frames)]
            number += len(batch)
            self.run.advance(GENERATOR_COST * len(batch), self._where(epoch, "G", number, len(sampled)))
        return float(np.mean(losses))

    def _list(self, name: str) -> list:
        utterances = self.evaluated[name]
        if name == "validation":
            return [utterances[i] for i in self.validation_order[: self.schedule.validation_limit]]
        return list(utterances)

    def _start_evaluation(self, epoch: int, name: str) -> list:
        """Enhances validation or test utterances and starts scoring them."""
        utterances, handles = self._list(name), []
        for block in batched(enumerate(utterances, start=1), EVALUATION_BLOCK):
            with self._timed("enhance_" + name):
                noisy = [self.reader.noisy(utterance) for _, utterance in block]
                pairs = [
                    (utterance.id, self.reader.clean(utterance), enhanced)
                    for (_, utterance), enhanced in zip(
                        block, evaluation_waveforms(self.enhancer, noisy), strict=True
                    )
                ]
            with self._timed("score_" + name):
                self.scorer.gather(*handles[:-WAITING_BLOCKS][-1:])
            handles.append(self.scorer.submit(self.scorer.shown, pairs))
            where = self._where(epoch, name, block[-1][0], len(utterances))
            self.run.advance(ENHANCING_COST * len(block), where)
        return handles

    def _end_evaluation(self, epoch: int, name: str, handles: list) -> dict[str, float]:
        """Waits for the scores and returns their means."""
        with self._timed("score_" + name):
            results = self.scorer.gather(*handles)
        if not results:
            return {}
        scores = [result.scores for result in results if result.failure is None]
        self._note_failures(results)
        if not scores:
            raise MetricError(f"None of the {len(results)} {name} utterances could be scored.")
        means = {metric: float(np.mean([s[metric] for s in scores])) for metric in self.scorer.shown}
        self._remember_best(epoch, name, means[self.scorer.target])
        return {f"{name}_{metric}": value for metric, value in means.items()}

    def _remember_best(self, epoch: int, name: str, score: float):
        higher = metrics.get(self.scorer.target).higher_is_better
        if name in self.best and (score <= self.best[name][1] if higher else score >= self.best[name][1]):
            return
        self.best[name] = (epoch, score, self.steps.generator.get_weights())

    def _start_enhanced(self, epoch: int, sampled: list[int]):
        """Enhances the epoch's utterances and starts scoring them."""
        pairs = []
        with self._timed("enhance_train"):
            masks = self.enhancer.infer_many([self._noisy(index)[0] for index in sampled])
            for index, mask in zip(sampled, masks, strict=True):
                utterance = self.train[index]
                _, magnitude, phase = self._noisy(index)
                analysis = Analysis(magnitude, phase, len(self.reader.noisy(utterance)))
                enhanced = self.enhancer.front_end.synthesise(mask, analysis)
                samples = audio.to_int16(enhanced / np.float32(utterance.scale))
                self._enhanced.put((index, epoch), samples)
                audio.write(self._replay_path(index, epoch), samples, self.scorer.sample_rate)
                pairs.append((utterance.id, self.reader.clean(utterance), self.reader.from_int16(samples)))
        where = self._where(epoch, "enhance", len(sampled), len(sampled))
        self.run.advance(ENHANCING_COST * len(sampled), where)
        return self.scorer.submit((self.scorer.target,), pairs)

    def _make_samples(self, epoch: int, sampled: list[int], handle) -> list[Sample]:
        """Waits for the scores of the epoch's enhanced utterances and adds the clean ones."""
        with self._timed("score_train"):
            results = self.scorer.gather(handle)
        self._note_failures(results)
        enhanced = [
            Sample(index, epoch, self.scorer.to_unit(result.scores[self.scorer.target]))
            for index, result in zip(sampled, results, strict=True)
            if result.failure is None
        ]
        return enhanced + [Sample(index, 0, self.schedule.clean_score) for index in sampled]

    def _note_failures(self, results):
        for result in results:
            if result.failure is not None:
                self.run.note(f"{result.id} could not be scored and was left out ({result.failure.message}).")

    def _train_discriminator(self, epoch: int, current: list[Sample]) -> dict[str, float]:
        python2_shuffle(current, self.rng)
        stream = SampleStream(current, self.rng)
        row = self._discriminator_pass(epoch, 1, stream, len(current))
        total = self.replay.current_and_past(current)
        row.update(self._discriminator_pass(epoch, 2, SampleStream(total, self.rng), len(total)))
        self.replay.remember(current)
        row.update(self._discriminator_pass(epoch, 3, stream, len(current)))
        return row

    def _discriminator_pass(
        self, epoch: int, number: int, stream: SampleStream, samples: int
    ) -> dict[str, float]:
        drawn = stream.take(samples, self.schedule.prefetch)
        values = []
        for batch in batched(drawn, self.schedule.batch_size):
            with self._timed("d"):
                spectra, frames = stacked([(self._degraded(s), self._clean(s.utterance)) for s in batch])
                scores = np.array([sample.score for sample in batch], np.float32)
                values += len(batch) * [self.steps.discriminator_step(*spectra, scores, frames)]
            self.run.advance(len(batch), self._where(epoch, f"D pass {number}", len(values), samples))
        loss, error = np.mean(values, axis=0)
        steps = -(-samples // self.schedule.batch_size)
        return {f"d{number}_loss": float(loss), f"d{number}_error": float(error), f"d{number}_steps": steps}

    def _noisy(self, index: int) -> tuple[np.ndarray, ...]:
        """Returns the generator's input, the noisy magnitude and phase of a training utterance."""

        def analyse():
            features, analysis = self.enhancer.front_end.analyse(self.reader.noisy(self.train[index]))
            return features, analysis.magnitude, analysis.phase

        return self._features.get(("noisy", index), analyse)

    def _clean(self, index: int) -> np.ndarray:
        return self._features.get(
            ("clean", index), lambda: self._magnitude(self.reader.clean(self.train[index]))
        )

    def _degraded(self, sample: Sample) -> np.ndarray:
        if sample.epoch == 0:
            return self._clean(sample.utterance)
        return self._features.get(
            ("enhanced", sample.utterance, sample.epoch), lambda: self._magnitude(self._replayed(sample))
        )

    def _magnitude(self, waveform: np.ndarray) -> np.ndarray:
        return self.enhancer.front_end.magnitude(waveform)

    def _replayed(self, sample: Sample) -> np.ndarray:
        """Returns an enhanced waveform of this or an earlier epoch."""
        key = (sample.utterance, sample.epoch)
        if key in self._enhanced:
            waveform = self.reader.from_int16(self._enhanced.get(key))
        else:
            waveform = self.reader.read_uncached(self._replay_path(*key))
        return waveform * np.float32(self.train[sample.utterance].scale)

    def _replay_path(self, index: int, epoch: int):
        name = re.sub(r"[^\w.-]", "_", self.train[index].id)
        return self.run.path(f"replay/epoch-{epoch:05d}/{index:05d}-{name}.wav")

    def _where(self, epoch: int, phase: str, number: int, count: int) -> str:
        return f"epoch {epoch}/{self.schedule.epochs}, {phase}, utterance {number}/{count}"

    @contextlib.contextmanager
    def _timed(self, phase: str):
        start = time.perf_counter()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start

    def _report(self, epoch: int, row: dict):
        wanted = ("validation_", "test_", "g_loss", "d3_loss", "d3_error")
        shown = [f"{key} {row[key]:.3f}" for key in row if key.startswith(wanted)]
        spent = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.seconds.items())
        self.run.say(f"epoch {epoch}: {', '.join(shown)} | time: {spent}")

    def _checkpoint(self, epoch: int):
        arrays = groups_to_arrays(self._variables())
        best = {}
        for name, (best_epoch, score, weights) in self.best.items():
            arrays.update(variables_to_arrays(f"best-{name}", weights))
            best[name] = [best_epoch, score, len(weights)]
        state = {
            "random": self.rng.getstate(),
            "order": self.order,
            "validation_order": self.validation_order,
            "history": [(s.utterance, s.epoch, s.score) for s in self.replay.history],
            "best": best,
        }
        self.run.save_checkpoint(epoch, arrays, state)

    def _variables(self) -> dict[str, list]:
        steps = self.steps
        return {
            "generator": steps.generator.variables,
            "discriminator": steps.discriminator.variables,
            "generator_optimizer": steps.generator_optimizer.variables,
            "discriminator_optimizer": steps.discriminator_optimizer.variables,
        }

    def _restore(self) -> int:
        """Restores the last checkpoint; returns its epoch, 0 if there is none."""
        checkpoint = self.run.load_checkpoint()
        if checkpoint is None:
            return 0
        arrays, state = checkpoint
        assign_groups(self._variables(), arrays)
        version, numbers, gauss = state["random"]
        self.rng.setstate((version, tuple(numbers), gauss))
        self.order = state["order"]
        self.validation_order = state["validation_order"]
        self.replay.history = [Sample(*entry) for entry in state["history"]]
        for name, (epoch, score, count) in state["best"].items():
            weights = [arrays[f"best-{name}.{number:03d}"] for number in range(count)]
            self.best[name] = (epoch, score, weights)
        return state["epoch"]


def evaluation_waveforms(enhancer: Enhancer, noisy: list[np.ndarray]) -> list[np.ndarray]:
    """Enhances waveforms as the original does before it evaluates: peak-normalised, through 16 bit.

    Args:
        enhancer: The enhancer.
        noisy: `(samples,)` each.

    Returns:
        float32 `(samples,)` each.

    Reference:
        MetricGAN.py, "Evaluate the performance of generator in a validation set".
    """
    enhanced = enhancer.enhance_many(noisy)
    return [audio.from_int16(audio.to_int16(dsp.peak_normalise(waveform))) for waveform in enhanced]
