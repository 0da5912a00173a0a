"""Page *Draw*: a canvas with the seven classes beside the photographs that follow each stroke."""

from __future__ import annotations

import streamlit as st

from retinagan.app import starts
from retinagan.app.drawing import Drawing, current_drawing, sheet_of
from retinagan.app.studio import DISPLAY, Sheet, overlaid
from retinagan.app.widgets import MAX_SEED, download_buttons, fragment, models, page, show_photo, swatch
from retinagan.canvas import hex_colour, rasterise
from retinagan.labels import BG, CLASSES, EX, GRADE_NAMES, HE, MA, OD, SE, VB

PALETTE_ORDER = tuple(c.index for c in CLASSES)
# Brush that suits a class, in pixels of a 512 map.
BRUSH_OF = {BG: 20, EX: 7, HE: 14, SE: 20, MA: 4, OD: 40, VB: 24}

PRESETS = {"Dot": 4, "Blot": 12, "Patch": 28}
TOOLS = {
    "freedraw": ":material/gesture: Freehand",
    "line": ":material/horizontal_rule: Line",
    "polygon": ":material/pentagon: Polygon",
    "circle": ":material/circle: Circle",
    "rect": ":material/rectangle: Rectangle",
    "point": ":material/fiber_manual_record: Point",
}
# Tools whose width is the brush; the others are filled areas with a fine outline.
BRUSHED = ("freedraw", "line", "point")

HINTS = {
    "freedraw": "Press, drag, release.",
    "line": "Drag from end to end.",
    "polygon": "Click the corners, then the first one again. After Undo, press the toolbar's arrow to send it.",
    "circle": "Drag across the circle, from edge to edge.",
    "rect": "Drag from corner to corner.",
    "point": "Click: one dot as wide as the brush.",
}


@fragment
def show() -> None:
    # What comes and goes has a place of its own: were the canvas to move on the page, it would start anew.
    with st.container(key="messages"):
        networks = models()
        drawing = current_drawing(networks)
    with st.container(key="studio"):
        side, left, right = st.columns([1, 2, 2], gap="medium")
    with side:
        label, tool, brush = tools(drawing)
    with left:
        strokes = draw_canvas(drawing, label, tool, brush)
        downloads = st.container()
    with right:
        photo_box = st.container(key="photo_box")
        busy = photo_box.container(key="busy")
        styles, opacity = style_controls()
    label_map = rasterise({"objects": strokes}, drawing.start, canvas_size=DISPLAY)
    with busy, st.spinner("Rendering…"):
        sheet = sheet_of(drawing, label_map, networks).with_photographs(styles)
    with photo_box:
        show_photographs(sheet, opacity)
    with downloads:
        download_buttons(sheet, "draw")
        st.caption("Undo, redo, move and clear: the toolbar above the map. *Retina* paints lesions away.")


def tools(drawing: Drawing) -> tuple[int, str, int]:
    """The column beside the canvas. Returns the class index, the tool, and the brush in pixels of a 512 map."""
    with st.popover(
        starts.describe(drawing.text),
        icon=":material/visibility:",
        width="stretch",
        help="What the drawing starts from",
    ):
        start_menu()
    label = st.pills(
        "Paint with",
        PALETTE_ORDER,
        default=HE,
        format_func=lambda index: CLASSES[index].name,
        required=True,
        key="palette",
        on_change=_suit_brush,
        persist_state="session",
        wrap=True,
        help="\n".join(f"- {c.name}: {c.looks_like}" for c in CLASSES),
    )
    label = HE if label is None else label
    st.html(f'<div class="rg-hint">{swatch(label)} {CLASSES[label].looks_like}</div>')
    tool = st.pills(
        "Tool",
        list(TOOLS),
        default="freedraw",
        format_func=TOOLS.get,
        required=True,
        key="tool",
        persist_state="session",
        wrap=True,
    )
    tool = tool or "freedraw"
    st.html(f'<div class="rg-hint">{HINTS[tool]}</div>')
    st.session_state.setdefault("brush", BRUSH_OF[HE])
    brush = st.slider(
        "Brush, pixels",
        2,
        80,
        key="brush",
        disabled=tool not in BRUSHED,
        persist_state="session",
        help="In pixels of a 512 × 512 map. Choosing a class sets a width that suits it.",
    )
    with st.container(horizontal=True, gap="small"):
        for name, width in PRESETS.items():
            st.button(
                name,
                key=f"preset_{name}",
                on_click=_set_brush,
                args=(width,),
                help=f"{width} pixels",
                disabled=tool not in BRUSHED,
            )
    return label, tool, brush


