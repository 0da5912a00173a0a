"""Is the fovea as dark, and as wide, as in real eyes? Brightness by distance from its centre, real beside generated.

Run on training eyes: ``python -m retinagan.evaluation.fovea --data data/idrid512``. The correction ``macula`` is fitted by it; at its
centre a real fovea's red, green and blue are those of the retina around it times 1 - ``retinagan.eye.light.FOVEA_DEPTH``.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from retinagan.data.dataset import load_prepared
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import VB
from retinagan.pipeline import RetinaGAN
from retinagan.resources import DEFAULT_MODEL

RINGS = np.arange(0, 2.2, 0.2)
"""Edges of the rings around the fovea, in radii of the disc."""
AROUND = (1.4, 2.0)
"""The ring that brightness is told in units of."""
FIRST_STYLE = 1000
"""Style of the first photograph: those from 0 on are what is reported elsewhere."""


def profile(photo: np.ndarray, label_map: np.ndarray, centre: Sequence[float], disc_radius: float) -> np.ndarray:
    """Brightness around the fovea in units of that of the retina beside it: ``float64 (10, 3)``, red, green and blue by ring.

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


def profiles(data: Path, model: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Profiles of ``count`` training eyes whose fovea is marked, drawn once, and of photographs of their maps: ``float64 (N, 10, 3)`` each."""
    dataset, gan = load_prepared(data, "train"), RetinaGAN.from_pretrained(model)
    marked = np.flatnonzero(np.isfinite(dataset.fovea).all(axis=1))
    real, generated = [], []
    for style, index in enumerate(tqdm(np.random.default_rng(0).permutation(marked)[:count], unit="eye"), FIRST_STYLE):
        label_map = dataset.maps[index]
        anatomy = find_anatomy(label_map)
        photo = gan.render(label_map[None], [style])[0]
        real.append(profile(dataset.photos[index], label_map, dataset.fovea[index], anatomy.disc_radius))
        generated.append(profile(photo, label_map, (anatomy.fovea_x, anatomy.fovea_y), anatomy.disc_radius))
    return np.stack(real), np.stack(generated)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder written by `prepare`")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="model folder (default: the shipped one)")
    parser.add_argument("--count", type=int, default=60, help="so many eyes (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.count < 1:
        parser.error(f"--count is {options.count}; it must be at least 1")
    real, generated = profiles(options.data, options.model, options.count)
    print(f"{len(real)} training eyes; brightness over that {AROUND[0]:g}-{AROUND[1]:g} disc radii away, medians")
    print(f"{'disc radii':<16}" + "".join(f"{middle:>7.1f}" for middle in (RINGS[:-1] + RINGS[1:]) / 2))
    for channel, name in enumerate(("red", "green", "blue")):
        for what, rows in (("real", real), ("generated", generated)):
            medians = np.nanmedian(rows[..., channel], axis=0)
            print(f"{name:<6}{what:<10}" + "".join(f"{value:>7.2f}" for value in medians))


if __name__ == "__main__":
    main()
