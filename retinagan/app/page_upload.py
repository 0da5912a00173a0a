"""Page *Upload*: a lesion map → photographs; or a PNG that was downloaded here → the state that made it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import streamlit as st

from retinagan.app.link import MAX_SEED, OWN
from retinagan.app.measures import show_measures
from retinagan.app.restore import Remade, places, remake
from retinagan.app.state import session
from retinagan.app.studio import Models
from retinagan.app.widgets import (
    download_buttons,
    go,
    models,
    page,
    picture_row,
    plain,
    same_seeds,
    swatch,
)
from retinagan.files import provenance
from retinagan.files.maps import fit_map, read_map_png
from retinagan.files.photos import read_carried_map, read_photo
from retinagan.maps.labels import CLASSES
from retinagan.pairs import Pair
from retinagan.resources import app_page


def show() -> None:
    file = st.file_uploader(
        "A lesion map, or any PNG that was downloaded here", type=["png"], key="upload",
        help="Maps: 8-bit RGB or palette PNG, sides of 16 to 4096 pixels, in the exact colours of *Template and "
        "colours*. Photographs made here carry what made them.",
    )  # fmt: skip
    if file is None:
        introduction()
        return
    data = file.getvalue()
    origin = _origin(data)
    if origin is not None and origin.kind == "photograph":
        photograph_of_ours(data, origin)
        return
    uploaded = read_map_png(data, None)
    networks = models()
    if origin is not None and uploaded.shape == (networks.size, networks.size):
        remade = told(origin, remake(origin, uploaded, None, networks))
        if remade.pair is not None and not remade.bad and origin.source in ("sampled", "progression"):
            restoring(origin, remade.pair)
    map_of_yours(uploaded, networks)


def introduction() -> None:
    st.markdown(
        "- **A map of yours** is a PNG in seven exact colours, painted with a hard pencil (no anti-aliasing). Other "
        "sizes and shapes are padded to a square and scaled; no class is invented on the way.\n"
        "- **A PNG that was downloaded here**, map or photograph, says what made it: it is made again, compared with "
        "the file, and opened where it came from.\n"
        "- **A fundus photograph of your own** goes to *Styles*, as a reference for light or vessels."
    )
    with st.container(horizontal=True, gap="medium"):
        st.page_link(
            app_page("template"), label="An empty eye and the colours to begin with",
            icon=":material/format_paint:",
        )  # fmt: skip
        st.page_link(
            app_page("styles"), label="A photograph as reference", icon=":material/palette:",
            query_params={"mode": "Reference"},
        )  # fmt: skip


def map_of_yours(uploaded: np.ndarray, networks: Models) -> None:
    label_map = fit_map(uploaded, networks.size)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        style = st.number_input("Style seed", 0, MAX_SEED, 7, key="upload_style", width=130)
        count = st.number_input("Photographs", 1, 4, 1, key="upload_photos", width=130)
    st.html(_summary(uploaded, label_map))
    with st.spinner("Rendering…"):
        pair = networks.pair(label_map, "uploaded")
        pair = networks.photographed(pair, [int(style) + k for k in range(int(count))])
    with st.container(border=True):
        picture_row(pair, "your map")
        with st.container(horizontal=True, gap="small"):
            same_seeds(pair, "upload")
            if st.button("Other styles", icon=":material/palette:", key="upload_styles"):
                session().own_map = label_map
                go("styles", map_grade=OWN, style_seed=int(style))
            download_buttons(pair, "upload")
    show_measures(label_map)


def photograph_of_ours(data: bytes, origin: provenance.Provenance) -> None:
    """A photograph of this project was dropped: make it again, say whether it is the same, and lead to its page."""
    carried = read_carried_map(data)
    with st.spinner("Making it again…"):
        remade = told(origin, remake(origin, carried, read_photo(data), models()))
    if remade.pair is None:
        if carried is None:
            st.caption("Its map is not in the photograph; upload the map's PNG.")
        return
    restoring(origin, remade.pair)
    picture_row(remade.pair, "its map")
    show_measures(remade.pair.label_map)


def told(origin: provenance.Provenance, remade: Remade) -> Remade:
    st.info(plain(origin.describe()), icon=":material/history:")
    if remade.good:
        st.success(plain(" ".join(remade.good)), icon=":material/verified:")
    for trouble in remade.bad:
        st.warning(plain(trouble))
    return remade


def restoring(origin: provenance.Provenance, pair: Pair) -> None:
    """Buttons to the pages that show it again."""
    with st.container(horizontal=True, gap="small", key="restoring"):
        for number, place in enumerate(places(origin)):
            kind: Literal["primary", "secondary"] = "primary" if number == 0 else "secondary"
            if st.button(place.label, icon=":material/restore:", type=kind, key=f"restore_{number}"):
                go(place.page, **place.state)
        same_seeds(pair, "restore", brief=True)


def _origin(data: bytes) -> provenance.Provenance | None:
    """Its provenance, if it has a good one; a map stays a map without."""
    try:
        return provenance.read_png(data)
    except ValueError:
        return None


def _summary(uploaded: np.ndarray, label_map: np.ndarray) -> str:
    height, width = uploaded.shape
    counts = np.bincount(label_map.ravel(), minlength=len(CLASSES))
    found = [f"{swatch(c.index)} {c.name} {counts[c.index]:,} px" for c in CLASSES if counts[c.index]]
    size = f"{width} × {height} pixels"
    if uploaded.shape != label_map.shape:
        size += f", fitted to {label_map.shape[1]} × {label_map.shape[0]}"
    return f"<p>{size} &nbsp;·&nbsp; " + " &nbsp;·&nbsp; ".join(found) + "</p>"


page(
    "Upload",
    "Bring a lesion map of your own, made in any paint program, and see its photographs; or bring back a picture that "
    "was made here.",
    show,
)
