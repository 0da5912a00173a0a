"""Strokes → exact maps: geometry by rule, against a browser's own picture, and no class that nobody drew."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from retinagan.maps.canvas import Window, rasterise, read_mark
from retinagan.maps.labels import BG, CLASSES, EX, HE, MA, OD, SE, VB, empty_map
from retinagan.maps.lesions import count_lesions
from retinagan.maps.parts import field_of_view
from retinagan.maps.strokes import (
    Gesture,
    class_of_colour,
    describe,
    gesture_colour,
    gesture_of,
    hex_colour,
)
from tests.paths import DATA


def freehand(points, label, width, **more):
    """A Path as the canvas sends it: M, then Q through the points, origin at its centre."""
    points = [tuple(map(float, p)) for p in points]
    commands = [["M", *points[0]]]
    for a, b in zip(points, points[1:], strict=False):
        commands.append(["Q", *a, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2])
    commands.append(["L", *points[-1]])
    item = {"type": "Path", "path": commands, "fill": None, "stroke": hex_colour(label), "strokeWidth": width}
    item |= {"originX": "center", "originY": "center", "strokeLineCap": "round"}
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    item |= {"left": (min(xs) + max(xs)) / 2, "top": (min(ys) + max(ys)) / 2}
    return item | more


def drawing(*objects):
    return {"objects": list(objects)}


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


def test_no_strokes_leave_the_map_alone(eye):
    for nothing in (None, {}, {"objects": []}):
        result = rasterise(nothing, eye)
        assert np.array_equal(result, eye) and result is not eye


def test_a_straight_stroke_is_every_pixel_within_half_its_width(eye):
    result = rasterise(drawing(freehand([(200, 250), (300, 280)], HE, 11)), eye)
    expected = distance_to([(200, 250), (300, 280)], 512) <= 5.5
    assert np.array_equal(result == HE, expected)
    assert np.array_equal(result[~expected], eye[~expected])


def test_a_curved_stroke_follows_its_quadratic_curve(eye):
    item = freehand([(200, 200), (320, 200)], EX, 9)
    item["path"] = [["M", 200, 300], ["Q", 260, 180, 320, 300]]
    item["left"], item["top"] = 260, (300 + 210) / 2  # the top of the cubic that Fabric takes it for
    t = np.linspace(0, 1, 65)[:, None]
    curve = (1 - t) ** 2 * [200, 300] + 2 * t * (1 - t) * [260, 180] + t**2 * [320, 300]
    got = rasterise(drawing(item), eye) == EX
    exact = distance_to(curve, 512)
    assert got[exact <= 4.4].all() and not got[exact >= 4.6].any()


def test_the_browsers_own_picture_of_every_tool_moved_stretched_and_turned():
    """tests/data: strokes of all tools, drawn and edited with the mouse, and what the browser showed (half opaque)."""
    strokes = json.loads((DATA / "canvas-drawing.json").read_text())
    assert {o["type"] for o in strokes["objects"]} == {"Path", "Line", "Rect", "Circle", "Polygon"}
    assert any(o["scaleX"] != 1 for o in strokes["objects"]) and any(o["angle"] for o in strokes["objects"])
    shown = np.asarray(Image.open(DATA / "canvas-drawing.png"))
    got = rasterise(strokes, np.full((512, 512), VB, np.uint8)) == HE
    field = field_of_view(512)
    union = (got | shown) & field
    assert (got & shown & field).sum() / union.sum() > 0.99


def test_cubic_curves_and_closed_paths(eye):
    """Fabric writes a circle's path and a polygon in the making with C and Z."""
    item = freehand([(200, 200), (320, 200)], EX, 0) | {"fill": hex_colour(EX), "stroke": None}
    k = 40 * 0.5522847498
    item["path"] = [
        ["M", 296, 256],
        ["C", 296, 256 + k, 256 + k, 296, 256, 296],
        ["C", 256 - k, 296, 216, 256 + k, 216, 256],
    ]
    item["path"] += [["C", 216, 256 - k, 256 - k, 216, 256, 216], ["C", 256 + k, 216, 296, 256 - k, 296, 256], ["z"]]
    item["left"], item["top"] = 256, 256
    y, x = np.mgrid[:512, :512] + 0.5
    got, exact = rasterise(drawing(item), eye) == EX, np.hypot(x - 256, y - 256)
    assert got[exact <= 39.9].all() and not got[exact >= 40.1].any()
    triangle = item | {"path": [["M", 200, 200], ["L", 300, 200], ["L", 200, 300], ["Z"]], "left": 250, "top": 250}
    triangle |= {"stroke": hex_colour(HE), "strokeWidth": 4}
    result = rasterise(drawing(triangle), eye)
    assert result[250, 250] == HE, "the side that Z closes has its line"
    assert result[220, 220] == EX and result[290, 290] == VB


