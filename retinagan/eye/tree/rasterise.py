"""Draws a vascular tree as the soft ridges that the photo generator takes for vessels; from a map and a seed in one go.

Thick vessels are bright with a core of 1, twigs faint, as in the ridge filter's answer to a real photograph.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from retinagan.eye.statistics import UNCORRECTED, EyeCorrections
from retinagan.eye.tree.tree import VesselTree, grow_tree
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import BG, enlarged_map

REFERENCE = 512
"""Side at which widths and edges below are given in pixels; smaller planes are averaged down from at least this."""

LARGEST = 3.6
"""Half-width, pixels at 512, that no vessel exceeds: the ridge filter's widest kernel sees no wider ones."""

EDGE = (0.6, 0.5)
"""Half the width of the soft edge, pixels at 512: constant, and share of the drawn half-width."""

BRIGHTNESS = ((1.0, 0.62), (1.2, 0.88), (1.75, 1.02), (2.6, 1.3), (3.2, 1.6))
"""Drawn half-width in pixels at 512 → height of the ridge at full contrast; the plane is cut at 1."""

SEEN, GAIN = 0.3, (0.6, 1.8)
"""Height from which a ridge counts as seen, and the bounds of the factor on all heights."""

PIXELS_AT_ONCE = 100_000
"""Bounds the memory of the boxes that are drawn together."""

RIM = 5.0
"""Nothing is drawn this close to the field's rim (pixels at 512): neither does the ridge filter."""


def grow_vessels(
    label_map: np.ndarray, seed: int, corrections: EyeCorrections = UNCORRECTED, enlarged: int = 1
) -> np.ndarray:
    """Lesion map ``uint8 (S, S)`` and seed ≥ 0 → vessel plane ``float32 (S, S)`` in 0..1, zero on background.

    The tree depends on the map's disc alone, so lesions may change without changing the eye. Drawn ``enlarged``, the
    plane is that of the same tree at so many times the side.

    Raises:
        TypeError: not a ``uint8`` array, or ``seed`` is not an int.
        ValueError: not a square lesion map, or ``seed`` is negative.
    """
    return _planes(label_map, grow_tree(find_anatomy(label_map), seed, corrections.gaps), corrections, enlarged).max(0)


def grow_vessels_and_tone(
    label_map: np.ndarray, seed: int, corrections: EyeCorrections = UNCORRECTED
) -> tuple[np.ndarray, np.ndarray]:
    """:func:`grow_vessels`, and the vessels' tone ``float32 (S, S)`` in -1..1: arteries are light (negative), veins
    dark.

    The counterpart of ``retinagan.eye.tone.vessel_tone``; a tone's magnitude is at most the plane's.
    """
    tree = grow_tree(find_anatomy(label_map), seed, corrections.gaps)
    arteries, veins = _planes(label_map, tree, corrections)
    tone = np.where(veins >= arteries, veins, -arteries)
    tone *= np.float32(tree.tone)
    return np.maximum(arteries, veins), tone


def _planes(label_map: np.ndarray, tree: VesselTree, corrections: EyeCorrections, enlarged: int = 1) -> np.ndarray:
    """Arteries and veins as these corrections show them, zero on background: ``float32 (2, S, S)``."""
    planes = draw_kinds(tree, len(label_map) * enlarged, corrections.shown * tree.share, corrections.blur)
    planes *= enlarged_map(label_map, enlarged) != BG
    return planes


def draw_vessels(tree: VesselTree, size: int, share: float | None = None, blur: float = 1.0) -> np.ndarray:
    """Tree → plane ``float32 (size, size)`` in 0..1: height of the vessel's ridge at each pixel, 0 beside it.

    A vessel of radius r is drawn with half-width √(r² + ``blur``²), pixels at 512; the ridge filter's own width is 1.

    With ``share`` the heights are scaled, within :data:`GAIN`, so that this share of the field comes out above
    :data:`SEEN`: the ridge filter, too, stretches its answer between fixed percentiles of the field.

    The same tree drawn at two sizes is the same picture: below 512 it is drawn larger and averaged down.

    Raises:
        ValueError: ``size`` is not positive.
    """
    return draw_kinds(tree, size, share, blur).max(axis=0)


