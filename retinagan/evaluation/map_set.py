"""The real lesion maps of a prepared folder, without their photographs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retinagan.data.dataset import read_picture
from retinagan.data.prepare import read_manifest
from retinagan.files.maps import fit_map


@dataclass(frozen=True)
class MapSet:
    """Real maps ``uint8 (N, S, S)``, their grades ``int64 (N,)`` (-1 unknown), and of each where its lesions are from
    (``labels``: masks, pseudo, disc), its split, eye and id."""

    maps: np.ndarray
    grades: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    eyes: np.ndarray
    ids: tuple[str, ...]

    def counts(self) -> dict[str, Any]:
        """How many there are, by split and by origin of their lesions."""
        return {
            "n": len(self.ids),
            "splits": dict(Counter(self.splits.tolist())),
            "labels": dict(Counter(self.labels.tolist())),
            "ungraded": int((self.grades < 0).sum()),
        }


def read_map_set(folder: Path | str, size: int) -> MapSet:
    """All maps of a prepared folder, both splits, at ``size`` pixels: larger ones are reduced so that lesions keep
    their area (:func:`retinagan.files.maps.fit_map`).

    Raises:
        FileNotFoundError: no manifest, or a map that it lists is missing.
        ValueError: no map at all, smaller ones than asked for, or a damaged one (it is named).
    """
    folder = Path(folder)
    rows = [row for row in read_manifest(folder).values() if row["has_map"] == "1"]
    if not rows:
        raise ValueError(f"{folder} holds no lesion map; prepare data with masks, or with --pseudo-label")
    prepared = int(rows[0]["size"])
    if prepared < size:
        raise ValueError(
            f"{folder} was prepared at {prepared}, maps of {size} are asked for; prepare with --size {size}"
        )
    maps = np.empty((len(rows), size, size), dtype=np.uint8)
    for number, row in enumerate(rows):
        maps[number] = fit_map(read_picture(folder / "maps" / f"{row['id']}.png", "P", prepared), size)
    return MapSet(
        maps=maps,
        grades=np.array([int(row["grade"]) if row["grade"] else -1 for row in rows], dtype=np.int64),
        labels=np.array([row["label"] for row in rows]),
        splits=np.array([row["split"] for row in rows]),
        eyes=np.array([row["eye"] for row in rows]),
        ids=tuple(row["id"] for row in rows),
    )
