"""Preparation: photographs and masks of any data set → square full-circle pairs in one plain folder.

The folder holds ``images/ID.png`` (RGB, black outside the circle), ``maps/ID.png`` (class indices with the palette),
``vessels/ID.png`` (``vesselness`` × 255), ``grades.csv`` and ``manifest.csv``;
:func:`retinagan.data.readers.read_folder` reads it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from retinagan.data.readers import SourceEye
from retinagan.eye.ridges import vesselness
from retinagan.maps.field import Square, cut_map, cut_mask, cut_photo, field_square, find_field, paint_map
from retinagan.maps.labels import NUM_CLASSES, OD, PALETTE, map_from_colours
from retinagan.maps.parts import DISC_RADIUS
from retinagan.writing import write_atomically

RECIPE = 1
"""Raised whenever preparation changes what it writes: older prepared pairs are then made again."""

MIN_SIZE, MAX_SIZE = 32, 2048
_MAX_PIXELS = 60_000_000  # several times the largest fundus camera's; more is a mistake or an attack
_FGADR_THRESHOLD = 128
_SAVE_EVERY = 20  # eyes between two writings of the manifest, so that a stopped run loses little

MANIFEST_COLUMNS = (
    "id", "eye", "source", "split", "grade", "has_masks", "has_map", "label", "disc_x", "disc_y", "fovea_x", "fovea_y",
    "left", "top", "side", "size", "sha256", "key",
)  # fmt: skip
"""``id``; ``eye`` shared by photographs of one eye; ``source`` data set; ``split`` train or heldout; ``grade`` 0-4 or
empty; ``has_masks`` lesions were annotated; ``has_map`` there is a map; ``label`` where it is from: masks, disc (grade
0: retina and disc alone), pseudo (predicted, see retinagan.data.pseudo) or empty; centres in prepared pixels or empty;
the square cut from the source in its pixels; ``sha256`` of the source photograph; ``key`` of everything that the pair
was made from."""


@dataclass
class PrepareReport:
    """What a preparation did: ids made, ids kept from before, and ``(id, reason)`` of what failed."""

    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def summary(self) -> str:
        """One line of counts, then one line for each eye that failed."""
        lines = [f"{len(self.written)} prepared, {len(self.kept)} already there, {len(self.failed)} failed"]
        return "\n".join(lines + [f"failed: {name}: {reason}" for name, reason in self.failed])


def split_of(eye: str) -> str:
    """``heldout`` for about one eye in seven, else ``train``; the same for all photographs of one eye, everywhere."""
    return "heldout" if int(hashlib.sha256(eye.encode()).hexdigest(), 16) % 7 == 0 else "train"


def prepare(
    sources: Iterable[SourceEye], out: Path | str, size: int = 512, workers: int = 1, progress: bool = True
) -> PrepareReport:
    """Write square full-circle pairs of all sources into ``out``; what fails is reported and the rest goes on.

    Eyes whose files are there, made from the same sources by the same recipe, are kept. Eyes already in the folder that
    are not among the sources stay, so that several data sets can be prepared into one folder.

    Args:
        sources: from :mod:`retinagan.data.readers`.
        size: side of the prepared pictures in pixels, 32-2048.
        workers: processes; 1 works in this one.

    Raises:
        ValueError: bad size or workers, no sources, two sources with one id, or a folder prepared at another size.
    """
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"size is {size}; allowed are {MIN_SIZE}-{MAX_SIZE}")
    if workers < 1:
        raise ValueError(f"workers is {workers}; allowed are 1 and more")
    eyes = list(sources)
    if not eyes:
        raise ValueError("no eyes to prepare: the data set lists no photograph that a map can be made of")
    out = Path(out)
    rows = read_manifest(out) if (out / "manifest.csv").is_file() else {}
    other_sizes = {row["size"] for row in rows.values()} - {str(size)}
    if other_sizes:
        raise ValueError(
            f"{out} was prepared at size {', '.join(sorted(other_sizes))}, not {size}; choose another folder"
        )
    _check_ids(eyes)
    for name in ("images", "maps", "vessels"):
        (out / name).mkdir(parents=True, exist_ok=True)

    report = PrepareReport()
    jobs = [(eye, str(out), size, rows.get(eye.source_id, {})) for eye in eyes]
    done = tqdm(_run(jobs, workers), total=len(jobs), unit="eye", disable=not progress, desc="prepare")
    try:
        for number, (name, row, made, reason) in enumerate(done, start=1):
            if reason is not None:
                report.failed.append((name, reason))
                rows.pop(name, None)
            else:
                (report.written if made else report.kept).append(name)
                rows[name] = row
            if number % _SAVE_EVERY == 0:
                write_tables(out, rows)
    finally:
        write_tables(out, rows)
    for names in (report.written, report.kept, report.failed):
        names.sort()
    return report


def read_manifest(folder: Path | str) -> dict[str, dict[str, str]]:
    """``manifest.csv`` of a prepared folder: id → row, sorted by id.

    Raises:
        FileNotFoundError: there is none.
        ValueError: columns are missing.
    """
    path = Path(folder) / "manifest.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; make it with: python -m retinagan prepare")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(MANIFEST_COLUMNS) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path} lacks the columns {sorted(missing)}; prepare the folder again")
        return {row["id"]: row for row in sorted(reader, key=lambda row: row["id"])}


def _check_ids(eyes: list[SourceEye]) -> None:
    seen: set[str] = set()
    for eye in eyes:
        if eye.source_id in seen:
            raise ValueError(f"two eyes have the id {eye.source_id!r}; ids become file names and must differ")
        if not eye.source_id or eye.source_id.startswith(".") or set(eye.source_id) & set("/\\\0"):
            raise ValueError(f"{eye.source_id!r} cannot be a file name")
        seen.add(eye.source_id)


def _run(jobs: list, workers: int) -> Iterator[tuple[str, dict[str, str], bool, str | None]]:
    if workers == 1:
        yield from map(_prepare_one, jobs)
        return
    # "spawn": a forked child of a process whose torch threads run can hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            for future in as_completed([pool.submit(_prepare_one, job) for job in jobs]):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _prepare_one(job: tuple[SourceEye, str, int, dict[str, str]]) -> tuple[str, dict[str, str], bool, str | None]:
    """One eye → (id, manifest row, whether it was made now, None), or (id, {}, False, reason) if it failed."""
    eye, out, size, known = job
    try:
        if eye.problem:
            raise ValueError(eye.problem)
        digest, key = _digest(eye, size)
        paths = {name: Path(out) / name / f"{eye.source_id}.png" for name in ("images", "maps", "vessels")}
        needed = [paths["images"], paths["vessels"]] + ([paths["maps"]] if eye.has_map else [])
        if known.get("key") == key and all(path.is_file() for path in needed):
            return eye.source_id, known, False, None
        return eye.source_id, _prepare_eye(eye, paths, size, digest, key), True, None
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and error.filename:
            return eye.source_id, {}, False, f"{error.filename} does not exist"
        return eye.source_id, {}, False, f"{error}"


def _prepare_eye(eye: SourceEye, paths: dict[str, Path], size: int, digest: str, key: str) -> dict[str, str]:
    """Write the pair's files; returns its manifest row."""
    photo = np.asarray(open_picture(eye.photo_path).convert("RGB"))
    height, width = photo.shape[:2]
    square = field_square(find_field(photo), width, height)
    label_map, disc = _make_map(eye, square, (width, height), size)
    prepared = cut_photo(photo, square, size)
    if label_map is None:
        paths["maps"].unlink(missing_ok=True)
    save_map_and_vessels(prepared, label_map, paths["maps"], paths["vessels"])
    _save(Image.fromarray(prepared), paths["images"])
    fovea = eye.fovea_xy and square.to_prepared(eye.fovea_xy, size)
    values = {
        "id": eye.source_id, "eye": eye.eye, "source": eye.source, "split": split_of(eye.eye),
        "grade": "" if eye.grade is None else eye.grade, "has_masks": int(eye.has_masks), "has_map": int(eye.has_map),
        "label": "masks" if eye.has_masks else "disc" if eye.has_map else "",
        "disc_x": _text(disc and disc[0]), "disc_y": _text(disc and disc[1]),
        "fovea_x": _text(fovea and fovea[0]), "fovea_y": _text(fovea and fovea[1]),
        "left": _text(square.left), "top": _text(square.top), "side": _text(square.side),
        "size": size, "sha256": digest, "key": key,
    }  # fmt: skip
    return {name: str(values[name]) for name in MANIFEST_COLUMNS}


