"""Grows the vascular tree of an eye from its disc: arteries and veins, coarse to fine, from one seed.

The tree is grown in a frame of its own: the disc's centre at the origin, the fovea at (1, 0), x temporal, y
down. So the tree belongs to the seed; the map only places it, mirrors it and cuts it at the rim, and the same seed
is the same eye when the disc moves or the map changes. Trunks are splines (temporal arcades around the fovea,
nasal trunks, small vessels to the macula). Then, from wide to narrow spacing, each place that is too far from
any vessel gets a branch: a smooth arc that leaves its parent at an acute angle some way upstream and crosses no
vessel of its own kind. Calibres follow at last, tips to roots, by Murray's law.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from retinagan.eye.anatomy import Anatomy, find_anatomy
from retinagan.eye.rasterise import draw_vessels
from retinagan.labels import BG

ARTERY, VEIN = 0, 1

MURRAY = 2.6
"""Exponent of Murray's law: a parent's radius to this power is the sum over its daughters."""

STEP = 0.018
"""Length of a segment, in disc-fovea distances (about 4 pixels at 512)."""

AVASCULAR = 0.19
"""Radius around the fovea that stays free of vessels, in disc-fovea distances (half a disc diameter)."""

MAX_NODES = 14000


@dataclass(frozen=True)
class VesselTree:
    """A vascular tree as segments, in shares of the map's side (x to the right, y down; 0..1 is the map).

    ``start``, ``end``: float64 (S, 2). ``radius``: float64 (S,). ``strength``: float64 (S,), the vessel's contrast, 0..1, of
    which the plane's brightness is a share: arteries are paler than veins, and twigs fade. ``kind``: uint8 (S,), :data:`ARTERY` or
    :data:`VEIN`. ``depth``: int64 (S,), 0 for trunks that leave the disc, +1 at each side branch. ``parent``:
    int64 (S,), the segment this one continues or branches from, always an earlier one; -1 in the disc.
    """

    start: np.ndarray
    end: np.ndarray
    radius: np.ndarray
    strength: np.ndarray
    kind: np.ndarray
    depth: np.ndarray
    parent: np.ndarray


@dataclass(frozen=True)
class Habit:
    """What distinguishes one tree from another, drawn once a tree. Lengths in disc-fovea distances."""

    opening: tuple[float, float]  # height of the superior and inferior arcade
    closing: tuple[float, float]  # how far each bends back behind the fovea, 0..1
    tortuosity: float
    density: float
    calibre: float
    vein_ratio: float
    artery_contrast: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Habit:
        opening = rng.normal(0.95, 0.10)
        return cls(
            opening=tuple(np.clip(opening + rng.normal(0, 0.06, 2), 0.7, 1.2)),
            closing=tuple(rng.uniform(0.0, 1.0, 2)),
            tortuosity=float(np.clip(rng.lognormal(-0.35, 0.35), 0.35, 1.3)),
            density=float(np.clip(rng.lognormal(-0.08, 0.12), 0.72, 1.2)),
            calibre=float(np.clip(rng.lognormal(0, 0.1), 0.8, 1.25)),
            vein_ratio=float(rng.uniform(1.2, 1.45)),
            artery_contrast=float(rng.uniform(0.72, 0.98)),
        )


@dataclass(frozen=True)
class Level:
    """One pass of branches: every place further than ``spacing`` from any vessel gets one."""

    spacing: float
    candidates: int
    reach: float  # longest branch
    tip: float  # radius at the tip, share of the disc-fovea distance
    coarse: bool  # a vessel that goes on branching, not a twig


LEVELS = (
    Level(spacing=0.30, candidates=300, reach=1.1, tip=0.0050, coarse=True),
    Level(spacing=0.20, candidates=500, reach=0.8, tip=0.0031, coarse=True),
    Level(spacing=0.155, candidates=800, reach=0.6, tip=0.0024, coarse=False),
    Level(spacing=0.125, candidates=1200, reach=0.45, tip=0.0016, coarse=False),
)


def grow_vessels(label_map: np.ndarray, seed: int) -> np.ndarray:
    """Lesion map ``uint8 (S, S)`` and seed ≥ 0 → vessel plane ``float32 (S, S)`` in 0..1, zero on background.

    Raises:
        TypeError, ValueError: not a square lesion map (:func:`find_anatomy`), or a negative or fractional seed.
    """
    anatomy = find_anatomy(label_map)
    plane = draw_vessels(grow_tree(anatomy, seed), anatomy.size)
    plane[label_map == BG] = 0.0
    return plane


def grow_tree(anatomy: Anatomy, seed: int) -> VesselTree:
    """The tree of this anatomy and seed (an int ≥ 0). Deterministic; its work is bounded for any anatomy.

    Raises:
        TypeError: ``seed`` is not an int.
        ValueError: ``seed`` is negative.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed is {seed!r}; it must be an int of 0 or more")
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")
    rng = np.random.default_rng(int(seed))
    habit = Habit.draw(rng)
    disc = np.array([anatomy.disc_x, anatomy.disc_y]) / anatomy.size
    axis = np.array([anatomy.fovea_x, anatomy.fovea_y]) / anatomy.size - disc
    length = float(np.hypot(*axis))
    temporal = axis / length
    # y stays "down" on both sides: the right eye is the left one mirrored, not turned.
    down = np.array([-temporal[1], temporal[0]]) * (1 if anatomy.side == "left" else -1)
    to_map = np.stack([temporal, down]) * length
    field = (np.array([0.5, 0.5]) - disc) @ np.linalg.inv(to_map)
    growth = _Growth(rng, habit, field, 0.52 / length)
    growth.grow_trunks()
    for level in LEVELS:
        growth.fill(level)
    return growth.tree(disc, to_map, length)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.maximum(np.sqrt((vector**2).sum(axis=-1, keepdims=True)), 1e-12)


