"""How eyes are dealt out for cross-validation."""

from __future__ import annotations

import numpy as np

from retinagan.data.folds import fold_by_grade


def test_every_fold_has_as_many_eyes_of_each_grade_and_parts_none():
    eyes = [f"eye-{number // 2}" for number in range(80)]  # two photographs each
    grades = np.repeat(np.random.default_rng(0).permutation([0] * 16 + [2] * 14 + [1] * 4 + [4] * 6), 2)
    folds = fold_by_grade(eyes, grades, 4)
    assert (folds[::2] == folds[1::2]).all()
    for grade in (0, 1, 2, 4):
        counts = np.bincount(folds[::2][grades[::2] == grade], minlength=4)
        assert counts.max() - counts.min() <= 1
    assert np.bincount(folds).max() - np.bincount(folds).min() <= 2
    # By name, not by place.
    order = np.random.default_rng(1).permutation(80)
    again = fold_by_grade([eyes[index] for index in order], grades[order], 4)
    assert (again == folds[order]).all()


def test_an_eye_that_was_graded_differently_counts_by_the_highest():
    eyes = ["a", "b", "c", "c"]
    assert (
        fold_by_grade(eyes, [0, 0, 0, 4], 3).tolist() == fold_by_grade(eyes, [0, 0, 4, 0], 3).tolist() == [0, 1, 2, 2]
    )
