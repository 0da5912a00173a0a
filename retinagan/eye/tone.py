"""How dark a vessel is against others of its calibre: veins are darker than arteries."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from retinagan.eye.ridges import as_shares
from retinagan.maps.labels import BG, OD, VB
from retinagan.maps.parts import EIGHT, connected

CHANNELS = np.array([0.6, 0.4, 0.0], dtype=np.float32)
"""Weights of red and green: red tells oxygenated blood from other, green is the less noisy."""
CORE = 0.25
"""Guidance above this is a vessel's core."""
RANGE = 0.5
"""Relative excess of optical density that counts as a tone of 1."""
_BACKGROUND, _ACROSS, _ALONG = 10.0, 1.5, 14.0  # pixels at 512


def vessel_tone(photo: np.ndarray, vessels: np.ndarray, label_map: np.ndarray) -> np.ndarray:
    """Tone of a photograph's vessels: ``float32 (S, S)`` in -1..1, positive for dark vessels (veins), 0 beside vessels.

    A vessel's optical density, log(retina beside it / its core), over what the eye's vessels of its calibre have
    (medians), less a smooth trend over the field, averaged along each stretch between junctions, so that it is a
    property of the vessel and no noise; times the vessel's guidance, so that it has no edges of its own.

    Args:
        photo: ``uint8 (S, S, 3)``.
        vessels: ``uint8 (S, S)`` or float in 0..1, the ridge filter's answer (``retinagan.eye.ridges``).
        label_map: ``uint8 (S, S)``.

    Raises:
        ValueError: the three differ in size.
    """
    from skimage.morphology import skeletonize  # slow to import, and most eyes are grown

    size = label_map.shape[0]
    if photo.shape != (size, size, 3) or vessels.shape != (size, size):
        raise ValueError(f"photo {photo.shape}, vessels {vessels.shape} and map {label_map.shape} are not of one eye")
    scale = size / 512
    plane = as_shares(vessels)
    core = plane > CORE
    clear = ndimage.distance_transform_edt(np.pad(label_map == VB, 1))[1:-1, 1:-1] > 4 * scale
    beside = clear & (plane < 0.05)
    logs = np.log(photo.astype(np.float32) + 4) @ CHANNELS
    density = _mean(logs, beside, _BACKGROUND * scale) - _mean(logs, core & clear, _ACROSS * scale)

    skeleton = skeletonize(core & (label_map != BG) & (label_map != OD))
    usable = skeleton & clear & (ndimage.gaussian_filter(beside.astype(np.float32), _BACKGROUND * scale) > 0.05)
    if usable.sum() < 50 * scale:
        return np.zeros((size, size), dtype=np.float32)
    radius = _mean(ndimage.distance_transform_edt(core), skeleton, 4 * scale) / scale
    excess = np.zeros((size, size), dtype=np.float32)
    excess[usable] = _without_trend(_excess(density[usable], radius[usable]), np.argwhere(usable) / size - 0.5)

    stretches = _stretches(skeleton)
    count = int(stretches.max()) + 1
    sums = np.bincount(stretches[usable], excess[usable], minlength=count)
    lengths = np.bincount(stretches[usable], minlength=count)
    # Short stretches tell little of themselves: they are drawn to what runs on beside them.
    nearby = _mean(excess, usable, _ALONG * scale)
    trust = lengths / (lengths + 8 * scale)
    means = sums / np.maximum(lengths, 1)
    tone = np.where(usable, trust[stretches] * means[stretches] + (1 - trust[stretches]) * nearby, 0)
    _, (rows, columns) = ndimage.distance_transform_edt(~usable, return_indices=True)
    spread = ndimage.gaussian_filter(np.clip(tone / RANGE, -1, 1)[rows, columns], 1.5 * scale)
    return (spread * plane).astype(np.float32)


def _excess(density: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Density over that of the same calibre, minus 1: medians in bins of the radius, joined by lines."""
    edges = np.quantile(radius, np.linspace(0, 1, 9))
    bins = np.clip(np.searchsorted(edges, radius, side="right") - 1, 0, 7)
    full = [b for b in range(8) if (bins == b).sum() >= 5]
    middle = np.array([np.median(radius[bins == b]) for b in full])
    usual = np.array([np.median(density[bins == b]) for b in full])
    order = np.argsort(middle)
    expected = np.maximum(np.interp(radius, middle[order], usual[order]), 0.02)
    return np.clip(density / expected - 1, -1, 1.5)


def _without_trend(excess: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Excess (P,) at places (P, 2) without what depends on the place alone: pigment, light and focus of the
    periphery."""
    y, x = places.T
    basis = np.stack([np.ones_like(x), x, y, x**2 + y**2], axis=1)
    # A little ridge: an eye that shows few vessels keeps their tones.
    gram = basis.T @ basis + len(basis) * np.diag([0.0, 0.02, 0.02, 0.005])
    return excess - basis @ np.linalg.solve(gram, basis.T @ excess)


def _stretches(skeleton: np.ndarray) -> np.ndarray:
    """Labels ``int (S, S)`` of the skeleton's pieces between junctions; 0 elsewhere."""
    neighbours = ndimage.convolve(skeleton.astype(np.uint8), np.ones((3, 3), np.uint8), mode="constant") - 1
    junction = ndimage.binary_dilation(skeleton & (neighbours >= 3), structure=EIGHT)
    return connected(skeleton & ~junction)[0]


def _mean(values: np.ndarray, where: np.ndarray, sigma: float) -> np.ndarray:
    """Mean of ``values`` where ``where`` holds, around each pixel."""
    weight = where.astype(np.float32)
    total = ndimage.gaussian_filter(weight, sigma, mode="constant")
    return ndimage.gaussian_filter(values.astype(np.float32) * weight, sigma, mode="constant") / np.maximum(total, 1e-4)