def _turn(vector: np.ndarray, angle: np.ndarray | float) -> np.ndarray:
    """Vectors (..., 2) turned by ``angle`` (...) radians, from x towards y."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([vector[..., 0] * cos - vector[..., 1] * sin, vector[..., 0] * sin + vector[..., 1] * cos], axis=-1)


def _angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Signed angle from ``a`` to ``b``, radians in -π..π."""
    return np.arctan2(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0], (a * b).sum(axis=-1))


def _resample(points: np.ndarray, step: float) -> np.ndarray:
    """A polyline (P, 2) → points (Q, 2) a ``step`` apart along it, both ends kept."""
    lengths = np.sqrt((np.diff(points, axis=0) ** 2).sum(axis=1))
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    count = max(1, int(np.ceil(along[-1] / step)))
    at = np.linspace(0.0, along[-1], count + 1)
    return np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], axis=1)


_T = np.linspace(0.0, 1.0, 25)[:, None]
_BEZIER = np.concatenate([(1 - _T) ** 3, 3 * _T * (1 - _T) ** 2, 3 * _T**2 * (1 - _T), _T**3], axis=1)


def _spline(points: np.ndarray) -> np.ndarray:
    """A smooth curve through ``points`` (P, 2): centripetal Catmull-Rom as cubic Bézier pieces."""
    padded = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    pieces = []
    for p0, p1, p2, p3 in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True):
        d0, d1, d2 = (max(float(np.hypot(*(b - a))), 1e-6) ** 0.5 for a, b in ((p0, p1), (p1, p2), (p2, p3)))
        t1 = (p1 - p0) / d0 - (p2 - p0) / (d0 + d1) + (p2 - p1) / d1
        t2 = (p2 - p1) / d1 - (p3 - p1) / (d1 + d2) + (p3 - p2) / d2
        controls = np.stack([p1, p1 + t1 * d1 / 3, p2 - t2 * d1 / 3, p2])
        pieces.append((_BEZIER @ controls)[:-1])
    return np.concatenate([*pieces, points[-1:]])


