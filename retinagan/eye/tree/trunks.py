"""The trunks of a vascular tree: central vessels, temporal arcades, nasal trunks, small vessels of the disc.

In the tree's own frame (see :mod:`retinagan.eye.tree.growth`). ``up`` is -1 for the superior half, 1 for the inferior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retinagan.eye.tree.curves import WAVE_DRAWS, arc, spline, turn, unit
from retinagan.eye.tree.growth import ARTERY, VEIN, Growth


@dataclass(frozen=True)
class Arcade:
    """The pair of vessels, artery and vein, that leaves the disc up or down and bows around the macula."""

    artery_root: float = -0.07
    """Where the central artery emerges on the axis: nasal of the disc's centre, the vein temporal of it."""
    vein_root: float = -0.035
    root_spread: float = 0.02
    """Standard deviation of both roots' heights."""
    x: tuple[float, ...] = (-0.06, 0.10, 0.36, 0.74, 1.15, 1.6, 2.1)
    """Waypoints of the pair's middle, temporally."""
    height: tuple[float, ...] = (0.20, 0.50, 0.80, 1.0, 1.03, 0.97, 0.85)
    """Their heights above the axis, in those of the arcade (``Habit.opening``), less ``closing`` times
    ``Habit.closing``."""
    closing: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.12, 0.4, 0.6)
    spread: tuple[float, ...] = (0.02, 0.06, 0.07, 0.06, 0.08, 0.12, 0.15)
    """Twice the standard deviation of each waypoint from arcade to arcade."""
    apart: tuple[float, ...] = (0.014, 0.032, 0.045, 0.06, 0.085, 0.12, 0.16)
    """Half the distance of artery and vein at each waypoint, and its relative standard deviation."""
    apart_spread: float = 0.35
    crossing: int = 2
    """Waypoint from which on they may have changed sides."""
    vein_outside: float = 0.65
    """Share of arcades whose vein is the outer one at first."""
    crossed: float = 0.4
    """Share of arcades whose vessels cross."""
    vein_tip: float = 0.0090
    """Radius at which the vein leaves through the rim; likewise the artery."""
    artery_tip: float = 0.0075
    waves: tuple[float, float] = (0.013, 0.45)
    """Tortuosity: height of the waves over their length, and their length."""


@dataclass(frozen=True)
class InnerArcade:
    """The branch of an arcade that runs between it and the macula to the temporal rim."""

    usual_opening: float = 0.95
    """Height of the arcades for which ``heights`` are meant."""
    heights: tuple[tuple[float, float], ...] = ((0.28, 0.44), (0.52, 0.70))
    """Bounds of the heights of the one and the other, above the axis; ``both``: share of halves that have both."""
    both: float = 0.2
    fork: tuple[float, float] = (0.5, 0.3)
    """It leaves the arcade at this share of its own height, plus up to so much, at ``angle`` degrees plus up to so
    many."""
    angle: tuple[float, float] = (30.0, 15.0)
    x: tuple[float, float, float] = (0.62, 1.15, 1.9)
    """Waypoints, temporally; the first at least ``ahead`` of the fork."""
    ahead: float = 0.3
    height: tuple[float, float, float] = (1.0, 0.8, 0.3)
    """Their heights in that of the branch, plus up to ``more``."""
    more: tuple[float, float, float] = (0.25, 0.5, 1.0)
    inside: float = 0.8
    """It stays below this share of its arcade's height."""
    first_step: float = 0.10
    """How far it runs straight on from its fork."""
    tip: float = 0.0068
    waves: tuple[float, float] = (0.022, 0.5)


@dataclass(frozen=True)
class NasalTrunk:
    """Forks from a temporal trunk near the disc; two or three of them fan out to the nasal rim."""

    fewest: int = 2
    most: int = 3
    angles: tuple[float, float] = (80.0, 20.0)
    """Of the first and the last to the nasal axis, degrees, each ± ``angle_spread``."""
    angle_spread: float = 14.0
    nodes: tuple[int, int] = (2, 6)
    """Nodes from the root to its fork, and so many more for the first one."""
    first_further: int = 4
    reach: tuple[float, float] = (0.7, 1.2)
    """Length."""
    bend: float = 0.15
    """Standard deviation of the angle by which its end lies off its heading, radians."""
    turned: float = 1.2
    """How strongly it turns from its parent's direction to its own at the fork."""
    tip: float = 0.0050
    waves: tuple[float, float] = (0.03, 0.32)


