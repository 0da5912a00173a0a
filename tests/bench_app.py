"""Seconds and memory of the running app, as a user meets it: `retinagan bench --browser` runs it.

Cold start is from starting the server's process to the first photograph on the page; then a page of five maps with one
photograph each.
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
from pathlib import Path

from tests.paths import ROOT

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PHOTOGRAPHS = (
    "count => [...document.querySelectorAll('[data-testid=\"stImage\"] img')]"
    ".filter(i => i.naturalWidth).length >= count"
)


def measure(model: str) -> dict[str, float]:
    """``{"cold start": s, "five maps with a photograph each": s, "peak memory, MiB": …}`` of the app on ``model``."""
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
        start = time.perf_counter()
        server = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"RETINAGAN_MODEL": model}, stdout=subprocess.DEVNULL
        )
        try:
            while True:
                try:
                    urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                    break
                except (urllib.error.URLError, OSError):
                    if server.poll() is not None or time.perf_counter() - start > 120:
                        raise RuntimeError("the app did not start") from None
                    time.sleep(0.05)
            page.goto(f"{address}/?grade=3&seed=7")
            page.wait_for_function(PHOTOGRAPHS, arg=2)  # the map and its photograph
            cold = time.perf_counter() - start
            start = time.perf_counter()
            page.goto(f"{address}/?seed=11")
            page.wait_for_function(PHOTOGRAPHS, arg=10)
            five = time.perf_counter() - start
            status = Path(f"/proc/{server.pid}/status").read_text()
            peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
        finally:
            server.terminate()
            server.wait(timeout=20)
            browser.close()
    return {"cold start": cold, "five maps with a photograph each": five, "peak memory, MiB": peak}


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
            while app.session_state["renderer"].look(None).pending:
                time.sleep(0.01)
            app.run()
            strokes.append(disc(0.5 + 0.03 * number, 0.6, 0.02, HE))
            start = time.perf_counter()
            app.session_state[app.session_state["drawing"].key] = sent(*strokes)
            app.run()
            while app.session_state["renderer"].look(None).pending:
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
    print(json.dumps(measure(folder) | {"stroke → photograph, page without a browser": stroke_seconds(folder)}))
