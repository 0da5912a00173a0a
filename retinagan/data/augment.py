"""How training pictures are varied, for all tasks: whole eyes, and the crops of a batch. What moves, moves together.

The parameters of a whole eye are drawn here, from an explicit ``torch.Generator``, because torchvision's own transforms
draw from the global one; its functional half then applies them to ``tv_tensors``, each interpolated by its kind.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from retinagan.configuration import Field, configuration
from retinagan.maps.labels import BG, VB
from retinagan.maps.parts import field_of_view

MARGIN = 4
"""Pixels around the picture that repeat its rim, for interpolation there."""


@configuration
class AugmentConfig:
    """How much is varied; every value may be 0 (False) for none."""

    rotation: float = Field(default=12.0, ge=0, le=45)
    """Largest rotation in degrees either way. Small: the disc lies on the horizontal."""
    mirror_x: bool = True
    """Mirror left and right (the other eye) in half of the samples."""
    mirror_y: bool = True
    """Mirror up and down in half of the samples."""
    scale: float = Field(default=0.06, ge=0, le=0.5)
    """Largest relative change of size either way."""
    shift: float = Field(default=0.03, ge=0, le=0.25)
    """Largest shift in x and y as a share of the side."""
    brightness: float = Field(default=0.12, ge=0, le=1)
    """Largest relative change of the photo's brightness either way; likewise contrast and saturation."""
    contrast: float = Field(default=0.12, ge=0, le=1)
    saturation: float = Field(default=0.12, ge=0, le=1)
    hue: float = Field(default=0.01, ge=0, le=0.5)
    """Largest turn of the hue in whole turns."""


DEFAULT = AugmentConfig()


class Parameters(NamedTuple):
    """One draw: degrees clockwise, mirrors, scale, shift as shares of the side, colour factors (1: none), hue turn."""

    angle: float
    mirror_x: bool
    mirror_y: bool
    scale: float
    shift_x: float
    shift_y: float
    brightness: float
    contrast: float
    saturation: float
    hue: float


def draw_parameters(config: AugmentConfig, rng: torch.Generator) -> Parameters:
    """The parameters of one sample. Always as many draws, so that changing one option leaves the others' alone."""
    u = (torch.rand(10, generator=rng, dtype=torch.float64) * 2 - 1).tolist()
    return Parameters(
        angle=u[0] * config.rotation,
        mirror_x=config.mirror_x and u[1] > 0,
        mirror_y=config.mirror_y and u[2] > 0,
        scale=math.exp(u[3] * math.log1p(config.scale)),
        shift_x=u[4] * config.shift,
        shift_y=u[5] * config.shift,
        brightness=1 + u[6] * config.brightness,
        contrast=1 + u[7] * config.contrast,
        saturation=1 + u[8] * config.saturation,
        hue=u[9] * config.hue,
    )


