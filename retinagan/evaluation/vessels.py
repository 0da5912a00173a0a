"""Vessel statistics: is a grown tree, or the tree of a generated photograph, like those of real eyes?

:func:`vessel_statistics` measures one plane, whatever it comes from: the ridge filter's answer to a photograph, real or
generated (``retinagan.eye.ridges``), or a tree grown from a seed (``retinagan.eye.grown.visible_vessels``).
:func:`report` holds grown trees against the real ones of a training split, on the same maps:
``python -m retinagan.evaluation.vessels --data data/idrid512 --out DIR``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TypedDict

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.morphology import skeletonize

from retinagan.eye.grown import visible_vessels
from retinagan.eye.statistics import UNCORRECTED, EyeCorrections
from retinagan.maps.anatomy import Anatomy, find_anatomy
from retinagan.maps.labels import BG, EX, HE, MA

THRESHOLD = 0.3
"""Planes above this are vessel."""
RIM = 6.0
"""Pixels at 512 that are left out at the rim: neither the ridge filter nor a grown tree shows anything there."""
LESION_MARGIN = 3.0
"""Pixels at 512 around haemorrhages, microaneurysms and hard exudates where the ridge filter is blind."""
RINGS = ((0.5, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.5))
"""Distances from the disc's centre, in disc diameters, between which density is measured."""
SHORTEST = 12.0
"""Segments between junctions shorter than this (pixels at 512) have no tortuosity worth the name."""
ARM = (5.0, 14.0)
"""Distances from a junction, in pixels at 512, between which a branch's direction is taken."""
SMOOTHING = 4.0
"""Width (σ, pixels at 512) over which calibres are averaged along a vessel."""
_EIGHT = np.ones((3, 3), dtype=int)


HEADLINE = ("density", "calibre_25", "calibre_50", "calibre_75", "connected")
"""The statistics by which photographs are accepted."""


class VesselStatistics(TypedDict):
    """Figures of one eye's vessels; NaN where there is nothing to measure. All lengths are pixels at a side of 512.

    Shares are of the visible field: not the outermost pixels, not what lesions cover.
    """

    density: float
    """Share of the visible field that is vessel."""
    disc_0: float
    """Density 0.5-1 disc diameters from the disc's centre; ``disc_1`` to ``disc_3``: 1-2, 2-3 and 3-4.5."""
    disc_1: float
    disc_2: float
    disc_3: float
    superior: float
    """Density temporal of the disc and above the macula: the superior arcade and what it bears; likewise ``inferior``."""
    inferior: float
    nasal: float
    """Density on the disc's other side."""
    macula: float
    """Density within one disc diameter of the fovea; ``fovea``: within a third."""
    fovea: float
    calibre_25: float
    """Quartiles of the width along the skeleton (twice the distance transform, less a pixel)."""
    calibre_50: float
    calibre_75: float
    connected: float
    """Share of the vessel's pixels that the largest component holds."""
    components: float
    """Number of components of 8 pixels (at 512) and more."""
    length: float
    """Length of the skeleton over the square root of the visible field's area."""
    angle: float
    """Median of the smallest angle at each junction, degrees: between the daughters where they leave at an acute angle."""
    tortuosity: float
    """Median of arc over chord, minus 1, over segments between junctions."""


