"""Is the generated retina as finely structured as the real one? Power spectra, and the grid that upsampling may leave.

Spectra are taken on the central square that lies wholly inside the field (its rim would drown everything), less its
mean, under a Hann window (Harris, Proc. IEEE 66(1), 1978). Networks that upsample leave peaks at multiples of one over
the factor (Odena et al., Distill 2016) and lose or gain power at high frequencies (Durall et al., CVPR 2020).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion, Limit
from retinagan.evaluation.distances import split_halves
from retinagan.evaluation.plots import PLANES as COLOURS
from retinagan.evaluation.plots import REAL, axes
from retinagan.evaluation.report import Result, unreported
from retinagan.eye.light import LUMINANCE

PLANES = ("luminance", "red", "green", "blue")

LOWEST = 4.0
"""Cycles an image from which the radial power counts."""

BANDS_PER_OCTAVE = 3

FINEST = 0.9
"""Share of the Nyquist frequency up to which power is judged; it is reported to the end."""

GRIDS = (2, 4, 8, 16)
"""Periods in pixels at which upsampling may leave a grid."""

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


def bands_to_nyquist(size: int) -> np.ndarray:
    """:func:`bands`, which end at half the Nyquist frequency, and beyond them third-octaves up to it, the last of which
    is cut at :data:`FINEST` of it."""
    finer = size / 4 * 2 ** (np.arange(1, BANDS_PER_OCTAVE) / BANDS_PER_OCTAVE)
    return np.array([*bands(size), *finer, FINEST * size / 2, size / 2])


def radial_power(power: np.ndarray, size: int, edges: np.ndarray | None = None) -> np.ndarray:
    """Mean power in each band: ``(s, s)`` of a photograph of side ``size`` → ``float64 (B,)``.

    Args:
        edges: of the bands, in cycles an image; by default :func:`bands`.
    """
    cycles = _cycles(len(power), size)
    radius = np.hypot(cycles[:, None], cycles[None, :])
    edges = bands(size) if edges is None else edges
    index = np.digitize(radius.ravel(), edges)
    count = len(edges) - 1
    total = np.bincount(index, power.ravel(), minlength=count + 2)[1 : count + 1]
    return total / np.bincount(index, minlength=count + 2)[1 : count + 1]


class Spectra:
    """Spectra of a set of photographs, gathered one by one.

    Attributes:
        radial: a list of ``float64 (4, B)`` a photograph, of :data:`PLANES` and :func:`bands_to_nyquist`, in squared
            units of 0..1.
        power: ``float64 (s, s)``, the mean two-dimensional power of luminance, each photograph's divided by its own
            smooth spectrum, so that every photograph counts alike.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.radial: list[np.ndarray] = []
        self._total: np.ndarray | float = 0.0

    def add(self, photo: np.ndarray) -> None:
        """Take in one photograph, ``uint8 (S, S, 3)``."""
        if photo.shape != (self.size, self.size, 3):
            raise ValueError(f"photograph has shape {photo.shape}; expected {(self.size, self.size, 3)}")
        values = photo.astype(np.float64) / 255
        powers = [power_spectrum(plane) for plane in (values @ LUMINANCE, *np.moveaxis(values, -1, 0))]
        edges = bands_to_nyquist(self.size)
        self.radial.append(np.stack([radial_power(power, self.size, edges) for power in powers]))
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
        return np.asarray(self._total / len(self.radial))

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


@dataclass(frozen=True)
class GridPeak:
    """The highest peak at a grid's frequencies (y, x), in cycles a pixel: power over that around it, in units of the
    same for real photographs."""

    frequency: list[float]
    ratio: float

    @classmethod
    def of(cls, real: np.ndarray, generated: np.ndarray, factor: int) -> GridPeak:
        expected, found = grid_peaks(real, factor), grid_peaks(generated, factor)
        # What is a dip in the real ones by chance makes no peak of what is none.
        ratios = {place: found[place] / max(1, expected[place]) for place in found}
        place = max(ratios, key=lambda one: ratios[one])
        return cls([k / factor for k in place], ratios[place])


