"""Strokes drawn on the canvas (Fabric.js JSON) → an exact lesion map.

The browser draws strokes with anti-aliased edges, and a blend of two classes' colours can be the colour of a third: its
pixels are no map. Here the strokes themselves are rasterised. A pixel belongs to a stroke when its centre lies within
half the stroke's width of the path (or inside a filled shape); it then gets the class whose palette colour the stroke
has, exactly. Later strokes cover earlier ones. Outside the circular field of view the map stays as it was.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from retinagan.canvas_shapes import MAX_COORDINATE, Outline, circle, line, path, polygon, rectangle
from retinagan.labels import CLASSES, check_map, field_of_view

MAX_OBJECTS = 2_000
MAX_POINTS = 100_000
"""Points of all strokes together; some hundred long freehand strokes."""

_CLASS_OF = {c.colour: c.index for c in CLASSES}
_SHAPES = {"path": path, "line": line, "rect": rectangle, "circle": circle, "polygon": polygon}
_ORIGINS = {"left": -0.5, "top": -0.5, "center": 0.0, "right": 0.5, "bottom": 0.5}
_NO_PAINT = (None, "", "transparent")


class _Stroke(NamedTuple):
    """One object of the drawing, reduced to what its pixels depend on; hashable, so that they are computed once."""

    kind: str
    geometry: tuple
    stroke: int | None
    fill: int | None
    stroke_width: float
    uniform: bool
    butt: bool
    left: float
    top: float
    origin_x: float
    origin_y: float
    angle: float
    scale_x: float
    scale_y: float
    skew_x: float
    skew_y: float


class _Patch(NamedTuple):
    """Pixels of one class: a bit mask of ``shape``, packed, with its top left corner in the map."""

    label: int
    top: int
    left: int
    shape: tuple[int, int]
    bits: bytes

    def mask(self) -> np.ndarray:
        count = self.shape[0] * self.shape[1]
        return np.unpackbits(np.frombuffer(self.bits, np.uint8), count=count).reshape(self.shape).astype(bool)


def rasterise(drawing: Mapping[str, Any] | None, start: np.ndarray, canvas_size: float | None = None) -> np.ndarray:
    """Paint a drawing onto a lesion map.

    Args:
        drawing: the canvas' JSON, ``{"objects": [...]}``, or None for no strokes.
        start: lesion map ``uint8 (S, S)`` under the strokes; not changed.
        canvas_size: side of the canvas in its own pixels; it is scaled to ``S``. None: the canvas is S pixels wide.

    Returns:
        The lesion map ``uint8 (S, S)``.

    Raises:
        ValueError: a colour outside the palette, an unknown kind of object, numbers that are not finite or absurd, or
            more strokes than a hand draws (the object's position in the list is named).
        TypeError: not a drawing at all.
    """
    check_map(start)
    if start.shape[0] != start.shape[1]:
        raise ValueError(f"the map under a drawing is square, got {start.shape}")
    size = start.shape[0]
    scale = 1.0 if canvas_size is None else size / _positive(canvas_size, "canvas_size")
    strokes = read_strokes(drawing)
    label_map = start.copy()
    if not strokes:
        return label_map
    field = field_of_view(size)
    for number, stroke in enumerate(strokes, 1):
        try:
            patches = _patches(stroke, size, scale)
        except ValueError as error:
            raise ValueError(f"stroke {number}: {error}") from error
        for patch in patches:
            rows = slice(patch.top, patch.top + patch.shape[0])
            columns = slice(patch.left, patch.left + patch.shape[1])
            label_map[rows, columns][patch.mask() & field[rows, columns]] = patch.label
    return label_map


def read_strokes(drawing: Mapping[str, Any] | None) -> list[_Stroke]:
    """The visible strokes of a drawing, checked, in painter's order; raises as :func:`rasterise` does."""
    if drawing is None:
        return []
    objects = drawing.get("objects", []) if isinstance(drawing, Mapping) else None
    if not isinstance(objects, list):
        raise TypeError(f"a drawing is a mapping with a list 'objects', got {type(drawing).__name__}")
    if len(objects) > MAX_OBJECTS:
        raise ValueError(
            f"the drawing has {len(objects)} strokes; at most {MAX_OBJECTS} are allowed. Clear it, or start from its "
            f"map"
        )
    strokes = []
    points = 0
    for number, item in enumerate(objects, 1):
        if not isinstance(item, Mapping):
            raise TypeError(f"stroke {number} is {type(item).__name__}; a stroke is a mapping")
        if item.get("visible", True) is False:
            continue
        try:
            stroke = _read_stroke(item)
        except ValueError as error:
            raise ValueError(f"stroke {number}: {error}") from error
        points += len(stroke.geometry)
        if points > MAX_POINTS:
            raise ValueError(f"the drawing has more than {MAX_POINTS} points. Clear it, or start from its map")
        strokes.append(stroke)
    return strokes


def _read_stroke(item: Mapping[str, Any]) -> _Stroke:
    kind = str(item.get("type", "")).lower()
    if kind not in _SHAPES:
        raise ValueError(f"type is {str(item.get('type'))[:40]!r}; allowed are Path, Line, Rect, Circle and Polygon")
    flip_x, flip_y = (-1 if item.get(name) is True else 1 for name in ("flipX", "flipY"))
    return _Stroke(
        kind=kind,
        geometry=_SHAPES[kind].read(item),
        stroke=class_of_colour(item.get("stroke")),
        # Fabric gives lines a fill that it never paints.
        fill=None if kind == "line" else class_of_colour(item.get("fill")),
        stroke_width=_number(item, "strokeWidth", 1.0, low=0.0),
        uniform=item.get("strokeUniform") is True,
        butt=kind == "line" and item.get("strokeLineCap", "butt") == "butt",
        left=_number(item, "left", 0.0),
        top=_number(item, "top", 0.0),
        origin_x=_origin(item, "originX", "left"),
        origin_y=_origin(item, "originY", "top"),
        angle=_number(item, "angle", 0.0),
        scale_x=_number(item, "scaleX", 1.0) * flip_x,
        scale_y=_number(item, "scaleY", 1.0) * flip_y,
        skew_x=_number(item, "skewX", 0.0),
        skew_y=_number(item, "skewY", 0.0),
    )


def class_of_colour(colour: object) -> int | None:
    """Class index of a CSS colour (``#rrggbb``, ``rgb(…)``, opaque ``rgba(…)``); None where nothing is painted.

    Raises:
        ValueError: not exactly a colour of the palette. Nothing is snapped to the nearest.
    """
    if colour in _NO_PAINT:
        return None
    text = str(colour).strip().lower()
    rgb = None
    if re.fullmatch(r"#[0-9a-f]{6}", text):
        rgb = tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))
    elif match := re.fullmatch(r"rgba?\((\d{1,3}),\s*(\d{1,3}),\s*(\d{1,3})(?:,\s*([\d.]{1,8}))?\)", text):
        if match[4] is not None and re.fullmatch(r"0*\.?0*", match[4]):
            return None
        if match[4] in (None, "1", "1.0"):
            rgb = tuple(int(v) for v in match.groups()[:3])
    if rgb not in _CLASS_OF:
        allowed = ", ".join(f"{c.short} {hex_colour(c.index)}" for c in CLASSES)
        raise ValueError(f"colour {text[:40]!r} is not in the palette; allowed are {allowed}")
    return _CLASS_OF[rgb]


