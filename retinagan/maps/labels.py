"""The seven channels of a lesion map: names, colours, validation and conversions.

A *lesion map* is ``uint8 (H, W)`` of class indices 0-6. Colours exist only at the edges
(PNG, screen), one-hot planes only inside the networks' doors. The channels and their colours
are those of the original release, so that its maps and this project's are interchangeable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from retinagan.maps.parts import DISC_RADIUS, field_of_view, round_disc

if TYPE_CHECKING:
    import torch

BG, EX, HE, SE, MA, OD, VB = range(7)
NUM_CLASSES = 7
LESIONS = (EX, HE, SE, MA)


class LabelClass(NamedTuple):
    """One channel of a lesion map."""

    index: int  # type: ignore[assignment]  # a tuple has a method of that name
    short: str
    name: str
    colour: tuple[int, int, int]
    looks_like: str


CLASSES = (
    LabelClass(BG, "BG", "Background", (0, 0, 0), "Black, outside the field of view."),
    LabelClass(EX, "EX", "Hard exudate", (239, 164, 0), "Waxy, yellow-white, sharp edges; often in clusters or rings."),
    LabelClass(HE, "HE", "Haemorrhage", (0, 186, 127), "Dark red: flame-shaped, or a round blot."),
    LabelClass(SE, "SE", "Soft exudate", (0, 185, 255), "Cotton-wool spot: pale, fluffy, without a sharp edge."),
    LabelClass(MA, "MA", "Microaneurysm", (34, 80, 242), "Tiny dark red dot, 2-5 pixels at 512."),
    LabelClass(OD, "OD", "Optic disc", (73, 73, 73), "Bright disc from which the vessels leave."),
    LabelClass(VB, "VB", "Retina", (255, 255, 255), "The rest of the visible retina; paints lesions away."),
)

PALETTE = np.array([c.colour for c in CLASSES], dtype=np.uint8)
"""``uint8 (7, 3)``: RGB of each class, in class order."""


def check_map(label_map: np.ndarray) -> None:
    """Raise unless ``label_map`` is a lesion map, ``uint8 (H, W)`` with classes 0-6.

    Raises:
        TypeError: not a ``uint8`` array.
        ValueError: not two-dimensional, empty, or a class above 6 (its first position is named).
    """
    if not isinstance(label_map, np.ndarray) or label_map.dtype != np.uint8:
        found = getattr(label_map, "dtype", type(label_map).__name__)
        raise TypeError(f"a lesion map is a uint8 array of classes 0-6, got {found}; convert it with .astype('uint8')")
    if label_map.ndim != 2 or label_map.size == 0:
        raise ValueError(f"a lesion map has shape (H, W), got {label_map.shape}")
    if label_map.max() >= NUM_CLASSES:
        y, x = np.argwhere(label_map >= NUM_CLASSES)[0]
        raise ValueError(
            f"map has class {label_map[y, x]} at row {y}, column {x}; allowed are 0-6 (see retinagan.maps.labels)"
        )


def colours_from_map(label_map: np.ndarray) -> np.ndarray:
    """Lesion map ``uint8 (H, W)`` → colours ``uint8 (H, W, 3)``. Exact inverse of :func:`map_from_colours`."""
    check_map(label_map)
    return PALETTE[label_map]


def map_from_colours(rgb: np.ndarray) -> np.ndarray:
    """Colours ``uint8 (H, W, 3)`` → lesion map ``uint8 (H, W)``; every colour must be of the palette.

    Nothing is snapped to the nearest colour: a blend of two classes would become a third.

    Raises:
        ValueError: wrong shape or dtype, or a colour outside the palette (value, position and count are named).
    """
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        found = (getattr(rgb, "shape", None), getattr(rgb, "dtype", type(rgb).__name__))
        raise ValueError(f"a coloured map is uint8 (H, W, 3), got {found}")
    codes = rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    palette_codes = PALETTE.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    label_map = np.full(codes.shape, 255, dtype=np.uint8)
    for index, code in enumerate(palette_codes):
        label_map[codes == code] = index
    unknown = label_map == 255
    if unknown.any():
        y, x = np.argwhere(unknown)[0]
        allowed = ", ".join(f"{c.short} {c.colour}" for c in CLASSES)
        raise ValueError(
            f"colour {tuple(int(v) for v in rgb[y, x])} at row {y}, column {x} is not in the palette "
            f"({int(unknown.sum())} such pixels); allowed are {allowed}. "
            "Draw without anti-aliasing, save as lossless PNG"
        )
    return label_map


def one_hot(maps: np.ndarray) -> torch.Tensor:
    """Lesion maps ``uint8 (N, H, W)`` → ``float32 (N, 7, H, W)`` with exactly one 1 a pixel."""
    import torch  # only here: what reads or shows maps starts without it

    maps = np.asarray(maps)
    if maps.ndim != 3:
        raise ValueError(f"maps have shape (N, H, W), got {maps.shape}")
    for label_map in maps:
        check_map(label_map)
    classes = torch.arange(NUM_CLASSES, dtype=torch.uint8).view(1, NUM_CLASSES, 1, 1)
    return (torch.from_numpy(np.ascontiguousarray(maps))[:, None] == classes).float()


def empty_map(size: int, disc: str | None = "left") -> np.ndarray:
    """A healthy eye ``uint8 (size, size)``: field, retina and, unless ``disc`` is None, a disc left or right."""
    if disc not in ("left", "right", None):
        raise ValueError(f"disc is {disc!r}; allowed are 'left', 'right' and None")
    if disc is None:
        return np.where(field_of_view(size), VB, BG).astype(np.uint8)
    return map_with_disc(size, size * (0.22 if disc == "left" else 0.78), size * 0.48, size * DISC_RADIUS)


def enlarged_map(label_map: np.ndarray, factor: int) -> np.ndarray:
    """A lesion map ``uint8 (H, W)`` with ``factor × factor`` pixels for each: ``uint8 (factor H, factor W)``."""
    return label_map.repeat(factor, axis=0).repeat(factor, axis=1) if factor > 1 else label_map


def map_with_disc(size: int, x: float, y: float, radius: float) -> np.ndarray:
    """A healthy eye ``uint8 (size, size)`` with a disc of this centre and radius in pixels."""
    label_map = empty_map(size, disc=None)
    label_map[round_disc((size, size), x, y, radius) & (label_map == VB)] = OD
    return label_map
