import io
import json
import subprocess
import sys

import numpy as np
import pytest

from keras_segan.errors import RecipeError
from keras_segan.training.run_folder import FORMAT, Run

SETTINGS = {"paper": "metricgan", "epochs": 3, "layout": "legacy"}


def test_a_new_run_writes_its_settings(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    assert json.loads((run.folder / "config.json").read_text()) == {"format": FORMAT, **SETTINGS}
    assert "keras" in json.loads((run.folder / "env.json").read_text())


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RecipeError, match="not empty"):
        Run.create(tmp_path, SETTINGS)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_run_is_not_overwritten(tmp_path):
    Run.create(tmp_path / "run", SETTINGS)
    with pytest.raises(RecipeError, match="--resume"):
        Run.create(tmp_path / "run", SETTINGS)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError):
        Run.create(tmp_path / "file" / "run", SETTINGS)


def test_resuming_needs_a_run_with_the_same_settings(tmp_path):
    with pytest.raises(RecipeError, match="no run"):
        Run.resume(tmp_path, SETTINGS)
    Run.create(tmp_path / "run", SETTINGS)
    Run.resume(tmp_path / "run", {**SETTINGS, "epochs": 9}, may_change=("epochs",))
    with pytest.raises(RecipeError, match="layout"):
        Run.resume(tmp_path / "run", {**SETTINGS, "layout": "transpose"})


def test_one_process_at_a_time_works_in_a_folder(tmp_path):
    Run.create(tmp_path / "run", SETTINGS)
    script = (
        "import json, sys\n"
        "from keras_segan.training.run_folder import Run\n"
        "run = Run.resume(sys.argv[1], json.loads(sys.argv[2]), quiet=True)\n"
        "print('claimed', flush=True)\n"
        "sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path / "run"), json.dumps(SETTINGS)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"claimed\n"
        with pytest.raises(RecipeError, match="another process"):
            Run.resume(tmp_path / "run", {**SETTINGS, "epochs": 9}, may_change=("epochs",))
        assert json.loads((tmp_path / "run" / "config.json").read_text()) == {"format": FORMAT, **SETTINGS}
        other.kill()
    Run.resume(tmp_path / "run", SETTINGS)


def test_checkpoints_come_back_with_state_and_log(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS, quiet=True)
    for epoch in range(1, 5):
        run.log_epoch({"epoch": epoch, "loss": 1 / epoch})
        run.save_checkpoint(epoch, {"w": np.full(3, epoch)}, {"order": [epoch]})
    assert len(list((run.folder / "checkpoints").iterdir())) == 2
    again = Run.resume(tmp_path / "run", SETTINGS, quiet=True)
    arrays, state = again.load_checkpoint()
    np.testing.assert_array_equal(arrays["w"], [4, 4, 4])
    assert state["order"] == [4]
    assert again.log == run.log


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS, quiet=True)
    for epoch in (1, 2):
        run.save_checkpoint(epoch, {"w": np.full(3, epoch)}, {})
    last = run.folder / "checkpoints" / "epoch-00002.npz"
    last.write_bytes(last.read_bytes()[:200])
    _, state = run.load_checkpoint()
    assert state["position"] == 1
    assert "damaged" in run.notes[0]


def test_nothing_is_left_half_written(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS)
    with pytest.raises(TypeError):
        run.write_json("scores.json", {"x": object()})
    assert not (run.folder / "scores.json").exists()


@pytest.mark.parametrize(("terminal", "shown"), [(True, True), (False, False)])
def test_a_log_file_gets_no_progress_bar(tmp_path, monkeypatch, terminal, shown):
    class Screen(io.StringIO):
        def isatty(self):
            return terminal

    monkeypatch.setattr(sys, "stderr", Screen())
    run = Run.create(tmp_path / "run", SETTINGS)
    run.start_progress(2.0)
    run.advance(1.0, "epoch 1/2")
    run.end_progress()
    assert ("%|" in sys.stderr.getvalue()) == shown


def test_a_run_of_another_version_is_refused_in_one_sentence(tmp_path):
    run = Run.create(tmp_path / "run", SETTINGS, quiet=True)
    (run.folder / "config.json").write_text(json.dumps(SETTINGS))
    with pytest.raises(RecipeError, match="another version of keras_segan"):
        Run.resume(tmp_path / "run", SETTINGS)


def test_a_log_file_is_told_how_long_the_rest_takes_at_the_speed_measured(tmp_path, capsys, monkeypatch):
    run = Run(tmp_path)
    run.start_progress(10.0)
    run._bar.disable = True  # as where standard error is no terminal
    run._started -= 40.0
    run._last_line -= 40.0
    run.advance(2.0, "epoch 1/5")
    line = capsys.readouterr().err
    assert "20 %, epoch 1/5, about 02:40 left at this speed" in line


def test_the_time_is_up_after_what_was_asked_for(tmp_path):
    assert not Run(tmp_path).time_is_up
    assert not Run(tmp_path, stop_after=100.0).time_is_up
    assert Run(tmp_path, stop_after=0.0).time_is_up
