"""An independent judge: EfficientNet-Lite2 with ImageNet's weights, which has never seen a fundus and is in no loss.

The project's own segmenter looks at what it was taught to look at, and photographs are trained with networks of its
kind. The judge's features are pooled over the photograph: *head*, the last ones, by which ImageNet's classes are told,
and *middle*, those at stride 16, which see texture and edges. Both are taken at the photograph's own side and at half
of it (2 × 2 pixels averaged), where fine texture is gone.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.distances import frechet_distance, kernel_distance
from retinagan.evaluation.feature_space import Distance, Photographs
from retinagan.evaluation.probe import Sample, probe_auc
from retinagan.evaluation.report import Result, number
from retinagan.models.layers import channels_last
from retinagan.models.lite import HEAD, LiteTrunk, load_encoder
from retinagan.models.looks import photo_planes
from retinagan.training.pretrained import LITE2

COMPONENTS = 32
"""Principal components that the Fréchet distance is taken on: covariances of more need more photographs."""
MIDDLE = 3
"""Level of the middle features: stride 16."""
NAME = "EfficientNet-Lite2, ImageNet's weights"
MISSING = "not measured: pip install 'retinagan[pretrained]'"


class Judge:
    """A frozen network that looks at photographs.

    Args:
        network: in evaluation mode, on its device.
        weights: what the weights are known by, such as a SHA-256.
    """

    def __init__(self, network: LiteTrunk, weights: str) -> None:
        self.network, self.weights = network.eval(), weights

    @classmethod
    def installed(cls, device: torch.device | str = "cpu") -> Judge | None:
        """The judge whose weights the wheel of the extra ``pretrained`` holds; None without it.

        Raises:
            ValueError: the wheel's file is another one.
        """
        try:
            tensors = LITE2.weights()
        except FileNotFoundError:
            return None
        network = LiteTrunk("lite2")
        load_encoder(network, tensors)
        return cls(channels_last(network).to(device), LITE2.sha256)

    @torch.inference_mode()
    def look(self, photo: np.ndarray) -> np.ndarray:
        """Features ``float32 (F,)`` of a photograph ``uint8 (S, S, 3)``: head and middle at S, then at S / 2.

        Raises:
            ValueError: S does not divide by 64.
        """
        if len(photo) % 64:
            raise ValueError(f"the judge sees photographs whose side divides by 64; this one's is {len(photo)}")
        planes = photo_planes(photo).to(next(self.network.parameters()).device)
        pooled = []
        for seen in (planes, F.avg_pool2d(planes, 2)):
            levels = self.network(seen.contiguous(memory_format=torch.channels_last))
            pooled += [levels[-1].mean((2, 3)), levels[MIDDLE].mean((2, 3))]
        return torch.cat(pooled, 1)[0].float().cpu().numpy()

    def spaces(self, size: int) -> dict[str, slice]:
        """Which of :meth:`look`'s features of a photograph of this side are whose."""
        names = [f"{level} at {side}" for side in (size, size // 2) for level in ("head", "middle")]
        ends = np.cumsum([HEAD, self.network.widths[MIDDLE]] * 2).tolist()
        return {name: slice(*ends) for name, ends in zip(names, itertools.pairwise([0, *ends]), strict=True)}


@dataclass(frozen=True)
class Space:
    """What one kind of features tells.

    Attributes:
        frechet: distance on the principal components of the training photographs.
        kernel: unbiased kernel distance (KID) on the features.
        probe: AUC of generated photographs against real ones (:func:`retinagan.evaluation.probe.probe_auc`).
        probe_train: the same of training photographs against held-out ones: what no difference looks like.
    """

    frechet: Distance
    kernel: Distance
    probe: float | None
    probe_train: float | None


@dataclass(frozen=True)
class Judgement(Result):
    """What the judge says; generated and training photographs have the grades of the held-out ones.

    Attributes:
        judge: its name, or why there is none.
        n: drawn of generated and of training photographs for the distances to ``n_heldout``; the probe takes all.
    """

    title: ClassVar = "An independent judge, never trained on fundi: generated and training against held-out"
    judge: str
    n: int | None = None
    n_heldout: int | None = None
    spaces: dict[str, Space] | None = None

    @classmethod
    def of(
        cls, photographs: Photographs, spaces: dict[str, slice], eyes: np.ndarray, train_eyes: np.ndarray
    ) -> Judgement:
        """Compare features of :meth:`Judge.look`.

        Args:
            eyes, train_eyes: names of the held-out and of the training photographs' eyes; two photographs of an eye
                are never on both sides of the probe.
        """
        n, found = 0, {}
        for name, columns in spaces.items():
            features = (photographs.real, photographs.train, photographs.generated)
            real, train, generated = (values[:, columns] for values in features)
            some = replace(photographs, real=real, train=train, generated=generated)
            principal = functools.partial(frechet_along, principal_axes(train))
            n, (frechet, kernel) = some.distances(np.random.default_rng(0), principal, kernel_distance)
            heldout = Sample(real, some.real_grades, eyes)
            known = Sample(train, some.train_grades, train_eyes)
            ours = Sample(generated, some.generated_grades, eyes[some.eyes])
            found[name] = Space(frechet, kernel, probe_auc(heldout, ours, known), probe_auc(heldout, known))
        return cls(NAME, n, len(eyes), found)

    def criteria(self) -> list[Criterion]:
        if not self.spaces:
            return [limit.judge(None, self.judge) for limit in (criteria.JUDGE, criteria.PROBE)]
        listed = []
        for limit, figures in (
            (criteria.JUDGE, {name: space.frechet.ratio for name, space in self.spaces.items()}),
            (criteria.PROBE, {name: space.probe for name, space in self.spaces.items()}),
        ):
            known = [value for value in figures.values() if value is not None]
            told = ", ".join(f"{name} {number(value)}" for name, value in figures.items())
            listed.append(limit.judge(max(known) if len(known) == len(figures) else None, told))
        return listed


def principal_axes(features: np.ndarray, components: int = COMPONENTS) -> np.ndarray:
    """Axes ``float64 (F, C)`` along which features ``(N, F)`` vary most; of equal scale, so that distances stay."""
    centred = np.asarray(features, dtype=np.float64) - features.mean(0)
    return np.linalg.svd(centred, full_matrices=False)[2][:components].T


def frechet_along(axes: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two sets of features as seen along ``axes (F, C)``."""
    return frechet_distance(a @ axes, b @ axes)
