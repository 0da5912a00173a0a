"""Pseudo-labels: lesion maps of graded photographs that nobody annotated, predicted and cleaned by the grade.

A grade is a statement about lesions (Wilkinson et al., Ophthalmology 110, 2003): grade 0 has none, grade 1
microaneurysms alone. What a segmenter sees beyond that is its mistake. The disc is where the data set says that it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.measure import regionprops
from tqdm import tqdm

from retinagan.data.burden import LEAST_AREAS, Cut, unbiased_cut
from retinagan.data.dataset import read_picture
from retinagan.data.folds import fold_of
from retinagan.data.prepare import read_manifest, save_map_and_vessels, write_tables
from retinagan.data.presence import FILE, presence
from retinagan.data.segmenters import Segmenters
from retinagan.maps.clean import EXCLUDED, LEAST_SOFT_EXUDATE, smooth_disc
from retinagan.maps.field import paint_map
from retinagan.maps.labels import CLASSES, EX, HE, MA, OD, SE
from retinagan.maps.parts import DISC_RADIUS, connected, field_of_view, large_parts, largest_part, without_holes
from retinagan.models.segmenter import SEGMENTED
from retinagan.writing import write_atomically

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

    The networks of a cross-validation predict together, and what counts as predicted is cut so that the annotated eyes
    that each of them left out come out with the annotated burden (``retinagan.data.burden``). Another photograph of an
    annotated eye is left to the network that did not learn from it. One network uses the thresholds in its file.

    Args:
        folder: written by ``prepare`` with unlabelled photographs.
        segmenter: what :meth:`Segmenters.load` reads.

    Raises:
        FileNotFoundError: no manifest or no segmenter.
        retinagan.checkpoints.CheckpointError: the segmenter's file is damaged or of another network.
        ValueError: the folder was prepared at another size than the segmenter's.
    """
    folder = Path(folder)
    networks = Segmenters.load(segmenter)
    rows = read_manifest(folder)
    wanted = [row for row in rows.values() if row["label"] in ("", "pseudo")]
    sizes = {int(row["size"]) for row in wanted}
    if sizes - {networks.size}:
        raise ValueError(
            f"{folder} was prepared at size {sorted(sizes)}, the segmenter was trained at {networks.size}; "
            "prepare it at that size"
        )
    report = PseudoReport(shown={CLASSES[kind].short: 0 for kind in SEGMENTED})
    known = [row for row in rows.values() if row["label"] in ("masks", "disc") and row["split"] == "heldout"]
    fold_by_eye = annotated_folds(rows, len(networks))
    left_out = [row for row in rows.values() if row["label"] == "masks" and row["eye"] in fold_by_eye]
    total = len(wanted) + len(known) + len(left_out)
    with tqdm(total=total, unit="eye", disable=not progress, desc="pseudo-label") as bar:

        def predict(row: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
            photo = read_picture(folder / "images" / f"{row['id']}.png", "RGB", int(row["size"]))
            logits = networks.logits(photo, fold_by_eye.get(row["eye"]))
            bar.update()
            return photo, 1 / (1 + np.exp(-logits))

        def true_map(row: dict[str, str]) -> np.ndarray:
            return read_picture(folder / "maps" / f"{row['id']}.png", "P", int(row["size"]))

        cuts = usual_cuts(networks.thresholds)
        if left_out:
            cuts = unbiased_cuts([(predict(row)[1].astype(np.float16), true_map(row)) for row in left_out], cuts)
        for row in wanted:
            name = f"{row['id']}.png"
            photo, shares = predict(row)
            label_map = map_from_shares(shares, cuts, int(row["grade"]) if row["grade"] else None, known_disc(row))
            save_map_and_vessels(photo, label_map, folder / "maps" / name, folder / "vessels" / name)
            row["has_map"], row["label"] = "1", "pseudo"
            report.labelled.append(row["id"])
            for kind in SEGMENTED:
                report.shown[CLASSES[kind].short] += bool((label_map == kind).any())
        pairs = ((true_map(row), map_from_shares(predict(row)[1], cuts, None, known_disc(row))) for row in known)
        hashes = networks.hashes if len(networks) > 1 else networks.hashes["segmenter"]
        told = {CLASSES[kind].short: cut._asdict() for kind, cut in cuts.items()}
        note = {"segmenter": hashes, "cuts": told, "presence": presence(pairs)}
    write_atomically(folder / FILE, json.dumps(note, indent=1) + "\n")
    write_tables(folder, rows)
    return report


def annotated_folds(rows: dict[str, dict[str, str]], folds: int) -> dict[str, int]:
    """Eye → the fold that left it out, of a manifest's annotated training eyes; empty without a cross-validation."""
    ids = [name for name, row in rows.items() if row["label"] == "masks" and row["split"] == "train"]
    if folds < 2 or not ids:
        return {}
    return {rows[name]["eye"]: int(fold) for name, fold in zip(ids, fold_of(ids, folds), strict=True)}


def known_disc(row: dict[str, str]) -> tuple[float, float] | None:
    """The disc's centre (x, y) in prepared pixels, as the manifest has it."""
    return (float(row["disc_x"]), float(row["disc_y"])) if row["disc_x"] else None


Cuts = dict[int, Cut]
"""Class → its cut; the disc has a threshold alone."""


def usual_cuts(thresholds: np.ndarray) -> Cuts:
    """Cuts at given thresholds ``(5,)`` with the usual :data:`LEAST_AREA`."""
    return {kind: Cut(float(t), LEAST_AREA.get(kind, 0)) for kind, t in zip(SEGMENTED, thresholds, strict=True)}


def unbiased_cuts(cases: Sequence[tuple[np.ndarray, np.ndarray]], otherwise: Cuts) -> Cuts:
    """Cuts at which predictions have the annotated burden, each class by itself.

    Args:
        cases: predicted probabilities ``float (5, S, S)`` and the annotated map ``uint8 (S, S)`` of unseen eyes.
        otherwise: what stays for the disc, and for a class that no eye has.
    """
    found = dict(otherwise)
    for plane, kind in enumerate(SEGMENTED):
        having = [(shares[plane], true == kind) for shares, true in cases if kind in true]
        if kind != OD and having:
            shares, true = zip(*having, strict=True)
            found[kind] = unbiased_cut(shares, true, partial(_cleaned, kind, LEAST_AREAS[0]))
    return found


def map_from_shares(shares: np.ndarray, cuts: Cuts, grade: int | None, disc: tuple[float, float] | None) -> np.ndarray:
    """Predicted probabilities ``float (5, S, S)`` (planes of ``SEGMENTED``) → lesion map ``uint8 (S, S)``.

    Args:
        cuts: what of each class is predicted.
        grade: 0-4, or None if unknown: nothing is cleaned by it then.
        disc: its known centre (x, y) in pixels, or None.
    """
    size = shares.shape[-1]
    scale = (size / 512) ** 2
    masks = {kind: shares[plane] > cuts[kind].threshold for plane, kind in enumerate(SEGMENTED)}
    masks[OD], circle = _disc(masks[OD], disc, size)
    beside = ~ndimage.binary_dilation(masks[OD], iterations=max(1, round(2 * scale**0.5)))
    lesions = {kind: _cleaned(kind, cuts[kind].least, masks[kind] & beside) for kind in (EX, HE, SE, MA)}
    large = large_parts(lesions[MA], MA_MOST_AREA * scale)
    lesions[HE] |= _compact(large)
    lesions[MA] &= ~large
    if grade in (0, 1):
        small = lesions[HE] & ~large_parts(lesions[HE], MA_MOST_AREA * scale)
        for kind in EXCLUDED[grade]:
            lesions[kind] = np.zeros_like(lesions[kind])
        if grade == 1:
            lesions[MA] |= small
        if grade == 1 and not lesions[MA].any():  # there is one, or the grade would be 0: the likeliest place
            likely = np.where(beside & field_of_view(size), shares[SEGMENTED.index(MA)], 0)
            y, x = np.unravel_index(likely.argmax(), likely.shape)
            lesions[MA][max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = True
    if masks[OD].any():
        lesions[OD] = masks[OD]
    return paint_map(lesions, size, circle)


def _cleaned(kind: int, least: float, mask: np.ndarray) -> np.ndarray:
    """A class' predicted mask without specks; haemorrhages without pieces of vessels."""
    parts = large_parts(mask, least * (mask.shape[-1] / 512) ** 2)
    return _compact(parts) if kind == HE else parts


def _disc(
    mask: np.ndarray, known: tuple[float, float] | None, size: int
) -> tuple[np.ndarray, tuple[float, float, float] | None]:
    """The disc's mask, and the circle (x, y, radius) to draw in its place if the prediction is no disc."""
    if mask.any():
        mask = without_holes(largest_part(mask, corners=False))
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
