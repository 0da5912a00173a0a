"""What a generated photograph is compared by, beside its pixels: a discriminator, local contrast and mean colour."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from retinagan.eye.light import VESSEL_THRESHOLD
from retinagan.maps.labels import EX, MA, VB

LIGHT_CELL = 32
"""Side in pixels of the cells of :func:`light_difference`; crops divide by it."""

CONTRAST_CELL = 8
"""Side in pixels of the cells in which :func:`band_contrast` measures."""

LESION_CELL = 8
"""Side in pixels of the cells of :func:`lesion_difference`: a microaneurysm lies in one or two of them."""

LESION_UNIT = 0.03
"""Contrast of a usual lesion (8 of 255 levels), the unit of :func:`lesion_difference`."""

GRID, _AROUND = 4, 8
"""Period in pixels of the coarsest grid that :func:`grid_excess` looks for, and how many frequencies around a grid's it
is held against."""


def least_squares(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """The discriminator's loss on its logits: real ones towards 1, generated ones towards 0 (Mao et al., ICCV 2017)."""
    return 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean()


def feature_matching(fake: list[torch.Tensor], real: list[torch.Tensor]) -> torch.Tensor:
    """Mean difference of a discriminator's features of the same pictures, each layer in units of its own size (after
    Wang et al., CVPR 2018)."""
    pairs = [(f.float(), r.float()) for f, r in zip(fake, real, strict=True)]
    layers = [(f - r).abs().mean() / r.abs().mean().clamp(min=1e-3) for f, r in pairs]
    return sum(layers, start=torch.zeros(())) / len(layers)


def band_contrast(photo: torch.Tensor) -> list[torch.Tensor]:
    """Local contrast of photographs ``(N, 3, H, W)`` in two octaves, fine first: ``(N, 3, H/8, W/8)`` each.

    The deviation of the band within cells of 8 pixels, the term that structural similarity (Wang et al., IEEE TIP 2004)
    compares beside the structure. Where a lesion's detail cannot be foretold, L1 alone blurs it; this asks for as much
    of it.
    """
    contrasts = []
    fine = photo
    for _ in range(2):
        coarse = F.avg_pool2d(F.pad(fine, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        cell = CONTRAST_CELL * fine.shape[-1] // photo.shape[-1]
        contrasts.append((F.avg_pool2d((fine - coarse) ** 2, cell) + 1e-6).sqrt())
        fine = F.avg_pool2d(coarse, 2)
    return contrasts


def contrast_difference(fake: torch.Tensor, photo: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean difference in :func:`band_contrast`, each cell by its mean ``weight (N, 1, H, W)``."""
    weight = F.avg_pool2d(weight, CONTRAST_CELL)
    bands = zip(band_contrast(fake), band_contrast(photo), strict=True)
    return torch.stack([((made - real).abs() * weight).mean() for made, real in bands]).sum()


def light_difference(
    photo: torch.Tensor, onehot: torch.Tensor, light: torch.Tensor, vessels: torch.Tensor
) -> torch.Tensor:
    """Mean absolute difference of photographs and their light, both ``(N, 3, H, W)``, over clear retina, in cells of
    :data:`LIGHT_CELL` pixels.

    The light was measured where a real photograph is clear of vessels, lesions, disc and rim; there a generated one
    must have its mean colour, too.
    """
    other = 1 - onehot[:, VB : VB + 1]
    near = F.max_pool2d(torch.maximum(other, (vessels > VESSEL_THRESHOLD).to(other.dtype)), 7, 1, 3)
    clear = 1 - near
    share = F.avg_pool2d(clear, LIGHT_CELL)
    off = F.avg_pool2d((photo - light) * clear, LIGHT_CELL) / share.clamp(min=0.1)
    return (off.abs() * share).sum() / (3 * share.sum()).clamp(min=1)


def lesion_difference(fake: torch.Tensor, photo: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
    """Difference of the mean colours of each class of lesions in cells of :data:`LESION_CELL` pixels, squared up to two
    units (Huber).

    Every cell that holds some of a class counts alike, so that microaneurysms weigh as much as large haemorrhages.
    Means over a lesion are blind to outlines that are a pixel off, and squares ask for the mean of what lesions look
    like, where L1 alone asks for the median at each pixel: that of small ones is next to nothing.
    """
    lesions = onehot[:, EX : MA + 1]
    share = F.avg_pool2d(lesions, LESION_CELL)
    colours = torch.stack([F.avg_pool2d(lesions * plane, LESION_CELL) for plane in (fake - photo).split(1, dim=1)])
    off = colours / share.clamp(min=1e-6) / LESION_UNIT
    held = (share > 0).to(off.dtype)
    return F.huber_loss(off, torch.zeros_like(off), reduction="none", delta=2.0).mean(0).mul(
        held
    ).sum() / held.sum().clamp(min=1)


def grid_excess(photo: torch.Tensor) -> torch.Tensor:
    """How much more power photographs ``(N, 3, S, S)`` have at the frequencies of grids of 2 and :data:`GRID` pixels
    than around them.

    The mean over those frequencies of what is above 1, power being that of the windowed mean of the colours, averaged
    over the photographs. Layers that double the side leave such grids, too faint to be seen and to be told from a few
    crops by a discriminator. Differentiable and for crops; whole photographs are judged by
    ``retinagan.evaluation.spectrum.grid_peaks``. S divides by :data:`GRID`.
    """
    side = photo.shape[-1]
    window = torch.hann_window(side, device=photo.device)
    power = torch.fft.fft2(photo.float().mean(1) * window * window[:, None]).abs() ** 2
    step = side // GRID
    away = torch.arange(-_AROUND, _AROUND + 1, device=photo.device).abs()
    around = torch.maximum(away, away[:, None]) > 2
    excesses = []
    for row in range(GRID):
        for column in range(1 if row == 0 else 0, GRID // 2 + 1):
            there = power.roll((_AROUND - row * step, _AROUND - column * step), (1, 2))[
                :, : 2 * _AROUND + 1, : 2 * _AROUND + 1
            ]
            usual = ((there.detach() * around).sum((1, 2)) / around.sum()).clamp(min=1e-12)
            excesses.append(F.relu((there[:, _AROUND, _AROUND] / usual).mean() - 1))
    return torch.stack(excesses).mean()
