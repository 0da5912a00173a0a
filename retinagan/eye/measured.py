"""A photograph's eye: what is measured on a reference photograph and on every training photograph alike."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from retinagan.eye.landmarks import find_disc, find_fovea
from retinagan.eye.light import (
    clear_retina,
    draw_fovea,
    light_field,
    light_shift,
    measure_light,
    move_light,
    project_light,
)
from retinagan.eye.planes import EyePlanes
from retinagan.eye.ridges import as_shares, vesselness
from retinagan.eye.statistics import EyeStatistics
from retinagan.eye.texture import measure_texture, texture_bands, texture_plane, vessel_gain
from retinagan.eye.tone import vessel_tone
from retinagan.maps.anatomy import Anatomy, find_anatomy
from retinagan.maps.field import cut_map, cut_photo, field_square, find_field
from retinagan.maps.labels import OD, check_map, map_with_disc

MIN_SIDE = 64
"""Fewest pixels of a reference's field of view across; a field of fewer shows no light worth taking over."""

MIN_SIDE_WHOLE = 256
"""Fewest pixels across when the vessels are to be taken over too (or the model's own side, if that is less)."""

MIN_CLEAR = 0.05
"""Share of a reference that must be clear retina for its light to be told."""

MAX_LIGHT, MAX_TEXTURE = 3.0, 2.5
"""Standard deviations of the training photographs at which the codes of light and texture are clipped."""

MAX_PIXELS = 50_000_000


@dataclass(frozen=True, eq=False)
class MeasuredEye:
    """An eye as its photograph shows it.

    Attributes:
        photo: ``uint8 (S, S, 3)``, its field the inscribed circle.
        label_map: ``uint8 (S, S)`` of the same pixels.
        anatomy: where the map's disc is, and its side.
        fovea: (x, y) in pixels.
        vessels: ``(S, S)``, the ridge filter's: ``float32`` in 0..1 or, as data sets keep them, ``uint8`` × 255.
        clear: ``bool (S, S)``, where the retina alone is seen.
        light: ``float32 (3, 32, 32)`` in 0..1, the disc at the left.
        texture: ``float32 (6,)``, see ``retinagan.eye.texture.measure_texture``.
    """

    photo: np.ndarray
    label_map: np.ndarray
    anatomy: Anatomy
    fovea: tuple[float, float]
    vessels: np.ndarray
    clear: np.ndarray
    light: np.ndarray
    texture: np.ndarray

    @classmethod
    def of(
        cls,
        photo: np.ndarray,
        label_map: np.ndarray,
        vessels: np.ndarray | None = None,
        fovea: tuple[float, float] | None = None,
    ) -> MeasuredEye:
        """Measure a prepared photograph.

        Args:
            photo: ``uint8 (S, S, 3)``, its field the inscribed circle; S divides by 64.
            label_map: ``uint8 (S, S)``; its lesions are left out of light and texture.
            vessels: ``(S, S)``, if the ridge filter's answer is known: ``float32`` in 0..1, or ``uint8`` × 255.
            fovea: its centre (x, y) in pixels; None: where the map's disc lets one expect it.
        """
        if vessels is None:
            vessels = vesselness(photo, label_map)
        anatomy = find_anatomy(label_map)
        fovea = fovea or (anatomy.fovea_x, anatomy.fovea_y)
        ridges = as_shares(vessels)
        clear = clear_retina(label_map, ridges, fovea=(*fovea, anatomy.disc_radius))
        light = measure_light(photo, clear)
        if anatomy.side == "right":
            light = light[:, :, ::-1]
        texture = measure_texture(photo, label_map, ridges, clear, texture_bands(photo, clear))
        return cls(photo, label_map, anatomy, fovea, vessels, clear, light, texture)

    def tone(self) -> np.ndarray:
        """Tone of the vessels ``float32 (S, S)`` in -1..1 (``retinagan.eye.tone``)."""
        return vessel_tone(self.photo, self.vessels, self.label_map)

    def planes(
        self, code: np.ndarray, mean: np.ndarray, components: np.ndarray, noise: np.ndarray, coarse_slope: float
    ) -> tuple[EyePlanes, np.ndarray]:
        """The guidance that describes this photograph, and what of its texture is made up ``float32 (S, S)``.

        Args:
            code, mean, components: the light by which it is described (``retinagan.eye.light``).
            noise, coarse_slope: of the texture that is hidden (``retinagan.eye.texture.texture_plane``).
        """
        size, anatomy = len(self.photo), self.anatomy
        lights = torch.from_numpy(mean), torch.from_numpy(components)
        light = light_field(torch.from_numpy(code), *lights, size, anatomy.side).numpy()
        fovea = draw_fovea(self.fovea, anatomy.disc_radius, size)
        texture, made = texture_plane(texture_bands(self.photo, self.clear), self.texture, noise, coarse_slope)
        vessels, strength = as_shares(self.vessels), vessel_gain(self.texture)
        return EyePlanes.assembled(light, fovea, vessels, self.tone(), strength, texture), made

    def codes(self, statistics: EyeStatistics) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Light ``(Z,)``, least squares onto the model's components, and texture ``(B,)``, within the model's range."""
        names = ("light_mean", "light_components", "texture_mean", "texture_factor")
        mean, components, texture_mean, factor = (getattr(statistics, name).float().cpu().numpy() for name in names)
        # Where a disc lies off its usual place the light will be moved to follow it, so it is moved back before.
        right, down = light_shift(self.anatomy)
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
) -> MeasuredEye:
    """Measure a fundus photograph of any size; the fovea is the dark spot near where the disc lets one expect it.

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
        own_map = map_with_disc(size, *find_disc(cut, vessels))
    anatomy = find_anatomy(own_map)
    if not anatomy.has_disc:
        raise ValueError(
            "the optic disc of the reference's map lies outside the photograph's square; draw it (class 5)"
        )
    fovea = find_fovea(cut, (anatomy.fovea_x, anatomy.fovea_y), anatomy.disc_radius)
    eye = MeasuredEye.of(cut, own_map, vessels, fovea)
    if eye.clear.mean() < MIN_CLEAR:
        raise ValueError(
            "the reference shows too little clear retina between vessels and lesions to take over its light"
        )
    return eye


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
