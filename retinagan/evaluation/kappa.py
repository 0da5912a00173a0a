"""Agreement of a grader with true grades: kappa with quadratic weights (Cohen, Psychological Bulletin 70, 1968,
213-220) and confusion tables. What a grader is, and what it looks at, is told elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from retinagan.evaluation.report import flat, markdown, numbers
from retinagan.seeds import NUM_GRADES


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
    """95 % interval of :func:`weighted_kappa` at the frequencies of ``like``: each true grade's cases drawn anew."""
    rng = np.random.default_rng(0)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    kappas = []
    for _ in range(draws):
        rows = [rng.multinomial(n, p) if n else np.zeros(len(p)) for n, p in zip(table.sum(1), shares, strict=True)]
        kappas.append(weighted_kappa(reweighted(np.array(rows), like)))
    return [float(v) for v in np.nanpercentile(kappas, [2.5, 97.5])]


@dataclass(frozen=True)
class Graded:
    """Kappa of ``n`` maps or photographs with its 95 % ``interval``, and the share graded right; ``confusion``: row the
    true or asked grade, column the grader's."""

    n: int
    kappa: float
    interval: list[float]
    accuracy: float
    confusion: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray, like: np.ndarray | None = None) -> Graded:
        """Of a confusion table; kappa and accuracy are told at the true grades' frequencies in ``like``, or its own."""
        like = counts if like is None else like
        table = reweighted(counts, like)
        accuracy = float(np.trace(table) / max(table.sum(), 1e-9))
        return cls(int(counts.sum()), weighted_kappa(table), kappa_interval(counts, like), accuracy, counts)

    def rows(self, grades: Sequence[int] = range(NUM_GRADES)) -> list[str]:
        """The confusion of these grades as a table in Markdown."""
        return markdown(
            {
                str(true): flat({f"graded {given}": int(self.confusion[true][given]) for given in grades})
                for true in grades
            }
        )


def confusion(true: Sequence[int] | np.ndarray, given: Sequence[int] | np.ndarray) -> np.ndarray:
    """How often each true grade was given each grade: ``int64 (5, 5)``."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(true, given, labels=range(NUM_GRADES))


def draw_confusion(
    axis: Axes, name: str, graded: Graded, grades: Sequence[int] = range(NUM_GRADES), rows: str = "grade"
) -> None:
    """The confusion table on an axis; the darker, the larger a cell's share of its row."""
    counts = np.array(graded.confusion)[np.ix_(grades, grades)]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axis.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.5 else "black"
        axis.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axis.set_xticks(range(len(grades)), map(str, grades))
    axis.set_yticks(range(len(grades)), map(str, grades))
    axis.set_xlabel("grade by the grader")
    axis.set_ylabel(rows)
    axis.set_title(f"{name}: kappa {graded.kappa:.2f} [{numbers(graded.interval)}], n = {graded.n}", fontsize=9)
