import csv
import dataclasses

import keras
import numpy as np
import pytest
import soundfile

from keras_segan import enhancement, evaluation
from keras_segan.cli import run as run_command
from keras_segan.errors import MetricError, RecipeError
from keras_segan.front_ends import LogSpectrumFrontEnd, SpectralMaskFrontEnd
from keras_segan.models import metricgan, xu
from keras_segan.models.base import Enhancer
from keras_segan.reproduction import showcase
from keras_segan.reproduction.outcomes import Enhancement
from keras_segan.wiener import WienerFilter

METRICS = ("stoi", "ssnr")


@dataclasses.dataclass
class Times:
    """A method that multiplies, or does what it should not."""

    factor: float = 0.5
    sample_rate: int = 16000

    def enhance(self, waveform):
        return self.factor * waveform


def masking(levels=None):
    keras.utils.set_random_seed(3)
    network = metricgan.generator(units=4, hidden=5)
    return Enhancer(network, SpectralMaskFrontEnd(compression="log1p", levels=levels))


def at_8_khz():
    keras.utils.set_random_seed(4)
    front_end = LogSpectrumFrontEnd(n_fft=256, hop=128, sample_rate=8000, context=1)
    return Enhancer(xu.dnn(3, 129, 8, 1), front_end)


def by_id(scores, system):
    return {line["id"]: line for line in scores if line["system"] == system}


@pytest.mark.parametrize(
    ("make", "rate"),
    [(masking, 16000), (lambda: masking((-30.0, -29.0)), 16000), (at_8_khz, 8000)],
    ids=["mask", "levels", "8 kHz"],
)
def test_the_table_kseg_evaluate_after_kseg_enhance_and_evaluate_folders_give_one_score(
    pairs, run, tmp_path, make, rate
):
    outcome = Enhancement(metrics=METRICS, sample_rate=rate)
    systems = {"last": make()}
    outcome.save(systems, run)
    ours = by_id(outcome.score(systems, pairs.utterances, run), "last")
    out, manifest = tmp_path / "out", tmp_path / "manifest.csv"
    pairs.write(manifest)
    files = [str(u.noisy) for u in pairs.utterances]
    assert run_command(["enhance", *files, "-o", f"{out}/", "--model", str(run.folder), "-q"]) == 0
    words = ["evaluate", "--manifest", str(manifest), "--enhanced", str(out), "--metrics", ",".join(METRICS)]
    words += ["--sample-rate", str(rate), "--csv", str(tmp_path / "s.csv"), "--jobs", "1"]
    assert run_command(words) == 0
    theirs = {line["id"]: line for line in csv.DictReader((tmp_path / "s.csv").read_text().splitlines())}
    assert ours.keys() == theirs.keys() == {u.id for u in pairs.utterances}
    for name, line in ours.items():
        for metric in METRICS:
            assert line[metric] == pytest.approx(float(theirs[name][metric]), abs=1e-6)


def test_methods_that_are_no_networks_are_scored_alike(pairs, run, tmp_path):
    outcome = Enhancement(metrics=METRICS)
    ours = by_id(outcome.score({"Wiener": WienerFilter()}, pairs.utterances, run), "Wiener")
    result = evaluation.evaluate_folders(
        manifest=pairs,
        enhanced=run.folder / "enhanced",
        scoring=evaluation.Scoring(METRICS, 16000, jobs=1),
    )
    for row in result.rows:
        assert row.result.scores == pytest.approx({m: ours[row.pair.id][m] for m in METRICS}, abs=1e-6)


