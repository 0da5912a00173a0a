"""A lesion map with its photographs: their names, what made them, and the files that hold them.

Whatever writes maps and photographs (app, command line, data sets) does it here, so that the same seeds give the same
files everywhere.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from retinagan.eye.style import Style, as_style
from retinagan.files.maps import encode_map_png, file_content, read_map_png
from retinagan.files.photos import encode_photo_png, map_chunk
from retinagan.files.provenance import Provenance, Source, map_digest, read_png
from retinagan.maps.labels import CLASSES
from retinagan.pipeline import RetinaGAN


def style_digest(style: int | Style) -> str:
    """SHA-256 of all that a style holds: what two styles with the same digest render is the same."""
    style = as_style(style)
    digest = hashlib.sha256()
    for field in dataclasses.fields(style):
        value = getattr(style, field.name)
        if isinstance(value, np.ndarray):
            digest.update(f"{field.name} {value.dtype} {value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        else:
            digest.update(f"{field.name} {value!r}".encode())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Photograph:
    """``pixels uint8 (H, W, 3)`` and the style that made them."""

    pixels: np.ndarray
    style: Style

    @property
    def suffix(self) -> str:
        """Of file names: ``y7``; a style that is more than its seed adds a part of its digest."""
        seed = f"y{self.style.seed}"
        return seed if self.style.is_seed else f"{seed}-{style_digest(self.style)[:8]}"


@dataclass(frozen=True, eq=False)
class Pair:
    """A lesion map ``uint8 (H, W)``, what made it, and its photographs (none, one or several)."""

    label_map: np.ndarray
    origin: Provenance
    photographs: tuple[Photograph, ...] = ()

    @classmethod
    def of(cls, model: RetinaGAN, label_map: np.ndarray, source: Source, **origin: Any) -> Pair:
        """A map and the weights at work; ``origin`` are further fields of :class:`Provenance`."""
        made = Provenance(
            kind="map", source=source, map_sha256=map_digest(label_map), model=model.name,
            checkpoints=dict(model.hashes), **origin,
        )  # fmt: skip
        return cls(label_map, made)

    @classmethod
    def sample(cls, model: RetinaGAN, grade: int, seed: int, truncation: float = 1.0) -> Pair:
        """The sampled map of a grade and seed."""
        label_map = model.sample_maps(grade, [seed], truncation)[0]
        return cls.of(model, label_map, "sampled", grade=grade, map_seed=seed, truncation=truncation)

    @classmethod
    def read(cls, model: RetinaGAN, source: bytes | str | Path | BinaryIO) -> Pair:
        """A map's PNG in the model's size. What the file says of its origin counts if it is about this very map.

        Raises:
            FileNotFoundError, ValueError: as :func:`retinagan.files.maps.read_map_png`.
        """
        data = file_content(source)
        label_map = read_map_png(data, model.size)
        try:
            told = read_png(data)
        except ValueError:
            told = None  # the map is whole; only what the file says of its origin is not
        pair = cls.of(model, label_map, "uploaded")
        if told is None or told.kind != "map" or told.map_sha256 != pair.origin.map_sha256:
            return pair
        return cls(label_map, dataclasses.replace(told, model=model.name, checkpoints=dict(model.hashes)))

    def rendered(self, model: RetinaGAN, styles: Sequence[int | Style], size: int | None = None) -> Pair:
        """The same map with its photographs in these styles; ``size`` as :meth:`RetinaGAN.render` takes it."""
        photos = (model.render(self.label_map[None], [style], size)[0] for style in styles)
        made = (Photograph(pixels, as_style(style)) for pixels, style in zip(photos, styles, strict=True))
        return dataclasses.replace(self, photographs=tuple(made))

    # --- names ---

    def name(self, kind: str) -> str:
        """Common part of the files' names, such as ``map-g3-s7``; a map that no seeds give has its hash instead."""
        made = self.origin
        if made.source not in ("sampled", "progression"):
            return f"{kind}-{made.source}-{made.map_sha256[:8]}"
        kind = kind if made.source == "sampled" else f"progression-{kind}"
        end = "-to-g{}-s{}-p{:.3f}".format(*made.map_between) if made.map_between else ""
        return f"{kind}-g{made.grade}-s{made.map_seed}{end}"

    @property
    def map_name(self) -> str:
        return f"{self.name('map')}.png"

    def photo_name(self, photograph: Photograph) -> str:
        return f"{self.name('photo')}-{photograph.suffix}.png"

    # --- files ---

    def map_file(self) -> bytes:
        return encode_map_png(self.label_map, self.origin.chunks())

    def photo_file(self, photograph: Photograph) -> bytes:
        """The photograph as a PNG that also carries its lesion map."""
        chunks = self.origin.with_style(photograph.style).chunks() | map_chunk(self.label_map)
        return encode_photo_png(photograph.pixels, chunks)

    def files(self) -> dict[str, bytes]:
        """The map's PNG and then the photographs', by name."""
        photos = {self.photo_name(photograph): self.photo_file(photograph) for photograph in self.photographs}
        return {self.map_name: self.map_file()} | photos

    def origins(self) -> dict[str, Provenance]:
        """What made each of :meth:`files`."""
        photos = {self.photo_name(p): self.origin.with_style(p.style) for p in self.photographs}
        return {self.map_name: self.origin} | photos


def zip_pairs(pairs: Iterable[Pair]) -> bytes:
    """Maps, photographs, the classes' table and what made them as one ZIP; the same input gives the same bytes."""
    files: dict[str, bytes] = {}
    origins: dict[str, Provenance] = {}
    for pair in pairs:
        files |= pair.files()
        origins |= pair.origins()
    told = {name: json.loads(origin.to_json()) for name, origin in origins.items()}
    more = {
        "classes.csv": _classes_table(),
        "provenance.json": json.dumps(told, indent=2, sort_keys=True).encode(),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (files | more).items():
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def _classes_table() -> bytes:
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("index", "short", "name", "red", "green", "blue"))
    rows.writerows((c.index, c.short, c.name, *c.colour) for c in CLASSES)
    return table.getvalue().encode()
