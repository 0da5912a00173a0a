"""The seven channels of a lesion map: names, colours, validation and conversions.

A *lesion map* is ``uint8 (H, W)`` of class indices 0-6. Colours exist only at the edges
(PNG, screen), one-hot planes only inside the networks' doors. The channels and their colours
are those of the original release, so that its maps and this project's are interchangeable.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    import torch

BG, EX, HE, SE, MA, OD, VB = range(7)
NUM_CLASSES = 7
LESIONS = (EX, HE, SE, MA)

GRADE_NAMES = (
    "No apparent retinopathy",
    "Mild NPDR",
    "Moderate NPDR",
    "Severe NPDR",
    "Proliferative DR",
)
NUM_GRADES = len(GRADE_NAMES)


class LabelClass(NamedTuple):
    """One channel of a lesion map."""

    index: int
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

DISC_RADIUS = 0.092
"""The optic disc's usual radius as a share of the map's side (median of IDRiD's full-circle squares)."""


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
            f"({int(unknown.sum())} such pixels); allowed are {allowed}. Draw without anti-aliasing, save as lossless PNG"
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


def field_of_view(size: int) -> np.ndarray:
    """The circular field ``bool (size, size)``: centre (size/2, size/2), radius size/2, dx² + dy² ≤ r²."""
    d = np.arange(size) - size / 2
    return (d[:, None] ** 2 + d[None, :] ** 2) <= (size / 2) ** 2


def empty_map(size: int, disc: str | None = "left") -> np.ndarray:
    """A healthy eye ``uint8 (size, size)``: field, retina and, unless ``disc`` is None, a disc left or right."""
    if disc not in ("left", "right", None):
        raise ValueError(f"disc is {disc!r}; allowed are 'left', 'right' and None")
    if disc is None:
        return np.where(field_of_view(size), VB, BG).astype(np.uint8)
    return map_with_disc(size, size * (0.22 if disc == "left" else 0.78), size * 0.48, size * DISC_RADIUS)


def map_with_disc(size: int, x: float, y: float, radius: float) -> np.ndarray:
    """A healthy eye ``uint8 (size, size)`` with a disc of this centre and radius in pixels."""
    label_map = empty_map(size, disc=None)
    rows, columns = np.ogrid[:size, :size]
    inside = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2
    label_map[inside & (label_map == VB)] = OD
    return label_map


PLAUSIBLE_RADIUS = (0.045, 0.13)
"""Radius of a plausible disc as a share of the side. IDRiD's masks: 0.047 (cut by the rim) to 0.116."""

LEAST_SOFT_EXUDATE = 20
"""Pixels at a side of 512 below which a generated or predicted soft exudate is a speck: of IDRiD's annotated ones 2 % are as small."""

DISC_SMOOTHING = 6 / 512
"""Width (σ) of the Gaussian that smooths a generated disc's outline, as a share of the side."""


def clean_map(label_map: np.ndarray) -> np.ndarray:
    """A generated map made exact: ``uint8 (N, N)`` → the same, with a circular field and at most one disc.

    Outside the circle everything is background; background inside it becomes retina. Of several
    disc components the largest stays, whole and with the outline that an annotator would draw (:func:`smooth_disc`); the others
    become retina. So do specks of soft exudate (:data:`LEAST_SOFT_EXUDATE`). Other lesions beside the disc stay.

    Raises:
        ValueError: the map is not square, or :func:`check_map` refuses it.
    """
    check_map(label_map)
    if label_map.shape[0] != label_map.shape[1]:
        raise ValueError(f"a generated map is square, got {label_map.shape}")
    field = field_of_view(label_map.shape[0])
    cleaned = label_map.copy()
    cleaned[field & (cleaned == BG)] = VB
    cleaned[~field] = BG
    soft = cleaned == SE
    cleaned[soft & ~large_parts(soft, LEAST_SOFT_EXUDATE * (len(label_map) / 512) ** 2)] = VB
    disc = cleaned == OD
    if disc.any():
        cleaned[disc] = VB
        cleaned[smooth_disc(ndimage.binary_fill_holes(largest_part(disc)))] = OD
    return cleaned


def is_plausible_disc(share: float) -> bool:
    """Whether a disc that covers this share of a map has a :data:`PLAUSIBLE_RADIUS`."""
    low, high = PLAUSIBLE_RADIUS
    return bool(low <= np.sqrt(share / np.pi) <= high)


def large_parts(mask: np.ndarray, least: float) -> np.ndarray:
    """The connected parts (corners touching, too) of a mask ``bool (N, N)`` of at least so many pixels."""
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    keep = np.bincount(labels.ravel()) >= least
    keep[0] = False
    return keep[labels]


def largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest connected part (sides touching) of a mask ``bool (N, N)`` that is not empty."""
    components, _ = ndimage.label(mask)
    return components == 1 + int(np.bincount(components.ravel())[1:].argmax())


@lru_cache(maxsize=4)
def _soft_field(side: int) -> np.ndarray:
    """The field of view behind the Gaussian of :func:`smooth_disc`, the same for every map of a side."""
    return ndimage.gaussian_filter(field_of_view(side).astype(np.float32), DISC_SMOOTHING * side)


def smooth_disc(disc: np.ndarray) -> np.ndarray:
    """A disc's mask ``bool (N, N)`` with a smooth and convex outline: behind a Gaussian (:data:`DISC_SMOOTHING`), cut at one half, then its
    convex hull inside the field of view. Where the rim cuts a disc it counts as going on."""
    from skimage.morphology import convex_hull_image  # slow to import, and labels are needed everywhere

    field = field_of_view(len(disc))
    share = ndimage.gaussian_filter(disc.astype(np.float32), DISC_SMOOTHING * len(disc))
    smooth = (share > 0.5 * _soft_field(len(disc))) & field
    if not smooth.any():
        return disc & field  # too small to be smoothed
    return convex_hull_image(largest_part(smooth)) & field
