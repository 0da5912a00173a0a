"""The light of an eye: fitted on photographs, drawn from a seed, or read off one photograph.

It is explicit so that the photo generator only learns to render: the low-pass colour field of the retina between
vessels and lesions, a linear model of principal components (whitened code, disc at the left).
"""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from retinagan.maps.anatomy import Anatomy
from retinagan.maps.labels import VB

LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue (ITU-R BT.601), wherever a colour is told by one number."""
LIGHT_SIDE = 32
USUAL_DISC = np.array([0.169, 0.488])
"""The disc's mean place in IDRiD's training eyes (x, y; shares of the side, disc at the left)."""
USUAL_SPREAD = 0.085
"""Standard deviation of its distance from there."""
FOVEA_DEPTH = np.array([0.18, 0.33, 0.45], dtype=np.float32)
"""Shares of red, green and blue that the fovea's pigment takes at its centre: medians of 190 training eyes."""
FARTHEST = 0.28
"""Largest shift of the light; above 0.32 the warp would fold."""
VESSEL_THRESHOLD = 0.12
"""Ridge filter above this counts as vessel when light and texture are measured."""


def clear_retina(
    label_map: np.ndarray, vessels: np.ndarray, margin: float = 3.0, fovea: tuple[float, float, float] | None = None
) -> np.ndarray:
    """Where a photograph shows retina alone: ``bool (H, W)``, away from rim, disc, lesions, vessels and fovea.

    Args:
        label_map: ``uint8 (H, W)``.
        vessels: ``float32 (H, W)`` in 0..1, the ridge filter's output.
        margin: pixels, at a side of 512, kept from anything else.
        fovea: (x, y, radius) in pixels of what is left out, so that an eye that is drawn near this one does not show a
            second fovea. None: nothing.
    """
    scale = label_map.shape[0] / 512
    other = (label_map != VB) | (vessels > VESSEL_THRESHOLD)
    if fovea is not None:
        y, x = np.ogrid[: label_map.shape[0], : label_map.shape[1]]
        other |= (x + 0.5 - fovea[0]) ** 2 + (y + 0.5 - fovea[1]) ** 2 < fovea[2] ** 2
    return ndimage.distance_transform_edt(~other) > margin * scale


