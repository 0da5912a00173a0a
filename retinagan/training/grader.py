"""Training of the grader: whole photographs of every grade, turned, mirrored, scaled and relit.

Loss: binary cross-entropy of the network's four answers, whether the grade is above 0, 1, 2 and 3. It starts well: with
ImageNet's features as they are, logistic regressions on the same pooled features reach a quadratic kappa of 0.85 in
five-fold cross-validation on IDRiD.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import nn

from retinagan.configuration import Field, configuration, from_mapping
from retinagan.data.augment import relit, rotation, turned_photo
from retinagan.data.dataset import PreparedDataset, load_prepared
from retinagan.data.folds import fold_by_grade
from retinagan.models.grader import Grader, GraderConfig, grade_of
from retinagan.models.layers import channels_last
from retinagan.models.lite import STAGES
from retinagan.models.looks import photo_planes, resized
from retinagan.seeds import NUM_GRADES
from retinagan.training.fine_tuning import FineTuning
from retinagan.training.task import Networks, Task, Terms, Update, logged, weighted_sum

MEASURED = 96
"""Photographs that the pooled features' means and deviations are measured on."""
SHOWN = 2
"""Photographs of each grade on the contact sheet."""


@configuration
class GraderTraining(FineTuning):
    """How the grader is trained; one YAML section, ``training``. Its folds are those of the graded photographs."""

    data: str = "data/idrid512"
    """Folder written by ``prepare`` with ``--include-unlabelled``; photographs need a grade and no map."""
    batch_size: int = Field(8, ge=1)
    balance: float = Field(0.5, ge=0, le=1)
    """How evenly grades are drawn: 0 as they are in the data, 1 all as often."""
    scale: float = Field(0.12, ge=0, le=0.5)
    """Largest relative change of a photograph's size either way."""
    frozen: int = Field(0, ge=0, le=len(STAGES))
    """Stages of a pretrained encoder, from the first, that do not learn; edges and colours are in photographs of
    anything. Without the first two a step takes half of the time and memory."""


