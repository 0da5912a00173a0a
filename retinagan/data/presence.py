"""What shares of predicted maps are worth: how often a segmenter sees a lesion that is there, and one that is not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from retinagan.maps.labels import CLASSES, LESIONS

FILE = "pseudo.json"
"""Beside the manifest of a prepared folder whose maps were predicted (``retinagan.data.pseudo``)."""

LEAST_EYES = 5
"""Eyes with a lesion, and without it, from which on the rates count."""

LEAST_INFORMATIVE = 0.2
"""Sensitivity plus specificity less 1 below which a prediction says too little of an eye to be corrected."""


def presence(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, dict]:
    """Sensitivity and specificity of predicted maps, an eye a case.

    Args:
        pairs: the true and the predicted map ``uint8 (S, S)`` of eyes that the segmenter has not learned from.

    Returns:
        Class → ``{"with": n, "sensitivity": share or None, "without": n, "specificity": share or None}``.
    """
    seen = [[(bool((true == kind).any()), bool((found == kind).any())) for kind in LESIONS] for true, found in pairs]
    cases = np.array(seen, dtype=bool).reshape(-1, len(LESIONS), 2)
    figures = {}
    for place, kind in enumerate(LESIONS):
        true, found = cases[:, place].T
        figures[CLASSES[kind].short] = {
            "with": int(true.sum()),
            "sensitivity": float(found[true].mean()) if true.any() else None,
            "without": int((~true).sum()),
            "specificity": float(1 - found[~true].mean()) if (~true).any() else None,
        }
    return figures


def corrected(share: float, figures: dict) -> float | None:
    """The share of eyes that have a lesion, from the share of those whose predicted map has it, 0..1.

    Rogan and Gladen, American Journal of Epidemiology 107 (1978):
    (share + specificity − 1) / (sensitivity + specificity − 1), cut to 0..1. None where either rate is of fewer than
    :data:`LEAST_EYES`, or both together say next to nothing (:data:`LEAST_INFORMATIVE`).
    """
    sensitivity, specificity = figures["sensitivity"], figures["specificity"]
    if min(figures["with"], figures["without"]) < LEAST_EYES or sensitivity + specificity - 1 < LEAST_INFORMATIVE:
        return None
    return float(np.clip((share + specificity - 1) / (sensitivity + specificity - 1), 0, 1))


def read_presence(folder: Path) -> dict[str, dict] | None:
    """What :func:`retinagan.data.pseudo.pseudo_label` noted of its predicted maps; None where it noted nothing.

    Raises:
        ValueError: the note is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))["presence"]
        keys = ("with", "sensitivity", "without", "specificity")
        return {CLASSES[kind].short: {key: noted[CLASSES[kind].short][key] for key in keys} for kind in LESIONS}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); predict the maps again: prepare … --pseudo-label") from error
