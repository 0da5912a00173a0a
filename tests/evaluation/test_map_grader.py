"""The grader of maps: what can be learnt and what cannot."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from retinagan.evaluation import map_grader
from retinagan.evaluation.kappa import weighted_kappa


def test_a_grader_learns_what_can_be_learnt_and_no_more():
    rng = np.random.default_rng(0)
    grades = np.repeat([0, 2, 3], 40)
    clear = rng.normal(size=(120, 3)) + grades[:, None] * 3
    predicted = map_grader.cross_validated(clear, grades, np.arange(120))
    assert (predicted == grades).mean() > 0.9
    noise = map_grader.cross_validated(rng.normal(size=(120, 3)), grades, np.arange(120))
    assert abs(weighted_kappa(confusion_matrix(grades, noise))) < 0.3
    constant = np.concatenate([clear, np.ones((120, 1))], axis=1)
    assert (map_grader.fit_grader(constant, grades).predict(constant) == grades).mean() > 0.9


def test_photographs_of_one_eye_never_vouch_for_each_other():
    rng = np.random.default_rng(0)
    eyes = np.repeat(np.arange(30), 2)
    grades = np.repeat(rng.integers(0, 2, 30), 2)
    one_hot = np.eye(30)[eyes]  # tells the eye and nothing else
    leaked = map_grader.cross_validated(one_hot, grades, np.arange(60))
    honest = map_grader.cross_validated(one_hot, grades, eyes)
    assert (leaked == grades).mean() > 0.8
    assert (honest == grades).mean() < 0.7


def test_a_grader_needs_two_grades():
    with pytest.raises(ValueError, match="2 classes"):
        map_grader.fit_grader(np.zeros((4, 2)), np.zeros(4, int))
    with pytest.raises(ValueError, match="fewer than 5 eyes"):
        map_grader.cross_validated(np.random.default_rng(0).normal(size=(9, 2)), np.array([0] * 8 + [1]), np.arange(9))
