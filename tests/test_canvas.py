"""Gestures → exact maps: geometry by rule, and no class that nobody drew."""

from __future__ import annotations

import numpy as np
import pytest

from retinagan.canvas import MAX_POINTS, TOOLS, Stroke, fill_mask, paint, read_stroke, stroke_mask
from retinagan.labels import BG, EX, HE, MA, OD, SE, VB, empty_map, field_of_view
from retinagan.lesions import count_lesions


def stroke(tool, label, width, *points, size=512):
    """From pixels of a map of ``size``."""
    return Stroke(tool, label, width, tuple((x / size, y / size) for x, y in points))


def distance_to(points, size):
    """Exact distance of each pixel's centre to a polyline, the slow way."""
    y, x = np.mgrid[:size, :size] + 0.5
    best = np.full((size, size), np.inf)
    for (xa, ya), (xb, yb) in zip(points, points[1:], strict=False):
        squared = (xb - xa) ** 2 + (yb - ya) ** 2
        t = np.clip(((x - xa) * (xb - xa) + (y - ya) * (yb - ya)) / squared, 0, 1)
        best = np.minimum(best, np.hypot(x - xa - t * (xb - xa), y - ya - t * (yb - ya)))
    return best


@pytest.fixture(scope="module")
def eye():
    return empty_map(512, "left")


def test_a_freehand_stroke_is_every_pixel_within_half_its_width(eye):
    points = [(200, 250), (300, 280), (340, 200)]
    before = eye.copy()
    result = paint(eye, stroke("freehand", HE, 11, *points))
    expected = distance_to(points, 512) <= 5.5
    assert np.array_equal(result == HE, expected)
    assert np.array_equal(result[~expected], eye[~expected]) and np.array_equal(eye, before)


def test_a_click_is_a_dot_and_the_finest_dot_is_a_pixel(eye):
    result = paint(eye, stroke("freehand", MA, 4, (256, 256)))
    y, x = np.mgrid[:512, :512] + 0.5
    assert np.array_equal(result == MA, np.hypot(x - 256, y - 256) <= 2) and (result == MA).sum() == 12
    fine = paint(eye, stroke("freehand", MA, 0.5, (300.05, 200.95)))
    assert np.argwhere(fine == MA).tolist() == [[200, 300]]


def test_filled_tools_fill_what_they_enclose(eye):
    y, x = np.mgrid[:512, :512] + 0.5
    circle = paint(eye, stroke("circle", SE, 4, (300, 300), (300, 340)))
    assert np.array_equal(circle == SE, np.hypot(x - 300, y - 300) <= 40)
    rectangle = paint(eye, stroke("rectangle", EX, 4, (320, 260), (280, 240)))
    assert np.array_equal(rectangle == EX, (x > 280) & (x < 320) & (y > 240) & (y < 260))
    triangle = paint(eye, stroke("polygon", HE, 4, (200, 200), (300, 200), (200, 300)))
    assert np.array_equal(triangle == HE, (x > 200) & (y > 200) & (x + y < 500))


def test_strokes_stay_in_the_field_and_later_ones_cover(eye):
    field = field_of_view(512)
    flooded = paint(eye, stroke("rectangle", EX, 4, (-100, -100), (700, 700)))
    assert (flooded[field] == EX).all() and (flooded[~field] == BG).all()
    covered = paint(flooded, stroke("freehand", VB, 40, (100, 256), (400, 256)))
    assert set(np.unique(covered)) == {BG, EX, VB}


def test_black_and_white_invent_no_disc():
    label_map = empty_map(512, None)
    rng = np.random.default_rng(0)
    for number in range(10):
        points = rng.uniform(60, 450, (6, 2))
        label_map = paint(label_map, stroke("freehand", (BG, VB)[number % 2], 9.3, *points))
    assert set(np.unique(label_map)) == {BG, VB}


def test_the_same_gesture_on_a_larger_map_is_the_same_drawing_larger(eye):
    gesture = stroke("freehand", HE, 12, (150, 300), (330, 350))
    small, large = (paint(empty_map(size, "left"), gesture) == HE for size in (256, 1024))
    assert large.sum() / small.sum() == pytest.approx(16, rel=0.05)
    assert (large[::4, ::4] == small).mean() > 0.995


