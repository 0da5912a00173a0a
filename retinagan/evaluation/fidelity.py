"""Does a photograph show the lesions of its map? The segmenter's agreement with the map, pixel by pixel.

Measured on real held-out photographs with annotated lesions and on photographs generated from the same maps: what the
segmenter misses on real eyes it may miss on generated ones, so that the ratio of the two counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.report import Result, quotient
from retinagan.maps.labels import CLASSES
from retinagan.models.segmenter import SEGMENTED
from retinagan.training.agreement import Agreement


@dataclass(frozen=True)
class Pair:
    """A figure of real and of generated photographs, and its ratio."""

    real: float
    generated: float
    ratio: float

    @classmethod
    def of(cls, figure: Callable[[Agreement], float], real: Agreement, generated: Agreement) -> Pair:
        theirs, ours = figure(real), figure(generated)
        return cls(theirs, ours, ours / max(theirs, 1e-9))


@dataclass(frozen=True)
class ClassFidelity:
    """One class, on ``n_real`` and ``n_generated`` photographs.

    Dice is taken at the ``threshold`` that is best on the *real* photographs, for both: a fixed 0.5 says little of
    classes as rare as microaneurysms, and this choice favours the real ones.
    """

    threshold: float
    n_real: int
    n_generated: int
    dice: Pair
    aupr: Pair


@dataclass(frozen=True)
class Fidelity(Result):
    """Agreement with ``n_maps`` maps in so many ``styles`` each; without the classes that no real photograph has."""

    title: ClassVar = "Lesions: agreement of the segmenter with annotated held-out maps"
    n_maps: int
    styles: int
    classes: dict[str, ClassFidelity]

    @classmethod
    def of(cls, real: Agreement, generated: Agreement, n_maps: int, styles: int) -> Fidelity:
        classes = {}
        for index in SEGMENTED:
            counts = real.photographs(index), generated.photographs(index)
            if not min(counts):
                continue
            threshold = real.best_threshold(index)
            dice = Pair.of(lambda one, i=index, t=threshold: one.dice(i, t), real, generated)  # type: ignore[misc]
            aupr = Pair.of(lambda one, i=index: one.aupr(i), real, generated)  # type: ignore[misc]
            classes[CLASSES[index].short] = ClassFidelity(threshold, *counts, dice, aupr)
        return cls(n_maps, styles, classes)

    def criteria(self) -> list[Criterion]:
        listed = []
        for index, limit in criteria.DICE.items():
            row = self.classes.get(CLASSES[index].short)
            if row is None or row.dice.real == 0:
                told = "no annotated held-out photograph has it, or the segmenter never finds it"
                listed.append(limit.judge(None, told))
            else:
                told = f"{quotient(row.dice, 'generated', 'real')}; {row.n_real} real photographs have it"
                listed.append(limit.judge(row.dice.ratio, told))
        return listed
