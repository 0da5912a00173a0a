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
from scipy.spatial import cKDTree

from retinagan.eye.anatomy import Anatomy, find_anatomy
from retinagan.eye.tree.growth import ARTERY, LEVELS, VEIN, Growth, Habit
from retinagan.eye.tree.rasterise import draw_kinds, draw_vessels
from retinagan.eye.tree.trunks import grow_trunks
from retinagan.maps.labels import BG

__all__ = [
    "ARTERY",
    "MURRAY",
    "VEIN",
    "VesselTree",
    "draw_vessels",
    "grow_tree",
    "grow_vessels",
    "grow_vessels_and_tone",
]

MURRAY = 2.6
"""Exponent of Murray's law: a parent's radius to this power is the sum over its daughters."""

MOTTLE = 0.33
"""How much the retina's mottle changes the contrast of a vessel of 0.008 disc-fovea distances' radius
(about 4 pixels wide at 512)."""

GAPS = 0.15
"""Of the contrast that the ridge filter loses in real photographs where vessels emerge, fork, cross and sink into mottle, how much a grown
tree loses: the filter loses it once more in the photograph that is made from it."""

SHOWN = 0.82
"""Of the share of the field that a ridge filter finds to be vessel, how much a grown tree's plane shows: the photo generator broadens what it
is shown, and the filter takes some of the mottle for vessels."""

USUAL_DISTANCE = 0.455
"""Disc-fovea distance, as a share of the side, at which the tips' radii are meant."""

SAME_CALIBRE = 0.8
"""How little calibres follow the disc-fovea distance, 0..1: in real eyes they hardly follow the disc's size (correlation 0.05 to 0.12)."""

WAVES = 40
"""Plane waves that make a random function of place."""

DISTANCE_RANGE = (0.1, 2.0)
"""Disc-fovea distances, as a share of the side, between which a tree can be grown (they bound its size)."""


@dataclass(frozen=True)
class VesselTree:
    """A vascular tree as S segments, in shares of the map's side (x to the right, y down; 0..1 is the map).

    ``start``, ``end``: float64 (S, 2). ``radius``: float64 (S,). ``strength``: float64 (S,) in 0..1.4, the
    contrast of the vessel: arteries are paler than veins, twigs fade, some stretches are not
    seen at all. ``kind``: uint8 (S,), :data:`ARTERY` or :data:`VEIN`.
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


def grow_vessels(label_map: np.ndarray, seed: int) -> np.ndarray:
    """Lesion map ``uint8 (S, S)`` and seed ≥ 0 → vessel plane ``float32 (S, S)`` in 0..1, zero on background.

    The tree depends on the map's disc alone, so lesions may change without changing the eye.

    Raises:
        TypeError: not a ``uint8`` array, or ``seed`` is not an int.
        ValueError: not a square lesion map, or ``seed`` is negative.
    """
    return grow_vessels_and_tone(label_map, seed)[0]


def grow_vessels_and_tone(label_map: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """:func:`grow_vessels`, and the vessels' tone ``float32 (S, S)`` in -1..1: arteries are light (negative), veins dark.

    The counterpart of ``retinagan.eye.tone.vessel_tone``; a tone's magnitude is at most the plane's.
    """
    anatomy = find_anatomy(label_map)
    tree = grow_tree(anatomy, seed)
    arteries, veins = draw_kinds(tree, anatomy.size, SHOWN * tree.share) * (label_map != BG)
    return np.maximum(arteries, veins), np.where(veins >= arteries, veins, -arteries) * np.float32(tree.tone)


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
    unit = length ** (1 - SAME_CALIBRE) * USUAL_DISTANCE**SAME_CALIBRE
    radius = _calibres(growth) * np.where(kind == VEIN, vein, 1 / vein) * habit.calibre * unit
    strength = _strengths(growth, radius / length, rng)
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
        share=habit.share,
        tone=habit.tone,
    )


def _calibres(growth: Growth) -> np.ndarray:
    """Radius of each node (n,), from the tips to the disc by Murray's law; disc-fovea distances."""
    flow = (growth.tip[: growth.count] ** MURRAY).tolist()
    parent = growth.parent[: growth.count].tolist()
    for node in range(growth.count - 1, -1, -1):
        if parent[node] >= 0:
            flow[parent[node]] += flow[node]
    return np.array(flow) ** (1 / MURRAY)


