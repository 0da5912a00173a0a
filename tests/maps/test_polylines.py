"""Polylines → pixels, against the rule tested at every pixel."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from retinagan.maps.polylines import fill_mask, stroke_mask


def by_rule(parts, half, size, metric, butt):
    """Each pixel's distance to each piece, the slow way."""
    mask = np.zeros((size, size), dtype=bool)
    y, x = np.mgrid[:size, :size] + 0.5
    for part in parts:
        starts, ends = (part[:-1], part[1:]) if len(part) > 1 else (part, part)
        for a, b in zip(starts @ metric.T, ends @ metric.T, strict=True):
            u = metric[0, 0] * x + metric[0, 1] * y - a[0]
            v = metric[1, 0] * x + metric[1, 1] * y - a[1]
            du, dv = b - a
            squared = du * du + dv * dv
            along = (u * du + v * dv) / squared if squared > 0 else np.zeros_like(u)
            near = np.clip(along, 0.0, 1.0)
            inside = (u - near * du) ** 2 + (v - near * dv) ** 2 <= half * half + 1e-9
            mask |= inside & (along >= 0.0) & (along <= 1.0) if butt else inside
    return mask


def windings(part, size):
    """How often a closed polygon runs around each pixel's centre, by the sum of the angles."""
    y, x = np.mgrid[:size, :size] + 0.5
    angles = np.arctan2(part[:, 1, None, None] - y, part[:, 0, None, None] - x)
    turned = np.diff(np.concatenate([angles, angles[:1]]), axis=0)
    return np.rint(((turned + np.pi) % (2 * np.pi) - np.pi).sum(axis=0) / (2 * np.pi)).astype(int)


GRID = st.integers(-20, 60).map(lambda n: n / 2)
"""Halves of pixels: many centres lie exactly on an edge."""
ANYWHERE = st.floats(-30, 60, allow_nan=False)


def parts(coordinate):
    point = st.tuples(coordinate, coordinate)
    return st.lists(st.lists(point, min_size=1, max_size=6).map(np.array), min_size=1, max_size=3)


@settings(deadline=None)
@given(
    st.one_of(parts(GRID), parts(ANYWHERE)),
    st.one_of(st.sampled_from([0.5, 1, 2, 2.5, 5.5]), st.floats(0.01, 40)),
    st.sampled_from([np.eye(2), np.diag([0.5, 1]), np.diag([-1, 3.0]), np.array([[1, 0.3], [-0.2, 0.8]])]),
    st.booleans(),
)
def test_strokes_are_the_rule_at_every_pixel(lines, half, metric, butt):
    assert np.array_equal(stroke_mask(lines, half, 24, metric, butt), by_rule(lines, half, 24, metric, butt))


@settings(deadline=None)
@given(st.lists(st.tuples(ANYWHERE, ANYWHERE), min_size=3, max_size=8).map(np.array))
def test_fills_are_what_the_polygon_runs_around(part):
    part = part + [0.0013, 0.0017]  # no centre lies on an edge, where a winding is not defined
    assert np.array_equal(fill_mask([part], 24), windings(part, 24) != 0)


def test_masks_of_edges_and_corners():
    assert stroke_mask([np.array([[-50.0, -50.0], [-20.0, -30.0]])], 5, 64).sum() == 0
    assert fill_mask([np.array([[-10.0, -10.0], [100.0, -10.0], [100.0, 100.0], [-10.0, 100.0]])], 64).all()
    ring = [
        np.array([[8.0, 8.0], [56.0, 8.0], [56.0, 56.0], [8.0, 56.0]]),
        np.array([[20.0, 20.0], [20.0, 40.0], [40.0, 40.0], [40.0, 20.0]]),
    ]
    assert fill_mask(ring, 64).sum() == 48 * 48 - 20 * 20, "a hole turns the other way"
