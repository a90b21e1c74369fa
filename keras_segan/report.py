"""Tables and plots of a run: published beside reproduced, and whether the two may be compared."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        system: E.g. "noisy", "last", "best on validation".
        metric: The metric's label.
        definition: Its definition id.
        published: The paper's number, `None` if it has none.
        reproduced: Our mean, `None` for a system that is only quoted.
        interval: 95 % bootstrap interval of the mean, `None` likewise.
        count: Number of utterances.
    """

    system: str
    metric: str
    definition: str
    published: float | None
    reproduced: float | None
    interval: tuple[float, float] | None
    count: int


HEADER = ("system", "metric", "definition", "published", "reproduced", "95 % interval", "difference", "n")


def markdown_table(rows: list[Row], comparable: bool) -> str:
    """Formats the table; the difference is only stated when the numbers may be compared.

    Args:
        rows: Its lines.
        comparable: Whether published and reproduced were made on the same data in the same way.

    Returns:
        A Markdown table, columns aligned.
    """
    cells = [HEADER] + [_cells(row, comparable) for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADER))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def _cells(row: Row, comparable: bool) -> tuple[str, ...]:
    published, difference = "-", "-"
    if row.published is not None:
        published = f"{row.published:.2f}"
    if row.reproduced is None:
        return (row.system, row.metric, row.definition, published, "-", "-", "-", "-")
    if row.published is not None:
        difference = f"{row.reproduced - row.published:+.2f}" if comparable else "not comparable"
    low, high = row.interval
    interval = f"{low:.3f} .. {high:.3f}"
    values = (published, f"{row.reproduced:.3f}", interval, difference, str(row.count))
    return (row.system, row.metric, row.definition, *values)


def document(title: str, facts: list[str], reasons: list[str], rows: list[Row], notes: list[str]) -> str:
    """Writes the text around the table.

    Args:
        title: Its heading.
        facts: Data, variant, seed and so on, one sentence each.
        reasons: Why the numbers may not be compared with the published ones; empty if they may.
        rows: The table's lines.
        notes: What happened on the way.

    Returns:
        Markdown.
    """
    if reasons:
        verdict = "NOT COMPARABLE with the published numbers:\n" + "\n".join(
            f"- {reason}" for reason in reasons
        )
    else:
        verdict = (
            "Comparable with the published numbers: same corpus, split, metric definitions and settings."
        )
    parts = [f"# {title}", "\n".join(facts), verdict, markdown_table(rows, not reasons)]
    if notes:
        parts.append("Notes:\n" + "\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def learning_curves(log: list[dict], folder: Path, title: str) -> list[Path]:
    """Draws scores and losses over the epochs.

    Args:
        log: The rows of `log.csv`.
        folder: Where the PNG files go.
        title: Heading of the plots.

    Returns:
        The files, none if matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        return []
    matplotlib.use("Agg")
    columns = list(dict.fromkeys(key for row in log for key in row))
    plots = {}
    for column in columns:
        split, _, metric = column.partition("_")
        if split in ("validation", "test"):
            plots.setdefault(metric, []).append(column)
    plots["loss"] = [column for column in columns if column.endswith("_loss")]
    plots["error"] = [column for column in columns if column.endswith("_error")]
    return [_draw(name, group, log, folder, title) for name, group in plots.items() if group]


LABELS = {"loss": "loss", "error": "|D - true score|"}
PLAYERS = {"d1": "D, pass 1", "d2": "D, pass 2", "d3": "D, pass 3", "g": "G"}


def _draw(name: str, columns: list[str], log: list[dict], folder: Path, title: str) -> Path:
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    for column in columns:
        points = [(row["epoch"], row[column]) for row in log if column in row]
        player = column.rpartition("_")[0].replace("_", " ") if name in LABELS else column.partition("_")[0]
        legend = PLAYERS.get(player, player)
        axes.plot(*np.transpose(points), marker="o", markersize=3, label=legend)
    axes.set(xlabel="epoch", ylabel=LABELS.get(name, name), title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def results_block(rows) -> str:
    """Formats a reproduction's CSV rows, one Markdown table per published table and dataset.

    Args:
        rows: `recipe.Published` records.

    Returns:
        Markdown.
    """
    groups: dict[tuple[str, str, str], dict[str, dict[str, float]]] = {}
    for row in rows:
        group = groups.setdefault((row.source, row.table, row.dataset), {})
        group.setdefault(row.row, {})[f"{row.metric} ({row.definition})"] = row.value
    parts = []
    for (source, table, dataset), lines in groups.items():
        columns = list(dict.fromkeys(column for values in lines.values() for column in values))
        parts.append(f"**{source}, {table}, {dataset}**\n")
        parts.append("| system | " + " | ".join(columns) + " |")
        parts.append("|---" * (len(columns) + 1) + "|")
        for name, values in lines.items():
            cells = [f"{values[column]:g}" if column in values else "-" for column in columns]
            parts.append(f"| {name} | " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts)
