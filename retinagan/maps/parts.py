"""Masks of a map: connected parts, round discs and the field of view; one definition of each."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

EIGHT = np.ones((3, 3), dtype=int)
"""Pixels that touch by a corner belong together."""

DISC_RADIUS = 0.092
"""The optic disc's usual radius as a share of the map's side (median of IDRiD's full-circle squares)."""


Box = tuple[slice, slice]
"""Rows and columns of a window."""


def bounding_box(mask: np.ndarray, margin: int = 0) -> Box:
    """The smallest window around the True pixels of ``bool (H, W)`` and, as far as the mask reaches, ``margin`` pixels
    on each side of it; an empty one of nothing."""
    box = []
    for axis, side in enumerate(mask.shape):
        (taken,) = np.nonzero(mask.any(axis=1 - axis))
        box.append(slice(max(taken[0] - margin, 0), min(taken[-1] + 1 + margin, side)) if len(taken) else slice(0, 0))
    return box[0], box[1]


def connected(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """The connected parts (corners touching, too) of ``bool (H, W)``, numbered from 1 in reading order; how many."""
    return ndimage.label(mask, EIGHT)


def pieces(mask: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """The connected parts of ``bool (H, W)`` in reading order, each as its pixels' (rows, columns)."""
    parts, count = connected(mask)
    found = ndimage.value_indices(parts, ignore_value=0)
    return [found[number] for number in range(1, count + 1)]


def large_parts(mask: np.ndarray, least: float) -> np.ndarray:
    """The connected parts of ``bool (H, W)`` that have at least so many pixels."""
    box, large = bounding_box(mask), np.zeros_like(mask)
    parts, _ = connected(mask[box])
    keep = np.bincount(parts.ravel(), minlength=1) >= least
    keep[0] = False
    large[box] = keep[parts]
    return large


def largest_part(mask: np.ndarray, corners: bool = True) -> np.ndarray:
    """The largest connected part of ``bool (H, W)``, the first of several, nothing of nothing.

    Without ``corners`` pixels belong together only where their sides touch.
    """
    box, largest = bounding_box(mask), np.zeros_like(mask)
    parts, count = ndimage.label(mask[box], EIGHT if corners else None)
    largest[box] = parts == 1 + np.bincount(parts.ravel())[1:].argmax() if count > 1 else parts > 0
    return largest


def without_holes(mask: np.ndarray) -> np.ndarray:
    """``bool (H, W)`` and what it encloses; what the picture's edge closes off is no hole."""
    box, whole = bounding_box(mask), mask.copy()
    whole[box] = ndimage.binary_fill_holes(mask[box])
    return whole


def dilated(mask: np.ndarray, radius: float) -> np.ndarray:
    """``bool (H, W)``: the pixels whose centres lie within ``radius`` ≥ 0 pixels of one of the mask's.

    A disc is as many shifted rows as it is high, each as wide as the disc there: for a small radius that is many times
    quicker than a distance transform.
    """
    reach = int(radius)
    widths = [max(x for x in range(reach + 1) if math.sqrt(x * x + y * y) <= radius) for y in range(reach + 1)]
    row, found = mask.copy(), np.zeros_like(mask)
    for width in range(reach + 1):
        if width:
            row[:, 1:] |= row[:, :-1]
            row[:, :-1] |= row[:, 1:]
        for down in (y for y in range(min(reach + 1, len(mask))) if widths[y] == width):
            found[down:] |= row[: len(mask) - down]
            found[: len(mask) - down] |= row[down:]
    return found


def round_disc(shape: tuple[int, int], x: float, y: float, radius: float) -> np.ndarray:
    """``bool (H, W)``: the pixels whose centres lie within ``radius`` of (x, y), in pixels."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2


def field_of_view(size: int) -> np.ndarray:
    """The circular field ``bool (size, size)``: centre (size/2, size/2), radius size/2, dx² + dy² ≤ r²."""
    d = np.arange(size) - size / 2
    return (d[:, None] ** 2 + d[None, :] ** 2) <= (size / 2) ** 2
