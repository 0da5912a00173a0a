"""A drawing's work is counted before it is done."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from retinagan.maps import canvas, strokes
from retinagan.maps.budget import MOST, Budget
from retinagan.maps.canvas import Window, rasterise
from retinagan.maps.labels import EX, HE, empty_map
from retinagan.maps.patches import PaintCache, Patch
from retinagan.maps.strokes import MAX_OBJECTS, MAX_POINTS, Gesture, gesture_colour
from tests.maps.test_canvas import drawing, freehand


@pytest.fixture(scope="module")
def eye():
    return empty_map(512, "left")


def long_stroke(seed, width=11, points=200):
    """As a hand draws them: 200 points 4 pixels apart, slowly turning."""
    rng = np.random.default_rng(seed)
    turn = np.cumsum(rng.normal(0, 0.25, points))
    places = np.cumsum(4 * np.stack([np.cos(turn), np.sin(turn)], axis=1), axis=0) + rng.uniform(150, 350, 2)
    return freehand(np.clip(places, 5, 507), HE if seed % 2 else EX, width)


def wild(commands, reach=90_000.0):
    """A stroke of curves that are long and mostly off the map."""
    path = [["M", 0, 0]] + [["Q", reach * (-1) ** i, reach, 0, -reach * (-1) ** i] for i in range(commands)]
    return freehand([(0, 0), (1, 1)], HE, 5) | {"path": path}


@pytest.mark.parametrize("width", [4, 20])
def test_five_hundred_long_strokes_are_far_from_the_limit(eye, width, monkeypatch):
    """Counted on every tenth of them."""
    monkeypatch.setattr(canvas, "_CACHE", PaintCache())
    budget = Budget()
    some = drawing(*[long_stroke(seed, width) for seed in range(50)])
    rasterise(some, eye, budget=budget)
    assert not {name: count for name, count in budget.spent.items() if 10 * count > 0.8 * MOST[name]}
    assert 10 * strokes.count_points(some["objects"]) < 0.6 * MAX_POINTS and 500 < MAX_OBJECTS / 2


def test_curves_are_counted_before_they_are_made_of_pieces(eye, monkeypatch):
    monkeypatch.setattr("retinagan.maps.shapes._cubic_turns", lambda *_: pytest.fail("pieces were made"))
    message = drawing(wild(10_000))
    assert len(json.dumps(message)) < 700_000
    with pytest.raises(ValueError, match="stroke 1: this is more than a hand draws .above 400,000 pieces"):
        rasterise(message, eye)


def test_many_small_drawings_cost_as_one_large(eye):
    """The strokes of a message share what it may cost, whether they were painted before or not."""
    for _ in range(2):
        budget = Budget()
        painted = 0
        with pytest.raises(ValueError, match="more than a hand draws"):
            for _ in range(MAX_OBJECTS):
                rasterise(drawing(wild(100)), eye, budget=budget)
                painted += 1
        assert painted == MOST["pieces"] // (100 * 512 + 1) and budget.half_spent
        with pytest.raises(ValueError, match="more than a hand draws"):
            rasterise(drawing(long_stroke(1)), eye, budget=budget)


def test_rows_and_pixels_are_counted_before_they_are_tested(eye, monkeypatch):
    monkeypatch.setattr("retinagan.maps.polylines._columns", lambda *_: pytest.fail("rows were tested"))
    zigzag = [["M", 0, 0]] + [["L", 511 * (i % 2), 511 * ((i + 1) % 2)] for i in range(90_000)]
    with pytest.raises(ValueError, match="stroke 1: .*16,000,000 rows"):
        rasterise(drawing(freehand([(0, 0), (1, 1)], HE, 5) | {"path": zigzag}), eye)


def test_sprays_are_counted_by_what_they_cover(eye, monkeypatch):
    monkeypatch.setitem(MOST, "sprayed pixels", 20_000)
    gesture = freehand([(200, 250), (300, 250)], EX, 40, stroke=gesture_colour(Gesture.SPRAY, EX))
    budget = Budget()
    sprayed = rasterise(drawing(gesture), eye, budget=budget)
    assert budget.spent["sprayed pixels"] == pytest.approx(100 * 40 + 400 * np.pi, rel=0.05)
    with pytest.raises(ValueError, match="stroke 4: .*20,000 sprayed pixels"):
        rasterise(drawing(*[gesture] * 4), eye)
    assert (sprayed == EX).any()


def test_objects_and_points_are_counted_before_any_is_read(eye, monkeypatch):
    monkeypatch.setattr(strokes, "_read_stroke", lambda _: pytest.fail("a stroke was read"))
    with pytest.raises(ValueError, match=f"has {10**6} strokes; at most {MAX_OBJECTS}"):
        rasterise({"objects": [{}] * 10**6}, eye)
    many = [["M", 0, 0]] + [["L", 1, 1]] * MAX_POINTS
    with pytest.raises(ValueError, match="200,001 points; at most 200,000"):
        rasterise(drawing({"path": many[:100]}, {"path": many[:-100]}, 7), eye)
    with pytest.raises(ValueError, match="points; at most"):
        rasterise(drawing({"type": "Polygon", "points": many}), eye)


def test_an_unchanged_stroke_is_not_computed_again(eye, monkeypatch):
    monkeypatch.setattr(canvas, "_CACHE", cache := PaintCache())
    first, second = freehand([(200, 250), (300, 250)], HE, 20), freehand([(100, 250), (300, 350)], EX, 7)
    rasterise(drawing(first), eye)
    result = rasterise(drawing(copy.deepcopy(first), second), eye)
    assert (cache.misses, cache.hits) == (2, 1)
    monkeypatch.setattr(canvas, "_CACHE", PaintCache())
    assert np.array_equal(result, rasterise(drawing(first, second), eye))
    rasterise(drawing(first), eye, 512, Window(0, 0, 256))
    assert canvas._CACHE.misses == 3


def test_the_cache_is_bounded_by_its_bytes(monkeypatch):
    monkeypatch.setattr(PaintCache, "MOST", 10_000)
    cache = PaintCache()

    def painted(size):
        return (Patch(1, 0, 0, (8, size), bytes(size)),)

    for number in range(50):
        kept = cache.get(("stroke", number), lambda _: painted(1_000), Budget())
        assert kept == painted(1_000) and cache.held <= cache.MOST
    cache.get(("stroke", 49), lambda _: pytest.fail("the newest was dropped"), Budget())
    assert cache.get(("large",), lambda _: painted(50_000), Budget()) == painted(50_000) and cache.held == 0
