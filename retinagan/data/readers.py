"""Readers of the data sets: each lists eyes (where photograph, masks, grade and centres are) and opens no picture.

Nothing is decided here about missing or damaged pictures: ``prepare`` opens them, names what fails and goes on.
What a table says wrongly is carried along as :attr:`SourceEye.problem`, for the same reason.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from retinagan.maps.labels import EX, HE, MA, OD, SE
from retinagan.seeds import NUM_GRADES

PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True)
class SourceEye:
    """One photograph of a data set and what is known about it.

    Attributes:
        source_id: unique within its data set; becomes the file name of the prepared pair.
        photo_path: the photograph.
        mask_paths: class index → mask file. A class left out is absent from the eye.
        map_path: a finished lesion map (colours or indices) instead of masks.
        grade: 0-4, or None if unknown.
        disc_xy, fovea_xy: centres in pixels of the photograph file as it is.
        eye: the same for all photographs of one eye, so that none of them lands in another split. Default:
            ``source_id``.
        source: the data set's name.
        has_masks: lesions were annotated (an empty ``mask_paths`` then means a healthy retina).
        problem: why this eye cannot be used, if the tables already say so.
    """

    source_id: str
    photo_path: Path
    mask_paths: dict[int, Path] = field(default_factory=dict)
    map_path: Path | None = None
    grade: int | None = None
    disc_xy: tuple[float, float] | None = None
    fovea_xy: tuple[float, float] | None = None
    eye: str = ""
    source: str = "folder"
    has_masks: bool = False
    problem: str | None = None

    def __post_init__(self) -> None:
        if not self.eye:
            object.__setattr__(self, "eye", f"{self.source}:{self.source_id}")

    @property
    def has_map(self) -> bool:
        """Whether a lesion map follows from what is known: masks, a map, or grade 0 with its disc's centre."""
        return self.has_masks or self.map_path is not None or (self.grade == 0 and self.disc_xy is not None)


def _table(path: Path) -> list[list[str]]:
    """Rows of a CSV file without empty ones, cells stripped. Raises ``ValueError`` if it is not text."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV table: {error}") from error
    return [row for row in rows if row and row[0]]


def _grade(text: str, where: str) -> tuple[int | None, str | None]:
    """Text of a grade → (grade, problem); empty → (None, None)."""
    if not text:
        return None, None
    try:
        grade = int(float(text))
        if 0 <= grade < NUM_GRADES and grade == float(text):
            return grade, None
    except (ValueError, OverflowError):
        pass
    return None, f"grade {text!r} in {where}; allowed are 0-{NUM_GRADES - 1}"


def _photos(folder: Path) -> dict[str, Path]:
    """Stem → path of the pictures in a folder, sorted by name; empty if there is no such folder."""
    if not folder.is_dir():
        return {}
    return {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in PHOTO_SUFFIXES}


def _require_folder(root: Path | str) -> Path:
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"data folder {root} does not exist")
    return root


def detect_layout(root: Path | str) -> str:
    """Which reader a folder is for: ``idrid``, ``fgadr`` or ``folder``, by the names in it.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it looks like none of them.
    """
    root = _require_folder(root)
    marks = {"A. Segmentation": "idrid", "B. Disease Grading": "idrid", "Original_Images": "fgadr", "images": "folder"}
    for name, layout in marks.items():
        if (root / name).is_dir():
            return layout
    raise ValueError(f"{root} is no known data set; expected a folder in it that is called {', '.join(marks)}")


# --- IDRiD ----------------------------------------------------------------------------------------------------------

_IDRID_MASKS = {
    MA: ("1. Microaneurysms", "MA"),
    HE: ("2. Haemorrhages", "HE"),
    EX: ("3. Hard Exudates", "EX"),
    SE: ("4. Soft Exudates", "SE"),
    OD: ("5. Optic Disc", "OD"),
}


def _idrid_part(root: Path, name: str) -> Path:
    """One of the release's three archives; each unpacks either in place or into a folder of its own name."""
    nested = root / name / name
    return nested if nested.is_dir() else root / name


def _idrid_points(folder: Path) -> dict[str, tuple[float, float]]:
    """Image name → (x, y) of one localisation table of the training split, wherever it lies below ``folder``."""
    points = {}
    for path in sorted(folder.glob("*Training*.csv")):
        for name, *cells in _table(path)[1:]:
            try:
                points[name] = (float(cells[0]), float(cells[1]))
            except (ValueError, IndexError):
                continue  # the official tables end with rows that are all separators
    return points


