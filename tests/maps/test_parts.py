"""Connected parts, round discs and the field of view."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from retinagan.maps.parts import (
    bounding_box,
    connected,
    dilated,
    field_of_view,
    large_parts,
    largest_part,
    pieces,
    round_disc,
    without_holes,
)

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))

MASK = np.array(
    [
        [1, 1, 0, 0, 1],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 1],
        [1, 0, 0, 0, 1],
    ],
    dtype=bool,
)


def test_parts_touch_by_corners_and_are_in_reading_order():
    parts, count = connected(MASK)
    assert count == 4
    assert parts.tolist() == [[1, 1, 0, 0, 2], [0, 0, 1, 0, 0], [0, 0, 0, 0, 3], [4, 0, 0, 0, 3]]
    found = [list(zip(rows.tolist(), columns.tolist(), strict=True)) for rows, columns in pieces(MASK)]
    assert found == [[(0, 0), (0, 1), (1, 2)], [(0, 4)], [(2, 4), (3, 4)], [(3, 0)]]
    assert pieces(np.zeros((3, 3), dtype=bool)) == []


def test_large_parts_and_the_largest():
    assert np.array_equal(large_parts(MASK, 2), MASK & np.isin(connected(MASK)[0], (1, 3)))
    assert not large_parts(MASK, 4).any() and np.array_equal(large_parts(MASK, 0), MASK)
    assert np.argwhere(largest_part(MASK)).tolist() == [[0, 0], [0, 1], [1, 2]]
    assert np.argwhere(largest_part(MASK, corners=False)).tolist() == [[0, 0], [0, 1]]  # the first of two
    assert not largest_part(np.zeros((2, 3), dtype=bool)).any()
    assert largest_part(np.ones((2, 3), dtype=bool)).all()


@settings(deadline=None)
@given(masks, st.integers(0, 9), st.booleans())
def test_parts_and_holes_are_those_of_the_whole_mask(mask, least, corners):
    """What is computed in the mask's box alone is what the plain whole-mask calls give."""
    parts, count = ndimage.label(mask, np.ones((3, 3)) if corners else None)
    sizes = [int((parts == number).sum()) for number in range(1, count + 1)]
    largest = parts == 1 + sizes.index(max(sizes)) if sizes else np.zeros_like(mask)
    assert np.array_equal(largest_part(mask, corners), largest)
    if corners:
        large = np.isin(parts, [number for number, size in enumerate(sizes, 1) if size >= least])
        assert np.array_equal(large_parts(mask, least), large)
    assert np.array_equal(without_holes(mask), ndimage.binary_fill_holes(mask))


@settings(deadline=None)
@given(masks, st.floats(0, 12) | st.integers(0, 9))
def test_a_mask_dilated_is_what_lies_within_the_radius(mask, radius):
    near = ndimage.distance_transform_edt(~mask) <= radius if mask.any() else np.zeros_like(mask)
    before = mask.copy()
    assert np.array_equal(dilated(mask, radius), near)
    assert np.array_equal(mask, before)


def test_the_box_of_a_mask():
    mask = np.zeros((5, 7), dtype=bool)
    assert mask[bounding_box(mask, 2)].shape == (0, 0)
    mask[3, 1] = mask[2, 4] = True
    assert bounding_box(mask) == (slice(2, 4), slice(1, 5))
    assert bounding_box(mask, 2) == (slice(0, 5), slice(0, 7))


def test_round_discs_count_pixel_centres():
    assert np.argwhere(round_disc((4, 6), 3.5, 1.5, 1)).tolist() == [[0, 3], [1, 2], [1, 3], [1, 4], [2, 3]]
    assert round_disc((100, 200), 90, 50, 30).sum() == pytest.approx(np.pi * 30**2, rel=0.01)


def test_field_of_view_is_the_inscribed_circle():
    field = field_of_view(100)
    assert field.sum() == pytest.approx(np.pi * 50**2, rel=0.01)
    assert field[50, 0] and field[0, 50] and not field[7, 7]
