"""Training of generators through a discriminator that learns metrics: the loop of the MetricGAN family.

The papers differ in four small objects, and nowhere else: the players (`metric_gan_steps`), the sampler
(`samplers`), the targets (`targets`), and schedule and selection (here).
"""

import contextlib
import itertools
import random
import re
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import keras
import numpy as np

from keras_segan import audio, dsp, metrics
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.pipeline import RecentlyUsed
from keras_segan.errors import MetricError
from keras_segan.front_ends.spectral_mask import Analysis
from keras_segan.models.base import Enhancer
from keras_segan.training.metric_gan_steps import Players
from keras_segan.training.run import assign_groups, groups_to_arrays, variables_to_arrays
from keras_segan.training.samplers import Example, Sampler

ENHANCING_COST = 0.04  # of enhancing and scoring one utterance, in steps of the discriminator

FEATURE_BYTES = 2**28  # of spectra that are used again in the same epoch
REPLAY_BYTES = 2**28  # of 16-bit waveforms; older ones are read back from the run folder
EVALUATION_BLOCK = 64  # utterances that are enhanced at once
WAITING_BLOCKS = 16  # at most so many wait for their scores, which bounds the memory
CHECKPOINT_BYTES = 150_000_000  # two checkpoints and the saved models


@dataclass(frozen=True)
class Schedule:
    """What an epoch consists of; defaults are MetricGAN's.

    Attributes:
        epochs: Number of epochs.
        phases: `"generator"` trains the generators, `"enhancement"` enhances the epoch's utterances and
            starts scoring them, `"evaluation"` does so with validation and test utterances,
            `"discriminator"` trains the discriminator.
        first_generator_epoch: The discriminator is trained alone before this epoch, counted without warm-up.
        clean_score: Label of a clean utterance against itself.
        quantised: Whether this epoch's enhanced utterances are rounded to 16 bit before they are scored and
            shown to the discriminator; those of earlier epochs are in any case.
        to_int16: How a waveform is rounded.
        batch_size: Utterances of one training step; their losses are averaged.
        warm_up_epochs: In so many epochs, which come first, the generator alone learns the clean spectra of
            all training utterances; only evaluation follows. For `metric_gan_steps.OneGeneratorPlayers`.
    """

    epochs: int
    phases: tuple[str, ...] = ("generator", "enhancement", "evaluation", "discriminator")
    first_generator_epoch: int = 2
    clean_score: float = 1.0
    quantised: bool = True
    to_int16: Callable[[np.ndarray], np.ndarray] = audio.to_int16
    batch_size: int = 1
    warm_up_epochs: int = 0

    def phases_of(self, epoch: int) -> tuple[str, ...]:
        """Returns the phases of an epoch."""
        return ("warm_up", "evaluation") if epoch <= self.warm_up_epochs else self.phases

    def plays(self, epoch: int) -> bool:
        """Whether the generators are trained by the discriminator's opinion in this epoch."""
        return epoch >= self.warm_up_epochs + self.first_generator_epoch

    def has_warm_up_weights(self, epoch: int) -> bool:
        """Whether at the end of this epoch the generator is what the warm-up made of it."""
        return bool(self.warm_up_epochs) and not self.plays(epoch)


def peak_normalised(waveform: np.ndarray) -> np.ndarray:
    """What MetricGAN's program scores: peak-normalised, through 16 bit.

    Args:
        waveform: `(samples,)`.

    Returns:
        float32 `(samples,)`.

    Reference:
        MetricGAN.py, "Evaluate the performance of generator in a validation set".
    """
    return audio.from_int16(audio.to_int16(dsp.peak_normalise(waveform)))


def limited(waveform: np.ndarray) -> np.ndarray:
    """Returns a waveform with its values limited to [-1, 1]."""
    return np.clip(waveform, -1.0, 1.0)


@dataclass(frozen=True)
class Selection:
    """Which weights are kept; defaults are MetricGAN's.

    Attributes:
        splits: What is evaluated in every epoch.
        first_epoch: Epoch of the first evaluation.
        validation_limit: Validate on at most so many utterances.
        kept: Systems of each generator, the best first: "last", "best on validation", "best on test".
        prepare: What happens to an enhanced waveform before it is scored.
    """

    splits: tuple[str, ...] = ("validation", "test")
    first_epoch: int = 1
    validation_limit: int = 1_000_000
    kept: tuple[str, ...] = ("last", "best on validation", "best on test")
    prepare: Callable[[np.ndarray], np.ndarray] = peak_normalised

    def utterances(self, manifest: Manifest, epochs: int) -> int:
        """Returns how many utterances are evaluated in so many epochs."""
        sizes = {split: len(manifest.split(split)) for split in self.splits}
        if "validation" in sizes:
            sizes["validation"] = min(sizes["validation"], self.validation_limit)
        return sum(sizes.values()) * max(epochs - self.first_epoch + 1, 0)


