"""The page Draw, run without a browser on tiny networks."""

from __future__ import annotations

import time

import numpy as np
import pytest

from retinagan.app import examples
from retinagan.app.redraws import Redraws
from retinagan.app.state import Session
from retinagan.eye.style import Style
from retinagan.files.maps import encode_map_png
from retinagan.maps import lesions
from retinagan.maps.labels import BG, EX, HE, MA, OD, VB, empty_map
from retinagan.pipeline import RetinaGAN
from tests.app.test_board import disc, mark, sent
from tests.app_pages import errors, on
from tests.helpers import TINY_SIZE


def circle(label, radius=0.1):
    return disc(0.6, 0.6, radius, label)


def send(app, *objects):
    """What the canvas sends: all its strokes."""
    app.session_state[app.session_state["session"].drawing.key] = sent(*objects)
    return app.run()


def drawn(app):
    return app.session_state["session"].drawing.map


def rendered(app):
    """Run the page until the photograph has come; what was made."""
    renderer = app.session_state["session"].renderer
    deadline = time.monotonic() + 60
    while renderer.look(None).pending:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    app.run()
    assert errors(app) == []
    return renderer.look(None).made


def apart(a, b):
    """The largest difference of two photographs."""
    return np.abs(a.astype(int) - b).max()


def button(app, label):
    return next(b for b in app.button if b.label == label)


def follower(widgets, name):
    """The widget of that name that follows a value: ``retinagan.app.state.following``."""
    return next(widget for widget in widgets if widget.key.startswith(f"{name}~"))


# --- drawing ---


def test_the_map_follows_the_strokes(app):
    on(app, "draw")
    assert np.array_equal(drawn(app), empty_map(TINY_SIZE, "left"))
    assert button(app, "Undo").disabled and button(app, "Redo").disabled and button(app, "Clear").disabled
    send(app, circle(HE))
    assert errors(app) == []
    assert (drawn(app) == HE).sum() == pytest.approx(np.pi * (0.1 * TINY_SIZE) ** 2, rel=0.1)
    assert set(np.unique(drawn(app))) == {BG, HE, OD, VB}
    send(app, circle(HE), circle(EX, 0.05))
    assert app.session_state["session"].drawing.names == ["Haemorrhage, circle", "Hard exudate, circle"]
    both = drawn(app)
    assert any("Step 2: Hard exudate, circle." in box.body for box in app.html)
    button(app, "Undo").click().run()
    assert (drawn(app) == HE).any() and not (drawn(app) == EX).any()
    button(app, "Undo").click().run()
    assert np.array_equal(drawn(app), empty_map(TINY_SIZE, "left")) and button(app, "Undo").disabled
    button(app, "Redo").click().run()
    button(app, "Redo").click().run()
    assert np.array_equal(drawn(app), both)
    button(app, "Clear").click().run()
    assert np.array_equal(drawn(app), empty_map(TINY_SIZE, "left"))
    button(app, "Undo").click().run()
    assert np.array_equal(drawn(app), both) and errors(app) == []


def test_a_button_keeps_the_strokes_that_came_with_it(app):
    on(app, "draw")
    app.session_state[app.session_state["session"].drawing.key] = sent(circle(HE))
    button(app, "To right eye").click().run()
    assert app.session_state["session"].drawing.names == ["Haemorrhage, circle", "Mirror"] and (drawn(app) == HE).any()


def test_strokes_of_a_former_canvas_are_dropped(app):
    on(app, "draw")
    former = app.session_state["session"].drawing.key
    button(app, "Empty eye, disc right").click().run()
    assert app.session_state["session"].drawing.key != former
    app.session_state[former] = sent(circle(HE))
    app.run()
    assert np.array_equal(drawn(app), empty_map(TINY_SIZE, "right")) and errors(app) == []


@pytest.mark.parametrize("wrong", [circle(HE) | {"fill": "#123456"}, mark(0.001, 0.001, OD), "x"])
def test_what_is_wrong_with_a_stroke_is_said_and_spares_the_others(app, wrong):
    on(app, "draw")
    send(app, wrong, circle(HE, 0.05))
    assert errors(app) == [] and len(app.warning) == 1
    assert (drawn(app) == HE).any()
    send(app, circle(EX))
    assert not app.warning


@pytest.mark.parametrize("value", [{}, {"drawing": {"raw": {"objects": {"a": 1}}}}])
def test_nonsense_from_the_canvas_does_nothing(app, value):
    on(app, "draw")
    app.session_state[app.session_state["session"].drawing.key] = value
    app.run()
    assert errors(app) == [] and np.array_equal(drawn(app), empty_map(TINY_SIZE, "left"))


