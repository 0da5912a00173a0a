"""How crops of training eyes are varied: vessels made less perfect, and photograph and guidance lit anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from retinagan.eye.light import LUMINANCE
from retinagan.eye.planes import EyePlanes

RELIT = (0.6, 1.7)
"""A crop's light changes by factors within these: further, a dark photograph's noise would be a bright one's
texture."""


def uniform(rng: torch.Generator) -> float:
    return float(torch.rand((), generator=rng))


def degraded(planes: EyePlanes, vessel_gain: float, rng: torch.Generator) -> EyePlanes:
    """Vessels with dropped twigs and jittered contrast: real guidance made as imperfect as grown trees are different.

    ``planes`` are of an eye whose vessels were multiplied by ``vessel_gain``.
    """
    threshold, gain, gamma = (uniform(rng) for _ in range(3))
    seen = np.clip((planes.vessels / vessel_gain - 0.3 * threshold) / (1 - 0.3 * threshold), 0, 1)
    vessels = vessel_gain * (0.9 + 0.2 * gain) * seen ** (0.8 + 0.4 * gamma)
    tone = planes.tone * np.minimum(vessels / np.maximum(planes.vessels, 1e-3), 1)
    return replace(planes, vessels=vessels, tone=tone)


def light_ratio(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Another light over the own one, both ``float32 (3, C, C)`` in 0..1, kept within :data:`RELIT`."""
    return np.clip(other / np.maximum(own, 0.02), *RELIT)


def lit(photo: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """A photograph ``float32 (C, C, 3)`` in 0..1 under ``ratio (3, C, C)`` times its light."""
    return np.clip(photo * ratio.transpose(1, 2, 0), 0, 1)


def relit(
    photo: np.ndarray, made: np.ndarray, planes: EyePlanes, ratio: np.ndarray
) -> tuple[np.ndarray, np.ndarray, EyePlanes]:
    """A crop with its guidance as if another light had fallen on it.

    What it reflects stays, so all its contrasts grow with the light.

    Args:
        photo: ``float32 (C, C, 3)`` in 0..1.
        made: ``float32 (C, C)``, what of the texture plane is noise.
        planes: its guidance.
        ratio: from :func:`light_ratio`.

    Returns:
        ``photo``, ``made`` and ``planes`` in the other light.
    """
    luminance, shown = (np.tensordot(LUMINANCE, light, 1) for light in (planes.light, planes.light * ratio))
    brightness = shown / np.maximum(luminance, 0.02)
    clearness = ratio[1].mean()  # how clear vessels are is measured in green
    planes = EyePlanes(
        light=planes.light * ratio,
        vessels=planes.vessels * clearness,
        texture=planes.texture * brightness,
        tone=planes.tone * clearness,
    )
    return lit(photo, ratio), made * brightness, planes
