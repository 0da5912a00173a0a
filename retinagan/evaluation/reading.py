"""Does a photograph show the grade that it was made for? What a grader of real photographs reads in generated ones.

The grader (:mod:`retinagan.models.grader`) was trained on real photographs. Generated ones are made for the held-out
eyes, so that both have the same grades; what it misses on real ones it may miss on generated ones, so that the ratio of
the two kappas counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.kappa import Graded, confusion
from retinagan.evaluation.report import Result

MISSING = "not measured: no grader; give one with --grader"


@dataclass(frozen=True)
class Reading(Result):
    """Kappa with quadratic weights on held-out and on generated photographs, the latter at the held-out frequencies of
    the grades; ``grader``: its hash, or why there is none."""

    title: ClassVar = "Grades that a grader of real photographs reads"
    grader: str
    heldout: Graded | None = None
    generated: Graded | None = None
    ratio: float | None = None

    @classmethod
    def of(
        cls, grader: str, grades: np.ndarray, heldout: np.ndarray, generated: np.ndarray, eyes: np.ndarray
    ) -> Reading:
        """Compare readings.

        Args:
            grades: of the held-out photographs, -1 unknown; those count for nothing.
            heldout, generated: grades read in photographs, the latter made for the held-out eyes ``eyes``.
        """
        tables = []
        for true, given in ((grades, heldout), (grades[eyes], generated)):
            tables.append(confusion(true[true >= 0], given[true >= 0]))
        theirs, ours = Graded.of(tables[0]), Graded.of(tables[1], like=tables[0])
        return cls(grader, theirs, ours, ours.kappa / theirs.kappa if theirs.kappa > 0 else None)

    def criteria(self) -> list[Criterion]:
        if self.heldout is None or self.generated is None or self.ratio is None:
            return [criteria.READING.judge(None, self.grader if self.heldout is None else "it reads no real grade")]
        told = f"{self.generated.kappa:.3f} / {self.heldout.kappa:.3f} = {self.ratio:.3f}"
        return [criteria.READING.judge(self.ratio, f"{told}; n = {self.generated.n} against {self.heldout.n}")]
