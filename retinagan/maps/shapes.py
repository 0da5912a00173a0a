"""The shapes that the canvas can hold: Fabric.js objects → outlines as polylines.

Each shape has ``read(item)`` (JSON → checked, hashable numbers) and ``outline(numbers, scale)`` (numbers → polylines
around the shape's own centre, fine enough for ``scale`` map pixels a canvas pixel). ``retinagan.maps.polylines`` makes
pixels of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from retinagan.maps.budget import Budget

MAX_COORDINATE = 1e5
"""Coordinates and factors beyond are refused: no canvas is as large."""

TOLERANCE = 0.02
"""How far, in map pixels, a polyline may stray from the curve that it stands for."""

MAX_PIECES = 512
"""Straight pieces for one curve, however large."""


class Outline(NamedTuple):
    """``parts``: polylines ``float (P, 2)``, x and y; ``offset (2,)``: their centre in the same coordinates;
    ``extent (2,)``: width and height as Fabric reckons them, without the stroke."""

    parts: list[np.ndarray]
    offset: np.ndarray
    extent: np.ndarray


class Shape(NamedTuple):
    read: Callable[[Mapping[str, Any]], tuple]
    outline: Callable[[tuple, float, Budget], Outline]
    """The budget is what its pieces are taken from."""


def _numbers(values: object, count: int, where: str) -> tuple[float, ...]:
    if not isinstance(values, (list, tuple)) or len(values) != count:
        raise ValueError(f"{where} has {str(values)[:60]}; {count} numbers are needed")
    if all(type(value) is float and -MAX_COORDINATE <= value <= MAX_COORDINATE for value in values):
        return tuple(values)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MAX_COORDINATE:
            raise ValueError(
                f"{where} has {str(value)[:40]!r}; allowed are numbers from {-MAX_COORDINATE:g} to {MAX_COORDINATE:g}"
            )
    return tuple(float(value) for value in values)


def _around_origin(parts: list[np.ndarray], extent: tuple[float, float]) -> Outline:
    return Outline(parts, np.zeros(2), np.array(extent))


def _box(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, high - low


# --- freehand, and a polygon in the making ---

_ARGUMENTS = {"M": 2, "L": 2, "Q": 4, "C": 6, "Z": 0}


def _read_path(item: Mapping[str, Any]) -> tuple:
    commands = item.get("path")
    if not isinstance(commands, list) or not commands:
        raise ValueError("a Path needs a list 'path' of commands")
    result = []
    for number, command in enumerate(commands):
        letter = command[0] if isinstance(command, list) and command else None
        letter = "Z" if letter == "z" else letter
        if not isinstance(letter, str) or letter not in _ARGUMENTS:
            raise ValueError(f"path command {number} is {str(command)[:40]!r}; allowed are M, L, Q, C and Z")
        result.append((letter, _numbers(command[1:], _ARGUMENTS[letter], f"path command {number} ({letter})")))
    if result[0][0] != "M":
        raise ValueError(f"the path begins with {result[0][0]}; it has to begin with M")
    return tuple(result)


def _outline_path(commands: tuple, scale: float, budget: Budget) -> Outline:
    letters = np.array([letter for letter, _ in commands])
    numbers = np.array([(*given, *(0.0,) * (6 - len(given))) for _, given in commands])
    begins, curved = letters == "M", (letters == "Q") | (letters == "C")
    ends = np.where((letters == "Q")[:, None], numbers[:, 2:4], numbers[:, :2])
    ends = np.where((letters == "C")[:, None], numbers[:, 4:], ends)
    firsts = ends[np.maximum.accumulate(np.where(begins, np.arange(len(commands)), 0))]
    ends = np.where((letters == "Z")[:, None], firsts, ends)
    # As Fabric does, a Q is a C with its control doubled wherever its bounds are reckoned, and with them its centre.
    p0, p3 = np.roll(ends, 1, axis=0)[curved], ends[curved]
    p1, p2 = numbers[curved, :2], np.where((letters == "C")[curved, None], numbers[curved, 2:4], numbers[curved, :2])
    cubic = (letters == "C")[curved]
    bend = np.where(
        cubic,
        np.maximum(_length(p0 - 2 * p1 + p2), _length(p1 - 2 * p2 + p3)) * scale * 0.75,
        _length(p0 - 2 * p1 + p3) * scale / 4,
    )
    counts = np.ones(len(commands), dtype=int)
    counts[curved] = np.clip(np.ceil(np.sqrt(bend / TOLERANCE)), 1, MAX_PIECES)
    budget.spend("pieces", int(counts.sum()))

    points = np.repeat(ends, counts, axis=0)
    pieces = counts[curved]
    which = np.repeat(np.arange(len(pieces)), pieces)
    t = (np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + 1)[:, None] / pieces[which][:, None]
    a, b, c, d = p0[which], p1[which], p2[which], p3[which]
    points[np.repeat(curved, counts)] = np.where(
        cubic[which][:, None],
        (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d,
        (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * d,
    )
    parts = np.split(points, (np.cumsum(counts) - counts)[begins][1:])
    centre, extent = _box(np.concatenate([ends, _cubic_turns(p0, p1, p2, p3)]))
    return Outline(parts, centre, extent)


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.hypot(vectors[:, 0], vectors[:, 1])


def _cubic_turns(p0: np.ndarray, p1: np.ndarray, p2: np.ndarray, p3: np.ndarray) -> np.ndarray:
    """Points ``(K, 2)`` of cubics ``(N, 2)`` where x or y turns; with their ends they span the curves' box."""
    a, b, c = -p0 + 3 * p1 - 3 * p2 + p3, 2 * (p0 - 2 * p1 + p2), p1 - p0
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(b**2 - 4 * a * c)
        level = np.abs(a) < 1e-12
        roots = np.where(level, -c / b, (-b + root) / (2 * a)), np.where(level, np.nan, (-b - root) / (2 * a))
    curve, _, _ = index = np.nonzero(np.stack([(t > 0) & (t < 1) for t in roots], axis=-1))
    t = np.stack(roots, axis=-1)[index][:, None]
    p0, p1, p2, p3 = p0[curve], p1[curve], p2[curve], p3[curve]
    return (1 - t) ** 3 * p0 + 3 * t * (1 - t) ** 2 * p1 + 3 * t**2 * (1 - t) * p2 + t**3 * p3


