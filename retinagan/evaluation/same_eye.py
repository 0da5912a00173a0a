"""Is it the same eye when its lesions change? A map and itself with its lesions removed, mirrored or moved.

Away from the lesions the photograph should stay; where they were, the retina should show again, and where they are
now, they should be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from retinagan.evaluation.contrast import BRIGHTER, Region, regions
from retinagan.maps.labels import BG, CLASSES, LESIONS, VB, check_map

MARGIN = 8
"""Pixels at a side of 512 around lesions that belong to them: soft edges, and vessels that are hidden beside them."""

MOST_CHANGE = 2.0
"""Mean absolute difference outside, in levels of 0..255, at most."""

LEAST_RIGHT = 0.9
"""Share of lesions that are seen where they are, and gone from where they were, at least."""

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


def summary(edits: Sequence[Edit]) -> dict:
    """Figures of many edits.

    Returns:
        For each kind of edit and for ``all``: ``n`` edits, ``change`` (mean), ``worst`` change; ``right``: of
        ``lesions`` in edited maps the share that is brighter or darker than its surroundings as its class should be;
        ``gone``: of ``freed`` places the share that lost more than half of the lesion's contrast; both by class, too.
    """
    table = {}
    for name in (*dict.fromkeys(edit.name for edit in edits), "all"):
        chosen = [edit for edit in edits if name in (edit.name, "all")]
        there = [region for edit in chosen for region in edit.there]
        gone = [place for edit in chosen for place in edit.gone]
        changes = [edit.change for edit in chosen]
        row = {"n": len(chosen), "change": float(np.mean(changes)), "worst": float(np.max(changes))}
        row |= {"lesions": len(there), "right": _share([r.right for r in there])}
        row |= {"freed": len(gone), "gone": _share([_is_gone(*place) for place in gone])}
        row["classes"] = {
            CLASSES[k].short: {
                "right": _share([r.right for r in there if r.index == k]),
                "gone": _share([_is_gone(*place) for place in gone if place[0] == k]),
            }
            for k in LESIONS
        }
        table[name] = row
    return table


def _is_gone(index: int, before: float, after: float) -> bool:
    return after < before / 2 if BRIGHTER[index] else after > before / 2


def _share(flags: list[bool]) -> float | None:
    return float(np.mean(flags)) if flags else None
