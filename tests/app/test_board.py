"""The canvas' strokes, history, zoom and gestures, without a page."""

from __future__ import annotations

import numpy as np
import pytest

from retinagan.app.board import CANVAS, Board
from retinagan.maps import lesions
from retinagan.maps.budget import MOST
from retinagan.maps.labels import BG, EX, HE, MA, OD, SE, VB, empty_map
from retinagan.maps.lesions import count_lesions
from retinagan.maps.strokes import Gesture, gesture_colour, hex_colour


def disc(x, y, radius, label):
    """A filled circle, as the canvas sends it: x, y and radius as shares of the canvas."""
    item = {"type": "Circle", "radius": radius * CANVAS, "left": x * CANVAS, "top": y * CANVAS, "strokeWidth": 0}
    return item | {"originX": "center", "originY": "center", "fill": hex_colour(label), "stroke": hex_colour(label)}


def mark(x, y, label):
    colour = gesture_colour(Gesture.SPRAY, label)
    return disc(x, y, 0.01, label) | {"fill": colour, "stroke": colour}


def spray(label, *points, width=60):
    points = [[x * CANVAS, y * CANVAS] for x, y in points]
    path = [["M", *points[0]]] + [["L", *point] for point in points[1:] or points]
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    left, top = (low + high) / 2
    item = {
        "type": "Path",
        "path": path,
        "stroke": gesture_colour(Gesture.SPRAY, label),
        "fill": None,
        "strokeWidth": width,
    }
    return item | {"originX": "center", "originY": "center", "left": left, "top": top, "strokeLineCap": "round"}


def sent(*objects):
    return {"drawing": {"raw": {"objects": list(objects)}, "data": None}, "backgroundFit": None}


def middle(mask):
    rows, columns = np.nonzero(mask)
    return columns.mean() + 0.5, rows.mean() + 0.5


@pytest.fixture
def board():
    return Board(empty_map(512, "left"))


ONE, TWO, THREE = disc(0.5, 0.7, 0.03, HE), disc(0.6, 0.5, 0.02, EX), disc(0.7, 0.6, 0.02, SE)


def test_strokes_stay_with_the_canvas_that_they_were_drawn_on(board):
    start = board.map
    board.receive(sent(ONE))
    board.receive(sent(ONE, TWO))
    assert (board.map == HE).any() and (board.map == EX).any() and board.mounts == 0
    assert board.names == ["Haemorrhage, circle", "Hard exudate, circle"]
    assert np.array_equal(board.picture, start), "the canvas shows its strokes itself"
    board.receive(sent(TWO))
    assert not (board.map == HE).any(), "the toolbar's own undo, move and delete count"
    board.receive(sent())
    assert np.array_equal(board.map, start) and not board.can_undo


@pytest.mark.parametrize("value", [None, "x", 7, {}, {"drawing": None}, {"drawing": {"raw": {"objects": "x"}}}])
def test_nonsense_changes_nothing(board, value):
    board.receive(sent(ONE))
    board.receive(value)
    assert (board.map == HE).any() and not board.troubles


@pytest.mark.parametrize(
    "wrong",
    [
        ONE | {"fill": "#123456"},
        ONE | {"type": "IText"},
        ONE | {"left": float("nan")},
        mark(0.001, 0.001, OD),
        spray(OD, (0.6, 0.6)),
        spray(HE, (0.01, 0.01), width=4),
        "x",
        None,
    ],
)
def test_what_cannot_be_painted_is_said_dropped_and_spares_the_rest(board, wrong):
    board.receive(sent(ONE, wrong, TWO))
    assert len(board.troubles) == 1 and board.objects == [] and board.mounts > 0
    assert (board.map == HE).any() and (board.map == EX).any()
    board.receive(sent(THREE))
    assert not board.troubles and (board.map == SE).any()


