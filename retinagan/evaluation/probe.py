"""Can two sets of photographs be told apart at all? A two-sample test by a classifier (Lopez-Paz and Oquab, ICLR 2017).

Logistic regression on features learns to tell real from generated photographs; what counts is the area under its ROC
curve on photographs of eyes that it has not seen: 0.5 is chance, 1 means that every one is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FOLDS = 5


@dataclass(frozen=True)
class Sample:
    """Features ``float (N, F)`` of photographs, their grades ``(N,)``, -1 unknown, and their eyes' names ``(N,)``."""

    features: np.ndarray
    grades: np.ndarray
    eyes: np.ndarray


def probe_auc(real: Sample, other: Sample, more: Sample | None = None) -> float | None:
    """How surely unseen ``other`` photographs are told from unseen ``real`` ones: the mean AUC of up to five folds.

    An eye's photographs, real and generated, are in one fold. Photographs are weighted so that both sides weigh the
    same and have the grades of ``real`` in the same mix; a grade that one side lacks is left out.

    Args:
        real, other: two sets that the probe tells apart.
        more: further real photographs, which the probe learns from and is not tested on.

    Returns:
        The AUC, or None for fewer than two eyes a side.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    sides = [real, other, *([more] if more else [])]
    features, grades, eyes = (
        np.concatenate([getattr(side, name) for side in sides]) for name in ("features", "grades", "eyes")
    )
    tested = np.arange(len(grades)) < len(real.grades) + len(other.grades)
    made = np.repeat([False, True, False], [len(real.grades), len(other.grades), len(grades) - tested.sum()])
    folds = min(FOLDS, len(set(real.eyes)), len(set(other.eyes)))
    if folds < 2:
        return None
    found = []
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(features, made, eyes)
    for seen, unseen in split:
        unseen = unseen[tested[unseen]]
        weights = [balanced(made[rows], grades[rows], real.grades) for rows in (seen, unseen)]
        if not all(weight.any() for weight in weights):
            continue  # no grade is on both sides
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        probe.fit(features[seen], made[seen], logisticregression__sample_weight=weights[0] * len(seen))
        found.append(roc_auc_score(made[unseen], probe.decision_function(features[unseen]), sample_weight=weights[1]))
    return float(np.mean(found)) if found else None


def balanced(made: np.ndarray, grades: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Weights ``(N,)`` by which both sides, ``made`` and not, sum to a half each and have the grades of ``like`` in the
    same mix. Grades that one side lacks weigh nothing.
    """
    weights = np.zeros(len(grades))
    for grade in np.unique(like):
        here = [(grades == grade) & (made == side) for side in (False, True)]
        if all(side.any() for side in here):
            for side in here:
                weights[side] = (like == grade).sum() / side.sum()
    return weights / max(weights.sum(), 1e-12)
