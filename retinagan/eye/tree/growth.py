"""The vascular tree while it grows: nodes in arrays, and branches into whatever gap is still too wide.

Everything here is in the tree's own frame: the disc's centre at the origin, the fovea at (1, 0), x temporal, y down.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from retinagan.eye.tree.curves import WAVE_DRAWS, arc, resample, signed_angle, turn, unit, wobble
from retinagan.eye.tree.rules import Branching, Drift, Habit, Level, Room, Spacing, plateau

ARTERY, VEIN = 0, 1

STEP = 0.018
"""Length of a segment (about 4 pixels at 512)."""

MAX_NODES = 14000
"""The tree stops growing here; real-sized eyes take 1500 to 3000."""

LONGEST = 200
"""Nodes that are kept free for one more branch."""

CELL = 0.008
"""Side of a cell of the grid of taken ground."""

GROUND = (-1.3, 2.4), (-2.1, 2.1)
"""Places (x, y) that are tried lie between these, around the disc, whatever the field shows of it."""

RAGGED = 0.8
"""A trunk that leaves the field short of this, temporally, may run along the rim and come back."""

SPACING, BRANCHING, ROOM, DRIFT = Spacing(), Branching(), Room(), Drift()


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
        reach = int(np.ceil(ROOM.clearance / CELL))
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
        gone = np.nonzero(~inside & np.maximum.accumulate(inside) & ((points[:, 0] > RAGGED) | (depth > 0)))[0]
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
        self.contrast[new] = (2 * draws[WAVE_DRAWS] - 1) * (BRANCHING.contrast if depth else BRANCHING.trunk_contrast)
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
        # The seed decides on the places, not the map: those outside the field are drawn, too.
        count = 3 * level.candidates
        places = np.stack([rng.uniform(*bounds, count) for bounds in GROUND], axis=1)
        draws = rng.uniform(0, 1, (count, 4 + WAVE_DRAWS + 1))
        shown = np.nonzero(self.inside(places) & (np.hypot(places[:, 0] - 1, places[:, 1]) > ROOM.avascular))[0]
        shown = shown[: level.candidates]
        gaps = cKDTree(self.xy[: self.count]).query(places[shown])[0] / SPACING(places[shown])
        wide = int((gaps > BRANCHING.spacing.least * level.spacing / self.habit.density).sum())
        for candidate in shown[np.argsort(-gaps, kind="stable")[:wide]]:
            self._branch(places[candidate], draws[candidate], level)

    def _branch(self, place: np.ndarray, draws: np.ndarray, level: Level) -> None:
        """A branch to ``place``, of the kind that is further away, if the gap is wide enough and a free way exists."""
        n, rules = self.count, BRANCHING
        if n > MAX_NODES - LONGEST:
            return
        delta = place - self.xy[:n]
        away = np.sqrt((delta * delta).sum(axis=1))
        artery = self.kind[:n] == ARTERY
        to_artery, to_vein = away[artery].min(), away[~artery].min()
        spacing = level.spacing * float(SPACING(place)) / self.habit.density * rules.spacing.at(draws[0])
        if min(to_artery, to_vein) < spacing:
            return
        kind = ARTERY if to_artery + rules.kind_by_chance * spacing * (draws[1] - 0.5) > to_vein else VEIN
        fit = (self.kind[:n] == kind) & (away < level.reach) & (away > rules.shortest * spacing)
        # Forks lie upstream of tips.
        fit &= (self.parent[:n] >= 0) & (self.left[:n] > rules.before_tip) & (self.tip[:n] == 0)
        if level.coarse:
            fit &= ~self.slender[:n]
        near = np.nonzero(fit)[0]
        if len(near) == 0:
            return
        chord = delta[near] / away[near, None]
        bend = np.abs(signed_angle(self.way[near], chord))
        drift = _drift(place)
        detour = rules.angle_cost * (bend - level.angle) ** 2 + rules.drift_cost * (1 - chord @ drift)
        detour = detour + rules.depth_cost * self.depth[near]
        too_far = (bend < rules.angles[0]) | (bend > rules.angles[1])
        cost = np.where(too_far, np.inf, away[near] * (1 + detour))
        best = np.argsort(cost, kind="stable")[: rules.cheapest : rules.every]
        best = best[np.isfinite(cost[best])]
        if len(best) == 0:
            return
        node, chord = near[best], chord[best]
        # It leaves at an acute angle and goes on turning the same way to its target: an easy arc, never a hook.
        angle = signed_angle(self.way[node], chord)
        lean = np.sign(angle) * np.clip(np.abs(angle) * rules.lean.at(draws[2]), *rules.leans)
        over = np.clip(angle - lean, -rules.bow, rules.bow)
        aside = np.clip(signed_angle(chord, drift), -rules.drift_seen, rules.drift_seen)
        onwards = np.clip(rules.bow_kept * over + rules.drift_followed * aside, -rules.bow, rules.bow)
        # Vessels run on along the drift of their place where there is room; else they end there.
        for further in (rules.run_on * level.spacing * rules.run_ons.at(draws[3]), 0.0):
            ends = np.broadcast_to(place + further * drift, chord.shape)
            curves = arc(self.xy[node], turn(chord, -over), ends, turn(chord, onwards))
            free = np.nonzero(self._free(curves, kind, level.crossing))[0]
            if len(free):
                break
        else:
            return
        parent = int(node[free[0]])
        tip = level.tip * rules.tips.at(draws[3]) * rules.finer(place)
        wavelength = min(rules.longest_wave, rules.wave_share * float(away[parent]))
        depth = int(self.depth[parent]) + 1
        self.add(curves[free[0]], parent, tip, depth, rules.tortuosity, wavelength, draws[4:])

    def _free(self, curves: np.ndarray, kind: int, crossing: float) -> np.ndarray:
        """Which curves (C, 25, 2) are free: beyond the fork none of their kind, at most a share ``crossing`` of the
        other kind, not the fovea, not through the disc, not across the raphe."""
        row, column = self._cells(curves)
        beyond = np.sqrt(((curves - curves[:, :1]) ** 2).sum(axis=-1)) > ROOM.fork * ROOM.clearance
        own = (self.taken[kind, row, column] & beyond).any(axis=1)
        other = (self.taken[1 - kind, row, column] & beyond).mean(axis=1)
        over = (curves[..., 1] * np.sign(curves[:, -1:, 1]) < -ROOM.raphe) & (curves[..., 0] > ROOM.raphe_from)
        fovea = (curves[..., 0] - 1) ** 2 + curves[..., 1] ** 2 < ROOM.avascular**2
        disc = (curves[:, ROOM.leaving :] ** 2).sum(axis=-1) < ROOM.disc**2
        return ~own & (other < crossing) & ~over.any(axis=1) & ~fovea.any(axis=1) & (disc.sum(axis=1) <= ROOM.in_disc)


def _drift(place: np.ndarray) -> np.ndarray:
    """Unit vector along which vessels run at a place (:class:`retinagan.eye.tree.rules.Drift`)."""
    to_fovea = np.array([1.0, 0.0]) - place
    inward = plateau((to_fovea**2).sum(), DRIFT.inward)
    return unit(unit(to_fovea) * inward + unit(place - np.array([DRIFT.origin, 0.0])) * (1 - inward))
