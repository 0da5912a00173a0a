"""The trunks of a vascular tree: central vessels, temporal arcades, nasal trunks, small vessels of the disc.

In the tree's own frame (see :mod:`retinagan.eye.tree.growth`). ``up`` is -1 for the superior half, 1 for the inferior.
"""

from __future__ import annotations

import numpy as np

from retinagan.eye.tree.curves import WAVE_DRAWS, arc, spline, turn, unit
from retinagan.eye.tree.growth import ARTERY, VEIN, Growth

TRUNK_TIP = {VEIN: 0.0090, ARTERY: 0.0075}
"""Radius at which an arcade leaves through the rim."""

INNER_TIP, NASAL_TIP, SMALL_TIP = 0.0068, 0.0050, 0.0026


def grow_trunks(growth: Growth, rng: np.random.Generator) -> None:
    """Artery and vein emerge nasal of the disc's centre and leave up and down; each half divides into its trunks."""
    jitter = rng.normal(0, 0.02, 2)
    # One generator a part: what the map cuts off of one part leaves the others as they are.
    *halves, small = rng.spawn(3)
    roots = {ARTERY: growth.plant(np.array([-0.07, jitter[0]]), ARTERY)}
    roots[VEIN] = growth.plant(np.array([-0.035, jitter[1]]), VEIN)
    for half, part in enumerate(halves):
        _half(growth, part, roots, half)
    for kind in (ARTERY, VEIN):
        _small(growth, small, roots[kind])


def _half(growth: Growth, rng: np.random.Generator, roots: dict[int, int], half: int) -> None:
    """Superior (0) or inferior (1) half: the pair of the arcade, its inner branches and the nasal trunks."""
    up = (-1.0, 1.0)[half]
    arcades, inner, nasal = rng.spawn(3)
    shared, apart = rng.normal(0, 1, (7, 2)), rng.normal(0, 1, 7)
    outside = 1.0 if rng.random() < 0.65 else -1.0  # 1: the vein is the outer of the two at first
    flip = -1.0 if rng.random() < 0.4 else 1.0  # -1: they cross further on
    trunks = {}
    for kind, sign in ((VEIN, outside), (ARTERY, -outside)):
        gap = sign * np.array([0.014, 0.032, *(flip * np.array([0.045, 0.06, 0.085, 0.12, 0.16]))])
        gap = gap * (1 + 0.35 * apart * (1 if kind == VEIN else -1))
        line = _arcade(growth, half, up, shared, gap)
        line = spline(np.concatenate([growth.xy[roots[kind]][None], line]))
        draws = arcades.uniform(0, 1, WAVE_DRAWS + 1)
        trunks[kind] = growth.add(line, roots[kind], TRUNK_TIP[kind], 0, 0.013, 0.45, draws)
    heights = (inner.uniform(0.28, 0.44), inner.uniform(0.52, 0.70))
    kinds = (ARTERY, VEIN) if inner.random() < 0.5 else (VEIN, ARTERY)
    count = 2 if inner.random() < 0.2 else 1
    first = int(inner.integers(2))
    for i in (first, 1 - first)[:count]:
        _inner_arcade(growth, inner, trunks[kinds[i]], half, up, heights[i])
    _nasal(growth, nasal, trunks, up)


