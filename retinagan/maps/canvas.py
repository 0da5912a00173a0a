"""Strokes drawn on the canvas (Fabric.js JSON) → an exact lesion map.

The browser draws strokes with anti-aliased edges, and a blend of two classes' colours can be the colour of a third: its
pixels are no map. Here the strokes themselves are rasterised. A pixel belongs to a stroke when its centre lies within
half the stroke's width of the path (or inside a filled shape); it then gets the class whose palette colour the stroke
has, exactly. Later strokes cover earlier ones. Outside the circular field of view the map stays as it was.

Translucent strokes are other gestures than paint (:class:`Gesture`): a path or line sprays a cluster of lesions where
it runs, and a circle marks a place (:func:`read_mark`).
"""

from __future__ import annotations

import enum
import hashlib
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from retinagan.maps import lesions
from retinagan.maps.labels import BG, CLASSES, OD, VB, check_map, field_of_view
from retinagan.maps.shapes import (
    MAX_COORDINATE,
    Outline,
    circle,
    fill_mask,
    line,
    path,
    polygon,
    rectangle,
    stroke_mask,
)

MAX_OBJECTS = 2_000
MAX_POINTS = 100_000
"""Points of all strokes together; some hundred long freehand strokes."""

_CLASS_OF = {c.colour: c.index for c in CLASSES}
_SHAPES = {"path": path, "line": line, "rect": rectangle, "circle": circle, "polygon": polygon}
_ORIGINS = {"left": -0.5, "top": -0.5, "center": 0.0, "right": 0.5, "bottom": 0.5}
_NO_PAINT = (None, "", "transparent")
_TRANSLUCENT = "33"
_TOOLS = {"path": "freehand", "line": "line", "rect": "rectangle", "circle": "circle", "polygon": "polygon"}


class Window(NamedTuple):
    """The square part of a map that the canvas shows, in map pixels."""

    left: int
    top: int
    side: int


class Gesture(enum.Enum):
    """What an object of the drawing does to the map."""

    PAINT = enum.auto()
    SPRAY = enum.auto()
    """A cluster of lesions where the stroke runs."""
    SWEEP = enum.auto()
    """A spray of retina: lesions that it touches go."""
    MOVE_DISC = enum.auto()
    LOOK_CLOSER = enum.auto()
    """These two mark a place (:func:`read_mark`) and paint nothing."""


_MARKS = {OD: Gesture.MOVE_DISC, BG: Gesture.LOOK_CLOSER}


class Mark(NamedTuple):
    """A place that was clicked, and for what; x and y in map pixels."""

    gesture: Gesture
    x: float
    y: float


class _Stroke(NamedTuple):
    """One object of the drawing, reduced to what its pixels depend on; hashable, so that they are computed once."""

    kind: str
    geometry: tuple
    stroke: int | None
    fill: int | None
    spray: bool
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

    @property
    def label(self) -> int | None:
        return self.stroke if self.fill is None else self.fill

    @property
    def gesture(self) -> Gesture:
        if not self.spray:
            return Gesture.PAINT
        if self.kind == "circle":
            return _MARKS[self.label]
        return Gesture.SWEEP if self.label == VB else Gesture.SPRAY

    @property
    def seed(self) -> int:
        """What is random in a spray comes from the stroke itself: the same stroke repeats exactly."""
        return int.from_bytes(hashlib.sha256(repr(tuple(self)).encode()).digest()[:8]) >> 1


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


def rasterise(
    drawing: Mapping[str, Any] | None,
    start: np.ndarray,
    canvas_size: float | None = None,
    window: Window | None = None,
) -> np.ndarray:
    """Paint a drawing onto a lesion map.

    Args:
        drawing: the canvas' JSON, ``{"objects": [...]}``, or None for no strokes.
        start: lesion map ``uint8 (S, S)`` under the strokes; not changed.
        canvas_size: side of the canvas in its own pixels; it is scaled to ``S``. None: the canvas is S pixels wide.
        window: the part of the map that the canvas shows; None: the whole.

    Returns:
        The lesion map ``uint8 (S, S)``.

    Raises:
        ValueError: a colour outside the palette, an unknown kind of object, numbers that are not finite or absurd,
            more strokes than a hand draws, or a spray where nothing can lie (the object's position in the list is
            named).
        TypeError: not a drawing at all.
    """
    check_map(start)
    if start.shape[0] != start.shape[1]:
        raise ValueError(f"the map under a drawing is square, got {start.shape}")
    size = start.shape[0]
    scale, offset = _view(size, canvas_size, window)
    strokes = read_strokes(drawing)
    label_map = start.copy()
    if not strokes:
        return label_map
    field = field_of_view(size)
    for number, stroke in enumerate(strokes, 1):
        if stroke.gesture in _MARKS.values():
            continue
        try:
            patches = _patches(stroke, size, scale, offset)
            if stroke.gesture is not Gesture.PAINT:
                region = _paint(patches, np.zeros((size, size), dtype=bool), field, True)
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
    if not strokes or strokes[0].gesture not in _MARKS.values():
        return None
    scale, offset = _view(size, canvas_size, window)
    shape = _SHAPES["circle"].outline(strokes[0].geometry, scale)
    x, y = _placement(strokes[0], shape)[1] * scale + offset
    return Mark(strokes[0].gesture, float(x), float(y))


