"""Do styles differ as eyes do? Pairwise distances of photographs with the detail taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import pdist

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.report import Result, quotient
from retinagan.maps.parts import field_of_view

SIDE = 32
"""Photographs are compared as means over blocks, at this side: pigment and light, not vessels or lesions."""


def low_pass(photos: Sequence[np.ndarray], disc_left: Sequence[bool]) -> np.ndarray:
    """Photographs ``uint8 (S, S, 3)`` → ``float32 (N, P, 3)``: their P blocks wholly inside the field, 0..255.

    Eyes whose disc lies on the right are mirrored, so that one eye's disc is not compared with another's macula.

    Raises:
        ValueError: S does not divide by 32.
    """
    reduced = []
    for photo, left in zip(photos, disc_left, strict=True):
        size = len(photo)
        if size % SIDE:
            raise ValueError(f"photographs have side {size}; it must divide by {SIDE}")
        block = size // SIDE
        inside = np.asarray(field_of_view(size).reshape(SIDE, block, SIDE, block).all(axis=(1, 3)))
        means = photo.reshape(SIDE, block, SIDE, block, 3).mean(axis=(1, 3), dtype=np.float32)
        reduced.append((means if left else means[:, ::-1])[inside & inside[:, ::-1]])
    return np.stack(reduced)


def distances(low: np.ndarray) -> np.ndarray:
    """Root-mean-square difference of each pair of ``(N, P, 3)``: ``float64 (N(N-1)/2,)``, in levels of 0..255."""
    flat = low.reshape(len(low), -1).astype(np.float64)
    return pdist(flat) / np.sqrt(flat.shape[1])


@dataclass(frozen=True)
class Diversity(Result):
    """Mean pairwise distances of ``n_real`` ``real`` photographs, of ``n_styles`` ``styles`` of one map (mean over
    maps), and of ``n_maps`` ``maps`` of one style; ``ratio`` of styles to real."""

    title: ClassVar = "Diversity: mean pairwise distance without detail, in levels of 255"
    real: float
    styles: float
    maps: float
    ratio: float
    n_real: int
    n_maps: int
    n_styles: int

    @classmethod
    def of(cls, real: np.ndarray, grid: np.ndarray) -> Diversity:
        """Of real photographs ``(N, P, 3)`` from :func:`low_pass`, and of M maps, each in the same K styles:
        ``(M, K, P, 3)``.

        Raises:
            ValueError: fewer than two real photographs, maps or styles.
        """
        counts = (len(real), *grid.shape[:2])
        if min(counts) < 2:
            raise ValueError(
                f"{counts[0]} real photographs, {counts[1]} maps, {counts[2]} styles; pairs need 2 of each"
            )
        of_real = float(distances(real).mean())
        styles, maps = (float(np.mean([distances(row).mean() for row in rows])) for rows in (grid, grid.swapaxes(0, 1)))
        return cls(of_real, styles, maps, styles / max(of_real, 1e-9), *counts)

    def criteria(self) -> list[Criterion]:
        told = f"{quotient(self, 'styles', 'real')}; {self.n_maps} maps × {self.n_styles} styles"
        return [criteria.DIVERSITY.judge(self.ratio, told)]
