"""Three papers that exist only here: an enhancer, a predictor and a feature mapping.

Each is what a stranger would write who has only read CONTRIBUTING.md. None has `metric`, `model` or `epochs`
among its settings.
"""

ENHANCER = '''"""Toy enhancer: one gain for each bin, learnt by mean squared error."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_segan.data.pipeline import UtteranceReader
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd
from keras_segan.reproduction.outcomes import Enhancement
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training.keep import MeanOfLast, clone_with, kept_or_last
from keras_segan.training.loop import Batch, Rounds, Training
from keras_segan.training.player import Player
from keras_segan.training.step import Step

PAPER = Paper("A toy", "N. N.", "Nowhere 2026", "https://example.org", metrics=("stoi",))


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings."""

    passes: int = setting(3, "passes over the data", "ours", unit="passes", at_least=1, role="length")
    rate: float = setting(0.05, "step size", "ours", at_least=0)


VARIANTS = {"code": Settings(), "mini": Settings(corpus="mini")}


def front_end():
    return SpectralMaskFrontEnd(mask_floor=0.0)


def build(settings):
    inputs = keras.layers.Input((None, 257))
    mask = keras.layers.EinsumDense("btf,f->btf", (None, 257), bias_axes="f", activation="sigmoid")(inputs)
    return keras.Model(inputs, mask, name="gains")


class Utterances:
    """One utterance a batch, in an order of the pass's own."""

    def __init__(self, utterances, seed):
        reader, front = UtteranceReader(), front_end()
        self.arrays = []
        for utterance in utterances:
            features, analysis = front.analyse(reader.noisy(utterance))
            clean = front.magnitude(reader.clean(utterance))
            spectra = {"features": features, "noisy": analysis.magnitude, "clean": clean}
            self.arrays.append({name: array[None] for name, array in spectra.items()})
        self.seed = seed

    def round(self, number):
        for index in np.random.default_rng((self.seed, number)).permutation(len(self.arrays)):
            yield Batch(lambda index=index: self.arrays[index])

    def work(self, number):
        return len(self.arrays)

    def facts(self):
        return {}

    def state(self):
        return {}, {}

    def restore(self, state, arrays):
        pass


def fit(settings, manifest, run):
    network = build(settings)

    def loss(features, noisy, clean):
        """Mean squared error of the masked magnitude."""
        return ops.mean(ops.square(network(features, training=True) * noisy - clean))

    spectrum = (None, None, 257)
    player = Player("gains", (network,), keras.optimizers.Adam(settings.rate), loss)
    step = Step([player], dict.fromkeys(("features", "noisy", "clean"), spectrum))
    keep = MeanOfLast(network, 2)
    source = Utterances(manifest.training(), settings.seed)
    Training({"train": step}, source, Rounds(settings.passes), run, keep).fit()
    kept = kept_or_last(keep, network, settings.passes)
    return {"Gains": Enhancer(clone_with(network, kept.weights), front_end(), {"recipe": "toy_enhancer"})}


def plan(settings, manifest):
    steps = settings.passes * len(manifest.training())
    return Plan({"steps": steps}, 0.01 * steps, 10**6)


def outcome(settings):
    return Enhancement(metrics=PAPER.metrics, table="Table 1")
'''

PREDICTOR = '''"""Toy predictor: STOI from the mean spectrum of the noisy file."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_segan.data.pipeline import UtteranceReader
from keras_segan.models.base import Predictor, SpectralMaskFrontEnd
from keras_segan.reproduction.outcomes import Prediction
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training.keep import Last
from keras_segan.training.loop import Batch, Rounds, Training
from keras_segan.training.player import Player
from keras_segan.training.step import Step

PAPER = Paper("A toy", "N. N.", "Nowhere 2026", "https://example.org")


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings."""

    iterations: int = setting(6, "iterations", "ours", unit="iterations", at_least=1, role="length")
    rate: float = setting(0.01, "step size", "ours", at_least=0)


VARIANTS = {"code": Settings(), "mini": Settings(corpus="mini")}


def front_end():
    return SpectralMaskFrontEnd()


def build(settings):
    inputs = keras.layers.Input((None, 257))
    mean = keras.layers.GlobalAveragePooling1D()(inputs)
    return keras.Model(inputs, {"score": keras.layers.Dense(1, activation="sigmoid")(mean)}, name="judge")


class Utterances:
    """An utterance a batch, in turn."""

    def __init__(self, utterances, labels):
        reader = UtteranceReader()
        self.arrays = [
            {"features": front_end().analyse(reader.noisy(u))[0][None], "truth": np.array([[label]])}
            for u, label in zip(utterances, labels, strict=True)
        ]

    def round(self, number):
        first = 2 * (number - 1)
        for position in (first, first + 1):
            yield Batch(lambda position=position: self.arrays[position % len(self.arrays)])

    def work(self, number):
        return 2

    def facts(self):
        return {}

    def state(self):
        return {}, {}

    def restore(self, state, arrays):
        pass


def fit(settings, manifest, run):
    from keras_segan import metrics

    reader = UtteranceReader()
    train = manifest.training()
    labels = [metrics.score(["stoi"], reader.clean(u), reader.noisy(u), 16000)["stoi"] for u in train]
    network = build(settings)

    def loss(features, truth):
        """Squared error of the score."""
        return ops.mean(ops.square(network(features, training=True)["score"] - truth))

    player = Player("judge", (network,), keras.optimizers.Adam(settings.rate), loss)
    step = Step([player], {"features": (None, None, 257), "truth": (None, 1)})
    rounds = Rounds(settings.iterations, "iteration", length=2)
    Training({"train": step}, Utterances(train, labels), rounds, run, Last()).fit()
    return {"Judge": Predictor(network, front_end(), {"recipe": "toy_predictor"})}


def plan(settings, manifest):
    return Plan({"iterations": settings.iterations}, 1.0, 10**6)


def outcome(settings):
    return Prediction(target="stoi", groups=("noise",), table="Table 1")
'''

