"""Distances between two sets of pictures, given as features or numbers: how far is the generated from the real?

Everything is computed in float64 and deterministically. Estimates from few samples are biased, each in its own way, so
compare figures of equal n alone and print n beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import binomtest

from retinagan.evaluation.report import unreported

DRAWS = 200
"""Random halvings over which :func:`compare` averages."""


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance between normal distributions fitted to two sets of features (Heusel et al., NeurIPS 2017).

    ``|μa - μb|² + tr(Ca + Cb - 2 (Ca Cb)^½)``. With the centred features as A and B, ``tr (Ca Cb)^½`` is the sum of
    the singular values of ``A Bᵀ / √((N-1)(M-1))``: exact for any n, with no matrix square root. Biased upwards for
    small n.

    Args:
        a, b: float ``(N, F)`` and ``(M, F)``, finite, N and M at least 2.

    Returns:
        The squared distance, as FID is by custom; 0 for equal sets.

    Raises:
        ValueError: fewer than two samples, other shapes, or values that are not finite.
    """
    a, b = _features(a, b)
    centred_a = (a - a.mean(0)) / np.sqrt(len(a) - 1)
    centred_b = (b - b.mean(0)) / np.sqrt(len(b) - 1)
    cross = np.linalg.svd(centred_a @ centred_b.T, compute_uv=False).sum()
    squared = ((a.mean(0) - b.mean(0)) ** 2).sum() + (centred_a**2).sum() + (centred_b**2).sum() - 2 * cross
    return float(max(squared, 0.0))


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared maximum mean discrepancy with the kernel ``(xᵀy / F + 1)³`` (KID: Bińkowski et al., ICLR 2018).

    The unbiased estimate: around 0, also below it, for two sets of one distribution, whatever their n.

    Args:
        a, b: float ``(N, F)`` and ``(M, F)``, finite, N and M at least 2.

    Raises:
        ValueError: as :func:`frechet_distance`.
    """
    a, b = _features(a, b)

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / a.shape[1] + 1) ** 3

    def within(x: np.ndarray) -> float:
        values = kernel(x, x)
        return float((values.sum() - np.trace(values)) / (len(x) * (len(x) - 1)))

    return within(a) + within(b) - 2 * float(kernel(a, b).mean())


def density_and_coverage(real: np.ndarray, generated: np.ndarray, neighbours: int = 5) -> tuple[float, float]:
    """Fidelity and diversity by nearest-neighbour balls (Naeem et al., ICML 2020).

    Each real sample owns a ball up to its k-th nearest real neighbour. *Density*: in how many balls a generated sample
    lies, over k, on average (about 1 when both are one distribution; it may exceed 1). *Coverage*: the share of balls
    that hold any generated sample.

    Args:
        real, generated: float ``(N, F)`` and ``(M, F)``, finite.
        neighbours: k, below N.

    Raises:
        ValueError: as :func:`frechet_distance`, or too few real samples for k.
    """
    real, generated = _features(real, generated)
    if not 1 <= neighbours < len(real):
        raise ValueError(f"neighbours is {neighbours}; with {len(real)} real samples allowed are 1 to {len(real) - 1}")
    radii = np.partition(cdist(real, real), neighbours, axis=1)[:, neighbours]  # column 0 is the sample itself
    inside = cdist(real, generated) <= radii[:, None]
    return float(inside.sum(0).mean() / neighbours), float(inside.any(1).mean())


@dataclass(frozen=True)
class Within:
    """How many generated values lie within the middle of the real ones.

    Attributes:
        real, generated: percentiles 10, 25, 50, 75 and 90; None where no value is finite.
        share: of the generated values, those within the real 10th to 90th percentile; of the real ones, 0.8 are.
    """

    real: list[float] | None
    generated: list[float] | None
    share: float | None

    @classmethod
    def of(cls, real: np.ndarray, generated: np.ndarray) -> Within:
        """Of values ``(N,)`` and ``(M,)``; those that are not finite lie outside and make no percentile."""
        theirs, ours = (percentiles(values, (10, 25, 50, 75, 90)) for values in (real, generated))
        share = None if theirs is None else float(((generated >= theirs[0]) & (generated <= theirs[-1])).mean())
        return cls(theirs, ours, share)


def percentiles(values: Sequence[float] | np.ndarray, at: Sequence[float] = (25, 50, 75)) -> list[float] | None:
    """Percentiles, by default quartiles, of the finite values; None of nothing."""
    values = np.asarray(values, dtype=np.float64)
    known = values[np.isfinite(values)]
    return [float(v) for v in np.percentile(known, at)] if len(known) else None


def wilson_interval(hits: int, n: int) -> list[float] | None:
    """95 % interval of a share, ``hits`` of ``n`` (Wilson, JASA 22, 1927, 209-212), or None if n is 0."""
    return list(binomtest(hits, n).proportion_ci(method="wilson")) if n else None


@dataclass(frozen=True)
class Overlaps:
    """Overlaps of ``n`` things with their nearest among others, 0..1: quartiles and the highest; None of none."""

    n: int
    quartiles: list[float] | None
    max: float | None
    all: list[float] = unreported()

    @classmethod
    def of(cls, overlaps: list[float]) -> Overlaps:
        return cls(len(overlaps), percentiles(overlaps), max(overlaps, default=None), overlaps)


def split_halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint random halves of ``range(count)``: what real against real looks like. The odd one out is dropped."""
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 : count // 2 * 2])


