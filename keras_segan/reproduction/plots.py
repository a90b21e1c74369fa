"""Plots of a run: learning curves, spectrograms and scatter diagrams. matplotlib is an extra."""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_segan import dsp

LABELS = {"loss": "loss", "error": "|D - true score|"}
PLAYERS = {"d1": "D, pass 1", "d2": "D, pass 2", "d3": "D, pass 3", "g": "G"}
SPECTROGRAM_RANGE = 80  # dB below the loudest point


def is_available() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def title(folder: Path) -> str:
    """Returns the heading of a run's plots: paper and variant."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return f"{config['paper']} {config['variant']}"
    except (OSError, ValueError, KeyError, TypeError):
        return folder.name


def new_figure(width: float, height: float) -> Any:
    """Returns a figure that needs no display, sizes in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def learning_curves(log: Sequence[Mapping[str, Any]], folder: Path, heading: str) -> list[Path]:
    """Draws scores and losses over the epochs.

    Args:
        log: The rows of `log.csv`; the first column counts epochs or iterations.
        folder: Where the PNG files go.
        heading: Heading of the plots.

    Returns:
        The files.
    """
    columns = list(dict.fromkeys(key for row in log for key in row))
    groups: dict[str, list[str]] = {}
    for column in columns:
        split, _, metric = column.partition("_")
        if split.partition(" ")[0] in ("validation", "test"):
            groups.setdefault(metric, []).append(column)
    groups["loss"] = [column for column in columns if column.endswith("_loss")]
    groups["error"] = [column for column in columns if column.endswith("_error")]
    return [_curve(name, group, log, folder, heading) for name, group in groups.items() if group]


def _curve(
    name: str, columns: Sequence[str], log: Sequence[Mapping[str, Any]], folder: Path, heading: str
) -> Path:
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(6, 3.6)
    axes = figure.subplots()
    unit = next(iter(log[0]))  # epoch or iteration
    for column in columns:
        points = [(row[unit], row[column]) for row in log if column in row]
        player = column.rpartition("_")[0].replace("_", " ") if name in LABELS else column.partition("_")[0]
        axes.plot(*np.transpose(points), marker="o", markersize=3, label=PLAYERS.get(player, player))
    axes.set(xlabel=unit, ylabel=LABELS.get(name, name))
    axes.set_title(heading, fontsize="small", wrap=True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / f"{''.join(c if c.isalnum() or c in '-_' else '-' for c in name)}.png"
    figure.savefig(path, dpi=120)
    return path


def level(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Returns the short-time level in dB, `(bins, frames)`, of frames of 32 ms with a hop of 8 ms."""
    n_fft = 32 * sample_rate // 1000
    spectrum = dsp.stft(waveform, n_fft, n_fft // 4, "hann-periodic", "constant")
    levels: np.ndarray = 20.0 * np.log10(np.maximum(np.abs(spectrum), 1e-6)).T
    return levels


def draw_level(axes: Any, levels: np.ndarray, sample_rate: int, loudest: float) -> Any:
    """Draws a short-time level on axes, on a scale that ends at the loudest point of what is compared."""
    seconds = levels.shape[1] * (32 * sample_rate // 1000 // 4) / sample_rate
    return axes.imshow(
        levels,
        aspect="auto",
        origin="lower",
        cmap="magma",
        extent=(0, seconds, 0, sample_rate / 2000),
        vmin=loudest - SPECTROGRAM_RANGE,
        vmax=loudest,
    )


def spectrograms(waveforms: Mapping[str, np.ndarray], sample_rate: int, path: Path, heading: str) -> None:
    """Draws log spectrograms one below the other, all on one scale.

    Args:
        waveforms: `(samples,)` by name, such as noisy, enhanced, clean.
        sample_rate: In Hz.
        path: PNG file to write.
        heading: Heading.
    """
    levels = {name: level(waveform, sample_rate) for name, waveform in waveforms.items()}
    loudest = max(float(each.max()) for each in levels.values())
    figure = new_figure(8, 2.2 * len(levels) + 0.6)
    axes = figure.subplots(len(levels), 1, sharex=True, squeeze=False)[:, 0]
    for one, (name, each) in zip(axes, levels.items(), strict=True):
        drawn = draw_level(one, each, sample_rate, loudest)
        one.set(title=name, ylabel="kHz")
    axes[-1].set_xlabel("s")
    figure.suptitle(heading, fontsize="small", wrap=True)
    figure.colorbar(drawn, ax=axes.tolist(), label="dB")
    figure.savefig(path)


def scatter(
    groups: Mapping[str, tuple[np.ndarray, np.ndarray]], labels: tuple[str, str], diagonal: str
) -> Any:
    """Draws points against a diagonal.

    Args:
        groups: Horizontal and vertical values by name of a group; a single group has no legend.
        labels: Of the two axes.
        diagonal: What the diagonal means.

    Returns:
        The figure, whose first axes further marks can be drawn on.
    """
    figure = new_figure(5.2, 4.2)
    axes = figure.subplots()
    values = np.concatenate([np.concatenate(pair) for pair in groups.values()])
    limits = [float(values.min()), float(values.max())]
    axes.plot(limits, limits, color="gray", linewidth=1, label=diagonal)
    for name, (across, up) in groups.items():
        label = name if len(groups) > 1 else None
        axes.scatter(across, up, s=16, alpha=0.6, edgecolors="none", label=label)
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize="small")
    return figure


@dataclass(frozen=True)
class ImageRow:
    """Images that share a scale.

    Attributes:
        label: What the colours mean.
        images: Arrays `(rows, columns)` by title.
        limits: Values of the darkest and of the brightest colour.
        axes: Labels of the horizontal and of the vertical axis.
    """

    label: str
    images: Mapping[str, np.ndarray]
    limits: tuple[float, float]
    axes: tuple[str, str] = ("frame", "band")


def images(rows: Sequence[ImageRow], path: Path):
    """Draws rows of images, one below the other.

    Args:
        rows: The rows.
        path: PNG file to write.
    """
    columns = max(len(row.images) for row in rows)
    figure = new_figure(3 * columns, 2.5 * len(rows))
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for row, axes in zip(rows, grid, strict=True):
        for (heading, image), one in zip(row.images.items(), axes, strict=False):
            drawn = one.imshow(image, aspect="auto", origin="lower", vmin=row.limits[0], vmax=row.limits[1])
            one.set(title=heading, xlabel=row.axes[0], ylabel=row.axes[1])
        figure.colorbar(drawn, ax=axes.tolist(), label=row.label)
        for unused in axes[len(row.images) :]:
            unused.set_axis_off()
    figure.savefig(path)
