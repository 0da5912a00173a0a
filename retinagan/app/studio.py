"""What the pages work with: the shared model, cached maps and photographs, and the files that they download."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import threading
import time
import zipfile
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import streamlit as st
from PIL import Image

from retinagan.eye.style import Style, as_style
from retinagan.files.companion import map_chunk
from retinagan.files.maps import encode_map_png, encode_photo_png
from retinagan.files.provenance import Provenance, map_digest
from retinagan.maps.labels import BG, CLASSES, NUM_GRADES, OD, PALETTE, VB
from retinagan.maps.progression import progression


class Models:
    """Both networks behind a lock: sessions and threads share them, and one computes at a time."""

    def __init__(self, folder: str, stamp: tuple[float, ...]) -> None:
        from retinagan.pipeline import RetinaGAN

        self.folder = folder
        self.stamp = stamp
        self.pipeline = RetinaGAN.from_pretrained(folder)
        self.lock = threading.Lock()
        self.seconds: deque[float] = deque(maxlen=15)

    @property
    def speed(self) -> str:
        """For people: where it computes, and how long a photograph took lately."""
        device = self.pipeline.device
        name = "on the CPU (no GPU was found)" if device.type == "cpu" else "on the GPU"
        pace = f", about {sorted(self.seconds)[len(self.seconds) // 2]:.1f} s a photograph" if self.seconds else ""
        return f"Runs {name}{pace}."

    @property
    def size(self) -> int:
        return self.pipeline.size

    def sample(self, grade: int, seed: int, truncation: float = 1.0) -> np.ndarray:
        """The lesion map ``uint8 (size, size)`` of a grade and seed."""
        return _sample(self.folder, self.stamp, grade, seed, truncation, self)

    def photograph(self, label_map: np.ndarray, style: int | Style) -> Photograph:
        """A photograph of a lesion map ``uint8 (size, size)`` in a style, or in that of a style seed."""
        style = as_style(style)
        pixels = _render(self.folder, self.stamp, map_digest(label_map), style_key(style), self, label_map, style)
        return Photograph(pixels, style)

    def between(self, end_a: tuple[int, int], end_b: tuple[int, int], position: float) -> np.ndarray:
        """The lesion map between two (grade, seed), at ``position`` 0..1."""
        return _map_between(self.folder, self.stamp, end_a, end_b, position, self)

    def progression(self, seed: int, truncation: float = 1.0) -> np.ndarray:
        """One eye at grades 0-4, ``uint8 (5, size, size)``: ``retinagan.maps.progression`` of the sampled maps."""
        return progression([self.sample(grade, seed, truncation) for grade in range(NUM_GRADES)], seed)


def style_key(style: Style) -> str:
    """The same for styles that render the same photographs."""
    parts = (style.seed, style.light, style.texture, style.fovea, style.disc)
    vessels = b"" if style.vessels is None else np.ascontiguousarray(style.vessels).tobytes()
    return hashlib.sha256(repr(parts).encode() + vessels).hexdigest()


@st.cache_resource(max_entries=2, show_spinner="Loading the networks…")
def cached_models(folder: str, stamp: tuple[float, ...]) -> Models:
    models = Models(folder, stamp)
    # Streamlit collects garbage after each run of a page, 0.2 s with torch's modules among what it looks through. They
    # stay for good: out of its sight a run costs milliseconds.
    gc.collect()
    gc.freeze()
    return models


@st.cache_data(max_entries=256, show_spinner=False)
def _sample(
    folder: str, stamp: tuple[float, ...], grade: int, seed: int, truncation: float, _models: Models
) -> np.ndarray:
    with _models.lock:
        return _models.pipeline.sample_maps(grade, [seed], truncation)[0]


@st.cache_data(max_entries=64, show_spinner=False)
def _map_between(
    folder: str, stamp: tuple[float, ...], a: tuple[int, int], b: tuple[int, int], position: float, _models: Models
) -> np.ndarray:
    with _models.lock:
        return _models.pipeline.maps_between(*a, *b, [position])[0]


# The key is the map's SHA-256: Streamlit would hash only a sample of a large array's pixels, and miss a small lesion.
@st.cache_data(max_entries=128, show_spinner=False)
def _render(
    folder: str, stamp: tuple[float, ...], digest: str, style: str, _models: Models, _map: np.ndarray, _style: Style
) -> np.ndarray:
    with _models.lock:
        start = time.perf_counter()
        pixels = _models.pipeline.render(_map[None], [_style])[0]
        _models.seconds.append(time.perf_counter() - start)
    return pixels


@dataclass(frozen=True)
class Photograph:
    """``pixels uint8 (H, W, 3)`` and the style (or its seed) that made them."""

    pixels: np.ndarray
    style: int | Style

    @property
    def style_seed(self) -> int:
        return as_style(self.style).seed

    @property
    def suffix(self) -> str:
        """Of file names: ``y7``; a style that is more than its seed adds a part of its hash."""
        style = as_style(self.style)
        return f"y{style.seed}" if style.is_seed else f"y{style.seed}-{style_key(style)[:8]}"


@dataclass(frozen=True)
class Sheet:
    """A lesion map, where it came from, and its photographs: what one row of the page shows and downloads."""

    label_map: np.ndarray
    source: str
    models: Models
    grade: int | None = None
    map_seed: int | None = None
    truncation: float | None = None
    map_between: tuple[int, int, float] | None = None
    photographs: tuple[Photograph, ...] = field(default_factory=tuple)

    def with_photographs(self, styles: Sequence[int | Style]) -> Sheet:
        made = tuple(self.models.photograph(self.label_map, style) for style in styles)
        return replace(self, photographs=made)

    def name(self, kind: str) -> str:
        """The file names' common part, as the command line's: ``map-g3-s7``; drawn and uploaded maps by their hash."""
        if self.source in ("sampled", "progression"):
            kind = kind if self.source == "sampled" else f"progression-{kind}"
            end = "-to-g{}-s{}-p{:.3f}".format(*self.map_between) if self.map_between else ""
            return f"{kind}-g{self.grade}-s{self.map_seed}{end}"
        return f"{kind}-{self.source}-{map_digest(self.label_map)[:8]}"

    def photo_name(self, photograph: Photograph) -> str:
        return f"{self.name('photo')}-{photograph.suffix}.png"

    def provenance(self, style: int | Style | None = None) -> Provenance:
        """What made the map or, with a style, its photograph."""
        pipeline = self.models.pipeline
        made = Provenance(
            kind="map",
            source=self.source,
            map_sha256=map_digest(self.label_map),
            grade=self.grade,
            map_seed=self.map_seed,
            truncation=self.truncation,
            map_between=self.map_between,
            model=pipeline.name,
            checkpoints=dict(pipeline.hashes),
        )
        return made if style is None else made.with_style(style)

    def map_file(self) -> bytes:
        return encode_map_png(self.label_map, self.provenance().chunks())

    def photo_file(self, photograph: Photograph) -> bytes:
        """The photograph as a PNG that also carries its lesion map (``retinagan.files.companion``)."""
        chunks = self.provenance(photograph.style).chunks() | map_chunk(self.label_map)
        return encode_photo_png(photograph.pixels, chunks)

    def pair_file(self) -> bytes:
        """The map, its photographs and ``provenance.json`` as a ZIP; the same input gives the same bytes."""
        return zip_sheets([self])


def zip_sheets(sheets: list[Sheet]) -> bytes:
    """Maps, photographs, the classes' table and what made them as one ZIP."""
    files, records = {}, {}
    for sheet in sheets:
        name = f"{sheet.name('map')}.png"
        files[name] = sheet.map_file()
        records[name] = json.loads(sheet.provenance().to_json())
        for photograph in sheet.photographs:
            name = sheet.photo_name(photograph)
            files[name] = sheet.photo_file(photograph)
            records[name] = json.loads(sheet.provenance(photograph.style).to_json())
    table = [
        "index,short,name,red,green,blue",
        *(",".join(map(str, (c.index, c.short, c.name, *c.colour))) for c in CLASSES),
    ]
    files["classes.csv"] = ("\n".join(table) + "\n").encode()
    files["provenance.json"] = json.dumps(records, indent=2, sort_keys=True).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def as_jpeg(pixels: np.ndarray) -> bytes:
    """For the screen: a few milliseconds, where a PNG takes a tenth of a second."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def overlaid(pixels: np.ndarray, label_map: np.ndarray, opacity: float) -> np.ndarray:
    """The map's lesions in their colours over a photograph ``uint8 (H, W, 3)``; the rest stays clear."""
    lesions = ~np.isin(label_map, (BG, OD, VB))
    result = pixels.copy()
    blend = pixels[lesions] * (1 - opacity) + PALETTE[label_map[lesions]] * opacity
    result[lesions] = np.round(blend).astype(np.uint8)
    return result
