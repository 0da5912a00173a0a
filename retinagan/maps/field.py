"""The field of view of a photograph: found from its rim, then cut out as a square with a full circle in it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from retinagan.maps.labels import BG, EX, HE, MA, NUM_CLASSES, OD, SE, VB
from retinagan.maps.parts import field_of_view, largest_part, pieces, round_disc

PAINT_ORDER = (OD, SE, EX, HE, MA)
"""Where masks overlap, the later class wins: small lesions stay visible on large ones."""

_SEARCH_WIDTH = 480  # the circle is fitted on a reduced copy; hundreds of rim points make up for its coarse pixels
_DARKEST_FIELD = 50  # grey level; the surround of a fundus photograph is darker
_AGREEMENT = 0.85  # intersection over union of bright part and fitted disc; a dark crescent takes some away
_NEAR = 0.55  # share of the rim points that lie on the circle
_COVERED = 0.4  # share of a prepared pixel that a mask must cover


class Circle(NamedTuple):
    """Centre and radius in pixels, with pixel edges at whole numbers."""

    x: float
    y: float
    radius: float


class Square(NamedTuple):
    """Left and top edge and side in pixels of the source photograph."""

    left: float
    top: float
    side: float

    def to_prepared(self, xy: tuple[float, float], size: int) -> tuple[float, float]:
        """A point of the source photograph in pixels of the prepared one, ``size`` wide."""
        return (xy[0] - self.left) * size / self.side, (xy[1] - self.top) * size / self.side


def find_field(photo: np.ndarray) -> Circle:
    """Circle of the field of view of a fundus photograph ``uint8 (H, W, 3)``.

    The rim is where brightness rises from the dark surround; points on the picture's own edges are left out, so that a
    field cut off at the top, bottom or sides is still found whole. The circle is fitted to the points that agree on one
    (RANSAC), not to a dark crescent or a label in the corner.

    Raises:
        ValueError: no bright disc on a dark surround.
    """
    height, width = photo.shape[:2]
    factor = max(1, round(width / _SEARCH_WIDTH))
    small = np.asarray(Image.fromarray(photo).reduce(factor)) if factor > 1 else photo
    bright = ndimage.gaussian_filter(small.max(axis=2).astype(np.float32), 1.0)
    low, high = np.percentile(bright, [1, 90])
    if high - low < 20:
        raise ValueError("no field of view found: the photograph is evenly dark or bright")
    if low > _DARKEST_FIELD:
        raise ValueError(
            f"no field of view found: the field must be a disc on black, the darkest part here is {low:.0f} of 255"
        )
    largest = ndimage.binary_fill_holes(largest_part(bright > low + 0.15 * (high - low), corners=False))
    points = _rim(largest)
    if len(points) < 40:
        raise ValueError("no field of view found: no dark surround; the field must be a disc on black")
    circle = _fit_circle(points)
    disc = round_disc(largest.shape, *circle)
    agreement = (disc & largest).sum() / max((disc | largest).sum(), 1)
    near = np.abs(np.hypot(points[:, 0] - circle.x, points[:, 1] - circle.y) - circle.radius) < 0.015 * small.shape[1]
    if agreement < _AGREEMENT or near.mean() < _NEAR:  # the second as a straight edge can agree in area
        raise ValueError(
            "no field of view found: the bright part is no disc "
            f"({agreement:.0%} of its area and {near.mean():.0%} of its rim fit)"
        )
    circle = Circle(*(v * factor for v in circle))
    if not 0.25 * min(height, width) < circle.radius < 0.75 * max(height, width):
        raise ValueError(f"no field of view found: the best circle has a radius of {circle.radius:.0f} pixels")
    return circle


def _rim(inside: np.ndarray) -> np.ndarray:
    """First and last field pixel of each row and column, ``(n, 2)`` (x, y), without those on the picture's edge."""
    points = []
    for transposed, mask in ((False, inside), (True, inside.T)):
        lines = np.flatnonzero(mask.any(axis=1))
        length = mask.shape[1]
        first = mask[lines].argmax(axis=1)
        last = length - mask[lines][:, ::-1].argmax(axis=1)
        for edges, good in ((first, first > 1), (last, last < length - 1)):
            pair = np.stack([edges[good].astype(float), lines[good] + 0.5], axis=1)
            points.append(pair[:, ::-1] if transposed else pair)
    return np.concatenate(points)


def _fit_circle(points: np.ndarray) -> Circle:
    """The circle that most of the points lie on, within a pixel; the same points always give the same circle."""
    from skimage.measure import CircleModel, ransac  # slow to import, and few photographs come from outside

    model, _ = ransac(points, CircleModel, min_samples=3, residual_threshold=1.0, max_trials=200, rng=0)
    if not model:
        raise ValueError("no field of view found: its rim is no circle")
    return Circle(*(float(v) for v in (*model.center, model.radius)))


