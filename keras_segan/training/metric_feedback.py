"""Examples for a discriminator that learns metrics: utterances are enhanced, scored and shown to it.

The source of examples of a game whose generators climb on a learnt metric. Between the batches of a round it
enhances the drawn utterances, has them scored by true metrics in worker processes, and evaluates the
generators; earlier rounds are remembered as files. How the papers differ is said by the sampler (`samplers`),
the schedule (here) and the material (here); their losses stand in their recipes.
"""

import contextlib
import itertools
import random
import re
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segan import audio, dsp, metrics
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.pipeline import RecentlyUsed, UtteranceReader
from keras_segan.errors import MetricError
from keras_segan.front_ends.spectral_mask import Analysis
from keras_segan.models.base import Enhancer
from keras_segan.training.keep import Best, Keep, KeepAll, Kept, clone_with
from keras_segan.training.loop import Batch, Rounds, Training
from keras_segan.training.run_folder import Run
from keras_segan.training.samplers import Example, Sampler
from keras_segan.training.step import Step
from keras_segan.training.targets import Scorer

# Names of steps in the game.
GENERATOR, DISCRIMINATOR, ON_ENHANCED, WARM_UP = "generator", "discriminator", "on_enhanced", "warm_up"

ENHANCING_COST = 0.04  # of enhancing and scoring one utterance, in steps of the discriminator
FEATURE_BYTES = 2**28  # of spectra that are used again in the same epoch
REPLAY_BYTES = 2**28  # of 16-bit waveforms; older ones are read back from the run folder
EVALUATION_BLOCK = 64  # utterances that are enhanced at once
WAITING_BLOCKS = 16  # at most so many wait for their scores, which bounds the memory
CHECKPOINT_BYTES = 150_000_000  # two checkpoints and the saved models


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
class Evaluation:
    """How generators are evaluated in every epoch.

    Attributes:
        splits: What they are evaluated on.
        first_epoch: Epoch of the first evaluation.
        validation_limit: Validate on at most so many utterances; `None` for all.
        prepare: What happens to an enhanced waveform before it is scored.
    """

    splits: tuple[str, ...] = ("validation", "test")
    first_epoch: int = 1
    validation_limit: int | None = None
    prepare: Callable[[np.ndarray], np.ndarray] = peak_normalised

    def utterances(self, manifest: Manifest, epochs: int) -> int:
        """Returns how many utterances are evaluated in so many epochs."""
        sizes = [len(manifest.split(split)[: self.limit(split)]) for split in self.splits]
        return sum(sizes) * max(epochs - self.first_epoch + 1, 0)

    def limit(self, split: str) -> int | None:
        """Returns how many utterances of a split are taken at most."""
        return self.validation_limit if split == "validation" else None


@dataclass(frozen=True)
class Schedule:
    """What an epoch consists of.

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
        warm_up_epochs: In so many epochs, which come first, the step "warm_up" is taken on all training
            utterances; only evaluation follows.
        generator_cost: Time of a step of all generators in steps of the discriminator, on two cores.
        evaluation: How generators are evaluated.
    """

    epochs: int
    phases: tuple[str, ...] = (GENERATOR, "enhancement", "evaluation", DISCRIMINATOR)
    first_generator_epoch: int = 2
    clean_score: float = 1.0
    quantised: bool = True
    to_int16: Callable[[np.ndarray], np.ndarray] = audio.to_int16
    batch_size: int = 1
    warm_up_epochs: int = 0
    generator_cost: float = 1.0
    evaluation: Evaluation = Evaluation()

    def phases_of(self, epoch: int) -> tuple[str, ...]:
        """Returns the phases of an epoch."""
        return (WARM_UP, "evaluation") if epoch <= self.warm_up_epochs else self.phases

    def plays(self, epoch: int) -> bool:
        """Whether the generators are trained by the discriminator's opinion in this epoch."""
        return epoch >= self.warm_up_epochs + self.first_generator_epoch

    @property
    def first_result(self) -> int:
        """First epoch whose weights are a result of the game and not of the warm-up."""
        return self.warm_up_epochs + self.first_generator_epoch if self.warm_up_epochs else 1


