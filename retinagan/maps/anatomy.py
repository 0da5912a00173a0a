"""Where the optic disc and the fovea of a lesion map are.

The map holds the disc as a class; the fovea is inferred from it: about 2.5 disc diameters temporal and
slightly below. Temporal is towards the far side of the field, so the side follows from where the disc lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retinagan.maps.labels import OD, check_map
from retinagan.maps.parts import DISC_RADIUS, largest_part

SPECK_AREA = 10 / 512**2
"""Disc components smaller than this share of the map (10 pixels at 512) are slips of the brush, not discs."""

DISC_RADIUS_RANGE = (0.07, 0.115)
"""Radii, as a share of the side, between which a drawn disc scales the eye; outside, the nearest bound does.

A disc of a few pixels, or one that fills the field, is still drawn as it is, but the eye keeps a human scale."""

FOVEA_DISTANCE = 5.0
"""Disc centre to fovea, in disc radii. The median of IDRiD's marked centres is 0.452 of the side across, 0.066 down."""

FOVEA_DROP = 0.14
"""How far the fovea lies below the disc's centre, as a share of their distance across (the same centres; 8 degrees)."""

VIRTUAL_DISC = (-0.11, 0.48)
"""Centre (x, y; shares of the side) of the disc that a map without one is given: outside the field, to its left."""


@dataclass(frozen=True)
class Anatomy:
    """The landmarks of one eye, in pixels of its map (pixel centres at +0.5, x to the right, y down).

    ``disc_radius`` is that of a circle of the disc's area. ``side`` is where the disc lies, ``"left"`` or
    ``"right"``; the fovea lies on the other. Without a disc (``has_disc`` False) the disc is a virtual one
    outside the field. ``size`` is the side of the map.
    """

    disc_x: float
    disc_y: float
    disc_radius: float
    has_disc: bool
    fovea_x: float
    fovea_y: float
    side: str
    size: int


def find_anatomy(label_map: np.ndarray) -> Anatomy:
    """Lesion map ``uint8 (S, S)`` → its :class:`Anatomy`; the same map, scaled, gives the same eye, scaled.

    The largest connected disc component counts. Specks of fewer than about 10 pixels at 512 are no disc.

    Raises:
        TypeError, ValueError: not a lesion map (:func:`retinagan.maps.labels.check_map`), or not square.
    """
    check_map(label_map)
    height, size = label_map.shape
    if height != size:
        raise ValueError(f"an eye needs a square map, got {label_map.shape}; pad it to a square with class 0 first")
    centre_x, centre_y, radius, has_disc = *(size * v for v in VIRTUAL_DISC), size * DISC_RADIUS, False
    ys, xs = np.nonzero(largest_part(label_map == OD))
    if len(ys) and len(ys) >= SPECK_AREA * size**2:
        centre_x, centre_y = float(xs.mean()) + 0.5, float(ys.mean()) + 0.5
        radius, has_disc = float(np.sqrt(len(ys) / np.pi)), True
    side = "left" if centre_x <= size / 2 else "right"
    distance = FOVEA_DISTANCE * size * float(np.clip(radius / size, *DISC_RADIUS_RANGE))
    return Anatomy(
        disc_x=centre_x,
        disc_y=centre_y,
        disc_radius=radius,
        has_disc=has_disc,
        fovea_x=centre_x + (distance if side == "left" else -distance),
        fovea_y=centre_y + FOVEA_DROP * distance,
        side=side,
        size=size,
    )