def hex_colour(label: int) -> str:
    """``#rrggbb`` of a class: what the canvas draws it with."""
    return "#{:02x}{:02x}{:02x}".format(*CLASSES[label].colour)


@lru_cache(maxsize=1024)
def _patches(stroke: _Stroke, size: int, scale: float) -> tuple[_Patch, ...]:
    """Pixels of a stroke on a map of ``size``: of its fill, then of its line. Cached: an unchanged stroke is free."""
    shape = _SHAPES[stroke.kind].outline(stroke.geometry, scale * max(abs(stroke.scale_x), abs(stroke.scale_y), 1e-6))
    linear, centre = _placement(stroke, shape)
    if abs(np.linalg.det(linear)) < 1e-9:
        return ()  # squeezed to a line of no width: the canvas shows nothing either
    points = [(part - shape.offset) @ linear.T * scale + centre * scale for part in shape.parts]
    patches = []
    if stroke.fill is not None:
        patches.append((stroke.fill, fill_mask(points, size)))
    if stroke.stroke is not None and stroke.stroke_width > 0:
        singular = np.linalg.svd(linear, compute_uv=False)
        if stroke.uniform or math.isclose(singular[0], singular[1], rel_tol=1e-6):
            metric = np.eye(2)
            half = stroke.stroke_width / 2 * scale * (1.0 if stroke.uniform else float(singular[0]))
        else:
            # The stroke was stretched with its shape: distances are measured where it was round.
            metric = np.linalg.inv(linear * scale)
            half = stroke.stroke_width / 2
        patches.append((stroke.stroke, stroke_mask(points, half, size, metric, stroke.butt)))
    return tuple(patch for label, mask in patches if (patch := _pack(label, mask)) is not None)


