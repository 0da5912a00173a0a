"""Six maps to start from, drawn by this project's own lesion editor: ``python -m retinagan.app.examples`` writes them.

They show what each stage looks like in a map, and hold nothing of anybody's photographs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retinagan.files.maps import encode_map_png, read_map_png
from retinagan.files.provenance import Provenance, map_digest
from retinagan.maps.labels import EX, HE, MA, SE, empty_map
from retinagan.maps.lesions import add_lesions, move_disc
from retinagan.maps.parts import field_of_view
from retinagan.resources import ASSETS
from retinagan.writing import write_atomically

FOLDER = ASSETS / "examples"
SIZE = 512
_DISC, _FOVEA = (0.2, 0.47), (0.66, 0.53)


class Example(NamedTuple):
    """A bundled map: its name for people, what it shows, and how it is drawn."""

    title: str
    shows: str
    draw: Callable[[], np.ndarray]


def healthy() -> np.ndarray:
    return _eye()


def mild() -> np.ndarray:
    return add_lesions(_eye(), MA, 9, 3)


def moderate() -> np.ndarray:
    label_map = add_lesions(_eye(), HE, 14, 4)
    label_map = add_lesions(label_map, EX, 30, 5, _near(_FOVEA, 0.2) & ~_near(_FOVEA, 0.045))
    return add_lesions(label_map, MA, 32, 6)


def circinate() -> np.ndarray:
    """A ring of hard exudates around leaking microaneurysms beside the fovea, and a broken second ring below."""
    label_map = add_lesions(_eye(), EX, 85, 7, _ring(_FOVEA, 0.105, 0.135))
    centre = (_FOVEA[0] - 0.16, _FOVEA[1] + 0.22)
    label_map = add_lesions(label_map, EX, 26, 8, _ring(centre, 0.05, 0.068))
    label_map = add_lesions(label_map, MA, 7, 9, _near(_FOVEA, 0.08))
    label_map = add_lesions(label_map, MA, 4, 10, _near(centre, 0.03))
    return add_lesions(label_map, MA, 10, 11)


def severe() -> np.ndarray:
    """More than twenty haemorrhages in each quadrant around the fovea."""
    label_map = _eye()
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    for number, (above, left) in enumerate([(True, True), (True, False), (False, True), (False, False)]):
        quadrant = ((rows < _FOVEA[1]) == above) & ((columns < _FOVEA[0]) == left)
        inside = quadrant & _near((0.5, 0.5), 0.46) & ~_near(_FOVEA, 0.05)
        label_map = add_lesions(label_map, HE, 24, 20 + number, inside)
    label_map = add_lesions(label_map, MA, 45, 24)
    label_map = add_lesions(label_map, SE, 2, 25, _ring(_DISC, 0.16, 0.3))
    return add_lesions(label_map, EX, 25, 26, _near(_FOVEA, 0.22) & ~_near(_FOVEA, 0.05))


def cotton_wool() -> np.ndarray:
    """Cotton-wool spots along the arcades, where nerve fibres are thickest."""
    label_map = add_lesions(_eye(), SE, 7, 30, _ring(_DISC, 0.17, 0.34))
    label_map = add_lesions(label_map, HE, 8, 31)
    return add_lesions(label_map, MA, 18, 32)


EXAMPLES = {
    "healthy": Example("Healthy", "No lesion: retina and optic disc alone.", healthy),
    "mild": Example("Mild: microaneurysms only", "Nine microaneurysms and nothing else.", mild),
    "moderate": Example("Moderate", "Microaneurysms, haemorrhages, and exudates near the fovea.", moderate),
    "circinate": Example("Circinate exudates around the fovea", "Rings of hard exudates around leaks.", circinate),
    "severe": Example(
        "Severe: haemorrhages in four quadrants", "More than twenty haemorrhages in each quadrant.", severe
    ),
    "cotton-wool": Example("Cotton-wool spots", "Soft exudates along the vascular arcades.", cotton_wool),
}


def read(name: str, size: int | None = SIZE) -> np.ndarray:
    """The bundled map ``name`` as ``uint8 (size, size)``."""
    return read_map_png(FOLDER / f"{name}.png", size)


def write(folder: Path = FOLDER) -> None:
    """Draw all six into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, example in EXAMPLES.items():
        label_map = example.draw()
        info = Provenance(kind="map", source="template", map_sha256=map_digest(label_map)).chunks()
        write_atomically(folder / f"{name}.png", encode_map_png(label_map, info))


def _eye() -> np.ndarray:
    return move_disc(empty_map(SIZE, None), _DISC[0] * SIZE, _DISC[1] * SIZE)


def _near(centre: tuple[float, float], radius: float) -> np.ndarray:
    return _ring(centre, 0.0, radius)


def _ring(centre: tuple[float, float], inner: float, outer: float) -> np.ndarray:
    rows, columns = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    distance = np.hypot(columns - centre[0], rows - centre[1])
    return (distance >= inner) & (distance <= outer) & field_of_view(SIZE)


if __name__ == "__main__":
    write()