@dataclass(frozen=True)
class SmallVessel:
    """From the disc straight to the macula, or to the nasal side."""

    most_temporal: int = 2
    most_nasal: int = 1
    slope: float = 0.55
    """Greatest slope to the axis; it starts steeper and ends flatter: times ``at_start``, ``on_the_way`` and
    ``at_end``."""
    at_start: float = 1.5
    on_the_way: float = 0.6
    at_end: float = -0.1
    reach: tuple[float, float] = (0.4, 0.65)
    """Length."""
    tip: float = 0.0026
    waves: tuple[float, float] = (0.04, 0.32)


ARCADE, INNER, NASAL, SMALL = Arcade(), InnerArcade(), NasalTrunk(), SmallVessel()
"""Lengths in disc-fovea distances, set so that on IDRiD's training eyes the arcades are as high, the halves as densely
supplied and the calibres as wide as in real eyes (``retinagan.evaluation.vessels``)."""


def grow_trunks(growth: Growth, rng: np.random.Generator) -> None:
    """Artery and vein emerge nasal of the disc's centre and leave up and down; each half divides into its trunks."""
    jitter = rng.normal(0, ARCADE.root_spread, 2)
    # One generator a part: what the map cuts off of one part leaves the others as they are.
    *halves, small = rng.spawn(3)
    roots = {ARTERY: growth.plant(np.array([ARCADE.artery_root, jitter[0]]), ARTERY)}
    roots[VEIN] = growth.plant(np.array([ARCADE.vein_root, jitter[1]]), VEIN)
    for half, part in enumerate(halves):
        _half(growth, part, roots, half)
    for kind in (ARTERY, VEIN):
        _small(growth, small, roots[kind])


def _half(growth: Growth, rng: np.random.Generator, roots: dict[int, int], half: int) -> None:
    """Superior (0) or inferior (1) half: the pair of the arcade, its inner branches and the nasal trunks."""
    up = (-1.0, 1.0)[half]
    arcades, inner, nasal = rng.spawn(3)
    shared, apart = rng.normal(0, 1, (7, 2)), rng.normal(0, 1, 7)
    outside = 1.0 if rng.random() < ARCADE.vein_outside else -1.0  # 1: the vein is the outer of the two at first
    flip = -1.0 if rng.random() < ARCADE.crossed else 1.0  # -1: they cross further on
    trunks = {}
    for kind, sign in ((VEIN, outside), (ARTERY, -outside)):
        gap = sign * np.array(ARCADE.apart)
        gap[ARCADE.crossing :] *= flip
        gap *= 1 + ARCADE.apart_spread * apart * (1 if kind == VEIN else -1)
        line = _arcade(growth, half, up, shared, gap)
        line = spline(np.concatenate([growth.xy[roots[kind]][None], line]))
        draws = arcades.uniform(0, 1, WAVE_DRAWS + 1)
        tip = ARCADE.vein_tip if kind == VEIN else ARCADE.artery_tip
        trunks[kind] = growth.add(line, roots[kind], tip, 0, *ARCADE.waves, draws)
    heights = [inner.uniform(*bounds) for bounds in INNER.heights]
    kinds = (ARTERY, VEIN) if inner.random() < 0.5 else (VEIN, ARTERY)
    count = 2 if inner.random() < INNER.both else 1
    first = int(inner.integers(2))
    for i in (first, 1 - first)[:count]:
        _inner_arcade(growth, inner, trunks[kinds[i]], half, up, heights[i])
    _nasal(growth, nasal, trunks, up)


