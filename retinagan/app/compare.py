"""Pictures that compare: lesions over a photograph, and what the lesions change in it."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

GAINS = (1, 2, 4, 8)
"""Amplifications of a difference that the page offers."""


def signed_difference(after: np.ndarray, before: np.ndarray, gain: float) -> np.ndarray:
    """Where lesions make a photograph lighter or darker: both ``uint8 (H, W, 3)`` → ``uint8 (H, W, 3)``.

    The mean of the channels' differences, times ``gain``, on a scale that colour-blind eyes read too: white is no
    change, blue is darker, orange is lighter, by up to 64 grey levels at a gain of 1.
    """
    change = _mean_difference(after, before) * gain / 64
    return _diverging(np.clip(change, -1, 1))


def absolute_difference(after: np.ndarray, before: np.ndarray, gain: float) -> np.ndarray:
    """How much lesions change each channel, times ``gain``: ``uint8 (H, W, 3)``, black is no change."""
    change = np.abs(after.astype(np.int16) - before.astype(np.int16))
    return np.clip(change * gain * 4, 0, 255).astype(np.uint8)


def legend(signed: bool, gain: float) -> str:
    """The scale of a difference as HTML: a strip of its colours with its ends named."""
    ramp = np.linspace(-1, 1, 128) if signed else np.linspace(0, 255, 128)
    strip = _diverging(ramp) if signed else np.repeat(ramp.astype(np.uint8)[:, None], 3, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(strip[None], 8, axis=0)).save(buffer, "PNG")
    most = 64 / gain
    ends = (f"darker by {most:g}", "same", f"lighter by {most:g}") if signed else ("same", "", f"differs by {most:g}")
    picture = base64.b64encode(buffer.getvalue()).decode()
    words = "".join(f"<span>{end}</span>" for end in ends)
    return (
        f'<div class="rg-legend"><img alt="Scale: {", ".join(filter(None, ends))}" '
        f'src="data:image/png;base64,{picture}">'
        f"<div>{words}</div><div>of 255 levels, photograph with lesions against the same eye without</div></div>"
    )


def _mean_difference(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    if after.shape != before.shape:
        raise ValueError(f"the photographs have shapes {after.shape} and {before.shape}; they must agree")
    return after.astype(np.float32).mean(axis=2) - before.astype(np.float32).mean(axis=2)


_DARKER, _SAME, _LIGHTER = np.array([[12, 76, 160], [255, 255, 255], [196, 84, 0]], dtype=np.float32)


def _diverging(change: np.ndarray) -> np.ndarray:
    share = np.abs(change)[..., None]
    ends = np.where(change[..., None] < 0, _DARKER, _LIGHTER)
    return np.round(_SAME + share * (ends - _SAME)).astype(np.uint8)
