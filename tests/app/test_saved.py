"""The file of a drawing: what the tab keeps, and what is saved and opened."""

import base64
import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinagan.app import saved
from retinagan.app.drawing import Drawing
from retinagan.app.history import MAX_STEPS, History, changed, difference
from retinagan.maps import lesions
from retinagan.maps.labels import EX, HE, MA, empty_map
from tests.app.test_board import disc, sent

WEIGHTS = (("maps", "ab" * 32), ("photos", "cd" * 32))


def drawn(steps: int = 3, size: int = 64) -> Drawing:
    drawing = Drawing("left", WEIGHTS, empty_map(size))
    for number in range(steps):
        drawing.change(lambda m, k=number: lesions.set_count(m, (HE, EX, MA)[k % 3], 2 + k, k), f"step {number}")
    return drawing


def test_a_file_holds_the_map_its_steps_and_what_was_undone():
    drawing = drawn()
    drawing.undo()
    found = saved.decode(saved.encode(drawing))
    assert (found.text, found.weights) == ("left", WEIGHTS)
    history = found.history
    assert np.array_equal(history.current, drawing.map) and np.array_equal(history.start, empty_map(64))
    assert history.names == ["step 0", "step 1"] and history.can_redo
    history.redo()
    drawing.redo()
    assert np.array_equal(history.current, drawing.map)
    while drawing.can_undo:
        drawing.undo()
        history.undo()
        assert np.array_equal(history.current, drawing.map)
    assert not history.can_undo


def test_strokes_that_the_canvas_still_holds_are_steps_in_the_file():
    drawing = drawn(1)
    drawing.receive(sent(disc(0.6, 0.5, 0.05, HE)))
    first = drawing.map
    drawing.receive(sent(disc(0.6, 0.5, 0.05, HE), disc(0.7, 0.5, 0.05, EX)))
    assert len(drawing.objects) == 2 and len(drawing.history.steps) == 1
    history = saved.decode(saved.encode(drawing)).history
    assert len(history.names) == 3 and np.array_equal(history.current, drawing.map)
    history.undo()
    assert np.array_equal(history.current, first)
    assert len(drawing.objects) == 2 and len(drawing.history.steps) == 1  # saving changes nothing
    drawing.bake()
    history.redo()
    assert drawing.history.names == history.names and np.array_equal(drawing.map, history.current)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_drawing_or_refused(data):
    with pytest.raises(ValueError, match="no drawing"):
        saved.decode(data)


def changed_file(**values: object) -> bytes:
    return json.dumps(json.loads(saved.encode(drawn())) | values).encode()


BOMB = base64.b64encode(zlib.compress(bytes(10**8))).decode()
NINE = base64.b64encode(difference(empty_map(64), np.full((64, 64), 9, np.uint8))).decode()
OTHER = json.loads(saved.encode(drawn(1)))["map"]


@pytest.mark.parametrize(
    "values, told",
    [
        ({"format": "else"}, "no drawing"),
        ({"version": 2}, "of version 2; this program reads 1"),
        ({"start": None}, "its start or its number of steps is missing"),
        ({"start": "g9-s1"}, "start is 'g9-s1'; allowed are"),
        ({"done": 4}, "3 steps of which 4 are done"),
        ({"done": True}, "its number of steps is missing"),
        ({"weights": [["maps", 3]]}, "its weights are no pairs"),
        ({"steps": [{}] * (MAX_STEPS + 1)}, "no list of at most 200 steps"),
        ({"steps": [{"name": "x" * 121, "change": ""}], "done": 1}, "no name of at most 120 letters"),
        ({"steps": [{"name": "x", "change": "???"}], "done": 1}, "no Base64"),
        ({"steps": [{"name": "x", "change": ""}], "done": 1}, "damaged"),
        ({"steps": [{"name": "x", "change": BOMB}], "done": 1}, "does not fit the map"),
        ({"steps": [{"name": "x", "change": NINE}], "done": 1}, "classes outside 0-6"),
        ({"map": OTHER}, "its steps do not lead to its map"),
        ({"first": 7}, "no Base64"),
        ({"first": "AAAA"}, "not a PNG"),
    ],
)
def test_damaged_files_are_refused_in_words(values, told):
    with pytest.raises(ValueError, match=told):
        saved.decode(changed_file(**values))


def test_too_large_files_are_refused_before_they_are_read():
    with pytest.raises(ValueError, match=r"a drawing has at most 16,777,216"):
        saved.decode(b"[" * (saved.MAX_BYTES + 1))
    with pytest.raises(ValueError, match="no drawing"):
        saved.decode(b"[" * 100_000)


@given(st.binary(max_size=64))
def test_any_change_fits_the_map_or_is_refused(data):
    start = empty_map(16)
    try:
        after = changed(start, zlib.compress(data))
    except ValueError as error:
        assert "damaged" in str(error)
        return
    assert after.shape == start.shape and after.max() <= 6
    assert np.array_equal(changed(after, zlib.compress(data)), start)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=20), st.integers(0, 6))
def test_a_change_leads_there_and_back(places, label):
    before = empty_map(16)
    after = before.copy()
    after.ravel()[places] = label
    change = difference(before, after)
    assert np.array_equal(changed(before, change), after) and np.array_equal(changed(after, change), before)


def test_a_history_that_was_kept_stands_where_it_stood():
    first = History(empty_map(32))
    for number in range(4):
        first.add(lesions.set_count(first.current, HE, 1 + number, number), str(number))
    first.undo()
    again = History(first.start, first.steps, first.at)
    assert np.array_equal(again.current, first.current) and again.names == first.names and again.can_redo
