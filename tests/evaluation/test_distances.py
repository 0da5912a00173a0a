"""Distances between sets: against formulas, and where the answer is known."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from retinagan.evaluation.distances import (
    Within,
    density_and_coverage,
    frechet_distance,
    kernel_distance,
    split_halves,
    wilson_interval,
)


def normal(n, seed, features=6, shift=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(size=(n, features)) * scale + shift


def test_frechet_is_the_textbook_formula():
    a, b = normal(50, 0) @ np.diag(range(1, 7)), normal(40, 1, shift=0.5)
    mean = ((a.mean(0) - b.mean(0)) ** 2).sum()
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    expected = mean + np.trace(cov_a + cov_b - 2 * np.real(sqrtm(cov_a @ cov_b)))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))


def test_frechet_of_a_set_with_itself_and_with_itself_shifted():
    a = normal(10, 0, features=32)  # fewer samples than features: singular covariances
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, a + 2) == pytest.approx(4 * 32, rel=1e-6)


def test_kernel_distance_is_the_double_sum_without_the_diagonal():
    a, b = normal(5, 0), normal(4, 1, shift=1)

    def k(x, y):
        return (x @ y / 6 + 1) ** 3

    within = [np.mean([k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]) for x in (a, b)]
    between = np.mean([k(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(sum(within) - 2 * between)


def test_kernel_distance_is_unbiased_around_zero_and_grows_with_the_shift():
    same = [kernel_distance(normal(30, s), normal(30, 1000 + s)) for s in range(60)]
    assert min(same) < 0 < max(same)
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(60)
    near, far = (kernel_distance(normal(30, 0), normal(30, 1, shift=s)) for s in (0.5, 1.0))
    assert max(same) < near < far


def test_wilson_interval_against_published_values():
    # Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263 and 0 of 20, score method.
    assert wilson_interval(81, 263) == pytest.approx([0.2553, 0.3662], abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx([0.0, 0.1611], abs=1e-4)
    assert wilson_interval(0, 0) is None


def test_density_and_coverage_of_one_distribution_a_collapsed_and_a_far_one():
    real = normal(200, 0, features=2)
    density, coverage = density_and_coverage(real, normal(200, 1, features=2))
    assert 0.8 < density < 1.2 and coverage > 0.9
    density, coverage = density_and_coverage(real, normal(200, 1, features=2, scale=0.01))
    assert density > 1 and coverage < 0.2
    assert density_and_coverage(real, normal(200, 1, features=2, shift=100)) == (0.0, 0.0)


def test_density_and_coverage_by_hand():
    real = np.array([[0.0], [1.0], [3.0], [7.0]])  # radii to the nearest neighbour: 1, 1, 2, 4
    density, coverage = density_and_coverage(real, np.array([[0.5], [10.0]]), neighbours=1)
    assert density == pytest.approx(3 / 2) and coverage == pytest.approx(3 / 4)


def test_share_within_the_middle_of_the_real_values():
    real = np.arange(101.0)
    figures = Within.of(real, np.array([5.0, 10.0, 50.0, 95.0]))
    assert figures.real == [10.0, 25.0, 50.0, 75.0, 90.0] and figures.share == 0.5
    assert Within.of(real, real).share == pytest.approx(0.8, abs=0.01)
    figures = Within.of(np.append(real, np.nan), np.array([50.0, np.nan]))  # what cannot be measured lies outside
    assert figures.share == 0.5 and figures.generated == [50.0] * 5
    assert Within.of(np.array([np.nan]), real) == Within(None, [10.0, 25.0, 50.0, 75.0, 90.0], None)


def test_halves_are_disjoint_equal_and_of_the_seed():
    a, b = split_halves(11, 0)
    assert len(a) == len(b) == 5 and not set(a) & set(b)
    assert np.array_equal(a, split_halves(11, 0)[0]) and not np.array_equal(a, split_halves(11, 1)[0])


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, density_and_coverage])
def test_bad_features_are_refused(distance):
    good = normal(10, 0)
    for bad in (good[:1], good[:, :3], good[0], np.where(good > 1, np.nan, good)):
        with pytest.raises(ValueError, match="features"):
            distance(good, bad)


def test_too_few_neighbours_are_refused():
    with pytest.raises(ValueError, match="allowed are 1 to 9"):
        density_and_coverage(normal(10, 0), normal(10, 1), neighbours=10)
