"""Photographs as files: those that strangers give, and this project's own PNGs, which carry their lesion map.

Of a stranger's file nothing is decompressed before its format and size are known, and only three decoders are used.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from retinagan.eye.measured import MAX_PIXELS
from retinagan.files.maps import MAX_BYTES, encode_map_png, encode_png, read_map_png

FORMATS = ("JPEG", "PNG", "WEBP")
MIN_SIDE = 64
MAP_KEYWORD = "retinagan-map"
MAX_MAP_TEXT = 1_000_000
_MODES = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")
_GREY = ("1", "L", "LA", "La", "I", "F")


def read_photo(data: bytes) -> np.ndarray:
    """A colour photograph from a JPEG, PNG or WebP file: ``uint8 (H, W, 3)`` RGB, upright.

    The camera's orientation (EXIF) is applied; what is transparent becomes black, as the surround of a fundus
    photograph is; of an animation the first picture counts. Profiles of colour are not applied.

    Raises:
        ValueError: what is wrong with the file, in words for whoever gave it.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"the file is larger than {MAX_BYTES // 2**20} MB; save the photograph smaller or as JPEG")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check_header(picture)
            upright = ImageOps.exif_transpose(picture)
            if "transparency" in upright.info or upright.mode in ("RGBA", "PA"):
                upright = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", upright.size, "black"), upright)
            pixels = np.array(upright.convert("RGB"))
    except UnidentifiedImageError:
        raise ValueError("the file is no photograph that is read here; give a JPEG, PNG or WebP file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError(f"the photograph has over {MAX_PIXELS // 10**6} million pixels; save it smaller") from None
    except (OSError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, MemoryError) as error:
        raise ValueError(f"the photograph is damaged ({type(error).__name__}); save it again") from None
    _check_colour(pixels)
    return pixels


def _check_header(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        allowed = f"at most {MAX_PIXELS // 10**6} million pixels are read"
        raise ValueError(f"the photograph is {width} × {height} pixels; {allowed}: save it smaller")
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"the photograph is {width} × {height} pixels; its sides need at least {MIN_SIDE}")
    if picture.mode in _GREY or picture.mode.startswith("I;"):
        raise ValueError("the photograph is greyscale; a colour photograph is needed, as its light is in its colours")
    if picture.mode not in _MODES:
        raise ValueError(f"the photograph's pixels are of the kind {picture.mode!r}; save it as 8-bit RGB")


def _check_colour(pixels: np.ndarray) -> None:
    """An RGB file can still hold a greyscale picture, such as a fluorescein angiogram."""
    small = pixels[:: max(1, pixels.shape[0] // 256), :: max(1, pixels.shape[1] // 256)].astype(np.int16)
    if (small.max(axis=2) - small.min(axis=2)).max() < 12:
        raise ValueError("the photograph holds no colours, and its light is in its colours; give a colour photograph")


def encode_photo_png(photo: np.ndarray, info: Mapping[str, str] | None = None) -> bytes:
    """A photograph ``uint8 (H, W, 3)`` RGB as a PNG; ``info`` as in :func:`retinagan.files.maps.encode_map_png`."""
    if not isinstance(photo, np.ndarray) or photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        found = (getattr(photo, "shape", None), getattr(photo, "dtype", type(photo).__name__))
        raise ValueError(f"a photograph is uint8 (H, W, 3), got {found}")
    # Level 3 takes a third of level 6's time for a file that is an eighth larger.
    return encode_png(Image.fromarray(np.ascontiguousarray(photo)), info, compress_level=3)


def map_chunk(label_map: np.ndarray) -> dict[str, str]:
    """The text chunk for ``encode_photo_png(…, info=…)``: the map's PNG in base64."""
    return {MAP_KEYWORD: base64.b64encode(encode_map_png(label_map)).decode()}


def read_carried_map(data: bytes) -> np.ndarray | None:
    """The lesion map ``uint8 (H, W)`` in a photograph's PNG, or None when it has none. Its pixels are not decoded.

    Raises:
        ValueError: not a PNG, or what it carries is no lesion map.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            text = getattr(picture, "text", {}).get(MAP_KEYWORD)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"the PNG is damaged ({type(error).__name__})") from None
    if text is None:
        return None
    if len(text) > MAX_MAP_TEXT:
        raise ValueError(f"the map in the PNG has {len(text)} letters; at most {MAX_MAP_TEXT} are read")
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("the map in the PNG is no base64 text") from None
    return read_map_png(content, None)
