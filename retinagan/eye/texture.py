"""How clear an eye's photograph is: the retina's mottle and grain, and the contrast of its vessels.

Measured on a photograph as a few logarithms, which follow a normal distribution together (a hazy eye has pale vessels *and* little
mottle), and drawn from it for a new eye. The mottle is noise of a smooth power spectrum.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from retinagan.labels import BG, VB

TEXTURE_SIGMAS = (0.6, 1.2, 2.4, 4.8, 9.6, 19.2)
"""Gaussian widths, in pixels at a side of 512, whose differences are the mottle's bands, fine to coarse."""
TEXTURE_BANDS = len(TEXTURE_SIGMAS) - 1
TEXTURE_UNIT = 0.03
"""The texture plane is in units of this luminance, so that it is of about unit variance."""
LUMINANCE = np.array([0.25, 0.65, 0.10], dtype=np.float32)
LIGHT_WIDTH = 32.0
"""Gaussian width in pixels at 512 up to which the texture's power is full; what is slower the light shows (``measure_light``)."""
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
    """The bands of a photograph's luminance, fine to coarse, each with how well it is known at a pixel: ``float32 (S, S)`` twice.

    Where the retina is clear a band is the photograph's own (known: 1); what is hidden it goes on into as far as it is coarse.

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
    """The logarithms that describe a photograph's texture, ``float32 (6,)``: the log-amplitudes of its bands (root mean squares, weighted
    to the middle, as the rim's light would dominate them) and the log of :func:`vessel_contrast`.

    Args:
        photo: ``uint8 (S, S, 3)``.
        label_map: ``uint8 (S, S)``.
        vessels: ``float32 (S, S)`` in 0..1, the ridge filter's output.
        clear, bands: as for and from :func:`texture_bands`.
    """
    usable = clear if clear.any() else label_map != BG
    share = _towards_the_middle(len(photo))[usable] + 1e-9
    share /= share.sum()
    deviations = [np.sqrt(share @ band[usable] ** 2) for band, _ in bands]
    return np.log([*(d + 1e-5 for d in deviations), vessel_contrast(photo, label_map, vessels)]).astype(np.float32)


def texture_plane(bands: Bands, logs: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Texture plane of a photograph, and what of it is made up: ``float32 (S, S)`` in units of :data:`TEXTURE_UNIT`.

    Where vessels, lesions, disc and rim hide a band, it is ``noise`` of the same amplitudes. So the plane tells nothing of them, and is as
    much of one piece as a drawn one: a network that met coarse noise there would learn to lay the neighbourhood's texture over it.

    Args:
        bands, logs: from :func:`texture_bands` and :func:`measure_texture`.
        noise: ``float32 (S, S)`` white noise of unit variance.
    """
    scale = len(noise) / 512
    drawn = synthesise_texture(noise, logs)
    blurred = [drawn, *(ndimage.gaussian_filter(drawn, sigma * scale, truncate=3) for sigma in TEXTURE_SIGMAS[1:])]
    shares = [share for _, share in bands]
    made = sum((fine - coarse) * (1 - share) for fine, coarse, share in zip(blurred[:-1], blurred[1:], shares, strict=True))
    return sum(band * share for band, share in bands) / TEXTURE_UNIT + made, made


def _towards_the_middle(side: int) -> np.ndarray:
    """Weights ``float32 (side, side)``, 1 in the middle and 0 from the rim on."""
    at = (np.arange(side) + 0.5) / side - 0.5
    return np.clip(1 - 4 * (at[:, None] ** 2 + at**2), 0, None).astype(np.float32) ** 2


