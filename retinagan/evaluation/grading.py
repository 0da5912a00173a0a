"""A grader made from numbers: logistic regression on descriptors, agreement by weighted kappa."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

FOLDS = 5
DECAY = 1.0
"""Ridge on the weights of standardised descriptors, in units of one sample's log-likelihood."""


@dataclass(frozen=True)
class Grader:
    """A fitted classifier: ``grades`` in rising order, descriptors' ``mean`` and ``scale``, ``weights (D + 1, G)``."""

    grades: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray

    def predict(self, descriptors: np.ndarray) -> np.ndarray:
        """Most probable grades ``int64 (N,)`` of ``float (N, D)``."""
        return self.grades[(_with_one((descriptors - self.mean) / self.scale) @ self.weights).argmax(axis=1)]


def fit_grader(descriptors: np.ndarray, grades: np.ndarray) -> Grader:
    """Multinomial logistic regression with a ridge; deterministic (convex, from zero, by L-BFGS).

    Args:
        descriptors: ``float (N, D)``; they are standardised here.
        grades: ``int (N,)``, of two or more kinds.

    Raises:
        ValueError: fewer than two grades, or shapes that do not fit.
    """
    descriptors, grades = np.asarray(descriptors, dtype=np.float64), np.asarray(grades)
    kinds = np.unique(grades)
    if descriptors.ndim != 2 or grades.shape != descriptors.shape[:1] or len(kinds) < 2:
        raise ValueError(
            f"descriptors {descriptors.shape} with grades {grades.shape} of kinds {kinds.tolist()}; "
            "expected (N, D) and (N,) with two or more grades"
        )
    mean, scale = descriptors.mean(0), descriptors.std(0)
    scale[scale < 1e-9] = 1.0  # a constant says nothing and must not become noise
    x = _with_one((descriptors - mean) / scale)
    target = (grades[:, None] == kinds).astype(np.float64)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(x.shape[1], len(kinds))
        scores = x @ weights
        log_total = logsumexp(scores, axis=1, keepdims=True)
        ridge = DECAY * weights
        ridge[-1] = 0.0  # the intercepts are free
        value = (log_total[:, 0] - (scores * target).sum(1)).sum() + 0.5 * (ridge * weights).sum()
        return value, (x.T @ (np.exp(scores - log_total) - target) + ridge).ravel()

    fitted = minimize(loss, np.zeros(x.shape[1] * len(kinds)), jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    return Grader(kinds, mean, scale, fitted.x.reshape(x.shape[1], len(kinds)))


def cross_validated(
    descriptors: np.ndarray, grades: np.ndarray, groups: Sequence[Hashable], folds: int = FOLDS, seed: int = 0
) -> np.ndarray:
    """Grades ``int64 (N,)`` predicted for each map by a grader that has seen no map of its group (its eye).

    Groups are dealt to the folds at random, grade by grade, so that every fold has some of each.

    Raises:
        ValueError: as :func:`fit_grader`, or a grade with fewer groups than two folds need.
    """
    grades, groups = np.asarray(grades), np.asarray(groups)
    rng = np.random.default_rng(seed)
    fold_of: dict[Hashable, int] = {}
    for grade in np.unique(grades):
        new = [group for group in dict.fromkeys(groups[grades == grade].tolist()) if group not in fold_of]
        offset = int(rng.integers(folds))
        for place, number in enumerate(rng.permutation(len(new))):
            fold_of[new[number]] = (place + offset) % folds
    fold = np.array([fold_of[group] for group in groups.tolist()])
    predicted = np.empty(len(grades), dtype=np.int64)
    for number in np.unique(fold):
        left_out = fold == number
        if set(grades[~left_out]) != set(grades):
            raise ValueError("a grade has all its eyes in one fold; leave out grades with fewer than 2 eyes")
        predicted[left_out] = fit_grader(descriptors[~left_out], grades[~left_out]).predict(descriptors[left_out])
    return predicted


def confusion(true: np.ndarray, predicted: np.ndarray, kinds: int) -> np.ndarray:
    """Counts ``int64 (kinds, kinds)``: row the true grade, column the predicted one."""
    table = np.zeros((kinds, kinds), dtype=np.int64)
    np.add.at(table, (np.asarray(true), np.asarray(predicted)), 1)
    return table


def weighted_kappa(table: np.ndarray) -> float:
    """Cohen's kappa with quadratic weights (Psychological Bulletin 70, 1968, 213-220) of a confusion table.

    1 for perfect agreement, 0 for chance; NaN if true or predicted grades leave no room for disagreement.
    """
    table = np.asarray(table, dtype=np.float64)
    distance = np.subtract.outer(np.arange(len(table)), np.arange(len(table))) ** 2
    chance = np.outer(table.sum(1), table.sum(0)) / max(table.sum(), 1e-12)
    expected = (distance * chance).sum()
    return float(1 - (distance * table).sum() / expected) if expected > 0 else float("nan")


def reweighted(table: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The table with the true grades as frequent as in ``like``: kappas compare only at equal frequencies."""
    rows = table.sum(1, keepdims=True)
    return table / np.maximum(rows, 1) * np.where(rows > 0, like.sum(1, keepdims=True), 0)


def kappa_interval(table: np.ndarray, like: np.ndarray, draws: int = 500, seed: int = 0) -> list[float]:
    """95 % interval of :func:`weighted_kappa` at the frequencies of ``like``: each true grade's maps drawn anew."""
    rng = np.random.default_rng(seed)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    kappas = []
    for _ in range(draws):
        rows = [rng.multinomial(n, p) if n else np.zeros(len(p)) for n, p in zip(table.sum(1), shares, strict=True)]
        kappas.append(weighted_kappa(reweighted(np.array(rows), like)))
    return [float(v) for v in np.nanpercentile(kappas, [2.5, 97.5])]


def _with_one(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)
