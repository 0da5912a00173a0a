"""Do maps look like their grade? A grader made from numbers: logistic regression on descriptors of real training
maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.kappa import Graded, confusion, draw_confusion
from retinagan.evaluation.map_set import MapSet
from retinagan.evaluation.plots import axes
from retinagan.evaluation.report import Result
from retinagan.seeds import GRADE_NAMES, NUM_GRADES

FOLDS = 5
NAMES = {"real": "real, cross-validated", "heldout": "real, held-out", "generated": "generated"}


def fit_grader(descriptors: np.ndarray, grades: np.ndarray) -> Any:
    """Multinomial logistic regression on standardised descriptors ``float (N, D)`` with a ridge of one: a scikit-learn
    pipeline with ``predict``.

    Raises:
        ValueError: fewer than two grades, or shapes that do not fit.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, tol=1e-6, max_iter=1000)).fit(descriptors, grades)


def cross_validated(descriptors: np.ndarray, grades: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Grades ``int64 (N,)`` predicted for each map by a grader that has seen no map of its group (its eye).

    Groups are dealt to the folds so that each has about the same mix of grades.

    Raises:
        ValueError: as :func:`fit_grader`, or a grade with fewer eyes than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if any(len(set(groups[grades == grade])) < FOLDS for grade in np.unique(grades)):
        raise ValueError(f"a grade has fewer than {FOLDS} eyes; leave it out")
    predicted = np.empty(len(grades), dtype=np.int64)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for seen, left_out in folds.split(descriptors, grades, groups):
        predicted[left_out] = fit_grader(descriptors[seen], grades[seen]).predict(descriptors[left_out])
    return predicted


@dataclass(frozen=True)
class Grading(Result):
    """The grader on maps of the ``grades`` that have enough real ones; None where these or held-out maps are lacking.
    Real maps are cross-validated; kappa of generated ones is told at the real frequencies of the grades."""

    title: ClassVar = (
        "Grader: logistic regression on real training maps; quadratic weighted kappa, at the real shares of the grades"
    )
    grades: list[int]
    real: Graded | None = None
    heldout: Graded | None = None
    generated: Graded | None = None

    @classmethod
    def of(cls, real: MapSet, described: np.ndarray, generated: Sequence[np.ndarray]) -> Grading:
        """Of real maps and their descriptors ``(N, D)``, and those of generated maps by grade."""
        train = (real.splits == "train") & (real.grades >= 0)
        kinds = [g for g in range(NUM_GRADES) if len(set(real.eyes[train & (real.grades == g)])) >= FOLDS]
        if len(kinds) < 2:
            return cls(kinds)
        usable = np.isin(real.grades, kinds)
        train &= usable
        predicted = cross_validated(described[train], real.grades[train], real.eyes[train])
        grader = fit_grader(described[train], real.grades[train])

        theirs = confusion(real.grades[train], predicted)
        asked = np.concatenate([np.full(len(generated[g]), g) for g in kinds])
        ours = confusion(asked, grader.predict(np.concatenate([generated[g] for g in kinds])))
        apart = (real.splits == "heldout") & usable
        held = confusion(real.grades[apart], grader.predict(described[apart])) if apart.any() else None
        return cls(
            kinds, Graded.of(theirs), None if held is None else Graded.of(held), Graded.of(ours, theirs)
        )  # fmt: skip

    @property
    def _left_out(self) -> list[int]:
        return [grade for grade in range(NUM_GRADES) if grade not in self.grades]

    def criteria(self) -> list[Criterion]:
        if self.real is None or self.generated is None:
            return [criteria.KAPPA.judge(None, "too few graded training maps for a grader")]
        ours, theirs = self.generated.kappa, self.real.kappa
        met: bool | None = ours >= (criteria.KAPPA.least or 0) * theirs
        without = ", ".join(map(str, self._left_out))
        told = f"{ours:.2f} against {theirs:.2f}" + (f"; without grade {without}: too few real maps" if without else "")
        return [Criterion(criteria.KAPPA.name, None if met and without else met, told)]

    def table(self) -> list[str]:
        lines = super().table()
        for name in ("real", "heldout", "generated"):
            if one := getattr(self, name):
                lines += ["", f"Confusion, {name}: true or asked grade by the grader's", *one.rows(self.grades)]
        left_out = ", ".join(f"{grade} ({GRADE_NAMES[grade]})" for grade in self._left_out)
        return [*lines, *(["", f"Left out for want of real training maps: grade {left_out}"] if left_out else [])]

    def pictures(self) -> dict[str, Figure]:
        if self.real is None or self.generated is None:
            return {}
        figure, ((left, right),) = axes(1, 2, 8, 3.9)
        draw_confusion(left, NAMES["real"], self.real, self.grades)
        draw_confusion(right, NAMES["generated"], self.generated, self.grades, "grade asked for")
        return {"grading": figure}
