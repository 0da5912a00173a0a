"""Vessel statistics: is a grown tree, or the tree of a generated photograph, like those of real eyes?

:func:`vessel_statistics` measures one plane, whatever it comes from: the ridge filter's answer to a photograph, real or
generated (``retinagan.eye.ridges``), or a tree grown from a seed (``retinagan.eye.grown.visible_vessels``).

``python -m retinagan evaluate vessels --data data/idrid512``: are grown trees like real ones, both on the training
split's maps? They are drawn as a ridge filter would see them; a photo generator, which broadens them, is shown finer
and fainter ones (:class:`retinagan.eye.statistics.EyeCorrections`). The picture (real planes above grown ones) is
derived from the data: it is not for publication where the data's licence forbids that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypedDict

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage
from skimage.morphology import skeletonize
from tqdm import tqdm

from retinagan.data.dataset import load_prepared
from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.distances import Within
from retinagan.evaluation.plots import BOTH, axes, boxes
from retinagan.evaluation.report import Report, Result, unreported
from retinagan.eye.grown import visible_vessels
from retinagan.maps.anatomy import Anatomy, find_anatomy
from retinagan.maps.labels import BG, EX, HE, MA
from retinagan.maps.parts import EIGHT, connected
from retinagan.pipeline import RetinaGAN

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

HEADLINE = ("density", "calibre_25", "calibre_50", "calibre_75", "connected")
"""The statistics by which photographs are accepted."""
FIRST_SEED = 1000
"""The eye number N is grown from this seed + N: seeds from 0 on are what is reported elsewhere."""
WITHOUT_DISC = (*HEADLINE, "length", "angle", "tortuosity")
"""Statistics that need no disc: of many real photographs its place is not known."""


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
    """Density temporal of the disc and above the macula: the superior arcade and its branches; so ``inferior``."""
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
    """Median of the smallest angle at each junction, degrees: mostly that between the daughters."""
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

    labelled, _ = connected(vessel)
    areas = np.bincount(labelled.ravel())[1:]
    skeleton = skeletonize(vessel)
    widths = _widths(vessel, skeleton, scale)
    quartiles = np.percentile(widths, [25, 50, 75]) if len(widths) else [np.nan] * 3
    segments, junctions = _parts(skeleton)
    return VesselStatistics(
        density=share(visible),
        **{name: share(region) for name, region in regions.items()},  # type: ignore[typeddict-item]
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
    """Where vessels can be seen, ``bool (S, S)``: in the field, away from its rim, dark lesions and exudates."""
    scale = label_map.shape[0] / 512
    visible = ndimage.distance_transform_edt(np.pad(label_map != BG, 1))[1:-1, 1:-1] > RIM * scale
    lesions = np.isin(label_map, (HE, MA, EX))
    if lesions.any():
        visible &= ndimage.distance_transform_edt(~lesions) > LESION_MARGIN * scale
    return visible


def _regions(anatomy: Anatomy) -> dict[str, np.ndarray]:
    """The regions of :class:`VesselStatistics`, ``bool (S, S)``; the disc itself belongs to none but ``disc_0``."""
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
    crossing = ndimage.binary_dilation(skeleton & (neighbours >= 3), structure=EIGHT) & skeleton
    segments, _ = connected(skeleton & ~crossing)
    junctions, _ = connected(crossing)
    return segments, junctions


def _tortuosities(segments: np.ndarray, shortest: float) -> np.ndarray:
    """Arc over chord minus 1 of every open segment that is long enough.

    Arc lengths of digital curves as estimated by Kimura, Kikuchi and Yamasaki (Plant and Soil 216, 1999), from the
    steps of the paths that skan finds: of straight and diagonal steps alone, as skan measures them, they are too long.
    """
    from skan import Skeleton

    if not segments.any():
        return np.empty(0)
    skeleton = Skeleton(segments > 0, keep_images=False)
    found = []
    for path in map(skeleton.path_coordinates, range(skeleton.n_paths)):
        diagonal = np.abs(np.diff(path, axis=0)).sum(1) == 2
        d, straight = np.count_nonzero(diagonal), np.count_nonzero(~diagonal)
        arc = np.hypot(d, d + straight / 2) + straight / 2
        chord = np.hypot(*(path[-1] - path[0]))
        if arc >= shortest and chord > 0.3 * arc:  # what nearly closes is no vessel's way
            found.append(max(arc / chord, 1.0) - 1)
    return np.array(found)


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


@dataclass(frozen=True)
class Vessels(Result):
    """Statistics of the vessels in real and in generated photographs."""

    title: ClassVar = "Vessels: percentiles 10, 25, 50, 75, 90 and the share within the real 10 to 90"
    statistics: dict[str, Within]
    real: Mapping[str, np.ndarray] = unreported(default_factory=dict)
    generated: Mapping[str, np.ndarray] = unreported(default_factory=dict)

    @classmethod
    def of(cls, real: Sequence[Mapping[str, object]], generated: Sequence[Mapping[str, object]]) -> Vessels:
        theirs, ours = ({k: np.array([row[k] for row in rows]) for k in WITHOUT_DISC} for rows in (real, generated))
        return cls({name: Within.of(theirs[name], ours[name]) for name in WITHOUT_DISC}, theirs, ours)

    def criteria(self) -> list[Criterion]:
        listed = []
        for name in HEADLINE:
            row, met, told = self.statistics[name], None, "no vessels to measure"
            if row.real and row.generated and row.share is not None:
                met = criteria.VESSELS.met(row.share)
                medians = f"{row.generated[2]:.3g} generated, {row.real[2]:.3g} real"
                told = f"{row.share:.0%} within {row.real[0]:.3g} to {row.real[-1]:.3g}; medians {medians}"
            listed.append(Criterion(f"vessels: {name}: {criteria.VESSELS.name}", met, told))
        return listed

    def pictures(self) -> dict[str, Figure]:
        figure, (line,) = axes(1, len(self.statistics), 2.4 * len(self.statistics), 3.2)
        for axis, (name, row) in zip(line, self.statistics.items(), strict=True):
            axis.set_title(name.replace("_", " "))
            if row.real is None or row.generated is None:
                continue  # nothing to draw
            axis.axhspan(row.real[0], row.real[-1], color="#e5e7eb")
            for place, (of, (_, colour)) in enumerate(zip((self.real, self.generated), BOTH, strict=True)):
                boxes(axis, [of[name][np.isfinite(of[name])]], colour, [place], widths=0.6)
            axis.set_xticks([0, 1], [who for who, _ in BOTH])
        return {"vessels": figure}


@dataclass(frozen=True)
class Trees(Result):
    """The statistics of real and of grown trees; ``sides``: medians of the headline ones of eyes with their disc left
    and right."""

    title: ClassVar = "Percentiles 10, 25, 50, 75, 90 of real and of grown trees; medians of left and right discs"
    statistics: dict[str, Within]
    sides: dict[str, dict[str, list[float]]]
    planes: Sequence[tuple[np.ndarray, np.ndarray]] = unreported(default=())

    @classmethod
    def of(
        cls,
        real: Sequence[Mapping[str, object]],
        grown: Sequence[Mapping[str, object]],
        left: list[bool],
        planes: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    ) -> Trees:
        """Of real and grown eyes, and whether the disc of each lies left."""
        theirs, ours = ({k: np.array([row[k] for row in rows]) for k in rows[0]} for rows in (real, grown))
        side = np.array(left)
        sides = {
            who: {k: [float(np.median(of[k][at])) for at in (side, ~side)] for k in HEADLINE if len(set(left)) == 2}
            for who, of in (("real", theirs), ("grown", ours))
        }
        return cls({name: Within.of(theirs[name], ours[name]) for name in theirs}, sides, planes)

    def pictures(self) -> dict[str, Image.Image]:
        places = np.linspace(0, len(self.planes) - 1, min(6, len(self.planes))).round().astype(int)
        return {"planes": Image.fromarray(np.hstack([np.vstack(self.planes[i]) for i in places]))}


def evaluate(data: Path, model: Path, out: Path, count: int | None = None, progress: bool = True) -> Report:
    """Measure ``count`` training eyes, evenly chosen, beside trees as ``model`` is shown them; None: all."""
    corrections = RetinaGAN.from_pretrained(model).photo_generator.config.corrections
    dataset = load_prepared(data, "train")
    chosen = np.linspace(0, len(dataset) - 1, min(count or len(dataset), len(dataset))).round().astype(int)
    real, grown, planes, left = [], [], [], []
    for index in tqdm(chosen, unit="eye", disable=not progress):
        label_map, theirs = dataset.maps[index], dataset.vessels[index]
        ours = np.round(visible_vessels(label_map, FIRST_SEED + int(index), corrections) * 255).astype(np.uint8)
        real.append(vessel_statistics(theirs, label_map))
        grown.append(vessel_statistics(ours, label_map))
        planes.append((theirs, ours))
        left.append(find_anatomy(label_map).side == "left")
    report = Report(
        name="vessels",
        title=[f"Vessels of {len(chosen)} training eyes of {data.name} beside trees grown on their maps"],
        facts={"eyes": len(chosen), "threshold": THRESHOLD, "seed": FIRST_SEED},
        results={"vessels": Trees.of(real, grown, left, planes)},
    )
    report.write(out)
    return report
