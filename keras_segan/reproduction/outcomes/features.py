"""Features: a mapping of features with no waveform."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from keras_segan.audio import SAMPLE_RATE
from keras_segan.data.manifest import Utterance
from keras_segan.reproduction.outcomes.base import Outcome

Recogniser = Callable[[Utterance, np.ndarray], tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Features(Outcome):
    """Noisy features in, clean features out, for a recogniser or as a paper's end in itself.

    Systems are `models.base.FeatureMapper`s. The table shows the distances `mse` and `l1` to the clean
    features, over all dimensions and by group, and the error rate of a recogniser where one is named.

    Attributes:
        groups: First and last dimension (exclusive) by name of a group, such as `{"static": (0, 29)}`.
        recogniser: Name of a recogniser in `recognisers`, or `""` for none.
        recognisers: By name: takes an utterance and its features `(frames, dims)` and returns the numbers of
            errors and of words.
        sample_rate: Rate in Hz at which files are read.
    """

    groups: Mapping[str, Sequence[int]] = field(default_factory=dict)
    recogniser: str = ""
    recognisers: Mapping[str, Recogniser] = field(default_factory=dict)
    sample_rate: int = SAMPLE_RATE
