"""The palette and the empty eyes as files for paint programs."""

from __future__ import annotations

from retinagan.labels import CLASSES, empty_map
from retinagan.maps_io import encode_map_png
from retinagan.provenance import Provenance, map_digest

TEMPLATE_SIZE = 512


def gimp_palette() -> bytes:
    """The seven classes as a ``.gpl`` file: GIMP, Krita, Inkscape and Aseprite read it."""
    lines = ["GIMP Palette", "Name: RetinaGAN lesion map", "Columns: 7", "#"]
    lines += ["{:3d} {:3d} {:3d}\t{} ({})".format(*c.colour, c.name, c.short) for c in CLASSES]
    return ("\n".join(lines) + "\n").encode()


def template_png(disc: str | None, size: int = TEMPLATE_SIZE) -> bytes:
    """An empty eye with the disc ``left``, ``right`` or (None) nowhere, as a map PNG."""
    label_map = empty_map(size, disc)
    return encode_map_png(label_map, Provenance("map", "template", map_digest(label_map)).chunks())