def test_a_spray_repeats_exactly_and_depends_on_the_gesture(eye):
    gesture = stroke("spray", EX, 60, (300, 300), (340, 320))
    one, two = paint(eye, gesture), paint(eye, gesture)
    assert np.array_equal(one, two) and count_lesions(one, EX) > 5
    region = distance_to([(300, 300), (340, 320)], 512)
    assert region[one == EX].max() < 30 + 20, "it lies around the gesture"
    other = paint(eye, stroke("spray", EX, 60, (300, 300), (340, 321)))
    assert not np.array_equal(one, other)
    more = paint(one, stroke("spray", EX, 60, (301, 300), (340, 320)))
    assert count_lesions(more, EX) > count_lesions(one, EX)


def test_a_disc_is_placed(eye):
    moved = paint(eye, stroke("disc", HE, 4, (100, 100), (380, 250)))
    rows, columns = np.nonzero(moved == OD)
    assert (columns.mean(), rows.mean()) == pytest.approx((379.5, 249.5), abs=0.6)
    assert (moved == OD).sum() == (eye == OD).sum() and HE not in moved
    with pytest.raises(ValueError, match="outside the field of view"):
        paint(eye, stroke("disc", OD, 4, (2, 2)))


def test_a_stroke_survives_json():
    item = {"tool": "line", "label": 2, "width": 7, "points": [[0.1, 0.2], [0.3, 1]]}
    assert read_stroke(item) == Stroke("line", 2, 7.0, ((0.1, 0.2), (0.3, 1.0)))
    for tool in TOOLS:
        assert read_stroke(item | {"tool": tool, "points": [[0, 0], [0, 1], [1, 1]]}).tool == tool


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tool": "eraser"}, "tool is 'eraser'"),
        ({"tool": ["line"]}, "tool is"),
        ({"label": 7}, "class is '7'"),
        ({"label": True}, "class is 'True'"),
        ({"label": "2"}, "class is '2'"),
        ({"width": -1}, "width is '-1'"),
        ({"width": float("nan")}, "width is 'nan'"),
        ({"width": 1e9}, "width is"),
        ({"width": None}, "width is 'None'"),
        ({"points": []}, "a line has a list of 2"),
        ({"points": [[0.5, 0.5]]}, "a line has a list of 2"),
        ({"points": {"x": 1}}, "points are dict"),
        ({"points": [[0.5, 0.5]] * (MAX_POINTS + 1)}, "points are 10001"),
        ({"points": [[0.5, 0.5], [0.5]]}, r"the point '\[0.5\]'"),
        ({"points": [[0.5, 0.5], [0.5, float("inf")]]}, "y is 'inf'"),
        ({"points": [[0.5, 0.5], [99, 0.5]]}, "x is '99'"),
    ],
)
def test_hostile_strokes_are_refused(change, message):
    good = {"tool": "line", "label": 2, "width": 7, "points": [[0.1, 0.2], [0.3, 1]]}
    with pytest.raises(ValueError, match=message):
        read_stroke(good | change)


def test_what_is_no_stroke_or_no_map_is_refused(eye):
    for wrong in ([], "stroke", None):
        with pytest.raises(TypeError, match="mapping"):
            read_stroke(wrong)
    for wrong in (eye.astype(int), eye[:, :100], np.full((64, 64), 9, np.uint8)):
        with pytest.raises((TypeError, ValueError)):
            paint(wrong, stroke("freehand", HE, 4, (20, 20)))


def test_a_scribble_beyond_any_hand_is_refused(eye):
    scribble = [(512 * (i % 2), 512 * (i % 2)) for i in range(2_000)]
    with pytest.raises(ValueError, match="too long to be drawn by hand"):
        paint(eye, stroke("freehand", HE, 5, *scribble))


def test_masks_of_edges_and_corners():
    assert stroke_mask(np.array([[-50.0, -50.0], [-20.0, -30.0]]), 5, 64).sum() == 0
    assert fill_mask(np.array([[-10.0, -10.0], [100.0, -10.0], [100.0, 100.0], [-10.0, 100.0]]), 64).all()
    bow = np.array([[10.0, 10.0], [50.0, 50.0], [50.0, 10.0], [10.0, 50.0]])
    filled = fill_mask(bow, 64)
    assert filled[30, 12] and filled[30, 48] and not filled[12, 30] and not filled[48, 30]