def _strengths(growth: Growth, radius: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Contrast of each node (n,) in 0..1.4: paler arteries and tips, each branch its own, broken where a ridge filter
    loses a vessel: in the disc, at forks and crossings, and wherever thin vessels sink into the retina's mottle.

    ``radius`` (n,) in disc-fovea distances.
    """
    n = growth.count
    xy, kind, habit = growth.xy[:n], growth.kind[:n], growth.habit
    slow, fast, chance = (
        _waves(rng, shortest, longest) for shortest, longest in ((0.35, 1.2), (0.10, 0.35), (0.03, 0.12))
    )
    artery = np.where(kind == ARTERY, habit.artery_contrast, 1.0)
    ending = 0.4 + 0.6 * np.clip(growth.left[:n] / 6, 0, 1)
    strength = artery * ending * (1 + 0.4 * growth.contrast[:n] + 0.2 * slow(xy))
    # The filter answers with the vessel's contrast plus that of the mottle, which matters to thin vessels alone.
    mottle = GAPS * MOTTLE * habit.broken * np.clip((0.008 / radius) ** 2, 0, 1.4)
    strength *= np.clip(1 + mottle * (fast(xy) + 0.25 * chance(xy)), 0, 1.4)
    # Beside and in the bright disc it sees little of thin vessels, and the trunks only here and there.
    from_disc2 = (xy**2).sum(axis=1)
    near = np.exp(-((from_disc2 / 0.56**2) ** 2))
    within = np.exp(-((from_disc2 / 0.20**2) ** 2))
    trunk = np.where(kind == VEIN, 0.42, 0.68)
    strength *= 1 - GAPS * np.where(growth.depth[:n] > 0, 0.75, trunk) * near
    strength *= 1 - GAPS * np.clip(0.28 + 0.35 * chance(xy), 0, 0.95) * within
    # Where they emerge they dive into the cup: upper and lower half seem apart.
    strength *= 1 - GAPS * 0.8 * np.exp(-((((xy - xy[0]) ** 2).sum(axis=1) / 0.10**2) ** 2))
    # Side branches seem to begin a little beside their parent.
    fork = growth.fork[:n]
    depth_of_gap = GAPS * np.clip(0.35 + 0.55 * chance(xy[fork]), 0, 0.95) * (growth.depth[:n] > 0)
    strength *= 1 - depth_of_gap * np.exp(-((growth.since[:n] / 2.2) ** 2))
    strength *= 1 - GAPS * _crossings(growth, radius)
    return np.clip(strength, 0.0, 1.4)


def _waves(rng: np.random.Generator, shortest: float, longest: float):
    """A random smooth function of places (..., 2), mean 0 and variance 1: plane waves of lengths in this range."""
    length = shortest * (longest / shortest) ** rng.uniform(0, 1, WAVES)
    angle, phase = rng.uniform(0, 2 * np.pi, (2, WAVES))
    frequency = 2 * np.pi * np.stack([np.cos(angle), np.sin(angle)]) / length
    return lambda places: np.sqrt(2 / WAVES) * np.sin(places @ frequency + phase).sum(axis=-1)


def _crossings(growth: Growth, radius: np.ndarray) -> np.ndarray:
    """How much of its contrast each node (n,) loses, 0..1, where it passes below a wider vessel of the other kind."""
    n = growth.count
    lost = np.zeros(n)
    artery = np.nonzero(growth.kind[:n] == ARTERY)[0]
    vein = np.nonzero(growth.kind[:n] == VEIN)[0]
    if len(artery) == 0 or len(vein) == 0:
        return lost
    for below, above in ((artery, vein), (vein, artery)):
        distance, nearest = cKDTree(growth.xy[above]).query(growth.xy[below])
        over = above[nearest]
        across = np.abs((growth.way[below] * growth.way[over]).sum(axis=1)) < 0.85
        across &= radius[below] < radius[over]
        lost[below] = np.where(across, 0.8 * np.exp(-((distance / (0.022 + radius[over])) ** 2)), 0)
    return lost