def draw_kinds(tree: VesselTree, size: int, share: float | None = None, blur: float = 1.0) -> np.ndarray:
    """Arteries and veins of a tree, each as :func:`draw_vessels` draws both: ``float32 (2, size, size)``."""
    if size < 1:
        raise ValueError(f"size is {size}; it must be at least 1")
    factor = -(-REFERENCE // size)
    planes = _draw(tree, size * factor, blur)
    planes *= _inside(size * factor)
    if share is not None:
        planes *= np.clip(SEEN / max(_exceeded(planes.max(axis=0), share), 1e-6), *GAIN)
    np.minimum(planes, 1.0, out=planes)
    if factor > 1:
        planes = planes.reshape(2, size, factor, size, factor).mean(axis=(2, 4))
    return planes


def _exceeded(plane: np.ndarray, share: float) -> float:
    """The height that this share of the field exceeds in a plane ``(size, size)``, by interpolation between ranks."""
    lit = plane[plane > 0]
    # Nine pixels of ten are 0 and need no sorting; one stands for all.
    heights = np.append(lit, 0.0)
    rank = (1 - share) * (_inside(len(plane)).sum() - 1) - _inside(len(plane)).sum() + len(heights)
    below = int(np.clip(rank, 0, len(heights) - 1))
    around = [below, min(below + 1, len(heights) - 1)]
    return float(np.interp(rank, around, np.partition(heights, around)[around]))


def _draw(tree: VesselTree, size: int, blur: float) -> np.ndarray:
    """Arteries and veins of a tree at ``size`` ≥ 512: ``float32 (2, size, size)``.

    Each segment fills the box around it with its profile, the brightest wins.
    """
    scale = size / REFERENCE
    radius = np.sqrt((tree.radius * REFERENCE) ** 2 + blur**2)
    radius /= (1 + (radius / LARGEST) ** 4) ** 0.25
    edge = EDGE[0] + EDGE[1] * radius
    radii, heights = zip(*BRIGHTNESS, strict=True)
    height = np.interp(radius, radii, heights) * tree.strength
    start, end = tree.start * size, tree.end * size
    reach = (radius + edge) * scale
    low = np.floor(np.minimum(start, end) - reach[:, None]).astype(np.int64)
    high = np.ceil(np.maximum(start, end) + reach[:, None]).astype(np.int64)
    visible = (height > 0) & ((high > 0) & (low < size)).all(axis=1)
    extent = (high - low).max(axis=1)
    planes = np.zeros((2, size, size), dtype=np.float32)
    # Boxes of equal side are drawn together: sides in steps keep both the groups and the wasted pixels few.
    classes = np.where(visible, -(-extent // 4) * 4, 0)
    for side in np.unique(classes[classes > 0]):
        chosen = np.nonzero(classes == side)[0]
        many = 1 + PIXELS_AT_ONCE // int(side) ** 2
        for part in (chosen[at : at + many] for at in range(0, len(chosen), many)):
            widths = reach[part], 2 * edge[part] * scale
            _fill(planes, tree.kind[part], low[part], int(side), start[part], end[part], *widths, height[part])
    return planes


@lru_cache(maxsize=2)
def _inside(size: int) -> np.ndarray:
    """The field without its rim, ``bool (size, size)``."""
    offset = np.arange(size) + 0.5 - size / 2
    field = offset[:, None] ** 2 + offset[None, :] ** 2 <= (size / 2 - RIM * size / REFERENCE) ** 2
    field.setflags(write=False)
    return field


def _fill(
    planes: np.ndarray,
    kind: np.ndarray,
    low: np.ndarray,
    side: int,
    start: np.ndarray,
    end: np.ndarray,
    reach: np.ndarray,
    ramp: np.ndarray,
    height: np.ndarray,
) -> None:
    """Raises ``planes`` to the profiles of one group of segments, each in its box of ``side`` pixels: ``height`` along
    the segment, 0 from the distance ``reach`` on, a soft edge of the width ``ramp`` between."""
    size = planes.shape[-1]
    steps = np.arange(side)
    xs, ys = low[:, :1] + steps, low[:, 1:] + steps
    # Within a box single precision is exact to a millionth of a pixel.
    x = (xs + 0.5 - start[:, :1]).astype(np.float32)[:, None, :]
    y = (ys + 0.5 - start[:, 1:]).astype(np.float32)[:, :, None]
    along = (end - start).astype(np.float32)
    reach, ramp, height = (values.astype(np.float32) for values in (reach, ramp, height))
    along_x, along_y = along[:, :1, None], along[:, 1:, None]
    share = x * along_x + y * along_y
    share /= np.maximum(along_x**2 + along_y**2, 1e-12)
    np.minimum(np.maximum(share, 0.0, out=share), 1.0, out=share)
    squared = (x - share * along_x) ** 2
    squared += (y - share * along_y) ** 2
    near = squared < (reach**2)[:, None, None]
    near &= ((xs >= 0) & (xs < size))[:, None, :] & ((ys >= 0) & (ys < size))[:, :, None]
    where = ((kind[:, None].astype(np.int64) * size + ys) * size)[:, :, None] + xs[:, None, :]
    # Most pixels of a box are beside the vessel; from here on the others alone count.
    reach, ramp, height = np.repeat([reach, ramp, height], near.sum(axis=(1, 2)), axis=1)
    rise = np.minimum((reach - np.sqrt(squared[near])) / ramp, 1.0)
    np.maximum.at(planes.reshape(-1), where[near], height * (rise * rise * (3 - 2 * rise)))