@dataclass(frozen=True)
class Comparison:
    """Mean distances ``real`` to real and ``generated`` to real between sets of ``n``, and their ratio; NaN where the
    former is not above 0."""

    real: float
    generated: float
    ratio: float
    n: int

    @classmethod
    def of(cls, real: Sequence[float], generated: Sequence[float], n: int) -> Comparison:
        theirs, ours = float(np.mean(real)), float(np.mean(generated))
        return cls(theirs, ours, ours / theirs if theirs > 0 else float("nan"), n)


def compare(
    distance: Callable[[Any, Any], float], real: Any, generated: Any, eyes: np.ndarray, draws: int = DRAWS
) -> Comparison:
    """Real against generated beside real against real, at equal n and with equal eyes.

    The real set is halved at random, A and B, ``draws`` times; "real" is the mean distance from B to A, "generated"
    that to A of generated photographs made for the eyes of B, one an eye drawn at random from those that it has.

    Args:
        distance: of two sets, ``distance(a, b) -> float``.
        real: N samples, indexable by an array of integers.
        generated: M samples, likewise.
        eyes: ``int (M,)``, the index 0..N-1 of the real sample for whose eye each was made.

    Raises:
        ValueError: fewer than four real samples that have a generated one.
    """
    eyes = np.asarray(eyes)
    made_for = [np.flatnonzero(eyes == index) for index in range(len(real))]
    paired = np.array([index for index, made in enumerate(made_for) if len(made)])
    if len(paired) < 4:
        raise ValueError(
            f"{len(paired)} real photographs have a generated one; halves need at least 4: raise the count"
        )
    rng = np.random.default_rng(0)
    ours, theirs = [], []
    for _ in range(draws):
        a, b = (paired[half] for half in split_halves(len(paired), int(rng.integers(2**32))))
        partners = np.array([rng.choice(made_for[index]) for index in b])
        theirs.append(distance(real[a], real[b]))
        ours.append(distance(real[a], generated[partners]))
    return Comparison.of(theirs, ours, len(paired) // 2)


def _features(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    for values in (a, b):
        if values.ndim != 2 or len(values) < 2 or values.shape[1] == 0 or values.shape[1] != a.shape[1]:
            raise ValueError(
                f"features have shapes {a.shape} and {b.shape}; expected (N, F) and (M, F), N and M at least 2"
            )
        if not np.isfinite(values).all():
            raise ValueError("features hold values that are not finite")
    return a, b
