"""Lesion maps in numbers: descriptors for distances and classifiers, and summaries of many maps for tables."""

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
        values += [radius, found.roundness, min(x, 1 - x), y]
    else:
        values += [0.0, 0.0, 0.0, 0.5]
    values.append(_drawn(grid(label_map), 0.0, total))
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


def summarise(measured: Measured) -> dict:
    """What maps hold, ready for JSON. Quartiles are ``[25 %, 50 %, 75 %]``, None where there are none to be taken.

    ``n``; ``burden`` quartiles, share of the field; ``lesions``: class → ``share`` of maps that have it, with
    ``interval`` (95 %), ``number`` a map, ``area`` a map (share of the field), ``size`` of single lesions (pixels at
    512), ``to_fovea`` and ``to_disc`` of single lesions (shares of the side), ``quadrants`` (shares of all lesions);
    ``disc``: ``share`` of maps with one, ``radius``, ``x`` (folded to the left) and ``y`` (shares of the side),
    ``roundness``, share ``left``; ``grid`` quartiles of maps with lesions.
    """
    maps = measured.found
    with_disc = [found for found in maps if found.disc]
    discs = np.array([found.disc for found in with_disc]).reshape(-1, 3) / np.array(
        [[m.size] for m in with_disc] or [[1]]
    )
    return {
        "n": len(maps),
        "burden": quartiles([found.burden for found in maps]),
        "grid": quartiles(measured.grids[measured.with_lesions]),
        "lesions": {CLASSES[index].short: _summarise_class(maps, index) for index in LESIONS},
        "disc": {
            "share": len(with_disc) / len(maps) if maps else None,
            "radius": quartiles(discs[:, 2]),
            "roundness": quartiles([found.roundness for found in with_disc]),
            "x": quartiles(np.minimum(discs[:, 0], 1 - discs[:, 0])),
            "y": quartiles(discs[:, 1]),
            "left": float(np.mean([found.side == "left" for found in with_disc])) if with_disc else None,
        },
    }


def _summarise_class(maps: Sequence[Measurements], index: int) -> dict:
    lesions = [found.lesions[index] for found in maps]
    having = sum(lesion.count > 0 for lesion in lesions)
    total = sum(lesion.count for lesion in lesions)
    to_disc = [distances_to(found, (index,), found.disc[:2]) for found in maps if found.disc]
    return {
        "share": having / len(maps) if maps else None,
        "interval": wilson_interval(having, len(maps)),
        "number": quartiles([lesion.count for lesion in lesions]),
        "area": quartiles([lesion.area for lesion in lesions]),
        "size": quartiles([area for lesion in lesions for area in lesion.areas]),
        "to_fovea": quartiles(np.concatenate([distances_to(m, (index,), m.fovea) for m in maps] or [np.empty(0)])),
        "to_disc": quartiles(np.concatenate(to_disc or [np.empty(0)])),
        "quadrants": {
            name: sum(lesion.quadrants[name][0] for lesion in lesions) / total if total else None for name in QUADRANTS
        },
    }


def quartiles(values: Sequence[float] | np.ndarray) -> list[float] | None:
    """25th, 50th and 75th percentile, or None of nothing."""
    return [float(v) for v in np.percentile(values, [25, 50, 75])] if len(values) else None


def wilson_interval(hits: int, n: int) -> list[float] | None:
    """95 % interval of a share, ``hits`` of ``n`` (Wilson, JASA 22, 1927, 209-212), or None if n is 0."""
    if n == 0:
        return None
    z, share = 1.959964, hits / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return [max(middle - reach, 0.0), min(middle + reach, 1.0)]
