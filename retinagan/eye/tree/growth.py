"""The vascular tree while it grows: nodes in arrays, and branches into whatever gap is still too wide.

Everything here is in the tree's own frame: the disc's centre at the origin, the fovea at (1, 0), x temporal, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from retinagan.eye.tree.curves import WAVE_DRAWS, arc, resample, signed_angle, turn, unit, wobble

ARTERY, VEIN = 0, 1

STEP = 0.018
"""Length of a segment (about 4 pixels at 512)."""

AVASCULAR = 0.19
"""Radius around the fovea that stays free of vessels (half a disc diameter)."""

DISC = 0.2
"""Radius of the optic disc in the tree's frame."""

MAX_NODES = 14000
"""The tree stops growing here; real-sized eyes take 1500 to 3000."""

EXTENSION = 0.9
"""How far a branch runs on beyond the place that it was grown to, in spacings of its level."""

CELL = 0.008
"""Side of a cell of the grid of taken ground."""

CLEARANCE = 0.035
"""Distance that a vessel keeps from others of its kind (about 8 pixels at 512)."""


FAR = 0.8
"""How much wider the spacing of branches grows far beyond the fovea; eyes with their disc at the rim show that periphery."""

FARTHEST_TIP = 0.9
"""Factor on the radius of tips far from the disc, at least."""


@dataclass(frozen=True)
class Habit:
    """What distinguishes one tree from another, drawn once a tree."""

    opening: tuple[float, float]  # greatest height of the superior and the inferior arcade, disc-fovea distances
    closing: tuple[float, float]  # how far each bends back behind the fovea, 0..1
    tortuosity: float  # factor on the waves of every vessel
    density: float  # factor on the density of branches
    calibre: float  # factor on every radius
    vein_ratio: float  # radius of a vein over that of an artery with the same branches
    artery_contrast: float  # of arteries, where veins have 1
    broken: float  # factor on how much the mottle hides
    share: float  # share of the field that is seen as vessel
    tone: float  # how much darker than their mean veins are, and arteries lighter, 0..1

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Habit:
        opening = rng.normal(0.95, 0.10)
        return cls(
            opening=tuple(np.clip(opening + rng.normal(0, 0.06, 2), 0.7, 1.2)),
            closing=tuple(rng.uniform(0.0, 1.0, 2)),
            tortuosity=float(np.clip(rng.lognormal(-0.35, 0.35), 0.35, 1.15)),
            density=float(np.clip(rng.lognormal(0.03, 0.09), 0.85, 1.29)),
            calibre=float(np.clip(rng.lognormal(0.0, 0.025), 0.88, 1.13)),
            vein_ratio=float(rng.uniform(1.2, 1.45)),
            artery_contrast=float(rng.uniform(0.72, 0.98)),
            broken=float(rng.uniform(0.75, 1.1)),
            share=float(np.clip(rng.normal(0.088, 0.005), 0.074, 0.102)),
            tone=float(rng.uniform(0.25, 0.55)),
        )


@dataclass(frozen=True)
class Level:
    """One pass of branches: every place further than ``spacing`` from any vessel gets one, if one fits."""

    spacing: float
    candidates: int  # places that are tried, at most
    reach: float  # longest branch
    tip: float  # radius at its tip
    coarse: bool  # vessels that go on branching, not twigs


LEVELS = (
    Level(spacing=0.27, candidates=300, reach=1.1, tip=0.0054, coarse=True),
    Level(spacing=0.19, candidates=500, reach=0.8, tip=0.0037, coarse=True),
    Level(spacing=0.155, candidates=800, reach=0.6, tip=0.0024, coarse=False),
    Level(spacing=0.145, candidates=1200, reach=0.45, tip=0.0020, coarse=False),
)
"""Spacings and tips fitted (see ``retinagan.evaluation.vessels``) so that density and width, by distance
from disc and fovea, are those of real guidance."""


