"""What a hand does on the canvas, as JSON → exact pixels of a lesion map.

The canvas sends gestures, not pixels: a browser's strokes have anti-aliased edges, and a blend of two classes' colours
can be the colour of a third. A pixel belongs to a stroke when its centre lies within half the stroke's width of its
path, or inside a filled shape; it then gets the stroke's class, exactly. Outside the circular field of view the map
stays as it was.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from retinagan import lesions
from retinagan.labels import CLASSES, NUM_CLASSES, check_map, field_of_view

TOOLS = ("freehand", "line", "polygon", "circle", "rectangle", "spray", "disc")
MAX_POINTS = 10_000
"""Of one stroke; a long freehand one has some hundred."""

MAX_WIDTH = 256.0
MAX_WORK = 60_000_000
"""Pixel tests that one stroke may cost (about a second); a stroke of the hand needs some ten thousands."""

_FEWEST = {"line": 2, "polygon": 3, "circle": 2, "rectangle": 2}


class Stroke(NamedTuple):
    """One gesture.

    ``tool``: one of :data:`TOOLS`; ``label``: class index 0-6 that it paints; ``width``: of the brush, in pixels of a
    map of 512; ``points``: x and y as shares of the side (0..1 is the map; a hand may leave it). A line, a polygon and
    a freehand path run through their points; a circle has its centre and a point on its edge, a rectangle two opposite
    corners, a disc its centre.
    """

    tool: str
    label: int
    width: float
    points: tuple[tuple[float, float], ...]

    @property
    def seed(self) -> int:
        """What is random in it (the spray) comes from the gesture itself: the same gesture repeats exactly."""
        return int.from_bytes(hashlib.sha256(repr(tuple(self)).encode()).digest()[:8]) >> 1


def read_stroke(item: Mapping[str, Any]) -> Stroke:
    """A gesture from JSON, ``{"tool": …, "label": …, "width": …, "points": [[x, y], …]}``, checked.

    Raises:
        TypeError: not a mapping.
        ValueError: a value outside what is allowed (it is named).
    """
    if not isinstance(item, Mapping):
        raise TypeError(f"a stroke is a mapping, got {type(item).__name__}")
    tool = item.get("tool")
    if tool not in TOOLS:
        raise ValueError(f"the stroke's tool is {str(tool)[:40]!r}; allowed are {', '.join(TOOLS)}")
    label = item.get("label")
    if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < NUM_CLASSES:
        raise ValueError(f"the stroke's class is {str(label)[:40]!r}; allowed are 0-{NUM_CLASSES - 1}")
    width = _number(item.get("width"), "width", 0.0, MAX_WIDTH)
    points = item.get("points")
    fewest = _FEWEST.get(tool, 1)
    if not isinstance(points, list) or not fewest <= len(points) <= MAX_POINTS:
        found = len(points) if isinstance(points, list) else type(points).__name__
        raise ValueError(f"the stroke's points are {found}; a {tool} has a list of {fewest} to {MAX_POINTS}")
    read = []
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise ValueError(f"the stroke has the point {str(point)[:40]!r}; a point is [x, y]")
        read.append((_number(point[0], "x", -4.0, 5.0), _number(point[1], "y", -4.0, 5.0)))
    return Stroke(tool, label, width, tuple(read))


def paint(label_map: np.ndarray, stroke: Stroke) -> np.ndarray:
    """A lesion map ``uint8 (S, S)`` with a stroke on it; the map given is not changed.

    Raises:
        ValueError: a map that is not square, a stroke too long for a hand, a disc outside the field, or a spray where
            nothing can lie.
    """
    check_map(label_map)
    size = label_map.shape[0]
    if label_map.shape != (size, size):
        raise ValueError(f"the map under a drawing is square, got {label_map.shape}")
    points = np.array(stroke.points) * size
    if stroke.tool == "disc":
        return lesions.move_disc(label_map, *points[-1])
    region = _region(stroke, points, size) & field_of_view(size)
    if stroke.tool == "spray":
        return lesions.spray(label_map, stroke.label, region, stroke.seed)
    result = label_map.copy()
    result[region] = stroke.label
    return result


def _region(stroke: Stroke, points: np.ndarray, size: int) -> np.ndarray:
    """Pixels of the map, ``bool (size, size)``, that a stroke through ``points float (P, 2)`` covers."""
    if stroke.tool == "polygon":
        return fill_mask(points, size)
    if stroke.tool == "rectangle":
        (x0, y0), (x1, y1) = points[0], points[-1]
        return fill_mask(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), size)
    if stroke.tool == "circle":
        radius = math.hypot(*(points[-1] - points[0]))
        return stroke_mask(points[:1], radius, size)
    return stroke_mask(points, stroke.width / 2 * size / 512, size)


def stroke_mask(points: np.ndarray, half: float, size: int) -> np.ndarray:
    """``bool (size, size)``: pixels whose centre lies within ``half`` of a polyline ``float (P, 2)`` of x, y.

    One point alone is a dot; a dot finer than a pixel is the pixel that it lies in.
    """
    mask = np.zeros((size, size), dtype=bool)
    starts, ends = (points[:-1], points[1:]) if len(points) > 1 else (points, points)
    low = np.clip(np.floor(np.minimum(starts, ends) - half - 0.5), 0, size).astype(int)
    high = np.clip(np.ceil(np.maximum(starts, ends) + half + 0.5), 0, size).astype(int)
    if int((high - low).prod(axis=1).sum()) > MAX_WORK:
        raise ValueError("the stroke is too long to be drawn by hand; draw it in shorter ones")
    for (ax, ay), (bx, by), (x0, y0), (x1, y1) in zip(starts, ends, low, high, strict=True):
        if x0 >= x1 or y0 >= y1:
            continue
        u = np.arange(x0, x1)[None, :] + 0.5 - ax
        v = np.arange(y0, y1)[:, None] + 0.5 - ay
        du, dv = bx - ax, by - ay
        squared = du * du + dv * dv
        near = np.clip((u * du + v * dv) / squared, 0.0, 1.0) if squared > 0 else 0.0
        mask[y0:y1, x0:x1] |= (u - near * du) ** 2 + (v - near * dv) ** 2 <= half * half + 1e-9
    for x, y in np.floor(points[[0, -1]]).astype(int):
        if half < 1 and 0 <= x < size and 0 <= y < size:
            mask[y, x] = True
    return mask


def fill_mask(points: np.ndarray, size: int) -> np.ndarray:
    """``bool (size, size)``: pixels whose centre lies inside a closed polygon ``float (P, 2)`` (non-zero winding)."""
    turns = np.zeros((size, size + 1), dtype=np.int32)
    for (xa, ya), (xb, yb) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if ya == yb:
            continue
        way, (xt, yt, xe, ye) = (1, (xa, ya, xb, yb)) if ya < yb else (-1, (xb, yb, xa, ya))
        first, last = max(0, math.ceil(yt - 0.5)), min(size, math.ceil(ye - 0.5))
        if first >= last:
            continue
        rows = np.arange(first, last)
        crossing = xt + (rows + 0.5 - yt) / (ye - yt) * (xe - xt)
        np.add.at(turns, (rows, np.clip(np.ceil(crossing - 0.5), 0, size).astype(int)), way)
    return np.cumsum(turns, axis=1)[:, :size] != 0


def hex_colour(label: int) -> str:
    """``#rrggbb`` of a class."""
    return "#{:02x}{:02x}{:02x}".format(*CLASSES[label].colour)


def _number(value: object, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"the stroke's {name} is {str(value)[:40]!r}; allowed are numbers from {low:g} to {high:g}")
    return float(value)