def test_a_click_is_a_dot(eye):
    dot = freehand([(256, 256), (256, 256)], MA, 4)
    result = rasterise(drawing(dot), eye)
    y, x = np.mgrid[:512, :512] + 0.5
    assert np.array_equal(result == MA, np.hypot(x - 256, y - 256) <= 2)
    assert (result == MA).sum() == 12


def test_each_tool_paints_the_class_of_its_colour(eye):
    line = {"type": "Line", "x1": -40, "y1": 0, "x2": 40, "y2": 0, "left": 256, "top": 100, "strokeWidth": 6}
    line |= {"originX": "center", "originY": "center", "stroke": hex_colour(HE), "fill": hex_colour(HE)}
    rect = {"type": "Rect", "width": 30, "height": 20, "left": 250, "top": 150, "strokeWidth": 2, "strokeUniform": True}
    rect |= {"originX": "left", "originY": "top", "stroke": hex_colour(SE), "fill": hex_colour(SE)}
    circle = {"type": "Circle", "radius": 12, "left": 300, "top": 300, "strokeWidth": 0, "stroke": hex_colour(EX)}
    circle |= {"originX": "left", "originY": "center", "fill": hex_colour(EX)}
    corners = [(200, 350), (260, 350), (230, 400)]
    polygon = {"type": "Polygon", "points": [{"x": x, "y": y} for x, y in corners], "left": 230, "top": 375}
    polygon |= {
        "originX": "center",
        "originY": "center",
        "stroke": hex_colour(MA),
        "fill": hex_colour(MA),
        "strokeWidth": 0,
    }
    result = rasterise(drawing(line, rect, circle, polygon), eye)
    assert (result == HE).sum() == 80 * 6, "a line ends flat, as it is shown"
    assert np.array_equal(np.argwhere(result == HE).min(0), (97, 216))
    ys, xs = np.nonzero(result == SE)
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (250, 281, 150, 171), "left and top are the outline's corner"
    y, x = np.mgrid[:512, :512] + 0.5
    assert np.array_equal(result == EX, np.hypot(x - 312, y - 300) <= 12)
    assert abs((result == MA).sum() - 60 * 50 / 2) <= 30


def test_canvas_of_another_size_is_scaled(eye):
    item = freehand([(300, 375), (450, 420)], HE, 16.5)
    got = rasterise(drawing(item), eye, canvas_size=768)
    assert np.array_equal(got == HE, distance_to([(200, 250), (300, 280)], 512) <= 5.5)


def test_later_strokes_cover_earlier_ones(eye):
    one, two = freehand([(200, 250), (300, 250)], HE, 20), freehand([(250, 200), (250, 300)], EX, 10)
    assert rasterise(drawing(one, two), eye)[250, 250] == EX
    assert rasterise(drawing(two, one), eye)[250, 250] == HE


def test_retina_paints_lesions_away(eye):
    lesion, eraser = freehand([(200, 250), (300, 250)], HE, 20), freehand([(180, 250), (320, 250)], VB, 24)
    assert np.array_equal(rasterise(drawing(lesion, eraser), eye), eye)


def test_nothing_is_painted_outside_the_field(eye):
    across = freehand([(0, 0), (512, 512)], HE, 60)
    result = rasterise(drawing(across), eye)
    field = field_of_view(512)
    assert (result[~field] == BG).all() and (result == HE).any()


def test_black_on_white_and_white_on_black_invent_no_class(eye):
    """Colour snapping fails here: anti-aliased white → black passes through the disc's grey."""
    rng = np.random.default_rng(3)
    healthy = empty_map(512, None)
    strokes = []
    for number in range(10):
        points = 256 + rng.uniform(-200, 200, (6, 2))
        strokes.append(freehand(points, (BG, VB)[number % 2], int(rng.integers(3, 30))))
    assert set(np.unique(rasterise(drawing(*strokes), healthy))) == {BG, VB}
    strokes.append(freehand([(200, 200), (300, 300)], HE, 8))
    assert set(np.unique(rasterise(drawing(*strokes), eye))) <= {BG, VB, HE, OD}


