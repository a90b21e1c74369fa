"""sednn's features, scaler, network, training steps and inference against the released program."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_segan import audio, backends, dsp
from keras_segan.data import sources
from keras_segan.data.examples.stored import Stored
from keras_segan.data.mixing import Mixer, mix_sednn, tile
from keras_segan.front_ends import LogSpectrumFrontEnd
from keras_segan.models import xu as networks
from keras_segan.reproductions import xu
from keras_segan.training.player import Player
from keras_segan.training.step import Step, fetch

SETTINGS = xu.VARIANTS["code-mini"]


class Goldens:
    """The recorded arrays and what is needed to make ours."""

    def __init__(self, recorded, shared):
        self.facts = json.loads(shared("goldens/sednn/manifest.json").read_text())
        self.recorded, self.shared = recorded, shared
        self.arrays = recorded("sednn/sednn")

    @property
    def data(self):
        """The recorded audio."""
        return self.shared("data/sednn_mini")

    def __getitem__(self, key):
        if key not in self.arrays:  # only of use together with the audio
            self.arrays = self.recorded("sednn/sednn", whole=True)
        return self.arrays[key]

    def front_end(self):
        return xu.front_end(SETTINGS, self["scaler.mean"], self["scaler.scale"])

    def network(self):
        """The network with the weights that the original's were drawn as."""
        random = np.random.RandomState(self.facts["config"]["seed"])
        drawn = [
            random.uniform(w["lo"], w["hi"], size=w["shape"]).astype("float32") for w in self.facts["weights"]
        ]
        network = networks.dnn(dropout=0.0)
        network.set_weights(drawn)
        return network

    def batch(self):
        front = self.front_end()
        return front.normalise(self["batch.x_unscaled"]), front.normalise(self["batch.y_unscaled"])

    def agrees(self, prefix, arrays, tolerance_of):
        """Compares arrays by weight with what is stored of them, strided or whole."""
        for weight, ours in zip(self.facts["weights"], arrays, strict=True):
            key = f"{prefix}.{weight['name']}"
            name = key if key in self.arrays else f"{key}.strided"
            facts = self.facts["grad" if prefix == "grad" else "step"]
            facts = facts[weight["name"] if prefix == "grad" else key]
            stored = self[name].ravel()
            tolerance_of(stored, np.ravel(ours)[:: facts["stride"]], key)


@pytest.fixture(scope="module")
def goldens(recorded, shared):
    return Goldens(recorded, shared)


def close(ours, theirs, tolerance):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def training_mixture(goldens):
    speech_name, noise_name, onset, _ = goldens.facts["train_mixture_row"]
    speech = audio.read_mono(goldens.data / "train_speech" / speech_name)
    noise = audio.read_mono(goldens.data / "train_noise" / noise_name)
    return mix_sednn(speech, tile(noise, len(speech), int(onset)), 0.0)


def test_spectra(goldens):
    mixed, speech, noise = training_mixture(goldens)
    close(dsp.frame_spectrum(mixed), goldens["mix.complex_spec"], 5e-6)
    close(np.abs(dsp.frame_spectrum(speech)), goldens["mix.speech_mag"], 5e-6)
    close(np.abs(dsp.frame_spectrum(noise))[:16], goldens["mix.noise_mag_first16"], 5e-6)


def stored(goldens, split, spectra, folder):
    """Compares the segments of log spectra with the packed features; returns the store."""
    store = Stored.create(folder, spectra, xu.layout(SETTINGS))
    x, y = store.batch(np.arange(len(store))).values()
    facts = goldens.facts[f"packed_{split}"]
    assert [list(x.shape), list(y.shape)] == [facts["x_shape"], facts["y_shape"]]
    pairs = [
        (ours.ravel()[:: facts[name]["stride"]], goldens[f"packed.{split}.{name}_strided"])
        for name, ours in (("x", x), ("y", y))
    ]
    if split == "train":
        rows = slice(*goldens.facts["config"]["rows"])
        pairs += [(x[rows], goldens["batch.x_unscaled"]), (y[rows], goldens["batch.y_unscaled"])]
    return store, pairs


def ordered_mixtures(goldens, split):
    """The mixtures in the order of the original's feature files: by utterance, then noise."""
    found = sources.recognise(goldens.data)
    mixer = Mixer(found.speech[split], found.noise[split])
    noises = SETTINGS.magnification if split == "train" else None
    mixtures = sorted(mixer.plan(SETTINGS.snrs, noises, SETTINGS.mixing_seed), key=lambda m: m.id)
    names = [mixture.id.removesuffix(".0dB") + ".p" for mixture in mixtures]
    assert names == goldens.facts[f"{split}_feature_order"]
    return mixer, mixtures


