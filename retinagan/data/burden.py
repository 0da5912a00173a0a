"""Burden: how many lesions of a class an eye shows, how much of its field they cover, how large they are.

And the cut, a threshold and a least area, at which predicted lesions come out right in all three. The threshold of the
highest Dice loses small lesions: a few pixels gained at the rims of large ones outweigh them. Maps that others learn
from must be right on average instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from retinagan.maps.labels import CLASSES, LESIONS
from retinagan.maps.parts import connected, field_of_view

CANDIDATES = 1 / (1 + np.exp(-np.arange(-4, 4.01, 0.25)))
"""Probabilities among which thresholds are chosen."""
LEAST_AREAS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, 40.0)
"""Pixels at a side of 512 among which the least area of a lesion is chosen."""

_FIELD = float(field_of_view(512).sum())


class Burden(NamedTuple):
    """The lesions of one class in one eye."""

    number: float
    """Lesions; a median of several eyes may lie between."""
    area: float
    """Share of the field of view."""
    size: float
    """Median area of a lesion in pixels of a map with a side of 512; NaN without lesions."""


class Cut(NamedTuple):
    """What of a class is predicted: where its probability is above ``threshold``, parts of at least ``least`` area."""

    threshold: float
    least: float
    """In pixels of a map with a side of 512."""


def areas(mask: np.ndarray) -> np.ndarray:
    """Area of each lesion of a mask ``bool (S, S)`` in pixels of a map with a side of 512; corners touch, too."""
    labels, _ = connected(mask)
    return np.bincount(labels.ravel())[1:] * (512 / mask.shape[-1]) ** 2


def burden(found: np.ndarray) -> Burden:
    """Of lesions of these :func:`areas`."""
    size = float(np.median(found)) if len(found) else float("nan")
    return Burden(len(found), float(found.sum()) / _FIELD, size)


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
        pairs = [
            tuple(burden(areas(m == kind)) for m in pair) for pair in zip(true, found, strict=True) if kind in pair[0]
        ]
        if pairs:
            theirs, ours = (medians(column) for column in zip(*pairs, strict=True))
            ratio = Burden(*(b / a if a else float("nan") for a, b in zip(theirs, ours, strict=True)))
            rows = {"annotated": theirs, "predicted": ours, "ratio": ratio}
            table[CLASSES[kind].short] = {"eyes": len(pairs)} | {name: row._asdict() for name, row in rows.items()}
    return table


def unbiased_cut(
    shares: Sequence[np.ndarray], true: Sequence[np.ndarray], clean: Callable[[np.ndarray], np.ndarray]
) -> Cut:
    """The cut at which a class' predictions have the annotated number, area and size, as near as may be.

    The three logarithmic errors of the median eye are added up.

    Args:
        shares: predicted probabilities ``float (S, S)`` of eyes that have the class and that the network never saw.
        true: their annotated masks ``bool (S, S)``.
        clean: what is done to a predicted mask before it becomes part of a map, but for the least area.
    """
    annotated = medians(burden(areas(mask)) for mask in true)
    errors: dict[Cut, float] = {}
    for threshold in CANDIDATES:
        found = [areas(clean(share > threshold)) for share in shares]
        for least in LEAST_AREAS:
            predicted = medians(burden(one[one >= least]) for one in found)
            error = sum(_error(a, b) for a, b in zip(annotated, predicted, strict=True))
            errors[Cut(float(threshold), least)] = error
    return min(errors, key=lambda cut: errors[cut])


def _error(wanted: float, found: float) -> float:
    """How many times too much or too little, as a logarithm; nothing at all counts as a tenth."""
    return abs(float(np.log(max(found, wanted / 10) / wanted))) if found > 0 and wanted > 0 else float(np.log(10))
