"""Training of the segmenter: crops of annotated eyes, and of graded ones as far as their grade tells what they do not
have.

Loss: weighted binary cross-entropy and soft Dice (Milletari et al., 3DV 2016) a class. Few eyes are annotated, so crops
are turned by any angle, mirrored, scaled and relit; most of them lie around a lesion of a class drawn evenly. Eyes of
grade 0 and 1 join as eyes without haemorrhages and exudates (and, at grade 0, without microaneurysms): the scale says
so, nobody needs to draw it.
"""

from __future__ import annotations

import math
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from retinagan.configuration import Field, configuration, from_mapping, model_validator
from retinagan.data.augment import relit, rotation, turned_crop
from retinagan.data.dataset import PreparedDataset, load_prepared
from retinagan.data.folds import fold_of
from retinagan.maps.field import paint_map
from retinagan.maps.labels import CLASSES, EX, HE, MA, SE, colours_from_map
from retinagan.models.layers import channels_last
from retinagan.models.looks import photo_planes
from retinagan.models.segmenter import SEGMENTED, Segmenter, SegmenterConfig, turned_logits
from retinagan.training.agreement import Agreement
from retinagan.training.fine_tuning import FineTuning
from retinagan.training.task import Networks, Task, Terms, Update, logged, weighted_sum

POSITIVE_WEIGHTS = (3.0, 6.0, 6.0, 15.0, 1.0)
"""What a pixel of each class counts in the cross-entropy against one without: about the root of how rare it is.
Unweighted, microaneurysms (a thousandth of a crop) are not found for thousands of steps."""


