"""The palette: as files for paint programs, as badges and as the page's buttons; and the empty eyes as files."""

from __future__ import annotations

from retinagan.files.maps import encode_map_png
from retinagan.files.provenance import Provenance, map_digest
from retinagan.maps.labels import BG, CLASSES, EX, HE, MA, OD, SE, VB, empty_map

TEMPLATE_SIZE = 512

ORDER = (MA, HE, EX, SE, VB, OD, BG)
"""On the page: lesions first, by how early they appear, then what lies around them."""

BRUSHES = {BG: 20, EX: 7, HE: 14, SE: 20, MA: 4, OD: 40, VB: 24}
"""The brush that suits a class, in pixels of a map of 512."""

# Every class is told apart by letters and by its shape too, not by its colour alone.
_SHAPES = {
    EX: "clip-path: polygon(50% 0, 100% 50%, 50% 100%, 0 50%);",  # a lozenge
    HE: "border-radius: 60% 40% 55% 45%;",  # a blot
    SE: "border-radius: 50% / 35%;",  # a cloud
    MA: "border-radius: 50%; transform: scale(0.55);",  # a dot
    OD: "border-radius: 50%; box-shadow: inset 0 0 0 2px currentColor;",  # a ring
    BG: "",
    VB: "border-radius: 0.2rem;",
}


def badge(label: int) -> str:
    """HTML of a class' mark: its shape in its colour, and its letters."""
    c = CLASSES[label]
    return f'<span class="rg-badge"><i style="background: rgb{c.colour}; {_SHAPES[label]}"></i>{c.short}</span>'


def buttons_css() -> str:
    """Marks and tooltips of the palette's buttons, which stand in :data:`ORDER`."""
    rules = []
    for number, label in enumerate(ORDER, 1):
        c = CLASSES[label]
        button = f".st-key-palette button[role=radio]:nth-of-type({number})"
        rules.append(f"{button}::before {{ background: rgb{c.colour}; {_SHAPES[label]} }}")
        rules.append(f'{button}:is(:hover, :focus-visible)::after {{ content: "{c.short}: {c.looks_like}"; }}')
    return "\n".join(rules)


def gimp_palette() -> bytes:
    """The seven classes as a ``.gpl`` file: GIMP, Krita, Inkscape and Aseprite read it."""
    lines = ["GIMP Palette", "Name: RetinaGAN lesion map", "Columns: 7", "#"]
    lines += [f"{c.colour[0]:3d} {c.colour[1]:3d} {c.colour[2]:3d}\t{c.name} ({c.short})" for c in CLASSES]
    return ("\n".join(lines) + "\n").encode()


def template_png(disc: str | None, size: int = TEMPLATE_SIZE) -> bytes:
    """An empty eye with the disc ``left``, ``right`` or (None) nowhere, as a map PNG."""
    label_map = empty_map(size, disc)
    return encode_map_png(
        label_map, Provenance(kind="map", source="template", map_sha256=map_digest(label_map)).chunks()
    )