def augment(
    photo: torch.Tensor,
    label_map: torch.Tensor,
    vessels: torch.Tensor,
    rng: torch.Generator,
    config: AugmentConfig = DEFAULT,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One sample, varied; the field of view stays the same circle.

    A shifted or shrunken picture is enlarged until it covers the circle, so that nothing has to be made up at its rim.

    Args:
        photo: ``uint8 (3, S, S)``, or float in 0..1.
        label_map: ``uint8 (S, S)`` of classes 0-6; stays of exact classes.
        vessels: ``uint8 (S, S)`` or float.
        rng: on the CPU; the only source of chance.

    Returns:
        The same three, same shapes and dtypes.

    Raises:
        ValueError: shapes that do not belong together.
    """
    size = label_map.shape[-1]
    if photo.shape != (3, size, size) or label_map.shape != (size, size):
        raise ValueError(
            f"photo (3, S, S) and map (S, S) are needed, got {tuple(photo.shape)} and {tuple(label_map.shape)}"
        )
    if vessels.shape != label_map.shape:
        raise ValueError(f"vessels have shape {tuple(vessels.shape)}, their map {tuple(label_map.shape)}")
    from retinagan.data.vision import tv_tensors, v2  # slow to import, and crops need none of it

    p = _covering(draw_parameters(config, rng))
    field = _field(size)
    image = _move(tv_tensors.Image(_beyond_the_rim(photo, MARGIN)), p, size)
    image = v2.functional.adjust_brightness(image, p.brightness)
    image = v2.functional.adjust_contrast(image, p.contrast)
    image = v2.functional.adjust_saturation(image, p.saturation)
    if p.hue:
        image = v2.functional.adjust_hue(image, p.hue)
    moved = _move(tv_tensors.Mask(label_map), p, size).as_subclass(torch.Tensor)
    moved = torch.where(field & (moved == BG), moved.new_tensor(VB), moved)
    moved = torch.where(field, moved, moved.new_tensor(BG))
    vessels = _move(tv_tensors.Image(vessels[None]), p, size).as_subclass(torch.Tensor)[0] * field
    return image.as_subclass(torch.Tensor) * field, moved, vessels


def _covering(p: Parameters) -> Parameters:
    """The draw with the scale that a shifted circle needs to cover the one that stays."""
    return p._replace(scale=max(p.scale, 1 + 2 * math.hypot(p.shift_x, p.shift_y)))


@functools.lru_cache(maxsize=8)
def _field(size: int) -> torch.Tensor:
    return torch.from_numpy(field_of_view(size))


@functools.lru_cache(maxsize=4)
def _rim_index(size: int, margin: int) -> tuple[torch.Tensor, torch.Tensor]:
    """For each pixel of square and margin the (row, column) just inside the rim on its radius, or its own."""
    d = torch.arange(-margin, size + margin, dtype=torch.float64) - size / 2
    radius = torch.hypot(d[:, None], d[None, :]).clamp_min(1e-9)
    pull = ((size / 2 - 2) / radius).clamp_max(1)
    return (d[:, None] * pull + size / 2).round().long(), (d[None, :] * pull + size / 2).round().long()


def _beyond_the_rim(photo: torch.Tensor, margin: int) -> torch.Tensor:
    """The photo with its rim carried on outwards by a few pixels, so that interpolation brings no black into the
    field."""
    rows, columns = _rim_index(photo.shape[-1], margin)
    return photo[:, rows, columns]


def _move(picture: torch.Tensor, p: Parameters, size: int) -> torch.Tensor:
    """A ``tv_tensors`` picture mirrored, turned, scaled and shifted; the middle ``size`` × ``size`` of the result."""
    from retinagan.data.vision import InterpolationMode, tv_tensors, v2

    if p.mirror_x:
        picture = v2.functional.horizontal_flip(picture)
    if p.mirror_y:
        picture = v2.functional.vertical_flip(picture)
    mask = isinstance(picture, tv_tensors.Mask)
    moved = v2.functional.affine(
        picture,
        angle=p.angle,
        translate=[p.shift_x * size, p.shift_y * size],
        scale=p.scale,
        shear=[0.0, 0.0],
        interpolation=InterpolationMode.NEAREST if mask else InterpolationMode.BILINEAR,
        fill=float(BG) if mask else None,
    )
    return v2.functional.center_crop(moved, [size, size])


def crop_window(
    size: int, crop: int, targets: np.ndarray, rng: torch.Generator, margin: int = 0, step: int = 1
) -> tuple[slice, slice]:
    """Rows and columns of a crop; half of the crops lie around one of ``targets``.

    Args:
        size: side of the picture.
        crop: side of the crop, at most ``size``.
        targets: pixels ``int (N, 2)`` of y and x that are worth showing.
        rng: on the CPU; the only source of chance.
        margin: how far other crops keep from the picture's rim, as far as there is room.
        step: corners lie at multiples of it.
    """
    free = size - crop
    if len(targets) and torch.rand((), generator=rng) < 0.5:
        target = targets[int(torch.randint(len(targets), (), generator=rng))]
        corner = target - torch.randint(crop, (2,), generator=rng).numpy()
    else:
        margin = min(margin, free // 2)
        corner = torch.randint(margin, free - margin + 1, (2,), generator=rng).numpy()
    y, x = (np.clip(corner, 0, free) // step * step).tolist()
    return slice(y, y + crop), slice(x, x + crop)


def mirrored(planes: list[torch.Tensor], rng: torch.Generator) -> list[torch.Tensor]:
    """Planes ``(…, H, W)`` of one crop, all mirrored left and right in half of the cases, and so up and down."""
    for axis in (-1, -2):
        if torch.rand((), generator=rng) < 0.5:
            planes = [plane.flip(axis) for plane in planes]
    return planes


def rotation(angle: float) -> np.ndarray:
    """The matrix ``(2, 2)`` that turns by an angle in radians."""
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def turned_photo(photo: np.ndarray, turn: np.ndarray) -> torch.Tensor:
    """A photograph ``uint8 (S, S, 3)`` turned, mirrored or scaled about its middle: ``float32 (3, S, S)`` in 0..1,
    black outside the picture; ``turn`` as in :func:`turned_crop`."""
    size = len(photo)
    window, grid = _crop_grid(size, np.full(2, (size - 1) / 2), turn, size)
    return _sampled(photo[window], grid)


def turned_crop(
    photo: np.ndarray, label_map: np.ndarray, centre: np.ndarray, turn: np.ndarray, crop: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """A turned, mirrored or scaled crop, black and background outside the picture.

    Args:
        photo: ``uint8 (S, S, 3)``.
        label_map: ``uint8 (S, S)``.
        centre: of the crop, y and x in pixels.
        turn: ``(2, 2)``, from the crop's to the picture's directions (x, y).
        crop: side of the crop in pixels.

    Returns:
        The photo ``float32 (3, crop, crop)`` in 0..1 and the map ``float32 (crop, crop)`` of exact classes.
    """
    window, grid = _crop_grid(len(photo), centre, turn, crop)
    classes = torch.from_numpy(label_map[window])[None, None].float()
    kinds = F.grid_sample(classes, grid, mode="nearest", padding_mode="zeros", align_corners=False)[0, 0]
    return _sampled(photo[window], grid), kinds


def _crop_grid(size: int, centre: np.ndarray, turn: np.ndarray, crop: int) -> tuple[tuple[slice, slice], torch.Tensor]:
    """Rows and columns of the pixels under a crop, as only those need be converted and sampled, and where in them the
    crop's pixels lie: ``float32 (1, crop, crop, 2)``, as ``grid_sample`` takes it."""
    middle = (centre[::-1] + 0.5) / size * 2 - 1
    theta = torch.from_numpy(np.concatenate([turn * crop / size, middle[:, None]], 1).astype(np.float32))[None]
    grid = F.affine_grid(theta, [1, 1, crop, crop], align_corners=False)
    low, high = ((corner + 1) * size / 2 for corner in grid.reshape(-1, 2).aminmax(dim=0))
    x0, y0 = ((low - 2).round().long().clamp(0, size - 2)).tolist()
    x1, y1 = (
        max(end, start + 2)
        for end, start in zip((high + 2).round().long().clamp(0, size).tolist(), (x0, y0), strict=True)
    )
    pixels = (grid + 1) * size / 2 - torch.tensor([x0, y0])
    return (slice(y0, y1), slice(x0, x1)), pixels / torch.tensor([x1 - x0, y1 - y0]) * 2 - 1


def _sampled(photo: np.ndarray, grid: torch.Tensor) -> torch.Tensor:
    picture = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]


