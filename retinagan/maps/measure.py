"""What a lesion map holds, in a grader's terms: lesions counted and measured by quadrant, and the signs of the scale.

The scale is the International Clinical Diabetic Retinopathy severity scale (ICDR; Wilkinson et al., "Proposed
international clinical diabetic retinopathy and diabetic macular edema disease severity scales", Ophthalmology 110,
2003, 1677-1682):

- 0, no apparent retinopathy: no abnormalities.
- 1, mild NPDR: microaneurysms only.
- 2, moderate NPDR: more than just microaneurysms, but less than severe.
- 3, severe NPDR, the 4-2-1 rule, any of: more than 20 intraretinal haemorrhages in each of **four** quadrants; definite
  venous beading in **two** or more; prominent intraretinal microvascular abnormalities (IRMA) in **one** or more.
- 4, proliferative: new vessels, or vitreous or preretinal haemorrhage.

A map holds microaneurysms, haemorrhages and hard and soft exudates. So the first part of the 4-2-1 rule can be read off
it, the others and all of grade 4 cannot: a map shows the *least* grade that its lesions explain. The scale speaks of
the whole fundus after dilation, a map of one field of about 45 degrees; and lesions that touch count as one here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from retinagan.maps.anatomy import Anatomy, find_anatomy
from retinagan.maps.labels import BG, CLASSES, EX, HE, LESIONS, MA, OD, SE
from retinagan.maps.parts import connected

QUADRANTS = ("superior temporal", "superior nasal", "inferior temporal", "inferior nasal")
"""The quarters of the field in which :func:`measure` counts; clinical names, superior is up."""

SEVERE_HAEMORRHAGES = 20
"""The 4-2-1 rule asks for *more than* this many haemorrhages in each quadrant."""


@dataclass(frozen=True)
class ClassMeasure:
    """The lesions of one class.

    Attributes:
        count: connected lesions (pixels that touch, also at a corner, are of one lesion).
        area: share of the field of view that they cover, 0..1.
        areas: area of each lesion in pixels of a map with a side of 512, in reading order of the map.
        centres: their centres of gravity (x, y) in pixels of this map.
        quadrants: name of :data:`QUADRANTS` → (lesions whose centre lies in it, share of the field of view that the
            class covers in it); a lesion across a border counts once and covers both sides.
        fovea_distance: from the fovea to the nearest pixel of the class in disc diameters, None without lesions.
    """

    count: int
    area: float
    areas: tuple[float, ...]
    centres: tuple[tuple[float, float], ...]
    quadrants: dict[str, tuple[int, float]]
    fovea_distance: float | None


@dataclass(frozen=True)
class Measurements:
    """What :func:`measure` finds in a map. Pixels are those of the map, their centres at +0.5, x to the right, y down.

    Attributes:
        side: where the disc lies, ``"left"`` or ``"right"``; ``"left"`` is assumed where there is none.
        disc: (x, y, radius) of the largest disc region, the radius that of a circle of its area; None without a disc.
        roundness: share of that circle that is disc, 0..1; real discs have 0.9 and more; None without a disc.
        fovea: (x, y), as given or inferred from the disc (:mod:`retinagan.maps.anatomy`).
        lesions: class index (EX, HE, SE, MA) → its measures.
        burden: share of the field of view that lesions of all classes cover, 0..1.
        size: side of the map.
    """

    side: str
    disc: tuple[float, float, float] | None
    roundness: float | None
    fovea: tuple[float, float]
    lesions: dict[int, ClassMeasure]
    burden: float
    size: int


@dataclass(frozen=True)
class Sign:
    """One sign of the scale: whether a map shows it (``met`` None: it cannot tell), and the grade that it means."""

    name: str
    met: bool | None
    explanation: str
    grade: int


def measure(label_map: np.ndarray, fovea: tuple[float, float] | None = None) -> Measurements:
    """Count and measure the lesions of a map ``uint8 (S, S)``.

    The line from the disc's centre to the fovea parts superior from inferior; the perpendicular to it through the fovea
    parts nasal (where the disc is) from temporal. These are quarters of this field about the fovea, as in the ETDRS
    grid; the scale's own quadrants reach further out than one photograph.

    Args:
        fovea: (x, y) in pixels where it is known; else it is inferred from the disc.

    Raises:
        TypeError, ValueError: not a square lesion map, or a fovea that is not two finite numbers apart from the disc's
            centre.
    """
    eye = find_anatomy(label_map)
    fovea_x, fovea_y = (eye.fovea_x, eye.fovea_y) if fovea is None else (float(v) for v in fovea)
    away = math.hypot(fovea_x - eye.disc_x, fovea_y - eye.disc_y)
    if not math.isfinite(away) or away < 1e-6 * eye.size:
        raise ValueError(
            f"fovea is {(fovea_x, fovea_y)}; it must be two finite numbers away from the disc's centre "
            f"({eye.disc_x:.1f}, {eye.disc_y:.1f}); leave it out to have it inferred"
        )
    temporal = ((fovea_x - eye.disc_x) / away, (fovea_y - eye.disc_y) / away)
    field = max(int((label_map != BG).sum()), 1)

    def quadrant_of(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        dx, dy = x - fovea_x, y - fovea_y
        # The axis points left or right; superior is up in the picture either way.
        down = (dy * temporal[0] - dx * temporal[1]) * math.copysign(1.0, temporal[0])
        return 2 * (down > 0) + (dx * temporal[0] + dy * temporal[1] <= 0)

    lesions = {}
    for index in LESIONS:
        components, count = connected(label_map == index)
        ys, xs = np.nonzero(components)
        part = components[ys, xs] - 1
        areas = np.bincount(part, minlength=count)
        centre_x = np.bincount(part, xs + 0.5, count) / areas
        centre_y = np.bincount(part, ys + 0.5, count) / areas
        counts = np.bincount(quadrant_of(centre_x, centre_y), minlength=4)
        covered = np.bincount(quadrant_of(xs + 0.5, ys + 0.5), minlength=4) / field
        nearest = float(np.hypot(xs + 0.5 - fovea_x, ys + 0.5 - fovea_y).min()) if count else None
        lesions[index] = ClassMeasure(
            count=int(count),
            area=len(ys) / field,
            areas=tuple((areas * (512 / eye.size) ** 2).tolist()),
            centres=tuple(zip(centre_x.tolist(), centre_y.tolist(), strict=True)),
            quadrants={name: (int(counts[i]), float(covered[i])) for i, name in enumerate(QUADRANTS)},
            fovea_distance=None if nearest is None else nearest / (2 * eye.disc_radius),
        )
    return Measurements(
        side=eye.side,
        disc=(eye.disc_x, eye.disc_y, eye.disc_radius) if eye.has_disc else None,
        roundness=_roundness(label_map, eye) if eye.has_disc else None,
        fovea=(fovea_x, fovea_y),
        lesions=lesions,
        burden=float(sum(lesion.area for lesion in lesions.values())),
        size=eye.size,
    )


def _roundness(label_map: np.ndarray, eye: Anatomy) -> float:
    ys, xs = np.nonzero(label_map == OD)
    inside = np.hypot(xs + 0.5 - eye.disc_x, ys + 0.5 - eye.disc_y) <= eye.disc_radius
    return min(float(inside.sum()) / (math.pi * eye.disc_radius**2), 1.0)


def icdr_signs(measurements: Measurements) -> list[Sign]:
    """The signs of the scale in the order of its grades, for :class:`Measurements` of one map."""
    lesions = measurements.lesions
    others = [CLASSES[index] for index in (HE, EX, SE) if lesions[index].count]
    aneurysms = lesions[MA].count
    haemorrhages = [lesions[HE].quadrants[name][0] for name in QUADRANTS]
    fullest = sum(count > SEVERE_HAEMORRHAGES for count in haemorrhages)
    listed = ", ".join(f"{name} {count}" for name, count in zip(QUADRANTS, haemorrhages, strict=True))
    return [
        Sign(
            "Microaneurysms", aneurysms > 0,
            f"{_counted(aneurysms, 'microaneurysm')}. Microaneurysms alone are mild NPDR.", 1,
        ),
        Sign(
            "More than microaneurysms", bool(others),
            (", ".join(_counted(lesions[kind.index].count, kind.name.lower()) for kind in others) or "Nothing else")
            + ". Anything more than microaneurysms is at least moderate NPDR.", 2,
        ),
        Sign(
            "More than 20 haemorrhages in each quadrant", fullest == len(QUADRANTS),
            f"Haemorrhages: {listed}; {fullest} of 4 quadrants hold more than 20. All four are severe NPDR "
            "(4-2-1 rule). Quadrants are those of this one field; touching haemorrhages count as one.", 3,
        ),
        Sign(
            "Venous beading in two quadrants", None,
            "A map has no class for it. It would be severe NPDR (4-2-1 rule).", 3,
        ),
        Sign(
            "IRMA in one quadrant", None,
            "Intraretinal microvascular abnormalities: a map has no class for them. Prominent ones would be severe "
            "NPDR (4-2-1 rule).", 3,
        ),
        Sign("New vessels", None, "A map has no class for them. They would be proliferative retinopathy.", 4),
        Sign(
            "Vitreous or preretinal haemorrhage", None,
            "A map's haemorrhages lie within the retina. Before it they would be proliferative retinopathy.", 4,
        ),
    ]  # fmt: skip


def least_grade(measurements: Measurements) -> int:
    """The least ICDR grade, 0-3, that explains the map's lesions; what a map cannot show may make it higher."""
    return max((sign.grade for sign in icdr_signs(measurements) if sign.met), default=0)


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"
