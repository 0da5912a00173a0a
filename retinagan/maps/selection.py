"""Which drawn maps are kept: rejection sampling that brings what maps hold closer to real ones of their grade.

A generator's maps of a grade hold a little too much or too little of each lesion, and some look like another grade. A
classifier of real against generated maps knows by its odds how much more often a real map looks like this one than a
generated one; keeping each map with a probability proportional to that ratio brings the distributions together
(discriminator rejection sampling, Azadi et al., ICLR 2019). Here it is a logistic regression a grade on the map's
descriptors (:mod:`retinagan.maps.descriptors`), fitted to a set of weights by ``retinagan fit-maps`` and stored in
their config.
"""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np

from retinagan.configuration import Field, configuration, model_validator
from retinagan.maps.descriptors import DESCRIPTORS, describe_measured
from retinagan.maps.measure import measure
from retinagan.seeds import NUM_GRADES

JUDGED = tuple(name for name in DESCRIPTORS if name not in ("disc roundness", "grid"))
"""The descriptors that maps are kept by: what lesions there are and where, and the disc's size and place."""
FARTHEST = 3.0
"""Standard deviations from the mean beyond which a descriptor counts as this far: no odds are known out there."""

Numbers = Annotated[tuple[float, ...], Field(max_length=len(JUDGED))]
ByGrade = Annotated[tuple[float, ...], Field(max_length=NUM_GRADES)]


@configuration
class MapSelection:
    """The odds of real against generated maps: of each grade ``offset + linear · x + squares · x²``, a logarithm, of
    standardised descriptors ``x``. The defaults, all empty, keep every map."""

    mean: Numbers = ()
    deviation: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(max_length=len(JUDGED))] = ()
    """Of the descriptors :data:`JUDGED`, in real and generated maps together."""
    offset: ByGrade = ()
    linear: Annotated[tuple[Numbers, ...], Field(max_length=NUM_GRADES)] = ()
    squares: Annotated[tuple[Numbers, ...], Field(max_length=NUM_GRADES)] = ()
    """Zero for grades that keep all."""
    ceiling: ByGrade = ()
    """Log odds from which every map is kept; below, a share of them: the ratio of the odds. The lower, the fewer maps
    are rejected, and the less is corrected."""

    highest: Annotated[tuple[Numbers, ...], Field(max_length=NUM_GRADES)] = ()
    """Of the descriptors in real maps of each grade: a map that exceeds one of them is not kept."""

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        rows = (self.mean, self.deviation, *self.linear, *self.squares, *self.highest)
        grades = (self.offset, self.linear, self.squares, self.ceiling, self.highest)
        empty = not any(map(len, (*rows, *grades)))
        whole = all(len(row) == len(JUDGED) for row in rows) and all(len(each) == NUM_GRADES for each in grades)
        if not (empty or whole):
            raise ValueError(
                f"a selection is empty, or has {len(JUDGED)} numbers of each descriptor (mean, deviation, rows of "
                f"linear, squares, highest) and {NUM_GRADES} of each grade (offset, linear, squares, ceiling, highest)"
            )
        return self

    def standardised(self, described: np.ndarray) -> np.ndarray:
        """Descriptors ``float (..., D)`` in standard deviations, at most :data:`FARTHEST`."""
        return np.clip((described - np.array(self.mean)) / np.array(self.deviation), -FARTHEST, FARTHEST)

    def log_odds(self, grade: int, described: np.ndarray) -> np.ndarray:
        """Of maps with descriptors ``float (..., D)``: ``float (...)``, the logarithm of how much more often a real map
        of the grade looks so than a generated one."""
        x = self.standardised(described)
        return self.offset[grade] + x @ np.array(self.linear[grade]) + x**2 @ np.array(self.squares[grade])

    def kept(self, grade: int, described: np.ndarray) -> np.ndarray:
        """Probabilities ``float (...)`` with which maps of descriptors ``float (..., D)`` are kept."""
        share = np.exp(np.minimum(self.log_odds(grade, described) - self.ceiling[grade], 0.0))
        return np.where((described <= np.array(self.highest[grade])).all(-1), share, 0.0)

    def rejects(self, grade: int) -> bool:
        """Whether any map of a grade may be rejected; else none need be measured."""
        return bool(self.linear) and (any(self.linear[grade]) or any(self.squares[grade]))


KEEP_ALL = MapSelection()


def judged(label_map: np.ndarray) -> np.ndarray:
    """The descriptors ``float64 (D,)`` of a map ``uint8 (S, S)`` that it is kept by, in the order of :data:`JUDGED`."""
    return chosen(describe_measured(measure(label_map)))


def chosen(described: np.ndarray) -> np.ndarray:
    """Of descriptors ``float (..., 22)``, or all but the last, those of :data:`JUDGED`, ``float (..., D)``."""
    return described[..., [DESCRIPTORS.index(name) for name in JUDGED]]
