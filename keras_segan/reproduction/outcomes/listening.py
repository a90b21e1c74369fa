"""Listening: speech is changed before noise is added to it."""

from dataclasses import dataclass
from typing import Any

from keras_segan.reproduction.outcomes.enhancement import Enhancement


@dataclass(frozen=True, kw_only=True)
class Listening(Enhancement):
    """Speech and the noise at the listener's place in, louder speech out, scored where the noise is heard.

    Systems are `models.base.ListeningEnhancer`s.

    Attributes:
        reader: Reads pairs as speech and noise at the task's levels: `clean`, `noise` and `noisy` of an
            utterance, and `sample_rate`.
    """

    reader: Any = None
