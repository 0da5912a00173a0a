"""Graders that look together."""

from __future__ import annotations

import numpy as np

from retinagan.data.folds import Ensemble
from retinagan.models.grader import Grader, photo_probabilities


class Graders(Ensemble[Grader]):
    """One grader, or those of a cross-validation."""

    name = "grader"

    @property
    def left_out(self) -> dict[str, int]:
        """Id of each training photograph that a network left out → its fold; empty without a cross-validation."""
        return {name: fold for fold, facts in enumerate(self.facts) for name in facts.get("left_out", ())}

    def probabilities(self, photo: np.ndarray, fold: int | None = None) -> np.ndarray:
        """Probabilities ``float32 (4,)`` that a photograph ``uint8 (S, S, 3)`` is above grade 0, 1, 2 and 3: the mean,
        or those of one network."""
        return np.mean([photo_probabilities(network, photo) for network in self.chosen(fold)], axis=0)