def test_a_message_of_more_than_a_hand_draws_is_refused_at_once_and_spares_the_rest(board):
    board.receive(sent(ONE))
    drawn, mounts = board.map, board.mounts
    for wrong, told in (
        (sent(*[ONE] * 10**6), "1,000,000 strokes; at most 2,000 of 200,000 points"),
        (sent(TWO | {"path": [["M", 0, 0]] * 200_001}), "strokes of 200,001 points"),
    ):
        board.receive(wrong)
        assert told in board.troubles[0] and len(board.troubles) == 1
        assert np.array_equal(board.map, drawn) and board.objects == [] and board.mounts > mounts
        mounts = board.mounts
    board.receive(sent(TWO))
    assert (board.map == EX).any() and not board.troubles
    board.undo()
    board.undo()
    assert not (board.map == HE).any()


def test_strokes_that_are_more_than_a_hand_draws_are_said_and_dropped(board, monkeypatch):
    monkeypatch.setitem(MOST, "pixels", 40_000)
    board.receive(sent(ONE, TWO, THREE, ONE, TWO))
    assert len(board.troubles) == 1 and "more than a hand draws (above 40,000 pixels)" in board.troubles[0]
    assert board.names == ["Haemorrhage, circle", "Hard exudate, circle", "Soft exudate, circle"]
    board.receive(sent(THREE))
    assert not board.troubles, "the next canvas begins anew"


def test_a_canvas_that_was_worked_on_for_long_begins_anew_and_loses_nothing(board, monkeypatch):
    monkeypatch.setitem(MOST, "sprayed pixels", 20_000)
    for number in range(8):
        item = spray(HE, (0.3 + 0.05 * number, 0.6), (0.3 + 0.05 * number, 0.7))
        board.receive(sent(*board.objects, item))
        assert not board.troubles and len(board.names) == number + 1
    assert board.mounts > 1
    for _ in range(8):
        board.undo()
    assert np.array_equal(board.map, empty_map(512, "left"))


def test_undo_takes_strokes_one_by_one_then_steps_and_redo_brings_all_back(board):
    maps = [board.map]
    board.change(lesions.mirror, "Mirror")
    maps.append(board.map)
    for drawn in ([ONE], [ONE, TWO], [ONE, TWO, THREE]):
        board.receive(sent(*drawn))
        maps.append(board.map)
    for expected in maps[-2::-1]:
        board.undo()
        assert np.array_equal(board.map, expected)
        assert len(board.objects) == max(0, len(board.names) - 1), "strokes stay strokes, that Edit can move"
    assert not board.can_undo
    for expected in maps[1:]:
        assert board.can_redo
        board.redo()
        assert np.array_equal(board.map, expected)
    assert not board.can_redo
    board.undo()
    board.receive(sent(*board.objects, disc(0.4, 0.4, 0.02, MA)))
    assert not board.can_redo, "a new stroke takes the place of what was undone"


def test_undone_strokes_are_still_ahead_after_a_change_of_the_view(board):
    board.receive(sent(ONE, TWO))
    both = board.map
    board.undo()
    board.look(4, 300, 300)
    assert (board.map == HE).any() and not (board.map == EX).any() and board.can_redo
    board.redo()
    assert np.array_equal(board.map, both) and board.zoom == 4


def test_clear_can_be_undone(board):
    start = board.map
    board.receive(sent(ONE))
    drawn = board.map
    board.clear()
    assert np.array_equal(board.map, start)
    board.undo()
    assert np.array_equal(board.map, drawn)


def test_each_baked_stroke_is_a_step(board):
    board.receive(sent(ONE, TWO))
    board.change(lambda m: lesions.set_count(m, MA, 5, 1), "Microaneurysm: 5")
    assert board.names == ["Haemorrhage, circle", "Hard exudate, circle", "Microaneurysm: 5"] and not board.objects
    assert count_lesions(board.map, MA) == 5 and np.array_equal(board.picture, board.map)
    board.undo()
    board.undo()
    assert board.names == ["Haemorrhage, circle"]


def test_a_change_that_cannot_be_made_is_said(board):
    board.receive(sent(ONE))
    board.change(lambda m: lesions.add_lesions(m, SE, 1999, 1), "too many")
    assert "room for" in board.troubles[0] and board.names == ["Haemorrhage, circle"]


