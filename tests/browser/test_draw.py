"""The page Draw as a user sees it: by what the exported map and the pictures show."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import ndimage

from retinagan.app import examples
from retinagan.files.maps import encode_map_png
from retinagan.maps import lesions
from retinagan.maps.labels import BG, EX, HE, MA, OD, SE, VB, empty_map
from retinagan.maps.parts import field_of_view
from tests.browser.studio import pixels


def pieces(mask: np.ndarray) -> int:
    return ndimage.label(mask, np.ones((3, 3)))[1]


def centre(mask: np.ndarray) -> tuple[float, float]:
    """x and y as shares of the side."""
    rows, columns = np.nonzero(mask)
    return (columns.mean() + 0.5) / mask.shape[1], (rows.mean() + 0.5) / mask.shape[0]


@pytest.fixture
def draw(studio):
    """A fresh session on an empty eye that renders only when it is told to: most tests need no photograph."""
    studio.open("draw?start=left")
    studio.canvas_ready()
    studio.page.get_by_text("Live", exact=True).click()
    studio.page.get_by_role("button", name="Render").wait_for()
    studio.idle()
    return studio


def test_every_tool_paints_its_class(draw, pipeline):
    draw.choose("palette", "Hard exudate", "Waxy")
    found, last = {}, 0
    shapes = {
        "Line": ("Drag from end", [(0.5, 0.3), (0.6, 0.3)]),
        "Circle": ("Drag across", [(0.75, 0.4), (0.85, 0.4)]),
        "Rectangle": ("Drag from corner", [(0.4, 0.5), (0.5, 0.6)]),
        "Freehand": ("Press, drag", [(0.6, 0.55)]),
    }
    for tool, (hint, points) in shapes.items():
        draw.choose("tool", tool, hint)
        draw.stroke(*points)
        drawn = draw.map()
        assert set(np.unique(drawn)) == {BG, OD, VB, EX}, tool
        found[tool], last = int((drawn == EX).sum()) - last, int((drawn == EX).sum())
    draw.choose("tool", "Polygon", "Click the corners")
    for corner in [(0.6, 0.65), (0.75, 0.65), (0.7, 0.8)]:
        draw.drag(corner)
        draw.page.wait_for_timeout(50)
    draw.stroke((0.6, 0.65))
    drawn = draw.map()
    found["Polygon"] = int((drawn == EX).sum()) - last
    area = pipeline.size**2
    expected = {"Circle": np.pi * 0.05**2, "Rectangle": 0.01, "Polygon": 0.15 * 0.15 / 2}
    for tool, share in expected.items():
        assert found[tool] == pytest.approx(share * area, rel=0.05), tool
    assert 20 < found["Freehand"] < found["Line"] < 0.01 * area
    assert set(np.unique(drawn)) == {BG, OD, VB, EX} and draw.troubles() == []


def test_black_and_white_strokes_invent_no_class_and_survive_a_walk(studio, pipeline):
    """From a link with a start that is none. Blends of white and black would pass through the disc's grey."""
    studio.open("draw?start=nowhere")
    assert studio.page.get_by_text("which is left out").count() == 1
    studio.canvas_ready()
    studio.page.get_by_text("Live", exact=True).click()
    studio.choose("palette", "Background", "Black")
    studio.stroke((0.4, 0.3), (0.5, 0.45), (0.8, 0.3), (0.5, 0.7), (0.35, 0.6))
    studio.choose("palette", "Retina", "The rest")
    studio.stroke((0.5, 0.2), (0.55, 0.8), (0.6, 0.2), (0.65, 0.8))
    drawn = studio.map()
    assert set(np.unique(drawn)) == {BG, OD, VB}
    inside = field_of_view(pipeline.size)
    assert (drawn[inside] == BG).mean() > 0.02 and (drawn[~inside] == BG).all()

    studio.go_to("About")
    studio.go_to("Draw")
    studio.mounted()
    assert np.array_equal(studio.map(), drawn), "another page and back: the strokes are still there"
    studio.choose("palette", "Soft exudate", "Cotton-wool")
    studio.stroke((0.45, 0.85), (0.5, 0.85))
    more = studio.map()
    assert set(np.unique(more)) == {BG, OD, VB, SE} and (more[more != SE] == drawn[more != SE]).all()


def test_undo_redo_and_clear(draw):
    draw.choose("palette", "Haemorrhage", "Dark red")
    maps = [draw.map()]
    for x in (0.5, 0.6):
        draw.stroke((x, 0.6))
        maps.append(draw.map())
    draw.zoom(2)
    draw.stroke((0.4, 0.4))
    maps.append(draw.map())
    for expected in maps[-2::-1]:
        draw.press("Undo", -1)
        assert np.array_equal(draw.map(), expected)
    for expected in maps[1:]:
        draw.press("Redo", 1)
        assert np.array_equal(draw.map(), expected)
    draw.press("Clear", 1)
    assert np.array_equal(draw.map(), maps[0])
    draw.press("Undo", -1)
    draw.stroke((0.7, 0.4))
    assert pieces(draw.map() == HE) == 4


