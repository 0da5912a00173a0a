"""The figures of ``evaluate photos`` as pictures: spectra, colours, vessels, copies; contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from PIL import Image

from retinagan.data.dataset import PreparedDataset
from retinagan.evaluation import colour, copying, spectrum
from retinagan.evaluation.copying import Copy
from retinagan.evaluation.photo_measures import Measured, Measurer
from retinagan.evaluation.photo_sets import Wanted
from retinagan.evaluation.sheet import contact_sheet, shrunk
from retinagan.maps.labels import colours_from_map

REAL, GENERATED = "#6b7280", "#b3452a"
_PLANES = {"luminance": "#111827", "red": "#c0392b", "green": "#2e7d4f", "blue": "#2f6fb0"}
_STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
}


def write(out: Path, figures: dict, real: Measured, generated: Measured, copies: dict[str, list[Copy]]) -> None:
    """Write ``photos-*.png`` into ``out``; the arguments are those that :func:`retinagan.evaluation.photos.evaluate`
    has."""
    drawn = {
        "spectrum": _spectrum(figures["spectrum"], real.spectra, generated.spectra),
        "colour": _colours(real.colours, generated.colours),
        "vessels": _vessels(figures["vessels"], real.statistics, generated.statistics),
        "copying": _copies(copies),
    }
    for name, figure in drawn.items():
        figure.savefig(out / f"photos-{name}.png", dpi=110, facecolor="white")


def sheets(out: Path, measurer: Measurer, heldout: PreparedDataset, wanted: Sequence[Wanted], seeds: int) -> None:
    """Write ``photos-sheet.png``, maps and photographs of each grade's first seeds, and ``photos-beside.png``.

    The latter holds real photographs: rows of a held-out one, the map and the photograph made for its eye.
    """
    Image.fromarray(contact_sheet(measurer.gan, range(seeds))).save(out / "photos-sheet.png")
    columns = []
    for one in wanted[:seeds]:
        pictures = (heldout.photos[one.eye], colours_from_map(one.label_map), measurer.render(one.label_map, one.style))
        columns.append(np.concatenate([shrunk(picture, 320) for picture in pictures]))
    Image.fromarray(np.concatenate(columns, axis=1)).save(out / "photos-beside.png")


def _axes(columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(1, columns, squeeze=False)[0]


def _spectrum(figures: dict, real: spectrum.Spectra, generated: spectrum.Spectra) -> Figure:
    figure, (ratios, flat) = _axes(2, 11, 4)
    edges = np.array(figures["edges"])
    middles = np.sqrt(edges[:-1] * edges[1:])
    ratios.axhspan(1 - spectrum.TOLERANCE, 1 + spectrum.TOLERANCE, color="#d7ead9", label=f"±{spectrum.TOLERANCE:.0%}")
    ratios.plot(middles, np.transpose(figures["real_halves"]), color=REAL, linewidth=0.8, linestyle=":")
    for plane, row in figures["ratios"].items():
        ratios.plot(middles, row, color=_PLANES[plane], linewidth=2 if plane == "luminance" else 1, label=plane)
    ratios.set(
        xscale="log", yscale="log", xlabel="cycles an image", title="Power, generated over real (dotted: real halves)"
    )
    ratios.set_xticks([4, 8, 16, 32, 64, 128], minor=False)
    ratios.set_yticks([0.1, 0.2, 0.5, 1, 2])
    for axis in (ratios.xaxis, ratios.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter("")
    ratios.legend(fontsize=8)
    pair = np.concatenate([real.power, np.ones((len(real.power), 4)), generated.power], axis=1)
    flat.imshow(np.log(pair), vmin=-1, vmax=1, cmap="gray")
    flat.set(
        xticks=[],
        yticks=[],
        title="Spectrum over its own smooth course: real, generated\n(a grid would be bright dots)",
    )
    return figure


def _colours(real: colour.Colours, generated: colour.Colours) -> Figure:
    figure, (chroma, light, levels) = _axes(3, 12, 3.8)
    for of, tint, name, layer in ((generated, GENERATED, "generated", 1), (real, REAL, "real", 2)):
        chroma.scatter(
            of.means[:, 1], of.means[:, 2], s=14, color=tint, alpha=0.6, label=name, zorder=layer, linewidths=0
        )
        light.hist(of.means[:, 0], bins=np.linspace(10, 80, 36), density=True, color=tint, alpha=0.6, label=name)
    chroma.set(xlabel="mean a*", ylabel="mean b*", title="Colour of photographs")
    light.set(xlabel="mean L*", yticks=[], title="Lightness of photographs")
    chroma.legend(fontsize=8)
    for channel, name in enumerate(colour.CHANNELS):
        levels.plot(real.histograms[:, channel].mean(0), color=_PLANES[name], linestyle=":", linewidth=1.2)
        levels.plot(generated.histograms[:, channel].mean(0), color=_PLANES[name], linewidth=1.2)
    levels.set(xlabel="level", yticks=[], ylim=(0, 0.06), title="Pixels (dotted: real)")
    return figure


def _vessels(figures: dict, real: dict[str, np.ndarray], generated: dict[str, np.ndarray]) -> Figure:
    figure, axes = _axes(len(figures), 2.4 * len(figures), 3.2)
    for axis, name in zip(axes, figures, strict=True):
        axis.set_title(name.replace("_", " "))
        if figures[name]["range"] is None or figures[name]["generated"] is None:
            continue  # nothing to draw
        values = [v[np.isfinite(v)] for v in (real[name], generated[name])]
        axis.axhspan(*figures[name]["range"], color="#e5e7eb")
        parts = axis.boxplot(values, widths=0.6, showfliers=False, patch_artist=True, medianprops={"color": "white"})
        for box, tint in zip(parts["boxes"], (REAL, GENERATED), strict=True):
            box.set(facecolor=tint, edgecolor=tint)
        axis.set_xticks([1, 2], ["real", "generated"])
    return figure


def _copies(copies: dict[str, list[Copy]]) -> Figure:
    figure, (axis,) = _axes(1, 6, 3.2)
    bins = np.linspace(0, 1, 51)
    for name, tint in (("generated", GENERATED), ("heldout", REAL)):
        label = {"generated": "generated", "heldout": "real, held-out"}[name]
        axis.hist([copy.overlap for copy in copies[name]], bins, density=True, color=tint, alpha=0.6, label=label)
    axis.axvline(copying.LIMIT, color="#111827", linewidth=1, linestyle="--")
    axis.set(
        xlabel="overlap with the nearest training eye", yticks=[], title="A copy would stand to the right of the line"
    )
    axis.legend(fontsize=8)
    return figure
