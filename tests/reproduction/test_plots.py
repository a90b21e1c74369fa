import numpy as np
import pytest

from keras_segan.reproduction import plots, showcase

pytest.importorskip("matplotlib")


def test_curves_of_several_systems_have_a_name_each(tmp_path):
    log = [
        {"epoch": e, "DNN_validation_loss": 1 / e, "v-GAN_validation_loss": 2 / e, "test_stoi": 0.9}
        for e in (1, 2)
    ]
    drawn = plots.learning_curves(log, tmp_path, "x")
    assert {path.name for path in drawn} == {"loss.png", "stoi.png"}


def test_spectrograms_are_drawn_at_any_rate(tmp_path):
    for rate in (8000, 16000):
        noise = np.random.default_rng(0).normal(size=rate).astype(np.float32)
        plots.spectrograms({"noisy": noise, "clean": 0.1 * noise}, rate, tmp_path / f"{rate}.png", "x")
        assert (tmp_path / f"{rate}.png").stat().st_size > 1000
        assert plots.level(noise, rate).shape[0] == 16 * rate // 1000 + 1


def test_the_best_the_median_and_the_worst_are_chosen():
    changes = {"a": 0.1, "b": -0.5, "c": 0.9, "d": 0.2}
    assert showcase.chosen(changes, higher_is_better=True) == {"Best": "c", "Median": "a", "Worst": "b"}
    assert showcase.chosen(changes, higher_is_better=False) == {"Best": "b", "Median": "d", "Worst": "c"}
    assert list(showcase.chosen({"a": 1.0}, True)) == ["Best"]
    assert showcase.chosen({}, True) == {}


def test_sounds_lie_in_their_folder_whatever_the_id(tmp_path):
    for name in ("../../x", "/etc/passwd", "a\0b", ""):
        for path in showcase.files(tmp_path, name).values():
            assert path.resolve().parent == (tmp_path / showcase.FOLDER).resolve()
