"""The app's pages, run without a browser on tiny networks, and what they are made of."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from retinagan.app import studio
from retinagan.files.photos import encode_photo_png
from tests.app_pages import errors, grey_png, labels, on, upload
from tests.helpers import tiny_model

PAGES = ("random", "draw", "styles", "progression", "upload", "template", "about")


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


def test_random_enlarges_with_measurements(app):
    app.query_params.update({"grade": "3", "seed": "12"})
    app.run()
    app.button(key="enlarge_3_12_1").click().run()
    assert errors(app) == []
    assert any("rg-measures" in box.body for box in app.html), "the measurements are there"
    assert {"Other styles", "Other grades"} <= set(labels(app))
    app.slider(key="enlarged_overlay").set_value(50).run()
    assert errors(app) == []


def test_random_reads_its_state_from_the_link(app):
    app.query_params.update({"grade": "3", "seed": "12", "photos": "2"})
    app.run()
    assert (app.session_state["grade"], app.session_state["seed"], app.session_state["photos"]) == ("3", 12, 2)
    assert "Photograph 1012" in [b.label for b in app.download_button]


# --- Styles ---


def test_gallery_shows_eight_styles_and_keeps_those_that_are_kept(app):
    on(app, "styles", map_seed="5", style_seed="3", keep="11-4")
    assert errors(app) == []
    shown = [label for label in labels(app) if label.startswith("Enlarge")]
    assert shown == [f"Enlarge style {n}" for n in (11, 4, 3, 5, 6, 7, 8, 9)]
    assert labels(app).count("Kept") == 2 and labels(app).count("Keep") == 6
    app.button(key="keep_8").click().run()
    app.button(key="keep_4").click().run()
    assert app.query_params["keep"] == "11-8" and errors(app) == []
    app.button(key="fresh_style_seed").click().run()
    shown = [label for label in labels(app) if label.startswith("Enlarge")]
    assert shown[:2] == ["Enlarge style 11", "Enlarge style 8"] and errors(app) == []
    app.segmented_control(key="map_grade").set_value("4").run()
    app.number_input(key="map_seed").set_value(6).run()
    app.number_input(key="style_seed").set_value(60).run()
    assert "Enlarge style 60" in labels(app) and errors(app) == []
    app.button(key="enlarge_style60").click().run()
    assert errors(app) == [] and {"Map", "Photograph"} <= {b.label for b in app.download_button}
    app.button(key="draw_style_60").click().run()
    assert errors(app) == [] and (app.session_state["style"], app.query_params["start"]) == (60, "g4-s6")


@pytest.mark.parametrize("mode", ["Two styles", "Two maps"])
def test_between_two_each_control_changed_once(app, mode):
    on(app, "styles", mode=mode, map_seed="5", style_seed="3")
    assert errors(app) == []
    for position in (0, 30, 100):
        app.slider(key="position").set_value(position).run()
        assert errors(app) == [] and "Map" in [b.label for b in app.download_button]
    if mode == "Two maps":
        app.segmented_control(key="grade_b").set_value("1").run()
    app.number_input(key="map_b" if mode == "Two maps" else "style_b").set_value(4).run()
    app.button(key="animate_way").click().run()
    assert errors(app) == [] and "GIF" in [b.label for b in app.download_button]
    gif = Image.open(io.BytesIO(app.session_state["session"].animations["way"][1]["gif"]))
    assert gif.n_frames >= 9 and b"not for diagnosis" in gif.info["comment"]


def fundus(side=200):
    """A bluish eye with a bright disc."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    photo = np.zeros((side, side, 3), np.uint8)
    photo[np.hypot(x, y) < 0.46] = (90, 70, 160)
    photo[np.hypot(x + 0.25, y) < 0.07] = (250, 240, 250)
    return photo


def test_a_reference_photograph_is_used_and_goes_to_draw(app):
    on(app, "styles", mode="Reference", map_seed="5", style_seed="3")
    upload(app, encode_photo_png(fundus()), "eye.png")
    assert errors(app) == [] and "Photograph" in [b.label for b in app.download_button]
    app.segmented_control(key="reference_part").set_value("Whole eye").run()
    assert errors(app) == []
    app.toggle(key="reference_own").set_value(True).run()
    assert errors(app) == []
    app.toggle(key="reference_own").set_value(False).run()
    app.segmented_control(key="reference_part").set_value("Light and texture").run()
    app.button(key="reference_draw").click().run()
    assert errors(app) == [] and app.session_state["style"] == 3
    style = app.session_state["session"].reference
    assert style.light is not None and style.reference is not None and not style.whole_eye


def test_bad_reference_photographs_are_explained(app):
    on(app, "styles", mode="Reference")
    black = np.zeros((100, 100, 3), np.uint8)
    black[0, 0] = (255, 0, 0)
    grey = np.repeat(fundus()[..., :1], 3, axis=2)
    bad = {
        "no photograph": b"GIF89a" + b"\0" * 100,
        "damaged": encode_photo_png(fundus())[:400],
        "greyscale": grey_png(),
        "no colours": encode_photo_png(grey),
        "no field of view": encode_photo_png(black),
    }
    for message, content in bad.items():
        upload(app, content, "eye.png")
        (shown,) = errors(app)
        assert message in shown.replace("\\", "").lower(), shown


# --- Progression ---


def test_progression_shows_five_grades_and_makes_an_animation(app):
    on(app, "progression", map_seed="5", style_seed="3")
    assert errors(app) == []
    wanted = [f"Enlarge the {what} of grade {grade}" for grade in range(5) for what in ("photograph", "map")]
    assert [label for label in labels(app) if label.startswith("Enlarge")] == wanted
    app.button(key="animate").click().run()
    assert errors(app) == [] and {"GIF", "WebP"} <= {b.label for b in app.download_button}
    for content in app.session_state["session"].animations["progression"][1].values():
        assert Image.open(io.BytesIO(content)).n_frames >= 2
    app.number_input(key="map_seed").set_value(6).run()
    assert "GIF" not in [b.label for b in app.download_button], "an animation of other seeds is not shown"
    app.number_input(key="style_seed").set_value(4).run()
    app.button(key="fresh_map_seed").click().run()
    app.button(key="fresh_style_seed").click().run()
    app.button(key="enlarge_photo4").click().run()
    assert errors(app) == []


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
