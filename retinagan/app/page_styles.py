"""Page *Styles*: one map in many eyes: a gallery, a reference photograph's eye, and what lies between two."""

from __future__ import annotations

from functools import partial

import streamlit as st

from retinagan.app.enlarge import clickable, enlarge
from retinagan.app.link import GRADES, MODES, MOST_KEPT, OWN
from retinagan.app.state import session
from retinagan.app.studio import Models
from retinagan.app.styles_between import between_maps, between_styles
from retinagan.app.styles_reference import reference
from retinagan.app.widgets import draw_pair, models, page, seed_input, show_photo
from retinagan.pairs import Pair
from retinagan.seeds import GRADE_NAMES

EIGHT = MOST_KEPT + 1
HINTS = {
    "Gallery": "Eight eyes with the same lesions. Keep those you like; new styles take the place of the others.",
    "Reference": "The light of a fundus photograph of yours, or its whole eye with its vessels, on the map.",
    "Two styles": "Light and texture on the way from one style to another; the vessels stay those of the first.",
    "Two maps": "On the way from one sampled map to another, in the network's own space.",
}


def show() -> None:
    mode = st.segmented_control(
        "What to do", MODES, default=MODES[0], required=True, key="mode", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    mode = mode or MODES[0]
    st.caption(HINTS[mode])
    networks = models()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="controls"):
        pair = chosen_map(networks, own_allowed=mode != "Two maps")
        fresh = "New styles" if mode == "Gallery" else "New style"
        style_seed = seed_input("Style seed", "style_seed", fresh, STYLE_HELP)
    if mode == "Gallery":
        gallery(networks, pair, style_seed)
    elif mode == "Reference":
        reference(networks, pair, style_seed)
    elif mode == "Two styles":
        between_styles(networks, pair, style_seed)
    else:
        between_maps(networks, pair, style_seed)


STYLE_HELP = "Whose eye: vessels, pigment and light. The same seed on the same disc is the same eye."


def chosen_map(networks: Models, own_allowed: bool) -> Pair:
    """The map that all styles are shown on: sampled, or the session's own from *Upload*."""
    own = session().own_map if own_allowed else None
    options = [*GRADES, *[OWN] * (own is not None)]
    grade = st.segmented_control(
        "Map of grade", options, default="2", required=True, key="map_grade", bind="query-params",
        help="\n".join(f"- {i}: {name}" for i, name in enumerate(GRADE_NAMES)),
    )  # fmt: skip
    seed = seed_input("Map seed", "map_seed", "New map", "Which lesions, and where the disc lies.")
    if grade == OWN and own is not None:
        return networks.pair(own, "uploaded")
    return networks.sampled(int(grade) if str(grade).isdigit() else 2, seed)


def gallery(networks: Models, pair: Pair, style_seed: int) -> None:
    kept = kept_styles()
    fresh = (style_seed + k for k in range(2 * EIGHT) if style_seed + k not in kept)
    styles = [*kept, *(next(fresh) for _ in range(EIGHT - len(kept)))]
    progress = st.progress(0.0, text="Rendering eight styles…")
    with st.container(key="grid_gallery"):
        cells = st.columns(EIGHT, gap="small")
    clicked = None
    for number, (cell, style) in enumerate(zip(cells, styles, strict=True), 1):
        one = networks.photographed(pair, [style])
        with cell, st.container(border=True, key=f"style_{style}"):
            if clickable(f"style{style}", f"Enlarge style {style}", partial(show_photo, one.photographs[0])):
                clicked = one
            with st.container(horizontal=True, gap="small", horizontal_alignment="distribute"):
                st.button(
                    "Kept" if style in kept else "Keep", key=f"keep_{style}", on_click=_keep, args=(style,),
                    icon=":material/bookmark_added:" if style in kept else ":material/bookmark_add:",
                    type="primary" if style in kept else "secondary",
                    disabled=style not in kept and len(kept) == EIGHT - 1,
                )  # fmt: skip
                if st.button("Draw", key=f"draw_style_{style}", icon=":material/brush:"):
                    draw_pair(one)
        progress.progress(number / EIGHT, text=f"Style {number} of {EIGHT}")
    progress.empty()
    if clicked is not None:
        enlarge(clicked, f"Style {clicked.photographs[0].style.seed}")
    st.caption(f"The address of this page repeats it. {networks.speed}")


def kept_styles() -> list[int]:
    """Style seeds that were kept, from the link."""
    text = st.query_params.get("keep")
    return list(dict.fromkeys(map(int, text.split("-")))) if text else []


def _keep(style: int) -> None:
    kept = kept_styles()
    kept = [seed for seed in kept if seed != style] if style in kept else [*kept, style]
    if kept:
        st.query_params["keep"] = "-".join(map(str, kept))
    else:
        st.query_params.pop("keep", None)


page("Styles", "The map says what is diseased; the style says whose eye it is: vessels, pigment, light.", show)
