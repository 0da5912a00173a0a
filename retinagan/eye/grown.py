"""The eye that a style seed makes: vessels grown from the map's disc, a fovea, light and texture.

A map says what is diseased; the eye says whose eye it is. :func:`make_eye` turns a map and a seed into the guidance
planes of the photo generator, deterministically.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from retinagan.eye.light import draw_fovea, light_field, light_shift
from retinagan.eye.planes import EyePlanes
from retinagan.eye.statistics import EyeCorrections, EyeStatistics
from retinagan.eye.texture import synthesise_texture, vessel_gain
from retinagan.eye.tree.rasterise import grow_vessels, grow_vessels_and_tone
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import EX, HE, MA, enlarged_map
from retinagan.maps.parts import dilated

NEARNESS = 0.9
"""How near a new eye's light and texture lie to those of the training eye that they are drawn from: their
correlation."""
MAX_TEXTURE = 2.0
"""Standard deviations at which the noise on the logarithms of a new eye's texture is clipped."""
NOISE_SIDE = 512
"""Side at which an eye's noise is drawn; larger and smaller eyes have the same, finer or coarser."""


@dataclass(frozen=True, eq=False)
class GrownEye:
    """The planes of a new eye, with its vessels whole (:func:`hidden_by_lesions`), and its light's whitened code
    ``(Z,)``. Of the map they depend on the disc and the field alone."""

    planes: EyePlanes
    code: torch.Tensor


def eye_seed(seed: int) -> int:
    """The vascular tree's seed of a style seed: independent of what else the style seed draws."""
    generator = torch.Generator().manual_seed(seed)
    return int(torch.randint(2**62, (), generator=generator))


def draw_macula(centre: tuple[float, float], disc_radius: float, size: int, corrections: EyeCorrections) -> np.ndarray:
    """The plane ``float32 (size, size)`` in 0..1 by which a new eye's light is darkened: the fovea's, corrected in
    width."""
    return draw_fovea(centre, corrections.macula * disc_radius, size)


def visible_vessels(label_map: np.ndarray, seed: int, corrections: EyeCorrections, enlarged: int = 1) -> np.ndarray:
    """The grown tree, ``float32 (S, S)`` in 0..1, without what lesions cover (:func:`without_lesions`); drawn on a map
    that is ``enlarged`` so many times, it is the same tree."""
    vessels = grow_vessels(label_map, seed, corrections, enlarged)
    return without_lesions(vessels, enlarged_map(label_map, enlarged), corrections.lesion_margin)


def grown_strength(logs: np.ndarray, corrections: EyeCorrections) -> float:
    """What a grown tree's vessels are multiplied by in an eye as clear as ``logs`` (``retinagan.eye.texture``) say."""
    return corrections.grown_strength * vessel_gain(logs) ** corrections.grown_clearness


def new_texture(
    noise: np.ndarray, logs: np.ndarray, corrections: EyeCorrections, scale: float | None = None
) -> np.ndarray:
    """The texture plane of a new eye of these ``logs``: as :func:`retinagan.eye.texture.synthesise_texture`, its bands
    corrected."""
    left = np.log([*corrections.texture_left, 1.0])
    return synthesise_texture(noise, logs + left, scale, corrections.coarse_slope)


def hidden_by_lesions(label_map: np.ndarray, margin: float) -> np.ndarray:
    """Where no vessel is shown, ``bool (H, W)``: within ``margin`` pixels of a haemorrhage, microaneurysm or hard
    exudate.

    The ridge filter is blind there (``retinagan.eye.ridges``), so the photo generator has learned to draw a vessel's
    way through a lesion by itself; the tree below stays the same.
    """
    lesions = np.isin(label_map, (HE, MA, EX))
    return dilated(lesions, margin) if lesions.any() else lesions


def without_lesions(vessels: np.ndarray, label_map: np.ndarray, margin: float) -> np.ndarray:
    """A vessel plane ``float32 (S, S)`` in 0..1, or several ``(N, S, S)``, without what :func:`hidden_by_lesions`
    hides; ``margin`` is in pixels at a side of 512."""
    hidden = hidden_by_lesions(label_map, margin * label_map.shape[0] / 512)
    return np.where(hidden, np.float32(0), vessels)


@dataclass(frozen=True)
class EyeDraws:
    """What a style seed draws before it sees a map: the tree's seed and the whitened code of ``light (Z,)`` and
    ``texture (B,)`` (``retinagan.eye.texture``); ``generator`` goes on with the texture's noise."""

    tree_seed: int
    light: torch.Tensor
    texture: torch.Tensor
    generator: torch.Generator


