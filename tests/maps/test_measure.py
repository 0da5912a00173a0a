"""Lesions drawn at known places, counted and measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from retinagan.maps.labels import EX, HE, LESIONS, MA, OD, SE, VB, empty_map
from retinagan.maps.measure import QUADRANTS, icdr_signs, least_grade, measure
from retinagan.maps.parts import field_of_view

SIZE = 512
FOVEA_X, FOVEA_Y = 0.22 * 512 + 5 * 0.092 * 512, 0.48 * 512 + 0.14 * 5 * 0.092 * 512


def dots(label_map: np.ndarray, index: int, centre: tuple[float, float], count: int, side: int = 2) -> np.ndarray:
    """``count`` squares of a class in rows of six around ``centre``, 6 pixels apart."""
    x0, y0 = (round(v) for v in centre)
    for number in range(count):
        y, x = y0 + 6 * (number // 6), x0 + 6 * (number % 6)
        label_map[y : y + side, x : x + side] = index
    return label_map


def in_every_quadrant(count: int) -> np.ndarray:
    label_map = empty_map(SIZE)
    for dx in (-90, 70):
        for dy in (-110, 80):
            dots(label_map, HE, (FOVEA_X + dx, FOVEA_Y + dy), count)
    return label_map


def test_a_healthy_eye_has_nothing_but_a_disc():
    found = measure(empty_map(SIZE, "right"))
    assert found.side == "right" and found.burden == 0 and found.size == SIZE
    x, y, radius = found.disc
    assert (x, y) == pytest.approx((0.78 * SIZE, 0.48 * SIZE), abs=0.5) and radius == pytest.approx(
        0.092 * SIZE, rel=0.01
    )
    for index in LESIONS:
        lesion = found.lesions[index]
        assert (lesion.count, lesion.area, lesion.areas, lesion.centres, lesion.fovea_distance) == (0, 0, (), (), None)
        assert set(lesion.quadrants) == set(QUADRANTS) and set(lesion.quadrants.values()) == {(0, 0.0)}
    assert least_grade(found) == 0


def test_no_disc_and_no_field():
    assert measure(empty_map(SIZE, None)).disc is None
    assert measure(np.zeros((64, 64), np.uint8)).burden == 0


def test_counts_areas_and_shares_are_those_drawn():
    label_map = dots(empty_map(SIZE), EX, (300, 150), 3, side=3)
    label_map[400, 300] = label_map[401, 301] = EX  # touching at a corner: one lesion
    dots(label_map, MA, (300, 200), 2, side=2)
    found = measure(label_map)
    field = int(field_of_view(SIZE).sum())
    assert found.lesions[EX].count == 4 and found.lesions[EX].areas == (9, 9, 9, 2)
    assert found.lesions[EX].area == pytest.approx(29 / field)
    assert found.lesions[EX].centres[0] == (301.5, 151.5) and found.lesions[EX].centres[3] == (301.0, 401.0)
    assert found.burden == pytest.approx(37 / field)


def test_areas_are_told_at_a_side_of_512():
    label_map = np.kron(dots(empty_map(SIZE), HE, (300, 150), 1, side=3), np.ones((2, 2), np.uint8))
    small, large = measure(label_map[::2, ::2].copy()), measure(label_map)
    assert small.lesions[HE].areas == large.lesions[HE].areas == (9,)
    assert large.lesions[HE].centres == ((603.0, 303.0),) and large.fovea[0] == pytest.approx(2 * small.fovea[0], abs=1)


@pytest.mark.parametrize("disc", ["left", "right"])
@pytest.mark.parametrize("vertical, dy", [("superior", -60), ("inferior", 60)])
@pytest.mark.parametrize("horizontal, along", [("temporal", 60), ("nasal", -60)])
def test_quadrants_follow_the_eye_s_side(disc, vertical, dy, horizontal, along):
    label_map = empty_map(SIZE, disc)
    x, y = measure(label_map).fovea
    dots(label_map, SE, (x + (along if disc == "left" else -along), y + dy), 1)
    quadrants = measure(label_map).lesions[SE].quadrants
    assert [name for name in QUADRANTS if quadrants[name][0]] == [f"{vertical} {horizontal}"]
    assert quadrants[f"{vertical} {horizontal}"] == (1, pytest.approx(4 / field_of_view(SIZE).sum()))


def test_roundness_tells_circles_from_bars():
    assert measure(empty_map(SIZE)).roundness == pytest.approx(1, abs=0.02)
    assert measure(empty_map(SIZE, None)).roundness is None
    bar = empty_map(SIZE, None)
    bar[200:240, 60:220] = OD  # its circle, of radius 45.1, holds a middle piece of the bar
    radius = math.sqrt(40 * 160 / math.pi)
    half = 20
    piece = 2 * (half * math.sqrt(radius**2 - half**2) + radius**2 * math.asin(half / radius))
    assert measure(bar).roundness == pytest.approx(piece / (40 * 160), abs=0.02)


def test_quadrants_lean_with_the_line_from_disc_to_fovea():
    label_map = dots(empty_map(SIZE), SE, (400, 250), 1)
    level, steep = measure(label_map, (300, 246)), measure(label_map, (300, 330))
    assert level.lesions[SE].quadrants["inferior temporal"][0] == 1
    assert steep.lesions[SE].quadrants["superior temporal"][0] == 1 and steep.fovea == (300, 330)


def test_a_lesion_across_a_border_counts_once_and_covers_both_sides():
    label_map = empty_map(SIZE)
    top, left = round(FOVEA_Y) - 60, round(FOVEA_X) - 10  # the border leans: 8 degrees
    label_map[top : top + 10, left : left + 50] = HE
    quadrants = measure(label_map).lesions[HE].quadrants
    assert quadrants["superior temporal"][0] == 1 and quadrants["superior nasal"][0] == 0
    assert quadrants["superior nasal"][1] > 0
    assert sum(area for _, area in quadrants.values()) == pytest.approx(measure(label_map).burden)


def test_distance_to_the_fovea_is_in_disc_diameters():
    label_map = empty_map(SIZE)
    label_map[246, 300] = EX
    diameter = 2 * measure(label_map).disc[2]
    assert measure(label_map, (200.5, 246.5)).lesions[EX].fovea_distance == pytest.approx(100 / diameter)
    assert measure(label_map, (300.5, 246.5)).lesions[EX].fovea_distance == 0


def test_signs_of_each_grade():
    signs = {sign.name: sign for sign in icdr_signs(measure(dots(empty_map(SIZE), MA, (300, 200), 1)))}
    assert signs["Microaneurysms"].met is True and signs["Microaneurysms"].explanation.startswith("1 microaneurysm.")
    assert signs["More than microaneurysms"].met is False
    assert [name for name, sign in signs.items() if sign.met is None] == [
        "Venous beading in two quadrants", "IRMA in one quadrant", "New vessels", "Vitreous or preretinal haemorrhage",
    ]  # fmt: skip
    assert least_grade(measure(dots(empty_map(SIZE), MA, (300, 200), 90))) == 1
    for index in (EX, SE, HE):
        assert least_grade(measure(dots(empty_map(SIZE), index, (300, 200), 1))) == 2
    found = icdr_signs(measure(dots(dots(empty_map(SIZE), EX, (300, 200), 2), HE, (300, 300), 1)))[1]
    assert found.explanation.startswith("1 haemorrhage, 2 hard exudates.")


def test_severe_needs_more_than_twenty_haemorrhages_in_each_of_four_quadrants():
    assert least_grade(measure(in_every_quadrant(20))) == 2
    severe = measure(in_every_quadrant(21))
    assert {count for count, _ in severe.lesions[HE].quadrants.values()} == {21}
    assert least_grade(severe) == 3
    one_less = in_every_quadrant(21)
    one_less[round(FOVEA_Y) - 110 :, :][:4, : round(FOVEA_X)] = VB
    assert least_grade(measure(one_less)) == 2
    assert "superior nasal 15" in icdr_signs(measure(one_less))[2].explanation


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="square map"):
        measure(np.zeros((10, 20), np.uint8))
    with pytest.raises(TypeError, match="uint8 array of classes"):
        measure(np.zeros((10, 10)))
    disc = measure(empty_map(SIZE)).disc
    for fovea in ((math.nan, 3), disc[:2]):
        with pytest.raises(ValueError, match="leave it out to have it inferred"):
            measure(empty_map(SIZE), fovea)
