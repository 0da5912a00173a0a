"""Strokes drawn on the canvas (Fabric.js JSON) → an exact lesion map.

The browser draws strokes with anti-aliased edges, and a blend of two classes' colours can be the colour of a third: its
pixels are no map. Here the strokes themselves are rasterised. A pixel belongs to a stroke when its centre lies within
half the stroke's width of the path (or inside a filled shape); it then gets the class whose palette colour the stroke
has, exactly. Later strokes cover earlier ones. Outside the circular field of view the map stays as it was.

Translucent strokes are other gestures than paint (:class:`Gesture`): a path or line sprays a cluster of lesions where
it runs, and a circle marks a place (:func:`read_mark`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from retinagan.maps import lesions
from retinagan.maps.budget import Budget
from retinagan.maps.labels import check_map
from retinagan.maps.parts import field_of_view
from retinagan.maps.patches import PaintCache, Patch, pack
from retinagan.maps.polylines import fill_mask, stroke_mask
from retinagan.maps.shapes import MAX_COORDINATE, Outline
from retinagan.maps.strokes import MARKS, SHAPES, Gesture, Stroke, read_strokes

LEAST_SPRAYED = 4_000
"""Pixels that even the smallest spray takes of a budget: it looks at the whole map."""

_CACHE = PaintCache()
_field = lru_cache(maxsize=4)(field_of_view)


class Window(NamedTuple):
    """The square part of a map that the canvas shows, in map pixels."""

    left: int
    top: int
    side: int


class Mark(NamedTuple):
    """A place that was clicked, and for what; x and y in map pixels."""

    gesture: Gesture
    x: float
    y: float


def rasterise(
    drawing: Mapping[str, Any] | None,
    start: np.ndarray,
    canvas_size: float | None = None,
    window: Window | None = None,
    budget: Budget | None = None,
) -> np.ndarray:
    """Paint a drawing onto a lesion map.

    Args:
        drawing: the canvas' JSON, ``{"objects": [...]}``, or None for no strokes.
        start: lesion map ``uint8 (S, S)`` under the strokes; not changed.
        canvas_size: side of the canvas in its own pixels; it is scaled to ``S``. None: the canvas is S pixels wide.
        window: the part of the map that the canvas shows; None: the whole.
        budget: what the work is taken from, done now or before; None: one for this drawing alone.

    Returns:
        The lesion map ``uint8 (S, S)``.

    Raises:
        ValueError: a colour outside the palette, an unknown kind of object, numbers that are not finite or absurd,
            more work than strokes of a hand are (told before it is done), or a spray where nothing can lie (the
            object's position in the list is named).
        TypeError: not a drawing at all.
    """
    check_map(start)
    if start.shape[0] != start.shape[1]:
        raise ValueError(f"the map under a drawing is square, got {start.shape}")
    size = start.shape[0]
    scale, offset = _view(size, canvas_size, window)
    strokes = read_strokes(drawing)
    budget = Budget() if budget is None else budget
    label_map = start.copy()
    if not strokes:
        return label_map
    field = _field(size)
    for number, stroke in enumerate(strokes, 1):
        if stroke.gesture in MARKS.values():
            continue
        try:
            key = (*stroke, size, scale, *offset)
            patches = _CACHE.get(key, partial(_patches, stroke, size, scale, offset), budget)
            if stroke.gesture is not Gesture.PAINT and stroke.label is not None:
                region = _paint(patches, np.zeros((size, size), dtype=bool), field, True)
                budget.spend("sprayed pixels", max(LEAST_SPRAYED, int(region.sum())))
                label_map = lesions.spray(label_map, stroke.label, region, stroke.seed)
            else:
                _paint(patches, label_map, field)
        except ValueError as error:
            raise ValueError(f"stroke {number}: {error}") from error
    return label_map


def read_mark(
    item: Mapping[str, Any], size: int, canvas_size: float | None = None, window: Window | None = None
) -> Mark | None:
    """Where on a map of ``size`` an object of the drawing marks a place; None when it does something else.

    Raises:
        ValueError, TypeError: as :func:`rasterise` does.
    """
    strokes = read_strokes({"objects": [item]})
    if not strokes or strokes[0].gesture not in MARKS.values():
        return None
    scale, offset = _view(size, canvas_size, window)
    shape = SHAPES["circle"].outline(strokes[0].geometry, scale, Budget())
    x, y = _placement(strokes[0], shape)[1] * scale + offset
    return Mark(strokes[0].gesture, float(x), float(y))


def _view(size: int, canvas_size: float | None, window: Window | None) -> tuple[float, tuple[float, float]]:
    """Map pixels a canvas pixel, and the map pixel in the canvas' top left corner."""
    left, top, side = window or Window(0, 0, size)
    if not (0 <= left <= size - side and 0 <= top <= size - side and side > 0):
        raise ValueError(f"the window {(left, top, side)} lies outside the map of {size} pixels")
    return side / _positive(side if canvas_size is None else canvas_size, "canvas_size"), (float(left), float(top))


def _paint(patches: tuple[Patch, ...], target: np.ndarray, field: np.ndarray, value: bool | None = None) -> np.ndarray:
    """Write the patches' classes, or ``value``, into ``target`` where the field is; returns it."""
    for patch in patches:
        rows = slice(patch.top, patch.top + patch.shape[0])
        columns = slice(patch.left, patch.left + patch.shape[1])
        target[rows, columns][patch.mask() & field[rows, columns]] = patch.label if value is None else value
    return target


def _patches(stroke: Stroke, size: int, scale: float, offset: tuple[float, float], budget: Budget) -> tuple[Patch, ...]:
    """Pixels of a stroke on a map of ``size``: of its fill, then of its line."""
    finest = scale * max(abs(stroke.scale_x), abs(stroke.scale_y), 1e-6)
    shape = SHAPES[stroke.kind].outline(stroke.geometry, finest, budget)
    linear, centre = _placement(stroke, shape)
    if abs(np.linalg.det(linear)) < 1e-9:
        return ()  # squeezed to a line of no width: the canvas shows nothing either
    points = [((part - shape.offset) @ linear.T + centre) * scale + offset for part in shape.parts]
    patches = []
    if stroke.fill is not None:
        patches.append(pack(stroke.fill, fill_mask(points, size, budget)))
    if stroke.stroke is not None and stroke.stroke_width > 0:
        singular = np.linalg.svd(linear, compute_uv=False)
        if stroke.uniform or math.isclose(singular[0], singular[1], rel_tol=1e-6):
            metric: np.ndarray = np.eye(2)
            half = stroke.stroke_width / 2 * scale * (1.0 if stroke.uniform else float(singular[0]))
        else:
            # The stroke was stretched with its shape: distances are measured where it was round.
            metric = np.linalg.inv(linear * scale)
            half = stroke.stroke_width / 2
        patches.append(pack(stroke.stroke, stroke_mask(points, half, size, metric, stroke.butt, budget)))
    return tuple(patch for patch in patches if patch is not None)


def _placement(stroke: Stroke, shape: Outline) -> tuple[np.ndarray, np.ndarray]:
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


def _positive(value: float, name: str) -> float:
    if not 0 < value <= MAX_COORDINATE:
        raise ValueError(f"{name} is {value!r}; allowed are numbers above 0 up to {MAX_COORDINATE:g}")
    return float(value)
