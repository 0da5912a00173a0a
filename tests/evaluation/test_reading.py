"""Readings of grades: ratios of kappa at equal frequencies."""

import numpy as np
import pytest

from retinagan.evaluation.reading import MISSING, Reading

GRADES = np.repeat([0, 1, 2, 3, 4, -1], 4)


def made(right: int) -> tuple[np.ndarray, np.ndarray]:
    """Readings of five photographs an eye, ``right`` of which are read as made, others as grade 2; and their eyes."""
    eyes = np.repeat(np.arange(len(GRADES)), 5)
    return np.where(np.arange(len(eyes)) % 5 < right, GRADES[eyes], 2), eyes


@pytest.mark.parametrize(("right", "met"), [(5, True), (3, False)])
def test_the_ratio_tells_whether_grades_show(right, met):
    generated, eyes = made(right)
    result = Reading.of("hash", GRADES, GRADES, generated, eyes)
    assert result.heldout.kappa == 1 and (result.heldout.n, result.generated.n) == (20, 100)
    assert result.ratio == pytest.approx(result.generated.kappa)
    assert result.criteria()[0].met is met


def test_generated_ones_count_at_the_held_out_frequencies():
    generated, eyes = made(3)
    some = (GRADES[eyes] != 4) | (np.arange(len(eyes)) % 2 == 0)  # fewer of grade 4, some right and some wrong
    result = Reading.of("hash", GRADES, GRADES, generated[some], eyes[some])
    assert result.generated.n < 100 and result.ratio == pytest.approx(0.69, abs=0.1)


def test_a_grader_that_reads_no_real_grade_cannot_tell():
    generated, eyes = made(5)
    result = Reading.of("hash", GRADES, np.full(len(GRADES), 2), generated, eyes)
    assert result.ratio is None and result.criteria()[0].met is None
    assert Reading(MISSING).criteria()[0].figures == MISSING
