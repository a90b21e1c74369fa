"""The utterances that a run's page shows with sound: the best, the median and the worst."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_segan import audio
from keras_segan import files as file_names

SOUNDS = ("noisy", "enhanced", "clean")
FOLDER = "report/examples"


def chosen(changes: Mapping[str, float], higher_is_better: bool) -> dict[str, str]:
    """Chooses the best, the median and the worst utterance, as far as there are so many.

    Args:
        changes: Change of a measure from noisy to enhanced by utterance.
        higher_is_better: Whether large values of the measure are good.

    Returns:
        Id of an utterance by "Best", "Median" and "Worst".
    """
    sign = -1.0 if higher_is_better else 1.0
    order = sorted(changes, key=lambda name: sign * changes[name])
    if not order:
        return {}
    places: dict[int, str] = {}
    for title, place in {"Best": 0, "Median": len(order) // 2, "Worst": len(order) - 1}.items():
        places.setdefault(place, title)
    return {title: order[place] for place, title in places.items()}


def files(folder: Path, name: str) -> dict[str, Path]:
    """Returns where the sounds of an utterance are.

    Args:
        folder: The run folder.
        name: Id of the utterance; whatever it is, the files lie in `FOLDER`.

    Returns:
        File by kind of sound.
    """
    return {kind: folder / FOLDER / f"{file_names.file_name(name)}.{kind}.flac" for kind in SOUNDS}


def write(folder: Path, name: str, sounds: Mapping[str, np.ndarray], sample_rate: int) -> None:
    """Writes the sounds of an utterance.

    Args:
        folder: The run folder.
        name: Id of the utterance.
        sounds: `(samples,)` for each of `SOUNDS`.
        sample_rate: Rate in Hz.
    """
    # One factor for the three of them, so that they can be compared by ear.
    loudest = max(1.0, *(float(np.abs(waveform).max()) for waveform in sounds.values()))
    for kind, path in files(folder, name).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, sounds[kind] / np.float32(loudest), sample_rate)
