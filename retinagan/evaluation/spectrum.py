"""Is the generated retina as finely structured as the real one? Power spectra, and the grid that upsampling may leave.

Spectra are taken on the central square that lies wholly inside the field (its rim would drown everything), less its
mean, under a Hann window (Harris, Proc. IEEE 66(1), 1978). Networks that upsample leave peaks at multiples of one over
the factor (Odena et al., Distill 2016) and lose or gain power at high frequencies (Durall et al., CVPR 2020).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float64)
"""Of red, green and blue (ITU-R BT.601): the plane whose spectrum is judged."""

PLANES = ("luminance", "red", "green", "blue")

LOWEST = 4.0
"""Cycles an image from which the radial power counts; it ends at half the Nyquist frequency, a quarter of the side."""

BANDS_PER_OCTAVE = 3

TOLERANCE = 0.2
"""The generated power of every band lies within this share of the real power."""

PEAK = 1.5
"""Power at a grid frequency over that around it, in units of the same for real photographs, that makes a peak. The
mean over n photographs scatters by 1/√n."""

ENOUGH = 64
"""Photographs from which chance makes no peak."""

SQUARE = 11 / 16
"""The square's side as a share of the photograph's; the largest below 1/√2 on whose frequencies grids of 2, 4, 8 and
16 pixels fall."""


def central_square(photo: np.ndarray) -> np.ndarray:
    """The part of a photograph ``(S, S, …)`` that spectra are taken on: its central square of 11/16 of the side.

    Raises:
        ValueError: the photograph is not square, or its side does not divide by 16.
    """
    size = photo.shape[0]
    if photo.ndim < 2 or photo.shape[1] != size or size % 16:
        raise ValueError(f"spectra are taken on squares whose side divides by 16; got shape {photo.shape}")
    side = round(size * SQUARE)
    start = (size - side) // 2
    return photo[start : start + side, start : start + side]


def power_spectrum(plane: np.ndarray) -> np.ndarray:
    """Two-dimensional power of a plane, ``(S, S)`` → ``float64 (s, s)``, zero frequency in the middle; s is 11/16 S.

    In squared units of the plane: white noise of variance v has power v everywhere.
    """
    square = central_square(plane).astype(np.float64)
    window = np.hanning(len(square) + 1)[:-1]  # periodic: exact zeros beyond the neighbouring frequency
    window = np.outer(window, window)
    detail = square - (square * window).sum() / window.sum()
    return np.abs(np.fft.fftshift(np.fft.fft2(detail * window))) ** 2 / (window**2).sum()


def bands(size: int) -> np.ndarray:
    """Edges of the bands of a photograph of side ``size``, in cycles an image: third-octaves from 4 to ``size / 4``."""
    octaves = np.log2(size / 4 / LOWEST)
    return LOWEST * 2 ** np.linspace(0, octaves, round(octaves * BANDS_PER_OCTAVE) + 1)


def radial_power(power: np.ndarray, size: int) -> np.ndarray:
    """Mean power in each of :func:`bands`: ``(s, s)`` of a photograph of side ``size`` → ``float64 (B,)``."""
    cycles = _cycles(len(power), size)
    radius = np.hypot(cycles[:, None], cycles[None, :])
    index = np.digitize(radius.ravel(), bands(size))
    count = len(bands(size)) - 1
    total = np.bincount(index, power.ravel(), minlength=count + 2)[1 : count + 1]
    return total / np.bincount(index, minlength=count + 2)[1 : count + 1]


class Spectra:
    """Spectra of a set of photographs, gathered one by one.

    Attributes:
        radial: a list of ``float64 (4, B)`` a photograph, of :data:`PLANES`, in squared units of 0..1.
        power: ``float64 (s, s)``, the mean two-dimensional power of luminance, each photograph's divided by its own
            smooth spectrum, so that every photograph counts alike.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.radial: list[np.ndarray] = []
        self._total = 0.0

    def add(self, photo: np.ndarray) -> None:
        """Take in one photograph, ``uint8 (S, S, 3)``."""
        if photo.shape != (self.size, self.size, 3):
            raise ValueError(f"photograph has shape {photo.shape}; expected {(self.size, self.size, 3)}")
        values = photo.astype(np.float64) / 255
        powers = [power_spectrum(plane) for plane in (values @ LUMINANCE, *np.moveaxis(values, -1, 0))]
        self.radial.append(np.stack([radial_power(power, self.size) for power in powers]))
        self._total = self._total + powers[0] / np.maximum(ndimage.gaussian_filter(powers[0], 6, mode="wrap"), 1e-12)

    @classmethod
    def of(cls, photos: Iterable[np.ndarray], size: int) -> Spectra:
        spectra = cls(size)
        for photo in photos:
            spectra.add(photo)
        return spectra

    def include(self, other: Spectra) -> None:
        """Take in all photographs of another set, of the same size."""
        self.radial += other.radial
        self._total = self._total + other._total

    @property
    def power(self) -> np.ndarray:
        return self._total / len(self.radial)

    def stack(self) -> np.ndarray:
        """``float64 (N, 4, B)``."""
        return np.stack(self.radial)


def power_ratios(real: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Generated over real power a band: ``(N, …, B)``, ``(M, …, B)`` → ``(…, B)``.

    Of geometric means over photographs: power is a product of contrasts and spreads over decades, so that the
    arithmetic mean would be the spectrum of the few most mottled eyes.
    """
    floor = 1e-12
    return np.exp(np.log(generated + floor).mean(0) - np.log(real + floor).mean(0))


def within(ratios: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    """Whether all ratios ``(B,)`` of generated to real power lie within 1 ± ``tolerance``."""
    return bool((np.abs(np.asarray(ratios) - 1) <= tolerance).all())


def grid_peaks(power: np.ndarray, factor: int) -> dict[tuple[int, int], float]:
    """Power at the frequencies of a grid over the power around them, of about the same radius.

    Args:
        power: ``float64 (s, s)``, zero frequency in the middle; s divides by ``factor``.
        factor: pixels of the grid's period; its frequencies are the multiples of one over it in both directions.

    Returns:
        ``{(i, j): ratio}`` for frequency (i, j) / ``factor`` cycles a pixel (y, x), half a plane without zero.

    Raises:
        ValueError: the frequencies do not fall on the spectrum's.
    """
    side = len(power)
    if side % factor:
        raise ValueError(f"a grid of {factor} pixels has no frequency of its own in a square of {side}")
    step = side // factor
    y, x = np.mgrid[-8:9, -8:9]
    away = (np.maximum(abs(y), abs(x)) > 2).astype(bool)
    ratios = {}
    for i in range(-(factor // 2) + 1, factor // 2 + 1):
        for j in range(factor // 2 + 1):
            if (j == 0 or 2 * j == factor) and i < 0 or i == j == 0:
                continue  # the other half of the plane
            rows, columns = (i * step + y), (j * step + x)
            # Around: not the peak itself, not further out or in, not another grid frequency or the low-frequency hill.
            same = np.abs(np.hypot(rows, columns) - np.hypot(i * step, j * step)) <= 2.5
            grid = (np.abs((rows + step // 2) % step - step // 2) <= 2) & (
                np.abs((columns + step // 2) % step - step // 2) <= 2
            )
            around = power[(rows + side // 2) % side, (columns + side // 2) % side]
            ratios[i, j] = float(around[8, 8] / np.median(around[same & away & ~grid]))
    return ratios


def _cycles(side: int, size: int) -> np.ndarray:
    """Frequencies of a spectrum of ``side`` in cycles an image of side ``size``."""
    return np.fft.fftshift(np.fft.fftfreq(side)) * size
