"""How all pictures of reports are drawn."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

REAL, GENERATED, PUBLISHED = "#6b7280", "#b3452a", "#111827"
BOTH = (("real", REAL), ("generated", GENERATED))
PLANES = {"luminance": "#111827", "red": "#c0392b", "green": "#2e7d4f", "blue": "#2f6fb0"}
_STYLE: Any = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10,
    "legend.frameon": False,
}  # fmt: skip


def axes(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure of so many inches and its axes, ``(rows, columns)``."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **options)


def boxes(axis: Axes, values: list[np.ndarray], colour: str, positions: Any, **options: Any) -> None:
    """Box plots in one colour."""
    axis.boxplot(
        values, positions=positions, patch_artist=True, showfliers=False, manage_ticks=False,
        medianprops={"color": "white", "linewidth": 1.6}, whiskerprops={"color": colour}, capprops={"color": colour},
        boxprops={"facecolor": colour, "edgecolor": colour}, **options,
    )  # fmt: skip


def legend(figure: Figure, place: Any, title: str, *more: Any) -> None:
    """The colours of real and generated beside or below the figure, and ``more`` handles."""
    handles = [*(Patch(color=colour, label=name) for name, colour in BOTH), *more]
    figure.legend(handles=handles, loc=place, ncols=len(handles), title=title)
