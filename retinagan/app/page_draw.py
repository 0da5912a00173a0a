"""Page *Draw*: a canvas with the seven classes beside the photographs that follow each stroke."""

from __future__ import annotations

import streamlit as st

from retinagan.app.components import map_canvas
from retinagan.app.draw_photos import photo_column
from retinagan.app.draw_tools import Brush, map_buttons, side_column
from retinagan.app.drawing import CANVAS, Drawing, current_drawing, sheet_of
from retinagan.app.measures import show_measures
from retinagan.app.studio import Models
from retinagan.app.widgets import fragment, models, page, plain


@fragment
def show() -> None:
    with st.container(key="messages"):
        networks = models()
        drawing = current_drawing(networks)
    # The canvas' gestures are taken in before it is drawn, so that it gets the map that holds them.
    drawing.receive((st.session_state.get(CANVAS) or {}).get("events"))
    with st.container(key="studio"):
        side, left, right = st.columns([1, 2, 2], gap="medium")
    with side:
        brush = side_column(drawing)
    with left:
        canvas_column(drawing, brush, networks)
    with right:
        photo_column(drawing, networks)
    with st.container(key="measures"):
        st.subheader("Measurements", anchor=False)
        show_measures(drawing.map)


def canvas_column(drawing: Drawing, brush: Brush, networks: Models) -> None:
    history = drawing.history
    map_canvas(
        CANVAS,
        map_png=drawing.png,
        size=networks.size,
        number=drawing.number,
        acknowledged=drawing.acknowledged,
        tool=brush.tool,
        label=brush.label,
        width=brush.width,
        undo=history.can_undo,
        redo=history.can_redo,
        clear=history.can_undo,
    )
    for trouble in drawing.troubles:
        st.warning(plain(trouble))
    sheet = sheet_of(drawing, drawing.map, networks)
    with st.container(horizontal=True, gap="small", key="map_buttons"):
        st.download_button(
            "Map", sheet.map_file, f"{sheet.name('map')}.png", "image/png", key="download_draw_map", on_click="ignore",
            icon=":material/download:",
        )  # fmt: skip
        map_buttons(drawing)


page(
    "Draw",
    "Paint lesions on the map; the photograph follows each stroke. Whose eye it is, the style seed says.",
    show,
)