def test_zoomed_strokes_land_where_they_are_drawn(board):
    board.look(4, 0.6 * 512, 0.7 * 512)
    assert board.window.side == 128 and board.zoom == 4 and board.picture.shape == (CANVAS, CANVAS)
    board.receive(sent(disc(0.5, 0.5, 0.04, HE)))
    assert middle(board.map == HE) == pytest.approx((0.6 * 512, 0.7 * 512), abs=0.6)
    assert (board.map == HE).sum() == pytest.approx(np.pi * (0.04 * 128) ** 2, rel=0.06), "the brush is scaled too"
    board.look(2)
    assert (board.map == HE).any() and not board.objects, "strokes are kept when the view changes"
    left, top, side = board.window
    board.receive(sent(disc(0.25, 0.75, 0.02, EX)))
    assert middle(board.map == EX) == pytest.approx((left + 0.25 * side, top + 0.75 * side), abs=0.6)
    board.look(1)
    assert board.window == (0, 0, 512) and count_lesions(board.map, HE) == count_lesions(board.map, EX) == 1


def test_the_window_moves_and_stays_on_the_map(board):
    board.look(4)
    assert board.window == (192, 192, 128)
    board.pan(1, 0)
    assert board.window == (256, 192, 128)
    for _ in range(9):
        board.pan(1, -1)
    assert board.window == (384, 0, 128)


def test_the_picture_is_the_window_enlarged(board):
    board.look(4, 100, 256)
    left, top, side = board.window
    assert np.array_equal(board.picture[2::4, 2::4], board.map[top : top + side, left : left + side])


def test_a_click_looks_closer(board):
    board.receive(sent(ONE, mark(0.7, 0.3, BG)))
    assert board.zoom == 4 and board.window == (round(0.7 * 512) - 64, round(0.3 * 512) - 64, 128)
    assert board.names == ["Haemorrhage, circle"], "looking is no step"


def test_a_click_moves_the_disc(board):
    size = (board.map == OD).sum()
    board.receive(sent(ONE, mark(0.7, 0.4, OD)))
    assert middle(board.map == OD) == pytest.approx((0.7 * 512, 0.4 * 512), abs=0.6)
    assert (board.map == OD).sum() == size and board.names[-1] == "Disc moved" and not board.objects
    board.look(2, 350, 200)
    board.receive(sent(mark(0.5, 0.5, OD)))
    left, top, side = board.window
    assert middle(board.map == OD) == pytest.approx((left + side / 2, top + side / 2), abs=0.6)
    board.undo()
    board.undo()
    assert middle(board.map == OD)[0] < 200 and (board.map == HE).any()


def test_a_spray_is_a_cluster_that_shows_at_once_and_repeats(board):
    gesture = spray(EX, (0.6, 0.6), (0.66, 0.64))
    board.receive(sent(gesture))
    once = board.map
    assert count_lesions(once, EX) > 5 and middle(once == EX) == pytest.approx((0.63 * 512, 0.62 * 512), abs=15)
    assert np.array_equal(board.picture, once), "the cluster lies below the strokes"
    assert board.mounts == 0 and board.names == ["Hard exudate, spray"], "the canvas stays for the next stroke"
    again = Board(empty_map(512, "left"))
    again.receive(sent(gesture))
    assert np.array_equal(again.map, once)
    board.receive(sent(gesture, spray(EX, (0.6, 0.61), (0.66, 0.64)), ONE))
    assert count_lesions(board.map, EX) > count_lesions(once, EX) and (board.map == HE).any()
    assert (board.map[once == EX] == EX).all(), "what was sprayed stays"
    shown = board.map
    board.bake()
    assert np.array_equal(board.map, shown) and len(board.history.names) == 3


def test_a_spray_of_retina_sweeps_lesions_away(board):
    board.receive(sent(ONE, TWO))
    board.receive(sent(ONE, TWO, spray(VB, (0.49, 0.7), (0.51, 0.7), width=6)))
    assert not (board.map == HE).any() and (board.map == EX).any()
    assert not board.objects, "the canvas no longer shows what is gone"
    board.undo()
    assert (board.map == HE).any()


def test_what_a_former_canvas_holds_is_not_painted_again(board):
    board.receive(sent(ONE))
    first = board.mounts
    board.look(2)
    assert board.mounts > first and board.objects == []
    board.receive(sent())
    assert (board.map == HE).any()
    assert BG in board.map
