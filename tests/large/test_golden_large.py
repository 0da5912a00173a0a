"""All large photographs of the shipped weights; see ``tests.test_golden``."""

import pytest

from tests.test_golden import CASES, check, model, photograph, stored

__all__ = ["model", "stored"]


@pytest.mark.parametrize(("grade", "seed"), CASES)
def test_every_large_photograph_is_what_it_was(model, stored, grade, seed):
    check(stored, f"1024-{grade}-{seed}", photograph(model, stored[f"map-{grade}-{seed}"], seed, 1024))