def stacked(rows: list[tuple[np.ndarray, ...]]) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Makes one batch of utterances.

    Args:
        rows: For each utterance its spectra `(frames, bins)`, all of one length. An utterance that is alone
            may bring a waveform as well.

    Returns:
        The spectra `(batch, frames, bins)`, padded with zeros at the end, and each utterance's own number of
        frames; `None` for a batch of one, which needs no padding.
    """
    if len(rows) == 1:
        return [array[None] for array in rows[0]], None
    frames = np.array([len(row[0]) for row in rows])
    columns = [
        np.stack([np.pad(spectrum, ((0, frames.max() - len(spectrum)), (0, 0))) for spectrum in column])
        for column in zip(*rows, strict=True)
    ]
    return columns, frames


def batched(items: Iterable, size: int) -> Iterator[tuple]:
    """Yields tuples of `size` items, the last one of what is left."""
    iterator = iter(items)
    return iter(lambda: tuple(itertools.islice(iterator, size)), ())


def require_warm_up(config):
    """Raises if the fields `mse_weight`, `warm_up_epochs` and `epochs` of a configuration cannot be right.

    Args:
        config: A configuration.

    Raises:
        ValueError: That names the fields.
    """
    if min(config.mse_weight, config.warm_up_epochs) < 0:
        raise ValueError("mse_weight and warm_up_epochs must not be negative.")
    if config.warm_up_epochs >= config.epochs:
        raise ValueError("epochs must be more than warm_up_epochs, which are the first of them.")


def plan(
    players: type[Players],
    sampler: Sampler,
    schedule: Schedule,
    selection: Selection,
    manifest: Manifest,
    seconds_per_step: float,
    generators: int = 1,
) -> tuple[dict[str, int], float, int]:
    """Counts steps and estimates time and disk space.

    Args:
        players: The class of the training steps.
        sampler: What is trained on.
        schedule: What an epoch consists of.
        selection: What is evaluated.
        manifest: The corpus.
        seconds_per_step: Of a discriminator step for a second of audio on two cores.
        generators: Number of generators.

    Returns:
        Number of steps by kind, seconds, bytes.
    """
    warm_up = schedule.warm_up_epochs
    epochs = max(schedule.epochs - warm_up, 0)
    discriminator = sum(sampler.steps(epoch) for epoch in range(1, epochs + 1))
    generator = generators * sampler.drawn * max(epochs - schedule.first_generator_epoch + 1, 0)
    generator += warm_up * len(manifest.training())
    enhanced = sampler.drawn * epochs + generators * selection.utterances(manifest, schedule.epochs)
    steps = {
        "generator steps": -(-generator // schedule.batch_size),
        "discriminator steps": -(-discriminator // schedule.batch_size),
        "enhanced and scored utterances": enhanced,
    }
    seconds = manifest.mean_seconds()
    cost = seconds_per_step * (discriminator + players.generator_cost * generator + ENHANCING_COST * enhanced)
    wav_bytes = int(2 * audio.SAMPLE_RATE * seconds) + 44
    return steps, cost * seconds, CHECKPOINT_BYTES * generators + wav_bytes * sampler.drawn * epochs


class MetricGANTrainer:
    """The loop: train generators, enhance, evaluate, train the discriminator, in the order of the schedule.

    Evaluation needs the generators alone, so its utterances are scored while other phases run.

    Args:
        steps: The players, `metric_gan_steps.Players`.
        front_end: A `models.base.SpectralMaskFrontEnd`.
        reader: A `data.pipeline.UtteranceReader`.
        manifest: The corpus.
        scorer: A `targets.Scorer`.
        sampler: A `samplers.Sampler`.
        schedule: A `Schedule`.
        selection: A `Selection`.
        run: A `training.run.Run`.

    Reference:
        MetricGAN.py, the loop over `gan_epoch`.
    """

    enhancer_class = Enhancer

    def __init__(self, steps, front_end, reader, manifest, scorer, sampler, schedule, selection, run):
        self.steps = steps
        self.reader = reader
        self.scorer = scorer
        self.sampler = sampler
        self.schedule = schedule
        self.selection = selection
        self.run = run
        self.front_end = front_end
        self.enhancers = [self.enhancer_class(generator, front_end) for generator in steps.generators]
        self.train = manifest.training()
        self.evaluated = {name: self._list(manifest, name) for name in selection.splits}
        self.best: dict[str, tuple[int, float, list[np.ndarray]]] = {}
        self.noisy_scores: dict[int, tuple[float, ...]] = {}
        self.seconds: dict[str, float] = {}
        self._features = RecentlyUsed(FEATURE_BYTES)
        self._enhanced = RecentlyUsed(REPLAY_BYTES)
        self._fresh: dict[int, np.ndarray] = {}  # this epoch's enhanced waveforms, if they are not rounded
        self._scoring = self._evaluations = None

    def fit(self):
        """Trains from the last checkpoint, or from the beginning, to the last epoch."""
        first = self._restore() + 1
        work = [self._work(epoch) for epoch in range(1, self.schedule.epochs + 1)]
        self.run.start_progress(sum(work), sum(work[: first - 1]))
        for epoch in range(first, self.schedule.epochs + 1):
            self._epoch(epoch)
        self.run.end_progress()

    def systems(self, information: dict) -> dict[str, Enhancer]:
        """Returns the trained enhancers of each generator that the selection keeps.

        Args:
            information: Facts to keep with each model.
        """
        systems = {}
        for number, generator in enumerate(self.steps.generators):
            chosen = {"last": (self.schedule.epochs, generator.get_weights())}
            for split in self.selection.splits:
                epoch, _, weights = self.best.get(self._key(split, number), (0, 0.0, None))
                if weights is not None:
                    chosen[f"best on {split}"] = epoch, weights
            kept = [name for name in self.selection.kept if name in chosen] or ["last"]
            for name in kept:
                epoch, weights = chosen[name]
                network = keras.models.clone_model(generator)
                network.set_weights(weights)
                title = f"{self._title(number)}{name}"
                facts = {**information, "system": title, "epoch": int(epoch)}
                systems[title] = self.enhancer_class(network, self.front_end, facts)
        return systems

    def _title(self, number: int) -> str:
        if len(self.steps.generators) == 1:
            return ""
        return f"{self.scorer.targets[number].name} generator "

    def _key(self, split: str, number: int) -> str:
        return split if number == 0 else f"{split}_g{number + 1}"

    def _list(self, manifest: Manifest, name: str) -> list:
        utterances = manifest.split(name)
        if name == "validation":
            return [utterances[i] for i in self.sampler.validation[: self.selection.validation_limit]]
        return list(utterances)

    def _work(self, epoch: int) -> float:
        """Cost of an epoch in discriminator steps, as measured on two cores."""
        drawn, generators = self.sampler.drawn, len(self.steps.generators)
        if epoch <= self.schedule.warm_up_epochs:
            return self.steps.generator_cost * len(self.train)
        trained = drawn if self.schedule.plays(epoch) else 0
        evaluated = sum(map(len, self.evaluated.values())) if epoch >= self.selection.first_epoch else 0
        enhanced = ENHANCING_COST * (generators * evaluated + drawn)
        discriminator = self.sampler.steps(epoch - self.schedule.warm_up_epochs)
        return discriminator + self.steps.generator_cost * trained + enhanced

    def _epoch(self, epoch: int):
        self.seconds, self._evaluations = {}, {}
        row = {"epoch": epoch}
        drawn = self.sampler.utterances(epoch)
        for phase in self.schedule.phases_of(epoch):
            row.update(getattr(self, f"_{phase}")(epoch, drawn))
        for key, handles in self._evaluations.items():
            row.update(self._end_evaluation(epoch, key, handles))
        row.update({f"s_{phase}": round(seconds, 2) for phase, seconds in self.seconds.items()})
        row["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        self.run.log_epoch(row)
        self._checkpoint(epoch)
        self._report(epoch, row)

    def _warm_up(self, epoch: int, drawn: list[int]) -> dict[str, float]:
        """Trains the generator on the clean spectra of all utterances, in an order of the epoch's own."""
        losses, order = [], random.Random(f"{self.sampler.seed} warm-up {epoch}")
        for index in order.sample(range(len(self.train)), len(self.train)):
            with self._timed("g"):
                utterance = (self._given(name, index)[None] for name in self.steps.generator_takes)
                losses.append(self.steps.warm_up_step(*utterance))
            where = self._where(epoch, "warm-up of G", len(losses), len(self.train))
            self.run.advance(self.steps.generator_cost, where)
        if epoch == self.schedule.warm_up_epochs:
            self.steps.end_warm_up()
        return {"warm_up_loss": float(np.mean(losses))}

    def _generator(self, epoch: int, drawn: list[int]) -> dict[str, float]:
        """Trains the generators on the epoch's utterances."""
        if not self.schedule.plays(epoch):
            return {}
        losses = []
        for batch in batched(self.sampler.generator_order(drawn), self.schedule.batch_size):
            with self._timed("g"):
                rows = [tuple(self._given(name, i) for name in self.steps.generator_takes) for i in batch]
                arrays, frames = stacked(rows)
                values = self.steps.generator_step(*_with_frames(arrays, frames))
                losses += len(batch) * [np.ravel(values)]
            where = self._where(epoch, "G", len(losses), len(drawn))
            self.run.advance(self.steps.generator_cost * len(batch), where)
        means = np.mean(losses, axis=0)
        return {name: float(mean) for name, mean in zip(self.steps.generator_losses, means, strict=True)}

    def _enhancement(self, epoch: int, drawn: list[int]) -> dict[str, float]:
        """Enhances the epoch's utterances and starts scoring them."""
        triples, number = [], self.sampler.enhancing_generator(len(self.enhancers))
        with self._timed("enhance_train"):
            masks = self.enhancers[number].infer_many([self._noisy(index)[0] for index in drawn])
            self._fresh = {}
            for index, mask in zip(drawn, masks, strict=True):
                scored = self._keep_enhanced(index, epoch, mask)
                triples.append((self.train[index].id, self.reader.clean(self.train[index]), scored))
        self._scoring = self.scorer.submit(self.scorer.definitions, triples), self._score_noisy(drawn)
        where = self._where(epoch, "enhance", len(drawn), len(drawn))
        self.run.advance(ENHANCING_COST * len(drawn), where)
        return {}

    def _keep_enhanced(self, index: int, epoch: int, mask: np.ndarray) -> np.ndarray:
        """Writes an enhanced utterance to the history; returns what of it is to be scored."""
        utterance = self.train[index]
        enhanced = self._synthesise(index, mask) / np.float32(utterance.scale)
        samples = self.schedule.to_int16(enhanced)
        self._enhanced.put((index, epoch), samples)
        audio.write(self._replay_path(index, epoch), samples, self.scorer.sample_rate)
        if self.schedule.quantised:
            return self._scored(utterance, self.reader.from_int16(samples))
        self._fresh[index] = enhanced
        return self._scored(utterance, limited(enhanced))

    def _synthesise(self, index: int, mask: np.ndarray) -> np.ndarray:
        """Returns the waveform of a training utterance that a generator's output makes."""
        _, magnitude, phase = self._noisy(index)
        analysis = Analysis(magnitude, phase, len(self.reader.noisy(self.train[index])))
        return self.front_end.synthesise(mask, analysis)

    def _scored(self, utterance: Utterance, enhanced: np.ndarray) -> np.ndarray:
        """Returns what metrics are told of an enhanced waveform."""
        return enhanced

    def _enhance(self, enhancer: Enhancer, utterances: list[Utterance]) -> list[np.ndarray]:
        """Enhances utterances that are evaluated."""
        return enhancer.enhance_many([self.reader.noisy(utterance) for utterance in utterances])

    def _score_noisy(self, drawn: list[int]):
        """Starts scoring noisy utterances whose scores are wanted and not known yet."""
        if "noisy" not in self.sampler.kinds:
            return None
        new = [index for index in dict.fromkeys(drawn) if index not in self.noisy_scores]
        utterances = [self.train[index] for index in new]
        triples = [(u.id, self.reader.clean(u), self.reader.noisy(u)) for u in utterances]
        return new, self.scorer.submit(self.scorer.definitions, triples)

    def _evaluation(self, epoch: int, drawn: list[int]) -> dict[str, float]:
        """Enhances validation and test utterances and starts scoring them."""
        if epoch >= self.selection.first_epoch:
            for number, enhancer in enumerate(self.enhancers):
                for split in self.evaluated:
                    key = self._key(split, number)
                    self._evaluations[key] = self._start_evaluation(epoch, split, enhancer)
        return {}

    def _start_evaluation(self, epoch: int, name: str, enhancer) -> list:
        utterances, handles = self.evaluated[name], []
        for block in batched(enumerate(utterances, start=1), EVALUATION_BLOCK):
            with self._timed("enhance_" + name):
                enhanced = self._enhance(enhancer, [utterance for _, utterance in block])
                triples = [
                    (utterance.id, self.reader.clean(utterance), self.selection.prepare(waveform))
                    for (_, utterance), waveform in zip(block, enhanced, strict=True)
                ]
            with self._timed("score_" + name):
                self.scorer.gather(*handles[:-WAITING_BLOCKS][-1:])
            handles.append(self.scorer.submit(self.scorer.shown, triples))
            where = self._where(epoch, name, block[-1][0], len(utterances))
            self.run.advance(ENHANCING_COST * len(block), where)
        return handles

    def _end_evaluation(self, epoch: int, key: str, handles: list) -> dict[str, float]:
        """Waits for the scores and returns their means."""
        split, _, generator = key.partition("_")
        with self._timed("score_" + split):
            results = self.scorer.gather(*handles)
        if not results:
            return {}
        scores = [result.scores for result in results if result.failure is None]
        self._note_failures(results)
        if not scores:
            raise MetricError(f"None of the {len(results)} {split} utterances could be scored.")
        means = {metric: float(np.mean([s[metric] for s in scores])) for metric in self.scorer.shown}
        self._remember_best(epoch, key, means[self.scorer.chosen_by])
        suffix = f" {generator}" if generator else ""
        return {f"{split}{suffix}_{metric}": value for metric, value in means.items()}

    def _remember_best(self, epoch: int, key: str, score: float):
        if self.schedule.has_warm_up_weights(epoch):
            return
        higher = metrics.get(self.scorer.chosen_by).higher_is_better
        if key in self.best and (score <= self.best[key][1] if higher else score >= self.best[key][1]):
            return
        number = int(key.partition("_g")[2] or 1) - 1
        self.best[key] = epoch, score, self.steps.generators[number].get_weights()

    def _discriminator(self, epoch: int, drawn: list[int]) -> dict[str, float]:
        """Trains the discriminator in three passes."""
        current, row = self._current(epoch, drawn), {}
        row["samples_scored"] = sum("enhanced" in examples for examples in current)
        for number, examples in enumerate(self.sampler.passes(epoch, current), start=1):
            row.update(self._discriminator_pass(epoch, number, examples))
        return row

    def _current(self, epoch: int, drawn: list[int]) -> list[dict[str, Example]]:
        """Waits for the scores of the epoch's utterances."""
        enhanced, noisy = self._scoring
        with self._timed("score_train"):
            results = self.scorer.gather(enhanced)
            if noisy is not None:
                self._remember_noisy(noisy[0], self.scorer.gather(noisy[1]))
        self._note_failures(results)
        kind = "replayed" if self.schedule.quantised else "enhanced"
        clean = len(self.scorer.targets) * (self.schedule.clean_score,)
        current = []
        for index, result in zip(drawn, results, strict=True):
            examples = {"clean": Example("clean", index, 0, clean)}
            if result.failure is None:
                examples["enhanced"] = Example(kind, index, epoch, self.scorer.labels(result.scores))
            if index in self.noisy_scores:
                examples["noisy"] = Example("noisy", index, 0, self.noisy_scores[index])
            current.append(examples)
        return current

    def _remember_noisy(self, indices: list[int], results: list):
        self._note_failures(results)
        for index, result in zip(indices, results, strict=True):
            if result.failure is None:
                self.noisy_scores[index] = self.scorer.labels(result.scores)

    def _note_failures(self, results):
        for result in results:
            if result.failure is not None:
                self.run.note(f"{result.id} could not be scored and was left out ({result.failure.message}).")

    def _discriminator_pass(self, epoch: int, number: int, examples: list[Example]) -> dict[str, float]:
        values = []
        if not examples:  # nothing of this pass could be scored
            return {f"d{number}_steps": 0}
        for batch in batched(examples, self.schedule.batch_size):
            with self._timed("d"):
                values += len(batch) * [self._discriminator_step(batch)]
            self.run.advance(len(batch), self._where(epoch, f"D pass {number}", len(values), len(examples)))
        loss, error = np.mean(values, axis=0)
        steps = -(-len(examples) // self.schedule.batch_size)
        return {f"d{number}_loss": float(loss), f"d{number}_error": float(error), f"d{number}_steps": steps}

    def _discriminator_step(self, batch: tuple[Example, ...]) -> tuple[float, float]:
        scores = np.array([example.scores for example in batch], np.float32)
        if batch[0].kind == "enhanced" and self.steps.through_generator:
            arrays = [self._given(name, batch[0].utterance)[None] for name in ("waveform", "clean")]
            return self.steps.discriminator_step_on_enhanced(*arrays, scores)
        arrays, frames = stacked([(self._degraded(e), self._clean(e.utterance)) for e in batch])
        return self.steps.discriminator_step(*_with_frames([*arrays, scores], frames))

    def _given(self, name: str, index: int) -> np.ndarray:
        """Returns what a step takes of a training utterance; see `metric_gan_steps.Players`."""
        if name == "waveform":
            return self.reader.noisy(self.train[index])
        if name == "clean":
            return self._clean(index)
        features, magnitude, _ = self._noisy(index)
        return features if name == "features" else magnitude

    def _noisy(self, index: int) -> tuple[np.ndarray, ...]:
        """Returns the generator's input, the noisy magnitude and phase of a training utterance."""

        def analyse():
            features, analysis = self.front_end.analyse(self.reader.noisy(self.train[index]))
            return features, analysis.magnitude, analysis.phase

        return self._features.get(("noisy", index), analyse)

    def _clean(self, index: int) -> np.ndarray:
        return self._features.get(
            ("clean", index), lambda: self.front_end.magnitude(self.reader.clean(self.train[index]))
        )

    def _degraded(self, example: Example) -> np.ndarray:
        if example.kind == "clean":
            return self._clean(example.utterance)
        if example.kind == "noisy":
            return self._noisy(example.utterance)[1]
        waveform = self._replayed if example.kind == "replayed" else self._as_enhanced
        return self._features.get(
            (example.kind, example.utterance, example.epoch),
            lambda: self.front_end.magnitude(waveform(example)),
        )

    def _as_enhanced(self, example: Example) -> np.ndarray:
        return self._fresh[example.utterance] * np.float32(self.train[example.utterance].scale)

    def _replayed(self, example: Example) -> np.ndarray:
        """Returns an enhanced waveform of this or an earlier epoch as it was written."""
        key = (example.utterance, example.epoch)
        if key in self._enhanced:
            waveform = self.reader.from_int16(self._enhanced.get(key))
        else:
            waveform = self.reader.read_uncached(self._replay_path(*key))
        return waveform * np.float32(self.train[example.utterance].scale)

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
        wanted = ("validation", "test", *self.steps.generator_losses, "d3_loss", "d3_error")
        shown = [f"{key} {row[key]:.3f}" for key in row if key.startswith(wanted)]
        spent = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.seconds.items())
        self.run.say(f"epoch {epoch}: {', '.join(shown)} | time: {spent}")

    def _checkpoint(self, epoch: int):
        arrays = groups_to_arrays(self.steps.groups())
        best = {}
        for name, (best_epoch, score, weights) in self.best.items():
            arrays.update(variables_to_arrays(f"best-{name}", weights))
            best[name] = [best_epoch, score, len(weights)]
        state = {
            "sampler": self.sampler.state(),
            "best": best,
            "noisy_scores": list(self.noisy_scores.items()),
        }
        self.run.save_checkpoint(epoch, arrays, state)

    def _restore(self) -> int:
        """Restores the last checkpoint; returns its epoch, 0 if there is none."""
        checkpoint = self.run.load_checkpoint()
        if checkpoint is None:
            return 0
        arrays, state = checkpoint
        assign_groups(self.steps.groups(), arrays)
        self.sampler.restore(state["sampler"])
        self.noisy_scores = {index: tuple(scores) for index, scores in state["noisy_scores"]}
        for name, (epoch, score, count) in state["best"].items():
            weights = [arrays[f"best-{name}.{number:03d}"] for number in range(count)]
            self.best[name] = (epoch, score, weights)
        return state["epoch"]


def _with_frames(arrays: list, frames) -> list:
    return arrays if frames is None else [*arrays, frames]
