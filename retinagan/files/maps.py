"""Lesion maps as PNG files: what is written, and what a stranger's file must be to be read.

Reading is strict because a map's meaning is in its exact colours: a picture that was blurred, anti-aliased or saved as
JPEG would hold classes that nobody drew.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

from retinagan.maps.field import Square, cut_mask
from retinagan.maps.labels import CLASSES, EX, HE, MA, NUM_CLASSES, PALETTE, SE, check_map

MIN_SIDE, MAX_SIDE = 16, 4096
MAX_BYTES = 64 * 1024 * 1024
"""Largest file that is read: more than 4096² pixels of noise in three colours take."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {0: "greyscale", 2: "RGB", 3: "palette", 4: "greyscale with alpha", 6: "RGB with alpha"}
_SAVE_AS = "save it as an 8-bit RGB PNG in the palette's colours (see the template)"


def read_map_png(source: bytes | str | Path | BinaryIO, size: int | None = 512) -> np.ndarray:
    """A lesion map from a PNG file, padded to a square and scaled to ``size`` without a class that it does not hold.

    The file is an 8-bit RGB or palette PNG whose every pixel has one of the seven colours, opaque, with sides of 16 to
    4096 pixels. A map that is not square gets background on both sides of its shorter direction. Scaling up repeats
    pixels; scaling down gives each pixel the class that covers most of it, except that a lesion wins from a share of
    0.4 and each connected lesion keeps at least one pixel. A map of the right size is returned as it is.

    Args:
        source: the file's content, its path, or an open binary file.
        size: side of the result in pixels; None leaves the map as it is (any size, not padded).

    Returns:
        ``uint8 (size, size)`` of classes 0-6.

    Raises:
        FileNotFoundError: no such path.
        ValueError: anything else that is wrong with the file, in words for whoever made it.
    """
    if size is not None and not 1 <= size <= MAX_SIDE:
        raise ValueError(f"size is {size}; allowed are 1-{MAX_SIDE}")
    data = file_content(source)
    _check_header(data)
    codes = _decode(data)
    label_map = _classes(codes)
    return label_map if size is None else fit_map(label_map, size)


def fit_map(label_map: np.ndarray, size: int) -> np.ndarray:
    """A lesion map ``uint8 (H, W)`` padded and scaled to ``uint8 (size, size)``; see :func:`read_map_png`."""
    check_map(label_map)
    height, width = label_map.shape
    side = max(height, width)
    if height != width:
        top, left = (side - height) // 2, (side - width) // 2
        label_map = np.pad(label_map, ((top, side - height - top), (left, side - width - left)))
    if side == size:
        return label_map.copy()
    if side < size:
        index = (np.arange(size) * side) // size
        return label_map[np.ix_(index, index)]
    present = np.flatnonzero(np.bincount(label_map.ravel(), minlength=NUM_CLASSES))
    best, fitted = np.full((size, size), -1, dtype=np.float32), np.zeros((size, size), dtype=np.uint8)
    for index in present:
        plane = Image.fromarray((label_map == index).astype(np.uint8) * np.uint8(255))
        share = np.asarray(plane.resize((size, size), Image.Resampling.BOX), dtype=np.float32)
        fitted[share > best] = index
        np.maximum(best, share, out=best)
    for index in (SE, EX, HE, MA):
        if index in present:
            fitted[cut_mask(label_map == index, Square(0, 0, side), size)] = index
    return fitted


def encode_map_png(label_map: np.ndarray, info: Mapping[str, str] | None = None) -> bytes:
    """A lesion map ``uint8 (H, W)`` as a palette PNG: pixel values are class indices, colours the palette's.

    Args:
        info: text chunks to store in the file, keyword (1-79 Latin-1 characters) → text.
    """
    check_map(label_map)
    picture = Image.fromarray(np.ascontiguousarray(label_map), mode="P")
    picture.putpalette(PALETTE.ravel().tolist())
    return encode_png(picture, info)


