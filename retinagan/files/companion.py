"""A photograph's PNG carries its own lesion map, so that dropping it on the app brings back a drawing too."""

from __future__ import annotations

import base64
import binascii
import io

import numpy as np
from PIL import Image

from retinagan.files.maps import encode_map_png, read_map_png

KEYWORD = "retinagan-map"
MAX_TEXT = 1_000_000


def map_chunk(label_map: np.ndarray) -> dict[str, str]:
    """The text chunk for ``retinagan.files.maps.encode_photo_png(…, info=…)``: the map's PNG in base64."""
    return {KEYWORD: base64.b64encode(encode_map_png(label_map)).decode()}


def read_companion(data: bytes) -> np.ndarray | None:
    """The lesion map ``uint8 (H, W)`` in a photograph's PNG, or None when it has none. Its pixels are not decoded.

    Raises:
        ValueError: not a PNG, or what it carries is no lesion map.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            text = getattr(picture, "text", {}).get(KEYWORD)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"the PNG is damaged ({type(error).__name__})") from None
    if text is None:
        return None
    if len(text) > MAX_TEXT:
        raise ValueError(f"the map in the PNG has {len(text)} letters; at most {MAX_TEXT} are read")
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("the map in the PNG is no base64 text") from None
    return read_map_png(content, None)
