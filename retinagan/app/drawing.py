"""The state of the page Draw: a map with its history, fed by the canvas' gestures and the page's buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st

from retinagan import examples
from retinagan.app import starts
from retinagan.app.history import History
from retinagan.app.studio import Models, Sheet
from retinagan.app.widgets import plain
from retinagan.canvas import paint, read_stroke
from retinagan.labels import CLASSES, OD, empty_map
from retinagan.maps_io import encode_map_png, fit_map

CANVAS = "map_canvas"
"""Key of the canvas in the session's state."""

MAX_EVENTS = 500


@dataclass
class Drawing:
    """One session's drawing.

    Attributes:
        text: what it starts from (``retinagan.app.starts``).
        model: folder and stamp of the weights for which it was begun.
        start: that map, ``uint8 (S, S)``.
        number: of this drawing in the session; the canvas' gestures name the drawing that they are meant for.
        acknowledged: sequence number of the last gesture taken in.
        note: why it starts from something else than was asked.
        troubles: what could not be done with the last gestures, in words.
    """

    text: str
    model: tuple
    start: np.ndarray
    number: int = 0
    acknowledged: int = 0
    note: str = ""
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history = History(self.start)
        self._png: tuple[np.ndarray, bytes] | None = None

    @property
    def map(self) -> np.ndarray:
        """The lesion map as it is now, ``uint8 (S, S)``; not to be written to."""
        return self.history.current

    @property
    def png(self) -> bytes:
        """The map as it is now, as the canvas shows it."""
        if self._png is None or self._png[0] is not self.map:
            self._png = (self.map, encode_map_png(self.map))
        return self._png[1]

    def receive(self, events: object) -> None:
        """Take in what the canvas sends: all its gestures that were not acknowledged, oldest first.

        Each has ``seq``, the ``number`` of its drawing and ``do``: ``stroke`` (with ``stroke``), ``undo``, ``redo`` or
        ``clear``. Those taken in before are passed over, so none is done twice. What is wrong with one goes into
        :attr:`troubles` and spares the others.
        """
        fresh = True
        for event in events[-MAX_EVENTS:] if isinstance(events, list) else []:
            sequence = event.get("seq") if isinstance(event, Mapping) else None
            if not isinstance(sequence, int) or isinstance(sequence, bool) or sequence <= self.acknowledged:
                continue
            self.acknowledged = sequence
            if fresh:
                self.troubles, fresh = [], False
            if event.get("number") != self.number:
                continue
            try:
                self._do(event)
            except (ValueError, TypeError) as error:
                self.troubles.append(str(error))

    def change(self, how: Callable[[np.ndarray], np.ndarray], name: str) -> None:
        """A step that a button asks for: ``how`` makes the new map of the one that is shown."""
        self.troubles = []
        try:
            self.history.add(how(self.map), name)
        except ValueError as error:
            self.troubles.append(str(error))

    def _do(self, event: Mapping[str, Any]) -> None:
        kind = event.get("do")
        if kind == "stroke":
            stroke = read_stroke(event.get("stroke"))
            what = "Disc" if stroke.tool == "disc" else f"{CLASSES[stroke.label].name}, {stroke.tool}"
            self.history.add(paint(self.map, stroke), what)
        elif kind in ("undo", "redo", "clear"):
            getattr(self.history, kind)()
        else:
            raise ValueError(f"the canvas asks for {str(kind)[:40]!r}; allowed are stroke, undo, redo and clear")


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
        number, seen = (state.number + 1, state.acknowledged) if state else (0, 0)
        state = Drawing(text, model, start_map(text, networks), number, seen)
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