class Growth:
    """Nodes of a growing tree, parents before children, and the ground that each kind has taken.

    Args:
        habit: what kind of tree it is.
        field: centre (x, y) of the field of view.
        radius: the field's radius; nothing grows beyond it.
    """

    def __init__(self, habit: Habit, field: np.ndarray, radius: float) -> None:
        self.habit, self.field, self.field_radius = habit, field, radius
        self.count = 0
        self.xy = np.zeros((MAX_NODES, 2))
        self.way = np.zeros((MAX_NODES, 2))  # unit tangent, away from the disc
        self.parent = np.full(MAX_NODES, -1)
        self.kind = np.zeros(MAX_NODES, dtype=np.uint8)
        self.depth = np.zeros(MAX_NODES, dtype=np.int64)
        self.tip = np.zeros(MAX_NODES)  # radius where a vessel ends, 0 elsewhere
        self.left = np.full(MAX_NODES, MAX_NODES)  # nodes to the vessel's tip, where it ends within the field
        self.since = np.zeros(MAX_NODES)  # nodes since the vessel's fork
        self.fork = np.arange(MAX_NODES)  # the vessel's first node
        self.slender = np.zeros(MAX_NODES, dtype=bool)  # bears twigs only
        self.contrast = np.zeros(MAX_NODES)  # -1..1, one a branch
        self.corner = field - radius - 0.05
        self.cells = int(np.ceil((2 * radius + 0.1) / CELL)) + 1
        self.taken = np.zeros((2, self.cells, self.cells), dtype=bool)
        reach = int(np.ceil(CLEARANCE / CELL))
        steps = np.arange(-reach, reach + 1)
        dy, dx = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
        near = dx**2 + dy**2 <= reach**2
        self.disk_y, self.disk_x = dy[near], dx[near]

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Which points (..., 2) lie in the field."""
        return ((points - self.field) ** 2).sum(axis=-1) <= self.field_radius**2

    def plant(self, point: np.ndarray, kind: int) -> int:
        """A root: a node without a parent. Returns its index."""
        node = self.count
        self.xy[node], self.kind[node] = point, kind
        self.count += 1
        return node

    def add(
        self,
        curve: np.ndarray,
        parent: int,
        tip: float,
        depth: int,
        amount: float,
        wavelength: float,
        draws: np.ndarray,
    ) -> np.ndarray:
        """Appends a vessel along ``curve``, whose first point is the parent's; returns the indices of its nodes.

        ``amount`` and ``wavelength`` are its tortuosity, ``draws`` (``WAVE_DRAWS`` + 1) uniform numbers for it and for
        its contrast. It is cut where it leaves the field, and may be empty.
        """
        points = wobble(curve, amount * self.habit.tortuosity, wavelength, draws[:WAVE_DRAWS], STEP)
        points = resample(points, STEP)[1:]
        # On a power-of-two grid: differences of the last bit between machines do not grow into other trees.
        points = np.round(points * 2**20) / 2**20
        inside = self.inside(points)
        # A trunk beside the disc may run along the rim and come back; anything else that leaves is gone.
        gone = np.nonzero(~inside & np.maximum.accumulate(inside) & ((points[:, 0] > 0.8) | (depth > 0)))[0]
        kept = np.nonzero(inside[: gone[0]] if len(gone) else inside)[0]
        points = points[: min(kept[-1] + 2, MAX_NODES - self.count)] if len(kept) else points[:0]
        n = len(points)
        new = np.arange(self.count, self.count + n)
        if n == 0:
            return new
        kind = int(self.kind[parent])
        self.xy[new] = points
        self.way[new] = unit(np.diff(points, axis=0, prepend=self.xy[parent][None]))
        self.parent[new] = np.concatenate([[parent], new[:-1]])
        self.kind[new] = kind
        self.depth[new] = depth
        self.since[new] = np.arange(n)
        self.fork[new] = new[0]
        self.contrast[new] = (2 * draws[WAVE_DRAWS] - 1) * (1.0 if depth else 0.4)
        self.slender[new] = self.slender[parent]
        self.tip[new[-1]] = tip
        if self.inside(points[-1]):
            self.left[new] = np.arange(n)[::-1]
        self.count += n
        row, column = self._cells(points)
        rows = np.clip(row[:, None] + self.disk_y, 0, self.cells - 1)
        columns = np.clip(column[:, None] + self.disk_x, 0, self.cells - 1)
        self.taken[kind, rows, columns] = True
        return new

    def _cells(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (..., 2) → rows and columns of the grid, clipped to it."""
        index = np.clip(((points - self.corner) / CELL).astype(np.int64), 0, self.cells - 1)
        return index[..., 1], index[..., 0]

    def fill(self, level: Level, rng: np.random.Generator) -> None:
        """One pass: the widest gaps first, each that is wider than the level's spacing gets a branch if one fits."""
        # Drawn around the disc, whatever the field shows of it, so that the seed decides and not the map.
        count = 3 * level.candidates
        places = np.stack([rng.uniform(-1.3, 2.4, count), rng.uniform(-2.1, 2.1, count)], axis=1)
        draws = rng.uniform(0, 1, (count, 4 + WAVE_DRAWS + 1))
        shown = np.nonzero(self.inside(places) & (np.hypot(places[:, 0] - 1, places[:, 1]) > AVASCULAR))[0]
        shown = shown[: level.candidates]
        gaps = cKDTree(self.xy[: self.count]).query(places[shown])[0] / _thinning(places[shown])
        wide = int((gaps > 0.75 * level.spacing / self.habit.density).sum())
        for candidate in shown[np.argsort(-gaps, kind="stable")[:wide]]:
            self._branch(places[candidate], draws[candidate], level)

    def _branch(self, place: np.ndarray, draws: np.ndarray, level: Level) -> None:
        """A branch to ``place``, of the kind that is further away, if the gap is wide enough and a free way exists."""
        n = self.count
        if n > MAX_NODES - 200:
            return
        delta = place - self.xy[:n]
        away = np.sqrt((delta * delta).sum(axis=1))
        artery = self.kind[:n] == ARTERY
        to_artery, to_vein = away[artery].min(), away[~artery].min()
        spacing = level.spacing * float(_thinning(place)) / self.habit.density * (0.75 + 0.5 * draws[0])
        if min(to_artery, to_vein) < spacing:
            return
        kind = ARTERY if to_artery + 0.3 * spacing * (draws[1] - 0.5) > to_vein else VEIN
        fit = (self.kind[:n] == kind) & (away < level.reach) & (away > 0.5 * spacing)
        # Forks lie upstream of tips: growth from a tip itself would be an elbow.
        fit &= (self.parent[:n] >= 0) & (self.left[:n] > 3) & (self.tip[:n] == 0)
        if level.coarse:
            fit &= ~self.slender[:n]
        near = np.nonzero(fit)[0]
        if len(near) == 0:
            return
        chord = delta[near] / away[near, None]
        bend = np.abs(signed_angle(self.way[near], chord))
        drift = _drift(place)
        ideal = 1.0 if level.coarse else 1.2
        detour = 2.5 * (bend - ideal) ** 2 + 0.7 * (1 - chord @ drift) + 0.15 * self.depth[near]
        cost = np.where((bend < 0.25) | (bend > 1.6), np.inf, away[near] * (1 + detour))
        best = np.argsort(cost, kind="stable")[:48:4]
        best = best[np.isfinite(cost[best])]
        if len(best) == 0:
            return
        node, chord = near[best], chord[best]
        # It leaves at an acute angle and goes on turning the same way to its target: an easy arc, never a hook.
        angle = signed_angle(self.way[node], chord)
        lean = np.sign(angle) * np.clip(np.abs(angle) * (0.9 + 0.25 * draws[2]), 0.55, 1.4)
        over = np.clip(angle - lean, -0.5, 0.5)
        onwards = np.clip(0.5 * over + 0.5 * np.clip(signed_angle(chord, drift), -0.6, 0.6), -0.5, 0.5)
        # Vessels run on along the drift of their place where there is room; else they end there.
        for further in (EXTENSION * level.spacing * (0.6 + 0.8 * draws[3]), 0.0):
            ends = np.broadcast_to(place + further * drift, chord.shape)
            curves = arc(self.xy[node], turn(chord, -over), ends, turn(chord, onwards))
            free = np.nonzero(self._free(curves, kind, 0.3 if level.coarse else 0.16))[0]
            if len(free):
                break
        else:
            return
        parent = int(node[free[0]])
        from_fovea2 = (place[0] - 1) ** 2 + place[1] ** 2
        finer = (1 - 0.4 * np.exp(-((from_fovea2 / 0.6**2) ** 2))) * np.clip(
            1.25 - 0.4 * np.hypot(*place), FARTHEST_TIP, 1.0
        )
        tip = level.tip * (0.85 + 0.3 * draws[3]) * finer
        wavelength = min(0.26, 0.5 * float(away[parent]))
        self.add(curves[free[0]], parent, tip, int(self.depth[parent]) + 1, 0.046, wavelength, draws[4:])

    def _free(self, curves: np.ndarray, kind: int, crossing: float) -> np.ndarray:
        """Which curves (C, 25, 2) are free: beyond the fork none of their kind, at most a share of the
        other kind, not the fovea, not through the disc, not across the raphe."""
        row, column = self._cells(curves)
        beyond = np.sqrt(((curves - curves[:, :1]) ** 2).sum(axis=-1)) > 2.6 * CLEARANCE
        own = (self.taken[kind, row, column] & beyond).any(axis=1)
        other = (self.taken[1 - kind, row, column] & beyond).mean(axis=1)
        # The horizontal raphe, from near the fovea outwards, parts the eye's upper and lower half.
        raphe = (curves[..., 1] * np.sign(curves[:, -1:, 1]) < -0.04) & (curves[..., 0] > 0.45)
        fovea = (curves[..., 0] - 1) ** 2 + curves[..., 1] ** 2 < AVASCULAR**2
        disc = (curves[:, 2:] ** 2).sum(axis=-1) < DISC**2
        return ~own & (other < crossing) & ~raphe.any(axis=1) & ~fovea.any(axis=1) & (disc.sum(axis=1) < 4)


