"""Do styles differ as eyes do? Pairwise distances of photographs with the detail taken out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retinagan.maps.labels import field_of_view

SIDE = 32
"""Photographs are compared as means over blocks, at this side: pigment and light, not vessels or lesions."""

LEAST = 0.7
"""Mean distance over styles of one map, over the mean distance of real photographs, at least."""


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
        inside = field_of_view(size).reshape(SIDE, block, SIDE, block).all(axis=(1, 3))
        means = photo.reshape(SIDE, block, SIDE, block, 3).mean(axis=(1, 3), dtype=np.float32)
        reduced.append((means if left else means[:, ::-1])[inside & inside[:, ::-1]])
    return np.stack(reduced)


def distances(low: np.ndarray) -> np.ndarray:
    """Root-mean-square difference of each pair of ``(N, P, 3)``: ``float64 (N(N-1)/2,)``, in levels of 0..255."""
    flat = low.reshape(len(low), -1).astype(np.float64)
    first, second = np.triu_indices(len(flat), 1)
    return np.sqrt(((flat[first] - flat[second]) ** 2).mean(axis=1))


def diversity(real: np.ndarray, grid: np.ndarray) -> dict:
    """How varied real photographs, styles of a map and maps of a style are.

    Args:
        real: ``(N, P, 3)`` from :func:`low_pass`.
        grid: ``(M, K, P, 3)``: M maps, each in the same K styles.

    Returns:
        Mean pairwise distances ``real``, ``styles`` (of one map, mean over maps), ``maps`` (of one style), ``ratio``
        of styles to real, and the counts.

    Raises:
        ValueError: fewer than two real photographs, maps or styles.
    """
    if min(len(real), *grid.shape[:2]) < 2:
        raise ValueError(
            f"{len(real)} real photographs, {grid.shape[0]} maps, {grid.shape[1]} styles; pairs need 2 of each"
        )
    of_real = float(distances(real).mean())
    styles = float(np.mean([distances(row).mean() for row in grid]))
    maps = float(np.mean([distances(column).mean() for column in grid.swapaxes(0, 1)]))
    counts = {"n_real": len(real), "n_maps": grid.shape[0], "n_styles": grid.shape[1]}
    return {"real": of_real, "styles": styles, "maps": maps, "ratio": styles / max(of_real, 1e-9), **counts}
