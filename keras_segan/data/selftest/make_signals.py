"""Makes the signals of `kseg selftest` and writes down their scores; run it only to replace them.

    python -m keras_segan.data.selftest.make_signals

The speech is synthetic (espeak-ng), the noise drawn from a seed, the processed file a spectral
subtraction: nothing here comes from a corpus. The scores are those of an installation whose metrics agree
with the MATLAB values in tests/metrics/test_golden.py.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from scipy.signal import istft, stft

from keras_segan import audio, metrics

SENTENCE = "Seven birds sat on the garden wall, waiting for rain."
SEED = 20
SNR = 12.0  # dB
ROOM = 10 ** (-55 / 20)  # rms; without it digital silence makes linear prediction ill-conditioned
FOLDER = Path(__file__).parent


def speech() -> np.ndarray:
    """Returns the sentence at 16 kHz, `(samples,)`, peak 0.6."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["espeak-ng", "-v", "en-gb", "-s", "165", "-w", str(path), SENTENCE], check=True)
        waveform = audio.read_mono(path)
    room = ROOM * np.random.default_rng(SEED + 1).standard_normal(len(waveform))
    return 0.6 * waveform / np.abs(waveform).max() + room


def noise(samples: int) -> np.ndarray:
    """Returns noise whose power falls by 3 dB an octave and swells twice a second, `(samples,)`."""
    rng = np.random.default_rng(SEED)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), samples)
    return pink * (1.0 + 0.5 * np.sin(2 * np.pi * 2.0 * np.arange(samples) / audio.SAMPLE_RATE))


def subtracted(noisy: np.ndarray) -> np.ndarray:
    """Returns a crude spectral subtraction, with the artefacts that measures are there for."""
    spectrum = stft(noisy, nperseg=512)[2]
    floor = np.quantile(np.abs(spectrum), 0.3, axis=1, keepdims=True)
    gain = np.clip(1.0 - floor / (np.abs(spectrum) + 1e-12), 0.1, 1.0)
    return istft(spectrum * gain, nperseg=512)[1][: len(noisy)]


def main() -> None:
    """Writes the three files and `scores.json`."""
    clean = speech()
    added = noise(len(clean))
    added *= np.sqrt(np.mean(clean**2) / np.mean(added**2)) * 10.0 ** (-SNR / 20.0)
    signals = {"clean": clean, "noisy": clean + added, "processed": subtracted(clean + added)}
    scores = {}
    for name, waveform in signals.items():
        audio.write(FOLDER / f"{name}.flac", audio.to_int16(np.clip(waveform, -1.0, 1.0)))
        if name != "clean":
            reference, judged = (audio.read_mono(FOLDER / f"{file}.flac") for file in ("clean", name))
            scores[name] = metrics.score(metrics.names(), reference, judged, audio.SAMPLE_RATE)
    (FOLDER / "scores.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
