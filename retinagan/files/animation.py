"""Moving pictures: frames with a caption in their black corner, written as GIF or WebP that say they are synthetic."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COMMENT = "Synthetic fundus photographs made by RetinaGAN, not for diagnosis."
MAX_FRAMES = 60

_GREYS = (0, 64, 128, 190, 255)
_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], dtype=np.float32) / 16 - 0.47
_DITHER = 7.0  # grey levels: about the distance between neighbours of 256 colours in a photograph


def caption(frame: np.ndarray, text: str, note: str = "synthetic") -> np.ndarray:
    """A frame ``uint8 (H, W, 3)`` with ``text`` in its lower left corner and ``note`` in its lower right, in a copy.

    Files lose their comments easily; what is in the pixels stays.
    """
    picture = Image.fromarray(frame)
    draw = ImageDraw.Draw(picture)
    height, width = frame.shape[:2]
    font = ImageFont.load_default(max(height / 26, 8))
    margin = height / 64
    draw.text((margin, height - margin), text, fill="white", font=font, anchor="ls")
    draw.text((width - margin, height - margin), note, fill=(190, 190, 190), font=font, anchor="rs")
    return np.asarray(picture)


def encode_gif(frames: Sequence[np.ndarray], milliseconds: int | Sequence[int], comment: str = COMMENT) -> bytes:
    """Frames ``uint8 (H, W, 3)`` of one size → an endless GIF with one palette of 256 colours and a comment.

    The dither is ordered, so that what does not change does not flicker.

    Raises:
        ValueError: no frame, too many, or of different sizes.
    """
    _check(frames)
    # The palette is that of all frames, seen small, and the caption's greys.
    small = np.vstack([frame[::2, ::2] for frame in frames])
    colours = Image.fromarray(small).quantize(256 - len(_GREYS), method=Image.Quantize.MEDIANCUT).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours[: 3 * (256 - len(_GREYS))] + [grey for grey in _GREYS for _ in range(3)])
    height, width = frames[0].shape[:2]
    pattern = np.tile(_BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width, None] * _DITHER
    pictures = []
    for frame in frames:
        bright = (frame + pattern * (frame.max(axis=2, keepdims=True) > 0)).clip(0, 255).astype(np.uint8)
        pictures.append(Image.fromarray(bright).quantize(palette=palette, dither=Image.Dither.NONE))
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "GIF", save_all=True, append_images=pictures[1:], duration=_durations(milliseconds, len(frames)),
        loop=0, comment=comment.encode("ascii"), optimize=False,
    )  # fmt: skip
    return buffer.getvalue()


def encode_webp(frames: Sequence[np.ndarray], milliseconds: int | Sequence[int], comment: str = COMMENT) -> bytes:
    """Frames ``uint8 (H, W, 3)`` of one size → an endless WebP in true colours; ``comment`` is its EXIF description."""
    _check(frames)
    exif = Image.Exif()
    exif[0x010E] = comment  # ImageDescription
    pictures = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "WEBP", save_all=True, append_images=pictures[1:], duration=_durations(milliseconds, len(frames)),
        loop=0, quality=88, method=2, exif=exif,
    )  # fmt: skip
    return buffer.getvalue()


def _durations(milliseconds: int | Sequence[int], count: int) -> list[int]:
    durations = [milliseconds] * count if isinstance(milliseconds, int) else list(milliseconds)
    if len(durations) != count or min(durations) < 20:
        raise ValueError(f"{count} frames need {count} durations of at least 20 ms, got {durations}")
    return durations


def _check(frames: Sequence[np.ndarray]) -> None:
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise ValueError(f"an animation has 1 to {MAX_FRAMES} frames, got {len(frames)}")
    for frame in frames:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.shape != frames[0].shape:
            raise ValueError(f"frames are uint8 (H, W, 3) of one size, got {frame.dtype} {frame.shape}")