def _digest(eye: SourceEye, size: int) -> tuple[str, str]:
    """SHA-256 of the photograph, and of everything that the prepared pair depends on."""
    digest = hashlib.sha256(eye.photo_path.read_bytes()).hexdigest()
    files = {str(index): path for index, path in eye.mask_paths.items()}
    if eye.map_path is not None:
        files["map"] = eye.map_path
    facts = {
        "recipe": RECIPE, "size": size, "photo": digest, "grade": eye.grade, "disc": eye.disc_xy, "fovea": eye.fovea_xy,
        "eye": eye.eye, "source": eye.source, "has_masks": eye.has_masks,
        "files": {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(files.items())},
    }  # fmt: skip
    return digest, hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _make_map(eye: SourceEye, square: Square, photo_size: tuple[int, int], size: int):
    """Lesion map ``uint8 (size, size)`` or None, and the disc's centre (x, y) in prepared pixels or None."""
    disc = eye.disc_xy and square.to_prepared(eye.disc_xy, size)
    if not eye.has_map:
        return None, disc
    if eye.map_path is not None:
        label_map = _open_map(eye.map_path, photo_size)
        label_map = cut_map(label_map, square, size)
    else:
        masks = {
            index: cut_mask(_open_mask(path, photo_size), square, size, keep_components=index != OD)
            for index, path in eye.mask_paths.items()
        }
        label_map = paint_map(masks, size, disc and (*disc, DISC_RADIUS * size))
    rows, columns = np.nonzero(label_map == OD)
    if len(rows):
        disc = (float(columns.mean()) + 0.5, float(rows.mean()) + 0.5)
    return label_map, disc


