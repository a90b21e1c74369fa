"""Figures that recipes draw: images side by side on one scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


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


def draw_images(rows: Sequence[ImageRow], path: Path):
    """Draws rows of images, one below the other.

    Args:
        rows: The rows.
        path: PNG file to write.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(len(row.images) for row in rows)
    figure = Figure(figsize=(3 * columns, 2.5 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for row, axes in zip(rows, grid, strict=True):
        for (title, image), one in zip(row.images.items(), axes, strict=False):
            drawn = one.imshow(image, aspect="auto", origin="lower", vmin=row.limits[0], vmax=row.limits[1])
            one.set(title=title, xlabel=row.axes[0], ylabel=row.axes[1])
        figure.colorbar(drawn, ax=axes.tolist(), label=row.label)
        for unused in axes[len(row.images) :]:
            unused.set_axis_off()
    FigureCanvasAgg(figure).print_png(path)
