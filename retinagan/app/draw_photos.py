"""The photograph beside the canvas: made in the background, while the page goes on, and shown in four ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st

from retinagan.app import compare
from retinagan.app.components import before_after, ticker
from retinagan.app.drawing import Drawing, sheet_of
from retinagan.app.rendering import Renderer
from retinagan.app.studio import Models, Photograph, Sheet, as_jpeg, overlaid
from retinagan.app.widgets import MAX_SEED, download, fragment, plain, show_photo
from retinagan.files.provenance import map_digest
from retinagan.maps.lesions import lesion_free

VIEWS = ("Photograph", "Before and after", "Difference")


@dataclass(frozen=True)
class Made:
    """A map with its photographs, and the same eye without lesions where that was asked for."""

    sheet: Sheet
    healthy: Photograph | None


def photo_column(drawing: Drawing, networks: Models) -> None:
    """A fragment of its own: it looks again while a photograph is in the making, and the canvas stays as it is."""
    fragment(partial(_photo_column, drawing, networks))()


def _photo_column(drawing: Drawing, networks: Models) -> None:
    renderer: Renderer = st.session_state.setdefault("renderer", Renderer())
    with st.container(key="photo_head"):
        view = st.segmented_control(
            "View", VIEWS, default=VIEWS[0], required=True, key="view", persist_state="session",
            label_visibility="collapsed",
        )  # fmt: skip
    frame = st.container(key="photo_box")
    live_row = st.container(horizontal=True, vertical_alignment="center", gap="small", key="photo_live")
    _style_controls()
    wish = _wish(drawing, networks, view or VIEWS[0])
    live = st.session_state.get("live", True)
    if live or st.session_state.pop("render_now", False):
        renderer.ask(*wish)
    pending, key, made, error = renderer.look(wish[0])
    current = key == wish[0]
    with live_row:
        _live_switch(current)
    with frame:
        if error is not None:
            st.error(plain(str(error) if isinstance(error, (ValueError, TypeError)) else type(error).__name__))
        if made is None:
            _no_photograph_yet(pending)
        else:
            state = "busy" if pending else "current" if current else "old"
            with st.container(key=f"photo_{state}"):
                _show(made, view or VIEWS[0])
            st.html(f'<div class="rg-state rg-state-{state}" role="status">{_STATES[state]}</div>')
    if made is not None:
        _downloads(made.sheet)
    ticker("photo_ticker", pending)


_STATES = {"busy": "Rendering…", "current": "", "old": "The map has changed: press Render"}


def _wish(drawing: Drawing, networks: Models, view: str) -> tuple[tuple, Callable[[], Made]]:
    """What the renderer is to make, after the key that names it."""
    first, count = int(st.session_state.get("style", 7)), int(st.session_state.get("styles", 1))
    reference = st.session_state.get("style_reference")
    seeds = [first + k for k in range(count if view == VIEWS[0] else 1)]
    styles = seeds if reference is None else [replace(reference, seed=seed) for seed in seeds]
    sheet = sheet_of(drawing, drawing.map, networks)
    with_healthy = view != VIEWS[0]

    def make() -> Made:
        done = sheet.with_photographs(styles)
        healthy = networks.photograph(lesion_free(sheet.label_map), styles[0]) if with_healthy else None
        return Made(done, healthy)

    origin = (drawing.text, sheet.source, networks.stamp)
    key = (origin, map_digest(sheet.label_map), tuple(seeds), id(reference), with_healthy)
    return key, make


def _live_switch(current: bool) -> None:
    live = st.toggle(
        "Live", True, key="live", persist_state="session",
        help="On: the photograph follows each stroke. Off: only when you press Render.",
    )  # fmt: skip
    if not live:
        st.button(
            "Render", icon=":material/photo_camera:", type="secondary" if current else "primary",
            disabled=current, key="render",
            on_click=lambda: st.session_state.update(render_now=True),
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
        if st.session_state.get("style_reference") is not None:
            st.button(
                "Light of your photograph", icon=":material/close:", key="drop_reference",
                help="The light comes from the photograph that you gave. Press to go back to the style seed's own.",
                on_click=lambda: st.session_state.pop("style_reference"),
            )  # fmt: skip


def _show(made: Made, view: str) -> None:
    photograph = made.sheet.photographs[0]
    if view == VIEWS[0] or made.healthy is None:
        _show_photographs(made.sheet, st.session_state.get("overlay", 0) / 100)
    elif view == VIEWS[1]:
        before = ("without lesions", as_jpeg(made.healthy.pixels))
        before_after("before_after", before, ("with lesions", as_jpeg(photograph.pixels)))
    else:
        gain, signed = st.session_state.get("gain", 2), st.session_state.get("scale", "Signed") == "Signed"
        picture = compare.signed_difference if signed else compare.absolute_difference
        shown = picture(photograph.pixels, made.healthy.pixels, gain)
        st.image(as_jpeg(shown), width="stretch", alt="What the lesions change in the photograph")
        st.html(compare.legend(signed, gain))


def _show_photographs(sheet: Sheet, opacity: float) -> None:
    many = len(sheet.photographs) > 1
    cells = [c for _ in range(2) for c in st.columns(2, gap="small")] if many else [st.container()]
    for cell, photograph in zip(cells, sheet.photographs, strict=False):
        with cell:
            overlay = overlaid(photograph.pixels, sheet.label_map, opacity) if opacity else None
            show_photo(photograph, overlay)


def _downloads(sheet: Sheet) -> None:
    """Of the map that made the photograph which is shown: both always belong together."""
    with st.container(horizontal=True, gap="small", key="downloads_photo"):
        many = len(sheet.photographs) > 1
        for number, photograph in enumerate(sheet.photographs):
            label = f"Photograph {photograph.style_seed}" if many else "Photograph"
            data = partial(sheet.photo_file, photograph)
            download(label, data, sheet.photo_name(photograph), f"draw_photo{number}")
        download("All as ZIP" if many else "Pair as ZIP", sheet.pair_file, f"{sheet.name('pair')}.zip", "draw_pair")


def _new_style() -> None:
    step = int(st.session_state.get("styles", 1))
    st.session_state["style"] = (int(st.session_state.get("style", 7)) + step) % (MAX_SEED + 1)
