"""Is the fovea as dark, and as wide, as in real eyes? Brightness by distance from its centre, real beside generated.

``python -m retinagan evaluate fovea --data data/idrid512``, on training eyes. The correction ``macula`` is
fitted by it; at its centre a real fovea's red, green and blue are those of the retina around it times
1 - ``retinagan.eye.light.FOVEA_DEPTH``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from tqdm import tqdm

from retinagan.data.dataset import load_prepared
from retinagan.evaluation.report import Report, Result
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import VB
from retinagan.pipeline import RetinaGAN

COUNT = 60
"""Eyes unless told otherwise."""
RINGS = np.arange(0, 2.2, 0.2)
"""Edges of the rings around the fovea, in radii of the disc."""
AROUND = (1.4, 2.0)
"""The ring that brightness is told in units of."""
FIRST_STYLE = 1000
"""Style of the first photograph: those from 0 on are what is reported elsewhere."""


def profile(photo: np.ndarray, label_map: np.ndarray, centre: Sequence[float], disc_radius: float) -> np.ndarray:
    """Brightness around the fovea in units of that of the retina beside it: ``float64 (10, 3)``, red, green and blue by
    ring.

    Medians over retina without lesions; vessels, which are few there, do not move them. NaN where a ring holds none.

    Args:
        photo: ``uint8 (S, S, 3)``.
        label_map: ``uint8 (S, S)``.
        centre: (x, y) in pixels.
        disc_radius: in pixels.
    """
    y, x = np.ogrid[: len(photo), : len(photo)]
    away = np.hypot(x + 0.5 - centre[0], y + 0.5 - centre[1]) / disc_radius
    retina = label_map == VB

    def brightness(near: float, far: float) -> np.ndarray:
        ring = retina & (away >= near) & (away < far)
        return np.median(photo[ring], axis=0) if ring.any() else np.full(3, np.nan)

    return np.stack([brightness(*ring) for ring in itertools.pairwise(RINGS)]) / np.maximum(brightness(*AROUND), 1)


@dataclass(frozen=True)
class Fovea(Result):
    """Median profiles: of red, green and blue, real and generated, by the middles of the rings in disc radii."""

    title: ClassVar = f"Brightness by distance, over that {AROUND[0]:g}-{AROUND[1]:g} disc radii away, medians"
    profiles: dict[str, dict[str, float]]


def evaluate(data: Path, model: Path, out: Path, count: int | None = None, progress: bool = True) -> Report:
    """Measure ``count`` (60) training eyes whose fovea is marked, drawn once, and photographs of their maps."""
    dataset, gan = load_prepared(data, "train"), RetinaGAN.from_pretrained(model)
    marked = np.flatnonzero(np.isfinite(dataset.fovea).all(axis=1))
    chosen = np.random.default_rng(0).permutation(marked)[: count or COUNT]
    real, generated = [], []
    for style, index in enumerate(tqdm(chosen, unit="eye", disable=not progress), FIRST_STYLE):
        label_map = dataset.maps[index]
        anatomy = find_anatomy(label_map)
        photo = gan.render(label_map[None], [style])[0]
        real.append(profile(dataset.photos[index], label_map, dataset.fovea[index], anatomy.disc_radius))
        generated.append(profile(photo, label_map, (anatomy.fovea_x, anatomy.fovea_y), anatomy.disc_radius))
    middles = [f"{middle:.1f}" for middle in (RINGS[:-1] + RINGS[1:]) / 2]
    profiles = {
        f"{channel} {who}": dict(zip(middles, np.nanmedian(rows, axis=0)[:, place].tolist(), strict=True))
        for place, channel in enumerate(("red", "green", "blue"))
        for who, rows in (("real", real), ("generated", generated))
    }
    report = Report(
        name="fovea",
        title=[f"The fovea of {len(chosen)} training eyes of {data.name} and of photographs of their maps, {gan.name}"],
        facts={"model": gan.name, "eyes": len(chosen)},
        results={"fovea": Fovea(profiles)},
    )
    report.write(out)
    return report