def vessel_contrast(photo: np.ndarray, label_map: np.ndarray, vessels: np.ndarray) -> float:
    """How much darker, in green of 0..1, a clear vessel of this photograph is than the retina beside it.

    The slope of the green channel's band on the ridge filter's, away from lesions, disc and rim; within
    :data:`FAINTEST_VESSELS` and :data:`CLEAREST_VESSELS`, :data:`VESSEL_UNIT` where no vessel is seen. Arguments as in :func:`measure_texture`.
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
    """What the ridge filter's vessels are multiplied by to be a guidance plane, from what :func:`measure_texture` returns.

    The filter stretches its answer in every eye alike; times this, a plane tells how clear the vessels are.
    """
    return float(np.clip(np.exp(logs[-1]), FAINTEST_VESSELS, CLEAREST_VESSELS)) / VESSEL_UNIT


def synthesise_texture(noise: np.ndarray, logs: np.ndarray, scale: float | None = None) -> np.ndarray:
    """Noise ``float32 (S, S)`` of unit variance → texture plane ``float32 (S, S)`` with bands of these amplitudes.

    ``logs`` as from :func:`measure_texture`; ``scale`` is the photograph's side / 512; None: S / 512, the plane being that of a whole
    photograph. What the light shows is left out, in power: light and texture are drawn independently, so that their powers add up.
    """
    scale = noise.shape[0] / 512 if scale is None else scale
    down, across = np.fft.fftfreq(noise.shape[0]), np.fft.rfftfreq(noise.shape[1])
    frequency = np.hypot(down[:, None], across) * scale
    gain = np.exp(0.5 * np.interp(np.log(np.maximum(frequency, 1e-6)), np.log(_FREQUENCIES), texture_spectrum(logs[:-1], scale)))
    gain *= np.sqrt(1 - _passed(frequency, LIGHT_WIDTH) ** 2) / TEXTURE_UNIT
    return np.fft.irfft2(np.fft.rfft2(noise) * gain, noise.shape).astype(np.float32)


def texture_spectrum(log_amplitudes: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """The smooth power spectrum whose bands have these amplitudes: log power ``float64 (F,)`` at :data:`_FREQUENCIES`.

    On logarithmic scales it is straight between the bands' middles and runs straight on beyond them. Photographs' power falls steeply, so
    that a band holds most of it at its coarser end: bands of white noise would heap it up at the finer one. The heights
    are found by fixed-point iteration on the bands' variances. A photograph of ``scale`` times 512 pixels holds frequencies up to half of that.
    """
    wanted = 2 * np.asarray(log_amplitudes, dtype=np.float64)
    fine, coarse = np.array(TEXTURE_SIGMAS[:-1]), np.array(TEXTURE_SIGMAS[1:])
    fine[0] = 0  # the finest band starts at the photograph itself
    responses = (_passed(_FREQUENCIES, fine[:, None]) - _passed(_FREQUENCIES, coarse[:, None])) ** 2
    # Area of each ring of the square of frequencies, in shares of it; beyond its half side only corners are left.
    radius = _FREQUENCIES / scale
    inside, corners = np.pi * np.minimum(radius, 0.5) ** 2, np.clip((radius - 0.5) / (0.5**0.5 - 0.5), 0, 1) * (1 - np.pi / 4)
    rings = np.diff(inside + corners, prepend=0)
    middles, at = np.log(0.19 / np.sqrt(np.maximum(fine, 0.4) * coarse))[::-1], np.log(_FREQUENCIES)

    def joined(heights: np.ndarray) -> np.ndarray:
        first, last = ((heights[k + 1] - heights[k]) / (middles[k + 1] - middles[k]) for k in (0, -2))
        beyond = first * np.minimum(at - middles[0], 0) + last * np.maximum(at - middles[-1], 0)
        return np.interp(at, middles, heights) + beyond

    heights = (wanted - np.log(responses @ rings))[::-1]
    for _ in range(20):
        heights = heights + 0.5 * (wanted - np.log(responses @ (rings * np.exp(joined(heights)))))[::-1]
    return joined(heights)


def _passed(frequency: np.ndarray, sigma: np.ndarray | float) -> np.ndarray:
    """What a Gaussian of width ``sigma`` pixels leaves of a frequency in cycles a pixel."""
    return np.exp(-2 * (np.pi * sigma * frequency) ** 2)
