"""Lesion maps in numbers: descriptors for distances and classifiers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from retinagan.maps.labels import CLASSES, EX, HE, LESIONS, MA, SE
from retinagan.maps.measure import QUADRANTS, Measurements, measure

DESCRIPTORS = (
    *(f"{CLASSES[index].short} {what}" for index in LESIONS for what in ("count", "area", "largest")),
    "red to fovea", "bright to fovea", "lesions to disc", "superior share", "temporal share",
    "disc radius", "disc roundness", "disc x", "disc y", "grid",
)  # fmt: skip
"""Names of what :func:`describe` returns. Counts and areas (pixels at a side of 512) are log(1 + x), so that the first
lesion weighs as much as doubling many; distances and the disc's radius and place are shares of the map's side; red
lesions are haemorrhages and microaneurysms, bright ones exudates. The disc's x is folded to the left. The last is
:func:`grid`. What is a mean over lesions is drawn towards an indifferent value where they are few: one speck has a
place, but no distribution."""

ASSUMED = ("disc radius", "disc roundness")
"""What is not observed where a disc was painted as a circle of the usual size at a given centre."""

_NO_DISTANCE = 0.3  # indifferent: about the mean of real maps
_FEW = 10  # lesions at which a mean lies half-way between its own and the indifferent value


@dataclass(frozen=True)
class Measured:
    """Maps ``uint8 (N, S, S)`` with what was found in each, their descriptors ``float64 (N, D)`` and :func:`grid`."""

    maps: np.ndarray
    found: list[Measurements]
    descriptors: np.ndarray
    grids: np.ndarray

    @classmethod
    def of(cls, maps: Iterable[np.ndarray], size: int) -> Measured:
        """Measure lesion maps; ``size`` is their side, should there be none."""
        maps = list(maps)
        found = [measure(label_map) for label_map in maps]
        pairs = list(zip(found, maps, strict=True))
        return cls(
            maps=np.array(maps, dtype=np.uint8).reshape(-1, size, size),
            found=found,
            descriptors=np.array([describe(*pair) for pair in pairs]).reshape(-1, len(DESCRIPTORS)),
            grids=np.array([grid(label_map) for label_map in maps]),
        )

    def __len__(self) -> int:
        return len(self.found)

    @property
    def with_lesions(self) -> np.ndarray:
        """``bool (N,)``."""
        return np.array([one.burden > 0 for one in self.found], dtype=bool)

    def chosen(self, where: np.ndarray) -> Measured:
        """Those of a mask ``bool (N,)``."""
        places = np.flatnonzero(where)
        return Measured(
            self.maps[places], [self.found[i] for i in places], self.descriptors[places], self.grids[places]
        )


def describe(found: Measurements, label_map: np.ndarray) -> np.ndarray:
    """Descriptors ``float64 (22,)`` of a map and what was measured in it, in the order of :data:`DESCRIPTORS`; those of
    its mirror image are the same."""
    total = sum(lesion.count for lesion in found.lesions.values())
    return np.append(describe_measured(found), _drawn(grid(label_map), 0.0, total))


def describe_measured(found: Measurements) -> np.ndarray:
    """All descriptors but the last, ``float64 (21,)``: what needs no look at the map beside what was measured."""
    values: list[float] = []
    for index in LESIONS:
        areas = found.lesions[index].areas
        values += [math.log1p(len(areas)), math.log1p(sum(areas)), math.log1p(max(areas, default=0.0))]
    values += [_mean_distance(found, kinds, found.fovea) for kinds in ((HE, MA), (EX, SE))]
    values.append(_mean_distance(found, LESIONS, found.disc[:2]) if found.disc else _NO_DISTANCE)
    counts = np.array([[found.lesions[index].quadrants[name][0] for name in QUADRANTS] for index in LESIONS]).sum(0)
    total = int(counts.sum())
    for half in ("superior", "temporal"):
        inside = sum(int(n) for n, name in zip(counts, QUADRANTS, strict=True) if half in name)
        values.append(_drawn(inside / total, 0.5, total) if total else 0.5)
    if found.disc:
        x, y, radius = (v / found.size for v in found.disc)
        values += [radius, found.roundness or 0.0, min(x, 1 - x), y]
    else:
        values += [0.0, 0.0, 0.0, 0.5]
    return np.array(values, dtype=np.float64)


def grid(label_map: np.ndarray) -> float:
    """How far lesions lie in rows and columns: the logarithm of the power of their plane along the axes of the Fourier
    plane over that along its diagonals (wedges of 10 degrees, 8 to 100 cycles a side).

    Eyes know no rows: IDRiD's masks have -0.2 to 0.2. Networks that upsample may leave them. 0 without lesions.
    """
    lesions = np.isin(label_map, LESIONS)
    if not lesions.any():
        return 0.0
    side = min(len(label_map), 256)
    cell = len(label_map) // side
    shares = lesions[: side * cell, : side * cell].reshape(side, cell, side, cell).mean((1, 3))
    power = np.abs(np.fft.fft2(shares)) ** 2
    axes, diagonals = _wedges(side)
    return float(np.log(power[axes].mean() / power[diagonals].mean()))


@lru_cache(maxsize=4)
def _wedges(side: int) -> tuple[np.ndarray, np.ndarray]:
    cycles = np.fft.fftfreq(side, 1 / side)
    radius = np.hypot(cycles[:, None], cycles)
    angle = np.degrees(np.arctan2(cycles[:, None], cycles)) % 90
    band = (radius >= 8) & (radius <= 100 / 256 * side)
    return band & ((angle <= 5) | (angle >= 85)), band & (np.abs(angle - 45) <= 5)


def _mean_distance(found: Measurements, kinds: Sequence[int], point: tuple[float, float]) -> float:
    distances = distances_to(found, kinds, point)
    return _drawn(float(np.mean(distances)), _NO_DISTANCE, len(distances)) if len(distances) else _NO_DISTANCE


def _drawn(mean: float, indifferent: float, count: int) -> float:
    return indifferent + (mean - indifferent) * count / (count + _FEW)


def distances_to(found: Measurements, kinds: Sequence[int], point: tuple[float, float]) -> np.ndarray:
    """Distances of the centres of all lesions of some classes to a point (x, y) in pixels, as shares of the side."""
    centres = np.array([centre for index in kinds for centre in found.lesions[index].centres]).reshape(-1, 2)
    return np.hypot(*(centres - point).T) / found.size