def test_flips_stretches_and_turns():
    healthy = empty_map(512, None)
    base = {
        "type": "Rect",
        "width": 40,
        "height": 20,
        "left": 256,
        "top": 256,
        "strokeWidth": 0,
        "fill": hex_colour(HE),
    }
    base |= {"originX": "center", "originY": "center", "stroke": None}
    plain = rasterise(drawing(base), healthy) == HE
    assert plain.sum() == 800
    assert np.array_equal(rasterise(drawing(base | {"flipX": True}), healthy) == HE, plain)
    assert (rasterise(drawing(base | {"scaleX": 2, "scaleY": 0.5}), healthy) == HE).sum() == 800
    assert np.array_equal(rasterise(drawing(base | {"angle": 90}), healthy) == HE, plain.T)
    skewed = rasterise(drawing(base | {"skewX": 45}), healthy) == HE
    assert abs(int(skewed.sum()) - 800) <= 20 and skewed[247, 256 - 20 - 8] and not skewed[265, 256 - 20 - 8]
    assert np.array_equal(rasterise(drawing(base | {"scaleX": 0}), healthy), healthy)


def test_a_stretched_stroke_is_stretched_with_its_path():
    healthy = empty_map(512, None)
    dot = freehand([(256, 256), (256, 256)], HE, 20, scaleX=3.0)
    ys, xs = np.nonzero(rasterise(drawing(dot), healthy) == HE)
    assert (np.ptp(xs) + 1, np.ptp(ys) + 1) == (60, 20)


def test_invisible_and_transparent_strokes_paint_nothing(eye):
    hidden = freehand([(200, 250), (300, 250)], HE, 20, visible=False)
    clear = freehand([(200, 250), (300, 250)], HE, 20, stroke="rgba(0, 186, 127, 0)")
    assert np.array_equal(rasterise(drawing(hidden, clear), eye), eye)


def test_colours_are_exact():
    for c in CLASSES:
        assert class_of_colour(hex_colour(c.index)) == c.index
        assert class_of_colour("rgb({}, {}, {})".format(*c.colour)) == c.index
        assert class_of_colour("rgba({},{},{},1)".format(*c.colour)) == c.index
    assert class_of_colour(None) is None and class_of_colour("transparent") is None
    for wrong in ("#00ba7e", "#fff", "red", "rgba(0,186,127,0.5)", "rgb(0, 186)", 7, "#" + "0" * 1000):
        with pytest.raises(ValueError, match="not in the palette"):
            class_of_colour(wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "IText"}, "stroke 2: type is 'IText'"),
        ({"type": None}, "type is"),
        ({"stroke": "#123456"}, "stroke 2: colour '#123456'"),
        ({"strokeWidth": -1}, "strokeWidth is '-1'"),
        ({"strokeWidth": float("nan")}, "strokeWidth is 'nan'"),
        ({"left": float("inf")}, "left is 'inf'"),
        ({"left": "250"}, "left is '250'"),
        ({"angle": True}, "angle is 'True'"),
        ({"originX": "middle"}, "originX is 'middle'"),
        ({"originX": ["left"]}, "originX is"),
        ({"path": []}, "list 'path'"),
        ({"path": [["L", 1, 2]]}, "begin with M"),
        ({"path": [["M", 1, 2], ["A", 1, 2]]}, "path command 1"),
        ({"path": [["M", 1, 2], ["Q", 1, 2]]}, "path command 1 \\(Q\\)"),
        ({"path": [["M", 1, 1e30]]}, "path command 0"),
        ({"path": ["M"]}, "path command 0"),
    ],
)
def test_hostile_strokes_are_refused_by_number(eye, change, message):
    good = freehand([(200, 250), (300, 250)], HE, 5)
    with pytest.raises(ValueError, match=message):
        rasterise(drawing(good, good | change), eye)


def test_hostile_shapes_are_refused(eye):
    for item, message in (
        ({"type": "Circle", "radius": -1}, "radius"),
        ({"type": "Rect", "width": -5, "height": 2}, "not negative"),
        ({"type": "Rect", "width": 5}, "2 numbers|None"),
        ({"type": "Polygon", "points": [1]}, "point 0"),
        ({"type": "Polygon", "points": []}, "points"),
        ({"type": "Line", "x1": 0}, "Line"),
    ):
        with pytest.raises(ValueError, match=message):
            rasterise(drawing(item | {"stroke": hex_colour(HE)}), eye)
    for wrong in ([], "strokes", {"objects": {}}, {"objects": ["x"]}):
        with pytest.raises(TypeError):
            rasterise(wrong, eye)


def test_maps_that_are_none_are_refused(eye):
    for wrong in (eye.astype(int), eye[:, :100], np.full((64, 64), 9, np.uint8)):
        with pytest.raises((TypeError, ValueError)):
            rasterise(None, wrong)
    for size in (0, -5, float("nan")):
        with pytest.raises(ValueError, match="canvas_size"):
            rasterise(drawing(), eye, canvas_size=size)


# --- an enlarged part of the map, sprays, marks ---