@configuration
class SegmenterTraining(FineTuning):
    """How the segmenter is trained; one YAML section, ``training``. Its folds are those of the annotated eyes."""

    data: str = "data/idrid512"
    """Folder written by ``prepare`` (with ``--include-unlabelled``, so that eyes of grade 1 are there)."""
    batch_size: int = Field(8, ge=1)
    crop: int = Field(192, ge=16)
    """Side of the crops in pixels; must divide by the network's reduction."""
    learning_rate: float = Field(2e-3, gt=0)
    lesion_share: float = Field(0.6, ge=0)
    """Share of the crops around a lesion or disc of an annotated eye."""
    graded_share: float = Field(0.2, ge=0)
    """Share of the crops from eyes of grade 0 and 1."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.lesion_share + self.graded_share > 1:
            raise ValueError(
                f"lesion_share ({self.lesion_share}) and graded_share ({self.graded_share}) are at most 1 together"
            )
        return self


class SegmenterTask(Task):
    """The segmenter's training; data may be given instead of being read from a folder."""

    name = "segmenter"
    sections = {"network": SegmenterConfig, "training": SegmenterTraining}
    averaged = ("segmenter",)

    def __init__(self, config: dict, dataset: PreparedDataset | None = None) -> None:
        self.training = from_mapping(SegmenterTraining, config.get("training", {}), "training")
        network = from_mapping(SegmenterConfig, config.get("network", {}), "network")
        if self.training.crop % network.reduction:
            raise ValueError(f"training.crop is {self.training.crop}; it must divide by {network.reduction}")
        segmenter = Segmenter(network)
        if network.encoder == "lite1":
            self.training.start(segmenter.encoder)
        elif self.training.pretrained:
            raise ValueError("training.pretrained needs network.encoder=lite1; a plain encoder starts at random")
        segmenter = channels_last(segmenter)
        self.networks: Networks = {"segmenter": segmenter}
        self.optimizers = {"segmenter": self.training.optimizer(segmenter)}
        self.schedules = {"segmenter": self.training.rate_share}
        self.dataset = dataset

    # -- data ---------------------------------------------------------------------------------------------------

    def load(self) -> str:
        self.data = data = self.dataset or load_prepared(self.training.data, "train", include_unlabelled=True)
        masked = [i for i, label in enumerate(data.labels) if label == "masks"]
        if not masked:
            raise ValueError(f"{self.training.data} holds no eye with lesion masks in its training split")
        folds = fold_of(tuple(data.ids[i] for i in masked), self.training.folds)
        #: Annotated eyes to learn from and those that are left out, graded ones without masks.
        self.annotated = [i for i, fold in zip(masked, folds, strict=True) if fold != self.training.fold]
        self.left_out = [i for i in masked if i not in self.annotated]
        self.graded = [i for i, g in enumerate(data.grades) if g in (0, 1) and data.labels[i] != "masks"]
        #: Class → (eye, its pixels (y, x)) of the annotated eyes that have it.
        self.targets: dict[int, list[tuple[int, np.ndarray]]] = {}
        for index in self.annotated:
            for kind in SEGMENTED:
                pixels = np.argwhere(data.maps[index] == kind)
                if len(pixels):
                    self.targets.setdefault(kind, []).append((index, pixels.astype(np.int16)))
        return data.digest()

    def batch(self, rng: torch.Generator) -> dict[str, torch.Tensor]:
        """``photo float32 (N,3,C,C)``, ``truth float32 (N,5,C,C)`` and ``known float32 (N,5)``: whether a class' truth
        is known."""
        draws = np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
        photos, truths, knowns = [], [], []
        size = self.data.photos.shape[1]
        for _ in range(self.training.batch_size):
            lot = draws.random()
            centre = draws.uniform(0.15, 0.85, 2) * size
            if lot < self.training.lesion_share and self.targets:
                kinds = [kind for kind in SEGMENTED if kind in self.targets]
                eyes = self.targets[kinds[draws.integers(len(kinds))]]
                index, pixels = eyes[draws.integers(len(eyes))]
                centre = pixels[draws.integers(len(pixels))] + draws.uniform(-0.35, 0.35, 2) * self.training.crop
            elif lot < self.training.lesion_share + self.training.graded_share and self.graded:
                index = self.graded[draws.integers(len(self.graded))]
            else:
                index = self.annotated[draws.integers(len(self.annotated))]
            inside = size / 2 - 0.3 * self.training.crop  # further out, more of a crop would be the black outside
            away = centre - size / 2
            centre = size / 2 + away * min(1, max(inside, 0) / max(float(np.hypot(*away)), 1e-9))
            photo, label_map = self._crop(index, centre, draws)
            photos.append(relit(photo, draws))
            truths.append(torch.stack([(label_map == kind).float() for kind in SEGMENTED]))
            knowns.append(torch.from_numpy(known_classes(self.data.labels[index], int(self.data.grades[index]))))
        return {"photo": torch.stack(photos), "truth": torch.stack(truths), "known": torch.stack(knowns)}

    def _crop(self, index: int, centre: np.ndarray, draws: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A turned, mirrored, scaled crop around ``centre`` (y, x): photo ``(3, C, C)`` 0..1 and map ``(C, C)``."""
        angle, scale = draws.uniform(0, 2 * math.pi), math.exp(draws.uniform(-0.3, 0.3))
        turn = rotation(angle) @ np.diag(draws.choice([-1.0, 1.0], 2)) / scale
        return turned_crop(self.data.photos[index], self.data.maps[index], centre, turn, self.training.crop)

    # -- steps --------------------------------------------------------------------------------------------------

    def step(
        self, batch: dict[str, torch.Tensor], step: int, rng: torch.Generator, update: Update
    ) -> dict[str, torch.Tensor]:
        logits = self.networks["segmenter"](batch["photo"].contiguous(memory_format=torch.channels_last)).float()
        entropy, dice = losses(logits, batch["truth"], batch["known"])
        terms: Terms = {"entropy": (10.0, entropy), "dice": (1.0, dice.mean())}
        update("segmenter", weighted_sum(terms))
        by_class = {f"dice/{CLASSES[k].short}": 1 - v for k, v in zip(SEGMENTED, dice.detach(), strict=True)}
        return logged(terms) | by_class

    @torch.no_grad()
    def sheet(self, networks: Networks, rng: torch.Generator) -> np.ndarray:
        """Columns of eyes (those left out, where there is a fold); rows: photograph, annotation, prediction."""
        segmenter = networks["segmenter"].eval()
        device = next(segmenter.parameters()).device
        columns = []
        for index in (self.left_out or self.annotated)[:4]:
            shares = segmenter(photo_planes(self.data.photos[index]).to(device)).sigmoid()[0].cpu().numpy()
            found = {kind: share > 0.5 for kind, share in zip(SEGMENTED, shares, strict=True)}
            predicted = paint_map(found, len(shares[0]))
            rows = [self.data.photos[index], colours_from_map(self.data.maps[index]), colours_from_map(predicted)]
            columns.append(np.concatenate(rows))
        return np.concatenate(columns, axis=1)

    def export(self, networks: Networks, facts: dict) -> dict[str, nn.Module]:
        """The averaged network, with the probabilities above which pseudo-labels count as predicted.

        They are those of the highest Dice on the annotated training eyes it learned from; 0.5 where these are not at
        hand.
        """
        facts["folds"], facts["fold"] = self.training.folds, self.training.fold
        agreement = Agreement()
        try:
            self.load()
            for index in self.annotated:
                with torch.inference_mode():
                    logits = (
                        turned_logits(networks["segmenter"], photo_planes(self.data.photos[index]))[0].float().numpy()
                    )
                agreement.add(logits, self.data.maps[index])
        except FileNotFoundError:
            facts["thresholds"] = "0.5: exported without the training data"
        else:
            found = {
                CLASSES[kind].short: agreement.best_threshold(kind) for kind in SEGMENTED if agreement.photographs(kind)
            }
            facts["thresholds"] = {short: round(threshold, 3) for short, threshold in found.items()}
        return {"segmenter": networks["segmenter"]}


def known_classes(label: str, grade: int) -> np.ndarray:
    """Which of :data:`SEGMENTED` are known of an eye: ``float32 (5,)``, 1 or 0.

    ``label`` is the manifest's; without masks, grade 0 means no lesion and grade 1 no lesion but microaneurysms.
    """
    if label == "masks":
        return np.ones(len(SEGMENTED), dtype=np.float32)
    absent = {0: (EX, HE, SE, MA), 1: (EX, HE, SE)}.get(grade, ())
    return np.array([kind in absent for kind in SEGMENTED], dtype=np.float32)


def losses(logits: torch.Tensor, truth: torch.Tensor, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy over what is known, and one minus soft Dice of each class over the batch ``(5,)``."""
    weight = known[:, :, None, None]
    rarity = logits.new_tensor(POSITIVE_WEIGHTS)[:, None, None]
    entropy = F.binary_cross_entropy_with_logits(logits, truth, pos_weight=rarity, reduction="none") * weight
    share = logits.sigmoid() * weight
    both = (share * truth).sum(dim=(0, 2, 3))
    sizes = (share + truth * weight).sum(dim=(0, 2, 3))
    return entropy.sum() / weight.expand_as(entropy).sum().clamp(min=1), 1 - (2 * both + 1) / (sizes + 1)
