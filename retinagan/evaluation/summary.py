"""What a set of lesion maps holds: shares, numbers, areas and places of lesions, and discs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import ks_2samp

from retinagan.data.presence import corrected
from retinagan.evaluation.distances import percentiles, wilson_interval
from retinagan.evaluation.report import numbers
from retinagan.maps.descriptors import Measured, distances_to
from retinagan.maps.labels import CLASSES, EX, HE, LESIONS, MA
from retinagan.maps.measure import QUADRANTS, Measurements

FGADR_SHARES = {
    "MA": (0.09, 0.93, 0.81, 0.82, 0.71),
    "HE": (0.04, 0.24, 0.85, 0.98, 0.90),
    "EX": (0.05, 0.20, 0.69, 0.90, 0.85),
    "SE": (0.02, 0.02, 0.30, 0.51, 0.37),
}
"""Published shares of maps with each lesion by grade in FGADR's Seg-set (Zhou et al., IEEE Trans. Medical Imaging 40,
2021), another data set, annotated by others: for orientation alone."""


@dataclass(frozen=True)
class LesionSummary:
    """Lesions of one class; three numbers are quartiles, None where there are none to be taken.

    Attributes:
        share: of maps that have it, with its 95 % ``interval``; ``corrected``: for what a segmenter misses or makes up.
        number, area: a map: lesions, and share of the field.
        size: of single lesions, pixels at 512.
        to_fovea, to_disc: of single lesions, shares of the side.
        quadrants: shares of all lesions.
    """

    share: float | None
    interval: list[float] | None
    number: list[float] | None
    area: list[float] | None
    size: list[float] | None
    to_fovea: list[float] | None
    to_disc: list[float] | None
    quadrants: dict[str, float | None]
    corrected: float | None = None

    @classmethod
    def of(cls, maps: Sequence[Measurements], index: int) -> LesionSummary:
        lesions = [found.lesions[index] for found in maps]
        having = sum(lesion.count > 0 for lesion in lesions)
        total = sum(lesion.count for lesion in lesions)
        return cls(
            share=having / len(maps) if maps else None,
            interval=wilson_interval(having, len(maps)),
            number=percentiles([lesion.count for lesion in lesions]),
            area=percentiles([lesion.area for lesion in lesions]),
            size=percentiles([area for lesion in lesions for area in lesion.areas]),
            to_fovea=percentiles([d for m in maps for d in distances_to(m, (index,), m.fovea)]),
            to_disc=percentiles([d for m in maps if m.disc for d in distances_to(m, (index,), m.disc[:2])]),
            quadrants={
                name: sum(lesion.quadrants[name][0] for lesion in lesions) / total if total else None
                for name in QUADRANTS
            },
        )


@dataclass(frozen=True)
class DiscSummary:
    """The ``share`` of maps with a disc, the share of these where it lies ``left``, and quartiles: radius, x (from the
    nearer edge) and y as shares of the side."""

    share: float | None
    radius: list[float] | None
    roundness: list[float] | None
    x: list[float] | None
    y: list[float] | None
    left: float | None

    @classmethod
    def of(cls, maps: Sequence[Measurements]) -> DiscSummary:
        having = [found for found in maps if found.disc]
        discs = [np.divide(found.disc, found.size) for found in maps if found.disc]
        x, y, radius = np.reshape(discs, (-1, 3)).T
        return cls(
            share=len(having) / len(maps) if maps else None,
            radius=percentiles(radius),
            roundness=percentiles([found.roundness or 0.0 for found in having]),
            x=percentiles(np.minimum(x, 1 - x)),
            y=percentiles(y),
            left=float(np.mean([found.side == "left" for found in having])) if having else None,
        )


@dataclass(frozen=True)
class Summary:
    """``n`` maps: quartiles of the ``burden`` (share of the field) and of the ``grid`` of maps with lesions, their
    lesions by class, and their discs."""

    n: int
    burden: list[float] | None
    grid: list[float] | None
    lesions: dict[str, LesionSummary]
    disc: DiscSummary

    @classmethod
    def of(cls, measured: Measured) -> Summary:
        return cls(
            n=len(measured),
            burden=percentiles([found.burden for found in measured.found]),
            grid=percentiles(measured.grids[measured.with_lesions]),
            lesions={CLASSES[index].short: LesionSummary.of(measured.found, index) for index in LESIONS},
            disc=DiscSummary.of(measured.found),
        )

    def corrected(self, predicted: Summary, noted: dict[str, dict]) -> Summary:
        """With the shares that the ``predicted`` ones among these maps have when they are corrected for what was
        ``noted`` of their segmenter (:mod:`retinagan.data.presence`)."""
        lesions = dict(self.lesions)
        for kind, lesion in self.lesions.items():
            own = predicted.lesions[kind].share
            if own is None or lesion.share is None:
                continue
            share = corrected(own, noted[kind])
            if share is not None:
                lesions[kind] = replace(lesion, corrected=lesion.share + (share - own) * predicted.n / self.n)
        return replace(self, lesions=lesions)


def place_differences(real: Sequence[Measurements], generated: Sequence[Measurements]) -> dict[str, float]:
    """How differently lesions lie: ``{"EX to the fovea": 0..1, …}``, the largest difference of the shares of lesions up
    to a distance (Kolmogorov and Smirnov's statistic), for hard exudates, haemorrhages and microaneurysms, to the fovea
    and to the disc; without those that real or generated maps lack."""
    found = {}
    for index in (EX, HE, MA):
        for name, point in (("fovea", lambda m: m.fovea), ("disc", lambda m: m.disc and m.disc[:2])):
            distances = [
                np.concatenate([distances_to(m, (index,), point(m)) for m in maps if point(m)] or [np.empty(0)])
                for maps in (real, generated)
            ]
            if all(map(len, distances)):
                found[f"{CLASSES[index].short} to the {name}"] = float(ks_2samp(*distances).statistic)
    return found


@dataclass(frozen=True)
class GradeContents:
    """Maps of one grade: where the lesions of real ones are from (``labels``), what all real ones, the annotated ones
    among them (``masks``) and generated ones hold, and how their ``places`` differ (:func:`place_differences`)."""

    grade: int
    labels: dict[str, int]
    real: Summary
    masks: Summary
    generated: Summary
    places: dict[str, float]

    def sets(self) -> list[tuple[str, Summary]]:
        """The sets to tell of: annotated maps on their own where others are predicted."""
        mixed = {"masks", "pseudo"} <= set(self.labels)
        return [
            ("real", self.real), *([("annotated alone", self.masks)] if mixed else []), ("generated", self.generated),
        ]  # fmt: skip

    def share_difference(self, kind: str) -> tuple[float, str]:
        """How far the shares of a lesion differ, and both in words, with the 95 % interval of the real one; a corrected
        one counts."""
        ours, theirs = self.generated.lesions[kind].share or 0.0, self.real.lesions[kind]
        share = theirs.share or 0.0
        text = f"{kind} of grade {self.grade} {ours:.2f}, real {share:.2f} [{numbers(theirs.interval)}]"
        if theirs.corrected is not None:
            share = theirs.corrected
            text += f", corrected {share:.2f}"
        return abs(ours - share), f"{text} (n {self.real.n})"

    def medians(self) -> list[tuple[float, str]]:
        """Generated over real median of each lesion's number, area and size, with both in words; those alone that the
        median real map has. Soft exudates are too few to tell."""
        found = []
        for kind in ("EX", "HE", "MA"):
            ours, theirs = self.generated.lesions[kind], self.real.lesions[kind]
            for name in ("number", "area", "size"):
                own, real = ((getattr(lesion, name) or [0.0, 0.0, 0.0])[1] for lesion in (ours, theirs))
                if real and (theirs.number or [0, 0, 0])[1]:
                    told = f"{kind} {name} of grade {self.grade} {numbers([own])}, real {numbers([real])}"
                    found.append((own / real, told))
        return found
