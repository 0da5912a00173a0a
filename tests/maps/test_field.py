"""Photographs and masks are cut to a square whose circle shows only field."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from retinagan.maps.field import Circle, Square, cut_map, cut_mask, cut_photo, field_square, find_field, paint_map
from retinagan.maps.labels import BG, EX, HE, MA, OD, SE, VB, empty_map
from retinagan.maps.parts import field_of_view
from tests.synthetic_eyes import (
    CENTRE,
    HEIGHT,
    RADIUS,
    WIDTH,
    draw_photo,
)

SIZE = 64


# --- the field of view ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "width, height, centre, radius",
    [
        (WIDTH, HEIGHT, CENTRE, RADIUS),  # cut off at the top and bottom
        (200, 200, (98.0, 103.0), 90.0),  # a whole circle
        (1200, 800, (590.0, 395.0), 480.0),  # found on a reduced copy
        (150, 200, (75.0, 100.0), 90.0),  # cut off at both sides
        (220, 180, (110.0, 60.0), 80.0),  # cut off at the top alone
    ],
)
def test_field_is_found(width, height, centre, radius):
    circle = find_field(draw_photo(width, height, centre, radius))
    tolerance = max(1.0, 0.01 * radius)
    assert circle == pytest.approx((*centre, radius), abs=tolerance)


def test_field_is_found_in_spite_of_a_dark_crescent_and_a_label():
    photo = draw_photo(300, 240, (150, 120), 140)
    y, x = np.mgrid[:240, :300]
    photo[(x < 60) & (y > 150)] = 3
    photo[5:15, 270:295] = 255
    assert find_field(photo) == pytest.approx((150, 120, 140), abs=2.5)


@pytest.mark.parametrize(
    "photo, message",
    [
        (np.full((100, 150, 3), 90, np.uint8), "evenly dark"),
        (np.tile(np.linspace(60, 255, 150).astype(np.uint8)[None, :, None], (100, 1, 3)), "on black"),
        (np.pad(np.full((20, 300, 3), 180, np.uint8), ((90, 90), (20, 20), (0, 0))), "no field of view"),
        (np.pad(np.full((200, 150, 3), 180, np.uint8), ((0, 0), (0, 150), (0, 0))), "no field of view"),
    ],
)
def test_pictures_without_a_field_are_refused(photo, message):
    with pytest.raises(ValueError, match=message):
        find_field(photo)


@pytest.mark.parametrize(
    "circle, width, height, expected",
    [
        (Circle(100, 66, 80), 200, 128, Square(36, 0, 128)),  # cut off: the photograph's height, centred on the field
        (Circle(100, 110, 90), 220, 220, Square(10.9, 20.9, 178.2)),  # whole: its bounding square less the rim
        (Circle(50.4, 49.8, 50.3), 100, 100, Square(0, 0, 100)),  # prepared already: as it is
    ],
)
def test_square_of_the_field(circle, width, height, expected):
    assert field_square(circle, width, height) == pytest.approx(expected)


@pytest.mark.parametrize("circle", [Circle(20, 60, 70), Circle(180, 10, 80), Circle(100, 64, 150)])
def test_square_lies_within_picture_and_its_circle_within_the_field(circle):
    square = field_square(circle, 200, 128)
    assert square.left >= -1e-6 and square.top >= -1e-6 and square.side > 30
    assert square.left + square.side <= 200 + 1e-6 and square.top + square.side <= 128 + 1e-6
    half = square.side / 2
    distance = np.hypot(square.left + half - circle.x, square.top + half - circle.y)
    assert distance + half <= circle.radius + 1e-3


def test_photo_is_black_outside_the_circle_and_bright_inside():
    photo = draw_photo()
    cut = cut_photo(photo, field_square(find_field(photo), WIDTH, HEIGHT), SIZE)
    field = field_of_view(SIZE)
    assert cut.shape == (SIZE, SIZE, 3) and not cut[~field].any()
    assert cut[field].max(axis=1).min() > 60  # nothing of the dark surround came in


# --- masks and maps -------------------------------------------------------------------------------------------------


def test_masks_are_cut_by_area_and_no_lesion_is_lost():
    mask = np.zeros((400, 400), dtype=bool)
    mask[100:140, 200:240] = True
    mask[300, 50] = True
    mask[350:352, 351:359] = True
    cut = cut_mask(mask, Square(0, 0, 400), 50)
    expected = np.zeros((50, 50), dtype=bool)
    expected[12:17, 25:30] = True  # rows 100-140 are pixels 12.5-17.5: half covered ones are in, at both ends
    expected[17, 25:30] = True
    expected[37, 6] = expected[43, 44] = True  # of the bar's two pixels the one that holds more of it
    assert np.array_equal(cut, expected)
    assert cut_mask(mask, Square(0, 0, 400), 50, keep_components=False).sum() == 30


def test_lesions_outside_the_square_do_not_come_in():
    mask = np.zeros((100, 160), dtype=bool)
    mask[50, 5] = mask[50, 155] = mask[99, 80] = True
    assert cut_mask(mask, Square(30, 0, 100), 20).sum() == 1


def test_map_is_painted_in_order_of_size_within_the_field():
    everywhere = np.ones((SIZE, SIZE), dtype=bool)
    order = [OD, SE, EX, HE, MA]
    for below, above in itertools.pairwise(order):
        label_map = paint_map({above: everywhere, below: everywhere}, SIZE)
        assert set(np.unique(label_map)) == {BG, above}
    label_map = paint_map({}, SIZE, (20.0, 30.0, 5.0))
    assert (label_map == OD).sum() == pytest.approx(np.pi * 25, rel=0.1)
    assert np.array_equal(label_map == BG, ~field_of_view(SIZE))
    with pytest.raises(ValueError, match=r"\[6\]"):
        paint_map({VB: everywhere}, SIZE)


def test_finished_maps_keep_classes_and_lesions():
    label_map = empty_map(256)
    label_map[100, 100] = MA
    cut = cut_map(label_map, Square(0, 0, 256), 64)
    assert set(np.unique(cut)) == {BG, MA, OD, VB} and (cut == MA).sum() == 1
    assert np.array_equal(cut_map(label_map, Square(0, 0, 256), 256), label_map)
