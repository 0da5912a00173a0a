"""Several people draw at once, each in a browser session of their own."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retinagan.labels import HE
from retinagan.maps_io import read_map_png
from tests.browser.conftest import session
from tests.browser.studio import Studio, pixels

PATIENCE = 300_000
"""Milliseconds: what ten sessions share, each waits for."""


@dataclass(frozen=True)
class Found:
    """What came of it.

    Attributes:
        strokes: drawn by all sessions.
        photographs: that were shown on the way.
        memory: of the server, MiB over time.
        pictures: of each session its style seed, its last map ``uint8 (S, S)`` and its photograph ``uint8 (S, S, 3)``.
    """

    strokes: int
    photographs: int
    memory: list[float]
    pictures: list[tuple[int, np.ndarray, np.ndarray]]

    @property
    def growth(self) -> float:
        """MiB between the middle and the last third: what a leak would go on to add."""
        third = max(1, len(self.memory) // 3)
        return float(np.median(self.memory[-third:]) - np.median(self.memory[third : 2 * third] or self.memory))


def draw_together(browser, address: str, server: int, count: int, seconds: float) -> Found:
    """``count`` sessions draw one stroke after another for ``seconds``; then each downloads its pair.

    Raises:
        AssertionError: a session shows an error, or loses a stroke.
    """
    rng = np.random.default_rng(0)
    memory, shown = [], [set() for _ in range(count)]
    with ExitStack() as stack:
        options = {"viewport": {"width": 1000, "height": 900}}
        studios = [stack.enter_context(session(browser, address, **options)) for _ in range(count)]
        for studio in studios:
            studio.page.set_default_timeout(PATIENCE)
        studios[0].open("?grade=0")  # the networks are loaded once, for all
        for number, studio in enumerate(studios):  # then all come at once
            side = ("left", "right")[number % 2]
            studio.page.goto(f"{address}/draw?start={side}&style={100 + number}", wait_until="commit")
        for studio in studios:
            studio.canvas_ready()
        strokes = [0] * count
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for number, studio in enumerate(studios):
                x, y = rng.uniform(0.35, 0.6, 2)
                studio.drag((x, y), (x + rng.uniform(0.03, 0.1), y + rng.uniform(-0.1, 0.1)))
                strokes[number] += 1
                image = studio.page.locator(".st-key-photo_box img").first
                shown[number].add(image.get_attribute("src"))
                assert studio.troubles() == []
            memory.append(resident(server))
        pictures = []
        for number, studio in enumerate(studios):
            studio.step(strokes[number])
            settled(studio)
            assert studio.troubles() == []
            pictures.append((100 + number, *last_pair(studio)))
        memory.append(resident(server))
    return Found(sum(strokes), sum(len(found) for found in shown), memory, pictures)


def settled(studio: Studio) -> None:
    """The photograph is that of the last stroke, and no rerun is on its way that would take a download back."""
    before = None
    while before != (before := studio.photo_source()):
        studio.page.wait_for_timeout(1500)
        studio.idle()


def last_pair(studio: Studio) -> tuple[np.ndarray, np.ndarray]:
    files = studio.pair()
    names = sorted(name for name in files if name.endswith(".png"))
    return read_map_png(files[names[0]], None), pixels(files[names[1]])


def resident(server: int) -> float:
    """Memory that a process holds, in MiB."""
    status = Path(f"/proc/{server}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def check(found: Found, pipeline) -> None:
    """No session got another's picture: each photograph is that of its own map in its own style."""
    for style, label_map, photo in found.pictures:
        assert (label_map == HE).any(), "its strokes are in its map"
        assert np.array_equal(photo, pipeline.render(label_map[None], [style])[0])
    maps = {label_map.tobytes() for _, label_map, _ in found.pictures}
    assert len(maps) == len(found.pictures)
