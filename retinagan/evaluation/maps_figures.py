"""The figures of ``evaluate maps`` as pictures: shares, burdens, places, confusions, nearest maps, a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from retinagan.evaluation.descriptors import Measured
from retinagan.evaluation.maps_table import FGADR_SHARES
from retinagan.maps.labels import CLASSES, EX, HE, MA, NUM_GRADES, SE, colours_from_map

REAL, GENERATED, PUBLISHED = "#6b7280", "#b3452a", "#111827"
PER_GRADE = 8
"""Maps of each grade on the contact sheet."""

_GRID = 64  # cells a side of the pictures of places
_STYLE = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10,
    "axes.titleweight": "bold", "legend.frameon": False,
}  # fmt: skip


def write(
    out: Path,
    figures: dict,
    real: Sequence[Measured],
    generated: Sequence[Measured],
    all_real: np.ndarray,
    matches: Sequence[dict],
) -> None:
    """Write ``maps-*.png`` into ``out``: of real and generated maps by grade, all real maps, and nearest pairs."""
    with matplotlib.rc_context(_STYLE):
        _save(out, "maps-shares", _shares(figures))
        _save(out, "maps-burden", _burdens(real, generated))
        _save(out, "maps-places", _places(real, generated))
        if "real" in figures["grader"]:
            _save(out, "maps-grading", _confusions(figures["grader"]))
        if matches:
            _save(out, "maps-nearest", _nearest(figures["nearest"], all_real, generated, matches))
    contact_sheet([one.maps for one in generated]).save(out / "maps-sheet.png")


def contact_sheet(generated: Sequence[np.ndarray], side: int = 240, gap: int = 8) -> Image.Image:
    """The first maps of each grade, a row a grade, which stands to the left."""
    margin = 40
    size = (margin + PER_GRADE * (side + gap), NUM_GRADES * (side + gap) + gap)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for row, maps in enumerate(generated):
        top = gap + row * (side + gap)
        draw.text((margin / 2, top + side / 2), str(row), "black", ImageFont.load_default(28), anchor="mm")
        for column, label_map in enumerate(maps[:PER_GRADE]):
            picture = Image.fromarray(colours_from_map(label_map)).resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(picture, (margin + column * (side + gap), top))
    return sheet


def _save(out: Path, name: str, figure: Figure) -> None:
    figure.savefig(out / f"{name}.png", dpi=110, facecolor="white")


def _axes(rows: int, columns: int, width: float, height: float, **kwargs) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def _shares(figures: dict) -> Figure:
    figure, axes = _axes(2, 2, 9, 5.6, sharey=True, sharex=True)
    for ax, index in zip(axes.flat, (MA, HE, EX, SE), strict=True):
        kind = CLASSES[index]
        for offset, what, colour in ((-0.2, "real", REAL), (0.2, "generated", GENERATED)):
            for row in figures["grades"]:
                lesion = row[what]["lesions"][kind.short]
                if row[what]["n"] == 0:
                    ax.text(row["grade"] + offset, 0.02, "n = 0", rotation=90, ha="center", va="bottom", color=colour)
                    continue
                low, high = lesion["interval"]
                share = lesion["share"]
                ax.bar(row["grade"] + offset, share, 0.36, color=colour)
                ax.errorbar(
                    row["grade"] + offset, share, yerr=[[max(share - low, 0)], [max(high - share, 0)]],
                    color="black", linewidth=0.8, capsize=2,
                )  # fmt: skip
        ax.plot(
            range(NUM_GRADES), FGADR_SHARES[kind.short], "_", color=PUBLISHED, markersize=22, label="FGADR, published"
        )
        ax.set_title(kind.name)
        ax.set_ylim(0, 1.02)
    ticks = [f"{row['grade']}\nn {row['real']['n']} | {row['generated']['n']}" for row in figures["grades"]]
    for ax in axes[1]:
        ax.set_xticks(range(NUM_GRADES), ticks)
        ax.set_xlabel("grade; n real | generated")
    axes[0, 0].set_ylabel("share of maps")
    axes[1, 0].set_ylabel("share of maps")
    handles = [matplotlib.patches.Patch(color=c, label=n) for n, c in (("real", REAL), ("generated", GENERATED))]
    handles.append(matplotlib.lines.Line2D([], [], color=PUBLISHED, label="FGADR, published"))
    figure.legend(handles=handles, loc="outside upper right", ncols=3, title="bars: 95 % intervals")
    return figure


def _burdens(real: Sequence[Measured], generated: Sequence[Measured]) -> Figure:
    figure, axes = _axes(1, 5, 13, 3.4)
    panels = [("Burden, % of the field", lambda one: 100 * one.burden)]
    for index in (MA, HE, EX, SE):
        panels.append((f"{CLASSES[index].name}s a map", lambda one, index=index: one.lesions[index].count))
    for ax, (title, value) in zip(axes[0], panels, strict=True):
        for offset, sets, colour in ((-0.2, real, REAL), (0.2, generated, GENERATED)):
            values = [[value(one) for one in measured.found] or [np.nan] for measured in sets]
            ax.boxplot(
                values, positions=np.arange(NUM_GRADES) + offset,
                widths=0.34, patch_artist=True, showfliers=False, whis=(5, 95), manage_ticks=False,
                medianprops={"color": "white", "linewidth": 1.6}, whiskerprops={"color": colour},
                capprops={"color": colour}, boxprops={"facecolor": colour, "edgecolor": colour},
            )  # fmt: skip
        ax.set_yscale("symlog", linthresh=0.01 if "%" in title else 1)
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        ax.set_xticks(range(NUM_GRADES))
        ax.set_title(title)
        ax.set_xlabel("grade")
    handles = [matplotlib.patches.Patch(color=c, label=n) for n, c in (("real", REAL), ("generated", GENERATED))]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, title="boxes: quartiles; whiskers: 5 to 95 %")
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
    figure, axes = _axes(4, NUM_GRADES, 11, 9)
    rows = (
        ("red, real", real, (HE, MA), "Reds"),
        ("red, generated", generated, (HE, MA), "Reds"),
        ("bright, real", real, (EX, SE), "Oranges"),
        ("bright, generated", generated, (EX, SE), "Oranges"),
    )
    for line, (name, sets, kinds, colours) in zip(axes, rows, strict=True):
        for grade, ax in enumerate(line):
            density = _occupancy(sets[grade], kinds)
            density = ndimage.gaussian_filter(density, 0.7)
            peak = float(np.percentile(density[density > 0], 98)) if density.any() else 1.0
            ax.imshow(np.sqrt(density / peak), cmap=colours, vmin=0, vmax=1, extent=(0, 1, 1, 0))
            ax.add_patch(matplotlib.patches.Circle((0.5, 0.5), 0.5, fill=False, color="#9ca3af", linewidth=0.8))
            discs = [np.array(one.disc) / one.size for one in sets[grade].found if one.disc]
            if discs:
                x, y, radius = np.median([(min(x, 1 - x), y, r) for x, y, r in discs], axis=0)
                ax.add_patch(matplotlib.patches.Circle((x, y), radius, fill=False, color="#374151", linewidth=1))
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(False)
            told = f"peak {100 * peak:.2g} %" if density.any() else "no such lesions"
            ax.set_xlabel(f"n = {len(sets[grade])}, {told}" if len(sets[grade]) else "n = 0: no real maps", fontsize=8)
            if line is axes[0]:
                ax.set_title(f"grade {grade}")
        line[0].set_ylabel(name)
    figure.suptitle("Where lesions lie: share of maps covered (square-root scale), discs to the left", fontsize=10)
    return figure


def _confusions(grader: dict) -> Figure:
    figure, axes = _axes(1, 2, 8, 3.9)
    kinds = grader["grades"]
    for ax, key, name in ((axes[0, 0], "real", "real, cross-validated"), (axes[0, 1], "generated", "generated")):
        counts = np.array(grader[key]["confusion"])[np.ix_(kinds, kinds)]
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        ax.imshow(shares, cmap="Greys", vmin=0, vmax=1)
        for row in range(len(kinds)):
            for column in range(len(kinds)):
                dark = shares[row, column] > 0.5
                ax.text(
                    column, row, f"{counts[row, column]}", ha="center", va="center", color="white" if dark else "black"
                )
        ax.set_xticks(range(len(kinds)), kinds)
        ax.set_yticks(range(len(kinds)), kinds)
        ax.set_xlabel("grade by the grader")
        ax.set_ylabel("grade" if key == "real" else "grade asked for")
        low, high = grader[key]["interval"]
        ax.set_title(
            f"{name}: kappa {grader[key]['kappa']:.2f} [{low:.2f}, {high:.2f}], n = {grader[key]['n']}", fontsize=9
        )
    return figure


def _nearest(nearest: dict, real_maps: np.ndarray, generated: Sequence[Measured], matches: Sequence[dict]) -> Figure:
    pairs = matches[:5]
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 2.2))
    ax = top.subplots()
    ax.hist(
        [match["iou"] for match in matches],
        bins=np.linspace(0, 1, 51),
        color=GENERATED,
        label=f"generated, n = {len(matches)}",
    )
    for key, name, colour in (
        ("real_heldout", "held-out real", REAL),
        ("real_train", "other training maps", PUBLISHED),
    ):
        row = nearest[key]
        if row["n"]:
            ax.axvline(row["max"], color=colour, linestyle="--", label=f"highest of {name}, n = {row['n']}")
    ax.axvline(0.7, color="black", linewidth=0.8)
    ax.text(0.705, ax.get_ylim()[1] * 0.9, "copy", va="top")
    ax.set_xlabel("IoU of all lesions with the nearest training map, turned and mirrored")
    ax.set_ylabel("maps")
    ax.legend()
    axes = bottom.subplots(2, len(pairs), squeeze=False)
    for column, match in enumerate(pairs):
        label_map = generated[match["grade"]].maps[match["seed"]]
        picture = Image.fromarray(colours_from_map(label_map[:, ::-1] if match["mirrored"] else label_map))
        pictures = (picture.rotate(-match["rotation"], fillcolor=(0, 0, 0)), colours_from_map(real_maps[match["real"]]))
        titles = (f"grade {match['grade']} seed {match['seed']}, IoU {match['iou']:.2f}", match["id"])
        for row, (shown, title) in enumerate(zip(pictures, titles, strict=True)):
            axes[row, column].imshow(shown)
            axes[row, column].set_title(title, fontsize=8, fontweight="normal")
            axes[row, column].axis("off")
    bottom.suptitle("Nearest pairs: generated above (turned to match), training map below", fontsize=9)
    return figure
