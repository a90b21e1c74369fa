"""Prediction: a network that predicts a score of speech."""

from collections.abc import Callable
from dataclasses import dataclass

from keras_segan.audio import SAMPLE_RATE
from keras_segan.data.manifest import Utterance
from keras_segan.reproduction.outcomes.base import Outcome


@dataclass(frozen=True, kw_only=True)
class Prediction(Outcome):
    """A score is predicted from the noisy file alone.

    Systems are `models.base.Predictor`s. The table shows LCC, SRCC and MSE of predicted and true scores,
    definition ids `lcc`, `srcc` and `mse`.

    Attributes:
        target: Definition id of the measure that is predicted.
        groups: What the table is broken down by: attributes of an utterance such as "noise" or "snr".
        truth: Gives the true score of an utterance, such as a label that came with the data; `None` to
            score the noisy file against the clean one.
        sample_rate: Rate in Hz at which is scored.
    """

    target: str = ""
    groups: tuple[str, ...] = ()
    truth: Callable[[Utterance], float] | None = None
    sample_rate: int = SAMPLE_RATE
