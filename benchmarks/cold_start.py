"""From nothing to one enhanced file: a process of its own each time, imports and compilation included."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import baselines
import numpy as np
from measuring import REPEATS, Row, in_turn, try_torch

from keras_segan import audio, export
from keras_segan.errors import ModelError
from keras_segan.models import metricgan
from keras_segan.models.base import Enhancer, SpectralMaskFrontEnd

SECONDS = 3
KERAS = """
import sys, keras, librosa, numpy as np, soundfile
network = keras.saving.load_model(sys.argv[1])
noisy, rate = soundfile.read(sys.argv[2], dtype="float32")
spectrum = librosa.stft(noisy, n_fft=512, hop_length=256, window="hamming").T
magnitude = np.log1p(np.abs(spectrum))
features = (magnitude - magnitude.mean(0)) / (magnitude.std(0) + 1e-12)
mask = np.maximum(network.predict(features[None], verbose=0)[0], 0.05)
enhanced = np.expm1(mask * magnitude) * np.exp(1j * np.angle(spectrum))
waveform = librosa.istft(enhanced.T, hop_length=256, window="hamming", length=len(noisy))
soundfile.write(sys.argv[3], waveform, rate)
"""
TORCH = """
import sys, soundfile, torch
from torch import nn
noisy, rate = soundfile.read(sys.argv[2], dtype="float32")
lstm = nn.LSTM(257, 200, 2, bidirectional=True, batch_first=True)
head = nn.Sequential(nn.Linear(400, 300), nn.LeakyReLU(0.3), nn.Linear(300, 257), nn.Sigmoid())
lstm_state, head_state = torch.load(sys.argv[1])
lstm.load_state_dict(lstm_state), head.load_state_dict(head_state)
with torch.no_grad():
    window = torch.hamming_window(512)
    spectrum = torch.stft(torch.from_numpy(noisy), 512, 256, window=window, return_complex=True).T
    magnitude = torch.log1p(spectrum.abs())
    features = (magnitude - magnitude.mean(0)) / (magnitude.std(0) + 1e-12)
    mask = head(lstm(features[None])[0])[0].clamp(min=0.05)
    enhanced = torch.polar(torch.expm1(mask * magnitude), spectrum.angle())
    waveform = torch.istft(enhanced.T, 512, 256, window=window, length=len(noisy)).numpy()
soundfile.write(sys.argv[3], waveform, rate)
"""


def rows(floors):
    torch = try_torch()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        noisy, out = folder / "noisy.wav", folder / "out.wav"
        audio.write(noisy, np.random.default_rng(0).normal(0, 0.1, SECONDS * audio.SAMPLE_RATE))
        model, plain = folder / "model.keras", folder / "plain.keras"
        enhancer = Enhancer(metricgan.generator(), SpectralMaskFrontEnd(compression="log1p"))
        enhancer.save(model)
        baselines.keras_generator(gates="sigmoid").save(plain)
        kseg = [sys.executable, "-m", "keras_segan", "enhance", noisy, "-o", out, "--force", "--quiet"]
        functions = {
            "ours": process(*kseg, "--model", model, "--backend", "keras"),
            "keras": process(sys.executable, "-c", KERAS, plain, noisy, out),
            "tensorflow": process(sys.executable, "-c", "import tensorflow"),
        }
        if torch:
            system = baselines.TorchMetricGAN(torch)
            torch.save((system.lstm.state_dict(), system.head.state_dict()), folder / "model.pt")
            functions["torch"] = process(sys.executable, "-c", TORCH, folder / "model.pt", noisy, out)
        note = ""
        try:
            export.export(enhancer, folder / "twin.onnx", "onnx")
            functions["onnx"] = process(*kseg, "--model", folder / "twin.onnx", "--backend", "onnx")
            functions["libraries"] = process(sys.executable, "-c", "import numpy, soundfile, onnxruntime")
        except ModelError as error:
            note = f"not measured: {error}"
        times = in_turn(functions)
    plain_times = {key: times[key] for key in ("keras", "torch") if key in times}
    title = f"cold `kseg enhance` of one {SECONDS}-s file"
    yield Row(
        f"{title}, --backend keras",
        times["ours"],
        plain_times,
        REPEATS,
        floor=times["tensorflow"],
        floor_of="import tensorflow",
    )
    yield Row(
        f"{title}, --backend onnx",
        times.get("onnx"),
        plain_times,
        REPEATS,
        floor=times.get("libraries"),
        floor_of="import numpy, soundfile, onnxruntime",
        note=note,
    )


def process(*command):
    """A function that runs a command to its end."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return lambda: subprocess.run([str(word) for word in command], check=True, capture_output=True, env=quiet)
