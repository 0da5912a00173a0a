"""The photograph beside the canvas: made in the background, while the page goes on, and shown in three ways."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st

from retinagan.app import compare
from retinagan.app.components import before_after, ticker
from retinagan.app.drawing import Drawing
from retinagan.app.link import MAX_SEED
from retinagan.app.state import session
from retinagan.app.studio import Models, as_jpeg, data_url, overlaid
from retinagan.app.widgets import download, fragment, plain, show_photo
from retinagan.eye.style import Style
from retinagan.maps.lesions import lesion_free
from retinagan.pairs import Pair, Photograph, style_digest, zip_pairs

VIEWS = ("Photograph", "Before and after", "Difference")

PATIENCE = 0.3
"""Seconds for which a run of the page waits for photographs. Those that a stroke changes come within it, so that the
answer to the stroke shows them; what takes longer is looked for again and again by the ticker."""


@dataclass(frozen=True)
class Made:
    """A map with its photographs, and the same eye without lesions where that was asked for."""

    pair: Pair
    healthy: Photograph | None


def ask_for_photographs(drawing: Drawing, networks: Models) -> Hashable:
    """Have the renderer make what the page is to show, unless it waits for *Render*; the key of it."""
    state = session()
    key, make = _wish(drawing, networks)
    if st.session_state.get("live", True) or state.render_now:
        state.renderer.ask(key, make)
    state.render_now = False
    return key


def photo_column(drawing: Drawing, networks: Models) -> None:
    """A fragment of its own: it looks again while a photograph is in the making, and the canvas stays as it is."""
    fragment(partial(_photo_column, drawing, networks))()


def _photo_column(drawing: Drawing, networks: Models) -> None:
    with st.container(key="photo_head"):
        view = st.segmented_control(
            "View", VIEWS, default=VIEWS[0], required=True, key="view", persist_state="session",
            label_visibility="collapsed",
        )  # fmt: skip
    frame = st.container(key="photo_box")
    live_row = st.container(horizontal=True, vertical_alignment="center", gap="small", key="photo_live")
    _style_controls()
    wished = ask_for_photographs(drawing, networks)
    pending, key, made, error = session().renderer.look(wished, PATIENCE)
    current = key == wished
    with live_row:
        _live_switch(current)
    with frame:
        if error is not None:
            st.error(plain(str(error) if isinstance(error, (ValueError, TypeError)) else type(error).__name__))
        if made is None:
            _no_photograph_yet(pending)
        else:
            age = "busy" if pending else "current" if current else "old"
            with st.container(key=f"photo_{age}"):
                _show(made, view or VIEWS[0])
            st.html(f'<div class="rg-state rg-state-{age}" role="status">{_AGES[age]}</div>')
    if made is not None:
        _downloads(made, networks, pending)
    ticker("photo_ticker", pending)


_AGES = {"busy": "Rendering…", "current": "", "old": "The map has changed: press Render"}


def _wish(drawing: Drawing, networks: Models) -> tuple[Hashable, Callable[[], Made]]:
    """What the renderer is to make, after the key that names it."""
    view = st.session_state.get("view") or VIEWS[0]
    first, count = int(st.session_state.get("style", 7)), int(st.session_state.get("styles", 1))
    reference, redraws = session().reference, session().redraws
    seeds = [first + k for k in range(count if view == VIEWS[0] else 1)]
    styles = seeds if reference is None else [replace(reference, seed=seed) for seed in seeds]
    pair = drawing.pair(networks)
    with_healthy = view != VIEWS[0]

    def make() -> Made:
        done = redraws.photographed(networks, pair, styles)
        healthy = networks.photograph(lesion_free(pair.label_map), styles[0]) if with_healthy else None
        return Made(done, healthy)

    return (pair.origin.to_json(), *map(style_digest, styles), with_healthy), make


def _live_switch(current: bool) -> None:
    live = st.toggle(
        "Live", True, key="live", persist_state="session",
        help="On: the photograph follows each stroke. Off: only when you press Render.",
    )  # fmt: skip
    if not live:
        st.button(
            "Render", icon=":material/photo_camera:", type="secondary" if current else "primary",
            disabled=current, key="render",
            on_click=lambda: setattr(session(), "render_now", True),
        )  # fmt: skip


def _no_photograph_yet(pending: bool) -> None:
    words = "Rendering the first photograph…" if pending else "Press Render for a photograph of this map."
    st.html(f'<div class="rg-empty" role="status">{words}</div>')


def _style_controls() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.number_input(
            "Style seed", 0, MAX_SEED, 7, key="style", bind="query-params", width=130,
            help="Whose eye: vessels, pigment and light. The same seed is the same eye.",
        )  # fmt: skip
        st.button("New style", icon=":material/autorenew:", on_click=_new_style)
        if st.session_state.get("view", VIEWS[0]) == VIEWS[0]:
            st.number_input("Photographs", 1, 4, 1, key="styles", width=130, persist_state="session")
            st.slider(
                "Lesions on top", 0, 100, 0, 5, format="%d%%", key="overlay", width=180, persist_state="session",
                help="Shows the map's lesions over the photograph. Downloads stay clean.",
            )  # fmt: skip
        if st.session_state.get("view") == VIEWS[2]:
            st.segmented_control(
                "Amplified", compare.GAINS, default=2, format_func="×{}".format, required=True, key="gain",
                persist_state="session",
            )  # fmt: skip
            st.segmented_control(
                "Scale", ("Signed", "Absolute"), default="Signed", required=True, key="scale", persist_state="session"
            )
        if session().reference is not None:
            st.button(
                "Light of your photograph", icon=":material/close:", key="drop_reference",
                help="The light comes from the photograph that you gave. Press to go back to the style seed's own.",
                on_click=lambda: setattr(session(), "reference", None),
            )  # fmt: skip


def _show(made: Made, view: str) -> None:
    photograph = made.pair.photographs[0]
    if view == VIEWS[0] or made.healthy is None:
        _show_photographs(made.pair, st.session_state.get("overlay", 0) / 100)
    elif view == VIEWS[1]:
        before = ("without lesions", data_url(as_jpeg(made.healthy.pixels), "image/jpeg"))
        after = ("with lesions", data_url(as_jpeg(photograph.pixels), "image/jpeg"))
        before_after("before_after", before, after)
    else:
        gain, signed = st.session_state.get("gain", 2), st.session_state.get("scale", "Signed") == "Signed"
        picture = compare.signed_difference if signed else compare.absolute_difference
        shown = picture(photograph.pixels, made.healthy.pixels, gain)
        st.image(as_jpeg(shown), width="stretch", alt="What the lesions change in the photograph")
        st.html(compare.legend(signed, gain))


def _show_photographs(pair: Pair, opacity: float) -> None:
    many = len(pair.photographs) > 1
    cells = [c for _ in range(2) for c in st.columns(2, gap="small")] if many else [st.container()]
    for cell, photograph in zip(cells, pair.photographs, strict=False):
        with cell:
            overlay = overlaid(photograph.pixels, pair.label_map, opacity) if opacity else None
            show_photo(photograph, overlay, at_once=True)


def _downloads(made: Made, networks: Models, pending: bool) -> None:
    """Of the map that made the photograph which is shown: both always belong together.

    The files are made when a button is pressed, each photograph rendered as a whole. While another one is in the making
    there is nothing to press: this part of the page would run meanwhile, and a run takes a press's file away.
    """
    pair, styles = made.pair, [photograph.style for photograph in made.pair.photographs]
    many = len(styles) > 1
    with st.container(horizontal=True, gap="small", key="downloads_photo"):
        for number, photograph in enumerate(pair.photographs):
            label = f"Photograph {photograph.style.seed}" if many else "Photograph"
            content = partial(_photo_file, networks, pair, photograph.style)
            download(label, content, pair.photo_name(photograph), f"draw_photo{number}", disabled=pending)
        content = partial(_pair_file, networks, pair, styles)
        label = "All as ZIP" if many else "Pair as ZIP"
        download(label, content, f"{pair.name('pair')}.zip", "draw_pair", disabled=pending)


def _photo_file(networks: Models, pair: Pair, style: Style) -> bytes:
    whole = networks.photographed(pair, [style])
    return whole.photo_file(whole.photographs[0])


def _pair_file(networks: Models, pair: Pair, styles: Sequence[Style]) -> bytes:
    return zip_pairs([networks.photographed(pair, styles)])


def _new_style() -> None:
    step = int(st.session_state.get("styles", 1))
    st.session_state["style"] = (int(st.session_state.get("style", 7)) + step) % (MAX_SEED + 1)