def _placement(stroke: _Stroke, shape: Outline) -> tuple[np.ndarray, np.ndarray]:
    """Fabric's transform: the 2×2 matrix and the centre ``(2,)`` of an object, in canvas pixels."""
    dims = np.array([[stroke.scale_x, 0.0], [0.0, stroke.scale_y]])
    if stroke.skew_x:
        dims = dims @ np.array([[1.0, math.tan(math.radians(stroke.skew_x))], [0.0, 1.0]])
    if stroke.skew_y:
        dims = dims @ np.array([[1.0, 0.0], [math.tan(math.radians(stroke.skew_y)), 1.0]])
    cos, sin = math.cos(math.radians(stroke.angle)), math.sin(math.radians(stroke.angle))
    turn = np.array([[cos, -sin], [sin, cos]])
    inner = 0.0 if stroke.uniform else stroke.stroke_width
    box = np.abs(dims) @ (np.asarray(shape.extent) + inner)
    box += stroke.stroke_width if stroke.uniform else 0.0
    to_centre = turn @ (-np.array([stroke.origin_x, stroke.origin_y]) * box)
    return turn @ dims, np.array([stroke.left, stroke.top]) + to_centre


MAX_WORK = 60_000_000
"""Pixel tests that one stroke may cost (about a second); a stroke of the hand needs some ten thousands."""


def stroke_mask(
    parts: list[np.ndarray], half: float, size: int, metric: np.ndarray | None = None, butt: bool = False
) -> np.ndarray:
    """``bool (size, size)``: pixels whose centre lies within ``half`` of a polyline.

    Args:
        parts: polylines ``float (P, 2)`` of x, y in map pixels; one point alone is a dot.
        half: half the stroke's width, in units of ``metric``.
        metric: 2×2 matrix from map pixels to the space in which the width is measured; None: map pixels.
        butt: the stroke ends flat at its first and last point instead of round.
    """
    mask = np.zeros((size, size), dtype=bool)
    metric = np.eye(2) if metric is None else metric
    reach = half * float(np.linalg.norm(np.linalg.inv(metric), 2))
    work = 0
    for part in parts:
        starts, ends = (part[:-1], part[1:]) if len(part) > 1 else (part, part)
        low = np.clip(np.floor(np.minimum(starts, ends) - reach - 0.5), 0, size).astype(int)
        high = np.clip(np.ceil(np.maximum(starts, ends) + reach + 0.5), 0, size).astype(int)
        work += int(((high - low)[:, 0] * (high - low)[:, 1]).sum())
        if work > MAX_WORK:
            raise ValueError("it is too long to be drawn by hand; draw it in shorter strokes")
        for a, b, (x0, y0), (x1, y1) in zip(starts @ metric.T, ends @ metric.T, low, high, strict=True):
            if x0 >= x1 or y0 >= y1:
                continue
            x = np.arange(x0, x1)[None, :] + 0.5
            y = np.arange(y0, y1)[:, None] + 0.5
            u = metric[0, 0] * x + metric[0, 1] * y - a[0]
            v = metric[1, 0] * x + metric[1, 1] * y - a[1]
            du, dv = b - a
            squared = du * du + dv * dv
            along = (u * du + v * dv) / squared if squared > 0 else np.zeros_like(u)
            near = np.clip(along, 0.0, 1.0)
            inside = (u - near * du) ** 2 + (v - near * dv) ** 2 <= half * half + 1e-9
            if butt:
                inside &= (along >= 0.0) & (along <= 1.0)
            mask[y0:y1, x0:x1] |= inside
    return mask


def fill_mask(parts: list[np.ndarray], size: int) -> np.ndarray:
    """``bool (size, size)``: pixels whose centre lies inside closed polygons (non-zero winding, as browsers fill)."""
    turns = np.zeros((size, size + 1), dtype=np.int32)
    for part in parts:
        if len(part) < 3:
            continue
        for (xa, ya), (xb, yb) in zip(part, np.roll(part, -1, axis=0), strict=True):
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


def _pack(label: int, mask: np.ndarray) -> _Patch | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _Patch(label, int(rows[0]), int(columns[0]), cut.shape, np.packbits(cut).tobytes())


def _number(item: Mapping[str, Any], name: str, default: float, low: float = -MAX_COORDINATE) -> float:
    value = item.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= MAX_COORDINATE:
        raise ValueError(f"{name} is {str(value)[:40]!r}; allowed are numbers from {low:g} to {MAX_COORDINATE:g}")
    return float(value)


def _positive(value: float, name: str) -> float:
    if not 0 < value <= MAX_COORDINATE:
        raise ValueError(f"{name} is {value!r}; allowed are numbers above 0 up to {MAX_COORDINATE:g}")
    return float(value)


def _origin(item: Mapping[str, Any], name: str, default: str) -> float:
    value = item.get(name, default)
    if not isinstance(value, str) or value not in _ORIGINS:
        raise ValueError(f"{name} is {str(value)[:40]!r}; allowed are {', '.join(_ORIGINS)}")
    return _ORIGINS[value]