def gesture_of(item: Mapping[str, Any]) -> Gesture:
    """What an object of the drawing does; an invisible one counts as paint.

    Raises:
        ValueError, TypeError: as :func:`rasterise` does.
    """
    strokes = read_strokes({"objects": [item]})
    return strokes[0].gesture if strokes else Gesture.PAINT


def describe(item: Mapping[str, Any]) -> str:
    """What an object of the drawing is, for people: ``Haemorrhage, freehand``."""
    kind = str(item.get("type", "")).lower()
    paint, spray = _paint_of(item.get("fill") if kind in ("rect", "circle", "polygon") else item.get("stroke"))
    return f"{CLASSES[paint].name if paint is not None else 'Nothing'}, {'spray' if spray else _TOOLS.get(kind, kind)}"


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
    # Fabric gives lines a fill that it never paints.
    line, fill = _paint_of(item.get("stroke")), _paint_of(None if kind == "line" else item.get("fill"))
    if kind == "circle" and (line[1] or fill[1]) and (line[0] if fill[0] is None else fill[0]) not in _MARKS:
        raise ValueError("a translucent circle marks a place; its class is the optic disc or the background")
    flip_x, flip_y = (-1 if item.get(name) is True else 1 for name in ("flipX", "flipY"))
    return _Stroke(
        kind=kind,
        geometry=_SHAPES[kind].read(item),
        stroke=line[0],
        fill=fill[0],
        spray=line[1] or fill[1],
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


def gesture_colour(gesture: Gesture, label: int) -> str:
    """What the canvas draws a gesture with, so that it is known again; ``label`` is the class of paint and sprays."""
    marked = next((label for label, mark in _MARKS.items() if mark is gesture), None)
    if marked is not None:
        return hex_colour(marked) + _TRANSLUCENT
    return hex_colour(label) + ("" if gesture is Gesture.PAINT else _TRANSLUCENT)


def _paint_of(colour: object) -> tuple[int | None, bool]:
    """The class of a colour, and whether it is the translucent one."""
    text = str(colour).strip().lower()
    if re.fullmatch(rf"#[0-9a-f]{{6}}{_TRANSLUCENT}", text):
        return class_of_colour(text[:7]), True
    return class_of_colour(colour), False


def _view(size: int, canvas_size: float | None, window: Window | None) -> tuple[float, tuple[float, float]]:
    """Map pixels a canvas pixel, and the map pixel in the canvas' top left corner."""
    left, top, side = window or Window(0, 0, size)
    if not (0 <= left <= size - side and 0 <= top <= size - side and side > 0):
        raise ValueError(f"the window {(left, top, side)} lies outside the map of {size} pixels")
    return side / _positive(side if canvas_size is None else canvas_size, "canvas_size"), (float(left), float(top))


def _paint(patches: tuple[_Patch, ...], target: np.ndarray, field: np.ndarray, value: bool | None = None) -> np.ndarray:
    """Write the patches' classes, or ``value``, into ``target`` where the field is; returns it."""
    for patch in patches:
        rows = slice(patch.top, patch.top + patch.shape[0])
        columns = slice(patch.left, patch.left + patch.shape[1])
        target[rows, columns][patch.mask() & field[rows, columns]] = patch.label if value is None else value
    return target


@lru_cache(maxsize=1024)
def _patches(stroke: _Stroke, size: int, scale: float, offset: tuple[float, float] = (0.0, 0.0)) -> tuple[_Patch, ...]:
    """Pixels of a stroke on a map of ``size``: of its fill, then of its line. Cached: an unchanged stroke is free."""
    shape = _SHAPES[stroke.kind].outline(stroke.geometry, scale * max(abs(stroke.scale_x), abs(stroke.scale_y), 1e-6))
    linear, centre = _placement(stroke, shape)
    if abs(np.linalg.det(linear)) < 1e-9:
        return ()  # squeezed to a line of no width: the canvas shows nothing either
    points = [((part - shape.offset) @ linear.T + centre) * scale + offset for part in shape.parts]
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
