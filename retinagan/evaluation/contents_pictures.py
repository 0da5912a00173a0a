"""Pictures of what maps hold: shares of lesions, burdens, and where lesions lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from scipy import ndimage

from retinagan.evaluation.plots import BOTH, GENERATED, PUBLISHED, REAL, axes, boxes, legend
from retinagan.evaluation.summary import FGADR_SHARES, GradeContents
from retinagan.maps.descriptors import Measured
from retinagan.maps.labels import CLASSES, EX, HE, MA, SE
from retinagan.seeds import NUM_GRADES

_GRID = 64  # cells a side of the pictures of places
_KINDS = (MA, HE, EX, SE)


def pictures(
    grades: Sequence[GradeContents], real: Sequence[Measured], generated: Sequence[Measured]
) -> dict[str, Figure]:
    return {"shares": _shares(grades), "burden": _burdens(real, generated), "places": _places(real, generated)}


def _shares(grades: Sequence[GradeContents]) -> Figure:
    figure, places = axes(2, 2, 9, 5.6, sharey=True, sharex=True)
    for ax, index in zip(places.flat, _KINDS, strict=True):
        kind = CLASSES[index]
        for row in grades:
            for offset, found, colour in ((-0.2, row.real, REAL), (0.2, row.generated, GENERATED)):
                x, lesion = row.grade + offset, found.lesions[kind.short]
                if lesion.share is None or lesion.interval is None:
                    ax.text(x, 0.02, "n = 0", rotation=90, ha="center", va="bottom", color=colour)
                    continue
                ax.bar(x, lesion.share, 0.36, color=colour)
                off = np.maximum(np.subtract([lesion.share, lesion.interval[1]], [lesion.interval[0], lesion.share]), 0)
                ax.errorbar(x, lesion.share, yerr=off[:, None], color="black", linewidth=0.8, capsize=2)
        ax.plot(range(NUM_GRADES), FGADR_SHARES[kind.short], "_", color=PUBLISHED, markersize=22)
        ax.set(title=kind.name, ylim=(0, 1.02))
    ticks = [f"{row.grade}\nn {row.real.n} | {row.generated.n}" for row in grades]
    for ax in places[1]:
        ax.set_xticks(range(NUM_GRADES), ticks)
        ax.set_xlabel("grade; n real | generated")
    for ax in places[:, 0]:
        ax.set_ylabel("share of maps")
    published = Line2D([], [], color=PUBLISHED, label="FGADR, published")
    legend(figure, "outside upper right", "bars: 95 % intervals", published)
    return figure


def _burdens(real: Sequence[Measured], generated: Sequence[Measured]) -> Figure:
    figure, (line,) = axes(1, 5, 13, 3.4)
    for ax, index in zip(line, (None, *_KINDS), strict=True):
        for offset, sets, (_, colour) in zip((-0.2, 0.2), (real, generated), BOTH, strict=True):
            values = [
                np.array([100 * one.burden if index is None else one.lesions[index].count for one in measured.found])
                for measured in sets
            ]
            values = [of if len(of) else np.array([np.nan]) for of in values]
            boxes(ax, values, colour, np.arange(NUM_GRADES) + offset, widths=0.34, whis=(5, 95))
        ax.set_yscale("symlog", linthresh=0.01 if index is None else 1)
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_formatter("{x:g}")
        ax.set_xticks(range(NUM_GRADES))
        title = "Burden, % of the field" if index is None else f"{CLASSES[index].name}s a map"
        ax.set(title=title, xlabel="grade")
    legend(figure, "outside lower center", "boxes: quartiles; whiskers: 5 to 95 %")
    return figure


def _occupancy(measured: Measured, kinds: Sequence[int]) -> np.ndarray:
    """Mean share of each cell that lesions of some classes cover, discs folded to the left, ``float (64, 64)``."""
    total = np.zeros((_GRID, _GRID))
    for label_map, one in zip(measured.maps, measured.found, strict=True):
        cell = max(len(label_map) // _GRID, 1)
        lesions = np.isin(label_map, kinds)[: cell * _GRID, : cell * _GRID]
        side = len(lesions) // cell
        shares = lesions[: side * cell, : side * cell].reshape(side, cell, side, cell).mean((1, 3))
        total[:side, :side] += shares if one.side == "left" else shares[:, ::-1]
    return total / max(len(measured), 1)


def _places(real: Sequence[Measured], generated: Sequence[Measured]) -> Figure:
    figure, lines = axes(4, NUM_GRADES, 11, 9)
    rows = (
        ("red, real", real, (HE, MA), "Reds"), ("red, generated", generated, (HE, MA), "Reds"),
        ("bright, real", real, (EX, SE), "Oranges"), ("bright, generated", generated, (EX, SE), "Oranges"),
    )  # fmt: skip
    for line, (name, sets, kinds, colours) in zip(lines, rows, strict=True):
        for ax, measured in zip(line, sets, strict=True):
            density = ndimage.gaussian_filter(_occupancy(measured, kinds), 0.7)
            peak = float(np.percentile(density[density > 0], 98)) if density.any() else 1.0
            ax.imshow(np.sqrt(density / peak), cmap=colours, vmin=0, vmax=1, extent=(0, 1, 1, 0))
            ax.add_patch(Circle((0.5, 0.5), 0.5, fill=False, color="#9ca3af", linewidth=0.8))
            discs = np.array([np.divide(one.disc, one.size) for one in measured.found if one.disc])
            if len(discs):
                discs[:, 0] = np.minimum(discs[:, 0], 1 - discs[:, 0])
                x, y, radius = np.median(discs, axis=0)
                ax.add_patch(Circle((x, y), radius, fill=False, color="#374151", linewidth=1))
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            told = f"peak {100 * peak:.2g} %" if density.any() else "no such lesions"
            ax.set_xlabel(f"n = {len(measured)}, {told}" if len(measured) else "n = 0: no real maps", fontsize=8)
        line[0].set_ylabel(name)
    for grade, ax in enumerate(lines[0]):
        ax.set_title(f"grade {grade}")
    figure.suptitle("Where lesions lie: share of maps covered (square-root scale), discs to the left", fontsize=10)
    return figure
