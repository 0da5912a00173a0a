"""Distances between sets of descriptors, where the answer is known."""

import numpy as np
import pytest

from retinagan.evaluation.map_distances import Coverage, Neighbours, frechet_ratio


def test_frechet_ratio_is_one_for_one_distribution_and_grows_with_the_shift():
    rng = np.random.default_rng(0)
    real, same = rng.normal(size=(400, 20)), rng.normal(size=(300, 20))
    assert frechet_ratio(real, same, draws=20).ratio == pytest.approx(1, abs=0.1)
    shifted = frechet_ratio(real, same + 2 * np.eye(20)[0], draws=20)
    assert shifted.n == 200
    # |difference of means|² = 4 stands out against what 200 samples leave to chance.
    assert shifted.generated - shifted.real == pytest.approx(4, abs=0.5)
    assert frechet_ratio(real, same, draws=2) == frechet_ratio(real, same, draws=2)


def test_frechet_ratio_takes_sets_of_one_size():
    rng = np.random.default_rng(0)
    assert frechet_ratio(rng.normal(size=(41, 2)), rng.normal(size=(7, 2))).n == 7
    assert frechet_ratio(rng.normal(size=(9, 2)), rng.normal(size=(70, 2))).n == 4


def test_coverage_of_a_set_by_itself_and_by_a_collapsed_one():
    real = np.random.default_rng(0).normal(size=(60, 4))
    by_itself = Coverage.of(real, real)
    assert by_itself.coverage == 1 and by_itself.n == 60
    assert by_itself.expected == pytest.approx(0.971, abs=0.01)
    collapsed = Coverage.of(real, np.tile(real[:1], (60, 1)))
    assert collapsed.coverage < 0.35
    assert Coverage.of(real, real + 100).coverage == 0
    assert Coverage.of(real, real[:5]) is None


def test_neighbour_distances_show_copies():
    real = np.arange(5, dtype=float)[:, None]
    assert Neighbours.of(real, real + 0.25) == Neighbours(real=1.0, generated=0.25)
