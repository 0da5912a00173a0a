"""The vascular tree while it grows: nodes in arrays, and branches into whatever gap is still too wide.

Everything here is in the tree's own frame: the disc's centre at the origin, the fovea at (1, 0), x temporal, y down.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from retinagan.eye.tree.curves import (
    WAVE_DRAWS,
    arc,
    resample,
    signed_angle,
    squared_length,
    turn,
    unit,
    within,
    wobble,
)
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
        self.bears = np.zeros((2, MAX_NODES), dtype=bool)  # may fork, one row a kind
        self.since = np.zeros(MAX_NODES)  # nodes since the vessel's fork
        self.fork = np.arange(MAX_NODES)  # the vessel's first node
        self.slender = np.zeros(MAX_NODES, dtype=bool)  # bears twigs only
        self.contrast = np.zeros(MAX_NODES)  # -1..1, one a branch
        self.corner = field - radius - 0.05
        self.cells = int(np.ceil((2 * radius + 0.1) / CELL)) + 1
        reach = int(np.ceil(ROOM.clearance / CELL))
        self.margin, self.across = reach, self.cells + 2 * reach
        self.taken = np.zeros((2, self.across**2), dtype=bool)  # rows of cells one behind the other, with a margin
        steps = np.arange(-reach, reach + 1)
        dy, dx = np.meshgrid(steps, steps, indexing="ij")
        self.disk = (dy * self.across + dx)[dx**2 + dy**2 <= reach**2]

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Which points (..., 2) lie in the field."""
        return squared_length(points - self.field) <= self.field_radius**2

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
        points = np.rint(points * 2**20) / 2**20
        inside = self.inside(points)
        # A trunk beside the disc may run along the rim and come back; anything else that leaves is gone.
        gone = np.nonzero(~inside & np.maximum.accumulate(inside) & ((points[:, 0] > RAGGED) | (depth > 0)))[0]
        kept = np.nonzero(inside[: gone[0]] if len(gone) else inside)[0]
        points = points[: min(kept[-1] + 2, MAX_NODES - self.count)] if len(kept) else points[:0]
        n = len(points)
        new, indices = slice(self.count, self.count + n), np.arange(self.count, self.count + n)
        if n == 0:
            return indices
        kind = int(self.kind[parent])
        ways = points.copy()
        ways[0] -= self.xy[parent]
        ways[1:] -= points[:-1]
        self.xy[new] = points
        self.way[new] = unit(ways)
        self.parent[new] = indices - 1
        self.parent[self.count] = parent
        self.kind[new] = kind
        self.depth[new] = depth
        self.since[new] = np.arange(n)
        self.fork[new] = self.count
        self.contrast[new] = (2 * draws[WAVE_DRAWS] - 1) * (BRANCHING.contrast if depth else BRANCHING.trunk_contrast)
        self.slender[new] = self.slender[parent]
        self.tip[new.stop - 1] = tip
        if inside[n - 1]:
            self.left[new] = np.arange(n)[::-1]
        # Forks lie upstream of tips.
        self.bears[kind, new] = self.left[new] > BRANCHING.before_tip
        self.bears[kind, new.stop - 1] = False
        self.count += n
        self.taken[kind, self._cells(points)[:, None] + self.disk] = True
        return indices

    def _cells(self, points: np.ndarray) -> np.ndarray:
        """The cells of points (..., 2), clipped to the grid within its margin."""
        place = within(((points - self.corner) / CELL).astype(np.int64), 0, self.cells - 1) + self.margin
        return place[..., 1] * self.across + place[..., 0]

    def fill(self, level: Level, rng: np.random.Generator) -> None:
        """One pass: the widest gaps first, each that is wider than the level's spacing gets a branch if one fits."""
        # The seed decides on the places, not the map: those outside the field are drawn, too.
        count = 3 * level.candidates
        places = np.stack([rng.uniform(*bounds, count) for bounds in GROUND], axis=1)
        draws = rng.uniform(0, 1, (count, 4 + WAVE_DRAWS + 1))
        shown = np.nonzero(self.inside(places) & (np.hypot(places[:, 0] - 1, places[:, 1]) > ROOM.avascular))[0]
        shown = shown[: level.candidates]
        places, draws = places[shown], draws[shown]
        rules, spacing = BRANCHING, SPACING(places)
        nearest = np.empty((2, len(places)))
        wide = np.arange(len(places))
        for kind in (ARTERY, VEIN):
            vessels = self.xy[: self.count][self.kind[: self.count] == kind]
            nearest[kind, wide] = cKDTree(vessels).query(places[wide])[0]
            gaps = nearest[kind, wide] / spacing[wide]
            wide = wide[gaps > rules.spacing.least * level.spacing / self.habit.density]
        wide = wide[np.argsort(-nearest[:, wide].min(axis=0) / spacing[wide], kind="stable")]
        places, draws, nearest = places[wide], draws[wide], nearest[:, wide]
        spacing = level.spacing * spacing[wide] / self.habit.density * rules.spacing.at(draws[:, 0])
        to_artery, to_vein = nearest
        drift, finer = _drift(places), rules.finer(places)
        for i in range(len(wide)):
            # Most places have a vessel nearby by the time that it is their turn.
            if self.count > MAX_NODES - LONGEST or min(to_artery[i], to_vein[i]) < spacing[i]:
                continue
            # The kind that is further away.
            kind = (
                ARTERY if to_artery[i] + rules.kind_by_chance * spacing[i] * (draws[i, 1] - 0.5) > to_vein[i] else VEIN
            )
            new = self._branch(places[i], drift[i], draws[i], level, kind, spacing[i], finer[i])
            if len(new):
                away = squared_length(places[i:, None] - self.xy[new]).min(axis=1)
                nearest[kind, i:] = np.minimum(nearest[kind, i:], np.sqrt(away))

    def _branch(
        self,
        place: np.ndarray,
        drift: np.ndarray,
        draws: np.ndarray,
        level: Level,
        kind: int,
        spacing: float,
        finer: float,
    ) -> np.ndarray:
        """A branch of this kind to ``place``, if a free way exists; returns the indices of its nodes."""
        n, rules = self.count, BRANCHING
        nothing = np.arange(0)
        delta = place - self.xy[:n]
        away = np.sqrt(squared_length(delta))
        fit = self.bears[kind, :n] & (away < level.reach) & (away > rules.shortest * spacing)
        if level.coarse:
            fit &= ~self.slender[:n]
        near = np.nonzero(fit)[0]
        if len(near) == 0:
            return nothing
        length = away[near]
        chord = delta[near] / length[:, None]
        bend = np.abs(signed_angle(self.way[near], chord))
        detour = rules.angle_cost * (bend - level.angle) ** 2 + rules.drift_cost * (1 - chord @ drift)
        detour = detour + rules.depth_cost * self.depth[near]
        too_far = (bend < rules.angles[0]) | (bend > rules.angles[1])
        cost = np.where(too_far, np.inf, length * (1 + detour))
        best = np.argsort(cost, kind="stable")[: rules.cheapest : rules.every]
        best = best[np.isfinite(cost[best])]
        if len(best) == 0:
            return nothing
        node, chord = near[best], chord[best]
        # It leaves at an acute angle and goes on turning the same way to its target: an easy arc, never a hook.
        angle = signed_angle(self.way[node], chord)
        lean = np.sign(angle) * within(np.abs(angle) * rules.lean.at(draws[2]), *rules.leans)
        over = within(angle - lean, -rules.bow, rules.bow)
        aside = within(signed_angle(chord, drift), -rules.drift_seen, rules.drift_seen)
        onwards = within(rules.bow_kept * over + rules.drift_followed * aside, -rules.bow, rules.bow)
        # Vessels run on along the drift of their place where there is room; else they end there.
        for further in (rules.run_on * level.spacing * rules.run_ons.at(draws[3]), 0.0):
            ends = np.broadcast_to(place + further * drift, chord.shape)
            curves = arc(self.xy[node], turn(chord, -over), ends, turn(chord, onwards))
            free = np.nonzero(self._free(curves, kind, level.crossing))[0]
            if len(free):
                break
        else:
            return nothing
        parent = int(node[free[0]])
        tip = level.tip * rules.tips.at(draws[3]) * finer
        wavelength = min(rules.longest_wave, rules.wave_share * float(away[parent]))
        depth = int(self.depth[parent]) + 1
        return self.add(curves[free[0]], parent, tip, depth, rules.tortuosity, wavelength, draws[4:])

    def _free(self, curves: np.ndarray, kind: int, crossing: float) -> np.ndarray:
        """Which curves (C, 25, 2) are free: beyond the fork none of their kind, at most a share ``crossing`` of the
        other kind, not the fovea, not through the disc, not across the raphe."""
        cells, (x, y) = self._cells(curves), (curves[..., 0], curves[..., 1])
        beyond = np.sqrt(squared_length(curves - curves[:, :1])) > ROOM.fork * ROOM.clearance
        blocked = self.taken[kind, cells] & beyond
        blocked |= (y * np.sign(y[:, -1:]) < -ROOM.raphe) & (x > ROOM.raphe_from)
        blocked |= (x - 1) ** 2 + y**2 < ROOM.avascular**2
        crossed = (self.taken[1 - kind, cells] & beyond).sum(axis=1) / x.shape[1]
        in_disc = (squared_length(curves[:, ROOM.leaving :]) < ROOM.disc**2).sum(axis=1)
        return ~blocked.any(axis=1) & (crossed < crossing) & (in_disc <= ROOM.in_disc)


def _drift(places: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 2) along which vessels run at places (:class:`retinagan.eye.tree.rules.Drift`)."""
    to_fovea = np.array([1.0, 0.0]) - places
    inward = plateau(squared_length(to_fovea), DRIFT.inward)[..., None]
    return unit(unit(to_fovea) * inward + unit(places - np.array([DRIFT.origin, 0.0])) * (1 - inward))
