"""Tables and plots of a run: published beside reproduced, and whether the two may be compared."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_segan import dsp


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
        deviations: Standard deviations over utterances, published and ours, where the paper states them.
    """

    system: str
    metric: str
    definition: str
    published: float | None
    reproduced: float | None
    interval: tuple[float, float] | None
    count: int
    deviations: tuple[float | None, float | None] = (None, None)


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
        published = f"{row.published:.2f}" + _deviation(row.deviations[0], 2)
    if row.reproduced is None:
        return (row.system, row.metric, row.definition, published, "-", "-", "-", "-")
    if row.published is not None:
        difference = f"{row.reproduced - row.published:+.2f}" if comparable else "not comparable"
    low, high = row.interval
    interval = f"{low:.3f} .. {high:.3f}"
    reproduced = f"{row.reproduced:.3f}" + _deviation(row.deviations[1], 3)
    values = (published, reproduced, interval, difference, str(row.count))
    return (row.system, row.metric, row.definition, *values)


def _deviation(value: float | None, digits: int) -> str:
    return "" if value is None else f" ± {value:.{digits}f}"


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
        log: The rows of `log.csv`; the first column counts epochs or iterations.
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
        if split.partition(" ")[0] in ("validation", "test"):
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
    unit = next(iter(log[0]))  # epoch or iteration
    for column in columns:
        points = [(row[unit], row[column]) for row in log if column in row]
        player = column.rpartition("_")[0].replace("_", " ") if name in LABELS else column.partition("_")[0]
        legend = PLAYERS.get(player, player)
        axes.plot(*np.transpose(points), marker="o", markersize=3, label=legend)
    axes.set(xlabel=unit, ylabel=LABELS.get(name, name))
    axes.set_title(title, fontsize="small", wrap=True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


SPECTROGRAM_RANGE = 80  # dB below the loudest point


def spectrograms(waveforms: dict[str, np.ndarray], sample_rate: int, path: Path, title: str):
    """Draws log spectrograms one below the other, all on one scale.

    Args:
        waveforms: `(samples,)` by name, such as mixture, clean, enhanced.
        sample_rate: In Hz.
        path: PNG file to write.
        title: Heading.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_fft = 32 * sample_rate // 1000
    levels = {
        name: 20 * np.log10(np.abs(dsp.stft(waveform, n_fft, n_fft // 2)).T + 1e-10)
        for name, waveform in waveforms.items()
    }
    loudest = max(level.max() for level in levels.values())
    figure = Figure(figsize=(8, 2.2 * len(levels) + 0.6), layout="constrained")
    axes = figure.subplots(len(levels), 1, sharex=True, squeeze=False)[:, 0]
    for one, (name, level) in zip(axes, levels.items(), strict=True):
        extent = (0, len(waveforms[name]) / sample_rate, 0, sample_rate / 2000)
        drawn = one.imshow(
            level,
            aspect="auto",
            origin="lower",
            extent=extent,
            vmin=loudest - SPECTROGRAM_RANGE,
            vmax=loudest,
        )
        one.set(title=name, ylabel="kHz")
    axes[-1].set_xlabel("s")
    figure.suptitle(title, fontsize="small", wrap=True)
    figure.colorbar(drawn, ax=axes.tolist(), label="dB")
    FigureCanvasAgg(figure).print_png(path)


def results_block(rows) -> str:
    """Formats a reproduction's CSV rows, one Markdown table per published table and dataset.

    Args:
        rows: `recipe.Published` records.

    Returns:
        Markdown.
    """
    groups: dict[tuple[str, str, str], dict[str, dict[str, str]]] = {}
    for row in rows:
        group = groups.setdefault((row.source, row.table, row.dataset), {})
        spread = "" if row.deviation is None else f" ± {row.deviation:g}"
        group.setdefault(row.row, {})[f"{row.metric} ({row.definition})"] = f"{row.value:g}{spread}"
    parts = []
    for (source, table, dataset), lines in groups.items():
        columns = list(dict.fromkeys(column for values in lines.values() for column in values))
        parts.append(f"**{source}, {table}, {dataset}**\n")
        parts.append("| system | " + " | ".join(columns) + " |")
        parts.append("|---" * (len(columns) + 1) + "|")
        for name, values in lines.items():
            cells = [values.get(column, "-") for column in columns]
            parts.append(f"| {name} | " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts)
