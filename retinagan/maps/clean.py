"""Clean-up of maps that a network made: an exact field, one smooth disc, no specks."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

from retinagan.maps.labels import BG, EX, HE, LESIONS, OD, SE, VB, check_map
from retinagan.maps.parts import bounding_box, field_of_view, large_parts, largest_part, round_disc, without_holes

PLAUSIBLE_RADIUS = (0.045, 0.13)
"""Radius of a plausible disc as a share of the side. IDRiD's masks: 0.047 (cut by the rim) to 0.116."""

LEAST_SOFT_EXUDATE = 20
"""Pixels at a side of 512 below which a generated or predicted soft exudate is a speck: 2 % of IDRiD's annotated ones
are as small."""

EXCLUDED: dict[int | None, tuple[int, ...]] = {0: LESIONS, 1: (EX, HE, SE)}
"""Grade → the lesions that it excludes; one that is not known excludes none."""

LEAST_OVAL = 50
"""Pixels below which a disc has no shape to speak of."""

DISC_SMOOTHING = 6 / 512
"""Width (σ) of the Gaussian that smooths a generated disc's outline, as a share of the side."""

LEAST_AXIS_RATIO = 0.8
"""Shortest over longest axis of a generated disc. IDRiD's masks have 0.82, 0.88 and 0.91 at their quartiles, those that
the rim cuts among them."""

GAUSSIAN_REACH = 4.0
"""Where that Gaussian ends, in σ."""


def clean_map(label_map: np.ndarray) -> np.ndarray:
    """A generated map made exact: ``uint8 (N, N)`` → the same, with a circular field and at most one disc.

    Outside the circle everything is background; background inside it becomes retina. The largest part of the disc
    stays, whole and with the outline that an annotator would draw (:func:`oval_disc`); others become retina. So do
    specks of soft exudate (:data:`LEAST_SOFT_EXUDATE`). Other lesions beside the disc stay.

    Raises:
        ValueError: the map is not square, or :func:`retinagan.maps.labels.check_map` refuses it.
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
        cleaned[oval_disc(smooth_disc(without_holes(largest_part(disc, corners=False))))] = OD
    return cleaned


def without_excluded(label_map: np.ndarray, grade: int) -> np.ndarray:
    """A generated map ``uint8 (N, N)`` without what its grade excludes by definition (Wilkinson et al., Ophthalmology
    110, 2003): grade 0 has no lesion, grade 1 microaneurysms alone."""
    excluded = np.isin(label_map, EXCLUDED.get(grade, ()))
    return np.where(excluded, np.uint8(VB), label_map) if excluded.any() else label_map


def is_plausible_disc(share: float) -> bool:
    """Whether a disc that covers this share of a map has a :data:`PLAUSIBLE_RADIUS`."""
    low, high = PLAUSIBLE_RADIUS
    return bool(low <= np.sqrt(share / np.pi) <= high)


@lru_cache(maxsize=4)
def _soft_field(side: int) -> np.ndarray:
    """The field of view behind the Gaussian of :func:`smooth_disc`, the same for every map of a side."""
    return ndimage.gaussian_filter(
        field_of_view(side).astype(np.float32), DISC_SMOOTHING * side, truncate=GAUSSIAN_REACH
    )


def smooth_disc(disc: np.ndarray) -> np.ndarray:
    """A disc's mask ``bool (N, N)`` with a smooth and convex outline.

    Behind a Gaussian (:data:`DISC_SMOOTHING`) it is cut at one half; then comes its convex hull inside the field of
    view. Where the rim cuts a disc it counts as going on.
    """
    from skimage.morphology import convex_hull_image  # slow to import, and most maps come without clean-up

    field, sigma = field_of_view(len(disc)), DISC_SMOOTHING * len(disc)
    # Nothing lies beyond the Gaussian's reach, and the hull fills its points' box at most: neither sees the whole map.
    box = bounding_box(disc, margin=int(GAUSSIAN_REACH * sigma + 1))
    smooth = np.zeros_like(disc)
    if smooth[box].size:
        share = ndimage.gaussian_filter(disc[box].astype(np.float32), sigma, truncate=GAUSSIAN_REACH)
        smooth[box] = (share > 0.5 * _soft_field(len(disc))[box]) & field[box]
    if not smooth.any():
        return disc & field  # too small to be smoothed
    smooth = largest_part(smooth, corners=False)
    box = bounding_box(smooth)
    smooth[box] = convex_hull_image(smooth[box])
    return smooth & field


def oval_disc(disc: np.ndarray) -> np.ndarray:
    """A smooth disc's mask ``bool (N, N)`` as an ellipse with the same centre, area and direction, no longer than
    :data:`LEAST_AXIS_RATIO` allows; one that the rim cuts as the circle through the rest of its outline.

    What is too small, or no part of a plausible circle, stays.
    """
    if disc.sum() < LEAST_OVAL:
        return disc
    side = len(disc)
    box = bounding_box(disc, margin=side // 16)  # an oval is longer than its disc by less than that
    mask = disc[box]
    outline = mask & ~ndimage.binary_erosion(mask)
    free = outline & _off_the_rim(side)[box]
    if free.sum() == outline.sum():
        oval = _ellipse(mask)
    else:
        circle = _circle_through(free)
        low, high = (share * side for share in PLAUSIBLE_RADIUS)
        if circle is None or not low <= circle[2] <= high:
            return disc
        oval = round_disc(mask.shape, *circle)
    whole = np.zeros_like(disc)
    whole[box] = oval & field_of_view(side)[box]
    return whole if whole.any() else disc


@lru_cache(maxsize=4)
def _off_the_rim(side: int) -> np.ndarray:
    """The field of view less two pixels, the same for every map of a side."""
    return ndimage.binary_erosion(field_of_view(side), iterations=2, border_value=0)


def _ellipse(mask: np.ndarray) -> np.ndarray:
    """The ellipse with the centre, area and direction of a mask, at least :data:`LEAST_AXIS_RATIO` as wide as long."""
    ys, xs = np.nonzero(mask)
    powers, directions = np.linalg.eigh(np.cov(np.stack([xs, ys])))
    ratio = max(float(np.sqrt(powers[0] / powers[1])), LEAST_AXIS_RATIO)
    long = np.sqrt(len(xs) / np.pi / ratio)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    across, along = np.tensordot(directions.T, np.stack([columns - xs.mean(), rows - ys.mean()]), axes=1)
    return (across / (long * ratio)) ** 2 + (along / long) ** 2 <= 1


def _circle_through(points: np.ndarray) -> tuple[float, float, float] | None:
    """Centre (x, y) and radius of the circle nearest to the pixels of a mask, by least squares; None without one."""
    ys, xs = np.nonzero(points)
    if len(xs) < 3:
        return None
    x, y = xs + 0.5, ys + 0.5
    system = np.stack([x, y, np.ones(len(x))], axis=1)
    (a, b, c), _, rank, _ = np.linalg.lstsq(system, x**2 + y**2, rcond=None)
    return (a / 2, b / 2, float(np.sqrt(max(c + (a**2 + b**2) / 4, 0)))) if rank == 3 else None
