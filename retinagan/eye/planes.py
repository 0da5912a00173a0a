"""The guidance planes of an eye: their names, order and meaning, and the only place that puts them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch

from retinagan.eye.light import darken_fovea

Plane = Literal["light_red", "light_green", "light_blue", "vessels", "texture", "tone"]
LIGHT: tuple[Plane, ...] = ("light_red", "light_green", "light_blue")
"""The eye's light, 0..1 RGB, darkened at the fovea. A network that is told where the fovea is draws rings around it."""
VESSELS: tuple[Plane, ...] = ("vessels", "tone")
"""What lesions hide."""
PLANES: tuple[Plane, ...] = (*LIGHT, "vessels", "texture", "tone")
"""All planes in order. ``vessels`` are 0..1 and their ``tone`` -1..1 (how much darker a vessel is than others of its
calibre: veins; or lighter: arteries), both times how clear the eye's vessels are; ``texture`` is of about unit
variance."""

Stack = TypeVar("Stack", np.ndarray, torch.Tensor)
Window = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class EyePlanes:
    """An eye, or a crop of one, ``float32``: ``light (3, H, W)``, and ``vessels``, ``texture`` and ``tone (H, W)``."""

    light: np.ndarray
    vessels: np.ndarray
    texture: np.ndarray
    tone: np.ndarray

    @classmethod
    def assembled(
        cls,
        light: np.ndarray,
        fovea: np.ndarray,
        vessels: np.ndarray,
        tone: np.ndarray,
        strength: float,
        texture: np.ndarray,
    ) -> EyePlanes:
        """The planes ``float32`` of an eye or a crop of it.

        Args:
            light: its field ``(3, H, W)``, not yet darkened.
            fovea: ``(H, W)`` in 0..1, where and how far the light is darkened.
            vessels, tone: ``(H, W)``, as a ridge filter or a grown tree gives them, the same in clear and hazy eyes.
            strength: how clear they are in this eye.
            texture: ``(H, W)`` in its units.
        """
        planes = darken_fovea(light, fovea), vessels * strength, texture, tone * strength
        return cls(*(plane.astype(np.float32, copy=False) for plane in planes))

    @classmethod
    def of(cls, stack: np.ndarray, window: Window = (slice(None), slice(None))) -> EyePlanes:
        """The planes ``float32`` in a window of what :meth:`stacked` made of them in the order of :data:`PLANES`."""
        names = ("vessels", "texture", "tone")
        stack = stack[(..., *window)].astype(np.float32)
        return cls(pick(stack, LIGHT), *(pick(stack, name) for name in names))

    def stacked(self, names: Sequence[str] = PLANES) -> np.ndarray:
        """The named planes in that order, ``(N, H, W)``."""
        named = dict(zip(LIGHT, self.light, strict=True))
        named |= {"vessels": self.vessels, "texture": self.texture, "tone": self.tone}
        return np.stack([named[name] for name in names])


def pick(stack: Stack, wanted: str | Sequence[str], names: Sequence[str] = PLANES) -> Stack:
    """Of planes ``(..., N, H, W)`` with these ``names`` those wanted: ``(..., M, H, W)``, or one ``(..., H, W)``."""
    if isinstance(wanted, str):
        return stack[..., names.index(wanted), :, :]
    indices = [names.index(name) for name in wanted]
    first = indices[0]
    if indices == list(range(first, first + len(indices))):
        return stack[..., first : first + len(indices), :, :]  # a view: nothing is copied
    return stack[..., indices, :, :]
