"""Do lesions look like lesions? The contrast of each lesion region against the retina around it.

``python -m retinagan evaluate contrast --data data/idrid512``, on held-out maps. For every connected region of a map
the median green value (red-free, as clinicians look for lesions) inside is compared with the median in a ring of plain
retina around it. Exudates and the disc must be brighter, haemorrhages and microaneurysms darker.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from retinagan.data.dataset import load_prepared
from retinagan.evaluation.report import Report, Result
from retinagan.maps.labels import CLASSES, EX, HE, MA, OD, SE, VB
from retinagan.maps.parts import connected
from retinagan.pipeline import RetinaGAN

BRIGHTER = {EX: True, HE: False, SE: True, MA: False, OD: True}
RING = (3, 10)
"""The ring around a region: from 3 to 10 pixels at a side of 512."""
STYLES = 3
"""Style seeds a map, unless told otherwise."""
MIN_AREA = 40
"""Pixels above which regions count; of microaneurysms, which are smaller, any size is told too."""


@dataclass(frozen=True)
class Region:
    """One connected region: its class, area in pixels, and contrast: inside minus ring, in green levels of 0..255."""

    index: int
    area: int
    contrast: float

    @property
    def right(self) -> bool:
        return (self.contrast > 0) == BRIGHTER[self.index] and self.contrast != 0


def regions(label_map: np.ndarray, photo: np.ndarray) -> list[Region]:
    """All regions of a map ``uint8 (H, W)`` with their contrast in the photograph ``uint8 (H, W, 3)``.

    Regions without any plain retina in their ring are left out.
    """
    green = photo[..., 1].astype(np.float32)
    scale = label_map.shape[0] / 512
    found = []
    for index in BRIGHTER:
        components, count = connected(label_map == index)
        for number, window in enumerate(ndimage.find_objects(components), start=1):
            margin = int(np.ceil(RING[1] * scale)) + 1
            window = tuple(slice(max(s.start - margin, 0), s.stop + margin) for s in window)
            inside = components[window] == number
            distance = ndimage.distance_transform_edt(~inside)
            ring = (distance > RING[0] * scale) & (distance <= RING[1] * scale) & (label_map[window] == VB)
            if ring.any():
                contrast = float(np.median(green[window][inside]) - np.median(green[window][ring]))
                found.append(Region(index, int(inside.sum()), contrast))
    return found


@dataclass(frozen=True)
class ClassContrast:
    """Of so many ``regions`` of a class the share with the ``right`` sign, and the ``median_contrast``."""

    regions: int
    right: float
    median_contrast: float


def summary(found: Iterable[Region], min_area: float = MIN_AREA) -> dict[str, ClassContrast]:
    """For each class with regions larger than ``min_area`` pixels."""
    table = {}
    found = list(found)
    for index in BRIGHTER:
        chosen = [r for r in found if r.index == index and r.area > min_area]
        if chosen:
            right = float(np.mean([r.right for r in chosen]))
            contrast = float(np.median([r.contrast for r in chosen]))
            table[CLASSES[index].short] = ClassContrast(len(chosen), right, contrast)
    return table


@dataclass(frozen=True)
class Contrast(Result):
    """Contrast of regions larger than ``min_area`` pixels by class, in real and in generated photographs."""

    title: ClassVar = "Contrast of lesions and disc in green levels"
    real: dict[str, ClassContrast]
    generated: dict[str, ClassContrast]
    min_area: float = MIN_AREA


def evaluate(data: Path, model: Path, out: Path, count: int | None = None, progress: bool = True) -> Report:
    """Measure on all held-out maps of ``data``, in ``count`` styles each, seeds 0 … (3)."""
    gan, held = RetinaGAN.from_pretrained(model), load_prepared(data, "heldout")
    styles = STYLES if count is None else count
    real, generated = [], []
    pairs = list(zip(held.maps, held.photos, strict=True))
    for label_map, photo in tqdm(pairs, unit="map", disable=not progress):
        real += regions(label_map, photo)
        for rendered in gan.render(np.stack([label_map] * styles), range(styles)):
            generated += regions(label_map, rendered)
    only = [[r for r in found if r.index == MA] for found in (real, generated)]
    report = Report(
        name="contrast",
        title=[f"Contrast of lesions: {len(held)} held-out maps of {data.name} in {styles} styles each, {gan.name}"],
        facts={"model": gan.name, "maps": len(held), "styles": styles},
        results={
            "contrast": Contrast(summary(real), summary(generated)),
            "microaneurysms_of_any_size": Contrast(summary(only[0], 0), summary(only[1], 0), 0),
        },
    )
    report.write(out)
    return report
