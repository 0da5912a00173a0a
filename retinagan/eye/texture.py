"""How clear an eye's photograph is: the retina's mottle and grain, and the contrast of its vessels.

Measured on a photograph as a few logarithms, which belong together (a hazy eye has pale vessels *and* little mottle),
and drawn near those of a training eye for a new one (``retinagan.eye.grown.draw_light_and_texture``). The mottle is
noise of a smooth power spectrum.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from scipy import fft, ndimage

from retinagan.eye.light import LUMINANCE
from retinagan.maps.labels import BG, VB

TEXTURE_SIGMAS = (0.6, 1.2, 2.4, 4.8, 9.6, 19.2)
"""Gaussian widths, in pixels at a side of 512, whose differences are the mottle's bands, fine to coarse."""
TEXTURE_BANDS = len(TEXTURE_SIGMAS) - 1
GRAIN_SIDE = 5
"""Pixels over which a texture plane is averaged to tell mottle from grain."""
TEXTURE_UNIT = 0.03
"""The texture plane is in units of this luminance, so that it is of about unit variance."""
MIDDLE = 0.25
"""Distance from the middle, in sides, up to which a texture's amplitudes are measured: further out light falls
unevenly."""
USUAL, USUAL_OF_NORMAL = 0.8, 1.28155
"""Share of a band's pixels that its amplitude is told by, and the size, in standard deviations, that so many of a
normal variable stay below."""
VESSEL_UNIT = 0.1
"""Contrast of vessels, in green of 0..1, at which the ridge filter's 1 is a guidance plane's 1."""
FAINTEST_VESSELS, CLEAREST_VESSELS = 0.02, 0.25
"""Contrasts are clipped here; IDRiD's training eyes have 0.02 to 0.18."""
ENOUGH_BESIDE = 0.3
"""Share of clear retina within a band's width from which on the band goes on into what is hidden."""
_VESSEL_BAND = (1.0, 10.0)
_VESSEL_MARGIN = 10.0
_FREQUENCIES = np.geomspace(1 / 512, 0.5**0.5, 96)
"""Cycles a pixel, at a side of 512, at which a spectrum is held."""


Bands = list[tuple[np.ndarray, np.ndarray]]


def texture_bands(photo: np.ndarray, clear: np.ndarray) -> Bands:
    """The bands of a photograph's luminance, fine to coarse, each with how well it is known at a pixel.

    Both are ``float32 (S, S)``.

    Where the retina is clear a band is the photograph's own (known: 1); what is hidden it goes on into as far as it is
    coarse.

    Args:
        photo: ``uint8 (S, S, 3)``.
        clear: ``bool (S, S)`` from :func:`retinagan.eye.light.clear_retina`.
    """
    scale = photo.shape[0] / 512
    luminance = photo.astype(np.float32) / 255 @ LUMINANCE
    weight = clear.astype(np.float32)
    blurred = [luminance]
    known = [np.clip(ndimage.distance_transform_edt(clear) / (3 * scale), 0, 1).astype(np.float32)]
    for sigma in TEXTURE_SIGMAS[1:]:
        mass = ndimage.gaussian_filter(luminance * weight, sigma * scale, truncate=3)
        near = ndimage.gaussian_filter(weight, sigma * scale, truncate=3)
        blurred.append(mass / np.maximum(near, 1e-4))
        known.append(np.maximum(known[0], np.clip(near / ENOUGH_BESIDE, 0, 1)))
    return [(fine - coarse, share) for fine, coarse, share in zip(blurred[:-1], blurred[1:], known[:-1], strict=True)]


def measure_texture(
    photo: np.ndarray, label_map: np.ndarray, vessels: np.ndarray, clear: np.ndarray, bands: Bands
) -> np.ndarray:
    """The logarithms that describe a photograph's texture, ``float32 (6,)``: the log-amplitudes of its bands and the
    log of :func:`vessel_contrast`.

    The amplitudes are those of the texture plane's own bands, by plain Gaussians, as :func:`synthesise_texture` gives
    them back. They are told by quantiles: fovea, reflexes and the disc's surroundings stand out of the mottle, and root
    mean squares would make clouds of them.

    Args:
        photo: ``uint8 (S, S, 3)``.
        label_map: ``uint8 (S, S)``.
        vessels: ``float32 (S, S)`` in 0..1, the ridge filter's output.
        clear, bands: as for and from :func:`texture_bands`.
    """
    plane = _known(bands)
    middle = _middle(len(photo))
    for sure in (middle & (bands[0][1] == 1), middle & clear, label_map != BG):
        if sure.any():
            break
    deviations = [np.quantile(np.abs(band[sure]), USUAL) / USUAL_OF_NORMAL for band in _bands(plane)]
    return np.log([*(d + 1e-5 for d in deviations), vessel_contrast(photo, label_map, vessels)]).astype(np.float32)


