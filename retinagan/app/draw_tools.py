"""The column beside the canvas: start, palette, tools, brush, lesions by number, the eye's side."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from retinagan.app import examples, saved, starts
from retinagan.app.drawing import Drawing, disc_side
from retinagan.app.link import MAX_SEED
from retinagan.app.opening import bring_back, replace
from retinagan.app.palette import BRUSHES, ORDER, buttons_css
from retinagan.app.state import following, is_current, session
from retinagan.app.studio import Models
from retinagan.app.widgets import plain
from retinagan.files.maps import MAX_BYTES, encode_map_png, read_map_png
from retinagan.maps import lesions
from retinagan.maps.labels import CLASSES, EX, HE, MA, SE
from retinagan.seeds import GRADE_NAMES

TOOL = "freehand"
TOOLS = {
    "freehand": (":material/gesture: Freehand", "Press, drag, release. A click is a dot as wide as the brush."),
    "line": (":material/horizontal_rule: Line", "Drag from end to end."),
    "polygon": (":material/pentagon: Polygon", "Click the corners, then the first one again."),
    "circle": (":material/circle: Circle", "Drag across it, from edge to edge."),
    "rectangle": (":material/rectangle: Rectangle", "Drag from corner to corner."),
    "spray": (":material/grain: Spray", "Drag or click: a cluster of lesions. With Retina it removes what it touches."),
    "disc": (":material/adjust: Move disc", "Click where the optic disc shall lie. Lesions stay."),
    "closer": (":material/zoom_in: Look closer", "Click a place to see it four times larger."),
}
BRUSHED = ("freehand", "line", "spray")
PRESETS = {
    "Dot": (3, "Microaneurysm, 3 pixels"),
    "Speck": (7, "Hard exudate, 7 pixels"),
    "Blot": (14, "Haemorrhage, 14 pixels"),
    "Patch": (28, "Cotton-wool spot or eraser, 28 pixels"),
    "Cloud": (64, "For the spray, 64 pixels"),
}
# Ends of the sliders of each class' load; a map that holds a third of it or more gets a longer one.
LOADS = {MA: 60, HE: 40, EX: 120, SE: 12}


class Brush(NamedTuple):
    """What the next gesture paints: class index, tool, width in pixels of a 512 map."""

    label: int
    tool: str
    width: int


def side_column(drawing: Drawing) -> tuple[Brush, DeltaGenerator]:
    """The brush, and where :func:`start_menu` is to be: out of sight, so that it may come last."""
    menu = st.popover(starts.describe(drawing.text), icon=":material/visibility:", width="stretch", help="Start from …")
    return brush_controls(), menu


def map_buttons(drawing: Drawing) -> None:
    """What changes the whole map."""
    numbers = st.popover(
        "Lesions by number", icon=":material/tune:", help="Add or remove lesions of a class", key="numbers",
        on_change="rerun",
    )  # fmt: skip
    # A slider that is out of sight would go on sending its old value, and so take back an undo.
    if numbers.open:
        with numbers:
            loads(drawing)
    st.button(
        {"left": "To right eye", "right": "To left eye", None: "Mirror"}[disc_side(drawing.map)],
        icon=":material/flip:",
        help="Mirrors the map: the other eye.",
        on_click=drawing.act,
        args=(drawing.change, lesions.mirror, "Mirror"),
    )


def brush_controls() -> Brush:
    st.html(f"<style>{buttons_css()}</style>")
    label = st.pills(
        "Paint with",
        ORDER,
        default=HE,
        format_func=lambda index: CLASSES[index].name,
        required=True,
        key="palette",
        on_change=_suit_brush,
        persist_state="session",
        wrap=True,
        help="\n".join(f"- {CLASSES[i].short}, {CLASSES[i].name}: {CLASSES[i].looks_like}" for i in ORDER),
    )
    label = HE if label is None else label
    st.html(f'<div class="rg-hint">{CLASSES[label].looks_like}</div>')
    tool = st.pills(
        "Tool",
        list(TOOLS),
        default=TOOL,
        format_func=lambda name: TOOLS[name][0],
        required=True,
        key="tool",
        on_change=_suit_brush,
        persist_state="session",
        wrap=True,
    )
    tool = tool or TOOL
    st.html(f'<div class="rg-hint">{TOOLS[tool][1]}</div>')
    st.session_state.setdefault("brush", BRUSHES[HE])
    unused = tool not in BRUSHED
    width = st.slider(
        "Brush, pixels",
        2,
        96,
        key="brush",
        disabled=unused,
        persist_state="session",
        help="In pixels of a 512 × 512 map. Choosing a class or the spray sets a width that suits it.",
    )
    with st.container(horizontal=True, gap="xsmall", key="presets"):
        for name, (pixels, meant_for) in PRESETS.items():
            st.button(name, key=f"preset_{name}", on_click=_set_brush, args=(pixels,), help=meant_for, disabled=unused)
    return Brush(label, tool, int(width))


def start_menu(networks: Models) -> None:
    st.caption("A new start begins a new drawing. The one before it is kept, and can be brought back here.")
    former = session().former
    if former is not None:
        st.button(
            f"Bring back: {starts.describe(former.text)}, {len(former.names)} steps",
            icon=":material/undo:",
            key="bring_back",
            on_click=bring_back,
            help="Shows the drawing before this one; this one is kept in its place.",
        )
    with st.container(horizontal=True, gap="small"):
        for text, name in starts.EMPTY.items():
            st.button(name, key=f"start_{text}", on_click=restart, args=(text,))
    st.markdown("**Examples**")
    for row in range(0, len(examples.EXAMPLES), 3):
        for cell, (name, example) in zip(st.columns(3), list(examples.EXAMPLES.items())[row : row + 3], strict=True):
            with cell:
                st.image(_thumbnail(name), width="stretch", alt=f"Lesion map: {example.title}")
                text = starts.example_text(name)
                st.button(
                    example.title,
                    key=f"start_{text}",
                    on_click=restart,
                    args=(text,),
                    width="stretch",
                    help=example.shows,
                )
    with st.form("start_sampled", border=False):
        st.markdown("**Sampled map**")
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            grade = st.selectbox("Grade", range(len(GRADE_NAMES)), 2, format_func=lambda g: f"{g} · {GRADE_NAMES[g]}")
            seed = st.number_input("Map seed", 0, MAX_SEED, 0, width=130)
        if st.form_submit_button("Start from this sampled map", icon=":material/casino:"):
            restart(starts.sampled_text(grade, seed))
            st.rerun()
    with st.form("start_uploaded", border=False):
        file = st.file_uploader(
            "Your own map (PNG), or a drawing that was saved (JSON)",
            type=["png", "json"],
            max_upload_size=max(MAX_BYTES, saved.MAX_BYTES) // 2**20,
        )
        if st.form_submit_button("Start from this file", icon=":material/upload:"):
            _start_from(file, networks)


def _start_from(file, networks: Models) -> None:
    if file is None:
        st.error("Choose a PNG or JSON file first.")
        return
    content = file.getvalue()
    try:
        if not file.name.lower().endswith(".json"):
            session().uploaded = read_map_png(content, None)
            restart(starts.UPLOAD)
        else:
            replace(saved.decode(content), networks)
    except ValueError as error:
        st.error(plain(str(error)))
        return
    st.rerun()


def loads(drawing: Drawing) -> None:
    """A slider with the number of lesions of each class, and buttons for some more or fewer."""
    seed = st.number_input(
        "Seed", 0, MAX_SEED, 0, key="lesion_seed", width=130, help="Where new lesions lie and which ones go."
    )
    for label in LOADS:
        count = lesions.count_lesions(drawing.map, label)
        name = f"load_{CLASSES[label].short}"
        key = following(name, count)
        st.slider(
            f"{CLASSES[label].name}s",
            0,
            max(LOADS[label], 3 * lesions.count_lesions(drawing.start, label), count),
            count,
            key=key,
            on_change=_slid,
            args=(drawing, label, name, key, seed),
        )
        step = 20 if label in (MA, EX) else 5 if label == HE else 1
        with st.container(horizontal=True, gap="small"):
            for change in (-step, step):
                st.button(
                    f"{change:+d}".replace("-", "−"),
                    key=f"{name}_{change:+d}",
                    help=f"{step} {'more' if change > 0 else 'fewer'} of {CLASSES[label].name.lower()}s",
                    on_click=_set_count,
                    args=(drawing, label, max(0, count + change), seed),
                    disabled=change < 0 and not count,
                )


def _slid(drawing: Drawing, label: int, name: str, key: str, seed: int) -> None:
    if is_current(name, key):
        _set_count(drawing, label, st.session_state[key], seed)


def _set_count(drawing: Drawing, label: int, count: int, seed: int) -> None:
    # Each step has a seed of its own, so that twice "20 more" are not the same twenty places.
    own = (int(seed) * 1_000_003 + len(drawing.names)) % 2**63
    name = f"{CLASSES[label].name}: {count}"
    drawing.act(drawing.change, lambda label_map: lesions.set_count(label_map, label, count, own), name)


@cache
def _thumbnail(name: str) -> bytes:
    return encode_map_png(examples.read(name, 128))


def restart(text: str) -> None:
    st.query_params["start"] = text
    session().anew = True


def _suit_brush() -> None:
    label = st.session_state.get("palette", HE)
    spraying = st.session_state.get("tool") == "spray"
    st.session_state["brush"] = PRESETS["Cloud"][0] if spraying else BRUSHES.get(label, BRUSHES[HE])


def _set_brush(width: int) -> None:
    st.session_state["brush"] = width