@pytest.mark.parametrize("window", [Window(128, 256, 128), Window(0, 200, 256), Window(0, 0, 512)])
def test_strokes_on_a_window_land_where_they_are_shown_with_their_width(eye, window):
    points, scale = [(160, 290), (200, 310)], 512 / window.side
    shown = [((x - window.left) * scale, (y - window.top) * scale) for x, y in points]
    got = rasterise(drawing(freehand(shown, HE, 7 * scale)), eye, 512, window)
    assert np.array_equal(got, rasterise(drawing(freehand(points, HE, 7)), eye))


def test_the_same_stroke_on_two_windows_is_not_mistaken_for_one(eye):
    item = drawing(freehand([(200, 200), (300, 200)], HE, 20))
    here, there = (rasterise(item, eye, 512, Window(left, 150, 256)) == HE for left in (100, 150))
    assert np.array_equal(here[:, :-50], there[:, 50:]) and here.any() and not np.array_equal(here, there)


def test_a_window_outside_the_map_is_refused(eye):
    for window in (Window(-1, 0, 100), Window(450, 0, 100), Window(0, 0, 0)):
        with pytest.raises(ValueError, match="outside the map"):
            rasterise(None, eye, 512, window)


def test_a_translucent_stroke_sprays_in_the_field_where_it_runs(eye):
    gesture = freehand([(300, 300), (340, 320)], EX, 60, stroke=gesture_colour(Gesture.SPRAY, EX))
    one = rasterise(drawing(gesture), eye)
    assert np.array_equal(one, rasterise(drawing(gesture), eye)) and count_lesions(one, EX) > 5
    assert distance_to([(300, 300), (340, 320)], 512)[one == EX].max() < 30 + 20, "it lies around the stroke"
    assert not np.array_equal(one, rasterise(drawing(gesture | {"left": 321.5}), eye)), "its seed is the stroke"
    swept = rasterise(drawing(gesture | {"stroke": gesture_colour(Gesture.SPRAY, VB)}), one)
    assert count_lesions(swept, EX) < count_lesions(one, EX) / 3
    with pytest.raises(ValueError, match="stroke 1: Optic disc cannot be sprayed"):
        rasterise(drawing(gesture | {"stroke": gesture_colour(Gesture.SPRAY, OD)}), eye)


def test_a_translucent_point_is_a_mark_and_paints_nothing(eye):
    colour = gesture_colour(Gesture.MOVE_DISC, OD)
    item = {"type": "Circle", "radius": 6, "left": 250, "top": 200, "strokeWidth": 0, "fill": colour, "stroke": colour}
    item |= {"originX": "left", "originY": "center"}
    assert read_mark(item, 512) == (Gesture.MOVE_DISC, 256, 200)
    assert read_mark(item, 512, 512, Window(100, 300, 128)) == (Gesture.MOVE_DISC, 100 + 64, 300 + 50)
    assert np.array_equal(rasterise(drawing(item), eye), eye)
    opaque = item | {"fill": hex_colour(OD), "stroke": hex_colour(OD)}
    assert read_mark(opaque, 512) is None and read_mark(freehand([(9, 9), (30, 30)], HE, 5), 512) is None
    with pytest.raises(ValueError, match="Circle has '6'"):
        read_mark(item | {"radius": "6"}, 512)
    wrong = gesture_colour(Gesture.SPRAY, HE)
    with pytest.raises(ValueError, match="stroke 1: a translucent circle marks a place"):
        rasterise(drawing(item | {"fill": wrong, "stroke": wrong}), eye)


@pytest.mark.parametrize("gesture", Gesture)
def test_each_gesture_is_known_by_its_colour(gesture):
    label = VB if gesture is Gesture.SWEEP else HE
    colour = gesture_colour(gesture, label)
    point = {"type": "Circle", "radius": 6, "left": 250, "top": 200, "fill": colour, "stroke": colour}
    stroke = freehand([(9, 9), (30, 30)], label, 5, stroke=colour)
    assert gesture_of(point if gesture in (Gesture.MOVE_DISC, Gesture.LOOK_CLOSER) else stroke) is gesture


def test_strokes_have_names():
    assert describe(freehand([(9, 9), (30, 30)], HE, 5)) == "Haemorrhage, freehand"
    assert (
        describe(freehand([(9, 9), (30, 30)], MA, 5, stroke=gesture_colour(Gesture.SPRAY, MA)))
        == "Microaneurysm, spray"
    )
    assert describe({"type": "Rect", "fill": hex_colour(SE), "stroke": hex_colour(SE)}) == "Soft exudate, rectangle"


def test_no_other_translucent_colour_is_taken(eye):
    for colour in (hex_colour(HE) + "80", hex_colour(HE) + "00", "#12345633"):
        with pytest.raises(ValueError, match="not in the palette"):
            rasterise(drawing(freehand([(9, 9), (30, 30)], HE, 5, stroke=colour)), eye)
