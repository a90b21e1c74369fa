import numpy as np
import pytest
import soundfile

from keras_segan.data import mini


@pytest.fixture(scope="session")
def write():
    """Writes 16 kHz audio, such as holds not-a-number in floating point."""

    def write(path, waveform):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, waveform, 16000, subtype="FLOAT" if np.isnan(waveform).any() else "PCM_16")
        return path

    return write


@pytest.fixture(scope="session")
def short_corpus(tmp_path_factory, write):
    """Makes a folder of short pairs out of the middle of the mini corpus's."""
    manifest = mini.prepare(tmp_path_factory.mktemp("mini"))

    def make(counts, seconds):
        folder = tmp_path_factory.mktemp("corpus")
        for split, count in counts.items():
            for utterance in manifest.split(split)[:count]:
                for kind in ("clean", "noisy"):
                    waveform, rate = soundfile.read(getattr(utterance, kind))
                    start = (len(waveform) - int(seconds * rate)) // 2
                    piece = waveform[start : start + int(seconds * rate)]
                    write(folder / split / kind / f"{utterance.id}.wav", piece)
        return folder

    return make