def _thinning(places: np.ndarray) -> np.ndarray:
    """Factor on spacing at places (..., 2): wide at the disc, nasally, outside the arcades, beside the fovea, far beyond it."""
    x, y = places[..., 0], places[..., 1]
    from_disc, from_fovea = np.hypot(x, y), np.hypot(x - 1, y)
    near_disc = 0.5 * np.exp(-((from_disc / 0.45) ** 2))
    nasal = 0.6 / (1 + np.exp((x + 0.05) / 0.05))
    outside = 0.8 / (1 + np.exp((0.75 - np.abs(y)) / 0.06))
    beyond = FAR / (1 + np.exp((1.6 - x) / 0.06))
    ring = 0.48 * np.exp(-(((from_fovea - 0.5) / 0.2) ** 2))
    return 1.0 + near_disc + nasal + outside + beyond - ring + 0.40 * np.exp(-((from_fovea / 0.25) ** 2))


def _drift(place: np.ndarray) -> np.ndarray:
    """Unit vector along which vessels run at a place: to the fovea inside the arcades, away from the disc outside."""
    to_fovea = np.array([1.0, 0.0]) - place
    inward = np.exp(-(((to_fovea**2).sum() / 0.75**2) ** 2))
    return unit(unit(to_fovea) * inward + unit(place - np.array([0.1, 0.0])) * (1 - inward))
