"""Where the optic disc and the fovea of a photograph without a map are."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from retinagan.maps.parts import DISC_RADIUS, field_of_view

_SIDE = 128  # the disc is sought on a reduced copy, 24 of its pixels wide
_FINE_SIDE = 256  # and then placed on a finer one
_RADII = (0.080, 0.086, 0.092, 0.098, 0.104)  # shares of the side among which the disc's is chosen
_RING = 1.6  # disc radii out to which the surroundings are compared with the disc
_BACKGROUND = 0.14  # shares of the side
_REACH = (1.2, 4.5)  # disc radii between which vessels must point at the disc
_CERTAIN = 2.5  # standard deviations by which the best place must stand out


def find_disc(photo: np.ndarray, vessels: np.ndarray) -> tuple[float, float, float]:
    """Optic disc of a prepared photograph: centre x, y and radius in pixels.

    The place that is brighter than its surroundings over the size of a disc, in which the vessels around meet: their
    orientation tensor is correlated with that of rays from each place (in the spirit of Foracchia et al., "Detection of
    optic disc in retinal images by means of a geometrical model of vessel structure", IEEE TMI 23(10), 2004). Discs
    lie off the centre, so the centre counts less. Bright lesions have no vessels that point at them. There the circle
    is taken that differs most from the ring around it. On 188 marked discs of IDRiD: two missed, half of the others
    within a tenth of a radius, 95 % within a third.

    Args:
        photo: ``uint8 (S, S, 3)``, its field the inscribed circle.
        vessels: ``float32 (S, S)`` in 0..1, ``retinagan.eye.ridges``.

    Raises:
        ValueError: no place stands out.
    """
    size = photo.shape[0]
    field = field_of_view(_SIDE)
    grey = photo[..., :2].mean(axis=2).astype(np.float32) / 255
    bright = _standardised(_brightness(_shrink(grey, _SIDE) * field, field), field)
    meeting = _standardised(_convergence(_shrink(vessels.astype(np.float32), _SIDE) * field), field)
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
    factor = _FINE_SIDE / _SIDE
    placed = _best_circle(_shrink(grey, _FINE_SIDE), (x + 0.5) * factor, (y + 0.5) * factor)
    return tuple(v * size / _FINE_SIDE for v in placed)


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


def _shrink(plane: np.ndarray, side: int) -> np.ndarray:
    """Mean over blocks, down to ``side``; sides that do not divide are interpolated to the next that does."""
    block = max(1, round(plane.shape[0] / side))
    if plane.shape[0] != block * side:
        plane = ndimage.zoom(plane, block * side / plane.shape[0], order=1, grid_mode=True, mode="nearest")
    return plane.reshape(side, block, side, block).mean(axis=(1, 3))


def _best_circle(grey: np.ndarray, x: float, y: float) -> tuple[float, float, float]:
    """The circle near (x, y) that differs most from the ring around it: centre and radius in pixels of ``grey``."""
    side = len(grey)
    field = field_of_view(side).astype(np.float32)
    # Vessels that cross the disc are filled first.
    filled = ndimage.grey_closing(grey, footprint=np.hypot(*np.mgrid[-4:5, -4:5]) <= 4) * field
    best = (-np.inf, x, y, DISC_RADIUS * side)
    for radius in (share * side for share in _RADII):
        reach = int(np.ceil(radius * _RING))
        distance = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
        disc, ring = distance <= 0.95 * radius, (distance > 1.05 * radius) & (distance <= _RING * radius)
        margin = int(0.9 * DISC_RADIUS * side) + reach
        row, column = int(y), int(x)
        window = tuple(slice(v, v + 2 * margin + 1) for v in (row, column))
        light, weight = (np.pad(plane, margin)[window] for plane in (filled, field))
        inside, seen_inside = _mean_under(disc, light, weight)
        outside, seen_outside = _mean_under(ring, light, weight)
        contrast = np.where((seen_inside > 0.5) & (seen_outside > 0.3), inside - outside, -np.inf)
        at = np.unravel_index(int(contrast.argmax()), contrast.shape)
        if contrast[at] > best[0]:
            half = len(contrast) // 2
            best = (contrast[at], column + at[1] - half + 0.5, row + at[0] - half + 0.5, radius)
    return best[1:]


def _mean_under(mask: np.ndarray, light: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of ``light`` under a mask moved over it, and the share of the mask in which there is any ``weight``."""
    kernel = mask.astype(np.float32)
    seen = _convolved(weight, kernel, "valid")
    return _convolved(light, kernel, "valid") / np.maximum(seen, 1), seen / kernel.sum()


def _convolved(plane: np.ndarray, kernel: np.ndarray, mode: str) -> np.ndarray:
    from scipy.signal import fftconvolve  # slow to import, and most eyes are grown

    return fftconvolve(plane, kernel, mode)


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
    both = [_convolved(a, r[::-1, ::-1], "same") for a, r in zip(along, rays, strict=True)]
    return both[0] + both[1]


def _standardised(values: np.ndarray, field: np.ndarray) -> np.ndarray:
    inside = values[field]
    return (values - inside.mean()) / max(float(inside.std()), 1e-3)