def _arcade(growth: Growth, half: int, up: float, shared: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Waypoints (7, 2) of one vessel of an arcade, from the disc to beyond the fovea.

    ``shared`` (7, 2) is how both vessels of the pair deviate, ``gap`` (7,) how far this one runs outside their middle.
    """
    height, close = growth.habit.opening[half], growth.habit.closing[half]
    ys = (np.array(ARCADE.height) - np.array(ARCADE.closing) * close) * height
    line = np.stack([np.array(ARCADE.x), ys], axis=1) + 0.5 * np.array(ARCADE.spread)[:, None] * shared
    line[:, 1] *= up
    ways = unit(np.gradient(line, axis=0))
    outwards = np.stack([ways[:, 1], -ways[:, 0]], axis=1) * -up
    return line + outwards * gap[:, None]


def _inner_arcade(
    growth: Growth, rng: np.random.Generator, trunk: np.ndarray, half: int, up: float, height: float
) -> None:
    """The branch of an arcade that runs between it and the macula to the temporal rim."""
    height = height * growth.habit.opening[half] / INNER.usual_opening
    split, bow, fall, end, open_angle = rng.uniform(0, 1, 5)
    draws = rng.uniform(0, 1, WAVE_DRAWS + 1)
    high_enough = np.abs(growth.xy[trunk[:-1], 1]) > height * (INNER.fork[0] + INNER.fork[1] * split)
    if not high_enough.any():
        return
    fork = int(trunk[int(high_enough.argmax())])
    start = growth.xy[fork]
    way = turn(growth.way[fork], -up * np.deg2rad(INNER.angle[0] + INNER.angle[1] * open_angle))
    xs = np.array([max(INNER.x[0], start[0] + INNER.ahead), *INNER.x[1:]])
    ys = height * (np.array(INNER.height) + np.array(INNER.more) * [bow, fall, end])
    # It stays inside the arcade that it leaves.
    ys = np.minimum(ys, INNER.inside * np.interp(xs, growth.xy[trunk, 0], np.abs(growth.xy[trunk, 1])))
    line = np.concatenate([[start, start + INNER.first_step * way], np.stack([xs, up * ys], axis=1)])
    growth.add(spline(line), fork, INNER.tip, 1, *INNER.waves, draws)


def _nasal(growth: Growth, rng: np.random.Generator, trunks: dict[int, np.ndarray], up: float) -> None:
    """The nasal trunks of one half: they fork from the temporal ones near the disc and fan out to the nasal rim."""
    count = int(rng.integers(NASAL.fewest, NASAL.most + 1))
    angles = np.linspace(*NASAL.angles, count) + rng.uniform(-NASAL.angle_spread, NASAL.angle_spread, count)
    for i, angle in enumerate(np.deg2rad(angles)):
        trunk = trunks[(ARTERY, VEIN)[(i + int(up > 0)) % 2]]
        at = int(rng.integers(NASAL.nodes[0], NASAL.nodes[1] + 1)) + (NASAL.first_further if i == 0 else 0)
        reach, bend = rng.uniform(*NASAL.reach), rng.normal(0, NASAL.bend)
        draws = rng.uniform(0, 1, WAVE_DRAWS + 1)
        if len(trunk) < 2:
            continue
        fork = int(trunk[min(at, len(trunk) - 2)])
        start = growth.xy[fork]
        heading = np.array([-np.cos(angle), up * np.sin(angle)])
        end = start + reach * turn(heading, bend)
        curve = arc(start, unit(growth.way[fork] + NASAL.turned * heading), end, unit(end - start))
        growth.add(curve, fork, NASAL.tip, 1, *NASAL.waves, draws)


def _small(growth: Growth, rng: np.random.Generator, root: int) -> None:
    """Small vessels straight from the disc: to the macula, and to the nasal side."""
    temporal = int(rng.integers(0, SMALL.most_temporal + 1))
    nasal = int(rng.integers(0, SMALL.most_nasal + 1))
    for side in temporal * [1.0] + nasal * [-1.0]:
        slope, reach = rng.uniform(-SMALL.slope, SMALL.slope), rng.uniform(*SMALL.reach)
        draws = rng.uniform(0, 1, WAVE_DRAWS + 1)
        end = np.array([side * reach, SMALL.on_the_way * slope])
        way, end_way = unit(np.array([side, SMALL.at_start * slope])), unit(np.array([side, SMALL.at_end * slope]))
        curve = arc(growth.xy[root], way, end, end_way)
        growth.slender[growth.add(curve, root, SMALL.tip, 1, *SMALL.waves, draws)] = True