def draw_eye(seed: int, statistics: EyeStatistics, latent_std: float = 0.8) -> EyeDraws:
    """The draws of a style seed; arguments as in :func:`make_eye`."""
    generator = torch.Generator().manual_seed(seed)
    tree_seed = int(torch.randint(2**62, (), generator=generator))  # the first draw, as in eye_seed
    light, texture = draw_light_and_texture(statistics, generator)
    return EyeDraws(tree_seed, light * latent_std, texture, generator)


def draw_light_and_texture(statistics: EyeStatistics, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A new eye's whitened light ``(K,)`` and its texture's logarithms ``(B,)``: near those of one training eye, as
    varied as theirs.

    A smoothed bootstrap that keeps the covariance (Silverman and Young, Biometrika 74(3), 1987): lights are no normal
    cloud, so that a sum of independent components is a patchwork that no photograph shows; and a bright eye is a clear
    one.
    """
    codes, logs, mean, factor = (
        buffer.float().cpu()
        for buffer in (
            statistics.light_codes,
            statistics.texture_logs,
            statistics.texture_mean,
            statistics.texture_factor,
        )
    )
    near = int(torch.randint(len(codes), (), generator=generator))
    rest = (1 - NEARNESS**2) ** 0.5
    light = NEARNESS * codes[near] + rest * torch.randn(codes.shape[1], generator=generator)
    draw = torch.randn(len(mean), generator=generator).clamp(-MAX_TEXTURE, MAX_TEXTURE)
    return light, mean + NEARNESS * (logs[near] - mean) + rest * (factor @ draw)


def draw_noise(size: int, generator: torch.Generator) -> torch.Tensor:
    """White noise ``float32 (size, size)``; at :data:`NOISE_SIDE` times a power of two that of the other such sizes,
    only finer or coarser: means over blocks are the smaller field (times 2), as white noise asks for."""
    side = NOISE_SIDE
    factor, rest = divmod(max(size, side), min(size, side))
    if rest or factor & (factor - 1):
        return torch.randn(size, size, generator=generator)
    noise = torch.randn(side, side, generator=generator)
    while side > size:
        side //= 2
        noise = F.avg_pool2d(noise[None], 2)[0] * 2
    while side < size:
        side *= 2
        finer = torch.randn(side, side, generator=generator)
        difference = noise / 2 - F.avg_pool2d(finer[None], 2)[0]
        noise = finer + difference.repeat_interleave(2, 0).repeat_interleave(2, 1)
    return noise


def make_eye(
    label_map: np.ndarray,
    seed: int,
    statistics: EyeStatistics,
    corrections: EyeCorrections,
    latent_std: float = 0.8,
    *,
    light: torch.Tensor | None = None,
    texture: torch.Tensor | None = None,
    vessels: np.ndarray | None = None,
    tone: np.ndarray | None = None,
    fovea: tuple[float, float] | None = None,
) -> GrownEye:
    """The eye of a style seed for a map.

    Args:
        label_map: ``uint8 (S, S)``.
        seed: style seed, 0 … 2⁶³-1.
        statistics: of the photo generator, on any device.
        corrections: of the photo generator.
        latent_std: factor on the light's whitened code.
        light, texture, vessels, tone, fovea: what replaces the seed's own, as a reference photograph or another style
            gives it: the light's whitened code ``(Z,)``, the texture's logarithms ``(B,)``, a vessel plane
            ``float32 (S, S)`` in 0..1 with the vessels' tone ``float32 (S, S)`` in -1..1 (None: all of one) and the
            fovea's centre in pixels. All else stays the seed's.

    Every draw comes from one CPU generator seeded with ``seed``, so an eye is the same on every device and in every
    batch.
    """
    size = label_map.shape[0]
    draws = draw_eye(seed, statistics, latent_std)
    noise = draw_noise(size, draws.generator)
    code = draws.light if light is None else light
    logs = (draws.texture if texture is None else texture).numpy()
    mean, components = statistics.light_mean.float().cpu(), statistics.light_components.float().cpu()
    anatomy = find_anatomy(label_map)
    if vessels is None:
        vessels, tone = grow_vessels_and_tone(label_map, draws.tree_seed, corrections)
        strength = grown_strength(logs, corrections)
    else:
        tone = np.zeros_like(vessels) if tone is None else tone
        strength = vessel_gain(logs)
    field = light_field(code, mean, components, size, anatomy.side, light_shift(anatomy)).numpy()
    macula = draw_macula(fovea or (anatomy.fovea_x, anatomy.fovea_y), anatomy.disc_radius, size, corrections)
    shown = new_texture(noise.numpy(), logs, corrections)
    return GrownEye(EyePlanes.assembled(field, macula, vessels, tone, strength, shown), code)
