"""The grader: kappa by hand, what can be learnt and what cannot."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from retinagan.evaluation import grader


def test_kappa_against_values_worked_out_by_hand():
    # Weights 0, 1, 4; observed disagreement 2·1 + 1·4 = 6 of 10; by chance (rows 4, 3, 3; columns 5, 2, 3):
    # (4·2 + 3·5 + 3·3 + 3·2)·1 + (4·3 + 3·5)·4 = 38 + 108 = 146, over n = 10: 14.6. Kappa = 1 - 6 / 14.6.
    table = np.array([[4, 0, 0], [0, 1, 2], [1, 1, 1]])
    by_hand = 1 - (2 * 1 + 1 * 1 + 1 * 4) / ((4 * 2 + 3 * 5 + 3 * 3 + 3 * 2 + (4 * 3 + 3 * 5) * 4) / 10)
    assert grader.weighted_kappa(table) == pytest.approx(by_hand)
    assert grader.weighted_kappa(np.diag([3, 4, 5])) == 1
    assert grader.weighted_kappa(np.outer([2, 4], [3, 3])) == pytest.approx(0)
    assert np.isnan(grader.weighted_kappa(np.diag([0, 7])))


def test_reweighting_gives_the_true_grades_the_frequencies_of_the_other_table():
    like = np.array([[8, 2], [0, 90]])
    table = grader.reweighted(np.array([[30, 10], [20, 20]]), like)
    np.testing.assert_allclose(table, [[7.5, 2.5], [45, 45]])
    low, high = grader.kappa_interval(like, like)
    assert low < grader.weighted_kappa(like) < high


def test_a_grader_learns_what_can_be_learnt_and_no_more():
    rng = np.random.default_rng(0)
    grades = np.repeat([0, 2, 3], 40)
    clear = rng.normal(size=(120, 3)) + grades[:, None] * 3
    predicted = grader.cross_validated(clear, grades, np.arange(120))
    assert (predicted == grades).mean() > 0.9
    noise = grader.cross_validated(rng.normal(size=(120, 3)), grades, np.arange(120))
    assert abs(grader.weighted_kappa(confusion_matrix(grades, noise))) < 0.3
    constant = np.concatenate([clear, np.ones((120, 1))], axis=1)
    assert (grader.fit_grader(constant, grades).predict(constant) == grades).mean() > 0.9


def test_photographs_of_one_eye_never_vouch_for_each_other():
    rng = np.random.default_rng(0)
    eyes = np.repeat(np.arange(30), 2)
    grades = np.repeat(rng.integers(0, 2, 30), 2)
    one_hot = np.eye(30)[eyes]  # tells the eye and nothing else
    leaked = grader.cross_validated(one_hot, grades, np.arange(60))
    honest = grader.cross_validated(one_hot, grades, eyes)
    assert (leaked == grades).mean() > 0.8
    assert (honest == grades).mean() < 0.7


def test_a_grader_needs_two_grades():
    with pytest.raises(ValueError, match="2 classes"):
        grader.fit_grader(np.zeros((4, 2)), np.zeros(4, int))
    with pytest.raises(ValueError, match="fewer than 5 eyes"):
        grader.cross_validated(np.random.default_rng(0).normal(size=(9, 2)), np.array([0] * 8 + [1]), np.arange(9))
