from importlib.resources import files

import pytest

from keras_segan import audio

SELFTEST = files("keras_segan.data") / "selftest"

USER_METRICS = """
import os, signal, sys, time

def first(clean, processed, sample_rate):
    return processed[0]

def imported(clean, processed, sample_rate):
    return sum(name in sys.modules for name in ("keras", "tensorflow", "librosa"))

def crash(clean, processed, sample_rate):
    if processed[0] > 0.5:
        os.kill(os.getpid(), signal.SIGSEGV)
    return processed[0]

def hang(clean, processed, sample_rate):
    while processed[0] > 0.5:
        pass
    return processed[0]

def nap(clean, processed, sample_rate):
    time.sleep(processed[0])
    return processed[0]

def wrong(clean, processed, sample_rate):
    raise ValueError("no such thing")

def undefined(clean, processed, sample_rate):
    return float("nan")

number = 3
"""


@pytest.fixture(scope="session")
def speech():
    """Clean, noisy and processed speech at 16 kHz, 2.5 s."""
    return tuple(audio.read_mono(SELFTEST / f"{name}.flac") for name in ("clean", "noisy", "processed"))


@pytest.fixture
def user_metrics(tmp_path, monkeypatch):
    """A module of users' metrics, which worker processes find, too."""
    (tmp_path / "user_metrics.py").write_text(USER_METRICS)
    monkeypatch.syspath_prepend(tmp_path)
    return "user_metrics"
