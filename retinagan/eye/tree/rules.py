"""The numbers by which a tree grows: what differs from tree to tree, how wide branches lie apart, how one leaves its
parent.

Lengths are in disc-fovea distances (0.455 of the side in IDRiD's eyes, whose disc has a radius of 0.2), angles in
radians. Where nothing else is said, a number was fitted on IDRiD's training eyes so that the figures of
:mod:`retinagan.evaluation.vessels` agree with real ones: density by distance from disc and fovea, calibres, fork
angles, tortuosity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Span:
    """A number between ``least`` and ``least + more``."""

    least: float
    more: float

    def at(self, share):
        """The number at a share 0..1 of the way."""
        return self.least + self.more * share


@dataclass(frozen=True)
class Bump:
    """A Gaussian over distances: ``height`` at the distance ``at``, e⁻¹ of it ``width`` to either side."""

    height: float
    width: float
    at: float = 0.0

    def __call__(self, distance: np.ndarray) -> np.ndarray:
        return self.height * np.exp(-(((distance - self.at) / self.width) ** 2))


@dataclass(frozen=True)
class Slope:
    """A logistic step up to ``height``, half of it at ``at``, over about four times ``softness``."""

    height: float
    at: float
    softness: float

    def __call__(self, place: np.ndarray) -> np.ndarray:
        return self.height / (1 + np.exp((self.at - place) / self.softness))


def plateau(squared_distance: np.ndarray, radius: float) -> np.ndarray:
    """About 1 within ``radius`` of a place and 0 beyond it; e⁻¹ on it."""
    return np.exp(-((squared_distance / radius**2) ** 2))


@dataclass(frozen=True)
class Habit:
    """What distinguishes one tree from another, drawn once a tree. Means and spreads are those of IDRiD's training
    eyes."""

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
    angle: float  # at which it best leaves its parent: real forks have a median of 69 degrees (1.2)
    crossing: float  # share of its way that may lie on vessels of the other kind


LEVELS = (
    Level(spacing=0.27, candidates=300, reach=1.1, tip=0.0054, coarse=True, angle=1.0, crossing=0.3),
    Level(spacing=0.19, candidates=500, reach=0.8, tip=0.0037, coarse=True, angle=1.0, crossing=0.3),
    Level(spacing=0.155, candidates=800, reach=0.6, tip=0.0024, coarse=False, angle=1.2, crossing=0.16),
    Level(spacing=0.145, candidates=1200, reach=0.45, tip=0.0020, coarse=False, angle=1.2, crossing=0.16),
)
"""From wide to narrow."""


@dataclass(frozen=True)
class Spacing:
    """What the spacing of branches grows by, or shrinks, in shares of itself, where density differs from that of the
    temporal retina."""

    disc: Bump = Bump(0.5, 0.45)
    """Around the disc, by distance from it."""
    nasal: Slope = Slope(0.6, 0.05, 0.05)
    """Nasal of the disc, by the distance from the disc in that direction."""
    outside: Slope = Slope(0.8, 0.75, 0.06)
    """Outside the arcades, by height above or below the axis of disc and fovea."""
    beyond: Slope = Slope(0.8, 1.6, 0.06)
    """Far beyond the fovea, by distance temporal of the disc; eyes with their disc at the rim show that periphery."""
    ring: Bump = Bump(0.48, 0.2, at=0.5)
    """Less, around the macula, by distance from the fovea: the many fine vessels that end at the avascular zone."""
    fovea: Bump = Bump(0.40, 0.25)
    """At the fovea, by distance from it."""

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """The factor on spacing at places (..., 2)."""
        x, y = places[..., 0], places[..., 1]
        from_fovea = np.hypot(x - 1, y)
        wider = self.disc(np.hypot(x, y)), self.nasal(-x), self.outside(np.abs(y)), self.beyond(x)
        return 1.0 + wider[0] + wider[1] + wider[2] + wider[3] - self.ring(from_fovea) + self.fovea(from_fovea)


@dataclass(frozen=True)
class Branching:
    """How a branch is laid to a place that is too far from any vessel."""

    spacing: Span = Span(0.75, 0.5)
    """The spacing at which a place asks for a branch, in that of its level: chance varies it from place to place."""
    kind_by_chance: float = 0.3
    """Of the two kinds the further one gets the place; so many spacings are left to chance."""
    shortest: float = 0.5
    """Nothing forks nearer to the place than this, in spacings."""
    before_tip: int = 3
    """Nodes before a vessel's tip from which nothing forks: growth from a tip itself would be an elbow."""
    angles: tuple[float, float] = (0.25, 1.6)
    """Least and greatest angle at a fork. Daughters leave at acute angles (Zamir, J. Gen. Physiol. 67, 1976)."""
    angle_cost: float = 2.5
    """Detour that the square of a deviation from the level's angle is worth, in lengths of the branch."""
    drift_cost: float = 0.7
    """Likewise 1 - cosine of the angle to the drift (:class:`Drift`): vessels of a region run alike."""
    depth_cost: float = 0.15
    """Likewise each side branch between the parent and the trunk."""
    cheapest: int = 48
    """Forks that are considered, cheapest first; of these each ``every`` -th is tried, as neighbours lead the same
    way."""
    every: int = 4
    lean: Span = Span(0.9, 0.25)
    """Angle at which the branch leaves, in that of its chord: one goes on turning the same way, as an easy arc and no
    hook."""
    leans: tuple[float, float] = (0.55, 1.4)
    """Bounds of that angle."""
    bow: float = 0.5
    """Greatest angle between the branch and its chord, at either end."""
    bow_kept: float = 0.5
    """Of the angle at the fork, how much it has at its end, too."""
    drift_followed: float = 0.5
    """Of the angle between chord and drift, how much it turns towards the drift at its end."""
    drift_seen: float = 0.6
    """That angle counts up to here."""
    run_on: float = 0.9
    """How far a branch runs on beyond its place, in spacings of its level, if there is room; times ``run_ons``."""
    run_ons: Span = Span(0.6, 0.8)
    tips: Span = Span(0.85, 0.3)
    """Factor on the level's radius of tips, from branch to branch."""
    finer_at_fovea: float = 0.4
    """Share by which tips are finer around the fovea, within ``fovea_radius``."""
    fovea_radius: float = 0.6
    afar: tuple[float, float] = (1.25, 0.4)
    """Away from the disc a tip's factor is the first less the second times the distance, within ``afar_bounds``."""
    afar_bounds: tuple[float, float] = (0.9, 1.0)
    tortuosity: float = 0.046
    """Height of a branch's waves over their length (before the tree's own factor)."""
    longest_wave: float = 0.26
    wave_share: float = 0.5
    """Length of its waves, in that of the branch; at most ``longest_wave``."""
    contrast: float = 1.0
    """How far contrast varies from branch to branch, in units of ``retinagan.eye.tree.strength.Contrast.own``."""
    trunk_contrast: float = 0.4
    """Likewise from trunk to trunk."""

    def finer(self, places: np.ndarray) -> np.ndarray:
        """Factor on the radius of tips at places (..., 2)."""
        x, y = places[..., 0], places[..., 1]
        at_fovea = 1 - self.finer_at_fovea * plateau((x - 1) ** 2 + y**2, self.fovea_radius)
        return at_fovea * np.clip(self.afar[0] - self.afar[1] * np.hypot(x, y), *self.afar_bounds)


@dataclass(frozen=True)
class Room:
    """What ground a branch must leave free."""

    clearance: float = 0.035
    """Distance that a vessel keeps from others of its kind (about 8 pixels at 512): arteries do not cross arteries, nor
    veins veins."""
    fork: float = 2.6
    """Distance from its fork, in clearances, from which it keeps it."""
    avascular: float = 0.19
    """Radius around the fovea that stays free of vessels (half a disc diameter)."""
    disc: float = 0.2
    """Radius of the disc, through which no branch runs."""
    leaving: int = 2
    """Points of a branch's curve, of 25, that do not count as in the disc, and of the others ``in_disc`` at most: those
    that leave it."""
    in_disc: int = 3
    raphe_from: float = 0.45
    """From here on, temporally, no branch crosses the horizontal raphe, which parts the eye's upper and lower half."""
    raphe: float = 0.04
    """How far it may reach over it."""


@dataclass(frozen=True)
class Drift:
    """Where vessels run: to the fovea inside the arcades, away from the disc outside."""

    inward: float = 0.75
    """Radius around the fovea within which they run to it."""
    origin: float = 0.1
    """Place on the axis, temporal of the disc's centre, from which they run away further out."""
