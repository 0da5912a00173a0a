"""What the pages work with: the shared model, cached maps and photographs, and the files that they download."""

from __future__ import annotations

import gc
import io
import json
import threading
import zipfile
from dataclasses import dataclass, field, replace

import numpy as np
import streamlit as st
from PIL import Image

from retinagan.labels import BG, CLASSES, OD, PALETTE, VB
from retinagan.maps_io import encode_map_png, encode_photo_png
from retinagan.provenance import Provenance, map_digest

STYLE_STEP = 1000
"""Photograph k of the map with seed s has style s + 1000 k, so neighbouring seeds share no style."""


class Models:
    """Both networks behind a lock: sessions and threads share them, and one computes at a time."""

    def __init__(self, folder: str, stamp: tuple[float, ...]) -> None:
        from retinagan.pipeline import RetinaGAN

        self.folder = folder
        self.stamp = stamp
        self.pipeline = RetinaGAN.from_pretrained(folder)
        self.lock = threading.Lock()

    @property
    def size(self) -> int:
        return self.pipeline.size

    def sample(self, grade: int, seed: int, truncation: float = 1.0) -> np.ndarray:
        """The lesion map ``uint8 (size, size)`` of a grade and seed."""
        return _sample(self.folder, self.stamp, grade, seed, truncation, self)

    def photograph(self, label_map: np.ndarray, style_seed: int) -> Photograph:
        """A photograph of a lesion map ``uint8 (size, size)``."""
        pixels = _render(self.folder, self.stamp, map_digest(label_map), style_seed, self, label_map)
        return Photograph(pixels, style_seed)


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


# The key is the map's SHA-256: Streamlit would hash only a sample of a large array's pixels, and miss a small lesion.
@st.cache_data(max_entries=128, show_spinner=False)
def _render(
    folder: str, stamp: tuple[float, ...], digest: str, style_seed: int, _models: Models, _map: np.ndarray
) -> np.ndarray:
    with _models.lock:
        return _models.pipeline.render(_map[None], [style_seed])[0]


@dataclass(frozen=True)
class Photograph:
    """``pixels uint8 (H, W, 3)`` and the style seed that made them."""

    pixels: np.ndarray
    style_seed: int


@dataclass(frozen=True)
class Sheet:
    """A lesion map, where it came from, and its photographs: what one row of the page shows and downloads."""

    label_map: np.ndarray
    source: str
    models: Models
    grade: int | None = None
    map_seed: int | None = None
    truncation: float | None = None
    photographs: tuple[Photograph, ...] = field(default_factory=tuple)

    def with_photographs(self, style_seeds: list[int]) -> Sheet:
        made = tuple(self.models.photograph(self.label_map, seed) for seed in style_seeds)
        return replace(self, photographs=made)

    def name(self, kind: str) -> str:
        """The file names' common part, as the command line's: ``map-g3-s7``; drawn and uploaded maps by their hash."""
        if self.source == "sampled":
            return f"{kind}-g{self.grade}-s{self.map_seed}"
        return f"{kind}-{self.source}-{map_digest(self.label_map)[:8]}"

    def provenance(self, kind: str, style_seed: int | None = None) -> Provenance:
        pipeline = self.models.pipeline
        return Provenance(
            kind=kind,
            source=self.source,
            map_sha256=map_digest(self.label_map),
            grade=self.grade,
            map_seed=self.map_seed,
            truncation=self.truncation,
            style_seed=style_seed,
            model=pipeline.name,
            checkpoints=dict(pipeline.hashes),
        )

    def map_file(self) -> bytes:
        return encode_map_png(self.label_map, self.provenance("map").chunks())

    def photo_file(self, photograph: Photograph) -> bytes:
        return encode_photo_png(photograph.pixels, self.provenance("photograph", photograph.style_seed).chunks())

    def pair_file(self) -> bytes:
        """The map, its photographs and ``provenance.json`` as a ZIP; the same input gives the same bytes."""
        return zip_sheets([self])


def zip_sheets(sheets: list[Sheet]) -> bytes:
    """Maps, photographs, the classes' table and what made them as one ZIP."""
    files, records = {}, {}
    for sheet in sheets:
        name = f"{sheet.name('map')}.png"
        files[name] = sheet.map_file()
        records[name] = json.loads(sheet.provenance("map").to_json())
        for photograph in sheet.photographs:
            name = f"{sheet.name('photo')}-y{photograph.style_seed}.png"
            files[name] = sheet.photo_file(photograph)
            records[name] = json.loads(sheet.provenance("photograph", photograph.style_seed).to_json())
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
