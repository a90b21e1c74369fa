"""The lines of a run's table and the document around them, both made from the content of `result.json`."""

from dataclasses import dataclass

from keras_segan.reproduction.recipe import UNSAFE_GRADES

VERDICTS = ("holds", "contradicted", "undecided", "not measured")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        system: The system, such as "noisy" or "best on validation", and the condition if it is not all.
        metric: The measure's label.
        definition: The measure's definition id.
        published: The paper's number, `None` if it has none.
        reproduced: Our number, `None` for a system that is only quoted.
        interval: 95 % bootstrap interval of our number, `None` if it has none.
        count: Number of utterances in our number.
        deviations: Standard deviations over utterances, published and ours, where the paper states them.
        grade: How well the published number is attested; empty if it was read in the paper itself.
        higher_is_better: Whether large values of the measure are good.
    """

    system: str
    metric: str
    definition: str
    published: float | None
    reproduced: float | None
    interval: tuple[float, float] | None
    count: int
    deviations: tuple[float | None, float | None] = (None, None)
    grade: str = ""
    higher_is_better: bool = True

    @property
    def is_flagged(self) -> bool:
        """Whether the published number must not be printed as plainly published."""
        return self.published is not None and self.grade in UNSAFE_GRADES


@dataclass(frozen=True)
class Claim:
    """What the article says in words: one system is better than another one.

    Attributes:
        better: Row of the system that the article calls better.
        worse: Row of the other one.
        metric: Label of the measure.
        definition: Its definition id.
        published: The difference that the article states, better minus worse; `None` if it states none.
        difference: Our mean difference, better minus worse; `None` if it was not measured.
        interval: Its paired 95 % bootstrap interval over utterances.
        count: Number of utterances that both were scored on.
        verdict: One of `VERDICTS`.
        grade: How well the claim is attested; empty if it was read in the paper itself.
    """

    better: str
    worse: str
    metric: str
    definition: str
    published: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    count: int = 0
    verdict: str = "not measured"
    grade: str = ""