def test_files_that_were_stored_attenuated_are_enhanced_and_scored_at_their_level(pairs, run, tmp_path):
    attenuated = []
    for u in pairs.utterances[:3]:
        samples, rate = soundfile.read(u.noisy, dtype="float32")
        path = tmp_path / f"{u.id}.wav"
        soundfile.write(path, samples / 16, rate, subtype="FLOAT")
        attenuated.append(dataclasses.replace(u, noisy=path, scale=16.0))
    outcome = Enhancement(metrics=METRICS)
    systems = {"last": masking()}
    whole = outcome.score(systems, pairs.utterances[:3], run)
    scaled = outcome.score(systems, attenuated, run)
    for one, other in zip(whole, scaled, strict=True):
        # The one difference: 16-bit files are written in 16 bits, these in single precision.
        assert [other[m] for m in METRICS] == pytest.approx([one[m] for m in METRICS], abs=2e-2)
    direct = enhancement.enhance_file(systems["last"], attenuated[0].noisy, tmp_path / "d.wav", scale=16.0)
    written, _ = soundfile.read(direct.target)
    kept, _ = soundfile.read(run.folder / "enhanced" / f"{attenuated[0].id}.wav")
    np.testing.assert_array_equal(written, kept)


def test_a_file_that_fails_is_a_row_and_a_note_and_ends_nothing(pairs, run, tmp_path):
    class Moody(Times):
        def enhance(self, waveform):
            self.factor += 1
            if self.factor == 2.5:
                raise ZeroDivisionError("an unforeseen one")
            return waveform * (np.nan if self.factor == 3.5 else 0.5)

    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no audio")
    utterances = [*pairs.utterances[:4], dataclasses.replace(pairs.utterances[4], noisy=broken)]
    scores = by_id(Enhancement(metrics=METRICS).score({"moody": Moody()}, utterances, run), "moody")
    failures = [scores[u.id]["failure"] for u in utterances]
    assert [bool(failure) for failure in failures] == [False, True, True, False, True]
    assert "ZeroDivisionError" in failures[1]
    assert "broken.wav" in failures[4]
    assert len([note for note in run.notes if "(moody) could not be scored" in note]) == 3
    assert "stoi" not in scores[utterances[1].id]


def test_few_files_of_the_first_system_stay(pairs, run, monkeypatch):
    monkeypatch.setattr("keras_segan.reproduction.outcomes.enhancement.KEPT_FILES", 2)
    monkeypatch.setattr("keras_segan.comparison.GROUP", 4)
    outcome = Enhancement(metrics=("ssnr",))
    scores = outcome.score({"a": Times(0.5), "b": Times(0.25)}, pairs.utterances, run)
    assert [line["system"] for line in scores] == ["noisy"] * 6 + ["a"] * 6 + ["b"] * 6
    kept = sorted(path.name for path in (run.folder / "enhanced").iterdir())
    assert kept == sorted(f"{u.id}{u.noisy.suffix}" for u in pairs.utterances[:2])


def test_the_first_network_is_the_one_that_is_loaded(run):
    systems = {"Wiener": WienerFilter(), "best on validation": masking(), "last": masking()}
    Enhancement(metrics=METRICS).save(systems, run)
    assert {path.name for path in run.folder.glob("*.keras")} == {"model.keras", "model-last.keras"}


def test_the_report_gets_the_sound_of_the_best_the_median_and_the_worst(pairs, run):
    outcome = Enhancement(metrics=METRICS, sample_rate=8000, target="ssnr")
    systems = {"halved": Times(0.5, 8000)}
    scores = outcome.score(systems, pairs.utterances, run)
    outcome.draw(systems, pairs.utterances, scores, run, examples=True)
    sounds = sorted((run.folder / showcase.FOLDER).iterdir())
    assert len(sounds) == 9
    assert {soundfile.info(path).samplerate for path in sounds} == {8000}
    assert list((run.folder / "report").glob("spectrogram-*.png"))


def test_what_cannot_be_scored_is_said_when_the_outcome_is_made():
    with pytest.raises(MetricError, match="stoi"):
        Enhancement(metrics=("stio",))
    with pytest.raises(RecipeError, match="at least one metric"):
        Enhancement()
    with pytest.raises(RecipeError, match="breakdown"):
        Enhancement(metrics=METRICS, breakdown="speaker")
