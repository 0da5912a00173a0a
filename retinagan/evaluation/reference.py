"""Does a reference photograph give its eye? Held-out photographs against those rendered in their style.

``python -m retinagan evaluate reference --data data/idrid512``. Each held-out photograph is encoded, and its own map
rendered with its light (vessels from the seed), as the whole eye, and with style seeds for comparison. *Colour*: mean
absolute difference of RGB inside the field, in levels of 0-255, at full size and of the low-pass light (16 × 16
means). *Vessel overlap*: the ridge filter on both photographs: Dice of what is above half of its range, and correlation
inside the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image
from tqdm import tqdm

from retinagan.data.dataset import load_prepared
from retinagan.evaluation.report import Report, Result, unreported, untabled
from retinagan.eye.measured import read_reference
from retinagan.eye.ridges import vesselness
from retinagan.eye.style import Style
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import BG
from retinagan.pipeline import RetinaGAN

COUNT = 25
"""Held-out photographs unless told otherwise: all that IDRiD's split has with a map."""

SEEDS = (0, 1, 2)
"""Style seeds to compare with."""

CLEAR = 0.5
SHEET_ROWS = 6


@dataclass(frozen=True)
class Likeness:
    """How like its reference a photograph is: mean absolute difference of colour and of the low-pass light, and Dice
    and correlation of the vessels."""

    colour: float
    low_pass: float
    dice: float
    correlation: float

    @classmethod
    def of(cls, photo: np.ndarray, rendered: np.ndarray, own: np.ndarray, label_map: np.ndarray) -> Likeness:
        """Of two photographs ``uint8 (S, S, 3)`` inside the field; ``own``: the ridge filter on the first."""
        field = label_map != BG
        difference = (photo.astype(np.float32) - rendered) * field[..., None]
        block = len(photo) // 16
        cells = difference.reshape(16, block, 16, block, 3).sum((1, 3))
        seen = field.reshape(16, block, 16, block).sum((1, 3))
        low = np.abs(cells[seen > 0] / seen[seen > 0][:, None])
        dice, correlation = overlap(own, vesselness(rendered, label_map), field)
        return cls(float(np.abs(difference[field]).mean()), float(low.mean()), dice, correlation)

    @classmethod
    def median(cls, rows: Sequence[Likeness]) -> Likeness:
        return cls(*np.median([list(vars(row).values()) for row in rows], axis=0).round(4).tolist())


def overlap(a: np.ndarray, b: np.ndarray, field: np.ndarray) -> tuple[float, float]:
    """Dice of the clear vessels and correlation of two ridge planes ``float32 (S, S)`` inside the field."""
    clear_a, clear_b = a > CLEAR, b > CLEAR
    dice = 2 * (clear_a & clear_b).sum() / max(int(clear_a.sum() + clear_b.sum()), 1)
    inside_a, inside_b = a[field] - a[field].mean(), b[field] - b[field].mean()
    scale = np.sqrt((inside_a**2).sum() * (inside_b**2).sum())
    return float(dice), float((inside_a * inside_b).sum() / max(float(scale), 1e-9))


@dataclass(frozen=True)
class Landmarks:
    """Distances, in disc radii, of what is found without a map from what the map and the marked fovea say; None: not
    found."""

    disc: float | None
    fovea: float | None

    @classmethod
    def of(cls, photo: np.ndarray, label_map: np.ndarray, fovea: np.ndarray) -> Landmarks:
        anatomy = find_anatomy(label_map)
        try:
            found = read_reference(photo, len(label_map))
        except ValueError:
            return cls(None, None)
        away = np.hypot(found.anatomy.disc_x - anatomy.disc_x, found.anatomy.disc_y - anatomy.disc_y)
        off = float(np.hypot(*(np.asarray(found.fovea) - fovea)) / anatomy.disc_radius)
        return cls(float(away / anatomy.disc_radius) if anatomy.has_disc else None, None if np.isnan(off) else off)


