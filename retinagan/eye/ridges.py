"""Where a photograph's vessels are: the guidance that stands in for the grown tree when training on real eyes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from retinagan.maps.labels import EX, HE, MA, check_map
from retinagan.maps.parts import field_of_view, large_parts

_SIGMAS = (1.2, 2.0, 3.0, 4.0)  # all lengths are pixels at 512 and scale with the side
_BACKGROUND, _DEVIATION = 25.0, 40.0
_FAINTEST = 0.02  # local deviations; real photographs have 0.2 and more
_RIM, _LESION_MARGIN, _SPECKLE = 5.0, 3.0, 25.0


def vesselness(photo: np.ndarray, label_map: np.ndarray | None = None) -> np.ndarray:
    """Ridge-filter response of a prepared photograph's vessels.

    Green channel minus its local mean, divided by its local deviation; ridge filter of Sato et al. (Medical Image
    Analysis 2(2), 1998) for dark ridges; zero near the rim and on haemorrhages, microaneurysms and hard exudates, whose
    edges would give rings; stretched between the 80th and the 98.5th percentile of the field; specks that no vessel is
    removed.

    Args:
        photo: ``uint8 (S, S, 3)``, its field the inscribed circle.
        label_map: ``uint8 (S, S)`` of the same eye, or None if its lesions are unknown (then they leave traces).

    Returns:
        ``float32 (S, S)`` in 0..1: 1 is a clear vessel.

    Raises:
        ValueError: the photo is not a square ``uint8`` picture, or the map differs from it in size.
    """
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[0] != photo.shape[1] or photo.shape[2] != 3:
        raise ValueError(f"a prepared photograph is uint8 (S, S, 3), got {photo.dtype} {photo.shape}")
    from skimage.filters import sato  # slow to import, and most eyes are grown

    size = photo.shape[0]
    scale = size / 512
    field = field_of_view(size)
    # Normalised convolution: the black corners must not darken the mean near the rim.
    weight = field.astype(np.float32)
    green = photo[..., 1].astype(np.float32) * weight
    mean = _smooth(green, weight, _BACKGROUND * scale)
    detail = (green - mean) * weight
    deviation = np.sqrt(np.maximum(_smooth(detail**2, weight, _DEVIATION * scale), 1e-6))
    flat = detail / (deviation + 0.5)  # half a grey level: an even field has no vessels to amplify
    ridges = sato(flat, sigmas=[s * scale for s in _SIGMAS], black_ridges=True).astype(np.float32)

    inside = ndimage.distance_transform_edt(np.pad(field, 1))[1:-1, 1:-1] > _RIM * scale
    if label_map is not None:
        check_map(label_map)
        if label_map.shape != (size, size):
            raise ValueError(f"map has shape {label_map.shape}, its photograph {photo.shape[:2]}")
        lesions = np.isin(label_map, (HE, MA, EX))
        if lesions.any():
            inside &= ndimage.distance_transform_edt(~lesions) > _LESION_MARGIN * scale
    ridges *= inside
    low, high = np.percentile(ridges[field], [80, 98.5])
    if high - low < _FAINTEST:
        return np.zeros((size, size), dtype=np.float32)
    response = np.clip((ridges - low) / (high - low), 0, 1) * inside
    return _without_specks(response, _SPECKLE * scale**2)


def as_shares(vessels: np.ndarray) -> np.ndarray:
    """A ridge filter's answer as ``float32`` in 0..1, however it is stored: so, or as ``uint8``, times 255."""
    return vessels.astype(np.float32) / 255 if vessels.dtype == np.uint8 else vessels.astype(np.float32)


def _smooth(values: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    total = ndimage.gaussian_filter(weight, sigma, mode="constant", truncate=3)
    return ndimage.gaussian_filter(values, sigma, mode="constant", truncate=3) / np.maximum(total, 1e-3)


def _without_specks(response: np.ndarray, min_area: float) -> np.ndarray:
    """The response without visible components smaller than ``min_area`` and the faint fringe that only they had."""
    kept = ndimage.binary_dilation(large_parts(response > 0.1, min_area), iterations=2)
    return np.where(kept, response, 0).astype(np.float32)
