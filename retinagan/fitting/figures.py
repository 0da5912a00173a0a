"""The figures that corrections are fitted by: measured on one eye's photograph, real or generated, then over many eyes.

All lengths are pixels at a side of 512.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from retinagan.evaluation import fovea, spectrum
from retinagan.evaluation.vessels import THRESHOLD, vessel_statistics
from retinagan.eye.light import LUMINANCE, clear_retina
from retinagan.eye.texture import TEXTURE_BANDS, TEXTURE_SIGMAS, band_middles, vessel_contrast
from retinagan.maps.labels import BG, EX, HE, MA
from retinagan.models.spade import GRAIN_SIDE

CHANNELS = ("red", "green", "blue")
NEAR, FAR = (5.0, 10.0), (10.0, 25.0)
"""Distances from lesions between which their surroundings, and the retina to compare with, lie. Nearer, the ridge
filter answers to the lesions' own edges: it finds twice as much in IDRiD's photographs as further out."""
RIM = 8.0
"""Left out at the rim."""
FOVEA = 1.4
"""Radius, in disc radii, within which the fovea's darkness is added up; brightness is told in units of that further
out."""
BAND = 2**0.5
"""A band of texture is judged by the spectrum's bands within this factor of its middle."""

MEASURED = (
    "density", "calibre", "connected", "contrast", "clearness", "near", "near_area", "far", "far_area", "fovea",
    *(f"power_{band}" for band in range(TEXTURE_BANDS)), "coarse",
    *(f"{what}_{channel}" for what in ("grain", "mottle") for channel in CHANNELS),
)  # fmt: skip
"""What :func:`measure` finds on one photograph, in order."""

Rows = dict[str, np.ndarray]
"""One number an eye of each of :data:`MEASURED`; NaN where an eye has none."""


def measure(
    photo: np.ndarray,
    label_map: np.ndarray,
    ridges: np.ndarray,
    centre: Sequence[float],
    disc_radius: float,
    clearness: float | None = None,
) -> np.ndarray:
    """One eye's numbers, ``float64``, in the order of :data:`MEASURED`.

    Args: photo: ``uint8 (S, S, 3)``. label_map: ``uint8 (S, S)``. ridges: ``uint8 (S, S)``, the ridge filter's answer ×
        255. centre: of the fovea, (x, y) in pixels. disc_radius: in pixels. clearness: log of the vessels' contrast
        that the eye was drawn with. None: that of the photograph, which is a real one.
    """
    plane = ridges.astype(np.float32) / 255
    vessels = vessel_statistics(ridges, label_map)
    contrast = float(np.log(vessel_contrast(photo, label_map, plane)))
    quartiles = np.array([vessels["calibre_25"], vessels["calibre_50"], vessels["calibre_75"]])
    clear = clear_retina(label_map, plane, fovea=(centre[0], centre[1], disc_radius))
    return np.array(
        [
            vessels["density"],
            np.log(np.maximum(quartiles, 0.1)).mean(),
            vessels["connected"],
            contrast,
            contrast if clearness is None else clearness,
            *_beside_lesions(plane, label_map),
            _darkness(fovea.profile(photo, label_map, centre, disc_radius)),
            *_powers(photo),
            *_colours(photo, clear),
        ]
    )


def _beside_lesions(plane: np.ndarray, label_map: np.ndarray) -> list[float]:
    """Pixels of vessel, and all pixels, near lesions and further from them."""
    lesions = np.isin(label_map, (HE, MA, EX))
    if not lesions.any():
        return [0.0] * 4
    scale = len(label_map) / 512
    away = ndimage.distance_transform_edt(~lesions) / scale
    field = ndimage.distance_transform_edt(np.pad(label_map != BG, 1))[1:-1, 1:-1] > RIM * scale
    found = []
    for low, high in (NEAR, FAR):
        here = field & (away > low) & (away <= high)
        found += [float((plane > THRESHOLD)[here].sum()), float(here.sum())]
    return found


def _darkness(profile: np.ndarray) -> float:
    """What the fovea takes of its surroundings' luminance, added up over its area, in disc radii squared over 2π."""
    middles = (fovea.RINGS[:-1] + fovea.RINGS[1:]) / 2
    inside = middles < FOVEA
    return float(((1 - profile @ LUMINANCE) * middles)[inside].sum() * np.diff(fovea.RINGS)[0])


def _powers(photo: np.ndarray) -> list[float]:
    luminance = photo.astype(np.float64) / 255 @ LUMINANCE
    power = spectrum.radial_power(spectrum.power_spectrum(luminance), len(photo))
    return band_powers(np.log(power + 1e-12), len(photo))


def cycles(size: int) -> np.ndarray:
    """Middles of the spectrum's bands of a photograph of this side, in cycles an image."""
    edges = spectrum.bands(size)
    return np.sqrt(edges[:-1] * edges[1:])


