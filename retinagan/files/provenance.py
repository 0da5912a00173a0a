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
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retinagan import __version__
from retinagan.eye.style import Style, as_style
from retinagan.maps.labels import GRADE_NAMES, NUM_GRADES, check_map
from retinagan.seeds import MAX_SEED

KEYWORD = "retinagan"
SOURCES = ("sampled", "progression", "drawn", "uploaded", "template")
KINDS = ("map", "photograph")
MAX_TEXT = 16_384
"""Longest text that is read, in bytes; ours have a few hundred, with a latent of 512 numbers in it 11 000."""

MAX_HEAD = 1_048_576
"""Text is looked for in the first chunks only, up to this many bytes of other chunks before the pixels."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_STYLE_PARTS = ("light", "texture", "reference", "between")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
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

    kind: str
    source: str
    map_sha256: str
    grade: int | None = None
    map_seed: int | None = None
    truncation: float | None = None
    map_between: tuple[int, int, float] | None = None
    style_seed: int | None = None
    style_light: tuple[float, ...] | None = None
    style_texture: tuple[float, ...] | None = None
    style_reference: str | None = None
    style_between: tuple[int, int, float] | None = None
    whole_eye: bool = False
    model: str = ""
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    version: str = __version__
    synthetic: bool = True

    def __post_init__(self) -> None:
        _check(self.kind in KINDS, "kind", self.kind, f"one of {KINDS}")
        _check(self.source in SOURCES, "source", self.source, f"one of {SOURCES}")
        _check(_is_sha256(self.map_sha256), "map_sha256", self.map_sha256, "64 hexadecimal digits")
        _check(
            self.grade is None or _is_int(self.grade, NUM_GRADES - 1),
            "grade",
            self.grade,
            f"0-{NUM_GRADES - 1} or null",
        )
        for name in ("map_seed", "style_seed"):
            value = getattr(self, name)
            _check(value is None or _is_int(value, MAX_SEED), name, value, "0 to 2⁶³-1 or null")
        _check(self.truncation is None or _is_share(self.truncation), "truncation", self.truncation, "0 to 1 or null")
        _check(isinstance(self.whole_eye, bool), "whole_eye", self.whole_eye, "true or false")
        for name, tests in (
            ("map_between", (lambda v: _is_int(v, NUM_GRADES - 1), lambda v: _is_int(v, MAX_SEED), _is_share)),
        ):
            value = getattr(self, name)
            good = isinstance(value, (tuple, list)) and len(value) == len(tests)
            good = good and all(test(part) for test, part in zip(tests, value, strict=True))
            _check(value is None or good, name, value, f"{len(tests)} numbers in their ranges or null")
            object.__setattr__(self, name, tuple(value) if good else None)
        try:
            style = self._style()
        except (TypeError, ValueError) as error:
            raise ValueError(f"provenance: {error}") from None
        for name in _STYLE_PARTS:
            object.__setattr__(self, f"style_{name}", getattr(style, name))
        _check(
            isinstance(self.model, str) and len(self.model) <= 200,
            "model",
            self.model,
            "a text of up to 200 characters",
        )
        _check(isinstance(self.version, str) and len(self.version) <= 50, "version", self.version, "a short text")
        hashes = self.checkpoints
        good = isinstance(hashes, Mapping) and len(hashes) <= 8
        good = good and all(isinstance(k, str) and len(k) <= 50 and _is_sha256(v) for k, v in hashes.items())
        _check(good, "checkpoints", hashes, "network → 64 hexadecimal digits")
        _check(self.synthetic is True, "synthetic", self.synthetic, "true")

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
            ValueError: not JSON of this kind, or a value outside what is allowed (it is named).
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the provenance is not JSON: {type(error).__name__}") from None
        if not isinstance(values, dict):
            raise ValueError(f"the provenance is a JSON {type(values).__name__}; an object is needed")
        known = {f.name for f in dataclasses.fields(cls)}
        missing = {"kind", "source", "map_sha256"} - values.keys()
        if missing:
            raise ValueError(f"the provenance lacks {', '.join(sorted(missing))}")
        return cls(**{name: value for name, value in values.items() if name in known})

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


def _is_int(value: Any, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= high


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _check(good: bool, name: str, value: Any, allowed: str) -> None:
    if not good:
        raise ValueError(f"provenance: {name} is {str(value)[:60]!r}; allowed: {allowed}")