def field_square(circle: Circle, width: int, height: int) -> Square:
    """The square whose inscribed circle shows only field: the photo's height if that cuts the field, else all of it.

    It lies within the picture. A square picture whose field nearly fills it is taken as it is.
    """
    off = max(abs(circle.radius - width / 2), abs(circle.x - width / 2), abs(circle.y - height / 2))
    if width == height and off <= 0.02 * width:
        return Square(0.0, 0.0, float(width))

    def centre(radius: float) -> tuple[float, float]:
        """Nearest to the field's centre at which a circle still lies within the picture."""
        return float(np.clip(circle.x, radius, width - radius)), float(np.clip(circle.y, radius, height - radius))

    def fits(radius: float) -> bool:
        x, y = centre(radius)
        return radius + np.hypot(x - circle.x, y - circle.y) <= circle.radius

    # 0.99: the rim itself is blurred.
    low, high = 0.0, min(0.99 * circle.radius, width / 2, height / 2)
    if fits(high):
        low = high
    else:  # a field cut off on one side: the largest circle within both field and picture
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if fits(middle) else (low, middle)
    x, y = centre(low)
    return Square(x - low, y - low, 2 * low)


def cut_photo(photo: np.ndarray, square: Square, size: int) -> np.ndarray:
    """The square of a photograph ``uint8 (H, W, 3)`` → ``uint8 (size, size, 3)``, Lanczos, black outside the circle."""
    box = (square.left, square.top, square.left + square.side, square.top + square.side)
    cut = Image.fromarray(photo).resize((size, size), Image.Resampling.LANCZOS, box=box)
    return np.where(field_of_view(size)[..., None], np.asarray(cut), np.uint8(0))


def cut_mask(mask: np.ndarray, square: Square, size: int, keep_components: bool = True) -> np.ndarray:
    """The square of a mask ``bool (H, W)`` → ``bool (size, size)``: pixels covered to 0.4 or more.

    With ``keep_components`` a lesion too small for that keeps the one pixel that holds most of it.
    """
    box = (square.left, square.top, square.left + square.side, square.top + square.side)
    share = Image.fromarray(mask.astype(np.float32)).resize((size, size), Image.Resampling.BOX, box=box)
    cut = np.asarray(share) >= _COVERED
    if not keep_components:
        return cut
    height, width = mask.shape
    rows = np.floor((np.arange(height) + 0.5 - square.top) * size / square.side).astype(np.int64)
    columns = np.floor((np.arange(width) + 0.5 - square.left) * size / square.side).astype(np.int64)
    kept = cut.copy()
    for ys, xs in pieces(mask):
        y, x = rows[ys], columns[xs]
        inside = (y >= 0) & (y < size) & (x >= 0) & (x < size)
        y, x = y[inside], x[inside]
        if len(y) and not cut[y, x].any():
            pixels, counts = np.unique(y * size + x, return_counts=True)
            kept.flat[pixels[counts.argmax()]] = True
    return kept


def paint_map(masks: dict[int, np.ndarray], size: int, disc: tuple[float, float, float] | None = None) -> np.ndarray:
    """Prepared masks ``bool (size, size)`` by class → lesion map ``uint8 (size, size)`` with a circular field.

    Overlaps go to the later class of OD, SE, EX, HE, MA. ``disc`` (x, y, radius in pixels) paints the disc where there
    is no mask.
    """
    unknown = set(masks) - set(PAINT_ORDER)
    if unknown:
        raise ValueError(f"masks for classes {sorted(unknown)}; allowed are {sorted(PAINT_ORDER)}")
    field = field_of_view(size)
    label_map = np.where(field, VB, BG).astype(np.uint8)
    masks = dict(masks)
    if disc is not None and OD not in masks:
        masks[OD] = round_disc((size, size), *disc)
    for index in PAINT_ORDER:
        if index in masks:
            label_map[masks[index] & field] = index
    return label_map


def cut_map(label_map: np.ndarray, square: Square, size: int) -> np.ndarray:
    """The square of a finished lesion map ``uint8 (H, W)`` → ``uint8 (size, size)``; small lesions stay."""
    if label_map.shape == (size, size) and square == Square(0.0, 0.0, float(size)):
        return paint_map({i: label_map == i for i in PAINT_ORDER}, size)
    present = np.bincount(label_map.ravel(), minlength=NUM_CLASSES) > 0
    lesions = {i: cut_mask(label_map == i, square, size) for i in (EX, HE, SE, MA) if present[i]}
    if present[OD]:
        lesions[OD] = cut_mask(label_map == OD, square, size, keep_components=False)
    return paint_map(lesions, size)
