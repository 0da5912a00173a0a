"""Polylines → pixels: strokes of a width, and filled polygons.

What lies within half a width of a straight piece is a rectangle with a disc at either end: each covers one interval of
each row of pixels. So the work goes with the rows that the pieces cross, not with the area that they cover.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from retinagan.maps.budget import Budget

_CHUNK = 50_000
"""Rows that are worked on at once: some 10 MB."""
_UNSURE = 1e-3
"""Pixels whose centre lies within this of an interval's end are tested themselves."""

Interval = tuple[np.ndarray, np.ndarray]
"""First and last x, ``float (R,)`` each; there is none where the last is the smaller."""


class _Pieces(NamedTuple):
    """Straight pieces from ``a`` along ``way``, both ``(2, N)``, in the space of the metric ``(2, 2)``."""

    a: np.ndarray
    way: np.ndarray
    metric: np.ndarray
    square: float
    """Of half the width."""
    butt: bool

    def discs(self, index: np.ndarray, y: np.ndarray) -> Interval:
        """Where the discs around the beginnings of these pieces cover the lines at ``y (R,)``, within rounding."""
        step, (u, v) = self.metric[:, 0], self._at(index, y)
        middle = (u * step[0] + v * step[1]) / -(step @ step)
        inner = middle * middle - (u * u + v * v - self.square) / (step @ step)
        reach = np.where(inner >= 0, np.sqrt(np.abs(inner)), -np.inf)
        return middle - reach, middle + reach

    def rectangles(self, index: np.ndarray, y: np.ndarray) -> Interval:
        """Likewise, where the pieces themselves do, without the discs; none has a length of 0."""
        length = np.hypot(*self.way)
        (du, dv), (u, v), step = self.way / length, self._at(index, y), self.metric[:, 0]
        cos, sin, width = du[index], dv[index], self.square**0.5
        along = _between(u * cos + v * sin, (du * step[0] + dv * step[1])[index], 0.0, length[index])
        aside = _between(u * sin - v * cos, (dv * step[0] - du * step[1])[index], -width, width)
        return np.maximum(along[0], aside[0]), np.minimum(along[1], aside[1])

    def covers(self, index: np.ndarray, column: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether the pieces with their discs cover the centres of these columns' pixels: what decides."""
        x, (du, dv) = column + 0.5, self.way[:, index]
        u = self.metric[0, 0] * x + self.metric[0, 1] * y - self.a[0, index]
        v = self.metric[1, 0] * x + self.metric[1, 1] * y - self.a[1, index]
        squared = du * du + dv * dv
        along = np.divide(u * du + v * dv, squared, out=np.zeros_like(u), where=squared > 0)
        near = np.clip(along, 0.0, 1.0)
        inside = (u - near * du) ** 2 + (v - near * dv) ** 2 <= self.square
        return inside & (along >= 0.0) & (along <= 1.0) if self.butt else inside

    def _at(self, index: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where x is 0, seen from the pieces' beginnings."""
        return self.metric[0, 1] * y - self.a[0, index], self.metric[1, 1] * y - self.a[1, index]


def _between(start: np.ndarray, step: np.ndarray, low: float, high: np.ndarray | float) -> Interval:
    """The x between which ``start + step x`` lies in ``low`` to ``high``."""
    level = np.abs(step) < 1e-9
    slope = np.where(level, 1.0, step)
    one, two = (low - start) / slope, (high - start) / slope
    left, right = np.minimum(one, two), np.maximum(one, two)
    if level.any():
        inside = (start >= low) & (start <= high)
        left[level] = np.where(inside, -np.inf, np.inf)[level]
        right[level] = np.where(inside, np.inf, -np.inf)[level]
    return left, right


def stroke_mask(
    parts: list[np.ndarray],
    half: float,
    size: int,
    metric: np.ndarray | None = None,
    butt: bool = False,
    budget: Budget | None = None,
) -> np.ndarray:
    """``bool (size, size)``: pixels whose centre lies within ``half`` of a polyline.

    Args:
        parts: polylines ``float (P, 2)`` of x, y in map pixels; one point alone is a dot.
        half: half the stroke's width, in units of ``metric``.
        metric: 2×2 matrix from map pixels to the space in which the width is measured; None: map pixels.
        butt: the stroke ends flat at its first and last point instead of round.
        budget: what the work is taken from.

    Raises:
        OverBudget: it is more work than that.
    """
    metric = np.eye(2) if metric is None else metric
    reach = half * float(np.linalg.norm(np.linalg.inv(metric), 2))
    # Each part's last point is added as a piece of no length: discs lie around the beginnings of pieces alone.
    starts = np.concatenate(parts)
    added = np.concatenate([np.arange(1, len(part) + 1) == max(2, len(part)) for part in parts])
    ends = np.concatenate([np.concatenate([part[1:], part[-1:]]) for part in parts])
    low = np.clip(np.floor(np.minimum(starts, ends) - reach - 0.5), 0, size).astype(int)
    high = np.clip(np.ceil(np.maximum(starts, ends) + reach + 0.5), 0, size).astype(int)
    seen = (low < high).all(axis=1)
    mask = np.zeros((size, size), dtype=bool)
    if not seen.any():
        return mask
    low, high, a = low[seen], high[seen], starts[seen] @ metric.T
    long = (starts != ends).any(axis=1)[seen]
    way = np.where(long[:, None], ends[seen] @ metric.T - a, 0.0)
    dots = ~(long | added[seen]) if butt else np.ones(len(a), dtype=bool)
    (x0, y0), (x1, y1) = low.min(axis=0).tolist(), high.max(axis=0).tolist()
    turns = _Turns(x0, y0, x1, y1, budget)
    for chosen, cover in ((long, _Pieces.rectangles), (dots, _Pieces.discs)):
        pieces = _Pieces(a[chosen].T, way[chosen].T, metric, half * half + 1e-9, butt)
        for index, row in _rows(low[chosen, 1], high[chosen, 1], budget):
            left, right = cover(pieces, index, row + 0.5)
            found = left <= right
            index, row = index[found], row[found]
            first, last = _columns(pieces, index, row + 0.5, left[found] - 0.5, right[found] - 0.5, x0, x1)
            covered = first <= last
            turns.add(row[covered], first[covered])
            turns.add(row[covered], last[covered] + 1, back=True)
    mask[y0:y1, x0:x1] = turns.sums() > 0
    return mask


def _columns(
    pieces: _Pieces, index: np.ndarray, y: np.ndarray, left: np.ndarray, right: np.ndarray, x0: int, x1: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first and last columns from ``x0`` to before ``x1`` whose centres pieces cover, from their intervals."""
    first = np.ceil(left.clip(x0, x1)).astype(int)
    last = np.floor(right.clip(x0 - 1, x1 - 1)).astype(int)
    near = (np.abs(left - np.rint(left)) < _UNSURE) | (np.abs(right - np.rint(right)) < _UNSURE)
    unsure = np.flatnonzero(near | (right - left < 10 * _UNSURE))
    index, y = index[unsure], y[unsure]
    start, stop = np.maximum(first[unsure] - 1, x0), np.minimum(last[unsure] + 1, x1 - 1)
    for _ in range(3):
        start += ~pieces.covers(index, start, y)
        stop -= ~pieces.covers(index, stop, y)
    first[unsure], last[unsure] = start, np.where(pieces.covers(index, start, y), stop, start - 1)
    return first, last


def fill_mask(parts: list[np.ndarray], size: int, budget: Budget | None = None) -> np.ndarray:
    """``bool (size, size)``: pixels whose centre lies inside closed polygons (non-zero winding, as browsers fill).

    Raises:
        OverBudget: it is more work than ``budget`` has.
    """
    mask = np.zeros((size, size), dtype=bool)
    closed = [part for part in parts if len(part) >= 3]
    if not closed:
        return mask
    a, b = np.concatenate(closed), np.concatenate([np.roll(part, -1, axis=0) for part in closed])
    down = a[:, 1] < b[:, 1]
    top, end = np.where(down[:, None], a, b), np.where(down[:, None], b, a)
    first = np.clip(np.ceil(top[:, 1] - 0.5), 0, size).astype(int)
    last = np.clip(np.ceil(end[:, 1] - 0.5), 0, size).astype(int)
    seen = first < last
    if not seen.any():
        return mask
    first, last, top, way, down = first[seen], last[seen], top[seen], (end - top)[seen], down[seen]
    y0, y1 = int(first.min()), int(last.max())
    turns = _Turns(0, y0, size, y1, budget)
    for index, row in _rows(first, last, budget):
        crossing = top[index, 0] + (row + 0.5 - top[index, 1]) / way[index, 1] * way[index, 0]
        column = np.clip(np.ceil(crossing - 0.5), 0, size).astype(int)
        turns.add(row[down[index]], column[down[index]])
        turns.add(row[~down[index]], column[~down[index]], back=True)
    mask[y0:y1] = turns.sums() != 0
    return mask


def _rows(first: np.ndarray, last: np.ndarray, budget: Budget | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each piece with each row from ``first (N,)`` to before ``last (N,)``: numbers of both ``(R,)``, in chunks."""
    counts = last - first
    if budget is not None:
        budget.spend("rows", int(counts.sum()))
    ends = np.cumsum(counts)
    done = 0
    while done < len(counts):
        before = int(ends[done - 1]) if done else 0
        upto = max(done + 1, int(np.searchsorted(ends, before + _CHUNK, side="right")))
        index = np.repeat(np.arange(done, upto), counts[done:upto])
        yield index, np.arange(before, before + len(index)) - (ends - counts)[index] + first[index]
        done = upto


class _Turns:
    """How often rows of a box are entered and left, by pixel; summed from the left, how often each is covered."""

    def __init__(self, x0: int, y0: int, x1: int, y1: int, budget: Budget | None) -> None:
        if budget is not None:
            budget.spend("pixels", (y1 - y0) * (x1 - x0))
        self.x0, self.y0 = x0, y0
        self.counts = np.zeros((y1 - y0, x1 - x0 + 1), dtype=int)

    def add(self, rows: np.ndarray, columns: np.ndarray, back: bool = False) -> None:
        flat = (rows - self.y0) * self.counts.shape[1] + columns - self.x0
        found = np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)
        self.counts += -found if back else found

    def sums(self) -> np.ndarray:
        return np.cumsum(self.counts, axis=1)[:, :-1]