class GraderTask(Task):
    """The grader's training; data may be given instead of being read from a folder."""

    name = "grader"
    sections = {"network": GraderConfig, "training": GraderTraining}
    averaged = ("grader",)

    def __init__(self, config: dict, dataset: PreparedDataset | None = None) -> None:
        self.training = from_mapping(GraderTraining, config.get("training", {}), "training")
        grader = Grader(from_mapping(GraderConfig, config.get("network", {}), "network"))
        self.training.start(grader.encoder)
        if self.training.pretrained:
            if self.training.frozen:
                for part in (grader.encoder.stem, *grader.encoder.stages[: self.training.frozen]):
                    part.requires_grad_(False)
            # A batch of a few photographs tells means and variances badly, and a photograph would be graded by what
            # its companions are: batch norms keep ImageNet's statistics, and those that fit() measures.
            for module in grader.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        self.networks: Networks = {"grader": channels_last(grader)}
        self.optimizers = {"grader": self.training.optimizer(grader)}
        self.schedules = {"grader": self.training.rate_share}
        self.dataset = dataset

    # -- data ---------------------------------------------------------------------------------------------------

    def load(self) -> str:
        data = self.dataset or load_prepared(self.training.data, "train", include_unlabelled=True)
        graded = np.flatnonzero(data.grades >= 0)
        if len(set(data.grades[graded].tolist())) < 2:
            raise ValueError(f"{self.training.data} holds no graded photographs of two grades in its training split")
        size = self.networks["grader"].config.size
        self.photos = np.stack([_sized(data.photos[index], size) for index in graded])
        self.grades, self.ids = data.grades[graded], [data.ids[index] for index in graded]
        folds = fold_by_grade([data.eyes[index] for index in graded], self.grades, self.training.folds)
        #: Places of the photographs to learn from, and of those that are left out.
        self.seen = np.flatnonzero(folds != self.training.fold)
        self.left_out = np.flatnonzero(folds == self.training.fold)
        frequencies = np.bincount(self.grades[self.seen], minlength=NUM_GRADES).clip(min=1)
        weights = frequencies[self.grades[self.seen]] ** -self.training.balance
        self.chances = weights / weights.sum()
        how = self.training
        settings = (size, how.pretrained, how.folds, how.fold, how.scale, how.seed)
        return f"{data.digest()} {' '.join(map(str, settings))}"

    @torch.no_grad()
    def fit(self) -> dict[str, torch.Tensor]:
        """Mean and variance of a pretrained encoder's pooled features on varied photographs; others' batch norm learns
        them."""
        if not self.training.pretrained:
            return {}
        grader = self.networks["grader"]
        device = next(grader.parameters()).device
        some = self.seen[np.linspace(0, len(self.seen) - 1, min(MEASURED, len(self.seen))).astype(int)]
        draws = np.random.default_rng(self.training.seed)
        photos = (self._varied(self.photos[index], draws)[None].to(device) for index in some)
        found = torch.cat([grader.pooled(photo.contiguous(memory_format=torch.channels_last)) for photo in photos])
        return {"mean": found.mean(0).cpu(), "variance": found.var(0, correction=0).cpu()}

    def take(self, fitted: dict[str, torch.Tensor]) -> None:
        if fitted:
            standard = self.networks["grader"].standard
            standard.running_mean.copy_(fitted["mean"])
            standard.running_var.copy_(fitted["variance"])

    def batch(self, rng: torch.Generator) -> dict[str, torch.Tensor]:
        """``photo float32 (N,3,S,S)`` and ``above float32 (N,4)``: whether its grade is above 0, 1, 2 and 3."""
        draws = np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
        chosen = draws.choice(self.seen, self.training.batch_size, p=self.chances)
        photos = [self._varied(self.photos[index], draws) for index in chosen]
        above = self.grades[chosen, None] > np.arange(NUM_GRADES - 1)
        return {"photo": torch.stack(photos), "above": torch.from_numpy(above.astype(np.float32))}

    def _varied(self, photo: np.ndarray, draws: np.random.Generator) -> torch.Tensor:
        largest = math.log1p(self.training.scale)
        angle, scale = draws.uniform(0, 2 * math.pi), math.exp(draws.uniform(-largest, largest))
        turn = rotation(angle) @ np.diag(draws.choice([-1.0, 1.0], 2)) / scale
        return relit(turned_photo(photo, turn), draws)

    # -- steps --------------------------------------------------------------------------------------------------

    def step(
        self, batch: dict[str, torch.Tensor], step: int, rng: torch.Generator, update: Update
    ) -> dict[str, torch.Tensor]:
        photo, above = batch["photo"].contiguous(memory_format=torch.channels_last), batch["above"]
        logits = self.networks["grader"](photo).float()
        terms: Terms = {"entropy": (1.0, F.binary_cross_entropy_with_logits(logits, above))}
        update("grader", weighted_sum(terms))
        off = (logits.detach().sigmoid().sum(1) - above.sum(1)).abs().mean()
        return logged(terms) | {"grades_off": off}

    @torch.no_grad()
    def sheet(self, networks: Networks, rng: torch.Generator) -> np.ndarray:
        """Rows of grades: photographs (those left out, where there is a fold) under their grade and the predicted
        one."""
        grader = networks["grader"].eval()
        device = next(grader.parameters()).device
        places = self.left_out if len(self.left_out) else self.seen
        rows = []
        for grade in range(NUM_GRADES):
            row = []
            for index in places[self.grades[places] == grade][:SHOWN]:
                shares = grader(_planes(self.photos[index]).to(device)).float().sigmoid().cpu().numpy()
                row.append(_captioned(self.photos[index], f"{grade}: {int(grade_of(shares)[0])} ({shares.sum():.1f})"))
            rows.append(np.concatenate(row + [np.zeros_like(_captioned(self.photos[0], ""))] * (SHOWN - len(row)), 1))
        return np.concatenate(rows)

    def export(self, networks: Networks, facts: dict) -> dict[str, nn.Module]:
        """The averaged network; facts tell which photographs a network of a cross-validation did not see, by their
        ids."""
        facts["folds"], facts["fold"] = self.training.folds, self.training.fold
        if self.training.fold >= 0:
            self.load()
            facts["left_out"] = [self.ids[index] for index in self.left_out]
        return {"grader": networks["grader"]}


def _sized(photo: np.ndarray, size: int) -> np.ndarray:
    """A photograph ``uint8 (S, S, 3)`` at the network's size."""
    if len(photo) == size:
        return photo
    planes = resized(photo_planes(photo), (size, size))[0] * 255
    return planes.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


def _planes(photo: np.ndarray) -> torch.Tensor:
    return photo_planes(photo).contiguous(memory_format=torch.channels_last)


def _captioned(photo: np.ndarray, caption: str) -> np.ndarray:
    """A photograph at half its side with a caption in its corner, which is outside the field."""
    picture = Image.fromarray(photo).reduce(2)
    ImageDraw.Draw(picture).text((4, 4), caption, fill="white", font_size=max(8, picture.width // 16))
    return np.asarray(picture)
