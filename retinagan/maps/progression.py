"""One eye through the grades: maps that share a disc, on which lesions only ever gather.

Maps of different grades and one seed are different eyes: their discs differ in place, size and side, and the style seed
grows its vessels from the disc. Here the disc of the first map stays, and the lesions of the others are brought to it.
What results is a plausible story, not a model of the disease's course: no training data followed an eye over time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from retinagan.maps.anatomy import Anatomy, find_anatomy
from retinagan.maps.labels import BG, LESIONS, OD, VB, check_map
from retinagan.maps.parts import pieces
from retinagan.seeds import check_seed

LEAST_NEW = 0.25
"""Share of a class' area in the sampled map that is new at least, also where the grade before has as much already."""


def progression(maps: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Maps of rising grades, each of an eye of its own → one eye's.

    The first result is the first map without its lesions: the healthy eye, its disc and its field. Each further one
    keeps all lesions of the one before and gets lesions of its own map, mirrored and shifted so that the discs agree
    (:func:`bring_lesions`), in a seeded order until each class covers the area that it has there and at least a
    quarter of that area is new. So grade 3 shows about as much as its sampled map does, not the sum of grades 1 to 3.

    Args:
        maps: at least one lesion map ``uint8 (S, S)``, as ``model.sample_maps(grade, [seed])[0]`` of grades 0 to 4.
        seed: which of the lesions come first.

    Returns:
        ``uint8 (len(maps), S, S)``.

    Raises:
        ValueError, TypeError: no map, maps of different sizes, or none of ``retinagan.maps.labels.check_map``.
    """
    if not len(maps):
        raise ValueError("a progression needs at least one map")
    for label_map in maps:
        check_map(label_map)
        if label_map.shape != maps[0].shape:
            raise ValueError(f"maps of a progression have one size; got {maps[0].shape} and {label_map.shape}")
    rng = np.random.default_rng(check_seed(seed))
    eye = find_anatomy(maps[0])
    stages = [np.where(np.isin(maps[0], LESIONS), VB, maps[0]).astype(np.uint8)]
    for label_map in maps[1:]:
        brought = bring_lesions(label_map, stages[0], eye)
        stage = stages[-1].copy()
        for label in LESIONS:
            own, have = int((label_map == label).sum()), int((stage == label).sum())
            _add_until(stage, label, brought == label, max(own, have + round(own * LEAST_NEW)), rng)
        stages.append(stage)
    return np.stack(stages)


def bring_lesions(label_map: np.ndarray, eye_map: np.ndarray, eye: Anatomy | None = None) -> np.ndarray:
    """Lesions of one map on the eye of another, ``uint8 (S, S)``: VB where there are none, BG outside the field.

    They are mirrored if the discs lie on different sides, then shifted with the disc's centre. What falls outside the
    field or on the disc is left out. A map without a disc keeps its lesions where they are.
    """
    eye = find_anatomy(eye_map) if eye is None else eye
    own = find_anatomy(label_map)
    x = own.disc_x
    if own.has_disc and eye.has_disc:
        if own.side != eye.side:
            label_map, x = label_map[:, ::-1], own.size - x
        down, right = round(eye.disc_y - own.disc_y), round(eye.disc_x - x)
        label_map = ndimage.shift(label_map, (down, right), order=0, cval=BG)
    placed = np.isin(label_map, LESIONS) & (eye_map != BG) & (eye_map != OD)
    return np.where(placed, label_map, np.where(eye_map == BG, BG, VB)).astype(np.uint8)


def frames_between(stages: np.ndarray, per_step: int, seed: int) -> list[tuple[int, np.ndarray]]:
    """An animation's maps: between two stages lesions appear one after another, in a seeded order.

    Args:
        stages: ``uint8 (G, S, S)`` of :func:`progression`.
        per_step: frames from one stage to the next, 1 or more; steps that add nothing are left out.

    Returns:
        (number of the last stage that is complete, map) of each frame: the first stage, … the last.
    """
    if per_step < 1:
        raise ValueError(f"per_step is {per_step}; at least one frame leads from a stage to the next")
    rng = np.random.default_rng(check_seed(seed))
    frames = [(0, stages[0])]
    for number, (before, after) in enumerate(zip(stages[:-1], stages[1:], strict=True)):
        parts = [part for label in LESIONS for part in pieces((after == label) & (before != label))]
        order = rng.permutation(len(parts))
        shown = before.copy()
        done = 0
        for step in range(1, per_step + 1):
            until = len(parts) * step // per_step
            for piece in order[done:until]:
                shown[parts[piece]] = after[parts[piece]]
            if until > done or step == per_step:
                frames.append((number + (step == per_step), shown.copy()))
            done = until
    return frames


def _add_until(stage: np.ndarray, label: int, wanted: np.ndarray, area: int, rng: np.random.Generator) -> None:
    """Add pieces of ``wanted`` to ``stage`` where it is free, in random order, until the class covers ``area``."""
    parts = pieces(wanted & (stage == VB))
    have = int((stage == label).sum())
    for number in rng.permutation(len(parts)):
        if have >= area:
            break
        stage[parts[number]] = label
        have += len(parts[number][0])
