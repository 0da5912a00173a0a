"""What made this image: written into a PNG's text chunks, and read back.

A PNG of this project holds ``retinagan`` (JSON: seeds, grade, SHA-256 of the map and of the checkpoints, version),
``Description`` and ``Software`` (for people and other programs), which say that it is synthetic.

What made an image can be made again from its file: seeds, the numbers of a light that was interpolated or read off a
photograph, the ends and the position of a map between two. One thing is left out: the vessels of a whole reference eye.
They are a person's, so the file holds only the SHA-256 of the photograph from which they can be read again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
import zlib
from typing import Annotated, Literal, Self

import numpy as np

from retinagan import __version__
from retinagan.configuration import Field, configuration, from_mapping, model_validator
from retinagan.eye.style import Style, as_style
from retinagan.maps.labels import check_map
from retinagan.seeds import GRADE_NAMES, MAX_SEED, NUM_GRADES

KEYWORD = "retinagan"
MAX_TEXT = 16_384
"""Longest text that is read, in bytes; ours have a few hundred, with a latent of 512 numbers in it 11 000."""

MAX_HEAD = 1_048_576
"""Text is looked for in the first chunks only, up to this many bytes of other chunks before the pixels."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_STYLE_PARTS = ("light", "texture", "reference", "between")
_Grade = Annotated[int, Field(ge=0, le=NUM_GRADES - 1)]
_Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
_Share = Annotated[float, Field(ge=0, le=1)]
Source = Literal["sampled", "progression", "drawn", "uploaded", "template"]
"""Where a map came from."""
_SHA256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@configuration
class Provenance:
    """What an image of this project was made from.

    Attributes:
        kind: ``map`` or ``photograph``.
        source: where the map came from: ``sampled``, ``drawn`` (then grade and seed are those of the map that it began
            with), ``progression`` (``retinagan.maps.progression`` of the maps of this seed and grade 0 to this),
            ``uploaded`` or ``template``.
        grade: ICDR grade that was asked for, or None.
        map_seed, truncation: of the sampled map, or None.
        map_between: (grade, seed, position 0..1) of the other end, for a map between two (``RetinaGAN.maps_between``);
            ``grade`` and ``map_seed`` are those of position 0.
        style_seed: of the photograph; None for a map.
        style_light, style_texture, style_reference, style_between: as ``retinagan.eye.style.Style`` has them.
        whole_eye: the vessels are those of the reference photograph. They are not in the file.
        map_sha256: :func:`map_digest` of the map.
        model: name of the model folder.
        checkpoints: network → SHA-256 of its file.
        version: of this package.
        synthetic: always True.
    """

    kind: Literal["map", "photograph"]
    source: Source
    map_sha256: _SHA256
    grade: _Grade | None = None
    map_seed: _Seed | None = None
    truncation: _Share | None = None
    map_between: tuple[_Grade, _Seed, _Share] | None = None
    style_seed: _Seed | None = None
    style_light: tuple[float, ...] | None = None
    style_texture: tuple[float, ...] | None = None
    style_reference: _SHA256 | None = None
    style_between: tuple[_Seed, _Seed, _Share] | None = None
    whole_eye: bool = False
    model: str = Field("", max_length=200)
    checkpoints: dict[str, _SHA256] = Field(default_factory=dict, max_length=8)
    version: str = Field(__version__, max_length=50)
    synthetic: bool = True

    @model_validator(mode="after")
    def _checked(self) -> Self:
        self._style()
        if any(len(name) > 50 for name in self.checkpoints):
            raise ValueError("checkpoints has a network whose name is longer than 50 letters")
        if not self.synthetic:
            raise ValueError("synthetic is False; whatever this project makes is synthetic")
        return self

    @property
    def style(self) -> Style | None:
        """What ``RetinaGAN.render`` takes to make the photograph again; None for a map.

        Raises:
            ValueError: the vessels are those of a reference photograph, which is needed again.
        """
        if self.style_seed is None:
            return None
        if self.whole_eye:
            raise ValueError(
                "the vessels of this eye were those of a reference photograph and are not in the file; encode that "
                f"photograph again as a whole eye (SHA-256 of its pixels: {self.style_reference})"
            )
        return self._style()

    @property
    def seeds(self) -> tuple[int, int]:
        """Grade and seed of a map that was made of these; ValueError for another."""
        if self.grade is None or self.map_seed is None:
            raise ValueError("the map was not made of a grade and a seed")
        return self.grade, self.map_seed

    @property
    def of_seeds(self) -> bool:
        """Whether it is of a sampled map that grade, seed and truncation give."""
        return self.source == "sampled" and self.map_between is None and None not in (self.grade, self.map_seed)

    def _style(self) -> Style:
        seed = 0 if self.style_seed is None else self.style_seed
        return Style(seed, **{name: getattr(self, f"style_{name}") for name in _STYLE_PARTS})

    def with_style(self, style: int | Style) -> Provenance:
        """This of a map → that of its photograph in a style."""
        style = as_style(style)
        parts = {f"style_{name}": getattr(style, name) for name in ("seed", *_STYLE_PARTS)}
        return dataclasses.replace(self, kind="photograph", whole_eye=style.whole_eye, **parts)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """The inverse of :meth:`to_json`; fields that this version does not know are passed over.

        Raises:
            ValueError: not JSON of this kind, or values outside what is allowed (they are named).
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the provenance is not JSON: {type(error).__name__}") from None
        if isinstance(values, dict):
            known = {field.name for field in dataclasses.fields(cls)}
            values = {name: value for name, value in values.items() if name in known}
        return from_mapping(cls, values, "provenance")

    def describe(self) -> str:
        """One line for people."""
        parts = [f"Synthetic {'fundus photograph' if self.kind == 'photograph' else 'lesion map'}, not for diagnosis"]
        if self.grade is not None:
            parts.append(f"grade {self.grade} ({GRADE_NAMES[self.grade]})")
        if self.map_seed is not None:
            parts.append(f"map seed {self.map_seed}")
        if self.source in ("drawn", "uploaded"):
            parts.append(f"map {self.source}")
        if self.map_between is not None:
            grade, seed, position = self.map_between
            parts.append(f"{position:.0%} of the way to grade {grade}, map seed {seed}")
        if self.style_seed is not None:
            parts.append(f"style seed {self.style_seed}")
        if self.style_reference is not None:
            taken = "light, texture and vessels" if self.whole_eye else "light and texture"
            parts.append(f"{taken} of a reference photograph ({self.style_reference[:12]}…)")
        if self.style_between is not None:
            first, second, position = self.style_between
            parts.append(f"light {position:.0%} of the way from style seed {first} to {second}")
        return "; ".join(parts) + "."

    def chunks(self) -> dict[str, str]:
        """Text chunks for ``encode_map_png(…, info=…)`` and ``encode_photo_png``."""
        return {KEYWORD: self.to_json(), "Description": self.describe(), "Software": f"RetinaGAN {self.version}"}


def map_digest(label_map: np.ndarray) -> str:
    """SHA-256 of a lesion map's shape and classes: the same for every file that holds the same map."""
    check_map(label_map)
    height, width = label_map.shape
    return hashlib.sha256(f"{height}x{width}:".encode() + np.ascontiguousarray(label_map).tobytes()).hexdigest()


