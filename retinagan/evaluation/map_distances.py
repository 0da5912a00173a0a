"""How far are generated maps from real ones, and how many of the real ones do they reach? Distances on descriptors,
beside those between real maps, always at equal n."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import cdist

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion, Limit
from retinagan.evaluation.distances import Comparison, density_and_coverage, frechet_distance, split_halves
from retinagan.evaluation.map_set import MapSet
from retinagan.evaluation.report import Result
from retinagan.maps.descriptors import ASSUMED, DESCRIPTORS, Measured
from retinagan.seeds import NUM_GRADES

DRAWS = 100
"""Random halvings of the real maps, and draws of as many generated ones, that distances are averaged over."""

NEIGHBOURS = 5
"""k of coverage and density, as the paper recommends."""


def frechet_ratio(real: np.ndarray, generated: np.ndarray, draws: int = DRAWS) -> Comparison:
    """Fréchet distance generated to real, in units of that of real to real.

    The estimate from few samples is biased upwards, so both distances are taken between sets of one size: a random half
    of the real maps against the other half, and against as many generated ones, averaged over ``draws``.

    Args:
        real, generated: ``float (N, D)`` and ``(M, D)``, N at least 4, M at least 2.
    """
    rng = np.random.default_rng(0)
    size = min(len(real) // 2, len(generated))
    between_real, to_generated = [], []
    for _ in range(draws):
        first, second = split_halves(len(real), int(rng.integers(2**32)))
        drawn = rng.choice(len(generated), size, replace=False)
        between_real.append(frechet_distance(real[first[:size]], real[second[:size]]))
        to_generated.append(frechet_distance(real[first[:size]], generated[drawn]))
    return Comparison.of(between_real, to_generated, size)


@dataclass(frozen=True)
class Coverage:
    """Density and coverage (Naeem et al., ICML 2020) of ``n`` real maps by as many generated ones; ``expected`` is the
    coverage of one distribution by itself (their lemma 2)."""

    density: float
    coverage: float
    expected: float
    n: int

    @classmethod
    def of(cls, real: np.ndarray, generated: np.ndarray, draws: int = 20) -> Coverage | None:
        """Averaged over draws of the more numerous; None of too few maps."""
        rng = np.random.default_rng(0)
        size = min(len(real), len(generated))
        if size <= NEIGHBOURS:
            return None
        figures = []
        for _ in range(draws):
            a, b = (maps[rng.choice(len(maps), size, replace=False)] for maps in (real, generated))
            figures.append(density_and_coverage(a, b, NEIGHBOURS))
        density, covered = np.mean(figures, axis=0)
        missed = np.prod([(size - i) / (2 * size - i) for i in range(1, NEIGHBOURS + 1)])
        return cls(float(density), float(covered), float(1 - missed), size)


@dataclass(frozen=True)
class Neighbours:
    """Median distance to the nearest real map, of the other real maps and of the generated ones: copies lie nearer."""

    real: float
    generated: float

    @classmethod
    def of(cls, real: np.ndarray, generated: np.ndarray) -> Neighbours:
        between_real = cdist(real, real)
        np.fill_diagonal(between_real, np.inf)
        return cls(float(np.median(between_real.min(1))), float(np.median(cdist(generated, real).min(1))))


@dataclass(frozen=True)
class GradeDistances:
    """Distances of one grade with ``n`` real maps, on so many ``descriptors``; None of too few maps."""

    grade: int
    n: int
    descriptors: int
    frechet: Comparison | None
    coverage: Coverage | None
    neighbour: Neighbours | None


@dataclass(frozen=True)
class MapDistances(Result):
    """Distances by grade."""

    title: ClassVar = "Distances on standardised descriptors, at equal n (few maps: biased alike on both sides)"
    grades: list[GradeDistances]

    @classmethod
    def of(cls, real: MapSet, theirs: Measured, ours: Sequence[Measured]) -> MapDistances:
        # Whether there are lesions varies among all maps, where they lie among those that have some: the larger unit
        # counts.
        scale = theirs.descriptors.std(0)
        if theirs.with_lesions.any():
            scale = np.maximum(scale, theirs.descriptors[theirs.with_lesions].std(0))
        scale[scale < 1e-9] = 1.0
        rows = []
        for grade in range(NUM_GRADES):
            chosen = real.grades == grade
            painted = bool((real.labels[chosen] == "disc").any())
            used = np.array([not (painted and name in ASSUMED) for name in DESCRIPTORS])
            a, b = ((d / scale)[:, used] for d in (theirs.descriptors[chosen], ours[grade].descriptors))
            n = int(chosen.sum())
            rows.append(
                GradeDistances(
                    grade, n, int(used.sum()), frechet_ratio(a, b) if n >= 4 else None, Coverage.of(a, b),
                    Neighbours.of(a, b) if n >= 2 else None,
                )
            )  # fmt: skip
        return cls(rows)

    def criteria(self) -> list[Criterion]:
        judged = [row for row in self.grades if row.n >= criteria.ENOUGH_MAPS]
        return [
            _of_every_grade(criteria.MAPS_FRECHET, {r.grade: r.frechet.ratio for r in judged if r.frechet}),
            _of_every_grade(criteria.MAPS_COVERAGE, {r.grade: r.coverage.coverage for r in judged if r.coverage}),
        ]


def _of_every_grade(limit: Limit, values: dict[int, float]) -> Criterion:
    told = ", ".join(f"grade {grade}: {value:.2f}" for grade, value in values.items())
    met = all(limit.met(value) for value in values.values()) if values else None
    return Criterion(limit.name, met, told or f"no grade has {criteria.ENOUGH_MAPS} real maps")
