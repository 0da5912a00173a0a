"""Agreement with true grades: kappa by hand, frequencies of the grades, confusion tables."""

import numpy as np
import pytest

from retinagan.evaluation.kappa import Graded, confusion, kappa_interval, reweighted, weighted_kappa


def test_kappa_against_values_worked_out_by_hand():
    # Weights 0, 1, 4; observed disagreement 2·1 + 1·4 = 6 of 10; by chance (rows 4, 3, 3; columns 5, 2, 3):
    # (4·2 + 3·5 + 3·3 + 3·2)·1 + (4·3 + 3·5)·4 = 38 + 108 = 146, over n = 10: 14.6. Kappa = 1 - 6 / 14.6.
    table = np.array([[4, 0, 0], [0, 1, 2], [1, 1, 1]])
    by_hand = 1 - (2 * 1 + 1 * 1 + 1 * 4) / ((4 * 2 + 3 * 5 + 3 * 3 + 3 * 2 + (4 * 3 + 3 * 5) * 4) / 10)
    assert weighted_kappa(table) == pytest.approx(by_hand)
    assert weighted_kappa(np.diag([3, 4, 5])) == 1
    assert weighted_kappa(np.outer([2, 4], [3, 3])) == pytest.approx(0)
    assert np.isnan(weighted_kappa(np.diag([0, 7])))


def test_reweighting_gives_the_true_grades_the_frequencies_of_the_other_table():
    like = np.array([[8, 2], [0, 90]])
    table = reweighted(np.array([[30, 10], [20, 20]]), like)
    np.testing.assert_allclose(table, [[7.5, 2.5], [45, 45]])
    low, high = kappa_interval(like, like)
    assert low < weighted_kappa(like) < high


def test_a_confusion_table_in_figures_and_words():
    counts = confusion([0, 0, 1, 4, 4, 4], [0, 1, 1, 4, 4, 3])
    assert counts.shape == (5, 5) and counts[0].tolist() == [1, 1, 0, 0, 0] and counts[4].tolist() == [0, 0, 0, 1, 2]
    graded = Graded.of(counts)
    assert graded.n == 6 and graded.accuracy == pytest.approx(4 / 6) and graded.interval[0] <= graded.kappa <= 1
    assert graded.rows([0, 4])[1].split("|")[2].strip() == "graded 0" and graded.rows([0, 4])[4].count("2") == 1
    # At the frequencies of another table each true grade counts as often as there.
    like = np.diag([9, 0, 0, 0, 1])
    assert Graded.of(counts, like).accuracy == pytest.approx((9 * 1 / 2 + 1 * 2 / 3) / 10)
