"""Page *Draw*: a canvas with the seven classes beside the photographs that follow each stroke."""

from __future__ import annotations

from html import escape

import streamlit as st

from retinagan.app import saved
from retinagan.app.board import CANVAS, ZOOMS
from retinagan.app.components import one_undo, waker
from retinagan.app.draw_photos import ask_for_photographs, photo_column
from retinagan.app.draw_tools import BRUSHED, TOOL, Brush, map_buttons, side_column, start_menu
from retinagan.app.drawing import Drawing
from retinagan.app.measures import show_measures
from retinagan.app.opening import keep, open_drawing
from retinagan.app.state import following, is_current
from retinagan.app.studio import Models, data_url
from retinagan.app.widgets import download, fragment, models, page, plain
from retinagan.files.maps import encode_map_png
from retinagan.maps.strokes import Gesture, gesture_colour

# The canvas' own names of the tools, and the gestures of those that do not paint.
_MODES = {"freehand": "freedraw", "rectangle": "rect", "spray": "freedraw", "disc": "point", "closer": "point"}
_GESTURES = {"spray": Gesture.SPRAY, "disc": Gesture.MOVE_DISC, "closer": Gesture.LOOK_CLOSER}
_MARK_RADIUS = 6


@fragment
def show() -> None:
    # What comes and goes has a place of its own: were the canvas to move on the page, it would start anew.
    with st.container(key="messages"):
        networks = models()
        drawing = open_drawing(networks)
    view = drawing.window
    drawing.sync()
    if "style" in st.session_state:  # else the link's style is not known before its control is there
        ask_for_photographs(drawing, networks)  # they are made while the columns are
    if drawing.window != view and st.session_state.get("tool") == "closer":
        st.session_state["tool"] = TOOL
    with st.container(key="studio"):
        side, left, right = st.columns([1, 2, 2], gap="medium")
    with side:
        brush, menu = side_column(drawing)
    with left:
        file = canvas_column(drawing, brush, networks)
    with right:
        photo_column(drawing, networks)
    with st.container(key="measures"):
        st.subheader("Measurements", anchor=False)
        show_measures(drawing.map)
    with menu:
        start_menu(networks)
    keep(drawing, file)
    waker("canvas_waker", not drawing.loaded)


def canvas_column(drawing: Drawing, brush: Brush, networks: Models) -> bytes:
    """The canvas with what belongs to it; the drawing's file (``retinagan.app.saved``)."""
    with st.container(horizontal=True, gap="xsmall", key="map_head"):
        for name, how, possible in (
            ("Undo", drawing.undo, drawing.can_undo),
            ("Redo", drawing.redo, drawing.can_redo),
            ("Clear", drawing.clear, drawing.can_undo),
        ):
            st.button(name, key=name.lower(), on_click=drawing.act, args=(how,), disabled=not possible)
    with st.container(key="canvas_box"):
        mount_canvas(drawing, brush)
    view_controls(drawing)
    for trouble in drawing.troubles:
        st.warning(plain(trouble))
    step = st.empty()
    pair, file = drawing.pair(networks), saved.encode(drawing)
    with st.container(horizontal=True, gap="small", key="map_buttons"):
        # Made at once: nothing can take a press's away.
        download("Map", pair.map_file(), pair.map_name, "draw_map")
        download("Save drawing", file, f"{pair.name('drawing')}.json", "draw_drawing")
        map_buttons(drawing)
    st.caption(
        "The pencil above the map lets strokes be moved, turned and deleted until the view changes. Without a mouse: "
        "*Lesions by number* draws lesions from the keyboard."
    )
    # Last, though it stands above: once the page shows a step, what is downloaded is of that step too.
    done = drawing.names
    last = f"Step {len(done)}: {done[-1]}." if done else "Nothing drawn yet."
    state = f'data-steps="{len(done)}" data-canvas="{drawing.mounts if drawing.loaded else "loading"}"'
    step.html(f'<div class="rg-step" role="status" {state}>{escape(last)}</div>')
    return file


def mount_canvas(drawing: Drawing, brush: Brush) -> None:
    """The canvas over the map; what is drawn on it comes back with the next run (``Drawing.sync``)."""
    from streamlit_drawable_canvas import st_canvas  # it can be imported inside a running app alone

    if drawing.key not in st.session_state:  # mounted now, or again after another page was open
        drawing.initial = {"objects": drawing.objects} if drawing.objects else None
        drawing.loaded = False
    width = brush.width * drawing.zoom * CANVAS / 512
    colour = gesture_colour(_GESTURES.get(brush.tool, Gesture.PAINT), brush.label)
    st_canvas(
        fill_color=colour,
        stroke_color=colour,
        stroke_width=width if brush.tool in BRUSHED else 0,
        point_display_radius=_MARK_RADIUS,
        background_image=drawing.background,
        drawing_mode=_MODES.get(brush.tool, brush.tool),
        initial_drawing=drawing.initial,
        height=CANVAS,
        width=CANVAS,
        key=drawing.key,
    )
    one_undo("one_undo")


def view_controls(drawing: Drawing) -> None:
    """How large the map is shown and, when it is enlarged, which part of it."""
    key = following("zoom", drawing.zoom)  # a click with "Look closer" changes it too
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", key="view_controls"):
        st.segmented_control(
            "Zoom", ZOOMS, default=drawing.zoom, format_func="×{}".format, required=True, key=key,
            label_visibility="collapsed",
            on_change=_zoomed, args=(drawing, key),
        )  # fmt: skip
        if drawing.zoom == 1:
            return
        for name, way in (("Left", (-1, 0)), ("Right", (1, 0)), ("Up", (0, -1)), ("Down", (0, 1))):
            st.button(
                name, key=f"pan_{name}", on_click=drawing.act, args=(drawing.pan, *way),
                help="Moves the part of the map that is shown.",
            )  # fmt: skip
        st.html(_overview(drawing))


def _zoomed(drawing: Drawing, key: str) -> None:
    if is_current("zoom", key):
        drawing.act(drawing.look, st.session_state[key])


def _overview(drawing: Drawing) -> str:
    """The whole map, small, with a frame around what is shown."""
    share = 100 / drawing.size
    left, top, side = (f"{share * value:.2f}%" for value in drawing.window)
    small = drawing.map[:: max(1, drawing.size // 128), :: max(1, drawing.size // 128)]
    return (
        '<div class="rg-overview" role="img" aria-label="The whole map, with a frame around the part that is shown">'
        f'<img alt="" src="{data_url(encode_map_png(small), "image/png")}">'
        f'<i style="left: {left}; top: {top}; width: {side}; height: {side}"></i></div>'
    )


page(
    "Draw",
    "Paint lesions on the map; the photograph follows each stroke. The style seed sets whose eye it is.",
    show,
)
