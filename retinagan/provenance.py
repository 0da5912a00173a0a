"""What made this image: written into a PNG's text chunks, and read back.

A PNG of this project holds ``retinagan`` (JSON: seeds, grade, SHA-256 of the map and of the checkpoints, version),
``Description`` and ``Software`` (for people and other programs), which say that it is synthetic.
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
from retinagan.labels import GRADE_NAMES, NUM_GRADES, check_map
from retinagan.seeds import MAX_SEED

KEYWORD = "retinagan"
SOURCES = ("sampled", "drawn", "uploaded", "template")
KINDS = ("map", "photograph")
MAX_TEXT = 16_384
"""Longest text that is read, in bytes; ours have a few hundred."""

MAX_HEAD = 1_048_576
"""Text is looked for in the first chunks only, up to this many bytes of other chunks before the pixels."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Provenance:
    """What an image of this project was made from.

    Attributes:
        kind: ``map`` or ``photograph``.
        source: where the map came from: ``sampled``, ``drawn`` (then grade and seed are those of the map that it began
            with), ``uploaded`` or ``template``.
        grade: ICDR grade that was asked for, or None.
        map_seed, truncation: of the sampled map, or None.
        style_seed: of the photograph; None for a map.
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
    style_seed: int | None = None
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
        share = self.truncation
        number = isinstance(share, (int, float)) and not isinstance(share, bool) and 0 <= share <= 1
        _check(share is None or number, "truncation", share, "0 to 1 or null")
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
        if self.style_seed is not None:
            parts.append(f"style seed {self.style_seed}")
        return "; ".join(parts) + "."

    def chunks(self) -> dict[str, str]:
        """Text chunks for ``retinagan.maps_io.encode_map_png(…, info=…)`` and ``encode_photo_png``."""
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


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _check(good: bool, name: str, value: Any, allowed: str) -> None:
    if not good:
        raise ValueError(f"provenance: {name} is {str(value)[:60]!r}; allowed: {allowed}")
