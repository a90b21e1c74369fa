import importlib
import subprocess
import sys
import time

import pytest

from keras_segan.cli import COMMANDS, run


def test_help_needs_no_tensorflow_and_is_quick():
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "keras_segan", "--help"], capture_output=True, text=True
    )
    assert result.returncode == 0
    assert time.perf_counter() - start < 20
    assert "tensorflow" not in result.stderr
    assert "numpy" not in result.stderr


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command, capsys):
    assert run([command, "--help"]) == 0
    assert "Usage: kseg" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reproduc"], ["Did you mean 'reproduce'"]),
        (["reproduce"], ["Name a paper"]),
        (["reproduce", "metrigan"], ["Did you mean 'metricgan'"]),
        (["reproduce", "metricgan", "--metric", "peqs"], ["Unknown metric 'peqs'", "Did you mean"]),
        (["reproduce", "metricgan", "--metric", "os.path:join"], ["range"]),
        (["reproduce", "metricgan", "--metric", "si-sdr"], ["si-sdr", "range has no end"]),
        (["reproduce", "metricgan", "--variant", "tabel1"], ["Did you mean 'table1'"]),
        (["reproduce", "metricgan", "--set", "epoch=3"], ["Did you mean 'epochs'"]),
        (["reproduce", "metricgan", "--set", "epochs"], ["key=value"]),
        (["reproduce", "metricgan", "--epochs", "0"], ["--epochs"]),
        (["reproduce", "metricgan", "--resume", "--out", "nowhere"], ["no run to resume"]),
    ],
)
def test_wrong_use_exits_with_2_and_one_sentence(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    message = capsys.readouterr().err
    for word in words:
        assert word in message
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reproduce", "metricgan", "--data", "nowhere"], ["nowhere", "no such"]),
        (["reproduce", "metricgan", "--data", "."], ["layout"]),
        (["reproduce", "metricgan", "--out", "/proc/run"], ["/proc/run", "cannot write"]),
        (["enhance", "nowhere.wav", "-o", "x.wav", "--model", "x.keras"], ["nowhere.wav"]),
    ],
)
def test_failures_exit_with_1_and_name_the_file(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 1
    message = capsys.readouterr().err
    for word in words:
        assert word in message
    assert "Traceback" not in message
    assert len(message.strip().splitlines()) == 1


def test_list_shows_papers_without_importing_keras():
    code = (
        "import sys, keras_segan.cli as c; c.run(['reproduce', '--list']); assert 'keras' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "metricgan" in result.stdout


def test_plan_says_steps_time_and_disk(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["reproduce", "metricgan", "--variant", "table2", "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert "discriminator steps" in plan
    assert "GB of disk" in plan
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("paper", "variant", "utterances", "steps"),
    [
        ("metricgan", "table2", 11572, 3_954_000),
        ("metricgan", "table1", 15000, 518_000),
        ("metricgan_plus", "paper", 10802, 3_966_000),
        ("metricgan_plus", "code", 10802, 6_082_500),
        ("metricgan_okd", "code", 11572, 6_142_500),
    ],
)
def test_the_full_schedule_has_as_many_steps_as_the_original(paper, variant, utterances, steps):
    from keras_segan.data.manifest import Manifest, Utterance

    module = importlib.import_module(f"keras_segan.reproductions.{paper}")
    config = module.VARIANTS[variant]
    manifest = Manifest(tuple(Utterance(str(n), None, None) for n in range(utterances)))
    sampler = module.sampler(config, manifest)
    assert sum(sampler.steps(epoch) for epoch in range(1, config.epochs + 1)) == steps


def test_the_shell_is_offered_papers_variants_metrics_and_models():
    from click.shell_completion import ShellComplete

    from keras_segan.cli import group

    complete = ShellComplete(group, {}, "kseg", "_KSEG_COMPLETE")

    def offered(words, incomplete):
        return {item.value for item in complete.get_completions(words, incomplete)}

    assert {"metricgan", "metricgan_plus"} <= offered(["reproduce"], "metric")
    assert {"table1", "table2"} == offered(["reproduce", "metricgan", "--variant"], "table")
    assert "pesq,stoi" in offered(["reproduce", "metricgan_okd", "--metric"], "pesq,st")
    assert "metricgan-stoi" in offered(["enhance", "--model"], "metricgan-s")
    assert "metricgan-stoi" in offered(["models", "info"], "metricgan-s")