@dataclass(frozen=True)
class References(Result):
    """Medians by kind of style; ``disc_found``: share of discs found within a radius, with their median distance, and
    that of so many marked ``foveae``."""

    title: ClassVar = (
        "Colour and light: levels of 255; Dice and correlation: ridge filter of both; landmarks: disc radii"
    )
    styles: dict[str, Likeness]
    disc_found: float
    disc_distance: float | None
    foveae: int
    fovea_distance: float | None
    eye: list[dict[str, Any]] = untabled(default_factory=list)
    sheet: np.ndarray | None = unreported(default=None)

    @classmethod
    def of(
        cls, likes: Sequence[dict[str, Likeness]], marks: Sequence[Landmarks], ids: Sequence[str], sheet: np.ndarray
    ) -> References:
        """Of each eye: likeness by style, landmarks and id."""
        styles = {name: Likeness.median([row[name] for row in likes]) for name in ("light", "whole eye")}
        styles["seeds"] = Likeness.median([row[f"seed {seed}"] for row in likes for seed in SEEDS])
        found = [mark.disc for mark in marks if mark.disc is not None and mark.disc < 1]
        foveae = [mark.fovea for mark in marks if mark.fovea is not None]
        distances = (float(np.median(of)) if of else None for of in (found, foveae))
        eyes = [{"id": i, "landmarks": mark, **row} for i, mark, row in zip(ids, marks, likes, strict=True)]
        return cls(styles, len(found) / max(len(marks), 1), next(distances), len(foveae), next(distances), eyes, sheet)

    def pictures(self) -> dict[str, Image.Image]:
        return {} if self.sheet is None else {"sheet": Image.fromarray(self.sheet).reduce(2)}


def evaluate(data: Path, model: Path, out: Path, count: int | None = None, progress: bool = True) -> Report:
    """Measure on the held-out eyes of ``data``.

    The picture (rows: reference, its light, the whole eye, a style seed) holds photographs of the data set: it is for
    looking at, not for passing on where their licence forbids it.

    Args:
        data: folder written by ``prepare``, at the model's size.
        model: model folder with an eye.
        out: folder for ``reference.json``, ``reference.md`` and ``reference-sheet.png``.
        count: how many held-out eyes, the first ones; None: :data:`COUNT`.
    """
    gan = RetinaGAN.from_pretrained(model, device="cpu")
    held = load_prepared(data, "heldout")
    if held.photos.shape[1] != gan.size:
        raise ValueError(
            f"{data} holds photographs of {held.photos.shape[1]} pixels; the model {gan.name} needs {gan.size}"
        )
    likes, marks, pictures = [], [], []
    chosen = range(min(count or COUNT, len(held)))
    for index in tqdm(chosen, desc="references", disable=not progress):
        photo, label_map = held.photos[index], held.maps[index]
        light, whole = (gan.encode_style(photo, label_map, whole_eye) for whole_eye in (False, True))
        styles: dict[str, Style | int] = {
            "light": light,
            "whole eye": whole,
            **{f"seed {seed}": seed for seed in SEEDS},
        }
        photos = gan.render(np.stack([label_map] * len(styles)), list(styles.values()))
        rendered = dict(zip(styles, photos, strict=True))
        own = vesselness(photo, label_map)
        likes.append({name: Likeness.of(photo, picture, own, label_map) for name, picture in rendered.items()})
        marks.append(Landmarks.of(photo, label_map, held.fovea[index]))
        pictures.append(np.hstack([photo, rendered["light"], rendered["whole eye"], rendered["seed 0"]]))
    report = Report(
        name="reference",
        title=[f"References: {len(chosen)} held-out photographs, medians; model {gan.name}"],
        facts={"eyes": len(chosen), "model": gan.name},
        results={
            "reference": References.of(likes, marks, [held.ids[i] for i in chosen], np.vstack(pictures[:SHEET_ROWS]))
        },
    )
    report.write(out)
    return report