def start_menu() -> None:
    st.caption("A new start clears the strokes.")
    with st.container(horizontal=True):
        for text, name in starts.EMPTY.items():
            st.button(name, key=f"start_{text}", on_click=_restart, args=(text,))
    with st.form("start_sampled", border=False):
        grade = st.selectbox("Grade", range(len(GRADE_NAMES)), 2, format_func=lambda g: f"{g} · {GRADE_NAMES[g]}")
        seed = st.number_input("Map seed", 0, MAX_SEED, 0)
        if st.form_submit_button("Start from this sampled map", icon=":material/casino:"):
            _restart(starts.sampled_text(grade, seed))
            st.rerun()


def draw_canvas(drawing: Drawing, label: int, tool: str, brush: int) -> list:
    """The canvas over its start map; returns the strokes as Fabric.js objects."""
    from streamlit_drawable_canvas import st_canvas  # it can be imported inside a running app alone

    key = f"canvas_{drawing.number}"
    if key not in st.session_state:  # mounted now, or again after another page was open
        drawing.frozen = {"objects": drawing.strokes} if drawing.strokes else None
    width = brush * DISPLAY / 512
    colour = hex_colour(label)
    with st.container(key="canvas_box"):
        result = st_canvas(
            fill_color=colour,
            stroke_color=colour,
            stroke_width=width if tool in ("freedraw", "line") else 0 if tool == "point" else 2,
            point_display_radius=width / 2,
            background_image=drawing.background,
            drawing_mode=tool,
            initial_drawing=drawing.frozen,
            height=DISPLAY,
            width=DISPLAY,
            key=key,
        )
    found = (result.json_data or {}).get("objects", [])
    drawing.strokes = found if isinstance(found, list) else []
    return drawing.strokes


def style_controls() -> tuple[list[int], float]:
    """Style seeds of the photographs and the overlay's opacity."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        style = st.number_input(
            "Style seed",
            0,
            MAX_SEED,
            7,
            key="style",
            bind="query-params",
            width=130,
            help="Whose eye: vessels, pigment and light. The same seed is the same eye.",
        )
        st.button("New style", icon=":material/autorenew:", on_click=_new_style)
        count = st.number_input("Photographs", 1, 4, 1, key="styles", width=130, persist_state="session")
        opacity = st.slider(
            "Lesions on top",
            0,
            100,
            0,
            5,
            format="%d%%",
            key="overlay",
            width=180,
            persist_state="session",
            help="Shows the map's lesions over the photograph. Downloads stay clean.",
        )
    return [int(style) + k for k in range(int(count))], opacity / 100


def show_photographs(sheet: Sheet, opacity: float) -> None:
    cells = (
        [st.container()] if len(sheet.photographs) == 1 else [c for _ in range(2) for c in st.columns(2, gap="small")]
    )
    for cell, photograph in zip(cells, sheet.photographs, strict=False):
        with cell:
            overlay = overlaid(photograph.pixels, sheet.label_map, opacity) if opacity else None
            show_photo(photograph, overlay)


def _suit_brush() -> None:
    st.session_state["brush"] = BRUSH_OF.get(st.session_state.get("palette"), BRUSH_OF[HE])


def _set_brush(width: int) -> None:
    st.session_state["brush"] = width


def _new_style() -> None:
    step = int(st.session_state.get("styles", 1))
    st.session_state["style"] = (int(st.session_state.get("style", 7)) + step) % (MAX_SEED + 1)


def _restart(text: str) -> None:
    st.query_params["start"] = text
    st.session_state["draw_fresh"] = True


page(
    "Draw",
    "Paint lesions on the map; the photograph follows each stroke. Whose eye it is, the style seed says.",
    show,
)
