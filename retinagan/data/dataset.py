"""A prepared folder in memory."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from retinagan.data.prepare import read_manifest
from retinagan.maps.labels import check_map

SPLITS = ("train", "heldout")


@dataclass(frozen=True)
class PreparedDataset:
    """Eyes of one split, in the order of their ids.

    Attributes:
        photos: ``uint8 (N, S, S, 3)``.
        maps: ``uint8 (N, S, S)``, classes 0-6; all background where there is none.
        vessels: ``uint8 (N, S, S)``, ridge filter × 255.
        grades: ``int64 (N,)``, -1 where unknown.
        fovea: ``float64 (N, 2)``, x and y in pixels, NaN where unknown.
        ids: source ids.
        labels: where each map is from: ``masks`` (annotated lesions), ``disc`` (grade 0: nothing to annotate but the
            disc), ``pseudo`` (predicted by a segmenter), or empty without a map. Default: all annotated.
        eyes: the same for all photographs of one eye. Default: each its own.
    """

    photos: np.ndarray
    maps: np.ndarray
    vessels: np.ndarray
    grades: np.ndarray
    fovea: np.ndarray
    ids: tuple[str, ...]
    labels: tuple[str, ...] = ()
    eyes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.labels:
            object.__setattr__(self, "labels", ("masks",) * len(self.ids))
        if not self.eyes:
            object.__setattr__(self, "eyes", self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_map(self) -> np.ndarray:
        """``bool (N,)``."""
        return np.array(self.labels) != ""

    def digest(self) -> str:
        """SHA-256 of what is known of each photograph, in hexadecimal; folder and names of the eyes do not count."""
        digest = hashlib.sha256(json.dumps([self.photos.shape, self.ids, self.labels]).encode())
        for array in (self.photos, self.maps, self.vessels, self.grades, self.fovea):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def load_prepared(folder: str | Path, split: str, include_unlabelled: bool = False) -> PreparedDataset:
    """The pairs of ``split`` in a folder written by ``prepare``; 1.3 MB of memory an eye at 512.

    Args:
        folder: holds ``manifest.csv``, ``images/``, ``maps/`` and ``vessels/``.
        split: ``train`` or ``heldout``.
        include_unlabelled: also the photographs without a map.

    Raises:
        FileNotFoundError: no manifest, or a file that it lists is missing.
        ValueError: an unknown split, no pair in it, or a damaged file (it is named).
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; allowed are {SPLITS}")
    folder = Path(folder)
    rows = [r for r in read_manifest(folder).values() if r["split"] == split]
    rows = [r for r in rows if include_unlabelled or r["has_map"] == "1"]
    if not rows:
        raise ValueError(f"{folder} holds no pair of the split {split!r}; prepare more data")
    size = int(rows[0]["size"])
    photos = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    maps = np.zeros((len(rows), size, size), dtype=np.uint8)
    vessels = np.empty((len(rows), size, size), dtype=np.uint8)
    for number, row in enumerate(rows):
        name = f"{row['id']}.png"
        photos[number] = read_picture(folder / "images" / name, "RGB", size)
        vessels[number] = read_picture(folder / "vessels" / name, "L", size)
        if row["has_map"] == "1":
            maps[number] = read_picture(folder / "maps" / name, "P", size)
            check_map(maps[number])
    return PreparedDataset(
        photos=photos,
        maps=maps,
        vessels=vessels,
        grades=np.array([int(r["grade"]) if r["grade"] else -1 for r in rows], dtype=np.int64),
        fovea=np.array([[float(r[k]) if r[k] else np.nan for k in ("fovea_x", "fovea_y")] for r in rows]),
        ids=tuple(r["id"] for r in rows),
        labels=tuple(r["label"] for r in rows),
        eyes=tuple(r["eye"] for r in rows),
    )


def read_picture(path: Path, mode: str, size: int) -> np.ndarray:
    """A prepared picture's pixels, read-only. Raises FileNotFoundError or ValueError, as :func:`load_prepared`."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is listed in the manifest but missing; prepare the folder again")
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            if picture.mode != mode or picture.size != (size, size):
                raise ValueError(f"it is {picture.mode} {picture.size}, expected {mode} {(size, size)}")
            return np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged or was changed ({error}); delete it and prepare the folder again"
        ) from error
