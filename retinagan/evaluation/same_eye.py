"""Is it the same eye when its lesions change? A map and itself with its lesions removed, mirrored or moved.

Away from the lesions the photograph should stay; where they were, the retina should show again, and where they are
now, they should be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from retinagan.evaluation import criteria
from retinagan.evaluation.contrast import BRIGHTER, Region, regions
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.report import Result, number
from retinagan.maps.labels import BG, CLASSES, LESIONS, VB, check_map

MARGIN = 8
"""Pixels at a side of 512 around lesions that belong to them: soft edges, and vessels that are hidden beside them."""

SMALLEST = 12
"""Lesions of fewer pixels at a side of 512 are not judged: a few pixels of mottle outweigh them."""

MOVE = (0.09, -0.06)
"""How far lesions are moved, down and right, as shares of the side."""


def edited_maps(label_map: np.ndarray) -> dict[str, np.ndarray]:
    """The map with its lesions ``removed``, ``mirrored`` (top to bottom) and ``moved``; disc and field stay.

    Lesions that would come to lie on the disc or outside the field are cut off.
    """
    check_map(label_map)
    lesions = np.isin(label_map, LESIONS)
    removed = np.where(lesions, VB, label_map).astype(np.uint8)
    shift = [round(part * len(label_map)) for part in MOVE]
    edited = {"removed": removed}
    for name, turned in (
        ("mirrored", np.where(lesions, label_map, VB)[::-1]),
        ("moved", ndimage.shift(np.where(lesions, label_map, VB), shift, order=0, mode="constant", cval=VB)),
    ):
        edited[name] = np.where((removed == VB) & (turned != VB), turned, removed).astype(np.uint8)
    return edited


def change_outside(before: np.ndarray, after: np.ndarray, *maps: np.ndarray) -> float:
    """Mean absolute difference of two photographs ``uint8 (S, S, 3)`` away from all lesions of ``maps``, in 0..255."""
    lesions = np.any([np.isin(label_map, LESIONS) for label_map in maps], axis=0)
    inside = maps[0] != BG
    if lesions.any():
        inside = inside & (ndimage.distance_transform_edt(~lesions) > MARGIN * len(lesions) / 512)
    difference = np.abs(before.astype(np.int16) - after)[inside]
    return float(difference.mean()) if difference.size else float("nan")


@dataclass(frozen=True)
class Edit:
    """What an edit of a map did to its photograph.

    Attributes:
        name: removed, mirrored or moved.
        change: :func:`change_outside`.
        there: lesions of the edited map in its photograph.
        gone: for each lesion that was seen and whose place the edit leaves free, (class, contrast before, contrast
            after) there.
    """

    name: str
    change: float
    there: list[Region]
    gone: list[tuple[int, float, float]]


def compare_edit(name: str, label_map: np.ndarray, photo: np.ndarray, edited: np.ndarray, after: np.ndarray) -> Edit:
    """The :class:`Edit` of a map and its photograph into another map and its photograph of the same style."""
    freed = np.where(np.isin(edited, LESIONS), BG, label_map).astype(np.uint8)  # what the edit covers anew is left out
    before_regions, after_regions = regions(freed, photo), regions(freed, after)
    gone = [
        (one.index, one.contrast, other.contrast)
        for one, other in zip(before_regions, after_regions, strict=True)
        if one.index in LESIONS and one.right and _large(one, label_map)
    ]
    there = [r for r in regions(edited, after) if r.index in LESIONS and _large(r, label_map)]
    return Edit(name, change_outside(photo, after, label_map, edited), there, gone)


def _large(region: Region, label_map: np.ndarray) -> bool:
    return region.area >= SMALLEST * (len(label_map) / 512) ** 2


@dataclass(frozen=True)
class ClassEdits:
    """Of one class the shares that are ``right`` and ``gone``, as in :class:`Edits`; None of none."""

    right: float | None
    gone: float | None


@dataclass(frozen=True)
class Edits:
    """``n`` edits: mean and worst change outside lesions; ``right``: of ``lesions`` in edited maps the share that is
    brighter or darker than its surroundings as its class should be; ``gone``: of ``freed`` places the share that lost
    more than half of the lesion's contrast."""

    n: int
    change: float
    worst: float
    lesions: int
    right: float | None
    freed: int
    gone: float | None
    classes: dict[str, ClassEdits]

    @classmethod
    def of(cls, edits: Sequence[Edit]) -> Edits:
        there = [(region.index, region.right) for edit in edits for region in edit.there]
        gone = [(index, _is_gone(index, *contrasts)) for edit in edits for index, *contrasts in edit.gone]
        changes = [edit.change for edit in edits]
        classes = {CLASSES[k].short: ClassEdits(_share(there, k), _share(gone, k)) for k in LESIONS}
        return cls(
            len(edits), float(np.mean(changes)), float(np.max(changes)), len(there), _share(there), len(gone),
            _share(gone), classes,
        )  # fmt: skip


def _is_gone(index: int, before: float, after: float) -> bool:
    return after < before / 2 if BRIGHTER[index] else after > before / 2


def _share(flags: list[tuple[int, bool]], index: int | None = None) -> float | None:
    chosen = [flag for of, flag in flags if index in (None, of)]
    return float(np.mean(chosen)) if chosen else None


@dataclass(frozen=True)
class SameEye(Result):
    """Edits of each kind and ``all`` of them; ``batch_is_single``: whether photographs rendered together are those
    rendered alone, to the byte."""

    title: ClassVar = "Lesions removed, mirrored and moved"
    edits: dict[str, Edits]
    batch_is_single: bool

    @classmethod
    def of(cls, edits: Sequence[Edit], batch_is_single: bool) -> SameEye:
        kinds = {name: [edit for edit in edits if edit.name == name] for name in dict.fromkeys(e.name for e in edits)}
        return cls({name: Edits.of(chosen) for name, chosen in (*kinds.items(), ("all", edits))}, batch_is_single)

    def criteria(self) -> list[Criterion]:
        edits = self.edits["all"]
        named = ", ".join(f"{name} {row.change:.2f}" for name, row in self.edits.items() if name != "all")
        changed = f"{edits.change:.2f} ({named}); worst of {edits.n}: {edits.worst:.2f}"
        told = {
            key: ", ".join(f"{short} {number(getattr(row, key))}" for short, row in edits.classes.items())
            for key in ("right", "gone")
        }
        return [
            criteria.CHANGE.judge(edits.change, changed),
            Criterion("a photograph of a batch is that rendered alone", self.batch_is_single, "3 photographs"),
            criteria.SEEN.judge(edits.right, f"{number(edits.right)} of {edits.lesions} ({told['right']})"),
            criteria.GONE.judge(edits.gone, f"{number(edits.gone)} of {edits.freed} ({told['gone']})"),
        ]
