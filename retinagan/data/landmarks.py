"""Where the optic disc and the fovea of a photograph without a map are."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, signal

from retinagan.labels import DISC_RADIUS, field_of_view

_SIDE = 128  # the disc is sought on a reduced copy, 24 of its pixels wide
_BACKGROUND = 0.14  # shares of the side
_REACH = (1.2, 4.5)  # disc radii between which vessels must point at the disc
_CERTAIN = 2.5  # standard deviations by which the best place must stand out


def find_disc(photo: np.ndarray, vessels: np.ndarray) -> tuple[float, float, float]:
    """Optic disc of a prepared photograph: centre x, y and radius in pixels; the radius is the usual one.

    The place that is brighter than its surroundings over the size of a disc, in which the vessels around meet: their
    orientation tensor is correlated with that of rays from each place (in the spirit of Foracchia et al., "Detection of
    optic disc in retinal images by means of a geometrical model of vessel structure", IEEE TMI 23(10), 2004). Discs
    lie off the centre, so the centre counts less. Bright lesions have no vessels that point at them.

    Args:
        photo: ``uint8 (S, S, 3)``, its field the inscribed circle.
        vessels: ``float32 (S, S)`` in 0..1, ``retinagan.data.vesselness``.

    Raises:
        ValueError: no place stands out.
    """
    size = photo.shape[0]
    field = field_of_view(_SIDE)
    grey = _shrink(photo[..., :2].mean(axis=2).astype(np.float32) / 255, field)
    bright = _standardised(_brightness(grey, field), field)
    meeting = _standardised(_convergence(_shrink(vessels.astype(np.float32), field)), field)
    offset = np.arange(_SIDE) + 0.5 - _SIDE / 2
    across, down = np.abs(offset)[None, :] / _SIDE, offset[:, None] / _SIDE
    # Discs of photographs centred on the macula lie 0.27 ± 0.04 of the side off the centre, half as far in others.
    unlikely = (np.clip(0.2 - across, 0, None) / 0.12) ** 2 + (np.clip(across - 0.36, 0, None) / 0.08) ** 2
    unlikely = unlikely + (np.clip(np.abs(down) - 0.08, 0, None) / 0.1) ** 2
    score = np.where(field, np.minimum(bright, 4) + np.minimum(meeting, 4) - 0.5 * unlikely, -np.inf)
    y, x = np.unravel_index(int(score.argmax()), score.shape)
    if score[y, x] < _CERTAIN:
        raise ValueError(
            "no optic disc found: no place is bright and has vessels that meet in it; give a map of the photograph in "
            "which the disc is drawn"
        )
    return (x + 0.5) * size / _SIDE, (y + 0.5) * size / _SIDE, DISC_RADIUS * size


def find_fovea(photo: np.ndarray, expected: tuple[float, float], disc_radius: float) -> tuple[float, float]:
    """Fovea of a prepared photograph ``uint8 (S, S, 3)``: the darkest spot near the ``expected`` centre (x, y), pixels.

    Green, smoothed to half a disc radius; a place one disc radius off must be darker by a standard deviation.
    Vessels are narrower than the smoothing and lie outside the macula.
    """
    size = photo.shape[0]
    field = field_of_view(size).astype(np.float32)
    green = photo[..., 1].astype(np.float32) * field

    def mean(sigma: float) -> np.ndarray:
        return ndimage.gaussian_filter(green, sigma) / np.maximum(ndimage.gaussian_filter(field, sigma), 1e-3)

    spot = mean(0.45 * disc_radius) - mean(2 * disc_radius)
    y, x = np.ogrid[:size, :size]
    squared = ((x + 0.5 - expected[0]) ** 2 + (y + 0.5 - expected[1]) ** 2) / disc_radius**2
    near = (squared < 1.8**2) & (field > 0)
    if not near.any():
        return expected
    score = np.where(near, spot / max(float(spot[near].std()), 0.5) + 0.5 * squared, np.inf)
    row, column = np.unravel_index(int(score.argmin()), score.shape)
    return float(column) + 0.5, float(row) + 0.5


def _shrink(plane: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Mean over blocks, down to the working side; sides that do not divide are interpolated to the next that does."""
    block = max(1, round(plane.shape[0] / _SIDE))
    if plane.shape[0] != block * _SIDE:
        zoom = block * _SIDE / plane.shape[0]
        plane = ndimage.zoom(plane, zoom, order=1, grid_mode=True, mode="nearest")
    return plane.reshape(_SIDE, block, _SIDE, block).mean(axis=(1, 3)) * field


def _brightness(grey: np.ndarray, field: np.ndarray) -> np.ndarray:
    """How much brighter than its background each place is over the size of a disc."""
    weight = field.astype(np.float32)

    def mean(sigma: float) -> np.ndarray:
        return ndimage.gaussian_filter(grey, sigma) / np.maximum(ndimage.gaussian_filter(weight, sigma), 1e-2)

    return mean(0.6 * DISC_RADIUS * _SIDE) - mean(_BACKGROUND * _SIDE)


def _convergence(vessels: np.ndarray) -> np.ndarray:
    """How much more the vessels around each place run along its rays than across them."""
    smooth = ndimage.gaussian_filter(vessels, 1.0)
    d_y, d_x = np.gradient(smooth)
    # The structure tensor's smaller direction is the vessel's.
    xx, xy, yy = (ndimage.gaussian_filter(p, 1.5) for p in (d_x * d_x, d_x * d_y, d_y * d_y))
    trace = np.maximum(xx + yy, 1e-6)
    along = smooth * (yy - xx) / trace, smooth * (-2 * xy) / trace  # cos 2θ and sin 2θ of the vessel, by strength
    reach = int(np.ceil(_REACH[1] * DISC_RADIUS * _SIDE))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    radius = np.hypot(x, y) / (DISC_RADIUS * _SIDE)
    ring = ((radius > _REACH[0]) & (radius < _REACH[1])) / np.maximum(radius, 1)
    angle = np.arctan2(y, x)
    rays = ring * np.cos(2 * angle), ring * np.sin(2 * angle)
    return sum(signal.fftconvolve(a, r[::-1, ::-1], mode="same") for a, r in zip(along, rays, strict=True))


def _standardised(values: np.ndarray, field: np.ndarray) -> np.ndarray:
    inside = values[field]
    return (values - inside.mean()) / max(float(inside.std()), 1e-3)
