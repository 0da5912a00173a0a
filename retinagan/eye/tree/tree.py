"""Grows the vascular tree of an eye from its disc: arteries and veins, coarse to fine, from one seed.

The tree is grown in a frame of its own: the disc's centre at the origin, the fovea at (1, 0), x temporal, y
down. So the tree belongs to the seed; the map only places it, mirrors it and cuts it at the rim, and the same seed
is the same eye when the disc moves or the map changes. Trunks are splines (temporal arcades around the fovea,
nasal trunks, small vessels to the macula). Then, from wide to narrow spacing, each place that is too far from
any vessel gets a branch: a smooth arc that leaves its parent at an acute angle some way upstream and crosses no
vessel of its own kind. Calibres and contrasts follow at last.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from retinagan.eye.tree.growth import VEIN, Growth
from retinagan.eye.tree.rules import LEVELS, Habit
from retinagan.eye.tree.strength import calibres, contrasts
from retinagan.eye.tree.trunks import grow_trunks
from retinagan.maps.anatomy import Anatomy

USUAL_DISTANCE = 0.455
"""Disc-fovea distance, as a share of the side, at which the tips' radii are meant."""

SAME_CALIBRE = 0.8
"""How little calibres follow the disc-fovea distance, 0..1: in real eyes they hardly follow the disc's size
(correlation 0.05 to 0.12)."""

DISTANCE_RANGE = (0.1, 2.0)
"""Disc-fovea distances, as a share of the side, between which a tree can be grown (they bound its size)."""

FIELD = 0.52
"""Radius of the field that the tree grows into, as a share of the side: vessels run on a little beyond the rim."""

KEPT_TREES = 16
"""Trees that are kept for the whole process, whoever asks for them again: 65 bytes a segment, 0.1 to 0.2 MB each and
never more than 1 MB (``retinagan.eye.tree.growth.MAX_NODES``)."""


@dataclass(frozen=True)
class VesselTree:
    """A vascular tree as S segments, in shares of the map's side (x to the right, y down; 0..1 is the map).

    ``start``, ``end``: float64 (S, 2). ``radius``: float64 (S,). ``strength``: float64 (S,) in 0..1.4, the
    contrast of the vessel: arteries are paler than veins, twigs fade, some stretches are not
    seen at all. ``kind``: uint8 (S,), :data:`retinagan.eye.tree.growth.ARTERY` or ``VEIN``.
    ``depth``: int64 (S,), 0 for the arcades, +1 at each side branch. ``parent``: int64 (S,), the segment that this one
    continues or branches from, always an earlier one; -1 at the central artery and vein. ``share``: of the field
    that a ridge filter would call vessel. ``tone``: how much lighter arteries and darker veins are, 0..1.
    """

    start: np.ndarray
    end: np.ndarray
    radius: np.ndarray
    strength: np.ndarray
    kind: np.ndarray
    depth: np.ndarray
    parent: np.ndarray
    share: float = 0.091
    tone: float = 0.4


def grow_tree(anatomy: Anatomy, seed: int, gaps: float = 1.0) -> VesselTree:
    """The tree of this anatomy and seed. Deterministic; its work is bounded for any anatomy.

    The last :data:`KEPT_TREES` are kept, so that what leaves the disc alone does not grow its eye's tree again; their
    arrays are read-only.

    ``gaps`` is, of the contrast that a ridge filter loses where vessels emerge, fork, cross and sink into mottle, how
    much the tree loses.

    Raises:
        TypeError: ``seed`` is not an int.
        ValueError: ``seed`` is negative, or disc and fovea are nearer or further apart than :data:`DISTANCE_RANGE`.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed is {seed!r}; it must be an int of 0 or more")
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")
    return _grown(anatomy, int(seed), gaps)


@lru_cache(maxsize=KEPT_TREES)
def _grown(anatomy: Anatomy, seed: int, gaps: float) -> VesselTree:
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

    rng = np.random.default_rng(seed)
    habit = Habit.draw(rng)
    # One generator a stage: what the field cuts off of one stage leaves the others as they are.
    trunks, fading, *levels = rng.spawn(2 + len(LEVELS))
    growth = Growth(habit, field, FIELD / length)
    grow_trunks(growth, trunks)
    for level, level_rng in zip(LEVELS, levels, strict=True):
        growth.fill(level, level_rng)
    return _finish(growth, gaps, disc, to_map, length, fading)


def _finish(
    growth: Growth, gaps: float, disc: np.ndarray, to_map: np.ndarray, length: float, rng: np.random.Generator
) -> VesselTree:
    """Calibres, contrasts, and the segments in shares of the map's side."""
    n = growth.count
    kind, habit = growth.kind[:n], growth.habit
    vein = np.sqrt(habit.vein_ratio)
    unit = length ** (1 - SAME_CALIBRE) * USUAL_DISTANCE**SAME_CALIBRE
    radius = calibres(growth) * np.where(kind == VEIN, vein, 1 / vein) * habit.calibre * unit
    strength = contrasts(growth, radius / length, gaps, rng)
    nodes = np.nonzero(growth.parent[:n] >= 0)[0]
    segment = np.full(n, -1)
    segment[nodes] = np.arange(len(nodes))
    before = growth.parent[nodes]
    on_map = disc + growth.xy[:n] @ to_map
    tree = VesselTree(
        start=on_map[before],
        end=on_map[nodes],
        radius=radius[nodes],
        strength=strength[nodes],
        kind=kind[nodes],
        depth=growth.depth[nodes],
        parent=segment[before],
        share=habit.share,
        tone=habit.tone,
    )
    for array in vars(tree).values():
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    return tree
