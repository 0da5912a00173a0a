"""Do lesions look like lesions? The contrast of each lesion region against the retina around it.

Run on held-out maps: ``python -m retinagan.evaluation.contrast --data data/idrid512``. For every connected region of a map the
median green value (red-free, as clinicians look for lesions) inside is compared with the median in a ring of plain retina
around it. Exudates and the disc must be brighter, haemorrhages and microaneurysms darker.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from retinagan.maps.labels import CLASSES, EX, HE, MA, OD, SE, VB

BRIGHTER = {EX: True, HE: False, SE: True, MA: False, OD: True}
RING = (3, 10)
"""The ring around a region: from 3 to 10 pixels at a side of 512."""


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
        components, count = ndimage.label(label_map == index, structure=np.ones((3, 3)))
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


def summary(found: Iterable[Region], min_area: int = 40) -> dict[str, dict[str, float]]:
    """For each class: regions larger than ``min_area`` pixels, the share with the right sign, the median contrast."""
    table = {}
    for index in BRIGHTER:
        chosen = [r for r in found if r.index == index and r.area > min_area]
        if chosen:
            table[CLASSES[index].short] = {
                "regions": len(chosen),
                "right": round(sum(r.right for r in chosen) / len(chosen), 4),
                "median_contrast": round(float(np.median([r.contrast for r in chosen])), 2),
            }
    return table


def main(arguments: list[str] | None = None) -> None:
    from retinagan.data.dataset import load_prepared
    from retinagan.pipeline import RetinaGAN
    from retinagan.resources import DEFAULT_MODEL

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder written by `prepare`, at the model's size")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="model folder")
    parser.add_argument("--styles", type=int, default=3, help="style seeds 0..N-1 a map (default 3)")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args(arguments)
    model = RetinaGAN.from_pretrained(options.model, device="cpu")
    data = load_prepared(options.data, "heldout")
    real, generated = [], []
    for label_map, photo in zip(data.maps, data.photos, strict=True):
        real += regions(label_map, photo)
        maps = np.stack([label_map] * options.styles)
        for rendered in model.render(maps, range(options.styles)):
            generated += regions(label_map, rendered)
    report = {"maps": len(data.maps), "styles": options.styles, "generated": summary(generated), "real": summary(real)}
    report["microaneurysms_of_any_size"] = {
        "generated": summary([r for r in generated if r.index == MA], 0),
        "real": summary([r for r in real if r.index == MA], 0),
    }
    text = json.dumps(report, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