def test_zoom_and_a_closer_look(app):
    on(app, "draw")
    send(app, circle(HE))
    follower(app.segmented_control, "zoom").set_value(4).run()
    assert app.session_state["session"].drawing.zoom == 4 and (drawn(app) == HE).any()
    for name in ("Left", "Right", "Up", "Down", "Down"):
        button(app, name).click().run()
    assert app.session_state["session"].drawing.window == (24, 32, 16) and errors(app) == []
    follower(app.segmented_control, "zoom").set_value(1).run()
    app.pills(key="tool").set_value("closer").run()
    send(app, mark(0.75, 0.5, BG))
    assert app.session_state["session"].drawing.window == (40, 24, 16)
    assert follower(app.segmented_control, "zoom").value == 4 and app.pills(key="tool").value == "freehand"
    send(app, circle(EX))
    assert (drawn(app)[24:40, 40:56] == EX).any() and not (np.delete(drawn(app), slice(24, 40), 0) == EX).any()


def test_the_drawing_is_still_there_after_another_page(app):
    on(app, "draw")
    send(app, circle(HE))
    expected = drawn(app)
    on(app, "about")
    on(app, "draw")
    assert np.array_equal(drawn(app), expected) and (expected == HE).any()


# --- controls ---


def test_each_control_changed_once(app):
    on(app, "draw")
    app.pills(key="palette").set_value(MA).run()
    assert app.session_state["brush"] == 4, "a microaneurysm's brush is fine"
    app.slider(key="brush").set_value(11).run()
    button(app, "Patch").click().run()
    assert app.session_state["brush"] == 28
    for tool in ("line", "polygon", "circle", "rectangle", "spray", "disc", "closer", "freehand"):
        app.pills(key="tool").set_value(tool).run()
        assert errors(app) == [], tool
        assert app.slider(key="brush").disabled == (tool not in ("freehand", "line", "spray"))
    app.number_input(key="style").set_value(40).run()
    app.number_input(key="styles").set_value(3).run()
    assert [p.style.seed for p in rendered(app).pair.photographs] == [40, 41, 42]
    assert {"Photograph 40", "Photograph 41", "Photograph 42", "All as ZIP"} <= {b.label for b in app.download_button}
    app.slider(key="overlay").set_value(60).run()
    button(app, "New style").click().run()
    assert app.session_state["style"] == 43 and errors(app) == []


def test_lesions_by_number_are_seeded_and_can_be_undone(app):
    on(app, "draw")
    app.session_state["numbers"] = True
    app.run()
    follower(app.slider, "load_MA").set_value(12).run()
    assert errors(app) == [] and lesions.count_lesions(drawn(app), MA) == 12
    twelve = drawn(app)
    app.button(key="load_MA_-20").click().run()
    assert lesions.count_lesions(drawn(app), MA) == 0 and follower(app.slider, "load_MA").value == 0
    app.button(key="load_HE_+5").click().run()
    assert lesions.count_lesions(drawn(app), HE) == 5
    button(app, "Undo").click().run()
    button(app, "Undo").click().run()
    assert np.array_equal(drawn(app), twelve)
    button(app, "Undo").click().run()
    follower(app.slider, "load_MA").set_value(12).run()
    assert np.array_equal(drawn(app), twelve), "the same seed, the same places"
    button(app, "Undo").click().run()
    app.number_input(key="lesion_seed").set_value(5).run()
    follower(app.slider, "load_MA").set_value(12).run()
    assert lesions.count_lesions(drawn(app), MA) == 12 and not np.array_equal(drawn(app), twelve)


def test_what_the_page_changes_gets_a_new_widget_and_what_the_user_moves_stays(app):
    """A browser that still tells a slider's former value, after a button changed it, must not undo the button."""
    on(app, "draw")
    app.session_state["numbers"] = True
    app.run()
    first = follower(app.slider, "load_HE").key
    app.button(key="load_HE_+5").click().run()
    second = follower(app.slider, "load_HE")
    assert second.value == 5 and second.key != first
    app.session_state[first] = 0
    app.run()
    assert lesions.count_lesions(drawn(app), HE) == 5
    second.set_value(7).run()
    third = follower(app.slider, "load_HE")
    assert third.value == lesions.count_lesions(drawn(app), HE) == 7 and third.key == second.key
    zoom = follower(app.segmented_control, "zoom").key
    follower(app.segmented_control, "zoom").set_value(4).run()
    assert follower(app.segmented_control, "zoom").key == zoom
    app.pills(key="tool").set_value("closer").run()
    follower(app.segmented_control, "zoom").set_value(1).run()
    send(app, mark(0.75, 0.5, BG))
    assert follower(app.segmented_control, "zoom").key != zoom and app.session_state["session"].drawing.zoom == 4


def test_more_lesions_than_there_is_room_for(app):
    on(app, "draw")
    app.session_state["numbers"] = True
    app.run()
    follower(app.slider, "load_EX").set_value(120).run()
    for _ in range(20):
        app.button(key="load_EX_+20").click().run()
        if app.warning:
            break
    assert "room for" in app.warning[0].value and errors(app) == []


def test_the_other_eye(app):
    on(app, "draw")
    button(app, "To right eye").click().run()
    assert np.flatnonzero((drawn(app) == OD).any(axis=0)).mean() > TINY_SIZE / 2
    button(app, "To left eye").click().run()
    assert np.flatnonzero((drawn(app) == OD).any(axis=0)).mean() < TINY_SIZE / 2
    on(app, "draw", start="none")
    assert button(app, "Mirror") and errors(app) == []


