"""What the app's pages are made of, without a page."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import streamlit as st

from retinagan.app import compare, examples, measures, palette, server, starts, studio, widgets
from retinagan.app.history import MAX_STEPS, History
from retinagan.app.rendering import Renderer
from retinagan.files import provenance
from retinagan.files.maps import read_map_png
from retinagan.maps.labels import CLASSES, HE, empty_map
from tests.helpers import TINY_SIZE, tiny_model
from tests.paths import ROOT
from tools import figure


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def test_the_palette_and_templates_as_files():
    lines = palette.gimp_palette().decode().splitlines()
    assert lines[0] == "GIMP Palette" and len([line for line in lines if "\t" in line]) == 7
    assert "  0 186 127\tHaemorrhage (HE)" in lines
    for disc in ("left", "right", None):
        png = palette.template_png(disc)
        assert np.array_equal(read_map_png(png, None), empty_map(512, disc))
        assert provenance.read_png(png).source == "template"


def test_the_figures_in_assets_are_those_that_the_code_draws():
    for name, made in (("pipeline.svg", figure.pipeline_svg()), ("logo.svg", figure.logo_svg())):
        assert (ROOT / "assets" / name).read_text("utf-8") == made + "\n", "run python -m tools.figure"


# --- parts ---


def test_starts_as_text():
    for sampled in (starts.Sampled(3, 7), starts.Sampled(0, 2**63 - 1, 0.85), starts.Sampled(4, 0, 0.0)):
        assert starts.parse(starts.sampled_text(sampled.grade, sampled.seed, sampled.truncation)) == sampled
    for name, example in examples.EXAMPLES.items():
        text = starts.example_text(name)
        assert starts.parse(text) == starts.Bundled(name) and starts.describe(text) == example.title
    assert starts.describe("g3-s7-t0.5") == "Grade 3, seed 7, 0.5" and starts.describe("left") == "Empty eye, disc left"
    for wrong in ("", "g5-s1", "g3-s9223372036854775808", "g3-s7-t1.5", "g3-s-1", "left ", "example-", "example-x"):
        with pytest.raises(ValueError, match="start is"):
            starts.parse(wrong)


def start_of_the_server() -> None:
    """Until its thread has done what it does."""

    async def start() -> None:
        async with server.networks_ahead(st.App(ROOT / "web_demo.py")):
            for thread in threading.enumerate():
                if thread.name == "networks":
                    thread.join()

    asyncio.run(start())


def test_the_server_loads_the_networks_before_any_session(folder, monkeypatch):
    monkeypatch.setenv("RETINAGAN_MODEL", str(folder))
    st.cache_resource.clear()
    start_of_the_server()
    monkeypatch.delattr(studio, "Models")  # nothing can be loaded any more
    assert widgets.load(widgets.default_folder()).pipeline.name == "tiny"


def test_the_server_starts_without_weights_too(monkeypatch, tmp_path):
    monkeypatch.setenv("RETINAGAN_MODEL", str(tmp_path / "nowhere"))
    st.cache_resource.clear()
    start_of_the_server()
    assert gc.isenabled()
    with pytest.raises(FileNotFoundError, match="no model folder"):
        widgets.load(widgets.default_folder())


def test_one_thread_computes_for_all_sessions(folder):
    models = studio.Models(str(folder))
    with ThreadPoolExecutor(3) as sessions:
        found = set(sessions.map(lambda _: models.compute(threading.get_ident), range(9)))
    assert len(found) == 1 and found != {threading.get_ident()}
    with pytest.raises(ValueError, match="maps have shape"):
        models.compute(models.pipeline.render, np.zeros((1, 2, 2), np.uint8), [0])


def test_messages_show_a_strangers_text_letter_by_letter():
    assert widgets.plain("a [link](http://x) <b>*b*</b>\n# c") == r"A \[link\]\(http\://x\) \<b\>\*b\*\</b\> \# c"
    assert len(widgets.plain("x" * 10_000)) == 600


def test_a_small_lesion_is_not_missed_by_the_cache(folder):
    models = studio.Models(str(folder))
    one = empty_map(TINY_SIZE)
    two = one.copy()
    two[40, 40] = HE
    assert not np.array_equal(models.photograph(one, 3).pixels, models.photograph(two, 3).pixels)
    assert np.array_equal(models.photograph(two, 3).pixels, models.pipeline.render(two[None], [3])[0])


def test_the_overlay_colours_lesions_alone():
    label_map = empty_map(32)
    label_map[10:14, 16:20] = HE
    photo = np.full((32, 32, 3), 100, np.uint8)
    shown = studio.overlaid(photo, label_map, 1.0)
    assert (shown[label_map == HE] == CLASSES[HE].colour).all() and (shown[label_map != HE] == 100).all()
    assert tuple(studio.overlaid(photo, label_map, 0.5)[12, 18]) == (50, 143, 114)
    assert (photo == 100).all()


def test_every_class_has_letters_and_a_shape_beside_its_colour():
    css = palette.buttons_css()
    assert sorted(palette.ORDER) == list(range(7)) and set(palette.BRUSHES) == set(range(7))
    for number, label in enumerate(palette.ORDER, 1):
        c = CLASSES[label]
        assert f"nth-of-type({number})::before {{ background: rgb{c.colour};" in css
        assert f'"{c.short}: {c.looks_like}"' in css
        assert c.short in palette.badge(label)


def test_history_goes_back_and_forth():
    maps = [np.full((8, 8), k, np.uint8) for k in range(4)]
    history = History(maps[0])
    assert not history.can_undo and not history.can_redo
    assert history.add(maps[1], "one") and history.add(maps[2], "two")
    assert not history.add(maps[2].copy(), "the same"), "what changes nothing is no step"
    history.undo()
    assert np.array_equal(history.current, maps[1]) and history.can_redo and history.names == ["one"]
    history.add(maps[3], "three")
    history.redo()
    assert np.array_equal(history.current, maps[3]), "a new step takes the place of what was undone"
    history.clear()
    assert np.array_equal(history.current, maps[0])
    for _ in range(9):
        history.undo()
    assert np.array_equal(history.current, maps[0]) and not history.can_undo
    history.current[0, 0] = 9
    assert np.array_equal(History(maps[1]).current, maps[1])


def test_a_long_history_forgets_its_oldest_steps_but_not_the_start():
    history = History(np.zeros((4, 4), np.uint8))
    for number in range(MAX_STEPS + 50):
        history.add(np.full((4, 4), 1 + number % 5, np.uint8), str(number))
    assert len(history.names) == MAX_STEPS and history.names[-1] == str(MAX_STEPS + 49)
    history.clear()
    assert not history.current.any()


def wait_until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_newest_wish_wins_and_stale_ones_are_never_made():
    renderer, made, first_runs, go_on = Renderer(), [], threading.Event(), threading.Event()

    def make(name):
        def work():
            made.append(name)
            if name == "a":
                first_runs.set()
                go_on.wait(20)
            return name

        return work

    renderer.ask("a", make("a"))
    first_runs.wait(20)
    for name in "bcd":
        renderer.ask(name, make(name))
    assert renderer.look("d") == (True, None, None, None)
    go_on.set()
    wait_until(lambda: not renderer.look(None).pending)
    assert made == ["a", "d"] and renderer.look("d") == (False, "d", "d", None)
    renderer.ask("d", make("d"))
    assert not renderer.look("d").pending and made == ["a", "d"], "what is there is not made again"


def test_back_to_what_is_being_made_drops_the_wish_in_between():
    renderer, go_on = Renderer(), threading.Event()
    renderer.ask("a", lambda: go_on.wait(20) and "a")
    renderer.ask("b", lambda: "b")
    renderer.ask("a", lambda: "again")
    go_on.set()
    wait_until(lambda: not renderer.look(None).pending)
    assert renderer.look("a")[1:3] == ("a", "a")


def test_a_wish_that_fails_is_told_and_not_tried_again():
    renderer, tries = Renderer(), []

    def broken():
        tries.append(1)
        raise ValueError("no")

    renderer.ask("good", lambda: 1)
    wait_until(lambda: not renderer.look(None).pending)
    renderer.ask("bad", broken)
    wait_until(lambda: not renderer.look(None).pending)
    renderer.ask("bad", broken)
    assert len(tries) == 1 and str(renderer.look("bad").error) == "no"
    assert renderer.look("good") == (False, "good", 1, None), "what was made before is still there"


def test_differences_are_white_where_nothing_changed_and_say_their_scale():
    before = np.full((4, 4, 3), 100, np.uint8)
    after = before.copy()
    after[0, 0], after[1, 1] = 132, 68
    signed = compare.signed_difference(after, before, 2)
    assert tuple(signed[3, 3]) == (255, 255, 255)
    lighter, darker = signed[0, 0].astype(int), signed[1, 1].astype(int)
    assert lighter[0] > lighter[2] + 100 and darker[2] > darker[0] + 100, "orange and blue"
    assert np.array_equal(compare.signed_difference(after, before, 8)[0, 0], signed[0, 0]), "the scale ends at 32"
    absolute = compare.absolute_difference(after, before, 1)
    assert (absolute[0, 0] == 128).all() and (absolute[1, 1] == 128).all() and not absolute[3, 3].any()
    assert "darker by 32" in compare.legend(True, 2) and "differs by 8" in compare.legend(False, 8)
    with pytest.raises(ValueError, match="must agree"):
        compare.signed_difference(after, before[:2], 1)


def test_measurements_as_tables():
    found = measures.measure(examples.read("severe"))
    table = measures.lesion_table(found)
    assert table.count("<tr>") == 6 and ">96<small>" in table and "Superior temporal" in table
    signs = measures.sign_table(measures.icdr_signs(found))
    assert signs.count("cannot be told") == 4 and "rg-sign-met" in signs
