"""How far generated photographs are from real ones in the feature space of a fixed network.

The space is that of the project's own segmenter (its hash is reported), or of Inception when a file with its weights
is given. Distances between few samples are biased by their number, and by the mix of grades: here both sides have the
same of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from scipy.spatial.distance import cdist

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.distances import (
    Comparison,
    compare,
    density_and_coverage,
    frechet_distance,
    kernel_distance,
    percentiles,
)
from retinagan.evaluation.report import Result, quotient
from retinagan.models.looks import photo_planes
from retinagan.models.segmenter import Segmenter, turned_logits

DRAWS = 20
"""Random draws that distances between sets of equal mix are averaged over."""


@torch.inference_mode()
def segmenter_features(segmenter: Segmenter, photo: np.ndarray) -> np.ndarray:
    """Features ``float32 (F,)`` of a photograph ``uint8 (S, S, 3)``."""
    return segmenter.features(_batch(segmenter, photo))[0].float().cpu().numpy()


@torch.inference_mode()
def segmenter_logits(segmenter: Segmenter, photo: np.ndarray) -> np.ndarray:
    """Logits ``float32 (5, S, S)`` of a photograph ``uint8 (S, S, 3)``, the mean over its mirror images."""
    return turned_logits(segmenter, _batch(segmenter, photo))[0].cpu().numpy()


def _batch(segmenter: Segmenter, photo: np.ndarray) -> torch.Tensor:
    return photo_planes(photo).to(next(segmenter.parameters()).device)


def quotas(wanted: np.ndarray, *available: np.ndarray) -> dict[int, int]:
    """How many samples of each grade to take so that every set has the mix of ``wanted``.

    As many as all of ``available`` hold; grades that one of them lacks are left out.

    Args:
        wanted: ``int (N,)`` grades, -1 unknown.
        available: grades of the sets that are drawn from.
    """
    counts = {int(g): int((wanted == g).sum()) for g in np.unique(wanted)}
    least = {g: min(int((grades == g).sum()) for grades in available) for g in counts}
    shared = {g: n for g, n in counts.items() if least[g]}
    if not shared:
        return {}
    # Grades of which a set has only a few must not shrink all others to nothing: they may fall short by half.
    factor = min(max(least[g], n / 2) / n for g, n in shared.items())
    return {g: min(least[g], max(1, round(factor * n))) for g, n in shared.items()}


def draw(grades: np.ndarray, quota: dict[int, int], rng: np.random.Generator) -> np.ndarray:
    """Places of a random sample with the quota of each grade."""
    return np.concatenate([rng.choice(np.flatnonzero(grades == g), n, replace=False) for g, n in quota.items()])


@dataclass(frozen=True)
class Distance:
    """A distance of ``generated`` and of ``train`` photographs to all held-out real ones, and their ``ratio``;
    ``halves``: real half against real half and generated against real half
    (:func:`retinagan.evaluation.distances.compare`)."""

    generated: float
    train: float
    ratio: float | None
    halves: Comparison


@dataclass(frozen=True)
class Photographs:
    """What photographs are compared by, whatever the measure; features are of one network.

    Attributes:
        real: features ``(N, F)`` of the held-out ones, and their grades ``(N,)``, -1 unknown.
        train: ``(T, F)`` of training ones, and theirs.
        generated: ``(M, F)``, made for the held-out eyes ``eyes (M,)``, and so of their grades.
    """

    real: np.ndarray
    real_grades: np.ndarray
    train: np.ndarray
    train_grades: np.ndarray
    generated: np.ndarray
    eyes: np.ndarray

    @property
    def generated_grades(self) -> np.ndarray:
        return self.real_grades[self.eyes]

    def distances(
        self, rng: np.random.Generator, *measures: Callable[[np.ndarray, np.ndarray], float]
    ) -> tuple[int, list[Distance]]:
        """How many were drawn of generated and of training photographs, and each measure's distances.

        Raises:
            ValueError: fewer than two photographs of the grades that real ones have.
        """
        quota = quotas(self.real_grades, self.train_grades, self.generated_grades)
        n = sum(quota.values())
        if n < 2:
            raise ValueError("fewer than two photographs of the grades that real ones have; raise the count")
        drawn = []
        for _ in range(DRAWS):
            ours = self.generated[draw(self.generated_grades, quota, rng)]
            theirs = self.train[draw(self.train_grades, quota, rng)]
            drawn.append([[measure(ours, self.real), measure(theirs, self.real)] for measure in measures])
        found = [
            Distance(
                float(ours), float(theirs), float(ours / theirs) if theirs > 0 else None,
                compare(measure, self.real, self.generated, self.eyes, DRAWS),
            )
            for (ours, theirs), measure in zip(np.mean(drawn, axis=0), measures, strict=True)
        ]  # fmt: skip
        return n, found


@dataclass(frozen=True)
class Features(Result):
    """Distances in the feature space of a network, named ``space``.

    Attributes:
        n: drawn of generated and of training photographs, with the mix of grades of the held-out ones.
        frechet, kernel: distances.
        density, coverage: of the held-out ones by as many generated ones.
        nearest: quartiles of the distance to the nearest training photograph, of ``generated`` and held-out ``real``.
    """

    title: ClassVar = "Distances in a feature space, with the same mix of grades on both sides"
    space: str
    n: int
    n_heldout: int
    n_train: int
    n_generated: int
    frechet: Distance
    kernel: Distance
    density: float
    coverage: float
    nearest: dict[str, list[float] | None]

    @classmethod
    def of(cls, photographs: Photographs, space: str = "segmenter") -> Features:
        """Compare photographs by their features."""
        rng = np.random.default_rng(0)
        n, (frechet, kernel) = photographs.distances(rng, frechet_distance, kernel_distance)
        real, train, generated = photographs.real, photographs.train, photographs.generated
        several = [
            density_and_coverage(real, generated[rng.permutation(len(generated))[: len(real)]], min(5, len(real) - 1))
            for _ in range(DRAWS)
        ]
        density, coverage = (float(v) for v in np.mean(several, axis=0))
        nearest = {
            name: percentiles(cdist(values, train).min(axis=1))
            for name, values in (("real", real), ("generated", generated))
        }
        counts = (n, len(real), len(train), len(generated))
        return cls(space, *counts, frechet, kernel, density, coverage, nearest)

    def criteria(self) -> list[Criterion]:
        if self.space != "segmenter":
            return []
        told = f"{quotient(self.frechet, 'generated', 'train')}; n = {self.n} against {self.n_heldout}"
        return [criteria.FEATURES.judge(self.frechet.ratio, told)]


def inception_features(photos: Iterable[np.ndarray], weights: Path) -> np.ndarray:
    """Pool features ``float32 (N, 2048)`` of the Inception network of FID, for those who have its weights.

    Args:
        photos: ``uint8 (S, S, 3)``.
        weights: torch-fidelity's ``pt_inception-2015-12-05-….pth`` as safetensors; nothing is downloaded or unpickled.
            To convert: ``safetensors.torch.save_file(torch.load(path, weights_only=True), "inception.safetensors")``.

    Raises:
        FileNotFoundError, ValueError: no such file, or not safetensors.
        ImportError: torchmetrics or torch-fidelity is not installed.
    """
    if not Path(weights).is_file():
        raise FileNotFoundError(f"no Inception weights at {weights}; see inception_features for the file that is meant")
    try:
        state = load_file(weights)
    except SafetensorError as error:
        raise ValueError(f"{weights} is not a safetensors file; convert it as inception_features says") from error
    try:
        from torchmetrics.image.fid import NoTrainInceptionV3

        import retinagan.data.vision  # noqa: F401  before torchmetrics imports torchvision

        with TemporaryDirectory() as folder:
            # torch-fidelity reads pickles alone: this one holds nothing but the tensors read above.
            torch.save(state, f"{folder}/inception.pth")
            network = NoTrainInceptionV3("inception-v3-compat", ["2048"], f"{folder}/inception.pth")
    except ImportError as error:  # also raised, as its subclass, when torch-fidelity is missing
        raise ImportError(
            "Inception distances need two more packages: pip install torchmetrics torch-fidelity; "
            "the distances in the segmenter's feature space need none"
        ) from error
    with torch.inference_mode():
        rows = [network(torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None]) for photo in photos]
    return torch.cat(rows).float().numpy()
