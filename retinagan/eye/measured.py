"""What a reference photograph tells of its eye: light, texture, disc and, asked for, vessels and fovea."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from retinagan.eye.landmarks import find_disc, find_fovea
from retinagan.eye.light import (
    clear_retina,
    light_shift,
    measure_light,
    move_light,
    project_light,
)
from retinagan.eye.ridges import vesselness
from retinagan.eye.statistics import EyeStatistics
from retinagan.eye.texture import measure_texture, texture_bands
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.field import cut_map, cut_photo, field_square, find_field
from retinagan.maps.labels import OD, check_map, map_with_disc

MIN_SIDE = 64
"""Fewest pixels of a reference's field of view across; a field of fewer shows no light worth taking over."""

MIN_SIDE_WHOLE = 256
"""Fewest pixels across when the vessels are to be taken over too (or the model's own side, if that is less)."""

MAX_LIGHT, MAX_TEXTURE = 3.0, 2.5
"""Standard deviations of the training photographs at which the codes of light and texture are clipped."""

MAX_PIXELS = 50_000_000


@dataclass(frozen=True)
class Reference:
    """A reference photograph, measured.

    Attributes:
        photo: ``uint8 (S, S, 3)``, the square cut from it.
        label_map: ``uint8 (S, S)``: the given map, or one with the disc that was found.
        disc: (x, y, radius) in pixels of ``photo``.
        fovea: (x, y) in pixels.
        vessels: ``float32 (S, S)`` in 0..1, the ridge filter's.
        light: ``float32 (3, 32, 32)`` in 0..1, the disc at the left.
        texture: ``float32 (6,)``, see ``retinagan.eye.texture.measure_texture``.
        digest: :func:`photo_digest` of the photograph as it was given.
    """

    photo: np.ndarray
    label_map: np.ndarray
    disc: tuple[float, float, float]
    fovea: tuple[float, float]
    vessels: np.ndarray
    light: np.ndarray
    texture: np.ndarray
    digest: str

    def codes(self, statistics: EyeStatistics) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Light ``(Z,)``, least squares onto the model's components, and texture ``(B,)``, both within the model's
        range."""
        names = ("light_mean", "light_components", "texture_mean", "texture_factor")
        mean, components, texture_mean, factor = (getattr(statistics, name).float().cpu().numpy() for name in names)
        # Where a disc lies off its usual place the light will be moved to follow it, so it is moved back before.
        right, down = light_shift(find_anatomy(self.label_map))
        usual = move_light(torch.from_numpy(np.ascontiguousarray(self.light)), (-right, -down)).numpy()
        light = project_light(usual, mean, components).clip(-MAX_LIGHT, MAX_LIGHT)
        # The pseudo-inverse: a model fitted on one photograph has no spread of textures.
        draw = (np.linalg.pinv(factor) @ (self.texture - texture_mean)).clip(-MAX_TEXTURE, MAX_TEXTURE)
        return tuple(light.tolist()), tuple((texture_mean + factor @ draw).tolist())


def photo_digest(photo: np.ndarray) -> str:
    """SHA-256 of a photograph's shape and pixels: the same for every lossless file of it."""
    height, width = photo.shape[:2]
    return hashlib.sha256(f"{height}x{width}x3:".encode() + np.ascontiguousarray(photo).tobytes()).hexdigest()


def read_reference(
    photo: np.ndarray, size: int, label_map: np.ndarray | None = None, *, least_side: int = MIN_SIDE
) -> Reference:
    """Measure a fundus photograph of any size.

    The field of view is found and its square cut out, as for training. Without a map the disc is found on the
    photograph (``retinagan.eye.landmarks``); lesions then count as retina, which moves the light by 0.15 of 255 levels
    (median of IDRiD's held-out eyes).

    Args:
        photo: ``uint8 (H, W, 3)`` RGB, the field bright on a dark surround.
        size: side S of what is measured, the model's; divisible by 64.
        label_map: ``uint8 (H, W)`` of the same pixels, with the disc; lesions on it are left out of light and texture.
        least_side: fewest pixels of the field across.

    Raises:
        TypeError: not ``uint8`` arrays.
        ValueError: shapes differ, no field of view, too few pixels, no disc, or a map without one (what helps is said).
    """
    _check_photo(photo)
    height, width = photo.shape[:2]
    if label_map is not None:
        check_map(label_map)
        if label_map.shape != (height, width):
            raise ValueError(
                f"the map has shape {label_map.shape}, its photograph {(height, width)}; they show the same pixels"
            )
        if not (label_map == OD).any():
            raise ValueError(
                "the reference's map has no optic disc: its side and fovea follow from it; draw it (class 5)"
            )
    square = field_square(find_field(photo), width, height)
    if square.side < least_side:
        raise ValueError(
            f"the reference's field of view is {square.side:.0f} pixels wide; at least {least_side} are needed"
        )
    cut = cut_photo(photo, square, size)
    own_map = None if label_map is None else cut_map(label_map, square, size)
    vessels = vesselness(cut, own_map)
    if own_map is None:
        x, y, radius = find_disc(cut, vessels)
        own_map = map_with_disc(size, x, y, radius)
    anatomy = find_anatomy(own_map)
    if not anatomy.has_disc:
        raise ValueError(
            "the optic disc of the reference's map lies outside the photograph's square; draw it (class 5)"
        )
    disc = (anatomy.disc_x, anatomy.disc_y, anatomy.disc_radius)
    fovea = find_fovea(cut, (anatomy.fovea_x, anatomy.fovea_y), anatomy.disc_radius)
    clear = clear_retina(own_map, vessels, fovea=(*fovea, anatomy.disc_radius))
    if clear.mean() < 0.05:
        raise ValueError(
            "the reference shows too little clear retina between vessels and lesions to take over its light"
        )
    light = measure_light(cut, clear)
    texture = measure_texture(cut, own_map, vessels, clear, texture_bands(cut, clear))
    if anatomy.side == "right":
        light = light[:, :, ::-1]
    return Reference(cut, own_map, disc, fovea, vessels, light, texture, photo_digest(photo))


def _check_photo(photo: np.ndarray) -> None:
    if not isinstance(photo, np.ndarray) or photo.dtype != np.uint8:
        found = getattr(photo, "dtype", type(photo).__name__)
        raise TypeError(f"a reference photograph is a uint8 array (H, W, 3) of RGB, got {found}")
    if photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"a reference photograph has shape (H, W, 3), got {photo.shape}; convert it to RGB")
    height, width = photo.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise ValueError(f"the reference photograph is {width} × {height} pixels; both sides need {MIN_SIDE} or more")
    if height * width > MAX_PIXELS:
        raise ValueError(f"the reference photograph has {height * width:,} pixels; at most {MAX_PIXELS:,} are read")
