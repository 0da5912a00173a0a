"""A drawing belongs to its tab: it outlives a reload, another start and the server."""

from __future__ import annotations

import json
import os
import signal

import numpy as np

from retinagan.maps.labels import HE
from tests.browser.conftest import running_app, session
from tests.browser.studio import Studio


def two_strokes(studio: Studio) -> np.ndarray:
    studio.open("draw?start=left")
    studio.canvas_ready()
    studio.brush("Patch")
    studio.stroke((0.5, 0.5), (0.7, 0.5))
    studio.stroke((0.5, 0.7))
    return studio.map()


def is_whole(studio: Studio, label_map: np.ndarray) -> None:
    """The drawing is there with its steps, one by one, and can be drawn on."""
    assert np.array_equal(studio.map(), label_map)
    studio.press("Undo", -1)
    assert 0 < (studio.map() == HE).sum() < (label_map == HE).sum()
    studio.press("Redo", 1)
    assert np.array_equal(studio.map(), label_map)
    studio.stroke((0.3, 0.3))
    assert (studio.map() == HE).sum() > (label_map == HE).sum()
    assert studio.troubles() == []


def test_a_reload_keeps_it(tiny_studio):
    drawn = two_strokes(tiny_studio)
    tiny_studio.page.reload()
    tiny_studio.step(2)
    tiny_studio.mounted()
    is_whole(tiny_studio, drawn)


def test_only_the_page_undoes(tiny_studio):
    """The canvas' own Undo leaves the page's Redo grey, and its Reset empties what nothing brings back."""
    two_strokes(tiny_studio)
    for _ in range(2):
        tiny_studio.canvas.hover()
        shown = tiny_studio.page.locator("button.dc-icon-button:visible")
        shown.first.wait_for()
        titles = [button.get_attribute("title") for button in shown.all()]
        assert any(title.startswith("Edit") for title in titles), titles
        assert not [title for title in titles if title.startswith(("Undo", "Redo", "Reset"))], titles
        tiny_studio.press("Undo", -1)  # mounts another canvas


def test_another_start_sets_it_aside_and_it_can_be_brought_back(tiny_studio):
    drawn = two_strokes(tiny_studio)
    tiny_studio.open("draw?start=right")
    tiny_studio.step(0)
    tiny_studio.page.get_by_role("button", name="Empty eye, disc right").first.click()
    tiny_studio.page.get_by_role("button", name="Bring back: Empty eye, disc left, 2 steps").click()
    tiny_studio.step(2)
    tiny_studio.mounted()
    is_whole(tiny_studio, drawn)


def test_a_killed_server_takes_nothing_with_it(browser, tiny_folder, tmp_path):
    started: list[int] = []
    with running_app(tiny_folder, tmp_path, started) as address:
        with session(browser, address) as studio:
            drawn = two_strokes(studio)
            studio.zoom(2)
            os.kill(started[0], signal.SIGKILL)
            studio.page.get_by_text("Connection", exact=False).first.wait_for()
            with running_app(tiny_folder, tmp_path, started, int(address.rpartition(":")[2])):
                studio.page.locator('[data-testid="stApp"][data-test-connection-state="CONNECTED"]').wait_for()
                studio.step(2)
                studio.mounted()
                is_whole(studio, drawn)


def test_a_saved_drawing_opens_in_another_session(tiny_studio, browser, tiny_address, tmp_path):
    drawn = two_strokes(tiny_studio)
    name, content = tiny_studio.download("Save drawing")
    assert name.startswith("drawing-drawn-") and name.endswith(".json") and len(json.loads(content)["steps"]) == 2
    file = tmp_path / "mine.json"
    file.write_bytes(content)
    with session(browser, tiny_address) as other:
        other.open("draw?start=right")
        other.canvas_ready()
        other.page.get_by_role("button", name="Empty eye, disc right").first.click()
        other.page.locator("input[type=file]").first.set_input_files(file)
        other.page.get_by_text("mine.json").wait_for()
        other.idle()
        other.page.get_by_role("button", name="Start from this file").click()
        other.step(2)
        other.close_popover()
        other.mounted()
        is_whole(other, drawn)
