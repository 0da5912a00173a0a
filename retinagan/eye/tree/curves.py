"""Curves in the plane from which vessels are made: polylines (P, 2), directions as unit vectors (..., 2)."""

from __future__ import annotations

import math

import numpy as np


def within(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """``np.clip``, whose wrapper takes longer than the work on arrays as small as these."""
    return np.minimum(np.maximum(values, low), high)


def paired(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Points or vectors (..., 2) of their coordinates: ``np.stack`` without its overhead."""
    points = np.empty((*np.shape(x), 2))
    points[..., 0], points[..., 1] = x, y
    return points


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.maximum(np.sqrt(squared_length(vector)), 1e-12)[..., None]


def squared_length(vector: np.ndarray) -> np.ndarray:
    """Of vectors (..., 2)."""
    return vector[..., 0] ** 2 + vector[..., 1] ** 2


def turn(vector: np.ndarray, angle: np.ndarray | float) -> np.ndarray:
    """Vectors (..., 2) turned by ``angle`` (...) radians, from x towards y."""
    cos, sin = np.cos(angle), np.sin(angle)
    return paired(vector[..., 0] * cos - vector[..., 1] * sin, vector[..., 0] * sin + vector[..., 1] * cos)


def signed_angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Signed angle from ``a`` to ``b``, radians in -π..π."""
    (ax, ay), (bx, by) = (a[..., 0], a[..., 1]), (b[..., 0], b[..., 1])
    return np.arctan2(ax * by - ay * bx, ax * bx + ay * by)


def resample(points: np.ndarray, step: float) -> np.ndarray:
    """A polyline (P, 2) → points (Q, 2) a ``step`` apart along it, both ends kept."""
    x, y = points[:, 0], points[:, 1]
    along = np.zeros(len(points))
    np.cumsum(np.sqrt((x[1:] - x[:-1]) ** 2 + (y[1:] - y[:-1]) ** 2), out=along[1:])
    count = max(1, math.ceil(along[-1] / step))
    at = np.arange(count + 1) * (along[-1] / count)
    at[-1] = along[-1]
    return paired(np.interp(at, along, x), np.interp(at, along, y))


_T = np.linspace(0.0, 1.0, 25)[:, None]
_BEZIER = np.concatenate([(1 - _T) ** 3, 3 * _T * (1 - _T) ** 2, 3 * _T**2 * (1 - _T), _T**3], axis=1)


def spline(points: np.ndarray) -> np.ndarray:
    """A smooth curve through ``points`` (P, 2): centripetal Catmull-Rom as cubic Bézier pieces."""
    padded = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    pieces = []
    for p0, p1, p2, p3 in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True):
        d0, d1, d2 = (max(float(np.hypot(*(b - a))), 1e-6) ** 0.5 for a, b in ((p0, p1), (p1, p2), (p2, p3)))
        t1 = (p1 - p0) / d0 - (p2 - p0) / (d0 + d1) + (p2 - p1) / d1
        t2 = (p2 - p1) / d1 - (p3 - p1) / (d1 + d2) + (p3 - p2) / d2
        controls = np.stack([p1, p1 + t1 * d1 / 3, p2 - t2 * d1 / 3, p2])
        pieces.append((_BEZIER @ controls)[:-1])
    return np.concatenate([*pieces, points[-1:]])


def arc(start: np.ndarray, start_way: np.ndarray, end: np.ndarray, end_way: np.ndarray) -> np.ndarray:
    """Cubic curves (..., 25, 2) between points (..., 2) with given unit directions at both."""
    third = np.sqrt(squared_length(end - start))[..., None] / 3
    controls = np.empty((*start.shape[:-1], 4, 2))
    controls[..., 0, :], controls[..., 3, :] = start, end
    controls[..., 1, :], controls[..., 2, :] = start + start_way * third, end - end_way * third
    return _BEZIER @ controls


WAVE_DRAWS = 9


def wobble(curve: np.ndarray, amount: float, wavelength: float, draws: np.ndarray, step: float) -> np.ndarray:
    """A curve with gentle tortuosity: three waves across it, 0.5-1.6 ``wavelength`` long, none at its start.

    ``amount`` is the waves' height over their length; ``draws`` are :data:`WAVE_DRAWS` uniform numbers in 0..1.
    """
    points = resample(curve, step)
    if len(points) < 3:
        return points
    along = step * np.arange(len(points))
    waves = wavelength * (0.5 + 1.1 * draws[:3])
    # Triangular heights: about as spread as a normal distribution, without its tail of corkscrews.
    heights = 2.4 * (draws[3:6] + draws[[5, 3, 4]] - 1) * waves
    across = (heights * np.sin(2 * np.pi * (along[:, None] / waves + draws[6:9]))).sum(axis=1)
    ramp = within(along / 0.15, 0, 1)
    ways = np.empty_like(points)
    ways[0], ways[-1] = points[1] - points[0], points[-1] - points[-2]
    ways[1:-1] = (points[2:] - points[:-2]) / 2
    ways = unit(ways)
    normals = paired(-ways[:, 1], ways[:, 0])
    return points + normals * (amount * across * ramp * ramp * (3 - 2 * ramp))[:, None]
