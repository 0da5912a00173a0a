"""Disc and fovea found in lesion maps: positions, scale, sides, and maps without a proper disc."""

from __future__ import annotations

import numpy as np
import pytest

from retinagan.maps.anatomy import DISC_RADIUS_RANGE, find_anatomy
from retinagan.maps.labels import BG, EX, HE, OD, VB, empty_map
from retinagan.maps.parts import DISC_RADIUS


def map_with_discs(size: int, *discs: tuple[float, float, float]) -> np.ndarray:
    """A retina with discs (x, y, radius), in shares of the side."""
    label_map = empty_map(size, None)
    y, x = np.mgrid[:size, :size] + 0.5
    for disc_x, disc_y, radius in discs:
        label_map[np.hypot(x - disc_x * size, y - disc_y * size) <= radius * size] = OD
    return label_map


def test_the_disc_is_found_to_the_pixel():
    anatomy = find_anatomy(map_with_discs(256, (0.25, 0.5, 0.09)))
    assert anatomy.has_disc and anatomy.side == "left" and anatomy.size == 256
    assert anatomy.disc_x == pytest.approx(64, abs=0.5)
    assert anatomy.disc_y == pytest.approx(128, abs=0.5)
    assert anatomy.disc_radius == pytest.approx(0.09 * 256, rel=0.02)


def test_the_fovea_is_temporal_and_slightly_below():
    anatomy = find_anatomy(empty_map(256, "left"))
    across = (anatomy.fovea_x - anatomy.disc_x) / anatomy.disc_radius
    down = (anatomy.fovea_y - anatomy.disc_y) / anatomy.disc_radius
    assert 4.8 < across < 5.2  # 2.5 disc diameters
    assert 0.3 < down < 1.0


def test_the_right_eye_mirrors_the_left():
    left, right = (find_anatomy(empty_map(256, side)) for side in ("left", "right"))
    assert (left.side, right.side) == ("left", "right")
    assert right.disc_x == pytest.approx(256 - left.disc_x)
    assert right.fovea_x == pytest.approx(256 - left.fovea_x)
    assert right.fovea_y == pytest.approx(left.fovea_y)


def test_an_anatomy_scales_with_its_map():
    small, large = (find_anatomy(empty_map(size, "right")) for size in (128, 512))
    for name in ("disc_x", "disc_y", "fovea_x", "fovea_y", "disc_radius"):
        assert getattr(large, name) / 4 == pytest.approx(getattr(small, name), abs=0.6), name


def test_of_two_discs_the_largest_counts():
    anatomy = find_anatomy(map_with_discs(256, (0.2, 0.5, 0.05), (0.75, 0.4, 0.09)))
    assert anatomy.side == "right"
    assert anatomy.disc_x == pytest.approx(0.75 * 256, abs=0.5)


def test_diagonal_pixels_are_one_disc():
    label_map = empty_map(64, None)
    label_map[20:24, 20:24] = OD
    label_map[24:28, 24:28] = OD
    assert find_anatomy(label_map).disc_x == pytest.approx(24)


@pytest.mark.parametrize("pixels", [0, 1, 8])
def test_a_speck_is_no_disc(pixels: int):
    label_map = empty_map(512, None)
    label_map[250, 300 : 300 + pixels] = OD
    anatomy = find_anatomy(label_map)
    assert not anatomy.has_disc
    assert anatomy.side == "left" and anatomy.disc_x + anatomy.disc_radius < 0  # it lies outside the field
    assert 0 < anatomy.fovea_x < 512 and anatomy.disc_radius == pytest.approx(512 * DISC_RADIUS)


def test_a_speck_does_not_outweigh_a_disc_nor_move_it():
    label_map = map_with_discs(256, (0.25, 0.5, 0.09))
    plain = find_anatomy(label_map)
    label_map[128, 240] = OD
    assert find_anatomy(label_map) == plain


@pytest.mark.parametrize("radius", [0.01, 0.3])
def test_odd_discs_keep_a_human_eye(radius: float):
    anatomy = find_anatomy(map_with_discs(512, (0.4, 0.5, radius)))
    assert anatomy.disc_radius == pytest.approx(radius * 512, rel=0.08)
    distance = (anatomy.fovea_x - anatomy.disc_x) / 512
    assert 5 * DISC_RADIUS_RANGE[0] - 1e-9 <= distance <= 5 * DISC_RADIUS_RANGE[1] + 1e-9


def test_lesions_do_not_move_the_anatomy():
    label_map = empty_map(128, "left")
    plain = find_anatomy(label_map)
    label_map[80:90, 80:90] = HE
    label_map[60, 90:100] = EX
    assert find_anatomy(label_map) == plain


@pytest.mark.parametrize("value", [BG, HE, VB, OD])
@pytest.mark.parametrize("size", [1, 2, 65])
def test_maps_of_one_class_have_an_anatomy(value: int, size: int):
    anatomy = find_anatomy(np.full((size, size), value, dtype=np.uint8))
    assert anatomy.has_disc == (value == OD)
    numbers = (anatomy.disc_x, anatomy.disc_y, anatomy.disc_radius, anatomy.fovea_x, anatomy.fovea_y)
    assert all(np.isfinite(number) for number in numbers)
    assert anatomy.size == size


def test_what_is_no_square_map_is_refused_by_name():
    with pytest.raises(ValueError, match=r"square map, got \(4, 6\)"):
        find_anatomy(np.zeros((4, 6), dtype=np.uint8))
    with pytest.raises(ValueError, match="class 9"):
        find_anatomy(np.full((4, 4), 9, dtype=np.uint8))
    with pytest.raises(TypeError, match="uint8"):
        find_anatomy(np.zeros((4, 4)))
