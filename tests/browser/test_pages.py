"""The pages beside Draw as a user sees them: by what they show, what links repeat and what they give to download."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from retinagan.files.maps import encode_map_png, read_map_png
from retinagan.files.photos import encode_photo_png
from retinagan.files.provenance import read_png
from retinagan.maps.labels import HE, LESIONS, OD, VB, empty_map
from retinagan.maps.parts import field_of_view
from tests.browser.conftest import session
from tests.browser.studio import pixels

FITS = "() => { const e = document.querySelector('[data-testid=stMain]'); return e.scrollWidth <= e.clientWidth + 1; }"
PATHS = ["", "styles", "styles?mode=Two+maps", "styles?mode=Reference", "progression"]


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def set_number(studio, label: str, value: int) -> None:
    field = studio.page.get_by_label(label, exact=True).first
    field.fill(str(value))
    field.press("Enter")
    studio.idle()


def give(studio, name: str, content: bytes) -> None:
    studio.page.locator('input[type="file"]').set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": content}
    )


@pytest.mark.parametrize("path", PATHS)
def test_pages_fit_every_width(tiny_studio, path):
    tiny_studio.open(path)
    assert tiny_studio.troubles() == []
    for width in (400, 1024, 1920):
        tiny_studio.page.set_viewport_size({"width": width, "height": 900})
        tiny_studio.page.wait_for_function("width => innerWidth === width", arg=width)
        tiny_studio.page.wait_for_function(FITS)


def test_the_address_repeats_the_pictures_byte_for_byte(browser, tiny_address, tiny_pipeline):
    with session(browser, tiny_address) as first:
        first.open("?grade=3")
        set_number(first, "Seed", 12)
        set_number(first, "Photographs of each map", 2)
        first.page.get_by_text("style 1012").wait_for()
        first.idle()
        address = first.page.url
        first.page.get_by_role("button", name="Download").click()
        pair = first.download("All as ZIP")[1]
    assert "seed=12" in address and "grade=3" in address
    with session(browser, tiny_address) as second:
        second.page.goto(address)
        second.page.get_by_text("style 1012").wait_for()
        second.idle()
        second.page.get_by_role("button", name="Download").click()
        assert second.download("All as ZIP")[1] == pair
    files = unzipped(pair)
    label_map = tiny_pipeline.sample_maps(3, [12])
    assert np.array_equal(read_map_png(files["map-g3-s12.png"], None), label_map[0])
    expected = tiny_pipeline.render(label_map.repeat(2, axis=0), [12, 1012])
    for style, photo in zip((12, 1012), expected, strict=True):
        assert np.array_equal(pixels(files[f"photo-g3-s12-y{style}.png"]), photo)


def test_a_downloaded_photograph_brings_back_the_page_that_made_it(tiny_studio):
    studio, page = tiny_studio, tiny_studio.page
    studio.open("?grade=2&seed=31")
    page.get_by_role("button", name="Download").click()
    name, photo = studio.download("Photograph")
    page.keyboard.press("Escape")
    studio.go_to("Upload")
    give(studio, name, photo)
    page.get_by_text("the photograph is the same, pixel for pixel").wait_for()
    page.get_by_role("button", name="Open in Random").click()
    page.get_by_role("heading", name="Random").wait_for()
    page.get_by_text("map, seed 31").wait_for()
    studio.idle()
    assert "grade=2" in page.url and "seed=31" in page.url and studio.troubles() == []
    page.get_by_role("button", name="Download").click()
    assert studio.download("Photograph") == (name, photo), "byte for byte"


def test_a_picture_opens_large_with_measurements_and_leads_on(tiny_studio):
    studio, page = tiny_studio, tiny_studio.page
    studio.open("?grade=4&seed=5")
    picture = page.get_by_role("button", name="Enlarge grade 4, seed 5: photograph 5")
    picture.focus()
    page.keyboard.press("Enter")
    window = page.get_by_role("dialog")
    window.get_by_text("Signs of the ICDR scale").wait_for()
    assert window.get_by_text("Lesions and the share of the field of view that they cover").count()
    window.get_by_role("button", name="Other grades").click()
    page.get_by_role("heading", name="Progression").wait_for()
    page.get_by_role("button", name="Enlarge the photograph of grade 4").wait_for()
    studio.idle()
    assert "map_seed=5" in page.url and "style_seed=5" in page.url and studio.troubles() == []


def test_progression_is_one_eye_side_by_side_and_moving(tiny_studio, tiny_pipeline):
    studio, page = tiny_studio, tiny_studio.page
    studio.open("progression?map_seed=5&style_seed=6")
    files = unzipped(studio.download("All five pairs")[1])
    maps = [read_map_png(files[f"progression-map-g{grade}-s5.png"], None) for grade in range(5)]
    for grade, (before, after) in enumerate(zip(maps[:-1], maps[1:], strict=True)):
        assert np.array_equal(before == OD, after == OD)
        lesions = np.isin(before, LESIONS)
        assert np.array_equal(before[lesions], after[lesions])
        photo = files[f"progression-photo-g{grade + 1}-s5-y6.png"]
        assert np.array_equal(pixels(photo), tiny_pipeline.render(after[None], [6])[0])
        assert read_png(photo).source == "progression"
    page.get_by_role("button", name="Make the animation").click()
    page.get_by_alt_text("Animation: lesions gather").wait_for()
    studio.idle()
    name, content = studio.download("GIF")
    with Image.open(io.BytesIO(content)) as gif:
        assert name == "progression-s5-y6.gif" and gif.n_frames > 5
        assert b"not for diagnosis" in gif.info["comment"]
    with Image.open(io.BytesIO(studio.download("WebP")[1])) as webp:
        assert webp.format == "WEBP" and webp.n_frames > 5


@pytest.mark.parametrize("position", [0, 100])
def test_the_ends_between_two_maps_are_the_seeds_own(tiny_studio, tiny_pipeline, position):
    grade, seed = (1, 7) if position == 0 else (3, 8)
    state = f"mode=Two+maps&map_grade=1&map_seed=7&grade_b=3&map_b=8&style_seed=4&position={position}"
    tiny_studio.open(f"styles?{state}")
    own = tiny_pipeline.sample_maps(grade, [seed])
    assert np.array_equal(tiny_studio.map(), own[0])
    assert np.array_equal(tiny_studio.photograph(), tiny_pipeline.render(own, [4])[0])


def test_between_two_styles_begins_with_the_first_and_ends_in_the_others_light(tiny_studio, tiny_pipeline):
    label_map = tiny_pipeline.sample_maps(2, [7])
    for position in (0, 40, 100):
        tiny_studio.open(f"styles?mode=Two+styles&map_seed=7&style_seed=4&style_b=5&position={position}")
        photo = tiny_studio.photograph()
        style = 4 if position == 0 else tiny_pipeline.style_between(4, 5, position / 100)
        assert np.array_equal(photo, tiny_pipeline.render(label_map, [style])[0])
    tiny_studio.page.get_by_role("button", name="Make the animation").click()
    tiny_studio.page.get_by_alt_text("Animation: from the first").wait_for()
    tiny_studio.idle()
    with Image.open(io.BytesIO(tiny_studio.download("GIF")[1])) as gif:
        assert gif.n_frames > 9 and b"not for diagnosis" in gif.info["comment"]


def test_a_kept_style_stays_when_the_others_are_new(tiny_studio):
    studio, page = tiny_studio, tiny_studio.page
    studio.open("styles?style_seed=20")
    page.get_by_role("button", name="Keep", exact=True).nth(3).click()
    page.get_by_role("button", name="Kept", exact=True).wait_for()
    studio.idle()
    assert "keep=23" in page.url
    page.get_by_role("button", name="New styles").click()
    page.wait_for_function("() => !location.search.includes('style_seed=20')")
    studio.idle()
    shown = page.locator("[class*=st-key-zoom_style] [data-testid=stButton] button").all_inner_texts()
    assert len(shown) == 8 and "Enlarge style 23" in shown[0] and not any("style 21" in text for text in shown)


def test_a_reference_photograph_lends_its_light(studio, pipeline):
    """The reference is a synthetic one: another eye, of quite another light."""
    size = pipeline.size
    disc = empty_map(size, "left")
    plain, *others = pipeline.render(np.stack([disc] * 5), [3, 4, 5, 8, 14])
    clear = field_of_view(size) & (disc == VB)
    colour = [photo[clear].mean(axis=0) for photo in others]
    apart = [np.linalg.norm(c - plain[clear].mean(axis=0)) for c in colour]
    reference = others[int(np.argmax(apart))]
    studio.open("styles?mode=Reference&map_grade=0&map_seed=7&style_seed=3")
    give(studio, "eye.png", encode_photo_png(reference))
    studio.page.get_by_text("with your photograph's light").wait_for()
    studio.idle()
    with_light = studio.photograph()
    label_map = pipeline.sample_maps(0, [7])
    own = pipeline.render(label_map, [3])[0]
    inside = label_map[0] == VB
    wanted = reference[clear].mean(axis=0)
    before = np.linalg.norm(own[inside].mean(axis=0) - wanted)
    after = np.linalg.norm(with_light[inside].mean(axis=0) - wanted)
    assert before > 10 and after < 0.5 * before, "its colour goes to the reference's"
    studio.page.get_by_role("button", name="Use it in Draw").click()
    studio.page.get_by_role("heading", name="Draw").wait_for()
    studio.page.get_by_role("button", name="Light of your photograph").wait_for()


def test_bad_references_are_explained_and_a_good_one_follows(tiny_studio):
    studio, page = tiny_studio, tiny_studio.page
    studio.open("styles?mode=Reference")
    grey = np.full((90, 90, 3), 128, np.uint8)
    bad = {"no photograph that is read here": b"no picture", "no colours": encode_photo_png(grey)}
    for message, content in bad.items():
        give(studio, "eye.png", content)
        page.locator('[data-testid="stAlertContentError"]').filter(has_text=message).wait_for()
        studio.idle()
        assert len(studio.troubles()) == 1 and "Traceback" not in page.content()


def test_an_uploaded_map_in_eight_styles(tiny_studio, tiny_pipeline):
    mine = empty_map(tiny_pipeline.size, "right")
    mine[20:26, 20:26] = HE
    studio, page = tiny_studio, tiny_studio.page
    studio.open("upload")
    give(studio, "mine.png", encode_map_png(mine))
    page.get_by_role("button", name="Other styles").click()
    page.get_by_role("heading", name="Styles").wait_for()
    page.get_by_role("button", name="Enlarge style 14").wait_for()
    studio.idle()
    page.get_by_role("button", name="Enlarge style 14").click()
    page.get_by_role("dialog").wait_for()
    studio.idle()
    photo = pixels(studio.download("Photograph", "[role=dialog]")[1])
    assert np.array_equal(photo, tiny_pipeline.render(mine[None], [14])[0])


@pytest.mark.parametrize(
    "path", ["draw?style=Infinity&start=right", "?grade=3&seed=-Infinity", "styles?map_seed=1e999"]
)
def test_what_the_address_must_not_say_is_told_once_and_gone(browser, tiny_address, path):
    with session(browser, tiny_address) as studio:
        studio.open(path)
        told = studio.page.get_by_text("which is left out; allowed are whole numbers from 0 to 2147483647")
        told.wait_for()
        studio.idle()
        assert "nfinity" not in studio.page.url and "1e999" not in studio.page.url
        assert ("start=right" in studio.page.url) == ("start=right" in path)
        assert ("grade=3" in studio.page.url) == ("grade=3" in path)
        studio.page.reload()
        studio.idle()
        assert told.count() == 0
