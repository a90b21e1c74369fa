"""The lines of a run's table and the document around them, both made from the content of `result.json`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_segan.reproduction.recipe import UNSAFE_GRADES, Published
from keras_segan.reproduction.settings import as_text

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

    @property
    def is_flagged(self) -> bool:
        """Whether the claim must not be printed as plainly the article's."""
        return self.grade in UNSAFE_GRADES


Content = Mapping[str, Any]

HEADER = ("system", "metric", "definition", "published", "reproduced", "95 % interval", "difference", "n")
CLAIM_HEADER = ("claim", "metric", "definition", "published", "ours", "paired 95 % interval", "n", "verdict")
COMPARABLE = "Comparable with the published numbers: same corpus, split, metric definitions and settings."
FLAG = (
    "A grade in brackets ({grades}) says that nobody could check the number in the paper itself: it is not "
    "to be quoted as published."
)


def document(content: Content) -> str:
    """Writes `table.md`.

    Args:
        content: What `result.json` holds.

    Returns:
        Markdown.
    """
    rows = [Row(**row) for row in content["rows"]]
    claims = [Claim(**claim) for claim in content["claims"]]
    reasons = content["reasons"]
    parts = [
        f"# {content['title']}",
        "\n".join(facts(content)),
        verdict(reasons),
        markdown_table(rows, not reasons),
    ]
    if claims:
        parts.append(claims_caption(reasons))
        parts.append(_aligned([CLAIM_HEADER, *map(claim_cells, claims)]))
    if flagged := flag(rows, claims):
        parts.append(flagged)
    if content["notes"]:
        parts.append(f"Notes:\n{_listed(content['notes'])}")
    return "\n\n".join(parts) + "\n"


def flag(rows: Iterable[Row], claims: Iterable[Claim]) -> str:
    """Says what the grades in brackets mean; empty if there are none."""
    grades = {row.grade for row in rows if row.is_flagged}
    grades |= {claim.grade for claim in claims if claim.is_flagged}
    return FLAG.format(grades=", ".join(sorted(grades))) if grades else ""


def facts(content: Content) -> list[str]:
    """Returns the head of the table: paper, data, variant, and what else a result depends on."""
    paper, data = content["paper"], content["data"]
    chosen = (
        name if value is True else f"{name} {as_text(tuple(value) if isinstance(value, list) else value)}"
        for name, value in content["choice"].items()
    )
    words = [f"Variant {content['variant']}", *chosen, content["length"], f"seed {content['seed']}"]
    words += [f"{name} {content[name]}" for name in ("backend", "commit") if content[name]]
    return [
        f"{paper['authors']}: {paper['title']}, {paper['venue']}.",
        f"Data: {data['title']} ({data['counts']}), scored on {data['split']}.",
        f"{', '.join(word for word in words if word)}.",
        *content["facts"],
    ]


def verdict(reasons: Sequence[str]) -> str:
    """Says whether ours and the published numbers may be compared, and why not."""
    return f"NOT COMPARABLE with the published numbers:\n{_listed(reasons)}" if reasons else COMPARABLE


def claims_caption(reasons: Sequence[str]) -> str:
    """Says what the table of claims shows."""
    what = "What the article claims; ours is the first system minus the second one, paired by utterance."
    limits = " The verdicts are this run's, which is not comparable with the article's (see above)."
    return what + (limits if reasons else "")


def _listed(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def markdown_table(rows: Sequence[Row], comparable: bool) -> str:
    """Formats lines as Markdown, columns aligned.

    Args:
        rows: The lines.
        comparable: Whether published and reproduced were made on the same data in the same way; only then
            their difference is stated.

    Returns:
        A Markdown table.
    """
    return _aligned([HEADER, *(row_cells(row, comparable) for row in rows)])


def _aligned(cells: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def row_cells(row: Row, comparable: bool) -> tuple[str, ...]:
    """Returns the cells of a line, as `HEADER` names them."""
    published = _published(row.published, row.grade, row.is_flagged, ".2f", row.deviations[0])
    names = (row.system, row.metric, row.definition, published)
    if row.reproduced is None:
        return (*names, "-", "-", "-", "-")
    difference = "-"
    if row.published is not None:
        difference = f"{row.reproduced - row.published:+.2f}" if comparable else "not comparable"
        difference = "not attested" if row.is_flagged else difference
    reproduced = f"{row.reproduced:.3f}{_deviation(row.deviations[1], '.3f')}"
    return (*names, reproduced, interval_text(row.interval), difference, str(row.count))


def claim_cells(claim: Claim) -> tuple[str, ...]:
    """Returns the cells of a claim, as `CLAIM_HEADER` names them."""
    published = _published(claim.published, claim.grade, claim.is_flagged, "+.2f")
    ours = "-" if claim.difference is None else f"{claim.difference:+.3f}"
    words = f"{claim.better} better than {claim.worse}"
    interval = interval_text(claim.interval)
    count = str(claim.count) if claim.count else "-"
    return (words, claim.metric, claim.definition, published, ours, interval, count, claim.verdict)


def interval_text(interval: Sequence[float] | None) -> str:
    """Returns both ends of an interval."""
    return "-" if interval is None else f"{interval[0]:.3f} .. {interval[1]:.3f}"


def _published(
    value: float | None, grade: str, is_flagged: bool, digits: str, deviation: float | None = None
) -> str:
    text = "-" if value is None else f"{value:{digits}}{_deviation(deviation, digits)}"
    return f"{text} ({grade})".removeprefix("- ") if is_flagged else text


def _deviation(value: float | None, digits: str) -> str:
    return "" if value is None else f" ± {value:{digits}}"


def results_block(numbers: Iterable[Published]) -> str:
    """Formats a recipe's CSV file for its ledger: a table for each source, table and dataset, then claims.

    Args:
        numbers: Rows of the CSV file.

    Returns:
        Markdown.
    """
    numbers = list(numbers)
    groups: dict[tuple[str, str, str], list[Published]] = {}
    for number in numbers:
        if number.source != "claim":
            groups.setdefault((number.source, number.table, number.dataset), []).append(number)
    parts = [_group_block(", ".join(group), members) for group, members in groups.items()]
    claims = [number for number in numbers if number.source == "claim"]
    if claims:
        parts.append(f"**What the article claims**\n\n{_listed(map(_claim_sentence, claims))}\n")
    return "\n".join(parts)


def _group_block(title: str, numbers: Sequence[Published]) -> str:
    lines: dict[str, dict[str, str]] = {}
    for number in numbers:
        flagged = number.value is not None and not number.is_safe
        cell = _published(number.value, number.grade, flagged, "g", number.deviation)
        lines.setdefault(number.row, {})[f"{number.metric} ({number.definition})"] = cell
    columns = list(dict.fromkeys(column for values in lines.values() for column in values))
    table = [["system", *columns], ["---"] * (len(columns) + 1)]
    table += [[name, *(values.get(column, "-") for column in columns)] for name, values in lines.items()]
    head, rule, *body = (f"| {' | '.join(line)} |" for line in table)
    return "\n".join([f"**{title}**\n", head, rule.replace(" ", ""), *body, ""])


def _claim_sentence(number: Published) -> str:
    stated = "" if number.value is None else f", by {number.value:g}"
    grade = "" if number.is_safe else f" ({number.grade})"
    where = f", {number.table}" if number.table else ""
    measure = f"{number.metric} ({number.definition})"
    return f"{number.row} better than {number.than} in {measure}{stated}{where}{grade}"
