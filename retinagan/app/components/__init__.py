"""The page's own parts in the browser: the canvas, the before/after slider, and a clock for pictures in the making.

Each is an HTML, CSS and JavaScript file of this folder, without a build step. Streamlit mounts them in a shadow root.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from retinagan.labels import CLASSES, DISC_RADIUS

POLL_MILLISECONDS = 200
_FOLDER = Path(__file__).resolve().parent


@cache
def _component(name: str) -> Callable[..., Any]:
    parts = {kind: _FOLDER / f"{name}.{kind}" for kind in ("html", "css", "js")}
    return st.components.v2.component(
        f"retinagan_{name}", **{kind: path.read_text("utf-8") for kind, path in parts.items() if path.is_file()}
    )


def map_canvas(
    key: str,
    *,
    map_png: bytes,
    size: int,
    number: int,
    acknowledged: int,
    tool: str,
    label: int,
    width: int,
    undo: bool,
    redo: bool,
    clear: bool,
) -> None:
    """The canvas over a map. What is drawn arrives as ``st.session_state[key]["events"]``: see ``drawing.receive``."""
    _component("canvas")(
        key=key,
        data={
            "map": data_url(map_png, "image/png"),
            "size": size,
            "number": number,
            "ack": acknowledged,
            "tool": tool,
            "label": label,
            "width": width,
            "disc": DISC_RADIUS,
            "undo": undo,
            "redo": redo,
            "clear": clear,
            "colours": [list(c.colour) for c in CLASSES],
            "names": [c.name for c in CLASSES],
        },
        on_events_change=_heard,
    )


def before_after(key: str, before: tuple[str, bytes], after: tuple[str, bytes]) -> None:
    """Two JPEGs, each with its name, under a slider for mouse, finger and keyboard."""
    pictures = (("before", before), ("after", after))
    data = {side: {"name": name, "url": data_url(jpeg, "image/jpeg")} for side, (name, jpeg) in pictures}
    _component("compare")(key=key, data=data)


def ticker(key: str, pending: bool) -> None:
    """While ``pending``, runs the fragment that it stands in again every fifth of a second."""
    _component("ticker")(
        key=key, data={"pending": pending, "milliseconds": POLL_MILLISECONDS}, on_tick_change=_heard, height=1
    )


def data_url(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def _heard() -> None:
    """Streamlit wants a callback for each value that a component sends; the pages read the values themselves."""