def measure_light(photo: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Low-pass light of a photograph: ``float32 (3, 32, 32)`` in 0..1.

    Normalised convolution of the ``clear`` pixels at a side of 64 (σ 1), holes filled from wider ones (σ 3, 9, 27).

    Args:
        photo: ``uint8 (H, W, 3)``, H = W and divisible by 64.
        clear: ``bool (H, W)`` from :func:`clear_retina`.
    """
    weight = _shrink(clear.astype(np.float32), 64)
    light = np.empty((3, 64, 64), dtype=np.float32)
    for channel in range(3):
        mass = _shrink(photo[..., channel].astype(np.float32) / 255 * clear, 64)
        total, filled = np.zeros_like(mass), np.zeros_like(weight)
        # Each wider kernel only fills what the narrower ones leave open.
        for sigma, share in ((1, 1.0), (3, 0.1), (9, 1e-2), (27, 1e-4)):
            total += share * ndimage.gaussian_filter(mass, sigma)
            filled += share * ndimage.gaussian_filter(weight, sigma)
        light[channel] = total / np.maximum(filled, 1e-9)
    return light.reshape(3, LIGHT_SIDE, 2, LIGHT_SIDE, 2).mean((2, 4))


def fit_light(lights: np.ndarray, components: int) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of lights ``(N, 3, 32, 32)``, disc at the left.

    Returns ``mean (3, 32, 32)`` and ``components (K, 3, 32, 32)`` scaled by their standard deviation, so that a code is
    white. With fewer photographs than components the last components are zero.
    """
    flat = lights.reshape(len(lights), -1).astype(np.float64)
    mean = flat.mean(0)
    _, singular, basis = np.linalg.svd(flat - mean, full_matrices=False)
    scaled = basis * (singular / np.sqrt(max(len(flat) - 1, 1)))[:, None]
    kept = np.zeros((components, flat.shape[1]))
    kept[: min(components, len(scaled))] = scaled[:components]
    shape = (3, LIGHT_SIDE, LIGHT_SIDE)
    return mean.reshape(shape).astype(np.float32), kept.reshape(components, *shape).astype(np.float32)


def project_light(light: np.ndarray, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    """The whitened code ``float32 (K,)`` of a light ``(3, 32, 32)``: least squares onto the components."""
    basis = components.reshape(len(components), -1).astype(np.float64)
    energy = (basis**2).sum(1)
    code = basis @ (light - mean).ravel().astype(np.float64)
    return np.where(energy > 1e-12, code / np.maximum(energy, 1e-12), 0).astype(np.float32)


def light_field(
    code: torch.Tensor,
    mean: torch.Tensor,
    components: torch.Tensor,
    size: int,
    side: str,
    shift: tuple[float, float] = (0.0, 0.0),
) -> torch.Tensor:
    """The light of a code ``(K,)``, at ``size``: ``float32 (3, size, size)`` in 0..1, mirrored for a disc at the right.

    ``shift`` (:func:`light_shift`) moves what lies inside the field, with the disc at the left; the rim stays.
    """
    field = mean + torch.einsum("k,kcyx->cyx", code, components)
    if any(shift):
        field = move_light(field, shift)
    if side == "right":
        field = field.flip(-1)
    along = torch.from_numpy(_spline(size))
    return (along @ field.float() @ along.T).clamp(0, 1)


@functools.cache
def _spline(size: int) -> np.ndarray:
    """Cubic spline interpolation along one axis as a matrix ``float32 (size, 32)``.

    Bicubic interpolation would leave the grid of the 32 × 32 light as stripes in the photograph's spectrum.
    """
    pixels = np.eye(LIGHT_SIDE)
    return ndimage.zoom(pixels, (size / LIGHT_SIDE, 1), order=3, mode="nearest", grid_mode=True).astype(np.float32)


def draw_fovea(centre: tuple[float, float], disc_radius: float, size: int) -> np.ndarray:
    """Fovea plane ``float32 (size, size)`` in 0..1: a Gaussian, σ half a disc radius, around ``centre`` (x, y) in
    pixels."""
    sigma = max(disc_radius, 1.0) * 0.5
    across, down = (np.exp(-((np.arange(size) + 0.5 - at) ** 2) / (2 * sigma**2)) for at in centre)
    return (down[:, None] * across).astype(np.float32)


def darken_fovea(light: np.ndarray, fovea: np.ndarray) -> np.ndarray:
    """Light ``float32 (3, H, W)`` as a fovea's plane ``(H, W)`` in 0..1 leaves it: darker by :data:`FOVEA_DEPTH` times
    the plane."""
    return light * (1 - FOVEA_DEPTH[:, None, None] * fovea)


def light_shift(anatomy: Anatomy) -> tuple[float, float]:
    """How far (x, y; shares of the side, disc at the left) an eye's light is moved to follow its disc and fovea.

    Nothing for a disc in its usual place, where the light's own components say how it lies; nearly the disc's whole
    displacement far from it, as no photograph shows that; at most :data:`FARTHEST`.
    """
    x = anatomy.disc_x if anatomy.side == "left" else anatomy.size - anatomy.disc_x
    away = np.array([x, anatomy.disc_y]) / anatomy.size - USUAL_DISC
    squared = float(away @ away)
    away = away * squared / (squared + USUAL_SPREAD**2)
    away *= min(1.0, FARTHEST / max(float(np.hypot(*away)), 1e-9))
    return float(away[0]), float(away[1])


def move_light(field: torch.Tensor, shift: tuple[float, float]) -> torch.Tensor:
    """A light ``(3, s, s)`` moved by ``shift`` in its middle and less and less towards the rim."""
    at = (torch.arange(field.shape[-1]) + 0.5) / field.shape[-1]
    y, x = torch.meshgrid(at, at, indexing="ij")
    share = (1 - 4 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)).clamp(min=0) ** 2
    grid = torch.stack([2 * (x - shift[0] * share) - 1, 2 * (y - shift[1] * share) - 1], dim=-1)
    return F.grid_sample(field[None].float(), grid[None], mode="bicubic", padding_mode="border", align_corners=False)[0]


def _shrink(plane: np.ndarray, side: int) -> np.ndarray:
    """Mean over the blocks of a square plane, down to ``side``."""
    block = plane.shape[0] // side
    if block * side != plane.shape[0] or plane.shape[0] != plane.shape[1]:
        raise ValueError(f"light is measured on squares whose side divides by {side}; got {plane.shape}")
    return plane.reshape(side, block, side, block).mean((1, 3))
