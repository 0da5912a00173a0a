"""From a grade and a seed to a lesion map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from retinagan.maps.clean import clean_map, is_plausible_disc, without_excluded
from retinagan.maps.labels import LESIONS, NUM_CLASSES, OD
from retinagan.maps.selection import judged
from retinagan.models.stylegan import MapGenerator, logits_to_maps

TOWARDS_MEAN = (1.0, 0.7, 0.4, 0.0)
"""Shares of the truncation asked for that are tried until a map's disc is plausible."""
DRAWS = 6
"""Maps that a seed may draw until its grade's selection keeps one."""


@dataclass(frozen=True)
class MapSampler:
    """Draws maps of ``size`` pixels with a generator on its device; each alone, so that a seed's map is the same in any
    batch."""

    generator: MapGenerator
    size: int
    device: torch.device

    def chosen(self, grade: int, seed: int, truncation: float) -> tuple[np.ndarray, torch.Tensor, list[torch.Tensor]]:
        """The clean map of a seed with its style and noise: the first of the seed's draws that the generator's
        selection keeps at truncation 1, the most probable one if it keeps none of :data:`DRAWS`."""
        selection = self.generator.config.selection
        if not selection.rejects(grade):
            return self.plausible(grade, seed, truncation)
        tried = []
        for number in range(DRAWS):
            drawn_seed, draw = _drawn(seed, number)
            found = self.plausible(grade, drawn_seed, 1.0)
            share = float(selection.kept(grade, judged(found[0])))
            tried.append((share, drawn_seed, found))
            if draw < share:
                break
        else:
            _, drawn_seed, found = max(tried, key=lambda each: each[0])
        return found if truncation == 1.0 else self.plausible(grade, drawn_seed, truncation)

    def plausible(
        self, grade: int, seed: int, truncation: float
    ) -> tuple[np.ndarray, torch.Tensor, list[torch.Tensor]]:
        """The clean map of a seed with its style and noise: of the styles on the way to the grade's mean the first that
        gives a plausible disc; the seed's own, if none does."""
        tried = []
        for share in TOWARDS_MEAN:
            w, noise = self.style(grade, seed, truncation * share)
            tried.append((self.cleaned(self.draw(w, noise), grade), w, noise))
            if is_plausible_disc((tried[-1][0] == OD).mean()):
                return tried[-1]
        return tried[0]

    def style(self, grade: int, seed: int, truncation: float) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The style ``w (1, W)`` and the noise planes of a map, on the device."""
        generator = self.generator
        z, noise = generator.random_inputs([seed])
        grades = torch.tensor([grade], device=self.device)
        w = generator.mapping(z.to(self.device), grades)
        if truncation != 1.0:
            w = generator.truncate(w, grades, truncation)
        return w, [plane.to(self.device) for plane in noise]

    def cleaned(self, label_map: np.ndarray, grade: int) -> np.ndarray:
        """A drawn map made exact, without what its grade excludes; imported generators keep what they draw."""
        cleaned = clean_map(label_map)
        return without_excluded(cleaned, grade) if self.generator.config.output == "argmax" else cleaned

    def draw(self, w: torch.Tensor, noise: list[torch.Tensor]) -> np.ndarray:
        """The map ``uint8 (size, size)`` of a style and noise; before clean-up."""
        return self.classes(self.generator.synthesis(w, noise))

    def classes(self, logits: torch.Tensor) -> np.ndarray:
        """The map ``uint8 (size, size)`` of logits ``(1, 7, R, R)``, with the generator's lesion bias."""
        generator = self.generator
        if any(generator.config.lesion_bias):
            bias = torch.zeros(1, NUM_CLASSES, 1, 1)
            bias[0, list(LESIONS), 0, 0] = torch.tensor(generator.config.lesion_bias)
            logits = logits + bias.to(self.device)
        if generator.config.output == "argmax":
            # Probabilities are interpolated, not classes: edges come out smooth instead of as blocks. Nor logits: one
            # pixel's microaneurysm would drown in what its neighbours are sure of.
            logits = F.interpolate(logits.softmax(dim=1), (self.size, self.size), mode="bilinear", align_corners=False)
        label_map = logits_to_maps(logits, generator.config)
        if label_map.shape[-1] != self.size:
            label_map = F.interpolate(label_map[None].float(), (self.size, self.size), mode="nearest-exact")[0].byte()
        return label_map[0].cpu().numpy()


def _drawn(seed: int, number: int) -> tuple[int, float]:
    """The seed of a seed's draw and the uniform number of 0..1 that it is kept by; draw 0 has the seed itself."""
    state = np.random.SeedSequence([seed, number]).generate_state(2, np.uint64)
    return (seed if number == 0 else int(state[0] >> np.uint64(1))), float(state[1]) / 2**64


def blend(a: torch.Tensor, b: torch.Tensor, t: float) -> torch.Tensor:
    """Between two draws of white noise: linear, then scaled to the variance that both have. Exact at 0 and 1."""
    return ((1 - t) * a + t * b) / ((1 - t) ** 2 + t**2) ** 0.5