class _Growth:
    """The tree while it grows: nodes in arrays, and a grid of the ground that each kind has taken."""

    CELL = 0.008
    CLEARANCE = 0.035

    def __init__(self, rng: np.random.Generator, habit: Habit, field: np.ndarray, radius: float) -> None:
        self.rng, self.habit, self.field, self.field_radius = rng, habit, field, radius
        self.xy = np.zeros((MAX_NODES, 2))
        self.way = np.zeros((MAX_NODES, 2))  # unit tangent, away from the disc
        self.parent = np.full(MAX_NODES, -1)
        self.kind = np.zeros(MAX_NODES, dtype=np.uint8)
        self.depth = np.zeros(MAX_NODES, dtype=np.int64)
        self.tip = np.zeros(MAX_NODES)  # radius where a vessel ends
        self.sterile = np.zeros(MAX_NODES, dtype=bool)  # bears twigs only
        self.left = np.full(MAX_NODES, 99)  # nodes to the tip of the branch
        self.contrast = np.zeros(MAX_NODES)  # standard normal, one a branch
        self.count = 0
        self.corner = field - radius - 0.05
        self.cells = int(np.ceil((2 * radius + 0.1) / self.CELL)) + 1
        self.taken = np.zeros((2, self.cells, self.cells), dtype=bool)

    def inside(self, points: np.ndarray) -> np.ndarray:
        return ((points - self.field) ** 2).sum(axis=-1) <= self.field_radius**2

    def lookup(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (..., 2) → grid rows and columns, clipped to the grid."""
        index = np.clip(((points - self.corner) / self.CELL).astype(np.int64), 0, self.cells - 1)
        return index[..., 1], index[..., 0]

    def root(self, point: np.ndarray, kind: int) -> int:
        node = self.count
        self.xy[node], self.kind[node] = point, kind
        self.count += 1
        return node

    def add(self, curve: np.ndarray, parent: int, tip: float, depth: int) -> np.ndarray:
        """Appends ``curve`` (its first point is the parent's) as a chain of nodes; returns their indices.

        It ends where it leaves the field for good: vessels run out through the rim.
        """
        points = _resample(curve, STEP)[1:]
        # A power-of-two grid: differences of the last bit between machines do not grow into other trees.
        points = np.round(points * 2**20) / 2**20
        inside = self.inside(points)
        # A trunk beside the disc may run along the rim and come back; past the macula what has left is gone.
        left = np.nonzero(~inside & (np.maximum.accumulate(inside)) & ((points[:, 0] > 0.8) | (depth > 0)))[0]
        within = np.nonzero(inside[: left[0]] if len(left) else inside)[0]
        points = points[: within[-1] + 2] if len(within) else points[:0]
        points = points[: MAX_NODES - self.count]
        n = len(points)
        new = np.arange(self.count, self.count + n)
        if n == 0:
            return new
        self.xy[new] = points
        before = np.concatenate([self.xy[parent][None], points[:-1]])
        self.way[new] = _unit(points - before)
        self.parent[new] = np.concatenate([[parent], new[:-1]])
        self.kind[new] = self.kind[parent]
        self.depth[new] = depth
        self.contrast[new] = self.rng.normal() * (1.0 if depth else 0.4)
        if self.inside(points[-1]):
            self.left[new] = np.arange(n)[::-1]
        self.tip[new[-1]] = tip
        self.count += n
        self.claim(points, int(self.kind[parent]))
        return new

    def claim(self, points: np.ndarray, kind: int) -> None:
        reach = int(np.ceil(self.CLEARANCE / self.CELL))
        steps = np.arange(-reach, reach + 1)
        dy, dx = (g.ravel() for g in np.meshgrid(steps, steps, indexing="ij"))
        near = dx**2 + dy**2 <= reach**2
        row, column = self.lookup(points)
        rows = np.clip(row[:, None] + dy[near], 0, self.cells - 1)
        columns = np.clip(column[:, None] + dx[near], 0, self.cells - 1)
        self.taken[kind, rows, columns] = True

    def wobble(self, curve: np.ndarray, amount: float, wave: float = 0.32) -> np.ndarray:
        """Gentle tortuosity: a few waves, about ``wave`` long, across the curve, none at its start."""
        points = _resample(curve, STEP)
        s = STEP * np.arange(len(points))
        waves = wave * self.rng.uniform(0.5, 1.6, 3)
        phases = self.rng.uniform(0, 2 * np.pi, 3)
        sizes = self.rng.normal(0, 1, 3) * waves
        wave = (sizes * np.sin(2 * np.pi * s[:, None] / waves + phases)).sum(axis=1)
        ramp = np.clip(s / 0.15, 0, 1)
        ways = _unit(np.gradient(points, axis=0)) if len(points) > 2 else np.zeros_like(points)
        across = np.stack([-ways[:, 1], ways[:, 0]], axis=1)
        return points + across * (amount * self.habit.tortuosity * wave * ramp * ramp * (3 - 2 * ramp))[:, None]

    # -- trunks ------------------------------------------------------------------------------------------------

    def grow_trunks(self) -> None:
        """Central artery and vein in the disc, their temporal arcades, nasal trunks, small vessels of the disc."""
        rng = self.rng
        roots = [self.root(np.array([x, rng.normal(0, 0.02)]), kind) for kind, x in ((ARTERY, -0.07), (VEIN, -0.035))]
        for half, up in enumerate((-1.0, 1.0)):
            shared = rng.normal(0, 1, (8, 2))
            apart = rng.normal(0, 1, (8, 2))
            first = 1.0 if rng.random() < 0.65 else -1.0  # which of the two runs outside at first
            swap = rng.random() < 0.4
            order = (ARTERY, VEIN) if rng.random() < 0.5 else (VEIN, ARTERY)
            inner_heights = dict(zip(order, (rng.uniform(0.28, 0.44), rng.uniform(0.52, 0.70)), strict=True))
            trunks = {}
            for kind in (VEIN, ARTERY):
                sign = first if kind == VEIN else -first
                line = self.arcade(half, up, shared, apart * (1 if kind == VEIN else -1), sign, swap, roots[kind])
                trunks[kind] = self.add(self.wobble(line, 0.018, 0.45), roots[kind], 0.0090 if kind == VEIN else 0.0075, 0)
            both = rng.random() < 0.2
            for i, kind in enumerate(order[:: 1 if rng.random() < 0.5 else -1]):
                if i == 0 or both:
                    self.inner_arcade(trunks[kind], half, up, inner_heights[kind])
            self.nasal(trunks, up)
        for kind in (ARTERY, VEIN):
            self.small(roots[kind])

    def arcade(
        self, half: int, up: float, shared: np.ndarray, apart: np.ndarray, sign: float, swap: bool, root: int
    ) -> np.ndarray:
        """One vessel of a temporal arcade, from the central vessel to beyond the fovea; its pair has ``-sign``."""
        height, close = self.habit.opening[half], self.habit.closing[half]
        xs = np.array([-0.06, 0.10, 0.36, 0.74, 1.15, 1.6, 2.1])
        ys = np.array([0.20, 0.50, 0.80, 1.0, 1.03 - 0.12 * close, 0.97 - 0.4 * close, 0.85 - 0.6 * close])
        wide = np.array([0.02, 0.06, 0.08, 0.08, 0.1, 0.12, 0.15])
        xs = xs + 0.5 * wide * shared[:7, 0]
        ys = ys * height + 0.5 * wide * shared[:7, 1]
        flip = -1.0 if swap else 1.0
        gap = sign * np.array([0.008, 0.012, 0.022 * flip, 0.04 * flip, 0.07 * flip, 0.11 * flip, 0.16 * flip])
        line = np.stack([xs, up * ys], axis=1)
        ways = _unit(np.gradient(line, axis=0))
        outwards = np.stack([ways[:, 1], -ways[:, 0]], axis=1) * -up
        line = line + outwards * (gap * (1 + 0.35 * apart[:7, 0]))[:, None]
        return _spline(np.concatenate([self.xy[root][None], line]))

    def inner_arcade(self, trunk: np.ndarray, half: int, up: float, height: float) -> None:
        """The branch of an arcade that runs above (or below) the macula to the temporal rim."""
        rng = self.rng
        outer, close = self.habit.opening[half], self.habit.closing[half]
        height = height * outer / 0.95
        where = np.abs(self.xy[trunk, 1]) > height * rng.uniform(0.5, 0.8)
        if not where.any():
            return
        fork = int(trunk[int(where.argmax())])
        start = self.xy[fork]
        way = _turn(self.way[fork], -up * np.deg2rad(rng.uniform(30, 45)))
        # It stays inside the arcade that it leaves.
        middle = min(height * rng.uniform(0.8, 1.3), 0.8 * outer)
        end = min(height * rng.uniform(0.3, 1.3), outer * (0.72 - 0.4 * close))
        waypoints = [
            start,
            start + 0.10 * way,
            np.array([max(0.62, start[0] + 0.3), up * height * rng.uniform(1.0, 1.25)]),
            np.array([1.15, up * middle]),
            np.array([1.9, up * end]),
        ]
        line = self.wobble(_spline(np.array(waypoints)), 0.03, 0.5)
        self.add(line, fork, 0.0068, 1)

    def nasal(self, trunks: dict[int, np.ndarray], up: float) -> None:
        """The nasal trunks of one half: they fork from the temporal ones in the disc and fan out to the nasal rim."""
        rng = self.rng
        count = int(rng.integers(2, 4))
        angles = np.linspace(80, 20, count) + rng.uniform(-14, 14, count)
        for i, angle in enumerate(np.deg2rad(angles)):
            kind = (ARTERY, VEIN)[(i + int(up > 0)) % 2]
            trunk = trunks[kind]
            if len(trunk) < 12:
                continue
            fork = int(trunk[min(len(trunk) - 1, int(rng.integers(2, 7)) + (4 if i == 0 else 0))])
            start = self.xy[fork]
            heading = np.array([-np.cos(angle), up * np.sin(angle)])
            end = start + rng.uniform(0.7, 1.2) * _turn(heading, rng.normal(0, 0.15))
            way = _unit(self.way[fork] + 1.2 * heading)
            self.add(self.wobble(self.arc(start, way, end, _unit(end - start)), 0.03), fork, 0.0050, 1)

    def small(self, root: int) -> None:
        """Small vessels straight from the disc: to the macula, and to the nasal side."""
        rng = self.rng
        for side, count in ((1.0, int(rng.integers(0, 3))), (-1.0, int(rng.integers(0, 2)))):
            for _ in range(count):
                slope = rng.uniform(-0.55, 0.55)
                end = np.array([side * rng.uniform(0.4, 0.65), 0.6 * slope])
                way = _unit(np.array([side, 1.5 * slope]))
                curve = self.arc(self.xy[root], way, end, _unit(np.array([side, -0.1 * slope])))
                grown = self.add(self.wobble(curve, 0.04), root, 0.0026, 1)
                self.sterile[grown] = True

    # -- branches ----------------------------------------------------------------------------------------------

    @staticmethod
    def arc(start: np.ndarray, start_way: np.ndarray, end: np.ndarray, end_way: np.ndarray) -> np.ndarray:
        """Cubic curves (..., 25, 2) between points (..., 2) with given directions."""
        third = np.sqrt(((end - start) ** 2).sum(axis=-1, keepdims=True)) / 3
        controls = np.stack([start, start + start_way * third, end - end_way * third, end], axis=-2)
        return _BEZIER @ controls

    def fill(self, level: Level) -> None:
        """One pass: candidates in a fixed order; each that lies in too wide a gap gets a branch if one fits."""
        rng = self.rng
        # Drawn around the disc, whatever the field shows of it, so that the seed decides and not the map.
        places = np.stack([rng.uniform(-1.3, 2.4, level.candidates * 3), rng.uniform(-2.1, 2.1, level.candidates * 3)], axis=1)
        moods = rng.uniform(0, 1, (len(places), 4))
        shown = self.inside(places) & (np.hypot(places[:, 0] - 1, places[:, 1]) > AVASCULAR)
        places, moods = places[shown][: level.candidates], moods[shown][: level.candidates]
        # Widest gaps first: branches run up the middle of the ground that is still free.
        gaps = cKDTree(self.xy[: self.count]).query(places)[0] / self.thinning(places)
        for i in np.argsort(-gaps, kind="stable")[: int((gaps > 0.8 * level.spacing / self.habit.density).sum())]:
            self.branch(places[i], moods[i], level)

    def branch(self, place: np.ndarray, mood: np.ndarray, level: Level) -> None:
        n = self.count
        if n > MAX_NODES - 200:
            return
        delta = place - self.xy[:n]
        away = np.sqrt((delta * delta).sum(axis=1))
        artery = self.kind[:n] == ARTERY
        to_artery, to_vein = away[artery].min(), away[~artery].min()
        spacing = level.spacing * self.thinning(place) / self.habit.density * (0.75 + 0.5 * mood[0])
        if min(to_artery, to_vein) < spacing:
            return
        kind = ARTERY if to_artery + 0.3 * spacing * (mood[1] - 0.5) > to_vein else VEIN
        fit = (self.kind[:n] == kind) & (away < level.reach) & (away > 0.5 * spacing) & (self.parent[:n] >= 0) & (self.left[:n] > 3)
        if level.coarse:
            fit &= ~self.sterile[:n]
        near = np.nonzero(fit)[0]
        if len(near) == 0:
            return
        chord = delta[near] / away[near, None]
        angle = _angle(self.way[near], chord)
        bend = np.abs(angle)
        drift = self.drift(place)
        cost = away[near] * (1 + 2.5 * (bend - (0.6 if level.coarse else 0.85)) ** 2 + 0.7 * (1 - chord @ drift) + 0.15 * self.depth[near])
        cost[(bend < 0.25) | (bend > 1.4)] = np.inf
        best = np.argsort(cost, kind="stable")[:48:4]
        best = best[np.isfinite(cost[best])]
        if len(best) == 0:
            return
        node, chord, angle = near[best], chord[best], angle[best]
        # It leaves at an acute angle and goes on turning the same way to its target: an easy arc, never a hook.
        lean = np.sign(angle) * np.clip(np.abs(angle) * (0.7 + 0.25 * mood[2]), 0.35, 1.0)
        over = np.clip(angle - lean, -0.5, 0.5)
        start_way = _turn(chord, -over)
        turn = np.clip(0.5 * over + 0.5 * np.clip(_angle(chord, drift), -0.6, 0.6), -0.5, 0.5)
        curves = self.arc(self.xy[node], start_way, np.broadcast_to(place, chord.shape), _turn(chord, turn))
        free = np.nonzero(self.free(curves, kind, self.xy[node], 0.3 if level.coarse else 0.16))[0]
        if len(free) == 0:
            return
        pick = free[0]
        inner = np.exp(-((((place - [1.0, 0.0]) ** 2).sum() / 0.6**2) ** 2))
        tip = level.tip * (0.85 + 0.3 * mood[3]) * (1 - 0.4 * inner) * np.clip(1.25 - 0.4 * np.hypot(*place), 0.5, 1.0)
        grown = self.add(self.wobble(curves[pick], 0.035, min(0.32, 0.6 * float(away[node[pick]]))), int(node[pick]), tip, int(self.depth[node[pick]]) + 1)
        self.sterile[grown] = self.sterile[node[pick]]

    def thinning(self, place: np.ndarray) -> np.ndarray:
        """Spacing at places (..., 2) over the usual: sparser at the disc, nasally and at the fovea's edge."""
        x, y = place[..., 0], place[..., 1]
        from_disc, from_fovea = np.hypot(x, y), np.hypot(x - 1, y)
        near_disc = 0.5 * np.exp(-((from_disc / 0.45) ** 2))
        nasal = 0.6 / (1 + np.exp((x + 0.05) / 0.05))
        outside = 0.8 / (1 + np.exp((0.75 - np.abs(y)) / 0.06))
        ring = 0.40 * np.exp(-(((from_fovea - 0.5) / 0.2) ** 2))
        return 1.0 + near_disc + nasal + outside - ring + 0.55 * np.exp(-((from_fovea / 0.25) ** 2))

    def drift(self, place: np.ndarray) -> np.ndarray:
        """Where vessels run at a place: to the fovea inside the arcades, away from the disc outside them."""
        to_fovea = np.array([1.0, 0.0]) - place
        inward = np.exp(-((to_fovea**2).sum() / 0.75**2) ** 2)
        return _unit(_unit(to_fovea) * inward + _unit(place - np.array([0.1, 0.0])) * (1 - inward))

    def free(self, curves: np.ndarray, kind: int, start: np.ndarray, crossing: float) -> np.ndarray:
        """Which curves (C, 25, 2) are free: of their own kind beyond the fork, nearly of the other, of the fovea."""
        row, column = self.lookup(curves)
        clear = np.sqrt(((curves - start[:, None]) ** 2).sum(axis=-1)) > 2.6 * self.CLEARANCE
        own = (self.taken[kind, row, column] & clear).sum(axis=1)
        other = (self.taken[1 - kind, row, column] & clear).mean(axis=1)
        # The horizontal raphe, from the fovea outwards, parts the eye's halves: no branch crosses it.
        raphe = (curves[..., 1] * np.sign(curves[:, -1:, 1]) < -0.04) & (curves[..., 0] > 0.45)
        fovea = (curves[..., 0] - 1) ** 2 + curves[..., 1] ** 2 < AVASCULAR**2
        disc = (curves[:, 2:] ** 2).sum(axis=-1) < 0.2**2
        return (own == 0) & (other < crossing) & ~fovea.any(axis=1) & ~raphe.any(axis=1) & (disc.sum(axis=1) < 4)

    # -- calibres ----------------------------------------------------------------------------------------------

    def strength(self, n: int) -> np.ndarray:
        """Contrast of each node (n,): paler arteries, each branch its own, and slow fading along a vessel."""
        own = self.contrast[:n]
        phase = self.xy[:n] @ self.rng.normal(0, 9, (2, 3)) + self.rng.uniform(0, 2 * np.pi, 3)
        slow = np.sin(phase).mean(axis=1)
        fading = np.where(self.depth[:n] > 0, 0.9, 0.5)
        near_disc = fading * np.exp(-(((self.xy[:n] ** 2).sum(axis=1)) / 0.42**2) ** 2)
        artery = np.where(self.kind[:n] == ARTERY, self.habit.artery_contrast, 1.0)
        ending = 0.4 + 0.6 * np.clip(self.left[:n] / 6, 0, 1)
        return np.clip(artery * ending * (1 - near_disc) * (1 + 0.24 * own + 0.3 * slow), 0.1, 1.0)

    def tree(self, disc: np.ndarray, to_map: np.ndarray, length: float) -> VesselTree:
        """Calibres from the tips to the disc by Murray's law, and the segments in shares of the map's side."""
        n = self.count
        flow = (self.tip[:n] ** MURRAY).tolist()
        parent = self.parent[:n].tolist()
        for node in range(n - 1, -1, -1):
            if parent[node] >= 0:
                flow[parent[node]] += flow[node]
        ratio = np.where(self.kind[:n] == VEIN, self.habit.vein_ratio, 1.0) / np.sqrt(self.habit.vein_ratio)
        radius = np.asarray(flow) ** (1 / MURRAY) * ratio * self.habit.calibre * length
        has_parent = self.parent[:n] >= 0
        nodes = np.nonzero(has_parent)[0]
        segment = np.full(n, -1)
        segment[nodes] = np.arange(len(nodes))
        on_map = disc + self.xy[:n] @ to_map
        return VesselTree(
            start=on_map[self.parent[nodes]],
            end=on_map[nodes],
            radius=radius[nodes],
            strength=self.strength(n)[nodes],
            kind=self.kind[nodes],
            depth=self.depth[nodes],
            parent=segment[self.parent[nodes]],
        )