MAPPER = '''"""Toy mapping: log magnitudes of noisy frames to those of clean ones."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_segan.data.pipeline import UtteranceReader
from keras_segan.front_ends import LogSpectrumFrontEnd
from keras_segan.models.base import FeatureMapper
from keras_segan.reproduction.outcomes import Features
from keras_segan.reproduction.recipe import BaseSettings, Paper, Plan, setting
from keras_segan.training import losses
from keras_segan.training.keep import Best
from keras_segan.training.loop import Batch, Rounds, Training
from keras_segan.training.player import Player
from keras_segan.training.step import Step

PAPER = Paper("A toy", "N. N.", "Nowhere 2026", "https://example.org")


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings."""

    rounds: int = setting(3, "rounds", "ours", unit="rounds", at_least=1, role="length")
    d_steps: int = setting(2, "moves of D on each batch", "ours", at_least=1)


VARIANTS = {"code": Settings(), "mini": Settings(corpus="mini")}


@keras.saving.register_keras_serializable("toy")
class FrontEnd(LogSpectrumFrontEnd):
    """Log spectra without context."""

    def reference(self, waveform):
        return self.log_spectrum(waveform)


def front_end():
    return FrontEnd(context=0)


def build(settings):
    inputs = keras.layers.Input((1, 257))
    mapped = keras.layers.Dense(257, kernel_initializer="identity")(keras.layers.Flatten()(inputs))
    mapper = keras.Model(inputs, mapped, name="mapper")
    shown = keras.layers.Input((257,))
    return mapper, keras.Model(shown, keras.layers.Dense(1)(shown), name="critic")


class Frames:
    """All frames of an utterance a batch."""

    def __init__(self, utterances):
        reader, front = UtteranceReader(), front_end()
        self.arrays = [
            {"noisy": front.analyse(reader.noisy(u))[0], "clean": front.log_spectrum(reader.clean(u))}
            for u in utterances
        ]

    def round(self, number):
        for arrays in self.arrays:
            yield Batch(lambda arrays=arrays: arrays)

    def work(self, number):
        return len(self.arrays)

    def facts(self):
        return {}

    def state(self):
        return {}, {}

    def restore(self, state, arrays):
        pass


def fit(settings, manifest, run):
    mapper, critic = build(settings)

    def critic_loss(noisy, clean):
        """D's cross entropy."""
        return losses.real_or_fake(critic(clean), critic(mapper(noisy)))

    def mapper_loss(noisy, clean):
        """L1 and D's opinion."""
        mapped = mapper(noisy)
        return 10 * losses.l1(mapped, clean) + losses.non_saturating(critic(mapped))

    d = Player("d", (critic,), keras.optimizers.Adam(1e-3), critic_loss, steps=settings.d_steps)
    g = Player("g", (mapper,), keras.optimizers.Adam(1e-3), mapper_loss)
    step = Step([d, g], {"noisy": (None, 1, 257), "clean": (None, 257)}, (mapper, critic))
    keep = Best(mapper, "g_loss")
    training = Training({"train": step}, Frames(manifest.training()), Rounds(settings.rounds), run, keep)
    training.fit()
    mapper.set_weights(keep.kept.weights)
    return {"Mapper": FeatureMapper(mapper, front_end(), {"recipe": "toy_mapper"})}


def plan(settings, manifest):
    return Plan({"rounds": settings.rounds}, 1.0, 10**6)


def outcome(settings):
    return Features(table="Table 1")
'''

TOYS = {"toy_enhancer": ENHANCER, "toy_predictor": PREDICTOR, "toy_mapper": MAPPER}


def install(folder):
    """Writes the toys as an installed distribution: modules and entry points, and one of them a CSV file."""
    for name, text in TOYS.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "toy_enhancer.csv").write_text(
        "source,table,row,variant,dataset,metric,definition,value,std,n,seed,commit,grade,than\n"
        "published,Table 1,Gains,code,folder,STOI,stoi,0.9,,10,,,,\n"
        "claim,Table 1,Gains,code,folder,STOI,stoi,,,,,,,Noisy\n"
    )
    about = folder / "toys-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    points = "".join(f"{name} = {name}\n" for name in TOYS)
    (about / "entry_points.txt").write_text(f"[keras_segan.reproductions]\n{points}")
