"""What a session remembers beside the values of its widgets, which Streamlit keeps by their keys."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from retinagan.app.drawing import Drawing
from retinagan.app.redraws import Redraws
from retinagan.app.rendering import Renderer
from retinagan.eye.style import Style

_KEY = "session"


@dataclass
class Session:
    """One visitor's.

    Attributes:
        drawing: of the page Draw; None before it was opened.
        former: the drawing that another took the place of; it can be brought back.
        heard: what the tab kept from a former session was taken up, or is out of date.
        anew: the next run of Draw begins a new drawing, even from the same start.
        uploaded: the map ``uint8 (H, W)`` that the start ``upload`` stands for; no link can carry it.
        renderer: makes Draw's photographs, with the help of ``redraws``.
        render_now: *Render* was pressed.
        reference: the style that Draw's photographs take all but their seed from, or None.
        own_map: the map that *Styles* shows as ``Own``, or None.
        measured: the style of the last reference photograph, after what it was measured from.
        places: how many widgets each following widget has had (:func:`following`).
        left_out: what the address of the page must not say, in words; told in the next run.
        animations: files by kind (``gif``, ``webp``) of each part of the pages that has made one, after what they show.
    """

    drawing: Drawing | None = None
    former: Drawing | None = None
    heard: bool = False
    anew: bool = False
    uploaded: np.ndarray | None = None
    renderer: Renderer = field(default_factory=Renderer)
    redraws: Redraws = field(default_factory=Redraws)
    render_now: bool = False
    reference: Style | None = None
    own_map: np.ndarray | None = None
    measured: tuple[tuple, Style] | None = None
    places: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    animations: dict[str, tuple[tuple, dict[str, bytes]]] = field(default_factory=dict)


def begin() -> None:
    """What every page does first."""
    st.session_state.setdefault(_KEY, Session())


def session() -> Session:
    """The running session's."""
    return st.session_state[_KEY]


def following(name: str, value: object) -> str:
    """The key of a widget that begins with ``value``, which other things than the widget change too.

    A widget that is given a value by the session's state may be crossed by a message in which the browser still tells
    the former one, and Streamlit would take that for a wish of the user's. So another value gets another widget, which
    has it as its default; a widget that the user moves stays, with the keyboard's focus.
    """
    places = session().places
    key = f"{name}~{places.setdefault(name, 0)}"
    if st.session_state.get(key, value) == value:
        return key
    places[name] += 1
    return f"{name}~{places[name]}"


def is_current(name: str, key: str) -> bool:
    """Whether the widget of that key still follows: a late message may tell of one that was replaced meanwhile."""
    return key == f"{name}~{session().places[name]}"
