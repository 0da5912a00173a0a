"""Page *Template and colours*: what a map is painted with."""

from __future__ import annotations

import streamlit as st

from retinagan.app.palette import TEMPLATE_SIZE, gimp_palette, template_png
from retinagan.app.widgets import page, swatch
from retinagan.maps.labels import CLASSES
from retinagan.maps.strokes import hex_colour

TEMPLATES = {"left": "Disc left", "right": "Disc right", None: "No disc"}


def show() -> None:
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("The seven colours", anchor=False)
        st.html(palette_table())
        st.download_button(
            "Palette for GIMP, Krita, Inkscape (.gpl)",
            gimp_palette(),
            "retinagan.gpl",
            "text/plain",
            on_click="ignore",
            icon=":material/palette:",
            key="download_gpl",
        )
    with right:
        st.subheader("An empty eye", anchor=False)
        for cell, (disc, name) in zip(st.columns(3, gap="small"), TEMPLATES.items(), strict=True):
            png = template_png(disc)
            with cell:
                st.image(png, width="stretch", alt=f"Empty eye, {name.lower()}")
                st.download_button(
                    name,
                    png,
                    f"retina-{disc or 'no-disc'}.png",
                    "image/png",
                    on_click="ignore",
                    icon=":material/download:",
                    key=f"template_{disc}",
                    width="stretch",
                )
        st.subheader("How to paint a map", anchor=False)
        st.markdown(
            f"1. Open an empty eye ({TEMPLATE_SIZE} × {TEMPLATE_SIZE} pixels) in a paint program and load the "
            f"palette.\n"
            "2. Paint with the **pencil**, not the brush, with anti-aliasing off: each pixel needs one of the seven "
            "exact "
            "colours. A blend of two classes would be read as a third, so blends are refused.\n"
            "3. Leave what is outside the circle black. One disc at most.\n"
            "4. Save as **PNG** (8-bit RGB or indexed), never as JPEG, and bring it to *Upload*.\n\n"
            "Left and right are sides of the picture: in photographs of right eyes the disc lies right."
        )


def palette_table() -> str:
    rows = "".join(
        f'<tr><td>{swatch(c.index)}</td><td><b>{c.name}</b></td><td class="rg-wide">{c.short}</td>'
        f'<td class="rg-wide"><code>{hex_colour(c.index)}</code></td>'
        f"<td><code>{', '.join(map(str, c.colour))}</code></td><td>{c.looks_like}</td></tr>"
        for c in CLASSES
    )
    head = '<th></th><th>Class</th><th class="rg-wide"></th><th class="rg-wide">Hex</th>'
    head += "<th>RGB</th><th>What it looks like</th>"
    return f'<table class="rg-palette"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


page(
    "Template and colours",
    "What a lesion map is made of: an empty eye to begin with, and the exact colour of each class.",
    show,
)
