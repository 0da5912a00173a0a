"""The real map that a map resembles most, however turned or mirrored: is it new, or a copy?

Two maps are compared by the intersection over union (IoU) of all their lesion pixels, at the best rotation about the
middle of the field, with and without mirroring. To find it among hundreds of maps, lesions are first counted in polar
bins, where a rotation is a shift: the Bhattacharyya coefficient of two such histograms at all rotations at once is a
product of Fourier transforms. The best few are then compared pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from retinagan.maps.labels import LESIONS, check_map

RINGS, SECTORS = 24, 180
"""Polar bins of the first comparison: sectors of 2 degrees."""

CANDIDATES = 12
"""Maps that the first comparison hands to the exact one."""

_STEPS = (0, 0.5, -0.5, 1, -1, 1.5, -1.5, 2, -2)  # degrees around the first comparison's rotation
_LAST_STEPS = (0, 0.25, -0.25)  # around the best of these; of equal overlaps the first counts
_IS_LESION = np.isin(np.arange(256), LESIONS)


@dataclass(frozen=True)
class Match:
    """A stored map that resembles the one asked about.

    Attributes:
        index: its place among the stored maps.
        iou: intersection over union of the lesion pixels, 0..1.
        rotation: degrees by which the asked map is turned, clockwise as seen, to lie on the stored one.
        mirrored: whether it is mirrored left to right before that.
    """

    index: int
    iou: float
    rotation: float
    mirrored: bool


class NearestMaps:
    """Finds the nearest of some maps ``uint8 (N, S, S)``; they are kept, not copied.

    Raises:
        TypeError, ValueError: not such maps.
    """

    def __init__(self, maps: np.ndarray) -> None:
        if maps.ndim != 3 or maps.shape[1] != maps.shape[2]:
            raise ValueError(f"maps have shape {maps.shape}; expected (N, S, S)")
        self.maps, self.size = maps, maps.shape[1]
        points = [_points(label_map) for label_map in maps]
        self.areas = np.array([len(p) for p in points])
        self.spectra = np.zeros((len(maps), RINGS, SECTORS // 2 + 1), dtype=np.complex64)
        for number, found in enumerate(points):
            self.spectra[number] = self._spectrum(found)

    def find(self, label_map: np.ndarray, count: int = 1, exclude: Collection[int] = ()) -> list[Match]:
        """The ``count`` nearest stored maps, best first; fewer if fewer have lesions, none for a map without any.

        Large overlaps are found reliably; which of many hardly similar maps comes first is up to the first comparison.

        Args:
            exclude: places of stored maps to pass over, such as the map's own.

        Raises:
            TypeError, ValueError: not a lesion map of the stored maps' size.
        """
        check_map(label_map)
        if label_map.shape != (self.size, self.size):
            raise ValueError(f"the map is {label_map.shape}; the stored ones have a side of {self.size}")
        points = _points(label_map)
        usable = self.areas > 0
        usable[list(exclude)] = False
        if not len(points) or not usable.any():
            return []
        best: dict[int, Match] = {}
        for index, degrees, mirrored in self._candidates(points, usable, max(CANDIDATES, count)):
            match = self._align(points, index, degrees, mirrored)
            if index not in best or match.iou > best[index].iou:
                best[index] = match
        return sorted(best.values(), key=lambda match: -match.iou)[:count]

    def _spectrum(self, points: np.ndarray) -> np.ndarray:
        """The square root of the polar histogram, transformed over the angle: ``complex64 (RINGS, SECTORS/2 + 1)``."""
        if not len(points):
            return np.zeros((RINGS, SECTORS // 2 + 1), dtype=np.complex64)
        x, y = points.T
        ring = np.minimum(np.hypot(x, y) * (2 * RINGS / self.size), RINGS - 1).astype(np.int64)
        sector = np.floor(np.arctan2(y, x) * (SECTORS / (2 * np.pi))).astype(np.int64) % SECTORS
        histogram = np.bincount(ring * SECTORS + sector, minlength=RINGS * SECTORS).reshape(RINGS, SECTORS)
        # Lesions that fall beside a border of the bins must still meet.
        soft = ndimage.gaussian_filter(histogram.astype(np.float64), (0.6, 1.0), mode=("nearest", "wrap"))
        return np.fft.rfft(np.sqrt(soft / soft.sum()), axis=1).astype(np.complex64)

    def _candidates(self, points: np.ndarray, usable: np.ndarray, many: int) -> list[tuple[int, float, bool]]:
        found = []
        # No overlap can exceed the ratio of the areas, however the maps are turned.
        ratio = np.minimum(self.areas, len(points)) / np.maximum(np.maximum(self.areas, len(points)), 1)
        for mirrored in (False, True):
            asked = self._spectrum(_mirrored(points) if mirrored else points)
            likeness = np.fft.irfft((self.spectra * asked.conj()).sum(axis=1), SECTORS, axis=1)
            shift = likeness.argmax(axis=1)
            score = np.where(usable, likeness.max(axis=1) * np.sqrt(ratio), -1.0)
            for index in np.argsort(-score)[:many]:
                if usable[index]:
                    found.append((int(index), float(shift[index] * 360 / SECTORS), mirrored))
        return found

    def _align(self, points: np.ndarray, index: int, degrees: float, mirrored: bool) -> Match:
        if mirrored:
            points = _mirrored(points)

        def overlap(angle: float) -> float:
            turn = np.radians(angle)
            turned = points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
            x, y = np.floor(turned + self.size / 2).astype(np.int64).clip(0, self.size - 1).T
            common = int(_IS_LESION[self.maps[index, y, x]].sum())
            return common / (len(points) + self.areas[index] - common)

        angle = max((degrees + step for step in _STEPS), key=overlap)
        angle = max((angle + step for step in _LAST_STEPS), key=overlap)
        return Match(index, float(min(overlap(angle), 1.0)), float(angle % 360), mirrored)


def _points(label_map: np.ndarray) -> np.ndarray:
    """Centres of all lesion pixels relative to the middle of the map, ``float64 (P, 2)``: x to the right, y down."""
    y, x = np.nonzero(_IS_LESION[label_map])
    return np.stack([x, y], axis=1) + 0.5 - label_map.shape[0] / 2


def _mirrored(points: np.ndarray) -> np.ndarray:
    return points * (-1, 1)
