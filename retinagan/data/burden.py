"""Burden: how many lesions of a class an eye shows, how much of its field they cover, how large they are.

And the thresholds at which predicted lesions come out right in all three.

The threshold of the highest Dice loses small lesions: a few pixels gained at the rims of large ones outweigh them. Maps
that others learn from must be right on average instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from retinagan.maps.labels import CLASSES, LESIONS
from retinagan.maps.parts import connected, field_of_view

CANDIDATES = 1 / (1 + np.exp(-np.arange(-4, 4.01, 0.25)))
"""Probabilities among which thresholds are chosen."""


class Burden(NamedTuple):
    """The lesions of one class in one eye."""

    number: float
    """Lesions; a median of several eyes may lie between."""
    area: float
    """Share of the field of view."""
    size: float
    """Median area of a lesion in pixels of a map with a side of 512; NaN without lesions."""


def burden(mask: np.ndarray) -> Burden:
    """Of a class' mask ``bool (S, S)``; pixels that touch, also at a corner, are of one lesion."""
    labels, count = connected(mask)
    areas = np.bincount(labels.ravel())[1:]
    size = float(np.median(areas)) * (512 / mask.shape[-1]) ** 2 if count else float("nan")
    return Burden(count, float(areas.sum() / field_of_view(mask.shape[-1]).sum()), size)


def medians(burdens: Iterable[Burden]) -> Burden:
    """The median eye's; of lesion sizes that of the eyes that have lesions."""
    number, area, size = np.array([tuple(one) for one in burdens], dtype=float).reshape(-1, 3).T
    shown = size[~np.isnan(size)]
    return Burden(*(float(np.median(v)) if len(v) else float("nan") for v in (number, area, shown)))


def compare(true: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> dict[str, dict]:
    """Lesions of maps ``uint8 (S, S)`` as annotated and as predicted, over the eyes whose annotation has the class.

    Returns:
        Class → ``{"eyes": n, "annotated": {number, area, size}, "predicted": {…}, "ratio": {…}}`` of medians over eyes;
        classes that no eye has are left out.
    """
    table = {}
    for kind in LESIONS:
        pairs = [(burden(t == kind), burden(f == kind)) for t, f in zip(true, found, strict=True) if (t == kind).any()]
        if pairs:
            theirs, ours = (medians(column) for column in zip(*pairs, strict=True))
            ratio = Burden(*(b / a if a else float("nan") for a, b in zip(theirs, ours, strict=True)))
            rows = {"annotated": theirs, "predicted": ours, "ratio": ratio}
            table[CLASSES[kind].short] = {"eyes": len(pairs)} | {name: row._asdict() for name, row in rows.items()}
    return table


def unbiased_threshold(
    shares: Sequence[np.ndarray], true: Sequence[np.ndarray], clean: Callable[[np.ndarray], np.ndarray]
) -> float:
    """The probability above which a class' predictions have the annotated number, area and size, as near as may be.

    The three logarithmic errors of the median eye are added up.

    Args:
        shares: predicted probabilities ``float (S, S)`` of eyes that have the class and that the network never saw.
        true: their annotated masks ``bool (S, S)``.
        clean: what is done to a predicted mask before it becomes part of a map.
    """
    annotated = medians(burden(mask) for mask in true)
    errors = []
    for threshold in CANDIDATES:
        found = medians(burden(clean(share > threshold)) for share in shares)
        errors.append(sum(_error(a, b) for a, b in zip(annotated, found, strict=True)))
    return float(CANDIDATES[int(np.argmin(errors))])


def _error(wanted: float, found: float) -> float:
    """How many times too much or too little, as a logarithm; nothing at all counts as a tenth."""
    return abs(float(np.log(max(found, wanted / 10) / wanted))) if found > 0 and wanted > 0 else float(np.log(10))