def relit(photo: torch.Tensor, draws: np.random.Generator) -> torch.Tensor:
    """Other light and another camera: gamma, gain a channel, a slope of light, saturation, contrast, focus, grain.

    Black stays black.

    Args:
        photo: ``float32 (3, H, H)`` in 0..1, as the result.
        draws: the only source of chance.
    """
    field = photo.amax(dim=0, keepdim=True) > 0.02
    gamma = math.exp(draws.uniform(-0.35, 0.35))
    gains = torch.from_numpy(np.exp(draws.uniform(-0.2, 0.2) + draws.uniform(-0.15, 0.15, 3)).astype(np.float32))
    side = photo.shape[-1]
    ramp = torch.linspace(-1, 1, side)
    slope = 1 + draws.uniform(-0.15, 0.15) * ramp[None, :] + draws.uniform(-0.15, 0.15) * ramp[:, None]
    lit = photo.clamp(min=1e-4) ** gamma * gains[:, None, None] * slope
    grey = lit.mean(dim=0, keepdim=True)
    lit = grey + (lit - grey) * math.exp(draws.uniform(-0.3, 0.3))
    mean = (lit * field).sum(dim=(1, 2), keepdim=True) / field.sum().clamp(min=1)
    lit = mean + (lit - mean) * math.exp(draws.uniform(-0.25, 0.25))
    if draws.random() < 0.25:
        lit = torch.lerp(lit, F.avg_pool2d(lit, 3, 1, 1, count_include_pad=False), draws.uniform(-0.7, 0.7))
    if draws.random() < 0.3:
        noise = draws.standard_normal(photo.shape, dtype=np.float32) * draws.uniform(0, 0.02)
        lit = lit + torch.from_numpy(noise.astype(np.float32))
    return lit.float().clamp(0, 1) * field
