"""Which drawing the page Draw shows: begun, gone on with, kept by the tab, opened from a file or brought back."""

from __future__ import annotations

import logging

import numpy as np
import streamlit as st

from retinagan.app import examples, saved, starts
from retinagan.app.components import keeper, told_by_keeper
from retinagan.app.drawing import Drawing
from retinagan.app.state import session
from retinagan.app.studio import Models
from retinagan.app.widgets import plain
from retinagan.files.maps import fit_map
from retinagan.maps.labels import empty_map

LOG = logging.getLogger("retinagan.app")


def open_drawing(networks: Models) -> Drawing:
    """The session's drawing; begun anew when the link's start or *Open in Draw* asks for it.

    It does not depend on the weights. With a model of another size it goes on, fitted to that, from the same start.
    """
    take_up(networks)
    state = session()
    last, asked = state.drawing, st.query_params.get("start")
    text, note = asked or (last.text if last else "left"), ""
    try:
        starts.parse(text)
        if text == starts.UPLOAD and state.uploaded is None:
            raise ValueError("the uploaded map is gone: a link cannot carry it. Upload it again")
    except ValueError as error:
        text, note = "left", f"{error}. Starting from an empty eye instead."
    if last is not None and not state.anew and last.text == text and last.size == networks.size:
        drawing = last
    else:
        drawing = Drawing(text, networks.weights, start_map(text, networks), last.mounts + 1 if last else 0)
        if last is not None and not state.anew and last.text == text:
            last.sync()
            drawing.change(lambda _: fit_map(last.map, networks.size), f"Fitted to {networks.size} pixels")
        elif last is not None and last.names:
            _set_aside(last)
    state.drawing, state.anew = drawing, False
    drawing.note = note or drawing.note
    if drawing.note:
        st.warning(plain(drawing.note))
    if asked != text:
        st.query_params["start"] = text
    return drawing


def start_map(text: str, networks: Models) -> np.ndarray:
    """The map ``uint8 (S, S)`` that a start stands for, in the model's size."""
    start = starts.parse(text)
    if isinstance(start, starts.Sampled):
        with st.spinner("Sampling the map…"):
            return networks.sample(start.grade, start.seed, start.truncation)
    if isinstance(start, starts.Bundled):
        return examples.read(start.name, networks.size)
    uploaded = session().uploaded
    if start == starts.UPLOAD and uploaded is not None:
        return fit_map(uploaded, networks.size)
    return empty_map(networks.size, None if start == "none" else start)


# --- what the tab keeps ---


def keep(drawing: Drawing, file: bytes) -> None:
    """Lay the drawing's ``file`` down in the tab's own storage, which outlives the session, the server and a reload.

    Until this session has drawn something or heard of it, what the tab kept before comes first.
    """
    state = session()
    state.heard = state.heard or bool(drawing.names)
    keeper("keeper", file.decode(), fresh=not state.heard)


def take_up(networks: Models) -> None:
    """Go on with what the tab kept from a former session: as the drawing, or set aside where another was begun."""
    state, kept = session(), told_by_keeper("keeper")
    if not kept or state.heard:
        return
    state.heard = True
    try:
        found = saved.decode(kept.encode())
    except ValueError as error:
        LOG.warning("what a tab kept: %s", error)
        return
    if not found.history.steps:
        return
    last = state.drawing
    drawing = _going_on(found, networks)
    if last is None or (not last.names and (last.text == drawing.text or last.note)):  # a note: its start was gone
        _show(drawing)
    else:
        _set_aside(drawing)


# --- one drawing in another's place ---


def replace(found: saved.Saved, networks: Models) -> None:
    """Show a drawing from a file; the one before is set aside."""
    last = session().drawing
    drawing = _going_on(found, networks)
    if last is not None and last.names:
        _set_aside(last)
    _show(drawing)


def bring_back() -> None:
    """Change places with the drawing that was set aside."""
    state = session()
    last, former = state.drawing, state.former
    if former is None or last is None:
        return
    last.sync()
    state.former = last if last.names else None
    former.remount(last.mounts + 1)
    _show(former)


def _show(drawing: Drawing) -> None:
    state = session()
    if drawing.text == starts.UPLOAD:
        state.uploaded = drawing.start
    state.drawing, state.anew = drawing, False
    st.query_params["start"] = drawing.text


def _set_aside(drawing: Drawing) -> None:
    session().former = drawing
    count = len(drawing.names)
    steps = "1 step" if count == 1 else f"{count} steps"
    st.toast(
        f"The drawing before this one ({steps}) is kept: bring it back in the menu of starts.", icon=":material/undo:"
    )


def _going_on(found: saved.Saved, networks: Models) -> Drawing:
    """A drawing from what was kept. What it says of its start is believed only where it can be made again."""
    text, start, last = found.text, found.history.start, session().drawing
    told = not isinstance(starts.parse(text), starts.Sampled) or found.weights == networks.weights
    if text != starts.UPLOAD and told and not np.array_equal(fit_map(start_map(text, networks), len(start)), start):
        text = starts.UPLOAD
    return Drawing.going_on(text, found.weights, found.history, last.mounts + 1 if last else 0)