def band_powers(log_power: np.ndarray, size: int) -> list[float]:
    """Log power in each band of texture, and below the coarsest one over that in it; NaN beyond the photograph's.

    ``log_power`` is given at :func:`cycles`.
    """
    at, powers = cycles(size), []
    for middle in 512 * band_middles():
        within = (at > middle / BAND) & (at < middle * BAND)
        powers.append(float(log_power[within].mean()) if within.any() else np.nan)
    below = at < 512 * band_middles()[-1] / BAND**0.5
    return [*powers, float(log_power[below].mean()) - powers[-1] if below.any() else np.nan]


def _colours(photo: np.ndarray, clear: np.ndarray) -> list[float]:
    """Logs of how far grain and mottle swing in red, green and blue: grain in units of its luminance's swing; mottle in
    units of what it would in the light's colour, the geometric mean of what goes with luminance and of all."""
    scale = len(photo) / 512
    values, weight = photo.astype(np.float32) / 255, clear.astype(np.float32)

    def smooth(blur: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        mass = np.maximum(blur(weight), 1e-3)
        return np.stack([blur(values[..., channel] * weight) / mass for channel in range(3)], axis=-1)

    fine = smooth(lambda plane: ndimage.uniform_filter(plane, GRAIN_SIDE))
    coarse = smooth(lambda plane: ndimage.gaussian_filter(plane, TEXTURE_SIGMAS[-1] * scale, truncate=3))
    if clear.sum() < 100:
        return [np.nan] * 6
    grain, mottle, light = (values - fine)[clear], (fine - coarse)[clear], coarse[clear].mean(0)
    along, swing = _swings(mottle)
    mixed = np.sqrt(np.maximum(along, 0.01) * swing) * (light @ LUMINANCE) / np.maximum(light, 0.01)
    return [*np.log(np.maximum(_swings(grain)[0], 0.01)), *np.log(np.maximum(mixed, 0.01))]


def _swings(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of values ``(P, 3)``, in units of their luminance's swing: what goes with it, and the whole standard
    deviation."""
    luminance = pixels @ LUMINANCE
    power = max(float(luminance @ luminance), 1e-9)
    return luminance @ pixels / power, np.sqrt((pixels**2).sum(0) / power)


@dataclass(frozen=True)
class Figure:
    """One figure of many eyes."""

    name: str
    of: Callable[[Rows], float]
    log: bool = False
    """Whether it is a logarithm; it is printed as the number itself."""


def _median(name: str) -> Callable[[Rows], float]:
    return lambda rows: float(np.nanmedian(rows[name])) if np.isfinite(rows[name]).any() else np.nan


def _mean(name: str) -> Callable[[Rows], float]:
    return lambda rows: float(np.nanmean(rows[name])) if np.isfinite(rows[name]).any() else np.nan


def _slope(name: str) -> Callable[[Rows], float]:
    """Of a number on the eye's clearness."""

    def slope(rows: Rows) -> float:
        x, y = rows["clearness"], rows[name]
        good = np.isfinite(x) & np.isfinite(y)
        if good.sum() < 3 or np.ptp(x[good]) < 1e-6:
            return np.nan
        return float(np.polyfit(x[good], y[good], 1)[0])

    return slope


def _paler(rows: Rows) -> float:
    """Mean log of the contrast found over that which the eye was drawn with; 0 for real eyes."""
    return float(np.mean(rows["contrast"] - rows["clearness"]))


def _near(rows: Rows) -> float:
    near, area, far, far_area = (rows[name].sum() for name in ("near", "near_area", "far", "far_area"))
    return float(near / area / (far / far_area)) if area and far else np.nan


FIGURES = (
    Figure("vessel density", _median("density")),
    Figure("vessel calibre", _median("calibre"), log=True),
    Figure("largest component", _median("connected")),
    Figure("vessel contrast", _paler, log=True),
    Figure("contrast by clearness", _slope("contrast")),
    Figure("calibre by clearness", _slope("calibre")),
    Figure("density beside lesions", _near),
    Figure("darkness of the fovea", _median("fovea")),
    *(Figure(f"power of band {band}", _mean(f"power_{band}"), log=True) for band in range(TEXTURE_BANDS)),
    Figure("power below the bands", _mean("coarse"), log=True),
    *(
        Figure(f"{what} in {channel}", _median(f"{what}_{channel}"), log=True)
        for what in ("grain", "mottle")
        for channel in CHANNELS
    ),
)
"""The figures of real and of generated eyes that a fit makes agree."""


def figures(rows: np.ndarray) -> np.ndarray:
    """All :data:`FIGURES` of eyes measured as ``float64 (N, M)``: ``float64 (F,)``, NaN where there is nothing to
    tell."""
    columns = dict(zip(MEASURED, rows.T, strict=True))
    return np.array([figure.of(columns) for figure in FIGURES])
