"""Do generated photographs have the colours of real ones? The mean colour of each, and histograms of channels.

A distance between two sets of photographs says nothing by itself: it is compared with that between two halves of the
real ones, of the same n and of the same mix of grades (:func:`retinagan.evaluation.distances.compare`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import wasserstein_distance
from skimage.color import rgb2lab

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.distances import Comparison, compare
from retinagan.evaluation.plots import GENERATED, PLANES, REAL, axes
from retinagan.evaluation.report import Result, unreported
from retinagan.maps.parts import field_of_view

MEANS = ("L*", "a*", "b*")
CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True)
class Colours:
    """Colours of N photographs inside their field.

    Attributes:
        means: ``float64 (N, 3)``, the mean L*, a* and b* (CIELAB, D65) of each photograph.
        histograms: ``float64 (N, 3, 256)``, the share of its pixels at each level of red, green and blue.
    """

    means: np.ndarray
    histograms: np.ndarray

    def __len__(self) -> int:
        return len(self.means)

    def __getitem__(self, chosen: np.ndarray) -> Colours:
        return Colours(self.means[chosen], self.histograms[chosen])


def measure_colours(photos: Sequence[np.ndarray]) -> Colours:
    """Photographs ``uint8 (S, S, 3)`` → their :class:`Colours`."""
    means, histograms = [], []
    for photo in photos:
        pixels = photo[field_of_view(photo.shape[0])]
        means.append(rgb2lab(pixels[::7] / 255).mean(0))  # every seventh: the mean of thousands moves by hundredths
        histograms.append([np.bincount(pixels[:, c], minlength=256) / len(pixels) for c in range(3)])
    return Colours(np.array(means), np.array(histograms))


def mean_distance(component: int) -> Callable[[Colours, Colours], float]:
    """Wasserstein distance between the photographs' mean L*, a* or b* (0, 1, 2), in units of CIELAB."""
    return lambda a, b: float(wasserstein_distance(a.means[:, component], b.means[:, component]))


def channel_distance(channel: int) -> Callable[[Colours, Colours], float]:
    """Wasserstein distance between the pooled pixels of red, green or blue (0, 1, 2), in levels of 0..255."""

    def distance(a: Colours, b: Colours) -> float:
        difference = a.histograms[:, channel].mean(0) - b.histograms[:, channel].mean(0)
        return float(np.abs(np.cumsum(difference)).sum())

    return distance


@dataclass(frozen=True)
class Colour(Result):
    """Distances of photographs' mean L*, a*, b* and of the pixels' channels to real ones; ``mean_std`` of the former
    over photographs: of real and of generated ones."""

    title: ClassVar = "Colour, distance to real"
    distances: dict[str, Comparison]
    mean_std: dict[str, dict[str, list[float]]]
    real: Colours = unreported()
    generated: Colours = unreported()

    @classmethod
    def of(cls, real: Colours, generated: Colours, eyes: np.ndarray) -> Colour:
        distances = {name: mean_distance(place) for place, name in enumerate(MEANS)}
        distances |= {name: channel_distance(place) for place, name in enumerate(CHANNELS)}
        spread = {
            name: {
                who: [float(of.means[:, place].mean()), float(of.means[:, place].std())]
                for who, of in (("real", real), ("generated", generated))
            }
            for place, name in enumerate(MEANS)
        }
        compared = {name: compare(distance, real, generated, eyes) for name, distance in distances.items()}
        return cls(compared, spread, real, generated)

    def criteria(self) -> list[Criterion]:
        listed = []
        for name, spread in self.mean_std.items():
            row = self.distances[name]
            told = ", ".join(f"{mean:.1f} ± {std:.1f} {who}" for who, (mean, std) in spread.items())
            found = criteria.COLOUR.judge(row.ratio, f"{row.ratio:.2f} (n {row.n}); {told}")
            listed.append(Criterion(f"mean {name}: {found.name}", found.met, found.figures))
        return listed

    def pictures(self) -> dict[str, Figure]:
        figure, ((chroma, light, levels),) = axes(1, 3, 12, 3.8)
        for of, tint, name, layer in ((self.generated, GENERATED, "generated", 1), (self.real, REAL, "real", 2)):
            lightness, a, b = of.means.T
            chroma.scatter(a, b, s=14, color=tint, alpha=0.6, label=name, zorder=layer, linewidths=0)
            light.hist(lightness, bins=np.linspace(10, 80, 36), density=True, color=tint, alpha=0.6, label=name)
            for channel, plane in enumerate(CHANNELS):
                style = ":" if of is self.real else "-"
                levels.plot(of.histograms[:, channel].mean(0), color=PLANES[plane], linestyle=style, linewidth=1.2)
        chroma.set(xlabel="mean a*", ylabel="mean b*", title="Colour of photographs")
        light.set(xlabel="mean L*", yticks=[], title="Lightness of photographs")
        chroma.legend(fontsize=8)
        levels.set(xlabel="level", yticks=[], ylim=(0, 0.06), title="Pixels (dotted: real)")
        return {"colour": figure}
