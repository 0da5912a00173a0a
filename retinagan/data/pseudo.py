"""Pseudo-labels: lesion maps of graded photographs that nobody annotated, predicted and cleaned by the grade.

A grade is a statement about lesions (Wilkinson et al., Ophthalmology 110, 2003): grade 0 has none, grade 1
microaneurysms alone. What a segmenter sees beyond that is its mistake. The disc is where the data set says that it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from skimage.measure import regionprops
from tqdm import tqdm

from retinagan import checkpoints
from retinagan.data.dataset import read_picture
from retinagan.data.prepare import read_manifest, save_map_and_vessels, write_tables
from retinagan.data.presence import FILE, presence
from retinagan.maps.clean import LEAST_SOFT_EXUDATE, smooth_disc
from retinagan.maps.field import paint_map
from retinagan.maps.labels import CLASSES, EX, HE, MA, OD, SE
from retinagan.maps.parts import DISC_RADIUS, connected, field_of_view, large_parts, largest_part
from retinagan.models.segmenter import SEGMENTED, photo_planes, turned_logits

LEAST_AREA = {EX: 3, HE: 6, SE: LEAST_SOFT_EXUDATE, MA: 2}
"""Pixels at a side of 512 below which a predicted lesion is noise."""
MA_MOST_AREA = 40
"""Pixels at a side of 512 above which a red dot is no microaneurysm (125 µm) but a haemorrhage."""
HE_MOST_ELONGATED = 4.0
"""Longer haemorrhages than this many times their width are pieces of vessels."""
DISC_AREA = (0.013, 0.045)
"""Share of the picture that a disc covers."""
DISC_OFF = 0.6
"""Radii that a predicted disc may lie from the known centre; beyond, a circle is drawn there."""


@dataclass
class PseudoReport:
    """Ids labelled, and how many of them show each class after cleaning."""

    labelled: list[str] = field(default_factory=list)
    shown: dict[str, int] = field(default_factory=dict)

    def summary(self) -> str:
        counts = ", ".join(f"{name} in {count}" for name, count in self.shown.items())
        return f"{len(self.labelled)} photographs got predicted maps: {counts}"


def pseudo_label(folder: Path, segmenter: Path, progress: bool = True) -> PseudoReport:
    """Write predicted maps for all photographs of a prepared folder that have none, or a predicted one.

    Annotated maps and those of grade 0 stay. The vessels are measured again, as lesions are left out of them. The
    manifest's ``label`` of these eyes becomes ``pseudo``. ``pseudo.json`` notes the segmenter, and how often it is
    right about a lesion's being there (``retinagan.data.presence``) on the held-out eyes that are annotated or of grade
    0, without help from their grade.

    Args:
        folder: written by ``prepare`` with unlabelled photographs.
        segmenter: a segmenter's checkpoint, or the model folder that holds ``segmenter.safetensors``.

    Raises:
        FileNotFoundError: no manifest or no segmenter.
        retinagan.checkpoints.CheckpointError: the segmenter's file is damaged or of another network.
        ValueError: the folder was prepared at another size than the segmenter's.
    """
    folder, path = Path(folder), Path(segmenter)
    path = path / "segmenter.safetensors" if path.is_dir() else path
    network, facts = checkpoints.load(path, "segmenter")
    fitted = facts.get("thresholds")
    fitted = fitted if isinstance(fitted, dict) else {}
    thresholds = np.array([fitted.get(CLASSES[kind].short, 0.5) for kind in SEGMENTED])
    rows = read_manifest(folder)
    wanted = [row for row in rows.values() if row["label"] in ("", "pseudo")]
    sizes = {int(row["size"]) for row in wanted}
    if sizes - {network.config.size}:
        raise ValueError(
            f"{folder} was prepared at size {sorted(sizes)}, the segmenter was trained at {network.config.size}; "
            "prepare it at that size"
        )
    report = PseudoReport(shown={CLASSES[kind].short: 0 for kind in SEGMENTED})
    known = [row for row in rows.values() if row["label"] in ("masks", "disc") and row["split"] == "heldout"]
    bar = tqdm(total=len(wanted) + len(known), unit="eye", disable=not progress, desc="pseudo-label")

    def predict(row: dict[str, str], grade: int | None) -> tuple[np.ndarray, np.ndarray]:
        photo = read_picture(folder / "images" / f"{row['id']}.png", "RGB", int(row["size"]))
        with torch.inference_mode():
            shares = turned_logits(network, photo_planes(photo))[0].sigmoid().numpy()
        bar.update()
        disc = (float(row["disc_x"]), float(row["disc_y"])) if row["disc_x"] else None
        return photo, map_from_shares(shares, thresholds, grade, disc)

    with bar:
        for row in wanted:
            name = f"{row['id']}.png"
            photo, label_map = predict(row, int(row["grade"]) if row["grade"] else None)
            save_map_and_vessels(photo, label_map, folder / "maps" / name, folder / "vessels" / name)
            row["has_map"], row["label"] = "1", "pseudo"
            report.labelled.append(row["id"])
            for kind in SEGMENTED:
                report.shown[CLASSES[kind].short] += bool((label_map == kind).any())
        pairs = (
            (read_picture(folder / "maps" / f"{row['id']}.png", "P", int(row["size"])), predict(row, None)[1])
            for row in known
        )
        note = {"segmenter": checkpoints.sha256(path), "thresholds": thresholds.tolist(), "presence": presence(pairs)}
    (folder / FILE).write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    write_tables(folder, rows)
    return report


def map_from_shares(
    shares: np.ndarray, thresholds: np.ndarray, grade: int | None, disc: tuple[float, float] | None
) -> np.ndarray:
    """Predicted probabilities ``float (5, S, S)`` (planes of ``SEGMENTED``) → lesion map ``uint8 (S, S)``.

    Args:
        thresholds: ``(5,)``; what lies above is predicted.
        grade: 0-4, or None if unknown: nothing is cleaned by it then.
        disc: its known centre (x, y) in pixels, or None.
    """
    size = shares.shape[-1]
    scale = (size / 512) ** 2
    masks = {kind: shares[plane] > thresholds[plane] for plane, kind in enumerate(SEGMENTED)}
    masks[OD], circle = _disc(masks[OD], disc, size)
    beside = ~ndimage.binary_dilation(masks[OD], iterations=max(1, round(2 * scale**0.5)))
    lesions = {kind: large_parts(masks[kind] & beside, LEAST_AREA[kind] * scale) for kind in (EX, HE, SE, MA)}
    large = large_parts(lesions[MA], MA_MOST_AREA * scale)
    lesions[HE] = _compact(lesions[HE] | large)
    lesions[MA] &= ~large
    if grade in (0, 1):
        small = lesions[HE] & ~large_parts(lesions[HE], MA_MOST_AREA * scale)
        for kind in (EX, HE, SE):
            lesions[kind] = np.zeros_like(lesions[kind])
        lesions[MA] = (lesions[MA] | small) if grade == 1 else np.zeros_like(lesions[MA])
        if grade == 1 and not lesions[MA].any():  # there is one, or the grade would be 0: the likeliest place
            likely = np.where(beside & field_of_view(size), shares[SEGMENTED.index(MA)], 0)
            y, x = np.unravel_index(likely.argmax(), likely.shape)
            lesions[MA][max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = True
    if masks[OD].any():
        lesions[OD] = masks[OD]
    return paint_map(lesions, size, circle)


def _disc(
    mask: np.ndarray, known: tuple[float, float] | None, size: int
) -> tuple[np.ndarray, tuple[float, float, float] | None]:
    """The disc's mask, and the circle (x, y, radius) to draw in its place if the prediction is no disc."""
    if mask.any():
        mask = ndimage.binary_fill_holes(largest_part(mask, corners=False))
        mask = ndimage.binary_opening(mask, iterations=max(1, size // 128))
        mask = smooth_disc(mask) if mask.any() else mask
        if mask.any() and DISC_AREA[0] <= mask.mean() <= DISC_AREA[1]:
            y, x = ndimage.center_of_mass(mask)
            if known is None or np.hypot(x - known[0], y - known[1]) <= DISC_OFF * DISC_RADIUS * size:
                return mask, None
    nothing = np.zeros_like(mask)
    return nothing, None if known is None else (*known, DISC_RADIUS * size)


def _compact(mask: np.ndarray) -> np.ndarray:
    """Without long thin parts, which are vessels."""
    labels, _ = connected(mask)
    kept = mask.copy()
    for region in regionprops(labels):
        if region.axis_major_length > HE_MOST_ELONGATED * max(region.axis_minor_length, 1):
            kept[labels == region.label] = False
    return kept