def vessel_statistics(plane: np.ndarray, label_map: np.ndarray, threshold: float = THRESHOLD) -> VesselStatistics:
    """Measure one plane of vessels.

    Args:
        plane: ``uint8 (S, S)`` (255 is a clear vessel) or float in 0..1.
        label_map: ``uint8 (S, S)`` of the same eye: field, disc, lesions.
        threshold: in 0..1; above it is vessel.

    Raises:
        TypeError, ValueError: not a square lesion map, or a plane of another shape.
    """
    anatomy = find_anatomy(label_map)
    if plane.shape != label_map.shape:
        raise ValueError(f"plane has shape {plane.shape}, its map {label_map.shape}")
    size = anatomy.size
    scale = size / 512
    values = plane.astype(np.float32) / 255 if plane.dtype == np.uint8 else plane
    visible = visible_field(label_map)
    vessel = (values > threshold) & visible
    regions = _regions(anatomy)

    def share(region: np.ndarray) -> float:
        here = region & visible
        return float(vessel[here].mean()) if here.any() else np.nan

    labelled, _ = ndimage.label(vessel, structure=_EIGHT)
    areas = np.bincount(labelled.ravel())[1:]
    skeleton = skeletonize(vessel)
    widths = _widths(vessel, skeleton, scale)
    quartiles = np.percentile(widths, [25, 50, 75]) if len(widths) else [np.nan] * 3
    segments, junctions = _parts(skeleton)
    return VesselStatistics(
        density=share(visible),
        **{name: share(region) for name, region in regions.items()},
        calibre_25=float(quartiles[0]),
        calibre_50=float(quartiles[1]),
        calibre_75=float(quartiles[2]),
        connected=float(areas.max() / areas.sum()) if len(areas) else np.nan,
        components=float((areas >= 8 * scale**2).sum()),
        length=float(skeleton.sum() / np.sqrt(max(visible.sum(), 1))),
        angle=_median(_angles(segments, junctions, (ARM[0] * scale, ARM[1] * scale))),
        tortuosity=_median(_tortuosities(segments, SHORTEST * scale)),
    )


def visible_field(label_map: np.ndarray) -> np.ndarray:
    """Where vessels can be seen: ``bool (S, S)``, inside the field, away from its rim and from dark lesions and exudates."""
    scale = label_map.shape[0] / 512
    visible = ndimage.distance_transform_edt(np.pad(label_map != BG, 1))[1:-1, 1:-1] > RIM * scale
    lesions = np.isin(label_map, (HE, MA, EX))
    if lesions.any():
        visible &= ndimage.distance_transform_edt(~lesions) > LESION_MARGIN * scale
    return visible


def _regions(anatomy: Anatomy) -> dict[str, np.ndarray]:
    """The regions of :class:`VesselStatistics` by name, ``bool (S, S)`` each; the disc itself belongs to none but ``disc_0``."""
    y, x = np.mgrid[: anatomy.size, : anatomy.size] + 0.5
    diameter = 0.4 * float(np.hypot(anatomy.fovea_x - anatomy.disc_x, anatomy.fovea_y - anatomy.disc_y))
    from_disc = np.hypot(x - anatomy.disc_x, y - anatomy.disc_y) / diameter
    from_fovea = np.hypot(x - anatomy.fovea_x, y - anatomy.fovea_y) / diameter
    temporal = (x - anatomy.disc_x) * (1 if anatomy.side == "left" else -1) > 0
    share = (x - anatomy.disc_x) / (anatomy.fovea_x - anatomy.disc_x)
    below = (y - anatomy.disc_y - share * (anatomy.fovea_y - anatomy.disc_y)) / diameter
    beside = temporal & (from_disc > 0.5)
    regions = {f"disc_{i}": (from_disc >= near) & (from_disc < far) for i, (near, far) in enumerate(RINGS)}
    regions["superior"] = beside & (below < -1)
    regions["inferior"] = beside & (below > 1)
    regions["nasal"] = ~temporal & (from_disc > 0.5)
    regions["macula"] = from_fovea < 1
    regions["fovea"] = from_fovea < 1 / 3
    return regions


def _widths(vessel: np.ndarray, skeleton: np.ndarray, scale: float) -> np.ndarray:
    """Width at each pixel of the skeleton, pixels at 512: averaged along it, as one pixel's is a whole number or so."""
    radius = ndimage.distance_transform_edt(vessel) * skeleton
    blurred, weight = (
        ndimage.gaussian_filter(plane.astype(np.float32), SMOOTHING * scale, mode="constant")
        for plane in (radius, skeleton)
    )
    return (2 * blurred[skeleton] / weight[skeleton] - 1) / scale


