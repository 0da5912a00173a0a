"""The session's drawing: a board, what it starts from, and what of it becomes a sheet."""

from __future__ import annotations

import base64
from collections.abc import Callable

import numpy as np
import streamlit as st

from retinagan.app import examples, starts
from retinagan.app.board import Board
from retinagan.app.studio import Models, Sheet
from retinagan.app.widgets import plain
from retinagan.files.maps import encode_map_png, fit_map
from retinagan.maps.labels import OD, empty_map


class Drawing(Board):
    """One session's drawing.

    Attributes:
        text: what it starts from (``retinagan.app.starts``).
        model: folder and stamp of the weights for which it was begun.
        start: that map, ``uint8 (S, S)``.
        note: why it starts from something else than was asked.
        initial: the strokes with which the canvas was mounted. While it lives they must not change, or it would begin
            anew with each run and lose strokes.
    """

    def __init__(self, text: str, model: tuple, start: np.ndarray, mounts: int = 0) -> None:
        super().__init__(start, mounts)
        self.text, self.model, self.start = text, model, start
        self.note = ""
        self.initial: dict | None = None
        self._background: tuple[bytes, str] = (b"", "")

    @property
    def key(self) -> str:
        """Of the mounted canvas in the session's state."""
        return f"canvas_{self.mounts}"

    @property
    def background(self) -> str:
        """What lies below the strokes as a ``data:`` URL, which costs less than a picture that is encoded each run."""
        picture = self.picture
        content = picture.tobytes()
        if self._background[0] != content:
            png = base64.b64encode(encode_map_png(picture)).decode()
            self._background = (content, f"data:image/png;base64,{png}")
        return self._background[1]

    def sync(self) -> None:
        """Take in what the mounted canvas holds; what a button does comes after its strokes."""
        if self.key in st.session_state:
            self.receive(st.session_state[self.key])

    def act(self, how: Callable, *args: object) -> None:
        """What a button does: ``how(*args)`` on the canvas as it is now."""
        self.sync()
        how(*args)


def current_drawing(networks: Models) -> Drawing:
    """The session's drawing; a new one when the link's start, the model or *Open in Draw* asks for it."""
    state: Drawing | None = st.session_state.get("drawing")
    asked = st.query_params.get("start")
    fresh = st.session_state.pop("draw_fresh", False)
    text, note = asked or (state.text if state else "left"), ""
    try:
        starts.parse(text)
        if text == starts.UPLOAD and st.session_state.get("draw_upload") is None:
            raise ValueError("the uploaded map is gone: a link cannot carry it. Upload it again")
    except ValueError as error:
        text, note = "left", f"{error}. Starting from an empty eye instead."
    model = (networks.folder, networks.stamp)
    if state is None or fresh or state.text != text or state.model != model:
        state = Drawing(text, model, start_map(text, networks), state.mounts + 1 if state else 0)
        st.session_state["drawing"] = state
    state.note = note or state.note
    if state.note:
        st.warning(plain(state.note))
    if asked != text:
        st.query_params["start"] = text
    return state


def start_map(text: str, networks: Models) -> np.ndarray:
    """The map ``uint8 (S, S)`` that a start stands for, in the model's size."""
    start = starts.parse(text)
    if isinstance(start, starts.Sampled):
        with st.spinner("Sampling the map…"):
            return networks.sample(start.grade, start.seed, start.truncation)
    if isinstance(start, starts.Bundled):
        return examples.read(start.name, networks.size)
    if start == starts.UPLOAD:
        return fit_map(st.session_state["draw_upload"], networks.size)
    return empty_map(networks.size, None if start == "none" else start)


def sheet_of(drawing: Drawing, label_map: np.ndarray, networks: Models) -> Sheet:
    """``label_map`` with where it came from: drawn, unless it is the start itself."""
    start = starts.parse(drawing.text)
    if not np.array_equal(label_map, drawing.start):
        source = "drawn"
    elif isinstance(start, starts.Sampled):
        source = "sampled"
    else:
        source = "uploaded" if start == starts.UPLOAD else "template"
    if isinstance(start, starts.Sampled):
        return Sheet(label_map, source, networks, start.grade, start.seed, start.truncation)
    return Sheet(label_map, source, networks)


def disc_side(label_map: np.ndarray) -> str | None:
    """``left`` or ``right`` of the middle, where the disc lies; None without one."""
    columns = np.nonzero((label_map == OD).any(axis=0))[0]
    return None if not len(columns) else "left" if columns.mean() < label_map.shape[1] / 2 else "right"