class Material:
    """The training utterances as arrays, by the names that losses call them.

    `waveform`, the noisy one `(samples,)`; `features`, the generator's input; `noisy` and `clean`, compressed
    magnitudes; the latter three `(frames, bins)`.

    Args:
        front_end: A `models.base.SpectralMaskFrontEnd`.
        reader: What reads the pairs.
        utterances: The training pairs.
    """

    enhancer_class: type[Enhancer] = Enhancer

    def __init__(self, front_end: Any, reader: UtteranceReader, utterances: Sequence[Utterance]) -> None:
        self.front_end = front_end
        self.reader = reader
        self.utterances = tuple(utterances)
        self._features = RecentlyUsed(FEATURE_BYTES)

    def array(self, name: str, index: int) -> np.ndarray:
        """Returns an array of a training utterance by its name."""
        if name == "waveform":
            return self.reader.noisy(self.utterances[index])
        if name == "clean":
            return self.clean(index)
        features, magnitude, _ = self.analysed(index)
        return features if name == "features" else magnitude

    def analysed(self, index: int) -> tuple[np.ndarray, ...]:
        """Returns the generator's input, the noisy magnitude and phase of a training utterance."""

        def analyse():
            features, analysis = self.front_end.analyse(self.reader.noisy(self.utterances[index]))
            return features, analysis.magnitude, analysis.phase

        return self._features.get(("noisy", index), analyse)

    def clean(self, index: int) -> np.ndarray:
        """Returns the clean magnitude of a training utterance."""
        return self._features.get(
            ("clean", index), lambda: self.front_end.magnitude(self.reader.clean(self.utterances[index]))
        )

    def magnitude(self, key: tuple, waveform: Callable[[], np.ndarray]) -> np.ndarray:
        """Returns the magnitude of an enhanced waveform, remembered under a key."""
        return self._features.get(key, lambda: self.front_end.magnitude(waveform()))

    def synthesise(self, index: int, output: np.ndarray) -> np.ndarray:
        """Returns the waveform of a training utterance that a generator's output makes."""
        _, magnitude, phase = self.analysed(index)
        analysis = Analysis(magnitude, phase, len(self.reader.noisy(self.utterances[index])))
        return self.front_end.synthesise(output, analysis)

    def heard(self, utterance: Utterance, enhanced: np.ndarray) -> np.ndarray:
        """Returns what metrics are told of an enhanced waveform."""
        return enhanced

    def enhance(self, enhancer: Enhancer, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """Enhances utterances that are evaluated."""
        return enhancer.enhance_many([self.reader.noisy(utterance) for utterance in utterances])


@dataclass
class Record:
    """What a round has found out so far, which a checkpoint in its middle has to hold.

    Attributes:
        epoch: The round.
        sampler: State of the sampler at its beginning.
        scores: Raw scores of the enhanced utterances, `None` where one could not be scored; `None` as a
            whole before they are known.
        row: Columns of the log.
    """

    epoch: int = 0
    sampler: dict[str, Any] = field(default_factory=dict)
    scores: list[dict[str, float] | None] | None = None
    row: dict[str, Any] = field(default_factory=dict)


class MetricFeedback:
    """A `loop.Source`: generators are trained, utterances enhanced and scored, the discriminator is trained.

    Evaluation needs the generators alone, so its utterances are scored while other phases run.

    Args:
        steps: The game: steps named "generator" and "discriminator", and where a paper has them "on_enhanced"
            (the discriminator sees what the generator makes of a waveform now) and "warm_up".
        generators: The networks that enhance, one for each target.
        material: The training utterances.
        sampler: Draws the examples.
        scorer: Scores waveforms.
        schedule: What an epoch consists of.

    Reference:
        MetricGAN.py, the loop over `gan_epoch`.
    """

    def __init__(
        self,
        steps: Mapping[str, Step],
        generators: Sequence[keras.Model],
        material: Material,
        sampler: Sampler,
        scorer: Scorer,
        schedule: Schedule,
    ) -> None:
        self.steps = steps
        self.material = material
        self.sampler = sampler
        self.scorer = scorer
        self.schedule = schedule
        self.enhancers = [material.enhancer_class(generator, material.front_end) for generator in generators]
        self.noisy_scores: dict[int, tuple[float, ...]] = {}
        self.seconds: dict[str, float] = {}
        self.after_warm_up: Callable[[], None] = lambda: None
        self._evaluated: dict[str, list[Utterance]] = {}
        self._record = Record()
        self._enhanced = RecentlyUsed(REPLAY_BYTES)
        self._fresh: dict[int, np.ndarray] = {}  # this epoch's enhanced waveforms, if they are not rounded
        self._scoring: tuple | None = None
        self._evaluations: dict[str, list] = {}
        self._run: Run | None = None
        self._in_round = False

    def attach(self, run: Run, manifest: Manifest) -> None:
        """Names the run folder, where the history lies, and the pairs that are evaluated."""
        self._run = run
        evaluation = self.schedule.evaluation
        for split in evaluation.splits:
            utterances = manifest.split(split)
            order = self.sampler.validation if split == "validation" else range(len(utterances))
            self._evaluated[split] = [utterances[i] for i in order][: evaluation.limit(split)]

    @property
    def run(self) -> Run:
        """The run folder."""
        if self._run is None:
            raise RuntimeError("Attach a run before training.")
        return self._run

    def work(self, number: int) -> float:
        """Cost of an epoch in discriminator steps, as measured on two cores."""
        schedule, drawn = self.schedule, self.sampler.drawn
        if number <= schedule.warm_up_epochs:
            return schedule.generator_cost * len(self.material.utterances)
        trained = drawn if schedule.plays(number) else 0
        counts = number >= schedule.evaluation.first_epoch
        evaluated = sum(map(len, self._evaluated.values())) if counts else 0
        enhanced = ENHANCING_COST * (len(self.enhancers) * evaluated + drawn)
        discriminator = self.sampler.steps(number - schedule.warm_up_epochs)
        return discriminator + schedule.generator_cost * trained + enhanced

    def round(self, number: int) -> Iterator[Batch]:
        """Yields the batches of an epoch and does what lies between them."""
        if self._record.epoch != number:  # else it goes on in its middle, and the sampler is at its beginning
            self._record = Record(number, self.sampler.state())
        self._in_round = True
        self.seconds, self._evaluations, self._scoring = {}, {}, None
        drawn = self.sampler.utterances(number)
        for phase in self.schedule.phases_of(number):
            yield from getattr(self, f"_{phase}")(number, drawn)

    def facts(self) -> dict[str, Any]:
        """Returns scores of the evaluation, counts, times and memory of the epoch that has just ended."""
        self._end_evaluations()
        self._in_round = False
        times = {f"s_{phase}": round(seconds, 2) for phase, seconds in self.seconds.items()}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return {**self._record.row, **times, "peak_rss_mb": memory}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Returns what a checkpoint has to hold; scores that are still awaited are waited for."""
        self._end_scoring()
        self._end_evaluations()
        facts: dict[str, Any] = {"noisy_scores": list(self.noisy_scores.items())}
        if not self._in_round:
            return {**facts, "sampler": self.sampler.state()}, {}
        record = asdict(self._record)
        facts |= {"sampler": record.pop("sampler"), "record": record}
        return facts, {f"fresh-{index}": waveform for index, waveform in self._fresh.items()}

    def restore(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Goes on from a state; in an epoch's middle what is known is skipped from its beginning."""
        self.sampler.restore(state["sampler"])
        self.noisy_scores = {index: tuple(scores) for index, scores in state["noisy_scores"]}
        self._record = Record(sampler=self.sampler.state(), **state.get("record", {}))
        self._fresh = {int(name.removeprefix("fresh-")): array for name, array in arrays.items()}

    def _warm_up(self, epoch: int, drawn: list[int]) -> Iterator[Batch]:
        """Trains the generator alone on all utterances, in an order of the epoch's own."""
        order = random.Random(f"{self.sampler.seed} warm-up {epoch}")
        count = len(self.material.utterances)
        for done, index in enumerate(order.sample(range(count), count), start=1):
            where = self._where(epoch, "warm-up of G", done, count)
            yield self._batch((WARM_UP,), [index], where)
        if epoch == self.schedule.warm_up_epochs:
            self.after_warm_up()

    def _generator(self, epoch: int, drawn: list[int]) -> Iterator[Batch]:
        """Trains the generators on the epoch's utterances."""
        if not self.schedule.plays(epoch):
            return
        done = 0
        for indices in batched(self.sampler.generator_order(drawn), self.schedule.batch_size):
            done += len(indices)
            yield self._batch((GENERATOR,), indices, self._where(epoch, "G", done, len(drawn)))

    def _batch(self, steps: tuple[str, ...], indices: Sequence[int], where: str) -> Batch:
        names = [name for name in self.steps[steps[0]].shapes if name != "frames"]

        def arrays() -> dict[str, np.ndarray]:
            return stacked([{name: self.material.array(name, i) for name in names} for i in indices])

        work = self.schedule.generator_cost * len(indices)
        return Batch(arrays, steps, work=work, weight=len(indices), where=where)

    def _enhancement(self, epoch: int, drawn: list[int]) -> Iterator[Batch]:
        """Enhances the epoch's utterances and starts scoring them."""
        number = self.sampler.enhancing_generator(len(self.enhancers))
        if self._record.scores is None:
            triples = []
            with self._timed("enhance_train"):
                inputs = [self.material.analysed(index)[0] for index in drawn]
                outputs = self.enhancers[number].infer_many(inputs)
                self._fresh = {}
                for index, output in zip(drawn, outputs, strict=True):
                    utterance = self.material.utterances[index]
                    scored = self._keep_enhanced(index, epoch, output)
                    triples.append((utterance.id, self.material.reader.clean(utterance), scored))
            wanted = self.scorer.definitions
            self._scoring = self.scorer.submit(wanted, triples), self._score_noisy(drawn)
        where = self._where(epoch, "enhance", len(drawn), len(drawn))
        self.run.advance(ENHANCING_COST * len(drawn), where)
        yield from ()

    def _keep_enhanced(self, index: int, epoch: int, output: np.ndarray) -> np.ndarray:
        """Writes an enhanced utterance to the history; returns what of it is to be scored."""
        utterance = self.material.utterances[index]
        enhanced = self.material.synthesise(index, output) / np.float32(utterance.scale)
        samples = self.schedule.to_int16(enhanced)
        self._enhanced.put((index, epoch), samples)
        audio.write(self._replay_path(index, epoch), samples, self.scorer.sample_rate)
        if self.schedule.quantised:
            return self.material.heard(utterance, self.material.reader.from_int16(samples))
        self._fresh[index] = enhanced
        return self.material.heard(utterance, limited(enhanced))

    def _score_noisy(self, drawn: list[int]) -> tuple[list[int], Any] | None:
        """Starts scoring noisy utterances whose scores are wanted and not known yet."""
        if "noisy" not in self.sampler.kinds:
            return None
        new = [index for index in dict.fromkeys(drawn) if index not in self.noisy_scores]
        reader = self.material.reader
        utterances = [self.material.utterances[index] for index in new]
        triples = [(u.id, reader.clean(u), reader.noisy(u)) for u in utterances]
        return new, self.scorer.submit(self.scorer.definitions, triples)

    def _end_scoring(self) -> None:
        """Waits for the scores of the epoch's utterances, if they are awaited."""
        if self._scoring is None:
            return
        (enhanced, noisy), self._scoring = self._scoring, None
        with self._timed("score_train"):
            results = self.scorer.gather(enhanced)
            self._note_failures(results)
            self._record.scores = [None if result.failure else result.scores for result in results]
            if noisy is not None:
                self._remember_noisy(noisy[0], self.scorer.gather(noisy[1]))

    def _remember_noisy(self, indices: list[int], results: list) -> None:
        self._note_failures(results)
        for index, result in zip(indices, results, strict=True):
            if result.failure is None:
                self.noisy_scores[index] = self.scorer.labels(result.scores)

    def _note_failures(self, results: list) -> None:
        for result in results:
            if result.failure is not None:
                self.run.note(f"{result.id} could not be scored and was left out ({result.failure.message}).")

    def _evaluation(self, epoch: int, drawn: list[int]) -> Iterator[Batch]:
        """Enhances validation and test utterances and starts scoring them."""
        if epoch >= self.schedule.evaluation.first_epoch:
            for number, enhancer in enumerate(self.enhancers):
                for split in self._evaluated:
                    key = column_prefix(split, number)
                    if not any(name.startswith(f"{key}_") for name in self._record.row):
                        self._evaluations[key] = self._start_evaluation(epoch, split, enhancer)
        yield from ()

    def _start_evaluation(self, epoch: int, split: str, enhancer: Enhancer) -> list:
        utterances, handles = self._evaluated[split], []
        reader, prepare = self.material.reader, self.schedule.evaluation.prepare
        for block in batched(enumerate(utterances, start=1), EVALUATION_BLOCK):
            with self._timed("enhance_" + split):
                enhanced = self.material.enhance(enhancer, [utterance for _, utterance in block])
                triples = [
                    (utterance.id, reader.clean(utterance), prepare(waveform))
                    for (_, utterance), waveform in zip(block, enhanced, strict=True)
                ]
            with self._timed("score_" + split):
                self.scorer.gather(*handles[:-WAITING_BLOCKS][-1:])
            handles.append(self.scorer.submit(self.scorer.shown, triples))
            where = self._where(epoch, split, block[-1][0], len(utterances))
            self.run.advance(ENHANCING_COST * len(block), where)
        return handles

    def _end_evaluations(self) -> None:
        """Waits for the scores of the evaluation and notes their means."""
        evaluations, self._evaluations = self._evaluations, {}
        for key, handles in evaluations.items():
            with self._timed("score_" + key.partition(" ")[0]):
                results = self.scorer.gather(*handles)
            scores = [result.scores for result in results if result.failure is None]
            self._note_failures(results)
            if results and not scores:
                raise MetricError(f"None of the {len(results)} {key} utterances could be scored.")
            if scores:
                for name in self.scorer.shown:
                    self._record.row[f"{key}_{name}"] = float(np.mean([each[name] for each in scores]))

    def _discriminator(self, epoch: int, drawn: list[int]) -> Iterator[Batch]:
        """Trains the discriminator in three passes."""
        self._end_scoring()
        current = self._current(epoch, drawn)
        self._record.row["samples_scored"] = sum("enhanced" in examples for examples in current)
        for number, examples in enumerate(self.sampler.passes(epoch, current), start=1):
            steps = -(-len(examples) // self.schedule.batch_size)
            self._record.row[f"d{number}_steps"] = steps
            done = 0
            for batch in batched(examples, self.schedule.batch_size):
                done += len(batch)
                where = self._where(epoch, f"D pass {number}", done, len(examples))
                yield self._shown(batch, f"d{number}", where)

    def _current(self, epoch: int, drawn: list[int]) -> list[dict[str, Example]]:
        """Returns the examples that the epoch's utterances make."""
        kind = "replayed" if self.schedule.quantised else "enhanced"
        clean = len(self.scorer.targets) * (self.schedule.clean_score,)
        current = []
        for index, scores in zip(drawn, self._record.scores or [], strict=True):
            examples = {"clean": Example("clean", index, 0, clean)}
            if scores is not None:
                examples["enhanced"] = Example(kind, index, epoch, self.scorer.labels(scores))
            if index in self.noisy_scores:
                examples["noisy"] = Example("noisy", index, 0, self.noisy_scores[index])
            current.append(examples)
        return current

    def _shown(self, batch: tuple[Example, ...], label: str, where: str) -> Batch:
        """Returns what a step of the discriminator is taken on."""
        scores = np.array([example.scores for example in batch], np.float32)
        through = batch[0].kind == "enhanced" and ON_ENHANCED in self.steps

        def arrays() -> dict[str, np.ndarray]:
            if through:
                names, index = ("waveform", "clean"), batch[0].utterance
                rows = [{name: self.material.array(name, index) for name in names}]
            else:
                rows = [
                    {"degraded": self._degraded(e), "clean": self.material.clean(e.utterance)} for e in batch
                ]
            return {**stacked(rows), "scores": scores}

        steps = (ON_ENHANCED if through else DISCRIMINATOR,)
        return Batch(arrays, steps, label, work=len(batch), weight=len(batch), where=where)

    def _degraded(self, example: Example) -> np.ndarray:
        if example.kind == "clean":
            return self.material.clean(example.utterance)
        if example.kind == "noisy":
            return self.material.analysed(example.utterance)[1]
        waveform = self._replayed if example.kind == "replayed" else self._as_enhanced
        key = (example.kind, example.utterance, example.epoch)
        return self.material.magnitude(key, lambda: waveform(example))

    def _as_enhanced(self, example: Example) -> np.ndarray:
        scale = self.material.utterances[example.utterance].scale
        return self._fresh[example.utterance] * np.float32(scale)

    def _replayed(self, example: Example) -> np.ndarray:
        """Returns an enhanced waveform of this or an earlier epoch as it was written."""
        key, reader = (example.utterance, example.epoch), self.material.reader
        if key in self._enhanced:
            waveform = reader.from_int16(self._enhanced.get(key))
        else:
            waveform = reader.read_uncached(self._replay_path(*key))
        return waveform * np.float32(self.material.utterances[example.utterance].scale)

    def _replay_path(self, index: int, epoch: int) -> Path:
        name = re.sub(r"[^\w.-]", "_", self.material.utterances[index].id)
        return self.run.path(f"replay/epoch-{epoch:05d}/{index:05d}-{name}.wav")

    def _where(self, epoch: int, phase: str, number: int, count: int) -> str:
        return f"epoch {epoch}/{self.schedule.epochs}, {phase}, utterance {number}/{count}"

    @contextlib.contextmanager
    def _timed(self, phase: str):
        start = time.perf_counter()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start


def train(feedback: MetricFeedback, manifest: Manifest, run: Run) -> KeepAll:
    """Plays the game to its last epoch.

    Args:
        feedback: The source of examples.
        manifest: The corpus.
        run: The run.

    Returns:
        The best weights of each generator by the name of a split; see `systems`.
    """
    feedback.attach(run, manifest)
    schedule, scorer = feedback.schedule, feedback.scorer
    higher = metrics.get(scorer.chosen_by).higher_is_better
    rules: dict[str, Keep] = {}
    for number, enhancer in enumerate(feedback.enhancers):
        for split in schedule.evaluation.splits:
            key = column_prefix(split, number)
            column = f"{key}_{scorer.chosen_by}"
            rules[key] = Best(enhancer.network, column, higher, first=schedule.first_result)
    keep = KeepAll(rules)
    Training(feedback.steps, feedback, Rounds(schedule.epochs), run, keep).fit()
    return keep


def systems(
    feedback: MetricFeedback, keep: KeepAll, wanted: Sequence[str], information: Mapping[str, Any]
) -> dict[str, Enhancer]:
    """Returns the trained enhancers of each generator.

    Args:
        feedback: The source of examples that was trained on.
        keep: What `train` returned.
        wanted: "last" and "best on SPLIT", the one to keep first; what was never evaluated is left out.
        information: Facts to keep with each model.
    """
    found = {}
    for number, enhancer in enumerate(feedback.enhancers):
        chosen = {"last": Kept(feedback.schedule.epochs, enhancer.network.get_weights())}
        for split in feedback.schedule.evaluation.splits:
            rule = keep.rules[column_prefix(split, number)]
            if isinstance(rule, Best) and rule.kept is not None:
                chosen[f"best on {split}"] = rule.kept
        for name in [name for name in wanted if name in chosen] or ["last"]:
            title = name
            if len(feedback.enhancers) > 1:
                title = f"{feedback.scorer.targets[number].name} generator {name}"
            network = clone_with(enhancer.network, chosen[name].weights)
            facts = {**information, "system": title, "epoch": int(chosen[name].position)}
            found[title] = feedback.material.enhancer_class(network, feedback.material.front_end, facts)
    return found


def count_steps(
    sampler: Sampler, schedule: Schedule, manifest: Manifest, generators: int = 1
) -> tuple[dict[str, int], float, int]:
    """Counts the steps of a game, to plan with.

    Args:
        sampler: What is trained on.
        schedule: What an epoch consists of.
        manifest: The corpus.
        generators: Number of generators.

    Returns:
        Number of steps by kind, their time in steps of the discriminator, and bytes of the run folder.
    """
    warm_up = schedule.warm_up_epochs
    epochs = max(schedule.epochs - warm_up, 0)
    discriminator = sum(sampler.steps(epoch) for epoch in range(1, epochs + 1))
    moves = sampler.drawn * max(epochs - schedule.first_generator_epoch + 1, 0)
    moves += warm_up * len(manifest.training())
    evaluated = schedule.evaluation.utterances(manifest, schedule.epochs)
    enhanced = sampler.drawn * epochs + generators * evaluated
    steps = {
        "generator steps": -(-generators * moves // schedule.batch_size),
        "discriminator steps": -(-discriminator // schedule.batch_size),
        "enhanced and scored utterances": enhanced,
    }
    cost = discriminator + schedule.generator_cost * moves + ENHANCING_COST * enhanced
    wav_bytes = int(2 * audio.SAMPLE_RATE * manifest.mean_seconds()) + 44
    return steps, cost, CHECKPOINT_BYTES * generators + wav_bytes * sampler.drawn * epochs


def check_warm_up(warm_up_epochs: int, epochs: int) -> None:
    """Raises `ValueError` if a warm-up leaves nothing of the training."""
    if warm_up_epochs >= epochs:
        raise ValueError("epochs must be more than warm_up_epochs, which are the first of them.")


def long_enough(manifest: Manifest, samples: int, run: Run | None = None) -> Manifest:
    """Leaves out training pairs that are too short for a discriminator; they are named and counted.

    Args:
        manifest: The corpus; validation and test pairs of any length stay.
        samples: Least number of samples at 16 kHz.
        run: The run that is told.
    """
    least = samples / audio.SAMPLE_RATE
    short = {u for u in manifest.split("train") if audio.seconds(u.clean) < least}
    if short and run is not None:
        names = sorted(u.id for u in short)
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        run.note(
            f"{len(short)} training {'pair is' if len(short) == 1 else 'pairs are'} shorter than "
            f"{least:.2f} s, which the discriminator needs, and left out: {shown}."
        )
    return Manifest(tuple(u for u in manifest.utterances if u not in short), manifest.corpus)


def column_prefix(split: str, generator: int) -> str:
    """Returns how the log names the evaluation of a generator, counted from 0, on a split."""
    return split if generator == 0 else f"{split} g{generator + 1}"


def stacked(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Makes one batch of utterances.

    Args:
        rows: For each utterance its spectra `(frames, bins)` by name, all of one length. An utterance that is
            alone may bring a waveform as well.

    Returns:
        The spectra `(batch, frames, bins)`, padded with zeros at the end, and `frames`, each utterance's own
        number of frames; a batch of one needs no padding and has no `frames`.
    """
    if len(rows) == 1:
        return {name: array[None] for name, array in rows[0].items()}
    frames = np.array([len(next(iter(row.values()))) for row in rows])
    longest = frames.max()
    batch = {
        name: np.stack([np.pad(row[name], ((0, longest - len(row[name])), (0, 0))) for row in rows])
        for name in rows[0]
    }
    return {**batch, "frames": frames}


def batched(items: Iterable, size: int) -> Iterator[tuple]:
    """Yields tuples of `size` items, the last one of what is left."""
    iterator = iter(items)
    return iter(lambda: tuple(itertools.islice(iterator, size)), ())
