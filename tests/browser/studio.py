"""What a user does in the app, as methods; each waits until the page has answered."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from retinagan.files.maps import read_map_png

IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
BUSY = '[data-stale="true"], [data-testid="stProgress"]'
PAGES = {"random": "", "draw": "draw", "upload": "upload", "template": "template", "about": "about"}


class Studio:
    """One browser tab on the app."""

    def __init__(self, page, address: str) -> None:
        self.page = page
        self.address = address

    # --- pages ---

    def open(self, path: str = "") -> None:
        self.page.goto(f"{self.address}/{path}")
        self.page.get_by_text("not for diagnosis").first.wait_for()
        self.idle()

    def idle(self) -> None:
        """Wait until no script runs and nothing is marked as of an older run."""
        self.page.locator(IDLE).wait_for(state="attached")
        self.page.wait_for_function(f"() => document.querySelector('{IDLE}') && !document.querySelector('{BUSY}')")

    def faded(self) -> None:
        """As :meth:`idle`, and wait until nothing fades any more: what was of an older run comes back by degrees."""
        self.idle()
        self.page.wait_for_function(
            "() => !document.getAnimations().some(a => a instanceof CSSTransition && a.playState === 'running')"
        )

    def go_to(self, name: str) -> None:
        """By the navigation's link."""
        self.page.get_by_test_id("stTopNavLink").filter(has_text=name).first.click()
        self.page.get_by_role("heading", name=name).first.wait_for()
        self.idle()

    def troubles(self) -> list[str]:
        """Texts of error boxes and tracebacks on the page."""
        boxes = self.page.locator('[data-testid="stException"], [data-testid="stAlertContentError"]')
        return [box.inner_text() for box in boxes.all()]

    # --- drawing ---

    @property
    def canvas(self):
        return self.page.locator("canvas.dc-canvas.upper-canvas")

    def canvas_ready(self) -> None:
        """The photograph is there, and the canvas takes strokes."""
        self.photo_source()
        self.mounted()

    def mounted(self, former: str = "loading") -> None:
        """The canvas that came after ``former`` has loaded what it begins with and takes strokes; it is alone."""
        self.page.wait_for_function(
            """former => {
              const step = document.querySelector('.rg-step');
              return step && !['loading', former].includes(step.dataset.canvas);
            }""",
            arg=former,
        )
        self.idle()
        self.canvas.wait_for()

    def mount(self) -> str:
        """Which canvas it is, of all that this session has had."""
        return self.page.locator(".rg-step").get_attribute("data-canvas")

    def close_popover(self) -> None:
        """Wait until it is gone and the keyboard's focus back on its button, which a key would press meanwhile."""
        self.page.keyboard.press("Escape")
        self.page.get_by_test_id("stPopoverBody").wait_for(state="detached")
        self.page.wait_for_function("() => document.activeElement !== document.body")
        self.settle()
        self.idle()  # its closing is told to the server

    def key(self, control, key: str = "Enter") -> None:
        """A key on a control, once it can be used and has the focus."""
        control.and_(self.page.locator(":enabled")).wait_for()
        control.focus()
        self.page.wait_for_function("element => document.activeElement === element", arg=control.element_handle())
        control.press(key)

    def steps(self) -> int:
        """How many steps and strokes the server knows of."""
        return int(self.page.locator(".rg-step").get_attribute("data-steps"))

    def step(self, number: int) -> None:
        """Wait until it knows of so many."""
        self.page.locator(f'.rg-step[data-steps="{number}"]').wait_for()
        self.idle()

    def choose(self, group: str, name: str, hint: str) -> None:
        """A pill of ``palette`` or ``tool``; ``hint`` is how the line below it begins once it is chosen."""
        self.page.locator(f".st-key-{group}").get_by_role("radio", name=re.compile(name)).click()
        self.page.locator(".rg-hint").filter(has_text=hint).wait_for()
        self.settle()

    def settle(self) -> None:
        """Idle, and the canvas knows its tool: one that changes during a stroke would end the stroke."""
        self.idle()
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def brush(self, name: str) -> None:
        """A preset of the brush."""
        slider = self.page.locator(".st-key-brush [role=slider], .st-key-brush input[type=range]").first
        before = slider.get_attribute("aria-valuenow") or slider.input_value()
        self.page.get_by_role("button", name=name, exact=True).click()
        self.page.wait_for_function(
            "old => { const s = document.querySelector('.st-key-brush [role=slider], .st-key-brush input[type=range]');"
            " return (s.getAttribute('aria-valuenow') || s.value) !== old; }",
            arg=before,
        )
        self.settle()

    def drag(self, *points: tuple[float, float]) -> None:
        """The mouse through points, each x and y as a share of the canvas; one point is a click."""
        box = self.canvas.bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=8)
        self.page.mouse.up()

    def stroke(self, *points: tuple[float, float]) -> None:
        """Drag, and wait until the server knows of it."""
        before = self.steps()
        self.drag(*points)
        self.step(before + 1)

    def press(self, name: str, change: int) -> None:
        """Undo, Redo or Clear; waits until so many steps were added (or taken back), and for the new canvas."""
        before, former = self.steps(), self.mount()
        self.page.locator(".st-key-map_head").get_by_role("button", name=name).click()
        self.step(before + change)
        self.mounted(former)

    def zoom(self, times: int) -> None:
        former = self.mount()
        self.page.locator(".st-key-view_controls").get_by_role("radio", name=f"×{times}").click()
        self.page.locator(".rg-overview").wait_for(state="detached" if times == 1 else "attached")
        self.mounted(former)

    def pan(self, way: str) -> None:
        """One of the buttons that move what is shown."""
        former = self.mount()
        self.page.get_by_role("button", name=way, exact=True).click()
        self.mounted(former)

    def photo_source(self) -> str:
        """Address of the photograph that is shown, when it is that of the map; it changes with its content."""
        image = self.page.locator(".st-key-photo_current img").first
        image.wait_for()
        return image.get_attribute("src")

    def photo_changed(self, before: str) -> None:
        self.page.wait_for_function(
            "old => { const i = document.querySelector('.st-key-photo_current img');"
            " return i && i.getAttribute('src') !== old; }",
            arg=before,
        )
        self.idle()

    # --- files ---

    def download(self, label: str, inside: str = "") -> tuple[str, bytes]:
        """Name and content of what the button ``label`` gives, once no run can take its file away."""
        self.idle()
        button = (
            self.page.locator(f"{inside} [data-testid=stDownloadButton] button")
            .filter(has_text=re.compile(label))
            .first
        )
        with self.page.expect_download() as waiting:
            button.click()
        return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()

    def map(self) -> np.ndarray:
        """The exported lesion map ``uint8 (H, W)``."""
        return read_map_png(self.download("^.*Map$")[1], None)

    def photograph(self) -> np.ndarray:
        """The lossless photograph ``uint8 (H, W, 3)``."""
        return pixels(self.download("Photograph")[1])

    def pair(self) -> dict[str, bytes]:
        """Files of the pair's ZIP."""
        with zipfile.ZipFile(io.BytesIO(self.download("Pair as ZIP")[1])) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}


def pixels(png: bytes, kind: str = "PNG") -> np.ndarray:
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == kind
        return np.asarray(picture.convert("RGB"))