def _idrid_matches(root: Path) -> dict[str, tuple[str, str]]:
    """``segmentation_grades.csv``: segmentation photo → (grade, grading photo); both may be empty."""
    path = root / "segmentation_grades.csv"
    if not path.is_file():
        return {}
    return {row[0]: (row[1] if len(row) > 1 else "", row[2] if len(row) > 2 else "") for row in _table(path)[1:]}


def read_idrid(root: Path | str, include_unlabelled: bool = False) -> Iterator[SourceEye]:
    """Training split of IDRiD (Porwal et al., Data 3(3):25, 2018) in its official folder layout, at any size.

    The segmentation photos become ``seg-01`` …, the grading photos ``grade-001`` …. Masks are palette TIFFs in which an
    index above 0 is the lesion; a missing mask file means that the lesion is absent. If ``segmentation_grades.csv``
    lies in the root (columns image, grade, grading image), a segmentation photo takes its grade and centres from the
    matching grading photo, and both count as one eye. (Without that file the two are not known to be one eye. The
    official release has no pairs for which that matters: its segmentation photos are all of grades 1-4, for which
    grading photos have no map.)

    Args:
        root: folder that holds ``A. Segmentation``, ``B. Disease Grading`` and ``C. Localization``; any may be missing.
        include_unlabelled: yield also the grading photos of grades 1-4, which have no masks and so no map.

    Yields:
        Segmentation photos first, then grading photos of grade 0, then the others.

    Raises:
        FileNotFoundError: the root does not exist, or holds neither segmentation nor grading photos.
        ValueError: a table is not CSV.
    """
    root = _require_folder(root)
    segmentation, grading = _idrid_part(root, "A. Segmentation"), _idrid_part(root, "B. Disease Grading")
    centres = _idrid_part(root, "C. Localization") / "2. Groundtruths"
    discs = _idrid_points(centres / "1. Optic Disc Center Location")
    foveas = _idrid_points(centres / "2. Fovea Center Location")
    photo_folder = Path("1. Original Images") / "a. Training Set"
    graded = _photos(grading / photo_folder)
    labels: dict[str, str] = {}
    for path in sorted((grading / "2. Groundtruths").glob("*Training*.csv")):
        labels.update({row[0]: row[1] if len(row) > 1 else "" for row in _table(path)[1:]})
    segmented = _photos(segmentation / photo_folder)
    if not segmented and not graded:
        raise FileNotFoundError(
            f"{root} holds no IDRiD photographs; expected 'A. Segmentation/{photo_folder}' "
            f"or 'B. Disease Grading/{photo_folder}'"
        )
    matches = _idrid_matches(root)
    yield from _idrid_segmentation(segmentation, photo_folder, segmented, matches, discs, foveas)

    same_eye = {photo: f"idrid:seg-{name.removeprefix('IDRiD_')}" for name, (_, photo) in matches.items() if photo}
    later = []
    for name in sorted(set(graded) | set(labels)):
        grade, problem = _grade(labels.get(name, ""), "the grading table")
        if name not in labels:
            problem = "no row in the grading table"
        eye = SourceEye(
            source_id=f"grade-{name.removeprefix('IDRiD_')}",
            photo_path=graded.get(name, grading / photo_folder / f"{name}.jpg"),
            grade=grade,
            disc_xy=discs.get(name),
            fovea_xy=foveas.get(name),
            eye=same_eye.get(name, ""),
            source="idrid",
            problem=problem,
        )
        if eye.has_map or problem:
            yield eye
        elif include_unlabelled:
            later.append(eye)
    yield from later


def _idrid_segmentation(part, photo_folder, photos, matches, discs, foveas) -> Iterator[SourceEye]:
    truths = part / "2. All Segmentation Groundtruths" / "a. Training Set"
    masks = {index: _photos(truths / folder) for index, (folder, _) in _IDRID_MASKS.items()}
    masked = {stem.rsplit("_", 1)[0] for found in masks.values() for stem in found}
    for name in sorted(set(photos) | masked):
        text, grading_photo = matches.get(name, ("", ""))
        grade, problem = _grade(text, "segmentation_grades.csv")
        own = {
            i: masks[i][f"{name}_{short}"] for i, (_, short) in _IDRID_MASKS.items() if f"{name}_{short}" in masks[i]
        }
        yield SourceEye(
            source_id=f"seg-{name.removeprefix('IDRiD_')}",
            photo_path=photos.get(name, part / photo_folder / f"{name}.jpg"),
            mask_paths=own,
            grade=grade,
            disc_xy=discs.get(grading_photo),
            fovea_xy=foveas.get(grading_photo),
            source="idrid",
            has_masks=True,
            problem=problem or (None if own else "none of its mask files is there"),
        )


