"""Seconds and memory of the running app, as a user meets it: `retinagan bench --browser` runs it.

Cold start is from starting the server's process to the first photograph on the page. A stroke's seconds are taken by
the page's own clock: from the mouse button's release to the first frame that shows the new photograph.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.paths import ROOT

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PHOTOGRAPHS = (
    "count => [...document.querySelectorAll('[data-testid=\"stImage\"] img')]"
    ".filter(i => i.naturalWidth).length >= count"
)

# Notes when the mouse button is released, when the browser sends to the server and hears from it, and at which frame
# the photograph that is shown, or what is said of it, is another one.
WATCH = """
(() => {
  const marks = window.marks = {up: [], sent: [], heard: [], frames: []};
  addEventListener("mouseup", () => marks.up.push(performance.now()), true);
  window.WebSocket = class extends WebSocket {
    constructor(...how) {
      super(...how);
      this.addEventListener("message", () => marks.heard.push(performance.now()));
    }
    send(...what) {
      marks.sent.push(performance.now());
      super.send(...what);
    }
  };
  const look = () => {
    const image = document.querySelector(".st-key-photo_current img");
    const steps = document.querySelector(".rg-step")?.dataset.steps;
    const source = image?.complete && image.naturalWidth ? image.getAttribute("src") : null;
    const last = marks.frames.at(-1), at = performance.now();
    if (!last || last.source !== source || last.steps !== steps) marks.frames.push({at, source, steps});
  };
  const nextFrame = () => requestAnimationFrame(look);
  document.addEventListener("load", nextFrame, true);
  new MutationObserver(nextFrame).observe(document, {subtree: true, childList: true, attributes: true});
})();
"""


class App(NamedTuple):
    """A running app with a browser's page that shows nothing yet."""

    page: Any
    address: str
    process: int
    started: float


@contextmanager
def app(model: str) -> Iterator[App]:
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", "web_demo.py", "--server.port", str(port)]
    command += ["--server.headless", "true", "--server.address", "127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(120_000)
        page.add_init_script(WATCH)
        started = time.perf_counter()
        server = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"RETINAGAN_MODEL": model}, stdout=subprocess.DEVNULL
        )
        try:
            while True:
                try:
                    urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                    break
                except (urllib.error.URLError, OSError):
                    if server.poll() is not None or time.perf_counter() - started > 120:
                        raise RuntimeError("the app did not start") from None
                    time.sleep(0.05)
            yield App(page, address, server.pid, started)
        finally:
            server.terminate()
            server.wait(timeout=20)
            browser.close()


def measure(model: str) -> dict[str, float]:
    """``{"cold start": s, "five maps with a photograph each": s, "peak memory, MiB": …}`` of the app on ``model``."""
    with app(model) as running:
        running.page.goto(f"{running.address}/?grade=3&seed=7")
        running.page.wait_for_function(PHOTOGRAPHS, arg=2)  # the map and its photograph
        cold = time.perf_counter() - running.started
        start = time.perf_counter()
        running.page.goto(f"{running.address}/?seed=11")
        running.page.wait_for_function(PHOTOGRAPHS, arg=10)
        five = time.perf_counter() - start
        peak = memory(running.process)
    return {"cold start": cold, "five maps with a photograph each": five, "peak memory, MiB": peak}


