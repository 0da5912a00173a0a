"""Contact sheets of a model: maps and photographs of every grade, for looking at.

``python -m retinagan evaluate sheet --out runs/sheet``
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from retinagan.evaluation.report import Report, Result, unreported
from retinagan.maps.labels import colours_from_map
from retinagan.pipeline import RetinaGAN
from retinagan.seeds import NUM_GRADES

SEEDS = 8
"""Seeds of each grade unless told otherwise."""


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


@dataclass(frozen=True)
class Sheet(Result):
    """The contact sheet, for looking at."""

    title: ClassVar = "sheet-grades.png"
    grades: np.ndarray = unreported()

    def pictures(self) -> dict[str, Image.Image]:
        return {"grades": Image.fromarray(self.grades)}


def evaluate(
    data: Path | None,
    model: Path,
    out: Path,
    count: int | None = None,
    progress: bool = True,
    *,
    side: int = 256,
    truncation: float = 1.0,
) -> Report:
    """Draw seeds 0 … count-1 (8) of each grade; it needs no data."""
    gan = RetinaGAN.from_pretrained(model)
    seeds = range(count or SEEDS)
    title = [f"Maps and photographs of {gan.name}, seeds 0-{len(seeds) - 1} of each grade"]
    sheet = Sheet(contact_sheet(gan, seeds, side, truncation))
    report = Report("sheet", title, {"model": gan.name}, {"sheet": sheet})
    report.write(out)
    return report
