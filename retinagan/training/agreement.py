"""How well a segmenter's predictions agree with lesion maps, pixel by pixel: thresholds, Dice and AUPR of each
class."""

from __future__ import annotations

import numpy as np

from retinagan.maps.labels import BG, check_map
from retinagan.models.segmenter import SEGMENTED

_RANGE, _BINS = 12.0, 2400  # logits, in steps of a hundredth


class Agreement:
    """Agreement of predictions with maps, gathered photograph by photograph over all pixels of the field.

    Pixels of all photographs are pooled, as in the IDRiD challenge (Porwal et al., Medical Image Analysis 59, 2020):
    many photographs have but a few pixels of a class.
    """

    def __init__(self) -> None:
        self._counts = np.zeros((len(SEGMENTED), 2, _BINS), dtype=np.int64)  # class, wrong or right, logit
        self._photos = np.zeros(len(SEGMENTED), dtype=np.int64)

    def add(self, logits: np.ndarray, label_map: np.ndarray) -> None:
        """Take in one photograph: logits ``float (5, H, W)`` and its map ``uint8 (H, W)``."""
        check_map(label_map)
        if logits.shape != (len(SEGMENTED), *label_map.shape):
            raise ValueError(f"logits have shape {logits.shape}; expected {(len(SEGMENTED), *label_map.shape)}")
        field = label_map != BG
        bins = ((logits[:, field] + _RANGE) * (_BINS / (2 * _RANGE))).astype(np.int64).clip(0, _BINS - 1)
        for plane, index in enumerate(SEGMENTED):
            truth = label_map[field] == index
            self._photos[plane] += truth.any()
            for right in (False, True):
                self._counts[plane, int(right)] += np.bincount(bins[plane][truth == right], minlength=_BINS)

    def best_threshold(self, index: int) -> float:
        """The probability above which predictions of a class have the highest Dice."""
        dice, edges = self._dice(index)
        return float(1 / (1 + np.exp(-edges[dice.argmax()])))

    def dice(self, index: int, threshold: float) -> float:
        """Dice coefficient 2TP / (2TP + FP + FN) of a class, predictions being probabilities above ``threshold``."""
        dice, edges = self._dice(index)
        logit = np.log(threshold / (1 - threshold))
        return float(dice[np.abs(edges - logit).argmin()])

    def precision_recall(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Precision and recall at falling thresholds, each ``float64 (T,)``; empty without a pixel of the class."""
        wrong, right = self._counts[SEGMENTED.index(index)][:, ::-1].cumsum(axis=1)
        if right[-1] == 0:
            return np.empty(0), np.empty(0)
        some = wrong + right > 0
        return (right / np.maximum(wrong + right, 1))[some], (right / right[-1])[some]

    def aupr(self, index: int) -> float:
        """Area under precision over recall as average precision: the mean of precision over steps of recall."""
        precision, recall = self.precision_recall(index)
        return float((np.diff(recall, prepend=0) * precision).sum()) if len(recall) else float("nan")

    def photographs(self, index: int) -> int:
        """How many photographs have the class in their map."""
        return int(self._photos[SEGMENTED.index(index)])

    def _dice(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Dice at each threshold and the thresholds as logits: bin b and above count as predicted."""
        wrong, right = self._counts[SEGMENTED.index(index)]
        predicted = (wrong + right)[::-1].cumsum()[::-1]
        hit = right[::-1].cumsum()[::-1]
        dice = 2 * hit / np.maximum(predicted + right.sum(), 1)
        return dice, np.arange(_BINS) * (2 * _RANGE / _BINS) - _RANGE