def texture_plane(
    bands: Bands, logs: np.ndarray, noise: np.ndarray, coarse_slope: float
) -> tuple[np.ndarray, np.ndarray]:
    """Texture plane of a photograph, and what of it is made up: ``float32 (S, S)`` in units of :data:`TEXTURE_UNIT`.

    Where vessels, lesions, disc and rim hide a band, it is ``noise`` of the same amplitudes. So the plane tells nothing
    of them, and is as much of one piece as a drawn one: a network that met coarse noise there would learn to lay the
    neighbourhood's texture over it.

    Args:
        bands, logs: from :func:`texture_bands` and :func:`measure_texture`.
        noise: ``float32 (S, S)`` white noise of unit variance.
        coarse_slope: as for :func:`texture_spectrum`.
    """
    drawn = _bands(synthesise_texture(noise, logs, None, coarse_slope))
    made = sum(band * (1 - known) for band, (_, known) in zip(drawn, bands, strict=True))
    return _known(bands) / TEXTURE_UNIT + made, made


def _known(bands: Bands) -> np.ndarray:
    """What is the photograph's own of its bands."""
    return np.sum([band * known for band, known in bands], axis=0)


def _bands(plane: np.ndarray) -> list[np.ndarray]:
    """The bands of a plane that is known everywhere, fine to coarse."""
    scale = len(plane) / 512
    blurred = [plane, *(ndimage.gaussian_filter(plane, sigma * scale, truncate=3) for sigma in TEXTURE_SIGMAS[1:])]
    return [fine - coarse for fine, coarse in itertools.pairwise(blurred)]


def _middle(side: int) -> np.ndarray:
    """Where light falls evenly, ``bool (side, side)``: not near the rim."""
    at = (np.arange(side) + 0.5) / side - 0.5
    return at[:, None] ** 2 + at**2 < MIDDLE**2


def vessel_contrast(photo: np.ndarray, label_map: np.ndarray, vessels: np.ndarray) -> float:
    """How much darker, in green of 0..1, a clear vessel of this photograph is than the retina beside it.

    The slope of the green channel's band on the ridge filter's, away from lesions, disc and rim; within
    :data:`FAINTEST_VESSELS` and :data:`CLEAREST_VESSELS`, :data:`VESSEL_UNIT` where no vessel is seen. Arguments as in
    :func:`measure_texture`.
    """
    scale = photo.shape[0] / 512
    retina = ndimage.distance_transform_edt(np.pad(label_map == VB, 1))[1:-1, 1:-1] > _VESSEL_MARGIN * scale
    fine, coarse = (s * scale for s in _VESSEL_BAND)
    ridges, green = (
        (ndimage.gaussian_filter(plane, fine) - ndimage.gaussian_filter(plane, coarse))[retina]
        for plane in (vessels.astype(np.float32), photo[..., 1].astype(np.float32) / 255)
    )
    power = float(ridges @ ridges)
    if power < 1e-6 * max(retina.sum(), 1):
        return VESSEL_UNIT
    return float(np.clip(-(ridges @ green) / power, FAINTEST_VESSELS, CLEAREST_VESSELS))


def vessel_gain(logs: np.ndarray) -> float:
    """What the ridge filter's vessels are multiplied by to be a guidance plane, from what :func:`measure_texture`
    returns.

    The filter stretches its answer in every eye alike; times this, a plane tells how clear the vessels are.
    """
    return float(np.clip(np.exp(logs[-1]), FAINTEST_VESSELS, CLEAREST_VESSELS)) / VESSEL_UNIT


def synthesise_texture(noise: np.ndarray, logs: np.ndarray, scale: float | None, coarse_slope: float) -> np.ndarray:
    """Noise ``float32 (S, S)`` of unit variance → texture plane ``float32 (S, S)`` with bands of these amplitudes.

    ``logs`` as from :func:`measure_texture`; ``scale`` is the photograph's side / 512; None: S / 512, the plane being
    that of a whole photograph. As in a photograph's own plane, what is coarser than all bands is left to the light.
    """
    scale = noise.shape[0] / 512 if scale is None else scale
    at, not_light = _spectral_plane(noise.shape, scale)
    power = texture_spectrum(logs[:-1], scale, coarse_slope)
    gain = np.exp(0.5 * np.interp(at, np.log(_FREQUENCIES), power)) * (not_light / TEXTURE_UNIT)
    # Frequencies down the plane come with both signs: 0, 1, … and back to -1.
    rows = np.abs(fft.fftfreq(len(noise), 1 / len(noise))).astype(int)
    spectrum = fft.rfft2(noise.astype(np.float32, copy=False)) * gain.astype(np.float32)[rows]
    return fft.irfft2(spectrum, noise.shape)


