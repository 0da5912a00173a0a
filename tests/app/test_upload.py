"""The page Upload without a browser: maps, what is no map, and PNGs that were made here."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from retinagan.app import studio
from retinagan.app.state import Session
from retinagan.files.maps import encode_map_png
from retinagan.files.photos import encode_photo_png
from retinagan.files.provenance import Provenance
from retinagan.maps.labels import HE, VB, empty_map
from tests.app_pages import errors, grey_png, labels, on, upload
from tests.helpers import TINY_SIZE

# --- maps ---


def png16(side=64):
    raw = b"".join(b"\0" + b"\0" * side * 6 for _ in range(side))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts
    )


def huge_png(side=20_000):
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
        + b"\0" * 40
    )


BAD = {
    "unknown colour": (encode_photo_png(np.full((64, 64, 3), 250, np.uint8)), "not in the palette"),
    "greyscale": (grey_png(), "greyscale"),
    "16 bits": (png16(), "16 bits"),
    "1 x 1": (encode_map_png(np.full((1, 1), VB, np.uint8)), "allowed are sides"),
    "20000 x 20000": (huge_png(), "allowed are sides"),
    "no PNG": (b"GIF89a" + b"\0" * 100, "not a PNG"),
    "cut short": (encode_map_png(empty_map(256))[:300], "damaged"),
    "empty": (b"", "not a PNG"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_uploads_are_explained(app, kind):
    on(app, "upload")
    content, message = BAD[kind]
    upload(app, content)
    (shown,) = errors(app)
    assert message in shown.replace("\\", "")


def test_a_good_upload_after_a_bad_one(app):
    on(app, "upload")
    upload(app, b"nothing")
    assert len(errors(app)) == 1
    mine = np.full((100, 200), VB, np.uint8)
    mine[20:40, 50:80] = HE
    upload(app, encode_map_png(mine))
    assert errors(app) == []
    summary = " ".join(box.body for box in app.html)
    assert "200 × 100 pixels, fitted to 64 × 64" in summary and "Haemorrhage" in summary
    app.number_input(key="upload_photos").set_value(2).run()
    app.number_input(key="upload_style").set_value(5).run()
    assert {"Map", "Photograph 5", "Photograph 6", "All as ZIP"} <= {b.label for b in app.download_button}
    next(b for b in app.button if b.label == "Open in Draw").click().run()
    assert errors(app) == []


def test_an_uploaded_map_opens_in_draw(app):
    mine = empty_map(TINY_SIZE, "right")
    mine[20:30, 20:30] = HE
    app.session_state["session"] = Session(uploaded=mine)
    on(app, "draw", start="upload")
    assert errors(app) == [] and not app.warning
    assert np.array_equal(app.session_state["session"].drawing.map, mine)


# --- a PNG that was made here comes back ---


@pytest.fixture(scope="module")
def networks(folder):
    return studio.Models(str(folder))


@pytest.fixture(scope="module")
def pair(networks):
    """A sampled map with photographs in its own and in another style."""
    return networks.photographed(networks.sampled(3, 7), [1007, 9])


def test_a_sampled_photograph_is_made_again_compared_and_opened_in_random(app, pair):
    on(app, "upload")
    upload(app, pair.photo_file(pair.photographs[0]))
    assert errors(app) == [] and not app.warning
    assert "map seed 7" in app.info[0].value and "style seed 1007" in app.info[0].value
    found = app.success[0].value.replace("\\", "")
    assert "has the hash" in found and "seeds give that map again" in found and "the photograph is the same" in found
    assert labels(app)[:3] == ["Open in Random", "Open in Styles", "Open in Draw"]
    app.button(key="restore_0").click().run()
    assert errors(app) == [] and "Photograph 1007" in [b.label for b in app.download_button]
    assert (app.session_state["grade"], app.session_state["seed"], app.session_state["photos"]) == ("3", 7, 2)


def test_a_photograph_in_another_style_opens_in_styles(app, pair):
    on(app, "upload")
    upload(app, pair.photo_file(pair.photographs[1]))
    assert errors(app) == [] and labels(app)[:2] == ["Open in Styles", "Open in Draw"]
    app.button(key="restore_0").click().run()
    assert errors(app) == [] and "Enlarge style 9" in labels(app)
    assert (app.session_state["map_grade"], app.session_state["map_seed"]) == ("3", 7)


def test_a_drawn_photograph_brings_its_map_back_to_draw(app, networks):
    mine = empty_map(TINY_SIZE, "right")
    mine[20:30, 20:30] = HE
    drawn = networks.pair(mine, "drawn", grade=3, map_seed=7, truncation=1.0)
    drawn = networks.photographed(drawn, [9])
    on(app, "upload")
    upload(app, drawn.photo_file(drawn.photographs[0]))
    assert errors(app) == [] and not app.warning and "the photograph is the same" in app.success[0].value
    assert labels(app)[0] == "Open in Draw"
    app.button(key="to_draw_restore").click().run()
    assert errors(app) == [] and np.array_equal(app.session_state["session"].drawing.map, mine)
    assert app.session_state["style"] == 9


def test_a_photograph_of_a_progression_opens_there(app, networks):
    grown = networks.pair(networks.progression(5)[4], "progression", grade=4, map_seed=5, truncation=1.0)
    grown = networks.photographed(grown, [6])
    on(app, "upload")
    upload(app, grown.photo_file(grown.photographs[0]))
    assert errors(app) == [] and "seeds give that map again" in app.success[0].value
    app.button(key="restore_0").click().run()
    assert errors(app) == [] and "Enlarge the photograph of grade 4" in labels(app)
    assert (app.session_state["map_seed"], app.session_state["style_seed"]) == (5, 6)


@pytest.mark.parametrize("kind", ["styles", "maps"])
def test_a_photograph_between_two_opens_where_it_was_made(app, networks, pair, kind):
    if kind == "styles":
        made = networks.photographed(pair, [networks.pipeline.style_between(3, 4, 0.25)])
    else:
        label_map = networks.between((3, 7), (1, 2), 0.25)
        between = {"grade": 3, "map_seed": 7, "truncation": 1.0, "map_between": (1, 2, 0.25)}
        made = networks.photographed(networks.pair(label_map, "sampled", **between), [3])
    on(app, "upload")
    upload(app, made.photo_file(made.photographs[0]))
    assert errors(app) == [] and not app.warning and "the photograph is the same" in app.success[0].value
    app.button(key="restore_0").click().run()
    assert errors(app) == [] and app.session_state["position"] == 25
    assert app.session_state["mode"] == ("Two styles" if kind == "styles" else "Two maps")


def test_a_sampled_map_comes_back_with_its_seeds_and_a_changed_one_does_not(app, pair):
    on(app, "upload")
    upload(app, pair.map_file())
    assert errors(app) == [] and "seeds give that map again" in app.success[0].value
    assert "Open in Random" in labels(app)
    changed = pair.label_map.copy()
    changed[30:34, 30:34] = HE
    upload(app, encode_map_png(changed, pair.origin.chunks()))
    assert errors(app) == [] and "it was changed afterwards" in app.warning[0].value
    assert "Open in Random" not in labels(app)


def test_other_weights_and_changed_pixels_are_said(app, pair):
    on(app, "upload")
    photograph = pair.photographs[0]
    other = Provenance(kind="photograph", source="sampled", map_sha256="a" * 64, grade=3, map_seed=7, style_seed=9)
    upload(app, encode_photo_png(photograph.pixels, other.chunks()))
    assert errors(app) == [] and "Other weights" in app.warning[0].value
    retouched = photograph.pixels.copy()
    retouched[32, 32] ^= 1
    chunks = pair.origin.with_style(photograph.style).chunks()
    upload(app, encode_photo_png(retouched, chunks))
    assert errors(app) == [] and "differs from the file" in app.warning[0].value.replace("\\", "")
