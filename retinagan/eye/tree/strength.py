"""How wide and how clear the vessels of a grown tree are: calibres from the tips to the disc, then contrasts.

Calibres follow Murray's law (C. D. Murray, "The physiological principle of minimum work", PNAS 12, 1926). Contrasts are
those that a ridge filter sees in photographs: it loses vessels in the bright disc, at forks and crossings, and where
thin ones sink into the retina's mottle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree

from retinagan.eye.tree.growth import ARTERY, VEIN, Growth
from retinagan.eye.tree.rules import Span, plateau

MURRAY = 2.6
"""Exponent of Murray's law: a parent's radius to this power is the sum over its daughters. Murray's own is 3; retinas
have less."""

WAVES = 40
"""Plane waves that make a random function of place."""


@dataclass(frozen=True)
class Contrast:
    """What a vessel's contrast is made of; a vein's trunk has about 1. Lengths and radii are in disc-fovea distances.

    Fitted on IDRiD's training eyes: the ridge filter's answer by distance from disc and fovea, how many parts it falls
    into, how large a share of them is connected (``retinagan.evaluation.vessels``). All that hides a vessel is
    multiplied by ``gaps`` of the model's corrections.
    """

    most: float = 1.4
    """No vessel is clearer."""
    ending: Span = Span(0.4, 0.6)
    """Factor from a vessel's tip to ``fading`` nodes before it."""
    fading: float = 6.0
    own: float = 0.4
    """Greatest share by which a branch is clearer or paler than others."""
    slow: float = 0.2
    """Standard deviation of what changes over the field, in waves of ``slow_waves``."""
    slow_waves: tuple[float, float] = (0.35, 1.2)
    mottle: float = 0.33
    """Standard deviation that the mottle adds to a vessel of ``mottle_radius`` (about 4 pixels wide at 512), in waves
    of ``fast_waves``. The filter answers with the vessel's contrast plus that of the mottle, so it falls with the
    square of the radius, and is at most ``mottle_most`` times this."""
    mottle_radius: float = 0.008
    mottle_most: float = 1.4
    fast_waves: tuple[float, float] = (0.10, 0.35)
    flicker: float = 0.25
    """Of that, how much there is again in the shortest waves, ``chance_waves``, which also decide on single gaps."""
    chance_waves: tuple[float, float] = (0.03, 0.12)
    glare: float = 0.56
    """Radius around the disc in which its light hides vessels: of branches the share ``glare_branches``, of an arcade's
    vein ``glare_vein``, of its artery ``glare_artery``."""
    glare_branches: float = 0.75
    glare_vein: float = 0.42
    glare_artery: float = 0.68
    disc: float = 0.20
    """Radius of the disc, where more is lost, here and there: ``in_disc`` by chance, at most ``deepest``."""
    in_disc: Span = Span(0.28, 0.35)
    cup: float = 0.10
    """Radius around the place where the vessels emerge, from the depth of the cup, so that upper and lower half seem
    apart."""
    in_cup: float = 0.8
    """Share that is lost there."""
    at_fork: Span = Span(0.35, 0.55)
    """Share that a branch loses at its fork, by chance and at most ``deepest``: branches seem to begin a little beside
    their parent."""
    fork: float = 2.2
    """Nodes over which it comes back."""
    deepest: float = 0.95
    crossing: float = 0.8
    """Share that the narrower of two vessels loses where it passes below one of the other kind."""
    crossing_reach: float = 0.022
    """How far beyond the wider one's radius it loses it."""
    crossing_cosine: float = 0.85
    """Vessels that run more alike than this lie beside each other: they do not cross."""


def calibres(growth: Growth) -> np.ndarray:
    """Radius of each node (n,), from the tips to the disc by Murray's law; disc-fovea distances."""
    flow = (growth.tip[: growth.count] ** MURRAY).tolist()
    parent = growth.parent[: growth.count].tolist()
    for node in range(growth.count - 1, -1, -1):
        if parent[node] >= 0:
            flow[parent[node]] += flow[node]
    return np.array(flow) ** (1 / MURRAY)


def contrasts(
    growth: Growth, radius: np.ndarray, gaps: float, rng: np.random.Generator, rules: Contrast = Contrast()
) -> np.ndarray:
    """Contrast of each node (n,) in 0..1.4: paler arteries and tips, each branch its own, broken where a ridge filter
    loses a vessel.

    Args:
        growth: the whole tree.
        radius: of its nodes (n,), disc-fovea distances.
        gaps: of what the filter loses, how much the tree loses.
    """
    n = growth.count
    xy, kind, habit = growth.xy[:n], growth.kind[:n], growth.habit
    slow, fast, chance = (_waves(rng, *lengths) for lengths in (rules.slow_waves, rules.fast_waves, rules.chance_waves))
    by_chance = chance(xy)
    artery = np.where(kind == ARTERY, habit.artery_contrast, 1.0)
    ending = rules.ending.at(np.clip(growth.left[:n] / rules.fading, 0, 1))
    strength = artery * ending * (1 + rules.own * growth.contrast[:n] + rules.slow * slow(xy))
    thin = np.clip((rules.mottle_radius / radius) ** 2, 0, rules.mottle_most)
    mottle = gaps * rules.mottle * habit.broken * thin
    strength *= np.clip(1 + mottle * (fast(xy) + rules.flicker * by_chance), 0, rules.most)
    from_disc2 = (xy**2).sum(axis=1)
    trunk = np.where(kind == VEIN, rules.glare_vein, rules.glare_artery)
    hidden = np.where(growth.depth[:n] > 0, rules.glare_branches, trunk)
    strength *= 1 - gaps * hidden * plateau(from_disc2, rules.glare)
    strength *= 1 - gaps * np.clip(rules.in_disc.at(by_chance), 0, rules.deepest) * plateau(from_disc2, rules.disc)
    strength *= 1 - gaps * rules.in_cup * plateau(((xy - xy[0]) ** 2).sum(axis=1), rules.cup)
    at_fork = rules.at_fork.at(by_chance[growth.fork[:n]])
    at_fork = gaps * np.clip(at_fork, 0, rules.deepest) * (growth.depth[:n] > 0)
    strength *= 1 - at_fork * np.exp(-((growth.since[:n] / rules.fork) ** 2))
    strength *= 1 - gaps * _crossings(growth, radius, rules)
    return np.clip(strength, 0.0, rules.most)


def _waves(rng: np.random.Generator, shortest: float, longest: float) -> Callable[[np.ndarray], np.ndarray]:
    """A random smooth function of places (..., 2), mean 0 and variance 1: plane waves of lengths in this range."""
    length = shortest * (longest / shortest) ** rng.uniform(0, 1, WAVES)
    angle, phase = rng.uniform(0, 2 * np.pi, (2, WAVES))
    frequency = 2 * np.pi * np.stack([np.cos(angle), np.sin(angle)]) / length

    def waves(places: np.ndarray) -> np.ndarray:
        # NumPy's sine of doubles goes number by number; torch's is ten times as fast.
        return np.sqrt(2 / WAVES) * torch.from_numpy(places @ frequency + phase).sin_().numpy().sum(axis=-1)

    return waves


def _crossings(growth: Growth, radius: np.ndarray, rules: Contrast) -> np.ndarray:
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
        across = np.abs((growth.way[below] * growth.way[over]).sum(axis=1)) < rules.crossing_cosine
        across &= radius[below] < radius[over]
        share = rules.crossing * np.exp(-((distance / (rules.crossing_reach + radius[over])) ** 2))
        lost[below] = np.where(across, share, 0)
    return lost
