"""The photographs that are compared: real ones, and generated ones made for the very eyes that were held out.

Every held-out photograph gets partners: photographs of its own lesion map, or, where its lesions are not known, of a
map sampled for its grade. So generated and real photographs have the same mix of grades, discs and lesions, and no
training map is used.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import retinagan
from retinagan.data.dataset import PreparedDataset
from retinagan.maps.anatomy import find_anatomy
from retinagan.pipeline import RetinaGAN
from retinagan.writing import write_atomically

_CODE = (
    "eye", "maps/anatomy.py", "maps/labels.py", "maps/parts.py", "models/layers.py", "models/spade.py", "pipeline.py",
)  # fmt: skip
"""What a photograph depends on beside the weights: a change here makes stored ones void."""


@functools.cache
def code_hash(*names: str) -> str:
    """Hash of the code in files and folders of the package."""
    root = Path(retinagan.__file__).parent
    files = [
        f for name in names for f in (sorted((root / name).rglob("*.py")) if (root / name).is_dir() else [root / name])
    ]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()


class Store:
    """Arrays kept in a folder between runs, so that a stopped evaluation goes on: PNG for ``uint8``, else NPY.

    Args:
        folder: made when something is first kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """What is kept under ``key``; if nothing is, or it is damaged, ``make()`` is kept and returned.

        The key names all that the array depends on.
        """
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        for path in (self.folder / f"{name}.png", self.folder / f"{name}.npy"):
            try:
                if path.suffix == ".png":
                    with Image.open(path, formats=["PNG"]) as picture:
                        return np.asarray(picture)
                return np.load(path, allow_pickle=False)
            except (OSError, ValueError, SyntaxError):  # missing, or cut short when a run was stopped
                continue
        made = make()
        self.folder.mkdir(parents=True, exist_ok=True)
        if made.dtype == np.uint8:
            png = Image.fromarray(made)
            write_atomically(self.folder / f"{name}.png", lambda file: png.save(file, format="PNG", compress_level=1))
        else:
            array = io.BytesIO()
            np.save(array, made)
            write_atomically(self.folder / f"{name}.npy", array.getvalue())
        return made


@dataclass(frozen=True)
class Wanted:
    """A photograph to be generated.

    Attributes:
        eye: place of the held-out photograph whose partner it is.
        style: style seed.
        label_map: ``uint8 (S, S)``.
        own_map: whether it is the eye's own map; else one sampled for its grade.
    """

    eye: int
    style: int
    label_map: np.ndarray
    own_map: bool


def wanted_photographs(model: RetinaGAN, heldout: PreparedDataset, count: int) -> list[Wanted]:
    """``count`` photographs with style seeds 0 … count-1, dealt out in turn to the held-out eyes.

    Eyes come in an order drawn once (seed 0), so that a small count holds a fair mix. The map of an eye whose lesions
    are not known is sampled with its grade and the style's seed; an eye with neither map nor grade gets none.
    """
    order = [
        int(i)
        for i in np.random.default_rng(0).permutation(len(heldout))
        if heldout.labels[i] or heldout.grades[i] >= 0
    ]
    if not order:
        raise ValueError("no held-out photograph has a map or a grade; prepare data with one of them")
    wanted = []
    for style in range(count):
        eye = order[style % len(order)]
        own = bool(heldout.labels[eye])
        label_map = heldout.maps[eye] if own else model.sample_maps(int(heldout.grades[eye]), [style])[0]
        wanted.append(Wanted(eye, style, label_map, own))
    return wanted


def render(model: RetinaGAN, store: Store, label_map: np.ndarray, style: int) -> np.ndarray:
    """Photograph ``uint8 (S, S, 3)`` of a map in a style, kept in ``store``."""
    weights = model.hashes.get("photos")
    digest = hashlib.sha256(label_map.tobytes()).hexdigest()
    key = f"photo {weights} {code_hash(*_CODE)} {model.device.type} {digest} {label_map.shape} {style}"
    return store.get(key, lambda: model.render(label_map[None], [style])[0])


def annotated(data: PreparedDataset) -> list[int]:
    """Places of the eyes whose lesions somebody annotated."""
    return [i for i, label in enumerate(data.labels) if label == "masks"]


def disc_left(data: PreparedDataset) -> np.ndarray:
    """Whether each eye's disc lies on the left, ``bool (N,)``: by its map, else by its fovea, else taken for left."""
    left = np.ones(len(data), dtype=bool)
    for index in range(len(data)):
        if data.labels[index]:
            left[index] = find_anatomy(data.maps[index]).side == "left"
        elif np.isfinite(data.fovea[index, 0]):
            left[index] = data.fovea[index, 0] >= data.photos.shape[1] / 2
    return left
