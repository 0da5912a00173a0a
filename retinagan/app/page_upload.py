"""Page *Upload*: a lesion map as a lossless PNG → photographs, or on to the canvas."""

from __future__ import annotations

import numpy as np
import streamlit as st

from retinagan import provenance
from retinagan.app import starts
from retinagan.app.studio import Sheet
from retinagan.app.widgets import MAX_SEED, download_buttons, models, open_in_draw, page, picture_row, plain, swatch
from retinagan.labels import CLASSES
from retinagan.maps_io import fit_map, read_map_png


def show() -> None:
    file = st.file_uploader(
        "Lesion map (PNG)",
        type=["png"],
        key="upload",
        help="8-bit RGB or palette PNG, sides of 16 to 4096 pixels, in the exact colours of *Template and colours*.",
    )
    if file is None:
        st.markdown(
            "A map is a PNG in seven exact colours, painted with a hard pencil (no anti-aliasing). Other sizes and "
            "shapes are padded to "
            "a square and scaled; no class is invented on the way. A PNG that was downloaded here is read as well."
        )
        st.page_link(
            "retinagan/app/page_template.py",
            label="An empty eye and the colours to begin with",
            icon=":material/palette:",
        )
        return
    data = file.getvalue()
    origin = _origin(data)
    if origin is not None and origin.kind == "photograph":
        photograph_of_ours(origin)
        return
    uploaded = read_map_png(data, None)
    networks = models()
    label_map = fit_map(uploaded, networks.size)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        style = st.number_input("Style seed", 0, MAX_SEED, 7, key="upload_style", width=130)
        count = st.number_input("Photographs", 1, 4, 1, key="upload_photos", width=130)
    st.html(_summary(uploaded, label_map))
    with st.spinner("Rendering…"):
        sheet = Sheet(label_map, "uploaded", networks).with_photographs([int(style) + k for k in range(int(count))])
    with st.container(border=True):
        picture_row(sheet, "your map")
        with st.container(horizontal=True, gap="small"):
            if st.button("Open in Draw", icon=":material/brush:", type="primary", key="upload_draw"):
                open_in_draw(starts.UPLOAD, int(style), uploaded)
            download_buttons(sheet, "upload")


def photograph_of_ours(origin: provenance.Provenance) -> None:
    """A photograph of this project was dropped: say what made it, and offer to make it again."""
    st.info(plain(origin.describe()), icon=":material/photo_camera:")
    if origin.source != "sampled" or origin.grade is None or origin.map_seed is None:
        st.caption("Its map was drawn or uploaded and is not in the photograph; upload the map's PNG.")
        return
    hashes = models().pipeline.hashes
    if dict(origin.checkpoints) != hashes:
        st.warning("Other weights made it than those loaded here: the same seeds give another picture.")
    if st.button("Open what made it in Draw", icon=":material/brush:", type="primary", key="upload_restore"):
        truncation = 1.0 if origin.truncation is None else origin.truncation
        open_in_draw(starts.sampled_text(origin.grade, origin.map_seed, truncation), origin.style_seed or 0)


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


page("Upload", "Bring a lesion map of your own, made in any paint program, and see its photographs.", show)
