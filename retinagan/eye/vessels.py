"""Grows the vascular tree of an eye from its disc: arteries and veins, coarse to fine, from one seed.

The tree is grown in a frame of its own: the disc's centre at the origin, the fovea at (1, 0), x temporal, y
down. So the tree belongs to the seed; the map only places it, mirrors it and cuts it at the rim, and the same seed
is the same eye when the disc moves or the map changes. Trunks are splines (temporal arcades around the fovea,
nasal trunks, small vessels to the macula). Then, from wide to narrow spacing, each place that is too far from
any vessel gets a branch: a smooth arc that leaves its parent at an acute angle some way upstream and crosses no
vessel of its own kind. Calibres follow at last, tips to roots, by Murray's law (C. D. Murray, "The physiological
principle of minimum work", PNAS 12, 1926; the exponent as measured in retinas rather than his 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retinagan.eye.anatomy import Anatomy, find_anatomy
from retinagan.eye.growth import ARTERY, LEVELS, VEIN, Growth, Habit
from retinagan.eye.rasterise import draw_vessels
from retinagan.eye.trunks import grow_trunks
from retinagan.labels import BG

__all__ = ["ARTERY", "MURRAY", "VEIN", "VesselTree", "draw_vessels", "grow_tree", "grow_vessels"]

MURRAY = 2.6
"""Exponent of Murray's law: a parent's radius to this power is the sum over its daughters."""

DISTANCE_RANGE = (0.1, 2.0)
"""Disc-fovea distances, as a share of the side, between which a tree can be grown (they bound its size)."""


@dataclass(frozen=True)
class VesselTree:
    """A vascular tree as S segments, in shares of the map's side (x to the right, y down; 0..1 is the map).

    ``start``, ``end``: float64 (S, 2). ``radius``: float64 (S,). ``strength``: float64 (S,) in 0..1, the contrast of
    the vessel: arteries are paler than veins, twigs fade. ``kind``: uint8 (S,), :data:`ARTERY` or :data:`VEIN`.
    ``depth``: int64 (S,), 0 for the arcades, +1 at each side branch. ``parent``: int64 (S,), the segment that this one
    continues or branches from, always an earlier one; -1 at the central artery and vein.
    """

    start: np.ndarray
    end: np.ndarray
    radius: np.ndarray
    strength: np.ndarray
    kind: np.ndarray
    depth: np.ndarray
    parent: np.ndarray


def grow_vessels(label_map: np.ndarray, seed: int) -> np.ndarray:
    """Lesion map ``uint8 (S, S)`` and seed ≥ 0 → vessel plane ``float32 (S, S)`` in 0..1, zero on background.

    The tree depends on the map's disc alone, so lesions may change without changing the eye.

    Raises:
        TypeError: not a ``uint8`` array, or ``seed`` is not an int.
        ValueError: not a square lesion map, or ``seed`` is negative.
    """
    anatomy = find_anatomy(label_map)
    plane = draw_vessels(grow_tree(anatomy, seed), anatomy.size)
    plane[label_map == BG] = 0.0
    return plane


def grow_tree(anatomy: Anatomy, seed: int) -> VesselTree:
    """The tree of this anatomy and seed. Deterministic; its work is bounded for any anatomy.

    Raises:
        TypeError: ``seed`` is not an int.
        ValueError: ``seed`` is negative, or disc and fovea are nearer or further apart than :data:`DISTANCE_RANGE`.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed is {seed!r}; it must be an int of 0 or more")
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")
    disc = np.array([anatomy.disc_x, anatomy.disc_y]) / anatomy.size
    axis = np.array([anatomy.fovea_x, anatomy.fovea_y]) / anatomy.size - disc
    length = float(np.sqrt((axis**2).sum()))
    if not DISTANCE_RANGE[0] <= length <= DISTANCE_RANGE[1]:
        raise ValueError(
            f"disc and fovea are {length:.3g} of the side apart; allowed are {DISTANCE_RANGE[0]} to {DISTANCE_RANGE[1]}"
        )
    temporal = axis / length
    # y stays "down" on both sides: the right eye is the left one mirrored, not turned.
    down = np.array([-temporal[1], temporal[0]]) * (1 if anatomy.side == "left" else -1)
    to_map = np.stack([temporal, down]) * length
    field = to_map @ (np.array([0.5, 0.5]) - disc) / length**2

    rng = np.random.default_rng(int(seed))
    habit = Habit.draw(rng)
    # One generator a stage: what the field cuts off of one stage leaves the others as they are.
    trunks, fading, *levels = rng.spawn(2 + len(LEVELS))
    growth = Growth(habit, field, 0.52 / length)
    grow_trunks(growth, trunks)
    for level, level_rng in zip(LEVELS, levels, strict=True):
        growth.fill(level, level_rng)
    return _finish(growth, disc, to_map, length, fading)


def _finish(
    growth: Growth, disc: np.ndarray, to_map: np.ndarray, length: float, rng: np.random.Generator
) -> VesselTree:
    """Calibres, contrasts, and the segments in shares of the map's side."""
    n = growth.count
    kind, habit = growth.kind[:n], growth.habit
    vein = np.sqrt(habit.vein_ratio)
    radius = _calibres(growth) * np.where(kind == VEIN, vein, 1 / vein) * habit.calibre * length
    strength = _strengths(growth, rng)
    nodes = np.nonzero(growth.parent[:n] >= 0)[0]
    segment = np.full(n, -1)
    segment[nodes] = np.arange(len(nodes))
    before = growth.parent[nodes]
    on_map = disc + growth.xy[:n] @ to_map
    return VesselTree(
        start=on_map[before],
        end=on_map[nodes],
        radius=radius[nodes],
        strength=strength[nodes],
        kind=kind[nodes],
        depth=growth.depth[nodes],
        parent=segment[before],
    )


def _calibres(growth: Growth) -> np.ndarray:
    """Radius of each node (n,), from the tips to the disc by Murray's law; disc-fovea distances."""
    flow = (growth.tip[: growth.count] ** MURRAY).tolist()
    parent = growth.parent[: growth.count].tolist()
    for node in range(growth.count - 1, -1, -1):
        if parent[node] >= 0:
            flow[parent[node]] += flow[node]
    return np.array(flow) ** (1 / MURRAY)


def _strengths(growth: Growth, rng: np.random.Generator) -> np.ndarray:
    """Contrast of each node (n,) in 0.1..1: paler arteries and tips, pale beside the disc, each branch its own."""
    n = growth.count
    xy = growth.xy[:n]
    phase = xy @ rng.normal(0, 9, (2, 3)) + rng.uniform(0, 2 * np.pi, 3)
    slow = np.sin(phase).mean(axis=1)
    # Beside the bright disc a ridge filter sees little of thin vessels: neither does the guidance of real eyes.
    fading = np.where(growth.depth[:n] > 0, 0.9, 0.5)
    near_disc = fading * np.exp(-(((xy**2).sum(axis=1) / 0.42**2) ** 2))
    artery = np.where(growth.kind[:n] == ARTERY, growth.habit.artery_contrast, 1.0)
    ending = 0.4 + 0.6 * np.clip(growth.left[:n] / 6, 0, 1)
    return np.clip(artery * ending * (1 - near_disc) * (1 + 0.4 * growth.contrast[:n] + 0.3 * slow), 0.1, 1.0)
