"""Does a reference photograph give its eye? Held-out photographs against those rendered in their style.

``python -m retinagan evaluate reference --data data/idrid512``. Each held-out photograph is encoded, and its own map
rendered with its light (vessels from the seed), as the whole eye, and with style seeds for comparison. *Colour distance*:
mean absolute difference of RGB inside the field, in levels of 0-255, at full size and of the low-pass light (16 × 16
means). *Vessel overlap*: the ridge filter on both photographs: Dice of what is above half of its range, and correlation
inside the field.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from retinagan.data.dataset import load_prepared
from retinagan.eye.measured import read_reference
from retinagan.eye.ridges import vesselness
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import BG
from retinagan.pipeline import RetinaGAN

COUNT = 25
"""Held-out photographs unless told otherwise: all that IDRiD's split has with a map."""

SEEDS = (0, 1, 2)
"""Style seeds to compare with."""

CLEAR = 0.5
SHEET_ROWS = 6


def evaluate(data: Path, model: Path, out: Path, count: int | None = None, progress: bool = True) -> dict:
    """Measure on the held-out eyes of ``data``; writes ``OUT/reference.json`` and ``OUT/reference.png``.

    The picture (rows: reference, its light, the whole eye, a style seed) holds photographs of the data set: it is for
    looking at, not for passing on where their licence forbids it.

    Args:
        data: folder written by ``prepare``, at the model's size.
        model: model folder with an eye.
        out: folder to write.
        count: how many held-out eyes, the first ones; None: :data:`COUNT`.

    Returns:
        ``eyes``, ``styles`` (medians by kind of style), ``landmarks`` (found without a map, against the map's), ``eye``
        (every figure of every eye).
    """
    gan = RetinaGAN.from_pretrained(model, device="cpu")
    held = load_prepared(data, "heldout")
    if held.photos.shape[1] != gan.size:
        raise ValueError(
            f"{data} holds photographs of {held.photos.shape[1]} pixels; the model {gan.name} needs {gan.size}"
        )
    rows, pictures = [], []
    for index in tqdm(range(min(count or COUNT, len(held))), desc="references", disable=not progress):
        photo, label_map = held.photos[index], held.maps[index]
        light, whole = (gan.encode_style(photo, label_map, whole_eye) for whole_eye in (False, True))
        styles = {"light": light, "whole eye": whole, **{f"seed {seed}": seed for seed in SEEDS}}
        photos = gan.render(np.stack([label_map] * len(styles)), list(styles.values()))
        rendered = dict(zip(styles, photos, strict=True))
        row = {"id": held.ids[index], "landmarks": _landmarks(photo, label_map, held.fovea[index], gan.size)}
        field = label_map != BG
        own = vesselness(photo, label_map)
        for name, picture in rendered.items():
            row[name] = _colour(photo, picture, field) | _overlap(own, vesselness(picture, label_map), field)
        rows.append(row)
        pictures.append([photo, rendered["light"], rendered["whole eye"], rendered["seed 0"]])
    figures = {"eyes": len(rows), "model": gan.name, **_summary(rows), "eye": rows}
    out.mkdir(parents=True, exist_ok=True)
    (out / "reference.json").write_text(json.dumps(figures, indent=2) + "\n")
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in pictures[:SHEET_ROWS]])
    Image.fromarray(sheet).reduce(2).save(out / "reference.png")
    return figures


def table(figures: dict) -> str:
    """The figures of :func:`evaluate` for people."""
    lines = [f"References: {figures['eyes']} held-out photographs, medians; model {figures['model']}", ""]
    lines.append(f"{'rendered with':<14}{'colour':>8}{'light':>8}{'Dice':>8}{'correlation':>13}")
    for name in ("light", "whole eye", "seeds"):
        row = figures["styles"][name]
        lines.append(
            f"{name:<14}{row['colour']:>8.2f}{row['low_pass']:>8.2f}{row['dice']:>8.3f}{row['correlation']:>13.3f}"
        )
    marks = figures["landmarks"]
    disc, fovea = ("–" if marks[key] is None else f"{marks[key]:.2f}" for key in ("disc_distance", "fovea_distance"))
    lines += [
        "",
        f"disc found on {marks['disc_found']:.0%} without a map, median distance {disc} disc radii; "
        f"fovea {fovea} (of {marks['foveae']} marked)",
        "colour, light: mean absolute difference, levels of 0-255; Dice, correlation: ridge filter of both photographs",
    ]
    return "\n".join(lines)


def _colour(photo: np.ndarray, rendered: np.ndarray, field: np.ndarray) -> dict[str, float]:
    """Mean absolute difference inside the field, pixel by pixel and of 16 × 16 means."""
    difference = (photo.astype(np.float32) - rendered) * field[..., None]
    size = len(photo)
    block = size // 16
    cells = difference.reshape(16, block, 16, block, 3).sum((1, 3))
    seen = field.reshape(16, block, 16, block).sum((1, 3))
    low = np.abs(cells[seen > 0] / seen[seen > 0][:, None])
    return {"colour": float(np.abs(difference[field]).mean()), "low_pass": float(low.mean())}


def _overlap(a: np.ndarray, b: np.ndarray, field: np.ndarray) -> dict[str, float]:
    """Dice of the clear vessels and correlation of two ridge planes ``float32 (S, S)`` inside the field."""
    clear_a, clear_b = a > CLEAR, b > CLEAR
    dice = 2 * (clear_a & clear_b).sum() / max(int(clear_a.sum() + clear_b.sum()), 1)
    inside_a, inside_b = a[field] - a[field].mean(), b[field] - b[field].mean()
    scale = np.sqrt((inside_a**2).sum() * (inside_b**2).sum())
    return {"dice": float(dice), "correlation": float((inside_a * inside_b).sum() / max(float(scale), 1e-9))}


def _landmarks(photo: np.ndarray, label_map: np.ndarray, fovea: np.ndarray, size: int) -> dict[str, float | None]:
    """Distances, in disc radii, of what is found without a map from what the map and the marked fovea say; None: not
    found."""
    anatomy = find_anatomy(label_map)
    try:
        found = read_reference(photo, size)
    except ValueError:
        return {"disc": None, "fovea": None}
    disc = float(np.hypot(found.anatomy.disc_x - anatomy.disc_x, found.anatomy.disc_y - anatomy.disc_y) / anatomy.disc_radius)
    off = float(np.hypot(*(np.asarray(found.fovea) - fovea)) / anatomy.disc_radius)
    return {"disc": disc if anatomy.has_disc else None, "fovea": None if np.isnan(off) else off}


def _summary(rows: list[dict]) -> dict:
    measures = ("colour", "low_pass", "dice", "correlation")

    def medians(names: list[str]) -> dict[str, float]:
        return {m: round(float(np.median([row[name][m] for row in rows for name in names])), 4) for m in measures}

    styles = {"light": medians(["light"]), "whole eye": medians(["whole eye"])}
    styles["seeds"] = medians([f"seed {seed}" for seed in SEEDS])
    discs = [row["landmarks"]["disc"] for row in rows]
    found = [d for d in discs if d is not None and d < 1]
    foveae = [row["landmarks"]["fovea"] for row in rows if row["landmarks"]["fovea"] is not None]
    return {
        "styles": styles,
        "landmarks": {
            "disc_found": len(found) / max(len(rows), 1),
            "disc_distance": round(float(np.median(found)), 3) if found else None,
            "foveae": len(foveae),
            "fovea_distance": round(float(np.median(foveae)), 3) if foveae else None,
        },
    }
