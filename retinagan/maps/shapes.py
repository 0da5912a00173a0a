"""The shapes that the canvas can hold: Fabric.js objects → outlines as polylines.

Each shape has ``read(item)`` (JSON → checked, hashable numbers) and ``outline(numbers, scale)`` (numbers → polylines
around the shape's own centre, fine enough for ``scale`` map pixels a canvas pixel). Polylines then become pixels by
:func:`stroke_mask` and :func:`fill_mask`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

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
    outline: Callable[[tuple, float], Outline]


def _numbers(values: object, count: int, where: str) -> tuple[float, ...]:
    if not isinstance(values, (list, tuple)) or len(values) != count:
        raise ValueError(f"{where} has {str(values)[:60]}; {count} numbers are needed")
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


def _pieces(bend: float) -> np.ndarray:
    """Parameters in (0, 1] of a curve whose chord error with one piece is ``bend`` map pixels."""
    count = min(MAX_PIECES, max(1, math.ceil(math.sqrt(bend / TOLERANCE))))
    return np.arange(1, count + 1)[:, None] / count


def _outline_path(commands: tuple, scale: float) -> Outline:
    parts: list[list[np.ndarray]] = []
    extremes: list[np.ndarray] = []
    here = first = np.zeros(2)
    for letter, numbers in commands:
        points = np.array(numbers).reshape(-1, 2)
        if letter == "M":
            here = first = points[0]
            parts.append([here[None]])
            extremes.append(here[None])
            continue
        if letter == "Z":
            parts[-1].append(first[None])
            here = first
            continue
        end = points[-1]
        if letter == "L":
            parts[-1].append(end[None])
            extremes.append(end[None])
        elif letter == "Q":
            control = points[0]
            t = _pieces(float(np.hypot(*(here - 2 * control + end))) * scale / 4)
            parts[-1].append((1 - t) ** 2 * here + 2 * t * (1 - t) * control + t**2 * end)
            # Fabric reckons the bounds, and with them the path's centre, as if a Q were a C with its control doubled.
            extremes.append(_cubic_extremes(here, control, control, end))
        else:
            c1, c2 = points[0], points[1]
            bend = max(float(np.hypot(*(here - 2 * c1 + c2))), float(np.hypot(*(c1 - 2 * c2 + end)))) * scale * 0.75
            t = _pieces(bend)
            parts[-1].append((1 - t) ** 3 * here + 3 * t * (1 - t) ** 2 * c1 + 3 * t**2 * (1 - t) * c2 + t**3 * end)
            extremes.append(_cubic_extremes(here, c1, c2, end))
        here = end
    centre, extent = _box(np.concatenate(extremes))
    return Outline([np.concatenate(part) for part in parts], centre, extent)


def _cubic_extremes(p0: np.ndarray, p1: np.ndarray, p2: np.ndarray, p3: np.ndarray) -> np.ndarray:
    """End points of a cubic, and its points where x or y turns: ``(K, 2)``; their box is the curve's."""
    found = [p0, p3]
    a, b, c = -p0 + 3 * p1 - 3 * p2 + p3, 2 * (p0 - 2 * p1 + p2), p1 - p0
    for axis in range(2):
        if abs(a[axis]) < 1e-12:
            roots = [] if abs(b[axis]) < 1e-12 else [-c[axis] / b[axis]]
        else:
            inner = b[axis] ** 2 - 4 * a[axis] * c[axis]
            roots = [] if inner < 0 else [(-b[axis] + s * math.sqrt(inner)) / (2 * a[axis]) for s in (1, -1)]
        for t in roots:
            if 0 < t < 1:
                found.append((1 - t) ** 3 * p0 + 3 * t * (1 - t) ** 2 * p1 + 3 * t**2 * (1 - t) * p2 + t**3 * p3)
    return np.array(found)


# --- the other tools ---


def _read_line(item: Mapping[str, Any]) -> tuple:
    return _numbers([item.get(name) for name in ("x1", "y1", "x2", "y2")], 4, "Line")


def _outline_line(numbers: tuple, scale: float) -> Outline:
    points = np.array(numbers).reshape(2, 2)
    centre, extent = _box(points)
    return Outline([points], centre, extent)


def _read_rectangle(item: Mapping[str, Any]) -> tuple:
    width, height = _numbers([item.get("width"), item.get("height")], 2, "Rect")
    if width < 0 or height < 0:
        raise ValueError(f"the Rect is {width:g} × {height:g}; a size is not negative")
    return width, height


def _outline_rectangle(numbers: tuple, scale: float) -> Outline:
    x, y = numbers[0] / 2, numbers[1] / 2
    corners = np.array([(-x, -y), (x, -y), (x, y), (-x, y), (-x, -y)])
    return _around_origin([corners], (2 * x, 2 * y))


def _read_circle(item: Mapping[str, Any]) -> tuple:
    (radius,) = _numbers([item.get("radius")], 1, "Circle")
    if radius < 0:
        raise ValueError(f"the Circle's radius is {radius:g}; it is not negative")
    return (radius,)


def _outline_circle(numbers: tuple, scale: float) -> Outline:
    radius = numbers[0]
    # Chord error of n pieces: r (1 - cos(π/n)) ≈ r π² / 2n².
    count = min(MAX_PIECES, max(16, math.ceil(math.pi * math.sqrt(radius * scale / (2 * TOLERANCE)))))
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


def _outline_polygon(numbers: tuple, scale: float) -> Outline:
    points = np.array(numbers)
    centre, extent = _box(points)
    return Outline([np.concatenate([points, points[:1]])], centre, extent)


path = Shape(_read_path, _outline_path)
line = Shape(_read_line, _outline_line)
rectangle = Shape(_read_rectangle, _outline_rectangle)
circle = Shape(_read_circle, _outline_circle)
polygon = Shape(_read_polygon, _outline_polygon)


# --- polylines → pixels ---

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
