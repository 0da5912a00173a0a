"""The page's own parts in the browser: the before/after slider, a clock for pictures in the making, the keeper of
drawings, and what hides the canvas' own undo.

Each is an HTML, CSS and JavaScript file of this folder, without a build step. Streamlit mounts them in a shadow root.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

POLL_MILLISECONDS, WAKE_MILLISECONDS = 200, 2000
_FOLDER = Path(__file__).resolve().parent


@cache
def _component(name: str, called: str = "") -> Callable[..., Any]:
    """Of the files of a name; ``called`` otherwise where two of a page are told apart."""
    parts = {kind: _FOLDER / f"{name}.{kind}" for kind in ("html", "css", "js")}
    texts: dict[str, Any] = {kind: path.read_text("utf-8") for kind, path in parts.items() if path.is_file()}
    return st.components.v2.component(f"retinagan_{called or name}", **texts)


def before_after(key: str, before: tuple[str, str], after: tuple[str, str]) -> None:
    """Two pictures, each its name and its address, under a slider for mouse, finger and keyboard."""
    pictures = (("before", before), ("after", after))
    data = {side: {"name": name, "url": address} for side, (name, address) in pictures}
    _component("compare")(key=key, data=data)


def ticker(key: str, pending: bool) -> None:
    """While ``pending``, runs the fragment that it stands in again every fifth of a second."""
    _clock("ticker", key, pending, POLL_MILLISECONDS)


def waker(key: str, waiting: bool) -> None:
    """While the fragment that it stands in is ``waiting`` for what its browser tells, runs it again now and then:
    Streamlit drops the run that a message asks for while another page's is going on, and keeps what it tells."""
    _clock("waker", key, waiting, WAKE_MILLISECONDS)


def _clock(called: str, key: str, going: bool, milliseconds: int) -> None:
    data = {"pending": going, "milliseconds": milliseconds}
    _component("ticker", called)(key=key, data=data, on_tick_change=_heard, height=1)


def one_undo(key: str) -> None:
    """In the canvas' box: leaves of the canvas' own toolbar what moves and deletes single strokes."""
    _component("one_undo")(key=key, height=1)


def keeper(key: str, drawing: str, fresh: bool) -> None:
    """Keeps ``drawing`` in the tab's own storage. While ``fresh`` what is there already stays, and comes back by
    :func:`told_by_keeper` in the next run of the fragment that it stands in."""
    _component("keeper")(key=key, data={"drawing": drawing, "fresh": fresh}, on_kept_change=_heard, height=1)


def told_by_keeper(key: str) -> str:
    """What the tab had kept, in the run that the :func:`keeper` asked for; else empty."""
    return (st.session_state.get(key) or {}).get("kept") or ""


def _heard() -> None:
    """Streamlit wants a callback for each value that a component sends; the pages read the values themselves."""
