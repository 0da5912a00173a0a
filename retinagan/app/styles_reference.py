"""Part *Reference* of the page Styles: a fundus photograph of the user's lends its light or its whole eye."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st
from PIL import Image

from retinagan.app.state import session
from retinagan.app.studio import Models, as_jpeg
from retinagan.app.widgets import download_buttons, draw_pair, show_map, show_photo
from retinagan.eye.measured import photo_digest
from retinagan.eye.style import Style
from retinagan.files.photos import read_photo
from retinagan.pairs import Pair

PARTS = ("Light and texture", "Whole eye")
SHOWN_SIDE = 768


def reference(networks: Models, pair: Pair, style_seed: int) -> None:
    file = st.file_uploader(
        "Fundus photograph (JPEG, PNG or WebP)", type=["jpg", "jpeg", "png", "webp"], key="reference",
        help="In colour, the round field on a dark surround. At least 64 pixels wide, for the whole eye 256.",
    )  # fmt: skip
    st.caption("It is measured in memory, kept for this visit and never stored. Do not give what you may not share.")
    if file is None:
        return
    photo = read_photo(file.getvalue())
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        part = st.segmented_control("Take over", PARTS, default=PARTS[0], required=True, key="reference_part")
        whole = part == PARTS[1]
        own_disc = whole and st.toggle(
            "On its own disc, without lesions", key="reference_own",
            help="Off: the vessels are moved onto the disc of the map above.",
        )  # fmt: skip
    with st.spinner("Measuring the photograph…"):
        style = replace(measure(networks, photo, whole), seed=style_seed)
    if own_disc:
        pair = networks.pair(style.own_map(networks.size), "template")
    with st.spinner("Rendering…"):
        made = networks.photographed(pair, [style])
        plain = networks.photograph(pair.label_map, style_seed)
    cells = st.columns(4, gap="small")
    with cells[0]:
        st.image(as_jpeg(small(photo)), caption="your photograph", width="stretch", alt="The photograph that you gave")
    with cells[1]:
        show_map(pair.label_map, "map")
    with cells[2]:
        show_photo(made.photographs[0], caption="with your photograph's " + ("eye" if whole else "light"))
    with cells[3]:
        show_photo(plain, caption=f"style {style_seed} alone")
    with st.container(horizontal=True, gap="small"):
        if st.button("Use it in Draw", icon=":material/brush:", type="primary", key="reference_draw"):
            draw_pair(made)
        download_buttons(made, "reference")
    if whole:
        st.caption(
            "The downloaded photograph says which reference it had, by its hash; the vessels themselves are a "
            "person's and are not written into it."
        )


def measure(networks: Models, photo: np.ndarray, whole_eye: bool) -> Style:
    """The photograph's style; what the session measured last is not measured again."""
    key, last = (networks.weights, photo_digest(photo), whole_eye), session().measured
    if last is not None and last[0] == key:
        return last[1]
    style = networks.compute(networks.pipeline.encode_style, photo, None, whole_eye)
    session().measured = (key, style)
    return style


def small(photo: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(photo)
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    return np.asarray(picture)
