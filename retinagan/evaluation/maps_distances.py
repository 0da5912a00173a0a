"""Distances between real and generated sets of numbers, beside those between real ones, always at equal n."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from retinagan.evaluation.distances import density_and_coverage, frechet_distance, split_halves

DRAWS = 100
"""Random halvings of the real maps, and draws of as many generated ones, that distances are averaged over."""

NEIGHBOURS = 5
"""k of coverage and density, as the paper recommends."""


def frechet_ratio(real: np.ndarray, generated: np.ndarray, draws: int = DRAWS, seed: int = 0) -> dict:
    """Fréchet distance generated to real, in units of that of real to real.

    The estimate from few samples is biased upwards, so both distances are taken between sets of one size: a random half
    of the real maps against the other half, and against as many generated ones, averaged over ``draws``.

    Args:
        real, generated: ``float (N, D)`` and ``(M, D)``, N at least 4, M at least 2.

    Returns:
        ``real``, ``generated``, ``ratio`` and the size ``n`` of the sets.
    """
    rng = np.random.default_rng(seed)
    size = min(len(real) // 2, len(generated))
    between_real, to_generated = [], []
    for _ in range(draws):
        first, second = split_halves(len(real), int(rng.integers(2**32)))
        drawn = rng.choice(len(generated), size, replace=False)
        between_real.append(frechet_distance(real[first[:size]], real[second[:size]]))
        to_generated.append(frechet_distance(real[first[:size]], generated[drawn]))
    ours, theirs = float(np.mean(to_generated)), float(np.mean(between_real))
    return {"real": theirs, "generated": ours, "ratio": ours / max(theirs, 1e-12), "n": size}


def coverage(real: np.ndarray, generated: np.ndarray, draws: int = 20) -> dict | None:
    """Density and coverage with as many generated as real maps, averaged over draws of the more numerous; ``expected``
    is the coverage of one distribution by itself (Naeem et al. 2020, lemma 2). None of too few maps."""
    rng = np.random.default_rng(0)
    size = min(len(real), len(generated))
    if size <= NEIGHBOURS:
        return None
    figures = [
        density_and_coverage(
            *(maps[rng.choice(len(maps), size, replace=False)] for maps in (real, generated)), NEIGHBOURS
        )
        for _ in range(draws)
    ]
    density, covered = np.mean(figures, axis=0)
    missed = np.prod([(size - i) / (2 * size - i) for i in range(1, NEIGHBOURS + 1)])
    return {"density": density, "coverage": covered, "expected": 1 - missed, "n": size}


def neighbour_distances(real: np.ndarray, generated: np.ndarray) -> dict:
    """Median distance to the nearest real map, of the other real maps and of the generated ones: copies lie nearer."""
    between_real = cdist(real, real)
    np.fill_diagonal(between_real, np.inf)
    return {"real": np.median(between_real.min(1)), "generated": np.median(cdist(generated, real).min(1))}
