"""Do maps look like their grade? A grader made from numbers: logistic regression on descriptors of real training maps,
agreement by kappa with quadratic weights (Cohen, Psychological Bulletin 70, 1968, 213-220)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.map_set import MapSet
from retinagan.evaluation.plots import axes
from retinagan.evaluation.report import Result, flat, markdown, numbers
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


def weighted_kappa(table: np.ndarray) -> float:
    """Kappa of a confusion table; 1 for perfect agreement, 0 for chance; NaN where no disagreement is possible."""
    from sklearn.metrics import cohen_kappa_score

    table = np.asarray(table, dtype=np.float64)
    true, predicted = np.indices(table.shape).reshape(2, -1)
    return float(cohen_kappa_score(true, predicted, weights="quadratic", sample_weight=table.ravel()))


def reweighted(table: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The table with the true grades as frequent as in ``like``: kappas compare only at equal frequencies."""
    rows = table.sum(1, keepdims=True)
    return table / np.maximum(rows, 1) * np.where(rows > 0, like.sum(1, keepdims=True), 0)


def kappa_interval(table: np.ndarray, like: np.ndarray, draws: int = 500) -> list[float]:
    """95 % interval of :func:`weighted_kappa` at the frequencies of ``like``: each true grade's maps drawn anew."""
    rng = np.random.default_rng(0)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    kappas = []
    for _ in range(draws):
        rows = [rng.multinomial(n, p) if n else np.zeros(len(p)) for n, p in zip(table.sum(1), shares, strict=True)]
        kappas.append(weighted_kappa(reweighted(np.array(rows), like)))
    return [float(v) for v in np.nanpercentile(kappas, [2.5, 97.5])]


@dataclass(frozen=True)
class Graded:
    """Kappa of ``n`` maps with its 95 % ``interval``; ``confusion``: row the true or asked grade, column the
    grader's."""

    n: int
    kappa: float
    interval: list[float]
    confusion: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray, like: np.ndarray) -> Graded:
        return cls(int(counts.sum()), weighted_kappa(reweighted(counts, like)), kappa_interval(counts, like), counts)


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
        from sklearn.metrics import confusion_matrix

        train = (real.splits == "train") & (real.grades >= 0)
        kinds = [g for g in range(NUM_GRADES) if len(set(real.eyes[train & (real.grades == g)])) >= FOLDS]
        if len(kinds) < 2:
            return cls(kinds)
        usable = np.isin(real.grades, kinds)
        train &= usable
        predicted = cross_validated(described[train], real.grades[train], real.eyes[train])
        grader = fit_grader(described[train], real.grades[train])

        def confusion(true: np.ndarray, given: np.ndarray) -> np.ndarray:
            return confusion_matrix(true, given, labels=range(NUM_GRADES))

        theirs = confusion(real.grades[train], predicted)
        asked = np.concatenate([np.full(len(generated[g]), g) for g in kinds])
        ours = confusion(asked, grader.predict(np.concatenate([generated[g] for g in kinds])))
        apart = (real.splits == "heldout") & usable
        held = confusion(real.grades[apart], grader.predict(described[apart])) if apart.any() else None
        return cls(
            kinds, Graded.of(theirs, theirs), None if held is None else Graded.of(held, held),
            Graded.of(ours, theirs),
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
                rows = {
                    str(g): flat({f"graded {k}": int(one.confusion[g][k]) for k in self.grades}) for g in self.grades
                }
                lines += ["", f"Confusion, {name}: true or asked grade by the grader's", *markdown(rows)]
        left_out = ", ".join(f"{grade} ({GRADE_NAMES[grade]})" for grade in self._left_out)
        return [*lines, *(["", f"Left out for want of real training maps: grade {left_out}"] if left_out else [])]

    def pictures(self) -> dict[str, Figure]:
        if self.real is None or self.generated is None:
            return {}
        figure, ((left, right),) = axes(1, 2, 8, 3.9)
        for ax, name, one in ((left, NAMES["real"], self.real), (right, NAMES["generated"], self.generated)):
            counts = np.array(one.confusion)[np.ix_(self.grades, self.grades)]
            shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
            ax.imshow(shares, cmap="Greys", vmin=0, vmax=1)
            for (row, column), share in np.ndenumerate(shares):
                colour = "white" if share > 0.5 else "black"
                ax.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
            places = range(len(self.grades))
            ax.set_xticks(places, self.grades)
            ax.set_yticks(places, self.grades)
            ax.set_xlabel("grade by the grader")
            ax.set_ylabel("grade" if one is self.real else "grade asked for")
            ax.set_title(f"{name}: kappa {one.kappa:.2f} [{numbers(one.interval)}], n = {one.n}", fontsize=9)
        return {"grading": figure}
