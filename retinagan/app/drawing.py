"""The state of the page Draw: what one session draws on, and with which strokes."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from retinagan.app import starts
from retinagan.app.studio import Models, Sheet
from retinagan.app.widgets import plain
from retinagan.labels import empty_map
from retinagan.maps_io import encode_map_png, fit_map


@dataclass
class Drawing:
    """One session's drawing: a start map (as classes, and as the canvas' background) and the strokes on it."""

    text: str
    model: tuple
    start: np.ndarray
    number: int
    background: str
    strokes: list = field(default_factory=list)
    # What the canvas was mounted with. It must not change while the canvas lives, or strokes get lost.
    frozen: dict | None = None
    # Why it starts from something else than was asked.
    note: str = ""


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
        label_map = start_map(text, networks)
        state = Drawing(text, model, label_map, state.number + 1 if state else 0, _data_url(encode_map_png(label_map)))
        st.session_state["drawing"] = state
    state.note = note or state.note
    if state.note:
        st.warning(plain(state.note))
    if asked != text:
        st.query_params["start"] = text
    return state


def start_map(text: str, networks: Models) -> np.ndarray:
    start = starts.parse(text)
    if isinstance(start, starts.Sampled):
        with st.spinner("Sampling the map…"):
            return networks.sample(start.grade, start.seed, start.truncation)
    if start == starts.UPLOAD:
        return fit_map(st.session_state["draw_upload"], networks.size)
    return empty_map(networks.size, None if start == "none" else start)


def sheet_of(drawing: Drawing, label_map: np.ndarray, networks: Models) -> Sheet:
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


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
