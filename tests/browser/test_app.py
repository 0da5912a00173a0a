"""The app as a user sees it: by what the page shows and what it gives to download."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from retinagan.files import provenance
from retinagan.files.maps import encode_map_png, read_map_png
from retinagan.files.photos import encode_photo_png
from retinagan.maps.labels import HE, empty_map
from retinagan.maps.parts import field_of_view
from tests.browser.studio import PAGES, pixels

NOTICE = "Synthetic images · not for diagnosis"
FITS = "() => { const e = document.querySelector('[data-testid=stMain]'); return e.scrollWidth <= e.clientWidth + 1; }"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_says_what_it_is_and_fits(studio, name):
    studio.open("?grade=1" if name == "random" else PAGES[name])
    assert studio.troubles() == []
    for width in (400, 1024, 1920):
        studio.page.set_viewport_size({"width": width, "height": 900})
        studio.page.wait_for_function("width => innerWidth === width", arg=width)
        studio.page.get_by_text(NOTICE, exact=True).wait_for()
        studio.page.wait_for_function(FITS)  # a page that scrolls sideways runs into the time limit
        if name == "draw":
            map_and_photograph_match(studio, width)


def map_and_photograph_match(studio, width: int) -> None:
    """Both have the same size; beside each other, or one below the other on a telephone."""
    studio.canvas.wait_for()
    studio.photo_source()
    picture = studio.page.locator(".st-key-photo_box img").first
    canvas, photo = studio.canvas.bounding_box(), picture.bounding_box()
    deadline = time.monotonic() + 20  # a resized page is laid out anew in steps
    while abs(canvas["width"] - photo["width"]) > 4 and time.monotonic() < deadline:
        time.sleep(0.1)
        canvas, photo = studio.canvas.bounding_box(), picture.bounding_box()
    assert canvas["width"] == pytest.approx(photo["width"], abs=4)
    beside = abs(canvas["y"] - photo["y"]) < 4 and photo["x"] > canvas["x"] + canvas["width"]
    assert beside == (width > 640)
    assert canvas["x"] >= 0 and canvas["x"] + canvas["width"] <= width


def test_sample_send_to_draw_paint_a_haemorrhage_download_the_pair(studio, pipeline):
    size = pipeline.size
    studio.open("?grade=3&seed=7")
    page = studio.page
    page.get_by_text("map, seed 7").wait_for()
    page.get_by_role("button", name="Download").click()
    name, sampled = studio.download("^.*Map$")
    expected = pipeline.sample_maps(3, [7])
    assert name == "map-g3-s7.png" and np.array_equal(read_map_png(sampled, size), expected[0])
    name, photo = studio.download("Photograph")
    assert name == "photo-g3-s7-y7.png" and np.array_equal(pixels(photo), pipeline.render(expected, [7])[0])
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Open in Draw").click()
    page.get_by_role("heading", name="Draw").wait_for()
    studio.canvas_ready()
    assert "start=g3-s7" in page.url and studio.troubles() == []
    before = studio.photograph()
    assert np.array_equal(before, pixels(photo)), "the same eye arrives"

    studio.choose("palette", "Haemorrhage", "Dark red")
    studio.brush("Patch")
    shown = studio.photo_source()
    studio.stroke((0.45, 0.68), (0.58, 0.72))
    studio.photo_changed(shown)
    after = studio.photograph()
    files = studio.pair()
    map_name = next(n for n in files if n.startswith("map-"))
    drawn = read_map_png(files[map_name], size)
    changed = drawn != expected[0]
    assert changed.sum() > 0.002 * size * size and (drawn[changed] == HE).all(), (
        "the stroke is there, as haemorrhage alone"
    )
    assert set(np.unique(drawn)) <= set(np.unique(expected)) | {HE}
    y, x = np.nonzero(changed)
    assert 0.4 < x.mean() / size < 0.63 and 0.62 < y.mean() / size < 0.78, "it lies where the mouse drew"

    difference = np.abs(after.astype(float) - before).mean(axis=2)
    rows, columns = np.mgrid[:size, :size] / size
    far = field_of_view(size) & (np.hypot(columns - 0.515, rows - 0.70) > 0.3)
    assert difference[changed].mean() > 3, "the photograph shows it"
    assert difference[far].mean() < 0.25 * difference[changed].mean(), "and changes nowhere else that matters"

    photo_name = next(n for n in files if n.startswith("photo-"))
    assert np.array_equal(pixels(files[photo_name]), after)
    assert np.array_equal(after, pipeline.render(drawn[None], [7])[0]), (
        "Python makes the same photograph of the exported map"
    )
    told = provenance.read_png(files[photo_name])
    assert (told.source, told.grade, told.map_seed, told.style_seed) == ("drawn", 3, 7, 7)
    assert told.map_sha256 == provenance.map_digest(drawn) and told.checkpoints == pipeline.hashes
    assert json.loads(files["provenance.json"])[photo_name]["synthetic"] is True

    shown = studio.photo_source()
    studio.press("Undo", -1)
    studio.photo_changed(shown)
    assert np.array_equal(studio.photograph(), before)
    shown = studio.photo_source()
    studio.press("Redo", 1)
    studio.photo_changed(shown)
    assert np.array_equal(studio.photograph(), after)


def test_upload_a_map_then_bad_files(studio, pipeline):
    size = pipeline.size
    mine = empty_map(2 * size, "right")
    mine[size : size + size // 4, size // 2 : size] = HE
    studio.open("upload")
    page = studio.page
    chooser = page.locator('input[type="file"]')
    chooser.set_input_files({"name": "mine.png", "mimeType": "image/png", "buffer": encode_map_png(mine)})
    page.get_by_text("your map").wait_for()
    studio.idle()
    assert page.get_by_text(f"{2 * size} × {2 * size} pixels, fitted to {size} × {size}").is_visible()
    fitted = read_map_png(encode_map_png(mine), size)
    assert np.array_equal(studio.photograph(), pipeline.render(fitted[None], [7])[0])
    page.get_by_role("button", name="Open in Draw").click()
    page.get_by_role("heading", name="Draw").wait_for()
    studio.canvas_ready()
    assert np.array_equal(studio.map(), fitted)

    studio.go_to("Upload")
    blended = np.full((64, 64, 3), 255, np.uint8)
    blended[5, 9] = (128, 128, 128)
    for name, content, message in (
        ("photo.png", encode_photo_png(blended), "Colour (128, 128, 128) at row 5, column 9 is not in the palette"),
        ("cut.png", encode_map_png(mine)[:200], "The PNG is damaged"),
        ("jpeg.png", b"\xff\xd8\xff\xe0 not a PNG", "The file is not a PNG"),
    ):
        chooser.set_input_files({"name": name, "mimeType": "image/png", "buffer": content})
        box = page.locator('[data-testid="stAlertContentError"]').filter(has_text=message)
        box.wait_for()
        studio.idle()
        assert len(studio.troubles()) == 1 and "Traceback" not in page.content()
