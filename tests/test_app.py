"""The app's pages, run without a browser on tiny networks, and what they are made of."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from retinagan import provenance
from retinagan.app import studio
from retinagan.labels import HE, VB, empty_map
from retinagan.maps_io import encode_map_png, encode_photo_png
from tests.helpers import TINY_SIZE, tiny_model

ROOT = Path(__file__).resolve().parent.parent
PAGES = {name: f"retinagan/app/page_{name}.py" for name in ("random", "draw", "upload", "template", "about")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def app(folder, monkeypatch):
    monkeypatch.setenv("RETINAGAN_MODEL", str(folder))
    return AppTest.from_file(str(ROOT / "web_demo.py"), default_timeout=60)


def on(app, page, **link):
    """Open a page as a link does; the app has to have run once before it knows its pages."""
    app.query_params["grade"] = "0"
    app.run()
    app.query_params.clear()
    for name, value in link.items():
        app.query_params[name] = value
    app.switch_page(PAGES[page])
    return app.run()


def errors(app):
    assert not app.exception, "an exception reached the page"
    return [box.value for box in app.error]


# --- every page ---


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_without_an_error_and_says_synthetic(app, page):
    on(app, page)
    assert errors(app) == []
    assert any("not for diagnosis" in box.body for box in app.html)


@pytest.mark.parametrize("page", ["random", "draw"])
def test_without_weights_a_page_says_what_is_missing(app, page, monkeypatch, tmp_path):
    monkeypatch.setenv("RETINAGAN_MODEL", str(tmp_path / "nowhere"))
    (message,) = errors(on(app, page))
    assert "No model folder" in message.replace("\\", "")


def test_damaged_weights_are_named(app, folder, monkeypatch, tmp_path):
    for name in ("maps", "photos"):
        content = (folder / f"{name}.safetensors").read_bytes()
        (tmp_path / f"{name}.safetensors").write_bytes(content if name == "maps" else content[: len(content) // 2])
    monkeypatch.setenv("RETINAGAN_MODEL", str(tmp_path))
    (message,) = errors(on(app, "random"))
    assert "not a whole safetensors file" in message.replace("\\", "")
    on(app, "about")
    assert errors(app) == []
    assert any("Cannot be read" in caption.value for caption in app.caption)


def test_an_unexpected_error_shows_no_details(app, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("secret /path")

    monkeypatch.setattr(studio.Models, "sample", broken)
    (message,) = errors(on(app, "random"))
    assert "RuntimeError" in message and "secret" not in message
    assert "secret /path" in caplog.text, "the log has it"


def test_other_folders_of_weights_beside_it_are_offered(app, folder, monkeypatch, tmp_path):
    on(app, "random")
    assert not app.sidebar.selectbox, "one model needs no choice"
    for name in ("first", "second"):
        tiny_model(tmp_path / name)
    (tmp_path / "unfinished").mkdir()
    monkeypatch.setenv("RETINAGAN_MODEL", str(tmp_path / "second"))
    on(app, "random")
    assert app.sidebar.selectbox[0].options == ["second", "first"]
    app.sidebar.selectbox[0].select("first").run()
    assert errors(app) == []


# --- Random ---


def test_random_shows_five_grades_then_what_each_control_asks_for(app):
    app.run()
    assert len([b for b in app.button if b.label == "Open in Draw"]) == 5
    app.segmented_control(key="grade").set_value("3").run()
    assert len([b for b in app.button if b.label == "Open in Draw"]) == 1
    app.number_input(key="maps").set_value(2).run()
    app.number_input(key="photos").set_value(3).run()
    app.slider(key="truncation").set_value(0.5).run()
    app.number_input(key="seed").set_value(100).run()
    assert errors(app) == []
    labels = [b.label for b in app.download_button]
    assert labels.count("Map") == 2 and {
        "Photograph 100",
        "Photograph 1100",
        "Photograph 2100",
        "Photograph 101",
    } <= set(labels)
    assert "All 2 pairs as ZIP" in labels
    old = app.session_state["seed"]
    next(b for b in app.button if b.label == "New seed").click().run()
    assert errors(app) == [] and 0 <= app.session_state["seed"] < 1_000_000 != old


def test_random_reads_its_state_from_the_link_and_passes_over_nonsense(app):
    app.query_params.update({"grade": "3", "seed": "12", "photos": "2"})
    app.run()
    assert (app.session_state["grade"], app.session_state["seed"], app.session_state["photos"]) == ("3", 12, 2)
    assert "Photograph 1012" in [b.label for b in app.download_button]
    for wrong in ({"grade": "9"}, {"seed": "-1"}, {"seed": "x"}, {"maps": "99"}, {"truncation": "nan"}):
        fresh = AppTest.from_file(str(ROOT / "web_demo.py"), default_timeout=60)
        fresh.query_params.update({"grade": "0"} | wrong)
        fresh.run()
        assert errors(fresh) == [], wrong
        assert fresh.session_state["seed"] >= 0 and fresh.session_state["maps"] <= 6


# --- Upload ---


def upload(app, content, name="map.png"):
    app.file_uploader[0].set_value((name, content, "image/png"))
    return app.run()


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


def grey_png():
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 255).save(buffer, "PNG")
    return buffer.getvalue()


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
    app.session_state["draw_upload"] = mine
    on(app, "draw", start="upload")
    assert errors(app) == [] and not app.warning
    assert np.array_equal(app.session_state["drawing"].map, mine)


def test_a_photograph_that_was_made_here_tells_its_seeds(app, folder):
    models = studio.Models(str(folder), ())
    sheet = studio.Sheet(models.pipeline.sample_maps(3, [7])[0], "sampled", models, 3, 7, 1.0)
    photograph = studio.Photograph(models.pipeline.render(sheet.label_map[None], [9])[0], 9)
    on(app, "upload")
    upload(app, sheet.photo_file(photograph))
    assert errors(app) == [] and not app.warning
    assert "map seed 7" in app.info[0].value and "style seed 9" in app.info[0].value
    assert "Open what made it in Draw" in [b.label for b in app.button]
    drawn_here = studio.Sheet(sheet.label_map, "drawn", models)
    upload(app, drawn_here.photo_file(photograph))
    assert "Open what made it in Draw" not in [b.label for b in app.button]
    other = provenance.Provenance("photograph", "sampled", "a" * 64, grade=3, map_seed=7, style_seed=9)
    upload(app, encode_photo_png(photograph.pixels, other.chunks()))
    assert "Other weights" in app.warning[0].value


# --- About and Template ---


def test_about_shows_the_model_card_and_attribution(app, monkeypatch, tmp_path):
    tiny_model(tmp_path / "mine")
    (tmp_path / "mine" / "README.md").write_text("# Card of mine\n\n<script>alert(1)</script>")
    monkeypatch.setenv("RETINAGAN_MODEL", str(tmp_path / "mine"))
    on(app, "about")
    assert errors(app) == []
    text = " ".join(box.value for box in app.markdown)
    assert "Card of mine" in text and "IDRiD" in text and "CC BY 4.0" in text and "million parameters" in text
    assert not any(box.proto.allow_html for box in app.markdown)