def _arcade(growth: Growth, half: int, up: float, shared: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Waypoints (7, 2) of one vessel of an arcade, from the disc to beyond the fovea.

    ``shared`` (7, 2) is how both vessels of the pair deviate, ``gap`` (7,) how far this one runs outside their middle.
    """
    height, close = growth.habit.opening[half], growth.habit.closing[half]
    xs = np.array([-0.06, 0.10, 0.36, 0.74, 1.15, 1.6, 2.1])
    ys = np.array([0.20, 0.50, 0.80, 1.0, 1.03 - 0.12 * close, 0.97 - 0.4 * close, 0.85 - 0.6 * close]) * height
    spread = np.array([0.02, 0.06, 0.07, 0.06, 0.08, 0.12, 0.15])
    line = np.stack([xs, ys], axis=1) + 0.5 * spread[:, None] * shared
    line[:, 1] *= up
    ways = unit(np.gradient(line, axis=0))
    outwards = np.stack([ways[:, 1], -ways[:, 0]], axis=1) * -up
    return line + outwards * gap[:, None]


def _inner_arcade(
    growth: Growth, rng: np.random.Generator, trunk: np.ndarray, half: int, up: float, height: float
) -> None:
    """The branch of an arcade that runs between it and the macula to the temporal rim."""
    height = height * growth.habit.opening[half] / 0.95
    split, bow, fall, end, open_angle = rng.uniform(0, 1, 5)
    draws = rng.uniform(0, 1, WAVE_DRAWS + 1)
    high_enough = np.abs(growth.xy[trunk[:-1], 1]) > height * (0.5 + 0.3 * split)
    if not high_enough.any():
        return
    fork = int(trunk[int(high_enough.argmax())])
    start = growth.xy[fork]
    way = turn(growth.way[fork], -up * np.deg2rad(30 + 15 * open_angle))
    xs = np.array([max(0.62, start[0] + 0.3), 1.15, 1.9])
    ys = height * np.array([1.0 + 0.25 * bow, 0.8 + 0.5 * fall, 0.3 + end])
    # It stays inside the arcade that it leaves.
    ys = np.minimum(ys, 0.8 * np.interp(xs, growth.xy[trunk, 0], np.abs(growth.xy[trunk, 1])))
    line = np.concatenate([[start, start + 0.10 * way], np.stack([xs, up * ys], axis=1)])
    growth.add(spline(line), fork, INNER_TIP, 1, 0.022, 0.5, draws)


def _nasal(growth: Growth, rng: np.random.Generator, trunks: dict[int, np.ndarray], up: float) -> None:
    """The nasal trunks of one half: they fork from the temporal ones near the disc and fan out to the nasal rim."""
    count = int(rng.integers(2, 4))
    angles = np.deg2rad(np.linspace(80, 20, count) + rng.uniform(-14, 14, count))
    for i, angle in enumerate(angles):
        trunk = trunks[(ARTERY, VEIN)[(i + int(up > 0)) % 2]]
        at = int(rng.integers(2, 7)) + (4 if i == 0 else 0)
        reach, bend = rng.uniform(0.7, 1.2), rng.normal(0, 0.15)
        draws = rng.uniform(0, 1, WAVE_DRAWS + 1)
        if len(trunk) < 2:
            continue
        fork = int(trunk[min(at, len(trunk) - 2)])
        start = growth.xy[fork]
        heading = np.array([-np.cos(angle), up * np.sin(angle)])
        end = start + reach * turn(heading, bend)
        curve = arc(start, unit(growth.way[fork] + 1.2 * heading), end, unit(end - start))
        growth.add(curve, fork, NASAL_TIP, 1, 0.03, 0.32, draws)


def _small(growth: Growth, rng: np.random.Generator, root: int) -> None:
    """Small vessels straight from the disc: to the macula, and to the nasal side."""
    for side, count in ((1.0, int(rng.integers(0, 3))), (-1.0, int(rng.integers(0, 2)))):
        for _ in range(count):
            slope, reach = rng.uniform(-0.55, 0.55), rng.uniform(0.4, 0.65)
            draws = rng.uniform(0, 1, WAVE_DRAWS + 1)
            end = np.array([side * reach, 0.6 * slope])
            way, end_way = unit(np.array([side, 1.5 * slope])), unit(np.array([side, -0.1 * slope]))
            grown = growth.add(arc(growth.xy[root], way, end, end_way), root, SMALL_TIP, 1, 0.04, 0.32, draws)
            growth.slender[grown] = True