def _parts(skeleton: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A skeleton taken apart: labels ``int (S, S)`` of the segments between junctions, and of the junctions."""
    neighbours = ndimage.convolve(skeleton.astype(np.uint8), np.ones((3, 3), np.uint8), mode="constant") - 1
    crossing = ndimage.binary_dilation(skeleton & (neighbours >= 3), structure=_EIGHT) & skeleton
    segments, _ = ndimage.label(skeleton & ~crossing, structure=_EIGHT)
    junctions, _ = ndimage.label(crossing, structure=_EIGHT)
    return segments, junctions


def _tortuosities(segments: np.ndarray, shortest: float) -> np.ndarray:
    """Arc over chord minus 1 of every open segment that is long enough.

    Arc lengths of digital curves as estimated by Kimura, Kikuchi and Yamasaki (Plant and Soil 216, 1999).
    """
    count = int(segments.max(initial=0)) + 1
    straight, diagonal = np.zeros(count), np.zeros(count)
    padded = np.pad(segments, 1)
    inner = padded[1:-1, 1:-1]
    neighbours = np.zeros(segments.shape, dtype=int)
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        for sign in (1, -1):
            other = np.roll(padded, (sign * dy, sign * dx), (0, 1))[1:-1, 1:-1]
            linked = (inner > 0) & (other == inner)
            if dy and dx:  # a diagonal beside a corner is no link of its own
                via = np.roll(padded, sign * dy, 0)[1:-1, 1:-1], np.roll(padded, sign * dx, 1)[1:-1, 1:-1]
                linked &= (via[0] != inner) & (via[1] != inner)
            neighbours += linked
            if sign == 1:
                (diagonal if dy and dx else straight)[:] += np.bincount(inner[linked], minlength=count)
    arc = np.sqrt(diagonal**2 + (diagonal + straight / 2) ** 2) + straight / 2
    ys, xs = np.nonzero((segments > 0) & (neighbours == 1))
    names = segments[ys, xs]
    order = np.argsort(names, kind="stable")
    ys, xs, names = ys[order], xs[order], names[order]
    first, ends = np.unique(names, return_index=True)[1], np.bincount(names, minlength=count)
    open_ones = first[ends[names[first]] == 2]
    chord = np.hypot(ys[open_ones] - ys[open_ones + 1], xs[open_ones] - xs[open_ones + 1])
    arcs = arc[names[open_ones]]
    kept = (arcs >= shortest) & (chord > 0.3 * arcs)  # what nearly closes is no vessel's way
    return np.maximum(arcs[kept] / chord[kept], 1.0) - 1


def _angles(segments: np.ndarray, junctions: np.ndarray, arm: tuple[float, float]) -> np.ndarray:
    """The smallest angle between the branches of each junction of three, degrees."""
    angles = []
    reach = int(np.ceil(arm[1])) + 2
    for number, window in enumerate(ndimage.find_objects(junctions), start=1):
        ys, xs = np.nonzero(junctions[window] == number)
        centre = np.array([ys.mean() + window[0].start, xs.mean() + window[1].start])
        low = np.maximum(np.floor(centre).astype(int) - reach, 0)
        part = segments[low[0] : low[0] + 2 * reach + 1, low[1] : low[1] + 2 * reach + 1]
        py, px = np.nonzero(part)
        if len(py) == 0:
            continue
        delta = np.stack([py, px], axis=1) + low - centre
        away = np.hypot(*delta.T)
        names = part[py, px]
        ways = []
        for name in np.unique(names[away < arm[0]]):
            at = np.nonzero((names == name) & (away <= arm[1]))[0]
            # From some way off: within the junction a skeleton's branches share the middle of their vessels.
            near, far = at[np.argmin(np.abs(away[at] - arm[0]))], at[np.argmax(away[at])]
            along = delta[far] - delta[near]
            length = np.hypot(*along)
            if length > 0.6 * (arm[1] - arm[0]):
                ways.append(along / length)
        if len(ways) == 3:
            pairs = [float(ways[i] @ ways[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
            angles.append(np.degrees(np.arccos(np.clip(max(pairs), -1, 1))))
    return np.array(angles)


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else np.nan


def compare(real: list[VesselStatistics], grown: list[VesselStatistics]) -> dict[str, dict]:
    """For each statistic: 10th, 50th and 90th percentile of both, and the share of grown eyes within the real 10th-90th.

    Statistics that no real or no grown eye has are left out.
    """
    figures = {}
    for name in VesselStatistics.__annotations__:
        theirs, ours = (np.array([row[name] for row in rows], dtype=np.float64) for rows in (real, grown))
        theirs, ours = theirs[np.isfinite(theirs)], ours[np.isfinite(ours)]
        if not len(theirs) or not len(ours):
            continue
        low, middle, high = np.percentile(theirs, [10, 50, 90])
        figures[name] = {
            "real": [float(low), float(middle), float(high)],
            "grown": [float(v) for v in np.percentile(ours, [10, 50, 90])],
            "share": float(((ours >= low) & (ours <= high)).mean()),
        }
    return figures


def table(figures: dict) -> str:
    """The figures of :func:`report` as text."""
    lines = [
        f"{figures['eyes']} eyes; percentiles 10, 50, 90        real                       grown               within"
    ]
    for name, row in figures["statistics"].items():
        real, grown = ("".join(f"{value:9.3f}" for value in row[who]) for who in ("real", "grown"))
        lines.append(f"{name:<12}{real}  {grown}   {row['share']:6.0%}")
    for who, row in figures["sides"].items():
        told = ", ".join(f"{name} {left:.3f} / {right:.3f}" for name, (left, right) in row.items())
        lines.append(f"medians of left / right discs, {who}: {told}")
    return "\n".join(lines)


def report(
    data: str | Path,
    out: str | Path,
    count: int | None = None,
    seed: int = 1000,
    corrections: EyeCorrections = UNCORRECTED,
) -> dict:
    """Real trees of the training split in ``data`` against those grown on the same maps.

    By default grown trees are drawn as a ridge filter would see them. With a photo generator's ``corrections`` they are what it is shown:
    with fewer gaps, finer and fainter, as it broadens them.

    Writes ``vessels.json`` and ``vessels.png`` (real planes above grown ones) to ``out``. The picture shows planes
    derived from the data: it is not for publication where the data's licence forbids that.

    Args:
        data: folder written by ``prepare``.
        out: folder; made if missing.
        count: so many eyes, evenly chosen; None: all.
        seed: the eye number N is grown from ``seed`` + N.
        corrections: of a photo generator.

    Returns:
        ``eyes``, ``threshold``, ``statistics`` (:func:`compare`), and ``sides``: medians of eyes with their disc left and right.
    """
    from retinagan.data.dataset import load_prepared

    dataset = load_prepared(data, "train")
    chosen = np.arange(len(dataset))
    if count is not None and count < len(chosen):
        chosen = np.linspace(0, len(chosen) - 1, count).round().astype(int)
    real, grown, planes, sides = [], [], [], []
    for index in chosen:
        label_map, theirs = dataset.maps[index], dataset.vessels[index]
        ours = np.round(visible_vessels(label_map, seed + int(index), corrections) * 255).astype(np.uint8)
        real.append(vessel_statistics(theirs, label_map))
        grown.append(vessel_statistics(ours, label_map))
        planes.append((theirs, ours))
        sides.append(find_anatomy(label_map).side)
    figures = {
        "eyes": len(chosen),
        "threshold": THRESHOLD,
        "seed": seed,
        "statistics": compare(real, grown),
        "sides": {"real": _sides(real, sides), "grown": _sides(grown, sides)},
    }
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "vessels.json").write_text(json.dumps(figures, indent=2) + "\n")
    shown = [planes[i] for i in np.linspace(0, len(planes) - 1, min(6, len(planes))).round().astype(int)]
    picture = np.concatenate([np.concatenate(column, axis=0) for column in shown], axis=1)
    Image.fromarray(picture).save(out / "vessels.png")
    return figures


def _sides(rows: list[VesselStatistics], sides: list[str]) -> dict[str, list[float]]:
    """Medians of the headline statistics of eyes with their disc at the left and at the right."""
    return {
        name: [
            _median(np.array([row[name] for row, at in zip(rows, sides, strict=True) if at == side]))
            for side in ("left", "right")
        ]
        for name in HEADLINE
        if {"left", "right"} <= set(sides)
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder written by `prepare`")
    parser.add_argument("--out", type=Path, required=True, help="folder for vessels.json and vessels.png")
    parser.add_argument("--count", type=int, help="so many eyes, evenly chosen (default: all)")
    options = parser.parse_args(arguments)
    if options.count is not None and options.count < 1:
        parser.error(f"--count is {options.count}; it must be at least 1")
    print(table(report(options.data, options.out, options.count)))


if __name__ == "__main__":
    main()