def open_picture(path: Path | str, formats: tuple[str, ...] = ("PNG", "JPEG", "TIFF", "BMP")) -> Image.Image:
    """Open and fully decode a picture. Raises ``OSError`` or ``ValueError`` that names the file if that fails."""
    try:
        picture = Image.open(path, formats=formats)
        if picture.width * picture.height > _MAX_PIXELS:
            raise ValueError(f"{picture.width} × {picture.height} pixels; at most {_MAX_PIXELS} are read")
        picture.load()
        return picture
    except FileNotFoundError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is no readable picture: {error}") from error


def _open_mask(path: Path, photo_size: tuple[int, int]) -> np.ndarray:
    """Mask file → ``bool (H, W)``: palette index above 0, or grey value of 128 and more."""
    picture = open_picture(path)
    _check_size(path, picture, photo_size)
    if picture.mode == "P":
        return np.asarray(picture) > 0
    if picture.mode == "1":
        return np.asarray(picture)
    return np.asarray(picture.convert("RGB")).max(axis=2) >= _FGADR_THRESHOLD


def _open_map(path: Path, photo_size: tuple[int, int]) -> np.ndarray:
    """Map file → ``uint8 (H, W)``: palette colours, or class indices in a grey picture."""
    picture = open_picture(path, formats=("PNG",))
    _check_size(path, picture, photo_size)
    if picture.mode == "L":
        label_map = np.asarray(picture)
        if label_map.max() >= NUM_CLASSES:
            raise ValueError(f"{path}: a grey map holds class indices 0-6, found {label_map.max()}")
        return label_map
    try:
        return map_from_colours(np.asarray(picture.convert("RGB")))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _check_size(path: Path, picture: Image.Image, photo_size: tuple[int, int]) -> None:
    if picture.size != photo_size:
        raise ValueError(
            f"{path} is {picture.size[0]} × {picture.size[1]}, its photograph {photo_size[0]} × {photo_size[1]}"
        )


def _text(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.2f}"


def save_map_and_vessels(photo: np.ndarray, label_map: np.ndarray | None, map_path: Path, vessels_path: Path) -> None:
    """Write a prepared photograph's lesion map ``uint8 (S, S)``, where there is one, and the vessels beside lesions."""
    if label_map is not None:
        picture = Image.fromarray(label_map, mode="P")
        picture.putpalette(PALETTE.ravel().tolist())
        _save(picture, map_path)
    _save(Image.fromarray(np.round(vesselness(photo, label_map) * 255).astype(np.uint8)), vessels_path)


def _save(picture: Image.Image, path: Path) -> None:
    write_atomically(path, lambda file: picture.save(file, format="PNG"))


def write_tables(out: Path, rows: dict[str, dict[str, str]]) -> None:
    for name, columns in (("grades.csv", ("id", "grade", "eye")), ("manifest.csv", MANIFEST_COLUMNS)):
        table = io.StringIO()
        writer = csv.DictWriter(table, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))
        write_atomically(out / name, table.getvalue())
