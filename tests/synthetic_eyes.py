"""Drawn eyes and data sets of them in the official folder layouts, small enough for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from retinagan.maps.labels import EX, HE, MA, OD, SE, colours_from_map

WIDTH, HEIGHT = 193, 128
CENTRE, RADIUS = (89.0, 63.0), 77.0
"""The drawn field: wider than the photograph is high, as in IDRiD."""

DISC = (40.0, 60.0, 12.0)
FOVEA = (100.0, 66.0)


def draw_photo(
    width: int = WIDTH,
    height: int = HEIGHT,
    centre: tuple[float, float] = CENTRE,
    radius: float = RADIUS,
    seed: int = 0,
) -> np.ndarray:
    """A red disc on black with a bright optic disc, one dark vessel and sensor noise: ``uint8 (H, W, 3)``."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] + 0.5
    photo = np.zeros((height, width, 3)) + (160, 80, 40)
    photo *= 1 - 0.3 * (np.hypot(x - centre[0], y - centre[1]) / radius)[..., None] ** 2
    photo[np.hypot(x - DISC[0], y - DISC[1]) <= DISC[2]] = (230, 190, 120)
    photo[vessel(width, height)] *= (0.8, 0.5, 0.6)
    photo[np.hypot(x - centre[0], y - centre[1]) > radius] = 2
    return np.clip(photo + rng.normal(0, 1.5, photo.shape), 0, 255).astype(np.uint8)


def vessel(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Where :func:`draw_photo` draws its vessel, ``bool (H, W)``: three pixels thick, gently curved."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.abs(y - (0.22 * height + 8 * np.sin(x / 25))) < 1.5


def disc_mask() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return np.hypot(x - DISC[0], y - DISC[1]) <= DISC[2]


def box(left: int, top: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


LESIONS = {HE: box(100, 80, 10, 8), EX: box(120, 40, 6, 6), MA: box(104, 83, 2, 2), SE: box(60, 90, 8, 8)}
"""A haemorrhage with a microaneurysm on it, an exudate and a cotton-wool spot."""


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def write_idrid(root: Path, grades: tuple[int, ...] = (0, 2, 3)) -> Path:
    """IDRiD's layout: two segmentation photos (the first is grading photo 2), ``len(grades)`` grading photos."""
    truths = root / "A. Segmentation" / "2. All Segmentation Groundtruths" / "a. Training Set"
    names = {MA: ("1. Microaneurysms", "MA"), HE: ("2. Haemorrhages", "HE"), EX: ("3. Hard Exudates", "EX"),
             SE: ("4. Soft Exudates", "SE"), OD: ("5. Optic Disc", "OD")}  # fmt: skip
    for number in (1, 2):
        photo = Image.fromarray(draw_photo(seed=number))
        _save(photo, root / "A. Segmentation" / "1. Original Images" / "a. Training Set" / f"IDRiD_{number:02}.jpg")
        for index, mask in {**LESIONS, OD: disc_mask()}.items():
            if index == SE and number == 2:
                continue  # absent: no file
            picture = Image.fromarray(mask.astype(np.uint8), mode="P")
            picture.putpalette([0, 0, 0, 255, 0, 0])
            folder, short = names[index]
            _save(picture, truths / folder / f"IDRiD_{number:02}_{short}.tif")
    points = "Image No,X- Coordinate,Y - Coordinate,,"
    rows = {"grade": ["Image name,Retinopathy grade,Risk of macular edema "], "disc": [points], "fovea": [points]}
    for number, grade in enumerate(grades, start=1):
        name = f"IDRiD_{number:03}"
        photo = Image.fromarray(draw_photo(seed=10 + number))
        _save(photo, root / "B. Disease Grading" / "1. Original Images" / "a. Training Set" / f"{name}.jpg")
        rows["grade"].append(f"{name},{grade},0")
        rows["disc"].append(f"{name},{DISC[0]},{DISC[1]},,")
        rows["fovea"].append(f"{name},{FOVEA[0]},{FOVEA[1]},,")
    centres = root / "C. Localization" / "2. Groundtruths"
    tables = {
        "grade": root / "B. Disease Grading" / "2. Groundtruths" / "a. IDRiD_Disease Grading_Training Labels.csv",
        "disc": centres / "1. Optic Disc Center Location" / "a. IDRiD_OD_Center_Training Set_Markups.csv",
        "fovea": centres / "2. Fovea Center Location" / "IDRiD_Fovea_Center_Training Set_Markups.csv",
    }
    for key, path in tables.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*rows[key], ",,,,", ",,,,"]) + "\n")  # the official tables end so
    matches = "Image name,Retinopathy grade,Grading image\nIDRiD_01,2,IDRiD_002\nIDRiD_02,,\n"
    (root / "segmentation_grades.csv").write_text(matches)
    return root


def write_fgadr(root: Path) -> Path:
    """FGADR's Seg-set: two square photos whose field is a whole circle; masks are grey pictures with soft edges."""
    folders = {MA: "Microaneurysms_Masks", HE: "Hemohedge_Masks", EX: "HardExudate_Masks", SE: "SoftExudate_Masks"}
    for name in ("0001_1", "0002_1"):
        photo = draw_photo(140, 140, (70, 70), 64, seed=int(name[3]))
        _save(Image.fromarray(photo), root / "Original_Images" / f"{name}.png")
        for index, folder in folders.items():
            mask = np.zeros((140, 140), dtype=np.uint8)
            if index == HE:
                mask[80:90, 60:70] = 255
                mask[80:90, 70:75] = 127  # below the threshold of 128
            _save(Image.fromarray(mask), root / folder / f"{name}.png")
    (root / "DR_Seg_Grading_Label.csv").write_text("0001_1.png,2\n0002_1.png,3\n")
    return root


def write_folder(root: Path, label_map: np.ndarray, index_png: bool = False) -> Path:
    """A plain folder with one square eye ``a`` of the map's size."""
    size = label_map.shape[0]
    photo = draw_photo(size, size, (size / 2, size / 2), size / 2 - 0.5)
    _save(Image.fromarray(photo), root / "images" / "a.png")
    _save(Image.fromarray(label_map if index_png else colours_from_map(label_map)), root / "maps" / "a.png")
    (root / "grades.csv").write_text("id,grade\na,1\n")
    return root