def memory(process: int) -> float:
    """The most that a process has held, in MiB."""
    return int(Path(f"/proc/{process}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def _drawing(running: App):
    """The page Draw of a running app with an empty eye, once its canvas takes strokes."""
    page = running.page
    page.goto(f"{running.address}/draw?start=left&style=7")
    page.wait_for_function(_NEW_PHOTOGRAPH, arg=[0, None])
    page.wait_for_function("() => document.querySelector('.rg-step')?.dataset.canvas !== 'loading'")
    page.wait_for_timeout(2000)
    return page


STROKES, STYLES, MAPS = 200, 50, 50


def memory_of_use(model: str) -> dict[str, float]:
    """The server's peak after strokes on one drawing, then styles of a map, then maps with a photograph each.

    Each page of styles or maps is loaded anew: the sessions that it leaves behind are counted in.
    """
    with app(model) as running:
        page = _drawing(running)
        for number in range(STROKES):
            _drag(page, 0.3 + 0.02 * (number % 20), 0.3 + 0.04 * (number // 20))
            page.wait_for_function(
                "steps => Number(document.querySelector('.rg-step')?.dataset.steps) >= steps", arg=number + 1
            )
        page.wait_for_selector(".st-key-photo_current img")
        peaks = {f"peak memory after {STROKES} strokes, MiB": memory(running.process)}
        for first in range(0, STYLES, 8):
            page.goto(f"{running.address}/styles?style_seed={first}")
            page.wait_for_function(PHOTOGRAPHS, arg=8)
        peaks[f"and {STYLES} styles, MiB"] = memory(running.process)
        for seed in range(0, MAPS, 5):
            page.goto(f"{running.address}/?grade=3&maps=5&seed={seed}")
            page.wait_for_function(PHOTOGRAPHS, arg=10)
        peaks[f"and {MAPS} maps, MiB"] = memory(running.process)
    return peaks


def stroke_to_photo(model: str, strokes: int = 20) -> dict[str, float]:
    """Seconds from the release of the mouse to the new photograph on the page Draw, and of ten strokes in two seconds.

    The median's parts: until the canvas has sent the stroke, until the server has answered with the photograph, until
    the browser shows it. ``lost`` of the ten are strokes that the server does not know of in the end.
    """
    with app(model) as running:
        page = _drawing(running)
        rows = []
        for number in range(strokes + 1):
            before = page.evaluate("() => marks.frames.at(-1).source")
            _drag(page, 0.42 + 0.05 * (number % 8), 0.4 + 0.07 * (number // 8))
            shown = page.wait_for_function(_NEW_PHOTOGRAPH, arg=["marks", before]).json_value()
            up = page.evaluate("() => marks.up.at(-1)")
            sent = page.evaluate("up => marks.sent.find(t => t > up)", up)
            heard = page.evaluate("t => marks.heard.findLast(h => h < t)", shown)
            rows.append((shown - up, sent - up, heard - sent, shown - heard))
            page.wait_for_timeout(1000)
        rows = rows[1:]  # the first warms up
        parts = [statistics.median(column) / 1000 for column in zip(*rows, strict=True)]
        done = int(page.evaluate("() => document.querySelector('.rg-step').dataset.steps"))
        start = time.perf_counter()
        for number in range(10):
            page.wait_for_timeout(max(0.0, 200 * number - 1000 * (time.perf_counter() - start)))
            _drag(page, 0.44 + 0.04 * number, 0.75)
        up = page.evaluate("() => marks.up.at(-1)")
        drawing = (up - page.evaluate("() => marks.up.at(-10)")) / 1000
        page.wait_for_timeout(4000)
        last = page.evaluate("() => marks.frames.find(f => f.source === marks.frames.at(-1).source).at")
        known = int(page.evaluate("() => document.querySelector('.rg-step').dataset.steps"))
    return {
        "mouse-up → photograph, median": parts[0],
        "mouse-up → photograph, worst": max(row[0] for row in rows) / 1000,
        "mouse-up → sent": parts[1],
        "sent → photograph's message": parts[2],
        "message → photograph seen": parts[3],
        "ten strokes, drawn in": drawing,
        "ten strokes, the last → photograph": (last - up) / 1000,
        "ten strokes, lost": done + 10 - known,
    }


_NEW_PHOTOGRAPH = """
([_, before]) => marks.frames.find((f, k) => f.source && f.source !== before && f.at > (marks.up.at(-1) ?? 0))?.at
"""


def _drag(page: Any, x: float, y: float) -> None:
    """A short stroke from there; x and y as shares of the canvas."""
    box = page.locator("canvas.dc-canvas.upper-canvas").bounding_box()
    x, y = box["x"] + x * box["width"], box["y"] + y * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 10, y + 6, steps=4)
    page.mouse.up()


def stroke_seconds(model: str, runs: int = 7) -> float:
    """Median of the server's seconds from a stroke on the page Draw to the photograph that shows it.

    The page is run as the server runs it: the stroke is painted, its photograph rendered beside the page and shown.
    """
    from retinagan.maps.labels import HE
    from tests.app.test_board import disc, sent
    from tests.app_pages import new_app, on

    before = os.environ.get("RETINAGAN_MODEL")
    os.environ["RETINAGAN_MODEL"] = model
    try:
        app = on(new_app(timeout=300), "draw")
        seconds, strokes = [], []
        for number in range(runs + 1):
            while app.session_state["session"].renderer.look(None).pending:
                time.sleep(0.01)
            app.run()
            strokes.append(disc(0.5 + 0.03 * number, 0.6, 0.02, HE))
            start = time.perf_counter()
            app.session_state[app.session_state["session"].drawing.key] = sent(*strokes)
            app.run()
            while app.session_state["session"].renderer.look(None).pending:
                time.sleep(0.005)
            app.run()
            seconds.append(time.perf_counter() - start)
    finally:
        if before is None:
            del os.environ["RETINAGAN_MODEL"]
        else:
            os.environ["RETINAGAN_MODEL"] = before
    return statistics.median(seconds[1:])  # the first warms up


if __name__ == "__main__":
    folder = sys.argv[1]
    figures = measure(folder) | stroke_to_photo(folder) | memory_of_use(folder)
    print(json.dumps(figures | {"stroke → photograph, page without a browser": stroke_seconds(folder)}))
