"""Editing a lesion map by lesion instead of by pixel: add, remove, count, spray, move the disc, mirror the eye.

Lesions get the sizes and elongations of annotated ones: log-normal areas whose medians and spreads are those of the
IDRiD training eyes at a side of 512. Everything random comes from the seed that is given; the same map and seed give
the same result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from retinagan.maps.labels import BG, CLASSES, EX, HE, LESIONS, MA, OD, SE, VB, check_map
from retinagan.maps.parts import DISC_RADIUS, EIGHT, connected, field_of_view, largest_part, round_disc, without_holes


class Habit(NamedTuple):
    """How lesions of a class look, in pixels at a side of 512.

    ``area``: median; ``spread``: standard deviation of its logarithm; ``low``, ``high``: bounds; ``elongation``: usual
    ratio of the axes; ``roughness``: of the outline, as a share of the radius; ``per_area``: pixels of sprayed retina
    for one lesion.
    """

    area: float
    spread: float
    low: float
    high: float
    elongation: tuple[float, float]
    roughness: float
    per_area: float


HABITS = {
    EX: Habit(11, 1.0, 3, 260, (1.0, 2.0), 0.09, 130),
    HE: Habit(57, 1.0, 14, 900, (1.0, 2.2), 0.08, 700),
    SE: Habit(210, 0.55, 60, 1000, (1.1, 1.9), 0.06, 2500),
    MA: Habit(10, 0.45, 4, 26, (1.0, 1.25), 0.0, 200),
}
MAX_COUNT = 2_000
_TRIES = 60


def count_lesions(label_map: np.ndarray, label: int) -> int:
    """Number of connected lesions (8 neighbours) of a class in ``uint8 (H, W)``."""
    check_map(label_map)
    return connected(label_map == _lesion(label))[1]


def set_count(label_map: np.ndarray, label: int, count: int, seed: int) -> np.ndarray:
    """``uint8 (H, W)`` → the same with exactly ``count`` lesions of the class, by adding or removing.

    Raises:
        ValueError: not a lesion class, a count outside 0..2000, or no room for as many.
    """
    if not 0 <= count <= MAX_COUNT:
        raise ValueError(f"count is {count}; allowed are 0 to {MAX_COUNT}")
    present = count_lesions(label_map, label)
    if count <= present:
        return remove_lesions(label_map, label, present - count, seed)
    return add_lesions(label_map, label, count - present, seed)


def add_lesions(
    label_map: np.ndarray, label: int, count: int, seed: int, region: np.ndarray | None = None
) -> np.ndarray:
    """``uint8 (S, S)`` with ``count`` more lesions of a class on plain retina, touching nothing that is there.

    Args:
        region: ``bool (S, S)``, where their centres may lie; None: the retina, denser towards the posterior pole, and
            hard exudates in clusters.

    Raises:
        ValueError: not a lesion class, a count outside 0..2000, or no room (how many fit is said).
    """
    if not 0 <= count <= MAX_COUNT:
        raise ValueError(f"count is {count}; allowed are 0 to {MAX_COUNT}")
    result, placed = _place(label_map, label, count, seed, region)
    if placed < count:
        raise ValueError(
            f"the retina has room for {placed} more of {CLASSES[label].name.lower()}, not for {count}; "
            "add fewer, or remove some lesions first"
        )
    return result


def remove_lesions(label_map: np.ndarray, label: int, count: int, seed: int) -> np.ndarray:
    """``uint8 (H, W)`` without ``count`` lesions of a class (all, when there are fewer), chosen by the seed."""
    check_map(label_map)
    if count < 0:
        raise ValueError(f"count is {count}; allowed are 0 and more")
    lesions, present = connected(label_map == _lesion(label))
    chosen = 1 + np.random.default_rng(seed).permutation(present)[:count]
    return heal(label_map, np.isin(lesions, chosen) & (lesions > 0))


def remove_touched(label_map: np.ndarray, region: np.ndarray) -> np.ndarray:
    """``uint8 (H, W)`` without the lesions of any class that touch ``region bool (H, W)``, each as a whole."""
    check_map(label_map)
    gone = np.zeros(label_map.shape, dtype=bool)
    for label in LESIONS:
        lesions, _ = connected(label_map == label)
        touched = np.unique(lesions[region])
        gone |= np.isin(lesions, touched[touched > 0])
    return heal(label_map, gone)


def lesion_free(label_map: np.ndarray) -> np.ndarray:
    """The same eye ``uint8 (H, W)`` without any lesion."""
    check_map(label_map)
    return heal(label_map, np.isin(label_map, LESIONS))


def heal(label_map: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """``uint8 (H, W)`` where the pixels of ``gone bool (H, W)`` became retina, or disc where the disc is nearest."""
    result = label_map.copy()
    result[gone] = VB
    if (ndimage.binary_dilation(gone, EIGHT) & (label_map == OD)).any():
        sound = ~gone & ((label_map == OD) | (label_map == VB))
        nearest = ndimage.distance_transform_edt(~sound, return_distances=False, return_indices=True)
        result[gone] = label_map[tuple(index[gone] for index in nearest)]
    return result


def spray(label_map: np.ndarray, label: int, region: np.ndarray, seed: int) -> np.ndarray:
    """A cluster of lesions in one gesture: as many in ``region bool (S, S)`` as its area suggests, at least one.

    The retina (class 6) sprays lesions away: each that is touched goes as a whole.

    Raises:
        ValueError: the class is neither a lesion nor the retina, or the region holds no free retina.
    """
    size = _side(label_map)
    if label == VB:
        return remove_touched(label_map, region)
    if label not in HABITS:
        raise ValueError(f"{CLASSES[label].name} cannot be sprayed; choose a lesion, or Retina to spray lesions away")
    count = max(1, round(float(region.sum()) * (512 / size) ** 2 / HABITS[label].per_area))
    result, placed = _place(label_map, label, min(count, MAX_COUNT), seed, region)  # a crowded place takes what it can
    if not placed:
        raise ValueError("there is no free retina under the spray; spray elsewhere")
    return result


def move_disc(label_map: np.ndarray, x: float, y: float) -> np.ndarray:
    """``uint8 (S, S)`` with the disc's centre at (x, y) pixels; a map without one gets a round one of the usual size.

    Lesions stay where they are: the disc lies below them. Of several discs the largest moves, the others go.

    Raises:
        ValueError: (x, y) outside the field of view, or a map that is not square.
    """
    size = _side(label_map)
    field = field_of_view(size)
    if not (0 <= x < size and 0 <= y < size and field[int(y), int(x)]):
        raise ValueError(f"the disc cannot lie at ({x:.0f}, {y:.0f}): that is outside the field of view")
    shape = _disc_shape(label_map)
    result = label_map.copy()
    result[result == OD] = VB
    rows, columns = np.nonzero(shape)
    if len(rows):
        rows = rows + round(y - (rows.mean() + 0.5))
        columns = columns + round(x - (columns.mean() + 0.5))
    else:
        rows, columns = np.nonzero(round_disc((size, size), x, y, size * DISC_RADIUS))
    inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    disc = np.zeros((size, size), dtype=bool)
    disc[rows[inside], columns[inside]] = True
    result[disc & field & (result == VB)] = OD
    return result


def mirror(label_map: np.ndarray) -> np.ndarray:
    """The other eye: ``uint8 (S, S)`` with left and right exchanged; the field of view stays exact."""
    size = _side(label_map)
    field = field_of_view(size)
    # The field of an even side is not symmetric by a pixel: what comes from outside it becomes retina.
    result = np.where(field[:, ::-1], label_map[:, ::-1], VB).astype(np.uint8)
    result[~field] = BG
    return result


# --- parts ---


def _lesion(label: int) -> int:
    if label not in HABITS:
        allowed = ", ".join(f"{i} ({CLASSES[i].name})" for i in LESIONS)
        raise ValueError(f"class {label} is no lesion; allowed are {allowed}")
    return label


def _place(
    label_map: np.ndarray, label: int, count: int, seed: int, region: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """The map with up to ``count`` more lesions, and how many found room."""
    habit, size = HABITS[_lesion(label)], _side(label_map)
    rng = np.random.default_rng(seed)
    result = label_map.copy()
    blocked = ndimage.binary_dilation(result != VB, EIGHT)
    propose = _in_region(region, rng) if region is not None else _on_retina(result, label, rng)
    disc = _disc_centre(label_map)
    for number in range(count):
        for attempt in range(_TRIES):
            centre = propose()
            if centre is None or blocked[int(centre[1]), int(centre[0])]:
                continue
            # The later the try, the smaller: what has no room large may have it small.
            mask, top, left = _blob(habit, centre, disc, label, rng, size, 0.97**attempt)
            rows, columns = slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])
            if not mask.any() or (mask & blocked[rows, columns]).any():
                continue
            result[rows, columns][mask] = label
            grown = (slice(max(0, top - 1), rows.stop + 1), slice(max(0, left - 1), columns.stop + 1))
            blocked[grown] |= ndimage.binary_dilation(result[grown] == label, EIGHT)
            break
        else:
            return result, number
    return result, count


def _side(label_map: np.ndarray) -> int:
    check_map(label_map)
    if label_map.shape[0] != label_map.shape[1]:
        raise ValueError(f"the map of an eye is square, got {label_map.shape}")
    return label_map.shape[0]


def _disc_shape(label_map: np.ndarray) -> np.ndarray:
    """``bool (S, S)``: the largest disc with what lies on it; all False without one."""
    return without_holes(largest_part(label_map == OD))


def _disc_centre(label_map: np.ndarray) -> tuple[float, float] | None:
    rows, columns = np.nonzero(_disc_shape(label_map))
    return (float(columns.mean()), float(rows.mean())) if len(rows) else None


Proposal = Callable[[], tuple[float, float] | None]


def _in_region(region: np.ndarray, rng: np.random.Generator) -> Proposal:
    rows, columns = np.nonzero(region)

    def propose() -> tuple[float, float] | None:
        if not len(rows):
            return None
        pick = int(rng.integers(len(rows)))
        return float(columns[pick] + rng.random()), float(rows[pick] + rng.random())

    return propose


def _on_retina(label_map: np.ndarray, label: int, rng: np.random.Generator) -> Proposal:
    """Places of the class' habit: around the posterior pole, anywhere, or (exudates) beside others of the kind."""
    size = label_map.shape[0]
    rows, columns = np.nonzero(label_map == label)
    clusters = list(zip(columns + 0.5, rows + 0.5, strict=True)) if label == EX else []
    spread = {EX: 0.16, HE: 0.24, SE: 0.2, MA: 0.22}[label] * size

    def propose() -> tuple[float, float] | None:
        if clusters and rng.random() < 0.75:
            x, y = clusters[int(rng.integers(len(clusters)))] + rng.normal(0, 0.022 * size, 2)
        elif rng.random() < 0.3:
            radius, angle = 0.46 * size * math.sqrt(rng.random()), rng.random() * 2 * math.pi
            x, y = size / 2 + radius * math.cos(angle), size / 2 + radius * math.sin(angle)
        else:
            x, y = rng.normal(size / 2, spread, 2)
        if not (0 <= x < size and 0 <= y < size) or math.hypot(x - size / 2, y - size / 2) > 0.47 * size:
            return None
        if label == EX:
            clusters.append((x, y))
        return x, y

    return propose