@lru_cache(maxsize=4)  # 1 MB each at a side of 512, 4 MB at 1024
def _spectral_plane(shape: tuple[int, int], scale: float) -> tuple[np.ndarray, np.ndarray]:
    """What :func:`synthesise_texture` needs of the frequencies 0, 1, … down and across a plane: their logarithms
    ``float64 (H // 2 + 1, W // 2 + 1)``, and the share of each that is not left to the light."""
    down, across = np.abs(fft.fftfreq(shape[0])[: shape[0] // 2 + 1]), fft.rfftfreq(shape[1])
    frequency = np.hypot(down[:, None], across) * scale
    return np.log(np.maximum(frequency, 1e-6)), 1 - _passed(frequency, TEXTURE_SIGMAS[-1])


def texture_spectrum(log_amplitudes: np.ndarray, scale: float, coarse_slope: float) -> np.ndarray:
    """The smooth power spectrum whose bands have these amplitudes: log power ``float64 (F,)`` at :data:`_FREQUENCIES`.

    On logarithmic scales it is straight between the bands' middles, runs straight on beyond the finest, and falls by
    ``coarse_slope`` before the coarsest. Photographs' power falls steeply, so that a band holds most of it at its
    coarser end: bands of white noise would heap it up at the finer one. The heights are found by fixed-point iteration
    on the bands' variances; what is coarser than all bands (:func:`texture_plane` has none of it) does not count. A
    photograph of ``scale`` times 512 pixels holds frequencies up to half of that.
    """
    wanted = 2 * np.asarray(log_amplitudes, dtype=np.float64)
    fine, coarse = np.array(TEXTURE_SIGMAS[:-1]), np.array(TEXTURE_SIGMAS[1:])
    fine[0] = 0  # the finest band starts at the photograph itself
    responses = (_passed(_FREQUENCIES, fine[:, None]) - _passed(_FREQUENCIES, coarse[:, None])) ** 2
    responses *= (1 - _passed(_FREQUENCIES, coarse[-1])) ** 2
    # Area of each ring of the square of frequencies, in shares of it; beyond its half side only corners are left.
    radius = _FREQUENCIES / scale
    inside, corners = (
        np.pi * np.minimum(radius, 0.5) ** 2,
        np.clip((radius - 0.5) / (0.5**0.5 - 0.5), 0, 1) * (1 - np.pi / 4),
    )
    rings = np.diff(inside + corners, prepend=0)
    middles, at = np.log(band_middles())[::-1], np.log(_FREQUENCIES)

    def joined(heights: np.ndarray) -> np.ndarray:
        last = (heights[-1] - heights[-2]) / (middles[-1] - middles[-2])
        beyond = coarse_slope * np.minimum(at - middles[0], 0) + last * np.maximum(at - middles[-1], 0)
        return np.interp(at, middles, heights) + beyond

    heights = (wanted - np.log(responses @ rings))[::-1]
    for _ in range(20):
        heights = heights + 0.5 * (wanted - np.log(responses @ (rings * np.exp(joined(heights)))))[::-1]
    return joined(heights)


def texture_power(cycles: np.ndarray, size: int, logs: np.ndarray, coarse_slope: float) -> np.ndarray:
    """Log power at ``cycles`` a side of the texture of these ``logs`` in a photograph of this ``size``.

    Up to a number at each that does not depend on the texture.
    """
    power = texture_spectrum(logs[:-1], size / 512, coarse_slope)
    return np.interp(np.log(cycles / 512), np.log(_FREQUENCIES), power)


def band_middles() -> np.ndarray:
    """Frequencies ``float64 (B,)`` in the middle of the bands, fine to coarse, in cycles a pixel at a side of 512."""
    fine, coarse = np.array(TEXTURE_SIGMAS[:-1]), np.array(TEXTURE_SIGMAS[1:])
    fine[0] = 0.4  # the finest band starts at the photograph itself
    return 0.19 / np.sqrt(fine * coarse)


def _passed(frequency: np.ndarray, sigma: np.ndarray | float) -> np.ndarray:
    """What a Gaussian of width ``sigma`` pixels leaves of a frequency in cycles a pixel."""
    return np.exp(-2 * (np.pi * sigma * frequency) ** 2)
