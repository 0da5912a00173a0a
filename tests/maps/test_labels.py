"""The seven channels: exact conversions, readable refusals, healthy eyes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retinagan.maps.labels import (
    BG,
    CLASSES,
    NUM_CLASSES,
    OD,
    PALETTE,
    VB,
    check_map,
    colours_from_map,
    empty_map,
    map_from_colours,
    one_hot,
)
from retinagan.maps.parts import field_of_view

maps = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, NUM_CLASSES - 1)
)


def test_palette_is_the_originals():
    assert [c.short for c in CLASSES] == ["BG", "EX", "HE", "SE", "MA", "OD", "VB"]
    assert PALETTE.tolist() == [
        [0, 0, 0], [239, 164, 0], [0, 186, 127], [0, 185, 255], [34, 80, 242], [73, 73, 73], [255, 255, 255],
    ]  # fmt: skip
    assert [c.index for c in CLASSES] == list(range(NUM_CLASSES))


@settings(deadline=None)
@given(maps)
def test_colours_and_back_are_exact(label_map):
    assert np.array_equal(map_from_colours(colours_from_map(label_map)), label_map)


@settings(deadline=None)
@given(hnp.arrays(np.uint8, (2, 5, 4), elements=st.integers(0, NUM_CLASSES - 1)))
def test_one_hot_has_one_plane_a_pixel(stack):
    planes = one_hot(stack)
    assert planes.shape == (2, NUM_CLASSES, 5, 4) and planes.dtype == torch.float32
    assert torch.equal(planes.sum(dim=1), torch.ones(2, 5, 4))
    assert np.array_equal(planes.argmax(dim=1).numpy(), stack)


def test_unknown_colour_is_named_with_its_place_and_number():
    rgb = colours_from_map(np.full((6, 5), VB, dtype=np.uint8))
    rgb[4, 2] = rgb[5, 0] = (128, 128, 128)
    with pytest.raises(ValueError, match=r"\(128, 128, 128\) at row 4, column 2 .*2 such pixels.*OD \(73, 73, 73\)"):
        map_from_colours(rgb)


@pytest.mark.parametrize(
    "rgb",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((0, 4, 3), np.uint8),
        None,
    ],
)
def test_what_is_no_coloured_map_is_refused(rgb):
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
        map_from_colours(rgb)


def test_check_map_names_value_and_place():
    label_map = np.zeros((50, 20), dtype=np.uint8)
    label_map[40, 12] = 9
    with pytest.raises(ValueError, match="class 9 at row 40, column 12; allowed are 0-6"):
        check_map(label_map)
    with pytest.raises(TypeError, match="int64"):
        check_map(np.zeros((4, 4), dtype=np.int64))
    with pytest.raises(TypeError, match="list"):
        check_map([[0]])
    with pytest.raises(ValueError, match=r"\(1, 4, 4\)"):
        check_map(np.zeros((1, 4, 4), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"\(0, 4\)"):
        check_map(np.zeros((0, 4), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"\(N, H, W\)"):
        one_hot(np.zeros((4, 4), dtype=np.uint8))


@pytest.mark.parametrize("disc, side", [("left", 0), ("right", 1)])
def test_empty_map_is_a_healthy_eye(disc, side):
    label_map = empty_map(128, disc)
    assert set(np.unique(label_map)) == {BG, OD, VB}
    assert np.array_equal(label_map == BG, ~field_of_view(128))
    rows, columns = np.nonzero(label_map == OD)
    assert (columns.mean() > 64) == side
    assert len(rows) == pytest.approx(np.pi * (0.092 * 128) ** 2, rel=0.1)


def test_empty_map_without_a_disc_and_with_a_wrong_one():
    assert set(np.unique(empty_map(32, None))) == {BG, VB}
    with pytest.raises(ValueError, match="'above'.*'left', 'right' and None"):
        empty_map(32, "above")