@pytest.mark.parametrize("split", ["train", "test"])
def test_packed_features_and_scaler(goldens, split, tmp_path):
    front = xu.front_end(SETTINGS)
    mixer, mixtures = ordered_mixtures(goldens, split)
    waveforms = (mixer.mix(mixture) for mixture in mixtures)
    spectra = ((front.log_spectrum(noisy), front.log_spectrum(clean)) for clean, noisy in waveforms)
    store, pairs = stored(goldens, split, spectra, tmp_path / "features")
    for ours, theirs in pairs:
        close(ours, theirs, 5e-6)
    if split == "train":
        scaled = xu.normalised_by(store, SETTINGS)
        close(scaled.mean, goldens["scaler.mean"], 5e-6)
        close(scaled.scale, goldens["scaler.scale"], 5e-6)


def test_features_of_the_files_that_a_run_mixes(goldens, tmp_path):
    """Single precision of the files shows in 1 of 10,000 log values, where a bin is nearly empty."""
    manifest = sources.mix(sources.recognise(goldens.data), tmp_path, **xu.mixing(SETTINGS))
    utterances = {u.id: u for u in manifest.utterances}
    _, mixtures = ordered_mixtures(goldens, "train")
    spectra = xu.log_spectra(SETTINGS, tuple(utterances[mixture.id] for mixture in mixtures))
    _, pairs = stored(goldens, "train", spectra, tmp_path / "features")
    for ours, theirs in pairs:
        error = np.abs(ours - theirs) / np.abs(theirs).max()
        assert np.mean(error < 5e-6) > 0.9995
        assert error.max() < 1e-4


def test_scaled_batch(goldens):
    x, y = goldens.batch()
    close(x[:8], goldens["batch.x_scaled_first8"], 5e-6)
    close(y, goldens["batch.y_scaled"], 5e-6)


def test_forward_gradients_and_steps(goldens):
    network = goldens.network()
    x, y = goldens.batch()
    close(keras.ops.convert_to_numpy(network(x)), goldens["forward.pred"], 1e-5)

    loss, gradients = backends.value_and_gradients(
        lambda: xu.LOSSES["mae"](network(x), keras.ops.convert_to_tensor(y)), network.trainable_variables
    )
    assert float(keras.ops.convert_to_numpy(loss)) == pytest.approx(goldens.facts["loss"], rel=1e-5)

    def gradient_agrees(stored, ours, key):
        assert np.linalg.norm(ours - stored) < 2e-5 * np.linalg.norm(stored), key

    goldens.agrees("grad", [keras.ops.convert_to_numpy(g) for g in gradients], gradient_agrees)

    def step_agrees(stored, ours, key):
        assert np.mean(np.abs(ours - stored) < 1e-6) > 0.99, key

    player = Player("dnn", (network,), xu.make_optimizer(SETTINGS), xu.training_loss(SETTINGS, network))
    step = Step([player], {"context": x.shape, "target": y.shape})
    logged = []
    for number in (1, 2, 3):
        logged.append(step(context=x, target=y))
        if number != 2:
            goldens.agrees(f"step{number}", network.get_weights(), step_agrees)
    np.testing.assert_allclose(fetch(logged)["dnn_loss"], goldens["step_losses"], rtol=1e-5)


def test_inference(goldens):
    mixer, mixtures = ordered_mixtures(goldens, "test")
    mixture = next(m for m in mixtures if m.id.startswith(goldens.facts["test_mixture"]))
    clean, noisy = mixer.mix(mixture)
    front = goldens.front_end()
    features, analysis = front.analyse(noisy)
    prediction = keras.ops.convert_to_numpy(goldens.network()(features))
    close(prediction, goldens["infer.pred_scaled"], 1e-5)
    close(front.synthesise(prediction, analysis), goldens["infer.wav"], 1e-5)
    # Clean magnitude with the mixture's phase.
    ideal = np.abs(dsp.frame_spectrum(clean)) * analysis.phase
    close(dsp.from_frame_spectrum(ideal, len(noisy)), goldens["infer.clean_mag_mix_phase_wav"], 1e-5)


def test_resynthesis_of_what_was_not_changed():
    noisy = np.random.default_rng(0).uniform(-0.5, 0.5, 512 + 20 * 256).astype(np.float32)
    back = dsp.from_frame_spectrum(dsp.frame_spectrum(noisy), len(noisy))
    np.testing.assert_allclose(back, noisy, atol=2e-7)


def test_parameters_are_those_of_port_and_paper():
    def parameters(variant, **changes):
        return xu.build(dataclasses.replace(xu.VARIANTS[variant], **changes)).count_params()

    assert parameters("code-full") == 12_605_697
    assert parameters("paper") == 11_829_377
    table_2 = {"snn1": 793_217, "snn2": 9_517_185, "dnn1": 3_172_481, "dnn2": 7_368_833}
    table_2 |= {"dnn3": 11_565_185, "dnn4": 15_761_537}
    assert {name: parameters("paper-base", model=name) for name in table_2} == table_2


def test_front_end_of_the_paper_inverts_itself():
    front = LogSpectrumFrontEnd(n_fft=256, hop=128, context=5, power=2.0, sample_rate=8000)
    waveform = np.random.default_rng(1).uniform(-0.5, 0.5, 256 + 30 * 128).astype(np.float32)
    features, analysis = front.analyse(waveform)
    np.testing.assert_allclose(front.synthesise(features[:, 5], analysis), waveform, atol=2e-4)
