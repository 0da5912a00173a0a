"""Do generated photographs have the colours of real ones? The mean colour of each, and histograms of channels.

A distance between two sets of photographs says nothing by itself: it is compared with that between two halves of the
real ones, of the same n and of the same mix of grades (:func:`retinagan.evaluation.distances.compare`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from skimage.color import rgb2lab

from retinagan.evaluation.distances import wasserstein
from retinagan.maps.labels import field_of_view

MEANS = ("L*", "a*", "b*")
CHANNELS = ("red", "green", "blue")
LIMIT = 1.5
"""Distance of generated to real over that of real to real, at most."""


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

    def __getitem__(self, chosen) -> Colours:
        return Colours(self.means[chosen], self.histograms[chosen])


def measure_colours(photos: Sequence[np.ndarray]) -> Colours:
    """Photographs ``uint8 (S, S, 3)`` → their :class:`Colours`."""
    means, histograms = [], []
    for photo in photos:
        pixels = photo[field_of_view(photo.shape[0])]
        means.append(
            rgb2lab(pixels[::7] / 255).mean(0)
        )  # every seventh pixel: the mean of thousands moves by hundredths
        histograms.append([np.bincount(pixels[:, c], minlength=256) / len(pixels) for c in range(3)])
    return Colours(np.array(means), np.array(histograms))


def mean_distance(component: int) -> Callable[[Colours, Colours], float]:
    """Wasserstein distance between the photographs' mean L*, a* or b* (0, 1, 2), in units of CIELAB."""
    return lambda a, b: wasserstein(a.means[:, component], b.means[:, component])


def channel_distance(channel: int) -> Callable[[Colours, Colours], float]:
    """Wasserstein distance between the pooled pixels of red, green or blue (0, 1, 2), in levels of 0..255."""

    def distance(a: Colours, b: Colours) -> float:
        difference = a.histograms[:, channel].mean(0) - b.histograms[:, channel].mean(0)
        return float(np.abs(np.cumsum(difference)).sum())

    return distance