# --- FGADR ----------------------------------------------------------------------------------------------------------

_FGADR_MASKS = {
    MA: "Microaneurysms_Masks",
    HE: "Hemohedge_Masks",  # the data set's own spelling
    EX: "HardExudate_Masks",
    SE: "SoftExudate_Masks",
    OD: "OpticDisc_Masks",  # not part of the release; read when somebody has added it
}


def read_fgadr(root: Path | str) -> Iterator[SourceEye]:
    """Seg-set of FGADR (Zhou et al., IEEE TMI 40(3), 2021): pixel masks of four lesions and a grade for each photo.

    Masks are grey pictures, lesion where the value is 128 or more; a missing mask file means that the lesion is absent.
    **FGADR has no mask of the optic disc**, so its maps have no disc unless a folder ``OpticDisc_Masks`` of the same
    kind is added (from a disc segmenter, say). Its IRMA and neovascularisation masks have no channel here and are not
    read.

    Args:
        root: folder that holds ``Original_Images``, the mask folders and ``DR_Seg_Grading_Label.csv`` (no header: name,
            grade).

    Raises:
        FileNotFoundError: the root or its photographs do not exist.
        ValueError: the table is not CSV.
    """
    root = _require_folder(root)
    photos = _photos(root / "Original_Images")
    if not photos:
        raise FileNotFoundError(f"{root} holds no FGADR photographs; expected pictures in {root / 'Original_Images'}")
    table = root / "DR_Seg_Grading_Label.csv"
    rows = _table(table) if table.is_file() else []
    labels = {Path(row[0]).stem: row[1] if len(row) > 1 else "" for row in rows}
    masks = {index: _photos(root / folder) for index, folder in _FGADR_MASKS.items()}
    for name in sorted(set(photos) | set(labels)):
        grade, problem = _grade(labels.get(name, ""), table.name)
        yield SourceEye(
            source_id=f"fgadr-{name}",
            photo_path=photos.get(name, root / "Original_Images" / f"{name}.png"),
            mask_paths={index: found[name] for index, found in masks.items() if name in found},
            grade=grade,
            eye=f"fgadr:{name.split('_')[0]}",  # 0012_1 and 0012_2 are taken for one eye
            source="fgadr",
            has_masks=True,
            problem=problem,
        )


# --- plain folder ---------------------------------------------------------------------------------------------------


def read_folder(root: Path | str) -> Iterator[SourceEye]:
    """A plain folder of photographs and maps; what ``prepare`` writes is one, too.

    ``images/ID.(png|jpg|tif)``, ``maps/ID.png`` (palette colours, or class indices 0-6), ``grades.csv`` with a header
    and the columns ``id, grade`` and optionally ``eye`` (photographs of one eye share it). Maps and grades may be
    missing.

    Raises:
        FileNotFoundError: the root or its ``images`` do not exist or are empty.
        ValueError: the table is not CSV.
    """
    root = _require_folder(root)
    photos = _photos(root / "images")
    if not photos:
        raise FileNotFoundError(f"{root / 'images'} holds no photographs (allowed: {', '.join(PHOTO_SUFFIXES)})")
    maps = {stem: path for stem, path in _photos(root / "maps").items() if path.suffix.lower() == ".png"}
    table = root / "grades.csv"
    rows = _table(table) if table.is_file() else [["id", "grade"]]
    header = [cell.lower() for cell in rows[0]] if rows else []
    if header[:2] != ["id", "grade"]:
        raise ValueError(f"{table} starts with {','.join(header)!r}; its header must be 'id,grade' or 'id,grade,eye'")
    labels = {row[0]: dict(zip(header, row, strict=False)) for row in rows[1:]}
    for name in sorted(set(photos) | set(maps) | set(labels)):
        row = labels.get(name, {})
        grade, problem = _grade(row.get("grade", ""), table.name)
        yield SourceEye(
            source_id=name,
            photo_path=photos.get(name, root / "images" / f"{name}.png"),
            map_path=maps.get(name),
            grade=grade,
            eye=row.get("eye", ""),
            has_masks=name in maps,
            problem=problem,
        )
