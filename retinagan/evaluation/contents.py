"""Do generated maps hold what real maps of their grade hold? Shares of lesions, burdens, places and discs by grade."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from retinagan.evaluation import contents_pictures, criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.map_set import MapSet
from retinagan.evaluation.report import Result, flat, markdown, number, numbers, unreported
from retinagan.evaluation.summary import FGADR_SHARES, GradeContents, LesionSummary, Summary, place_differences
from retinagan.maps.descriptors import Measured
from retinagan.maps.labels import LESIONS, MA
from retinagan.maps.measure import QUADRANTS, Measurements
from retinagan.seeds import NUM_GRADES

FIGURES = {
    "share": "Share of maps with each lesion [95 %]; → corrected",
    "number": "Lesions a map",
    "size": "Area of single lesions, pixels at 512",
    "area": "Area a map, % of the field",
    "to_fovea": "Distance of lesions to the fovea, shares of the side",
    "to_disc": "Distance of lesions to the disc, shares of the side",
    "quadrants": f"Share of lesions that are {' / '.join(QUADRANTS)}",
}
"""Figures of :class:`LesionSummary` and what the report calls them."""

PLACES_TOLD = "Where lesions lie, generated against real: largest difference of the shares up to a distance"


@dataclass(frozen=True)
class Mild:
    """Of maps asked for as grade 1: the share with microaneurysms, and with more than a trace of anything else."""

    with_aneurysms: float
    more_than_a_trace: float

    @classmethod
    def of(cls, found: Sequence[Measurements]) -> Mild:
        others = np.array([sum(sum(one.lesions[index].areas) for index in LESIONS if index != MA) for one in found])
        return cls(
            float(np.mean([one.lesions[MA].count > 0 for one in found])), float(np.mean(others > criteria.TRACE))
        )


@dataclass(frozen=True)
class Contents(Result):
    """What maps hold by grade; ``presence``: how often the segmenter that predicted some is right about an eye."""

    title: ClassVar = "What maps hold by grade"
    grades: list[GradeContents]
    mild: Mild
    presence: dict[str, dict] | None
    real: Sequence[Measured] = unreported(default=())
    generated: Sequence[Measured] = unreported(default=())

    @classmethod
    def of(cls, real: MapSet, theirs: Measured, ours: Sequence[Measured], noted: dict[str, dict] | None) -> Contents:
        """Of real maps, of generated ones by grade, and of what was noted of the segmenter."""
        rows = []
        for grade in range(NUM_GRADES):
            chosen = real.grades == grade
            predicted = chosen & (real.labels == "pseudo")
            summary = Summary.of(theirs.chosen(chosen))
            if noted and grade >= 2 and predicted.any():
                summary = summary.corrected(Summary.of(theirs.chosen(predicted)), noted)
            masks = Summary.of(theirs.chosen(chosen & (real.labels == "masks")))
            labels = dict(Counter(real.labels[chosen].tolist()))
            places = place_differences(theirs.chosen(chosen).found, ours[grade].found)
            rows.append(GradeContents(grade, labels, summary, masks, Summary.of(ours[grade]), places))
        by_grade = [theirs.chosen(real.grades == grade) for grade in range(NUM_GRADES)]
        return cls(rows, Mild.of(ours[1].found), noted, by_grade, ours)

    def criteria(self) -> list[Criterion]:
        limit = criteria.SHARES
        off = sorted(
            (row.share_difference(kind) for row in self.grades if row.real.n for kind in row.real.lesions), reverse=True
        )
        missing = ", ".join(str(row.grade) for row in self.grades if not row.real.n)
        close = limit.met(off[0][0])
        told = "; ".join(text for difference, text in off if not limit.met(difference))
        told = f"largest: {off[0][1]}" if close else told
        told += f"; no real maps of grade {missing}" if missing else ""
        burdens = [(row.generated.burden or [0, 0, 0])[1] for row in self.grades]
        mild = self.mild
        return [
            Criterion(limit.name, (None if missing else True) if close else False, told),
            Criterion(
                "median burden rises strictly from grade 0 to 3", all(a < b for a, b in pairwise(burdens[:4])),
                "grades 0-4: " + ", ".join(f"{100 * burden:.3f} %" for burden in burdens),
            ),
            Criterion(
                f"{criteria.MILD_ANEURYSMS.name}; {criteria.MILD_OTHERS.name}",
                criteria.MILD_ANEURYSMS.met(mild.with_aneurysms) and criteria.MILD_OTHERS.met(mild.more_than_a_trace),
                f"{mild.with_aneurysms:.0%} hold microaneurysms, {mild.more_than_a_trace:.0%} hold more than "
                f"{criteria.TRACE} px of other lesions",
            ),
            self._medians(),
            self._places(),
        ]  # fmt: skip

    def _medians(self) -> Criterion:
        limit = criteria.MEDIANS
        enough = [row for row in self.grades if row.real.n >= criteria.ENOUGH_MAPS]
        ratios = [(ratio, f"{told}: {number(ratio)}") for row in enough for ratio, told in row.medians()]
        off = [told for ratio, told in ratios if not limit.met(ratio)]
        told = f"{len(ratios) - len(off)} of {len(ratios)} within; {'; '.join(off)}".rstrip("; ")
        return Criterion(limit.name, not off if ratios else None, told)

    def _places(self) -> Criterion:
        limit = criteria.PLACES
        off = sorted(
            (
                (difference, f"{told} of grade {row.grade} {number(difference)}")
                for row in self.grades
                if row.real.n >= criteria.ENOUGH_MAPS
                for told, difference in row.places.items()
            ),
            reverse=True,
        )
        outside = [told for difference, told in off if not limit.met(difference)]
        farthest = outside or [told for _, told in off[:1]]
        told = f"{len(off) - len(outside)} of {len(off)} within; {'; '.join(farthest)}"
        return Criterion(limit.name, not outside if off else None, told.rstrip("; "))

    def table(self) -> list[str]:
        sets = {f"{row.grade} {who}": found for row in self.grades for who, found in row.sets()}
        lines = ["", f"### {self.title}", "", "Three numbers in a row are the quartiles."]
        for name, told in FIGURES.items():
            rows = {
                who: {"n": str(found.n), **{kind: _cell(lesion, name) for kind, lesion in found.lesions.items()}}
                for who, found in sets.items()
            }
            lines += ["", f"{told}:", *markdown(rows, "grade")]
        lines += ["", f"{PLACES_TOLD}:"]
        lines += markdown({str(row.grade): flat(row.places) for row in self.grades if row.places}, "grade")
        published = {kind: flat(dict(enumerate(shares))) for kind, shares in FGADR_SHARES.items()}
        lines += ["", "FGADR, published: share of maps with each lesion by grade", *markdown(published)]
        burdens = {
            who: {"n": str(found.n), "burden": numbers(found.burden, 100), "grid": numbers(found.grid)}
            for who, found in sets.items()
        }
        lines += ["", "Burden, % of the field, and grid: lesions in rows and columns", *markdown(burdens, "grade")]
        discs = {who: flat(found.disc) for who, found in sets.items()}
        lines += ["", "Discs: shares of maps and of the side, x from the nearer edge", *markdown(discs, "grade")]
        if self.presence:
            lines += ["", "What shares are corrected for: how often the segmenter is right about an eye"]
            lines += markdown({kind: flat(one) for kind, one in self.presence.items()})
        return lines

    def pictures(self) -> dict[str, Figure]:
        return contents_pictures.pictures(self.grades, self.real, self.generated)


def _cell(lesion: LesionSummary, name: str) -> str:
    if lesion.share is None:
        return "no real maps"
    if name == "share":
        arrow = "" if lesion.corrected is None else f" → {lesion.corrected:.2f}"
        return f"{lesion.share:.2f} [{numbers(lesion.interval)}]{arrow}"
    if name == "quadrants":
        return "/".join(number(share) for share in lesion.quadrants.values())
    return numbers(getattr(lesion, name), 100 if name == "area" else 1)