def encode_png(picture: Image.Image, info: Mapping[str, str] | None, compress_level: int = 6) -> bytes:
    """A picture as a PNG; ``info`` as in :func:`encode_map_png`."""
    chunks = PngImagePlugin.PngInfo()
    for keyword, text in (info or {}).items():
        chunks.add_itxt(keyword, text)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", pnginfo=chunks, compress_level=compress_level)
    return buffer.getvalue()


def file_content(source: bytes | str | Path | BinaryIO) -> bytes:
    """What a file holds, however it is given.

    Raises:
        FileNotFoundError: no such path. ValueError: no file, or larger than :data:`MAX_BYTES`.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    elif isinstance(source, (str, Path)):
        path = Path(source)
        if not path.exists():
            raise FileNotFoundError(f"no map at {path}")
        if not path.is_file():
            raise ValueError(f"{path} is not a file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    else:
        data = source.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"the file is larger than {MAX_BYTES // 2**20} MB; no map of {MAX_SIDE}² pixels is")
    return data


def _check_header(data: bytes) -> None:
    """Size and kind of pixels, read from the first chunk: before anything is decompressed, and because Pillow
    silently halves 16-bit colours."""
    if not data.startswith(_SIGNATURE):
        raise ValueError("the file is not a PNG; maps are lossless PNG files, JPEG and others blend the classes")
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise ValueError("the PNG is damaged: it has no whole header; save it again")
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    if not (MIN_SIDE <= width <= MAX_SIDE and MIN_SIDE <= height <= MAX_SIDE):
        raise ValueError(f"the map is {width} × {height} pixels; allowed are sides of {MIN_SIDE} to {MAX_SIDE}")
    kind = _COLOUR_TYPES.get(colour, f"of the unknown colour type {colour}")
    if depth == 16:
        raise ValueError(f"the PNG is {kind} with 16 bits a channel; {_SAVE_AS}")
    if colour not in (2, 3, 6):
        raise ValueError(f"the PNG is {kind}, so its classes cannot be told apart; {_SAVE_AS}")


def _decode(data: bytes) -> np.ndarray:
    """Pixels as ``uint32 (H, W)``, 0xAABBGGRR."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if getattr(picture, "n_frames", 1) != 1:
                raise ValueError("the PNG is animated; a map is one picture")
            picture.load()
            rgba = np.asarray(picture.convert("RGBA"))
    except (OSError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise ValueError(f"the PNG is damaged or cut short ({error}); save or upload it again") from error
    return np.ascontiguousarray(rgba).view("<u4")[..., 0]


def _classes(codes: np.ndarray) -> np.ndarray:
    """Opaque palette colours → classes; as ``labels.map_from_colours``, without its copies of a 4096² picture."""
    clear = (codes >> 24) != 255
    if clear.any():
        y, x = np.unravel_index(int(clear.argmax()), clear.shape)
        raise ValueError(
            f"the pixel at row {y}, column {x} is transparent (alpha {codes[y, x] >> 24}; "
            f"{int(clear.sum())} such pixels); maps are opaque: fill what is outside the eye with black"
        )
    label_map = np.full(codes.shape, 255, dtype=np.uint8)
    for index, (red, green, blue) in enumerate(PALETTE.tolist()):
        label_map[codes == (0xFF000000 | blue << 16 | green << 8 | red)] = index
    unknown = label_map == 255
    if unknown.any():
        y, x = np.unravel_index(int(unknown.argmax()), unknown.shape)
        code = int(codes[y, x])
        allowed = ", ".join(f"{c.short} {c.colour}" for c in CLASSES)
        raise ValueError(
            f"colour {(code & 255, code >> 8 & 255, code >> 16 & 255)} at row {y}, column {x} is not in the palette "
            f"({int(unknown.sum())} such pixels); allowed are {allowed}. Draw without anti-aliasing, "
            "save as lossless PNG"
        )
    return label_map
