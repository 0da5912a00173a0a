"""Training of the segmenter: crops of annotated eyes, and of graded ones as far as their grade tells what they do not have.

Loss: weighted binary cross-entropy and soft Dice (Milletari et al., 3DV 2016) a class. Few eyes are annotated, so crops are turned by
any angle, mirrored, scaled and relit; most of them lie around a lesion of a class drawn evenly. Eyes of grade 0 and 1 join as
eyes without haemorrhages and exudates (and, at grade 0, without microaneurysms): the scale says so, nobody needs to draw it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from retinagan.data.dataset import PreparedDataset, load_prepared
from retinagan.maps.field import paint_map
from retinagan.maps.labels import CLASSES, EX, HE, MA, SE, colours_from_map
from retinagan.models.segmenter import SEGMENTED, Segmenter, SegmenterConfig, photo_planes, turned_logits
from retinagan.training.agreement import Agreement
from retinagan.training.settings import LoopSettings

POSITIVE_WEIGHTS = (3.0, 6.0, 6.0, 15.0, 1.0)
"""What a pixel of each class counts in the cross-entropy against one without: about the root of how rare it is. Unweighted,
microaneurysms (a thousandth of a crop) are not found for thousands of steps."""


@dataclass(frozen=True)
class SegmenterTraining(LoopSettings):
    """How the segmenter is trained; one YAML section, ``training``."""

    data: str = "data/idrid512"
    """Folder written by ``prepare`` (with ``--include-unlabelled``, so that eyes of grade 1 are there)."""
    batch_size: int = 8
    crop: int = 192
    """Side of the crops in pixels; must divide by the network's reduction."""
    learning_rate: float = 2e-3
    """Of AdamW at its peak; it falls along a half cosine to a hundredth at ``training.steps``, if that is given."""
    weight_decay: float = 1e-3
    lesion_share: float = 0.6
    """Share of the crops around a lesion or disc of an annotated eye."""
    graded_share: float = 0.2
    """Share of the crops from eyes of grade 0 and 1."""
    folds: int = 4
    """Parts that the annotated training eyes are dealt into for cross-validation."""
    fold: int = -1
    """The part that is left out of training; -1: none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < 1 or self.crop < 16 or self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError(
                "batch_size is at least 1, crop at least 16, learning_rate above 0, weight_decay 0 or more"
            )
        if min(self.lesion_share, self.graded_share) < 0 or self.lesion_share + self.graded_share > 1:
            raise ValueError(
                f"lesion_share ({self.lesion_share}) and graded_share ({self.graded_share}) are 0 or more, at most 1 together"
            )
        if self.folds < 2 or not -1 <= self.fold < self.folds:
            raise ValueError(
                f"fold is {self.fold} of {self.folds}; allowed are -1 (none) to folds - 1, with 2 folds or more"
            )


def fold_of(ids: tuple[str, ...], folds: int) -> np.ndarray:
    """The fold of each annotated eye, ``int (N,)``: dealt out in the order of their ids."""
    order = np.argsort(np.array(ids))
    result = np.empty(len(ids), dtype=int)
    result[order] = np.arange(len(ids)) % folds
    return result


class SegmenterTask:
    """See :class:`retinagan.training.loop.Task`."""

    name = "segmenter"
    averaged = ("segmenter",)

    def __init__(self, config: dict, dataset: PreparedDataset | None = None) -> None:
        self.training = SegmenterTraining(**config.get("training", {}))
        network = SegmenterConfig(**config.get("network", {}))
        if self.training.crop % network.reduction:
            raise ValueError(f"training.crop is {self.training.crop}; it must divide by {network.reduction}")
        segmenter = Segmenter(network).to(memory_format=torch.channels_last)
        self.networks: dict[str, nn.Module] = {"segmenter": segmenter}
        optimizer = torch.optim.AdamW(
            segmenter.parameters(), self.training.learning_rate, weight_decay=self.training.weight_decay
        )
        self.optimizers = {"segmenter": optimizer}
        self._dataset = dataset

    # -- data ---------------------------------------------------------------------------------------------------

    @cached_property
    def data(self) -> PreparedDataset:
        return self._dataset or load_prepared(self.training.data, "train", include_unlabelled=True)

    @cached_property
    def annotated(self) -> list[int]:
        """Annotated eyes to learn from: those outside the fold that is left out."""
        all_of_them = [i for i, label in enumerate(self.data.labels) if label == "masks"]
        if not all_of_them:
            raise ValueError(f"{self.training.data} holds no eye with lesion masks in its training split")
        folds = fold_of(tuple(self.data.ids[i] for i in all_of_them), self.training.folds)
        return [i for i, fold in zip(all_of_them, folds, strict=True) if fold != self.training.fold]

    @cached_property
    def graded(self) -> list[int]:
        """Eyes of grade 0 and 1 without masks."""
        return [i for i, g in enumerate(self.data.grades) if g in (0, 1) and self.data.labels[i] != "masks"]

    @cached_property
    def targets(self) -> dict[int, list[tuple[int, np.ndarray]]]:
        """Class → (eye, its pixels (y, x)) of the annotated eyes that have it."""
        found: dict[int, list[tuple[int, np.ndarray]]] = {kind: [] for kind in SEGMENTED}
        for index in self.annotated:
            for kind in SEGMENTED:
                pixels = np.argwhere(self.data.maps[index] == kind)
                if len(pixels):
                    found[kind].append((index, pixels.astype(np.int16)))
        return {kind: eyes for kind, eyes in found.items() if eyes}

    def batch(self, rng: torch.Generator) -> dict[str, torch.Tensor]:
        """``photo float32 (N,3,C,C)``, ``truth float32 (N,5,C,C)`` and ``known float32 (N,5)``: whether a class' truth is known."""
        draws = np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
        photos, truths, knowns = [], [], []
        size = self.data.photos.shape[1]
        for _ in range(self.training.batch_size):
            lot = draws.random()
            centre = draws.uniform(0.15, 0.85, 2) * size
            if lot < self.training.lesion_share and self.targets:
                kinds = list(self.targets)
                eyes = self.targets[kinds[draws.integers(len(kinds))]]
                index, pixels = eyes[draws.integers(len(eyes))]
                centre = pixels[draws.integers(len(pixels))] + draws.uniform(-0.35, 0.35, 2) * self.training.crop
            elif lot < self.training.lesion_share + self.training.graded_share and self.graded:
                index = self.graded[draws.integers(len(self.graded))]
            else:
                index = self.annotated[draws.integers(len(self.annotated))]
            photo, label_map = self._crop(index, centre, draws)
            photos.append(_relit(photo, draws))
            truths.append(torch.stack([(label_map == kind).float() for kind in SEGMENTED]))
            knowns.append(torch.from_numpy(known_classes(self.data.labels[index], int(self.data.grades[index]))))
        return {"photo": torch.stack(photos), "truth": torch.stack(truths), "known": torch.stack(knowns)}

    def _crop(self, index: int, centre: np.ndarray, draws: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A turned, mirrored, scaled crop around ``centre`` (y, x): photo ``(3, C, C)`` 0..1 and map ``(C, C)``."""
        crop, size = self.training.crop, self.data.photos.shape[1]
        angle, scale = draws.uniform(0, 2 * math.pi), math.exp(draws.uniform(-0.2, 0.2))
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) * (
            crop / size / scale
        )
        turn = turn @ np.diag(draws.choice([-1.0, 1.0], 2))
        middle = (centre[::-1] + 0.5) / size * 2 - 1
        theta = torch.from_numpy(np.concatenate([turn, middle[:, None]], 1).astype(np.float32))[None]
        grid = F.affine_grid(theta, (1, 1, crop, crop), align_corners=False)
        # Only the pixels under the crop are converted and sampled.
        corners = (
            (grid.reshape(-1, 2).aminmax(dim=0).min + 1) * size / 2 - 2,
            (grid.reshape(-1, 2).aminmax(dim=0).max + 1) * size / 2 + 2,
        )
        (x0, y0), (x1, y1) = (c.round().long().clamp(0, size).tolist() for c in corners)
        x0, y0 = min(x0, size - 2), min(y0, size - 2)
        x1, y1 = max(x1, x0 + 2), max(y1, y0 + 2)
        pixels = (grid + 1) * size / 2 - torch.tensor([x0, y0])
        grid = pixels / torch.tensor([x1 - x0, y1 - y0]) * 2 - 1
        photo = torch.from_numpy(self.data.photos[index, y0:y1, x0:x1]).permute(2, 0, 1)[None].float() / 255
        label_map = torch.from_numpy(self.data.maps[index, y0:y1, x0:x1])[None, None].float()
        photo = F.grid_sample(photo, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]
        return photo, F.grid_sample(label_map, grid, mode="nearest", padding_mode="zeros", align_corners=False)[0, 0]

    # -- steps --------------------------------------------------------------------------------------------------

    def step(self, batch, step, rng, update) -> dict[str, float]:
        config = self.training
        if config.steps:
            progress = min(step / config.steps, 1)
            for group in self.optimizers["segmenter"].param_groups:
                group["lr"] = config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        logits = self.networks["segmenter"](batch["photo"].contiguous(memory_format=torch.channels_last)).float()
        entropy, dice = losses(logits, batch["truth"], batch["known"])
        update("segmenter", 10 * entropy + dice.mean())
        return {"entropy": float(entropy.detach())} | {
            f"dice/{CLASSES[kind].short}": float(1 - value)
            for kind, value in zip(SEGMENTED, dice.detach(), strict=True)
        }

    @torch.no_grad()
    def sheet(self, networks: dict[str, nn.Module], rng: torch.Generator) -> np.ndarray:
        """Columns of eyes (those left out, where there is a fold); rows: photograph, annotation, prediction."""
        segmenter = networks["segmenter"].eval()
        device = next(segmenter.parameters()).device
        masked = [i for i, label in enumerate(self.data.labels) if label == "masks"]
        unseen = [i for i in masked if i not in set(self.annotated)]
        columns = []
        for index in (unseen or masked)[:4]:
            shares = segmenter(photo_planes(self.data.photos[index]).to(device)).sigmoid()[0].cpu().numpy()
            found = {kind: share > 0.5 for kind, share in zip(SEGMENTED, shares, strict=True)}
            predicted = paint_map(found, len(shares[0]))
            rows = [self.data.photos[index], colours_from_map(self.data.maps[index]), colours_from_map(predicted)]
            columns.append(np.concatenate(rows))
        return np.concatenate(columns, axis=1)

    def export(self, networks: dict[str, nn.Module], facts: dict) -> dict[str, nn.Module]:
        """The averaged network, with the probabilities above which pseudo-labels count as predicted.

        They are those of the highest Dice on the annotated training eyes it learned from; 0.5 where these are not at hand.
        """
        facts["folds"], facts["fold"] = self.training.folds, self.training.fold
        agreement = Agreement()
        try:
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


def _relit(photo: torch.Tensor, draws: np.random.Generator) -> torch.Tensor:
    """Other light and another camera: gamma, gain a channel, a slope of light, grain; black stays black."""
    field = photo.amax(dim=0, keepdim=True) > 0.02
    gamma = math.exp(draws.uniform(-0.3, 0.3))
    gains = torch.from_numpy(np.exp(draws.uniform(-0.15, 0.15) + draws.uniform(-0.12, 0.12, 3)).astype(np.float32))
    side = photo.shape[-1]
    ramp = torch.linspace(-1, 1, side)
    slope = 1 + draws.uniform(-0.15, 0.15) * ramp[None, :] + draws.uniform(-0.15, 0.15) * ramp[:, None]
    lit = photo.clamp(min=1e-4) ** gamma * gains[:, None, None] * slope
    if draws.random() < 0.3:
        noise = draws.standard_normal(photo.shape, dtype=np.float32) * draws.uniform(0, 0.02)
        lit = lit + torch.from_numpy(noise.astype(np.float32))
    return lit.float().clamp(0, 1) * field


SECTIONS = {"network": SegmenterConfig, "training": SegmenterTraining}


def make_task(config: dict) -> SegmenterTask:
    return SegmenterTask(config)
