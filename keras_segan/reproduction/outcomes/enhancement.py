"""Enhancement: noisy speech in, enhanced speech out."""

from dataclasses import dataclass
from typing import Literal

from keras_segan.audio import SAMPLE_RATE
from keras_segan.reproduction.outcomes.base import Outcome


@dataclass(frozen=True, kw_only=True)
class Enhancement(Outcome):
    """Noisy speech in, enhanced speech out.

    Systems are `models.base.Enhancer`s, or anything with `enhance(waveform)` and `sample_rate`, such as
    `wiener.WienerFilter`.

    Attributes:
        metrics: Definition ids of the measures, in the table's order.
        breakdown: Further lines of the table: `"snr"` for each level that the paper's table has a row for,
            `"noise"` for each noise; then the means are those over noises.
        sample_rate: Rate in Hz at which is scored.
        target: Definition id of the measure that utterances are ranked by in the report; the first one if
            left out.
    """

    metrics: tuple[str, ...] = ()
    breakdown: Literal["snr", "noise"] = "snr"
    sample_rate: int = SAMPLE_RATE
    target: str = ""
