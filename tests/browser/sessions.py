"""Several people draw at once, each in a session of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from retinagan.app.board import CANVAS
from retinagan.maps.canvas import rasterise
from retinagan.maps.labels import LESIONS, empty_map
from retinagan.maps.strokes import hex_colour
from tests.browser.clients import Client

PATIENCE = 300
"""Seconds: what ten sessions share, each waits for."""
FIRST_STYLE = 100


@dataclass
class Found:
    """What came of it.

    Attributes:
        errors: what sessions said or met, in words.
        strokes, photographs: of all sessions.
        waits: seconds from each stroke to its photograph.
        memory: of the server, MiB over time, from when all have their first photograph.
        pictures: for each photograph that was downloaded: the session's style seed, disc and strokes, and the map
            ``uint8 (S, S)`` and photograph ``uint8 (S, S, 3)`` that it got.
    """

    errors: list[str] = field(default_factory=list)
    strokes: int = 0
    photographs: int = 0
    waits: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    pictures: list[tuple[int, str, list[dict], np.ndarray, np.ndarray]] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """MiB between the middle and the last third: what a leak would go on to add."""
        third = max(1, len(self.memory) // 3)
        return float(np.median(self.memory[-third:]) - np.median(self.memory[third : 2 * third] or self.memory))

    @property
    def summary(self) -> str:
        start, middle, end = (self.memory[k] for k in (0, len(self.memory) // 2, -1))
        return (
            f"{len(self.errors)} errors, {self.strokes} strokes, {self.photographs} photographs, from stroke to "
            f"photograph {np.median(self.waits):.1f} s (median) and {max(self.waits):.1f} s (longest); memory of the "
            f"server {start:.0f} MiB at the start, {middle:.0f} in the middle, {end:.0f} at the end"
        )


def draw_together(address: str, server: int, count: int, more: Callable[[int, float], bool]) -> Found:
    """``count`` sessions come at once, each draws strokes and gets their photographs, and downloads its last pair.

    Args:
        server: its process's id.
        more: whether a session goes on, by the number of its strokes and the seconds since all have begun.
    """
    found = Found()
    clients = [
        Client(address, f"start={('left', 'right')[number % 2]}&style={FIRST_STYLE + number}", PATIENCE)
        for number in range(count)
    ]

    def begin(client: Client) -> None:
        try:
            client.open()
        except Exception as error:
            found.errors.append(f"{client.query}: {error!r}")

    def go_on(number: int) -> None:
        client, rng = clients[number], np.random.default_rng(number)
        try:
            while more(len(client.strokes), time.monotonic() - start):
                asked = time.monotonic()
                client.stroke(random_stroke(rng))
                client.wait()
                found.waits.append(time.monotonic() - asked)
                found.memory.append(resident(server))
            assert client.steps == len(client.strokes), f"it knows of {client.steps} strokes of {len(client.strokes)}"
            side = client.query[len("start=") :].split("&")[0]
            found.pictures.append((FIRST_STYLE + number, side, client.strokes, *client.fetch(client.press())))
        except Exception as error:
            found.errors.append(f"{client.query}: {error!r}")

    with ThreadPoolExecutor(count) as threads:
        list(threads.map(begin, clients))
        found.memory.append(resident(server))
        start = time.monotonic()
        list(threads.map(go_on, range(count)))
    found.memory.append(resident(server))
    found.strokes = sum(len(client.strokes) for client in clients)
    found.photographs = sum(client.photographs for client in clients)
    for client in clients:
        client.close()
    return found


def random_stroke(rng: np.random.Generator) -> dict:
    """A freehand stroke across the middle of the canvas, as its component sends it."""
    (x0, y0), (dx, dy) = rng.uniform(180, 300, 2), rng.uniform(-70, 70, 2)
    left, top = (float(v) for v in (x0 + dx / 2, y0 + dy / 2))
    colour = hex_colour(int(rng.choice(LESIONS)))
    return {
        "type": "Path", "originX": "center", "originY": "center", "left": left, "top": top,
        "width": abs(float(dx)), "height": abs(float(dy)), "scaleX": 1, "scaleY": 1, "angle": 0, "flipX": False,
        "flipY": False, "skewX": 0, "skewY": 0, "opacity": 1, "visible": True, "fill": None, "stroke": colour,
        "strokeWidth": float(rng.integers(8, 30)),
        "path": [["M", float(x0), float(y0)], ["L", float(x0 + dx), float(y0 + dy)]],
    }  # fmt: skip


def resident(server: int) -> float:
    """Memory that a process holds, in MiB."""
    status = Path(f"/proc/{server}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def wrong_pictures(found: Found, pipeline) -> list[int]:
    """Style seeds of sessions whose map is not that of their strokes, or whose photograph is not that of their map."""
    wrong = []
    for style, side, strokes, label_map, photograph in found.pictures:
        expected = rasterise({"objects": strokes}, empty_map(pipeline.size, side), CANVAS)
        own = np.array_equal(label_map, expected)
        if not own or not np.array_equal(photograph, pipeline.render(expected[None], [style])[0]):
            wrong.append(style)
    return wrong
