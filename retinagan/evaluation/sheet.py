"""Contact sheets of a model: maps and photographs of every grade, for looking at.

``python -m retinagan.evaluation.sheet --out assets/contact-sheet.jpg``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from retinagan.maps.labels import NUM_GRADES, colours_from_map
from retinagan.pipeline import RetinaGAN
from retinagan.resources import DEFAULT_MODEL


def contact_sheet(model: RetinaGAN, seeds: Sequence[int], side: int = 256, truncation: float = 1.0) -> np.ndarray:
    """``uint8 (10·side, len(seeds)·side, 3)``: for each grade 0-4 a row of maps and below it a row of photographs.

    Seed k of a grade is map seed k with style seed k.
    """
    rows = []
    for grade in range(NUM_GRADES):
        maps = model.sample_maps(grade, seeds, truncation)
        rows.append([shrunk(colours_from_map(label_map), side) for label_map in maps])
        rows.append([shrunk(photo, side) for photo in model.render(maps, seeds)])
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


def shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture ``uint8 (S, S, 3)`` at ``side``."""
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="model folder")
    parser.add_argument("--seeds", type=int, default=8, help="seeds 0..N-1 a grade (default 8)")
    parser.add_argument("--side", type=int, default=256, help="side of a picture in pixels (default 256)")
    parser.add_argument("--truncation", type=float, default=1.0, help="0 to 1 (default 1)")
    parser.add_argument("--out", type=Path, required=True, help="picture to write (.jpg or .png)")
    options = parser.parse_args(arguments)
    model = RetinaGAN.from_pretrained(options.model)
    sheet = contact_sheet(model, range(options.seeds), options.side, options.truncation)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(options.out, quality=88)


if __name__ == "__main__":
    main()
