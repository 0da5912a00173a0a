"""What a stroke of the canvas is: Fabric.js JSON → checked strokes, with their class and gesture.

Nothing is taken for granted of what a browser sends. Colours are exactly those of the palette; translucent ones are the
gestures that do not paint.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from retinagan.maps.labels import BG, CLASSES, OD, VB
from retinagan.maps.shapes import MAX_COORDINATE, circle, line, path, polygon, rectangle

MAX_OBJECTS = 2_000
MAX_POINTS = 200_000
"""Points of all strokes together; a thousand long freehand strokes."""

_CLASS_OF = {c.colour: c.index for c in CLASSES}
SHAPES = {"path": path, "line": line, "rect": rectangle, "circle": circle, "polygon": polygon}
_ORIGINS = {"left": -0.5, "top": -0.5, "center": 0.0, "right": 0.5, "bottom": 0.5}
_NO_PAINT = (None, "", "transparent")
_TRANSLUCENT = "33"
_TOOLS = {"path": "freehand", "line": "line", "rect": "rectangle", "circle": "circle", "polygon": "polygon"}


class Gesture(enum.Enum):
    """What an object of the drawing does to the map."""

    PAINT = enum.auto()
    SPRAY = enum.auto()
    """A cluster of lesions where the stroke runs."""
    SWEEP = enum.auto()
    """A spray of retina: lesions that it touches go."""
    MOVE_DISC = enum.auto()
    LOOK_CLOSER = enum.auto()
    """These two mark a place (:func:`retinagan.maps.canvas.read_mark`) and paint nothing."""


MARKS: dict[int | None, Gesture] = {OD: Gesture.MOVE_DISC, BG: Gesture.LOOK_CLOSER}


class Stroke(NamedTuple):
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
        return _gesture(self.kind, self.label, self.spray)

    @property
    def seed(self) -> int:
        """What is random in a spray comes from the stroke itself: the same stroke repeats exactly."""
        return int.from_bytes(hashlib.sha256(repr(tuple(self)).encode()).digest()[:8]) >> 1


def read_strokes(drawing: Mapping[str, Any] | None) -> list[Stroke]:
    """The visible strokes of a drawing, checked, in painter's order.

    Raises:
        ValueError, TypeError: as :func:`retinagan.maps.canvas.rasterise` does.
    """
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
    points = count_points(objects)
    if points > MAX_POINTS:
        raise ValueError(
            f"the drawing has {points:,} points; at most {MAX_POINTS:,} are allowed. Clear it, or start from its map"
        )
    strokes = []
    for number, item in enumerate(objects, 1):
        if not isinstance(item, Mapping):
            raise TypeError(f"stroke {number} is {type(item).__name__}; a stroke is a mapping")
        if item.get("visible", True) is False:
            continue
        try:
            stroke = _read_stroke(item)
        except ValueError as error:
            raise ValueError(f"stroke {number}: {error}") from error
        strokes.append(stroke)
    return strokes


def count_points(objects: Iterable[object]) -> int:
    """Points, or commands of paths, of all objects together, before any is read."""
    lists = (item.get(name) for item in objects if isinstance(item, Mapping) for name in ("path", "points"))
    return sum(len(found) for found in lists if isinstance(found, list))


def _read_paint(item: Mapping[str, Any]) -> tuple[str, int | None, int | None, bool]:
    """Kind, class of the line, class of the fill, and whether either is the translucent one."""
    kind = str(item.get("type", "")).lower()
    if kind not in SHAPES:
        raise ValueError(f"type is {str(item.get('type'))[:40]!r}; allowed are Path, Line, Rect, Circle and Polygon")
    # Fabric gives lines a fill that it never paints.
    line, fill = _paint_of(item.get("stroke")), _paint_of(None if kind == "line" else item.get("fill"))
    if kind == "circle" and (line[1] or fill[1]) and (line[0] if fill[0] is None else fill[0]) not in MARKS:
        raise ValueError("a translucent circle marks a place; its class is the optic disc or the background")
    return kind, line[0], fill[0], line[1] or fill[1]


def _read_stroke(item: Mapping[str, Any]) -> Stroke:
    kind, line, fill, spray = _read_paint(item)
    flip_x, flip_y = (-1 if item.get(name) is True else 1 for name in ("flipX", "flipY"))
    return Stroke(
        kind=kind,
        geometry=SHAPES[kind].read(item),
        stroke=line,
        fill=fill,
        spray=spray,
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
    marked = next((label for label, mark in MARKS.items() if mark is gesture), None)
    if marked is not None:
        return hex_colour(marked) + _TRANSLUCENT
    return hex_colour(label) + ("" if gesture is Gesture.PAINT else _TRANSLUCENT)


def _paint_of(colour: object) -> tuple[int | None, bool]:
    """The class of a colour, and whether it is the translucent one."""
    text = str(colour).strip().lower()
    if re.fullmatch(rf"#[0-9a-f]{{6}}{_TRANSLUCENT}", text):
        return class_of_colour(text[:7]), True
    return class_of_colour(colour), False


def gesture_of(item: Mapping[str, Any]) -> Gesture:
    """What an object of the drawing does; an invisible one counts as paint.

    Raises:
        ValueError, TypeError: as :func:`read_strokes` does.
    """
    if item.get("visible", True) is False:
        return Gesture.PAINT
    kind, line, fill, spray = _read_paint(item)
    return _gesture(kind, line if fill is None else fill, spray)


def _gesture(kind: str, label: int | None, spray: bool) -> Gesture:
    if not spray:
        return Gesture.PAINT
    if kind == "circle":
        return MARKS[label]
    return Gesture.SWEEP if label == VB else Gesture.SPRAY


def describe(item: Mapping[str, Any]) -> str:
    """What an object of the drawing is, for people: ``Haemorrhage, freehand``."""
    kind = str(item.get("type", "")).lower()
    paint, spray = _paint_of(item.get("fill") if kind in ("rect", "circle", "polygon") else item.get("stroke"))
    return f"{CLASSES[paint].name if paint is not None else 'Nothing'}, {'spray' if spray else _TOOLS.get(kind, kind)}"


def _number(item: Mapping[str, Any], name: str, default: float, low: float = -MAX_COORDINATE) -> float:
    value = item.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= MAX_COORDINATE:
        raise ValueError(f"{name} is {str(value)[:40]!r}; allowed are numbers from {low:g} to {MAX_COORDINATE:g}")
    return float(value)


def _origin(item: Mapping[str, Any], name: str, default: str) -> float:
    value = item.get(name, default)
    if not isinstance(value, str) or value not in _ORIGINS:
        raise ValueError(f"{name} is {str(value)[:40]!r}; allowed are {', '.join(_ORIGINS)}")
    return _ORIGINS[value]