def _blob(
    habit: Habit,
    centre: tuple[float, float],
    disc: tuple[float, float] | None,
    label: int,
    rng: np.random.Generator,
    size: int,
    shrink: float,
) -> tuple[np.ndarray, int, int]:
    """One lesion as ``bool (h, w)`` with its top and left in the map, cut at the map's edge.

    An ellipse with a smoothly rough outline. Half of the haemorrhages are flames: long, and along the nerve fibres,
    which run away from the disc.
    """
    area = float(np.clip(habit.area * math.exp(rng.normal(0, habit.spread)), habit.low, habit.high))
    area = max(habit.low, area * shrink) * (size / 512) ** 2
    elongation = rng.uniform(*habit.elongation)
    angle = rng.uniform(0, math.pi)
    if label == HE and rng.random() < 0.5:
        elongation = rng.uniform(2.0, 3.2)
        if disc is not None:
            angle = math.atan2(centre[1] - disc[1], centre[0] - disc[0]) + rng.normal(0, 0.25)
    phases, heights = rng.uniform(0, 2 * math.pi, 4), rng.normal(0, habit.roughness, 4)
    radius = math.sqrt(area / math.pi)
    long, short = radius * math.sqrt(elongation), radius / math.sqrt(elongation)
    reach = math.ceil(long * (1 + 3 * habit.roughness)) + 1
    left, top = max(0, int(centre[0]) - reach), max(0, int(centre[1]) - reach)
    right, bottom = min(size, int(centre[0]) + reach + 1), min(size, int(centre[1]) + reach + 1)
    x = np.arange(left, right)[None, :] + 0.5 - centre[0]
    y = np.arange(top, bottom)[:, None] + 0.5 - centre[1]
    u = (x * math.cos(angle) + y * math.sin(angle)) / long
    v = (y * math.cos(angle) - x * math.sin(angle)) / short
    around = np.arctan2(v, u)
    outline = 1 + sum(h * np.cos((k + 2) * around + p) for k, (h, p) in enumerate(zip(heights, phases, strict=True)))
    # A rough, tiny outline may come apart: its largest piece is the lesion.
    return largest_part(np.hypot(u, v) <= outline), top, left
