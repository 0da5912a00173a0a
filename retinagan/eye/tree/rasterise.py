"""Draws a vascular tree as the soft ridges that the photo generator takes for vessels; from a map and a seed in one go.

Thick vessels are bright with a core of 1, twigs faint, as in the ridge filter's answer to a real photograph.
"""

from __future__ import annotations

import numpy as np

from retinagan.eye.statistics import UNCORRECTED, EyeCorrections
from retinagan.eye.tree.tree import VesselTree, grow_tree
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import BG

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

PIXELS_AT_ONCE = 400_000
"""Bounds the memory of the boxes that are drawn together."""

RIM = 5.0
"""Nothing is drawn this close to the field's rim (pixels at 512): neither does the ridge filter."""


def grow_vessels(label_map: np.ndarray, seed: int, corrections: EyeCorrections = UNCORRECTED) -> np.ndarray:
    """Lesion map ``uint8 (S, S)`` and seed ≥ 0 → vessel plane ``float32 (S, S)`` in 0..1, zero on background.

    The tree depends on the map's disc alone, so lesions may change without changing the eye.

    Raises:
        TypeError: not a ``uint8`` array, or ``seed`` is not an int.
        ValueError: not a square lesion map, or ``seed`` is negative.
    """
    return grow_vessels_and_tone(label_map, seed, corrections)[0]


def grow_vessels_and_tone(
    label_map: np.ndarray, seed: int, corrections: EyeCorrections = UNCORRECTED
) -> tuple[np.ndarray, np.ndarray]:
    """:func:`grow_vessels`, and the vessels' tone ``float32 (S, S)`` in -1..1: arteries are light (negative), veins
    dark.

    The counterpart of ``retinagan.eye.tone.vessel_tone``; a tone's magnitude is at most the plane's.
    """
    anatomy = find_anatomy(label_map)
    tree = grow_tree(anatomy, seed, corrections.gaps)
    planes = draw_kinds(tree, anatomy.size, corrections.shown * tree.share, corrections.blur)
    arteries, veins = planes * (label_map != BG)
    return np.maximum(arteries, veins), np.where(veins >= arteries, veins, -arteries) * np.float32(tree.tone)


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
    planes = np.stack([_draw(tree, size * factor, tree.kind == kind, blur) for kind in range(2)])
    if share is not None:
        level = float(np.quantile(planes.max(axis=0)[_inside(size * factor)], 1 - share))
        planes *= np.clip(SEEN / max(level, 1e-6), *GAIN)
    planes = np.minimum(planes, 1.0)
    if factor > 1:
        planes = planes.reshape(2, size, factor, size, factor).mean(axis=(2, 4))
    return planes.astype(np.float32)


def _draw(tree: VesselTree, size: int, wanted: np.ndarray, blur: float) -> np.ndarray:
    """The ``wanted`` segments (S,) of a tree at ``size`` ≥ 512.

    Each fills the box around it with its profile, the brightest wins.
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
    visible = wanted & (height > 0) & ((high > 0) & (low < size)).all(axis=1)
    extent = (high - low).max(axis=1)
    plane = np.zeros(size * size)
    # Boxes of equal side are drawn together: sides in steps keep both the groups and the wasted pixels few.
    classes = np.where(visible, -(-extent // 4) * 4, 0)
    for side in np.unique(classes[classes > 0]):
        chosen = np.nonzero(classes == side)[0]
        many = 1 + PIXELS_AT_ONCE // int(side) ** 2
        for part in (chosen[at : at + many] for at in range(0, len(chosen), many)):
            widths = radius[part] * scale, edge[part] * scale
            _fill(plane, size, low[part], int(side), start[part], end[part], *widths, height[part])
    return plane.reshape(size, size) * _inside(size)


def _inside(size: int) -> np.ndarray:
    """The field without its rim, ``bool (size, size)``."""
    offset = np.arange(size) + 0.5 - size / 2
    return offset[:, None] ** 2 + offset[None, :] ** 2 <= (size / 2 - RIM * size / REFERENCE) ** 2


def _fill(
    plane: np.ndarray,
    size: int,
    low: np.ndarray,
    side: int,
    start: np.ndarray,
    end: np.ndarray,
    radius: np.ndarray,
    edge: np.ndarray,
    height: np.ndarray,
) -> None:
    """Raises ``plane`` (flat) to the profiles of one group of segments, each in its box of ``side`` pixels."""
    steps = np.arange(side)
    xs, ys = low[:, :1] + steps, low[:, 1:] + steps
    x = (xs + 0.5 - start[:, :1])[:, None, :]
    y = (ys + 0.5 - start[:, 1:])[:, :, None]
    along = end - start
    along_x, along_y = along[:, :1, None], along[:, 1:, None]
    length2 = np.maximum(along_x**2 + along_y**2, 1e-12)
    share = np.clip((x * along_x + y * along_y) / length2, 0.0, 1.0)
    distance = np.sqrt((x - share * along_x) ** 2 + (y - share * along_y) ** 2)
    ramp = np.clip((radius + edge)[:, None, None] - distance, 0.0, None) / (2 * edge)[:, None, None]
    ramp = np.minimum(ramp, 1.0)
    value = height[:, None, None] * (ramp * ramp * (3 - 2 * ramp))
    on_plane = ((xs >= 0) & (xs < size))[:, None, :] & ((ys >= 0) & (ys < size))[:, :, None]
    lit = (value > 0) & on_plane
    where = (ys[:, :, None] * size + xs[:, None, :])[lit]
    np.maximum.at(plane, where, value[lit])