# --- photographs ---


def test_the_photograph_is_that_of_the_map(app, folder):
    on(app, "draw", style="5")
    send(app, circle(HE))
    made = rendered(app)
    model = RetinaGAN.from_pretrained(folder, device="cpu")
    assert apart(made.pair.photographs[0].pixels, model.render(drawn(app)[None], [5])[0]) <= 1
    assert made.pair.origin.source == "drawn" and made.healthy is None
    assert {"Map", "Photograph", "Pair as ZIP"} <= {b.label for b in app.download_button}


def test_without_live_a_photograph_comes_when_render_is_pressed(app):
    on(app, "draw")
    first = rendered(app)
    app.toggle(key="live").set_value(False).run()
    send(app, circle(HE))
    assert rendered(app) is first, "nothing is rendered"
    assert any("press Render" in box.body for box in app.html)
    app.button(key="render").click().run()
    assert np.array_equal(rendered(app).pair.label_map, drawn(app))
    assert app.button(key="render").disabled, "it is up to date"


def test_before_and_after_and_difference_have_the_eye_without_lesions(app, folder):
    on(app, "draw", start="example-moderate")
    app.segmented_control(key="view").set_value("Before and after").run()
    made = rendered(app)
    model = RetinaGAN.from_pretrained(folder, device="cpu")
    healthy = lesions.lesion_free(drawn(app))
    assert np.array_equal(made.healthy.pixels, model.render(healthy[None], [7])[0])
    app.segmented_control(key="view").set_value("Difference").run()
    rendered(app)
    assert any("lighter by 32" in box.body for box in app.html)
    app.segmented_control(key="gain").set_value(8).run()
    app.segmented_control(key="scale").set_value("Absolute").run()
    assert any("differs by 8" in box.body for box in app.html) and errors(app) == []


def test_a_photograph_that_cannot_be_made_is_said_and_the_next_one_comes(app, monkeypatch):
    on(app, "draw")
    rendered(app)

    def broken(*_):
        raise RuntimeError("secret /path")

    with monkeypatch.context() as patch:
        patch.setattr(Redraws, "photographed", broken)
        send(app, circle(HE))
        while app.session_state["session"].renderer.look(None).pending:
            time.sleep(0.02)
        app.run()
        (message,) = errors(app)
        assert "RuntimeError" in message and "secret" not in message
    send(app, circle(EX))
    assert (rendered(app).pair.label_map == EX).any()


def test_the_light_of_a_reference_is_used_and_can_be_dropped(app, folder):
    code = tuple(np.linspace(-2, 2, RetinaGAN.from_pretrained(folder).photo_generator.config.latent_dim))
    app.session_state["session"] = Session(reference=Style(0, light=code))
    on(app, "draw")
    lit = rendered(app).pair.photographs[0].pixels
    app.button(key="drop_reference").click().run()
    assert not np.array_equal(rendered(app).pair.photographs[0].pixels, lit)
    assert app.session_state["session"].reference is None


# --- measurements ---


def test_measurements_stand_beside_the_map(app):
    on(app, "draw", start="example-mild")
    table = next(box.body for box in app.html if "Superior temporal" in box.body)
    assert "Microaneurysm" in table
    signs = next(box.body for box in app.html if "ICDR" in box.body)
    assert "cannot be told" in signs and "New vessels" in signs


# --- starts ---


def test_starts_from_what_is_asked(app, folder):
    model = RetinaGAN.from_pretrained(folder, device="cpu")
    on(app, "draw")
    send(app, circle(HE))
    button(app, "Empty eye, disc right").click().run()
    assert errors(app) == [] and np.array_equal(drawn(app), empty_map(TINY_SIZE, "right")), "no strokes on a new start"
    for text, expected in (("g3-s7", model.sample_maps(3, [7])), ("g3-s7-t0.5", model.sample_maps(3, [7], 0.5))):
        app.query_params["start"] = text
        app.run()
        assert np.array_equal(drawn(app), expected[0]) and errors(app) == []
    button(app, "Cotton-wool spots").click().run()
    assert np.array_equal(drawn(app), examples.read("cotton-wool", TINY_SIZE))
    assert "example-cotton-wool" in app.query_params["start"]


def test_a_map_of_ones_own(app):
    mine = empty_map(TINY_SIZE, "right")
    mine[20:30, 20:30] = HE
    on(app, "draw")
    app.file_uploader[0].set_value(("map.png", b"GIF89a", "image/png"))
    button(app, "Start from this file").click().run()
    assert "not a PNG" in errors(app)[0]
    app.file_uploader[0].set_value(("map.png", encode_map_png(mine), "image/png"))
    button(app, "Start from this file").click().run()
    assert errors(app) == [] and np.array_equal(drawn(app), mine)


@pytest.mark.parametrize("start", ["upload", "g9-s1", "../../etc", "<b>x</b>", "example-", "example-../secret"])
def test_falls_back_from_a_start_that_is_none(app, start):
    on(app, "draw", start=start)
    assert errors(app) == [] and len(app.warning) == 1
    assert np.array_equal(drawn(app), empty_map(TINY_SIZE, "left"))
