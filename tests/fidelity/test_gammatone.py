"""The gammatone front end against arrays that the authors' MATLAB code gave in Octave.

The arrays are stored in single precision, hence the tolerance; in double precision the deviation is 2e-14.
"""

import numpy as np
import pytest

from keras_segan import dsp, gammatone
from keras_segan.models.shah import GammatoneFrontEnd

from ..helpers import beginning
from ..material import at_hand

STORED = 1e-7  # of the largest value: what float32 keeps
FRAMINGS = {"paper": (320, 160, 3), "released": (400, 80, 2)}


def close(ours, theirs, tolerance=STORED):
    ours = beginning(ours, theirs)
    assert np.shape(ours) == np.shape(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


class Pair:
    def __init__(self, stored):
        self.raw = {name: stored[f"{name}_int16"] / 32768 for name in ("clean", "noisy")}
        clean, noisy = (dsp.pre_emphasis(self.raw[name]) for name in ("clean", "noisy"))
        self.emphasised = {"clean": clean, "noisy": noisy, "noise": clean - noisy}
        self.bank = stored


@pytest.fixture
def pair(recorded):
    return Pair(recorded("gammatone/filterbank_and_wavs"))


@pytest.fixture(params=[name for name in FRAMINGS if at_hand(f"gammatone/{name}.npz")])
def form(request, recorded):
    window, hop, context = FRAMINGS[request.param]
    stored = recorded(f"gammatone/{request.param}")
    return stored, dsp.window("hamming-symmetric", window), hop, context


def test_both_framings_are_compared(shared):
    for name in FRAMINGS:
        shared(f"goldens/gammatone/{name}.npz")


def test_filter_bank(pair):
    bank = gammatone.bank()
    close(bank.center_frequencies, pair.bank["center_frequencies_hz"], 1e-13)
    close(bank.coefficients, pair.bank["filter_coefficients"], 1e-13)
    close(gammatone.filter_normalisation(bank.coefficients), pair.bank["filter_normalisation"], 1e-13)
    close(bank.impulse_responses, pair.bank["impulse_responses"])


def test_subbands(pair, recorded):
    stored = recorded("gammatone/paper")["noisy_subbands_1_16_32_48_64"]
    close(gammatone.bank().subbands(pair.emphasised["noisy"])[[0, 15, 31, 47, 63]], stored)


def test_energies_and_oracle_mask(pair, form):
    stored, window, hop, _ = form
    np.testing.assert_allclose(window, stored["window"], atol=1e-15)
    energies = {
        name: gammatone.bank().energies(waveform, window, hop) for name, waveform in pair.emphasised.items()
    }
    for name, ours in energies.items():
        close(ours, stored[f"{name}_gammatonegram"])
        # Relative too, down to the filters' tails of 1e-14.
        np.testing.assert_allclose(np.log(ours), np.log(stored[f"{name}_gammatonegram"]), atol=2e-6)
    close(gammatone.ideal_ratio_mask(energies["clean"], energies["noise"]), stored["irm"])


def test_features(pair, form):
    stored, window, hop, context = form
    energies = gammatone.bank().energies(pair.emphasised["noisy"], window, hop)
    log = gammatone.log_energies(energies)
    assert log.mean() == pytest.approx(float(stored["log_mean"]), abs=1e-10)
    assert log.std(ddof=1) == pytest.approx(float(stored["log_std"]), abs=1e-10)
    close(gammatone.context_features(energies, context, context), stored["features"])


def test_features_of_the_front_end(pair, form):
    stored, window, hop, context = form
    features, analysis = GammatoneFrontEnd(len(window), hop, context).analyse(pair.raw["noisy"])
    close(features, stored["features"])
    close(analysis.energies, stored["noisy_gammatonegram"])


@pytest.mark.parametrize("mask", ["oracle", "unit_mask"])
def test_resynthesis(pair, form, mask):
    stored, window, hop, _ = form
    gains = stored["irm"] if mask == "oracle" else np.ones(stored["irm"].shape)
    summed = gammatone.bank().resynthesise(pair.emphasised["noisy"], gains, window, hop)
    result = dsp.de_emphasis(summed)
    close(result, stored[f"recon_{mask}"])
    if mask == "oracle":
        close(gammatone.normalise_level(result), stored["recon_oracle_normalised"])


def test_front_end_undoes_advance_and_gain(pair, form):
    stored, window, hop, context = form
    front_end = GammatoneFrontEnd(len(window), hop, context)
    _, analysis = front_end.analyse(pair.raw["noisy"])
    enhanced = front_end.synthesise(stored["irm"].T, analysis)
    assert enhanced[0] == 0
    gain = gammatone.bank().round_trip_gain(window, hop)
    close(enhanced[1:], stored["recon_oracle"][:-1] / np.float32(gain), 2e-7)