def read_png(data: bytes) -> Provenance | None:
    """The provenance in a PNG file's bytes, or None when it has none. No pixel is decoded.

    Raises:
        ValueError: not a PNG, damaged chunks before the pixels, or a provenance whose values are not allowed.
    """
    if not data.startswith(_SIGNATURE):
        raise ValueError("the file is not a PNG")
    position = len(_SIGNATURE)
    while position < min(len(data), MAX_HEAD):
        if position + 12 > len(data):
            raise ValueError("the PNG is cut short")
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        if kind in (b"IDAT", b"IEND"):
            return None
        end = position + 12 + length
        if end > len(data):
            raise ValueError("the PNG is cut short")
        if kind in (b"tEXt", b"iTXt"):
            body = data[position + 8 : end - 4]
            if body.startswith(KEYWORD.encode() + b"\0"):
                if zlib.crc32(kind + body) != struct.unpack(">I", data[end - 4 : end])[0]:
                    raise ValueError("the PNG's provenance is damaged (wrong checksum)")
                return Provenance.from_json(_text(kind, body))
        position = end
    return None


def _text(kind: bytes, body: bytes) -> str:
    if len(body) > MAX_TEXT:
        raise ValueError(f"the PNG's provenance has {len(body)} bytes; at most {MAX_TEXT} are read")
    rest = body[len(KEYWORD) + 1 :]
    if kind == b"iTXt":
        # compression flag, method, language \0, translated keyword \0, text
        fields = rest[2:].split(b"\0", 2)
        if rest[:1] != b"\0" or len(fields) != 3:
            raise ValueError("the PNG's provenance is compressed or damaged; it is stored as plain text")
        rest = fields[2]
    try:
        return rest.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("the PNG's provenance is not UTF-8 text") from error
