"""A photograph as the networks that read it look at it: planes at the size of their training, mirrored in four ways."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

MIRRORS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-1, -2))
"""Axes to flip for the four mirror images."""


def photo_planes(photo: np.ndarray) -> torch.Tensor:
    """A photograph ``uint8 (S, S, 3)`` as a network takes it: ``float32 (1, 3, S, S)`` in 0..1, on the CPU."""
    return torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None].float() / 255


def resized(planes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Planes ``(N, C, H, W)`` at another height and width, smoothed where they shrink; as they are at their own."""
    if tuple(planes.shape[2:]) == size:
        return planes
    return F.interpolate(planes, size, mode="bilinear", antialias=True, align_corners=False)