# --- the other tools ---


def _read_line(item: Mapping[str, Any]) -> tuple:
    return _numbers([item.get(name) for name in ("x1", "y1", "x2", "y2")], 4, "Line")


def _outline_line(numbers: tuple, scale: float, budget: Budget) -> Outline:
    points = np.array(numbers).reshape(2, 2)
    centre, extent = _box(points)
    return Outline([points], centre, extent)


def _read_rectangle(item: Mapping[str, Any]) -> tuple:
    width, height = _numbers([item.get("width"), item.get("height")], 2, "Rect")
    if width < 0 or height < 0:
        raise ValueError(f"the Rect is {width:g} × {height:g}; a size is not negative")
    return width, height


def _outline_rectangle(numbers: tuple, scale: float, budget: Budget) -> Outline:
    x, y = numbers[0] / 2, numbers[1] / 2
    corners = np.array([(-x, -y), (x, -y), (x, y), (-x, y), (-x, -y)])
    return _around_origin([corners], (2 * x, 2 * y))


def _read_circle(item: Mapping[str, Any]) -> tuple:
    (radius,) = _numbers([item.get("radius")], 1, "Circle")
    if radius < 0:
        raise ValueError(f"the Circle's radius is {radius:g}; it is not negative")
    return (radius,)


def _outline_circle(numbers: tuple, scale: float, budget: Budget) -> Outline:
    radius = numbers[0]
    # Chord error of n pieces: r (1 - cos(π/n)) ≈ r π² / 2n².
    count = min(MAX_PIECES, max(16, math.ceil(math.pi * math.sqrt(radius * scale / (2 * TOLERANCE)))))
    budget.spend("pieces", count)
    angle = np.linspace(0, 2 * math.pi, count + 1)
    return _around_origin([radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)], (2 * radius, 2 * radius))


def _read_polygon(item: Mapping[str, Any]) -> tuple:
    points = item.get("points")
    if not isinstance(points, list) or not points:
        raise ValueError("a Polygon needs a list 'points'")
    result = []
    for number, point in enumerate(points):
        if not isinstance(point, Mapping):
            raise ValueError(f"point {number} is {str(point)[:40]!r}; a point has x and y")
        result.append(_numbers([point.get("x"), point.get("y")], 2, f"point {number}"))
    return tuple(result)


def _outline_polygon(numbers: tuple, scale: float, budget: Budget) -> Outline:
    budget.spend("pieces", len(numbers))
    points = np.array(numbers)
    centre, extent = _box(points)
    return Outline([np.concatenate([points, points[:1]])], centre, extent)


path = Shape(_read_path, _outline_path)
line = Shape(_read_line, _outline_line)
rectangle = Shape(_read_rectangle, _outline_rectangle)
circle = Shape(_read_circle, _outline_circle)
polygon = Shape(_read_polygon, _outline_polygon)