def test_spray_paints_clusters_one_after_the_other_and_sweeps_them_away(draw):
    draw.choose("palette", "Microaneurysm", "Tiny")
    draw.choose("tool", "Spray", "Drag or click")
    draw.drag((0.6, 0.6), (0.7, 0.65))
    draw.page.wait_for_timeout(150)
    draw.drag((0.4, 0.3), (0.45, 0.3))  # before the page has answered
    draw.step(2)
    sprayed = draw.map()
    right, left = sprayed.copy(), sprayed.copy()
    right[: len(right) // 2], left[len(left) // 2 :] = VB, VB
    for half, at in ((right, (0.65, 0.625)), (left, (0.425, 0.3))):
        assert pieces(half == MA) > 5 and centre(half == MA) == pytest.approx(at, abs=0.05)
    draw.page.wait_for_function(
        "() => { const box = document.querySelector('.st-key-canvas_box [data-testid=stBidiComponentIsolated]');"
        " const c = box.shadowRoot.querySelector('canvas.dc-background-canvas'); let n = 0;"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " for (let i = 0; i < d.length; i += 4) n += d[i] === 34 && d[i + 1] === 80 && d[i + 2] === 242;"
        " return n > 50; }"
    )  # the canvas shows them, or this runs into the time limit
    draw.press("Undo", -1)
    assert np.array_equal(draw.map() == MA, right == MA)
    draw.press("Redo", 1)
    assert np.array_equal(draw.map(), sprayed)
    draw.choose("palette", "Retina", "The rest")
    draw.stroke((0.58, 0.58), (0.72, 0.67))
    assert pieces(draw.map()[len(sprayed) // 2 :] == MA) < pieces(right == MA) / 3


def test_zoomed_strokes_land_where_they_are_drawn(draw, pipeline):
    size = pipeline.size
    draw.choose("palette", "Microaneurysm", "Tiny")
    draw.stroke((0.8, 0.4))
    draw.choose("tool", "Look closer", "Click a place")
    former = draw.mount()
    draw.drag((0.6, 0.7))
    draw.mounted(former)
    draw.stroke((0.5, 0.5))  # the middle of what is shown, with the tool from before
    draw.stroke((0.7, 0.3))
    expected = [(0.4, 0.8), (0.7, 0.6), (0.65, 0.65)]
    check_places(draw.map() == MA, expected, size)
    draw.pan("Left")
    draw.stroke((0.5, 0.5))
    expected.append((0.7, 0.6 - 0.125))
    check_places(draw.map() == MA, expected, size)
    drawn = draw.map()
    draw.zoom(1)
    assert np.array_equal(draw.map(), drawn), "zooming changes nothing"
    assert ((drawn == MA).sum() / len(expected)) == pytest.approx(12, abs=3), "the brush keeps its size on the map"


def check_places(mask, expected, size):
    labels, count = ndimage.label(mask)
    assert count == len(expected)
    centres = sorted(ndimage.center_of_mass(mask, labels, range(1, count + 1)), key=lambda c: c[1])
    for (row, column), (y, x) in zip(centres, sorted(expected, key=lambda c: c[1]), strict=True):
        assert abs(column + 0.5 - x * size) < 2.5 and abs(row + 0.5 - y * size) < 2.5


def test_by_keyboard(draw):
    """No mouse: lesions by number, undo, the zoom and its window."""
    page = draw.page
    draw.key(page.get_by_role("button", name="Lesions by number"))
    draw.key(page.get_by_role("button", name="+5", exact=True))
    draw.step(1)
    assert pieces(draw.map() == HE) == 5
    draw.mounted()
    draw.close_popover()
    draw.key(page.locator(".st-key-undo button"))
    draw.step(0)
    draw.mounted()
    zoom = page.locator(".st-key-view_controls").get_by_role("radio", name="×2")
    for control in (zoom, page.get_by_role("button", name="Right", exact=True)):
        former = draw.mount()
        draw.key(control)
        draw.mounted(former)
    assert draw.troubles() == [] and not (draw.map() == HE).any()


def test_the_disc_moves_and_the_eye_is_mirrored(draw):
    before = draw.map()
    draw.choose("tool", "Move disc", "Click where")
    draw.stroke((0.7, 0.4))
    moved = draw.map()
    assert centre(moved == OD) == pytest.approx((0.7, 0.4), abs=0.01)
    assert (moved == OD).sum() == (before == OD).sum() and pieces(moved == OD) == 1
    draw.page.get_by_role("button", name="To left eye").click()
    draw.page.get_by_role("button", name="To right eye").wait_for()
    draw.idle()
    assert centre(draw.map() == OD) == pytest.approx((0.3, 0.4), abs=0.01)


def test_examples_and_lesions_by_number(draw, pipeline):
    page = draw.page
    page.get_by_role("button", name=re.compile("Empty eye, disc left")).first.click()
    page.get_by_role("button", name="Moderate").click()
    page.wait_for_url(re.compile("example-moderate"))
    draw.close_popover()
    start = examples.read("moderate", pipeline.size)
    assert np.array_equal(draw.map(), start)
    page.get_by_role("button", name="Lesions by number").click()
    page.get_by_role("button", name="+20", exact=True).nth(0).click()
    draw.step(1)
    slider = page.locator("[class*=st-key-load_HE]").get_by_role("slider").first
    slider.focus()
    slider.press("ArrowLeft")
    draw.step(2)
    draw.close_popover()
    drawn = draw.map()
    counts = {label: lesions.count_lesions(drawn, label) for label in (MA, HE, EX)}
    assert counts == {MA: 52, HE: 13, EX: lesions.count_lesions(start, EX)}
    draw.press("Undo", -1)
    draw.press("Undo", -1)
    assert np.array_equal(draw.map(), start)


def test_a_map_of_ones_own(draw, pipeline):
    mine = empty_map(pipeline.size, "right")
    mine[200:240, 100:140] = HE
    page = draw.page
    page.get_by_role("button", name=re.compile("Empty eye, disc left")).first.click()
    page.locator('input[type="file"]').set_input_files(
        {"name": "mine.png", "mimeType": "image/png", "buffer": encode_map_png(mine)}
    )
    page.get_by_text("mine.png").wait_for()
    page.get_by_role("button", name="Start from this file").click()
    page.wait_for_url(re.compile("start=upload"))
    draw.close_popover()
    assert np.array_equal(draw.map(), mine)


def test_without_live_the_photograph_waits_for_render(draw, pipeline):
    old = draw.photo_source()
    draw.stroke((0.5, 0.7), (0.6, 0.7))
    page = draw.page
    page.get_by_text("The map has changed: press Render").wait_for()  # so nothing is being rendered
    draw.idle()
    assert page.locator(".st-key-photo_old img").first.get_attribute("src") == old
    page.get_by_role("button", name="Render").click()
    draw.photo_changed(old)
    assert np.array_equal(draw.photograph(), pipeline.render(draw.map()[None], [7])[0])


def test_strokes_drawn_while_it_renders_are_kept_and_the_last_photograph_shows_them_all(studio, pipeline):
    studio.open("draw?start=left&style=11")
    studio.canvas_ready()
    studio.choose("palette", "Hard exudate", "Waxy")
    before = studio.photo_source()
    places = [(0.45 + 0.06 * k, 0.6 + 0.05 * (k % 3)) for k in range(6)]
    for place in places:
        studio.drag(place)
        studio.page.wait_for_timeout(250)  # the canvas waits for 200 before it tells of a stroke
    studio.step(len(places))
    studio.photo_changed(before)
    drawn = studio.map()
    assert pieces(drawn == EX) == len(places)
    assert np.array_equal(studio.photograph(), pipeline.render(drawn[None], [11])[0])
    assert studio.troubles() == []


def test_before_and_after_and_the_difference(studio, pipeline):
    studio.open("draw?start=example-cotton-wool")
    studio.canvas_ready()
    page = studio.page
    page.get_by_role("radio", name="Before and after").click()
    slider = page.get_by_role("slider", name=re.compile("Before and after"))
    slider.wait_for()
    studio.idle()
    frame = page.locator(".compare")
    box = frame.bounding_box()
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    assert slider.input_value() in {"24", "25", "26"}
    clip = "e => getComputedStyle(e).clipPath"
    assert "75%" in page.locator(".compare .before").evaluate(clip).replace("74", "75").replace("76", "75")
    slider.press("ArrowRight")
    assert int(slider.input_value()) in (25, 26, 27)
    before, after = (page.locator(f".compare .{name}").get_attribute("src") for name in ("before", "after"))
    assert before.startswith("data:image/jpeg") and before != after

    page.get_by_role("radio", name="Difference").click()
    page.get_by_text("lighter by 32").wait_for()
    shown = page.locator(".st-key-photo_current img").first
    shown.wait_for()
    address = shown.evaluate("image => image.src")
    picture = pixels(page.request.get(address).body(), "JPEG").astype(int)
    label_map = examples.read("cotton-wool", pipeline.size)
    far = ndimage.distance_transform_edt(~np.isin(label_map, (EX, HE, SE, MA))) > 0.1 * pipeline.size
    white = np.abs(picture - 255).max(axis=2)
    assert white[far & field_of_view(pipeline.size)].mean() < 0.5 * white[label_map == SE].mean()
    page.get_by_role("radio", name="×8").click()
    page.get_by_text("lighter by 8").wait_for()


def test_the_overlay_and_the_measurements(studio):
    studio.open("draw?start=example-severe")
    studio.canvas_ready()
    table = studio.page.locator(".rg-measures").first
    assert "96" in table.get_by_role("row").filter(has_text="Haemorrhage").inner_text()
    assert studio.page.get_by_text("cannot be told").count() == 4
    before = studio.photo_source()
    slider = studio.page.locator(".st-key-overlay [role=slider], .st-key-overlay input[type=range]").first
    slider.focus()
    slider.press("End")
    studio.photo_changed(before)
    assert studio.troubles() == []