@dataclass(frozen=True)
class Spectrum(Result):
    """Power of generated over real photographs.

    Attributes:
        nyquist: the Nyquist frequency, cycles an image.
        edges: of the bands, likewise.
        ratios: by plane and band.
        n: photographs, real and generated.
        real_halves: 5th and 95th percentile of what halves of the real ones differ by, luminance.
        peaks: period in pixels → peak.
    """

    title: ClassVar = "Power, generated over real, by bands of cycles an image"
    nyquist: float
    edges: list[float]
    ratios: dict[str, list[float]]
    n: dict[str, int]
    real_halves: dict[str, list[float]]
    peaks: dict[int, GridPeak]
    power: tuple[np.ndarray, np.ndarray] = unreported(default=())

    @classmethod
    def of(cls, real: Spectra, generated: Spectra) -> Spectrum:
        theirs, ours = real.stack(), generated.stack()
        halves = [
            power_ratios(theirs[a], theirs[b])[0] for a, b in (split_halves(len(theirs), seed) for seed in range(100))
        ]
        power = real.power, generated.power
        return cls(
            nyquist=real.size / 2,
            edges=bands_to_nyquist(real.size).tolist(),
            ratios=dict(zip(PLANES, power_ratios(theirs, ours).tolist(), strict=True)),
            n={"real": len(theirs), "generated": len(ours)},
            real_halves={f"{at} %": np.percentile(halves, at, axis=0).tolist() for at in (5, 95)},
            peaks={factor: GridPeak.of(*power, factor) for factor in GRIDS if len(power[0]) % factor == 0},
            power=power,
        )

    def criteria(self) -> list[Criterion]:
        channels = [name for name in self.ratios if name != "luminance"]
        powers = [
            self._within(criteria.POWER, ["luminance"], 0.5),
            self._within(criteria.FINE_POWER, ["luminance"], FINEST),
            *([self._within(criteria.CHANNEL_POWER, channels, FINEST)] if channels else []),
        ]
        told = ", ".join(
            f"{factor} pixels: {peak.ratio:.2f} at ({peak.frequency[0]:g}, {peak.frequency[1]:g})"
            for factor, peak in self.peaks.items()
        )
        clear = all(criteria.PEAK.met(peak.ratio) for peak in self.peaks.values())
        told_by = self.peaks and (clear or self.n["generated"] >= criteria.ENOUGH_PHOTOS)
        return [*powers, Criterion(criteria.PEAK.name, clear if told_by else None, told or "too small for grids")]

    def _within(self, limit: Limit, planes: list[str], share: float) -> Criterion:
        """Whether the planes' ratios keep to a limit in every band up to a share of the Nyquist frequency."""
        edges = [edge for edge in self.edges if edge <= share * self.nyquist * (1 + 1e-9)]
        met, told = [], []
        for plane in planes:
            ratios = self.ratios[plane][: len(edges) - 1]
            worst = max(range(len(ratios)), key=lambda band: abs(ratios[band] - 1))
            met += [limit.met(ratio) for ratio in ratios]
            told.append(f"{plane} {ratios[worst]:.2f} at {edges[worst]:.0f}-{edges[worst + 1]:.0f}")
        words = f"{sum(met)} of {len(met)} bands from {edges[0]:g} to {edges[-1]:.0f} cycles an image; farthest "
        return Criterion(limit.name, all(met), words + ", ".join(told))

    def pictures(self) -> dict[str, Figure]:
        figure, ((ratios, flat),) = axes(1, 2, 11, 4)
        middles = np.sqrt(np.multiply(self.edges[:-1], self.edges[1:]))
        ratios.axhspan(criteria.POWER.least, criteria.POWER.most, color="#d7ead9", label="accepted")
        ratios.plot(middles, np.transpose([*self.real_halves.values()]), color=REAL, linewidth=0.8, linestyle=":")
        for plane, row in self.ratios.items():
            ratios.plot(middles, row, color=COLOURS[plane], linewidth=2 if plane == "luminance" else 1, label=plane)
        ratios.set(xscale="log", yscale="log", xlabel="cycles an image")
        ratios.set_title("Power, generated over real (dotted: real halves)")
        ratios.axvline(self.nyquist / 2, color="#cccccc", linewidth=0.8)
        ratios.set_xticks([4, 8, 16, 32, 64, 128, 256], minor=False)
        ratios.set_yticks([0.1, 0.2, 0.5, 1, 2])
        for axis in (ratios.xaxis, ratios.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        ratios.legend(fontsize=8)
        real, generated = self.power
        flat.imshow(np.log(np.hstack([real, np.ones((len(real), 4)), generated])), vmin=-1, vmax=1, cmap="gray")
        flat.set(xticks=[], yticks=[])
        flat.set_title("Spectrum over its own smooth course: real, generated\n(a grid would be bright dots)")
        return {"spectrum": figure}
