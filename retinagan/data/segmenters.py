"""Segmenters that look together."""

from __future__ import annotations

import numpy as np

from retinagan.data.folds import Ensemble
from retinagan.maps.labels import CLASSES
from retinagan.models.segmenter import SEGMENTED, Segmenter, photo_logits


class Segmenters(Ensemble[Segmenter]):
    """One segmenter, or those of a cross-validation."""

    name = "segmenter"

    @property
    def size(self) -> int:
        """Side of the photographs that they were trained on."""
        return self.networks[0].config.size

    @property
    def thresholds(self) -> np.ndarray:
        """Probabilities ``(5,)`` above which a class counts as predicted: the first file's; 0.5 where it tells none."""
        told = self.facts[0].get("thresholds")
        found = told if isinstance(told, dict) else {}
        return np.array([found.get(CLASSES[kind].short, 0.5) for kind in SEGMENTED])

    def logits(self, photo: np.ndarray, fold: int | None = None) -> np.ndarray:
        """Logits ``float32 (5, S, S)`` of a photograph ``uint8 (S, S, 3)``: the mean, or those of one network."""
        found = [photo_logits(network, photo).float().cpu().numpy() for network in self.chosen(fold)]
        return np.mean(found, axis=0)
