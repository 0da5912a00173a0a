"""Grader of photographs: EfficientNet-Lite1 from a photograph to its ICDR grade, by ordinal regression.

The grades are in order, so the network answers four questions, whether the grade is above 0, 1, 2 and 3: ordinal
regression by binary classifiers (Li and Lin, NIPS 2006; Niu et al., CVPR 2016). The expected grade is the sum of the
answers. A research figure: it has seen the photographs of one hospital, and **is no diagnosis**.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from retinagan.configuration import Field, configuration
from retinagan.models.lite import REDUCTION, LiteEncoder
from retinagan.models.looks import MIRRORS, photo_planes, resized
from retinagan.seeds import NUM_GRADES

POOLED_LEVELS = (3, 4)
"""Of the encoder's levels, those at strides 16 and 32."""


@configuration
class GraderConfig:
    """What a grader is made of."""

    size: int = Field(512, ge=REDUCTION, le=2048, multiple_of=REDUCTION)
    """Side of the photographs that it is trained on, in pixels; lesions are told by their size, too."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Share of the pooled features that a step of training does without."""


class Grader(nn.Module):
    """``forward(photo (N,3,H,W) float32 0..1, black outside the field) -> logits (N,4)`` that the grade is above 0 … 3.

    H and W must divide by 32; the size of a pixel should be that of training (``config.size``). In evaluation a
    photograph's logits do not depend on its companions in the batch.
    """

    def __init__(self, config: GraderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = LiteEncoder()
        width = 2 * sum(self.encoder.widths[level] for level in POOLED_LEVELS)
        self.standard = nn.BatchNorm1d(width, affine=False)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(width, NUM_GRADES - 1)
        nn.init.zeros_(self.output.weight)  # so that the first gradients of a trained encoder are no noise
        nn.init.zeros_(self.output.bias)

    def forward(self, photo: torch.Tensor) -> torch.Tensor:
        return self.output(self.dropout(self.standard(self.pooled(photo))))

    def pooled(self, photo: torch.Tensor) -> torch.Tensor:
        """Mean and maximum over the photograph of the features at both strides: ``(N, 864)``.

        A single microaneurysm makes a grade and hardly moves a mean; it can move a maximum.
        """
        if photo.ndim != 4 or photo.shape[1] != 3 or photo.shape[2] % REDUCTION or photo.shape[3] % REDUCTION:
            raise ValueError(
                f"photo has shape {tuple(photo.shape)}; expected (N, 3, H, W) whose sides divide by {REDUCTION}"
            )
        levels = self.encoder(photo)
        chosen = [levels[level] for level in POOLED_LEVELS]
        return torch.cat([part for level in chosen for part in (level.mean((2, 3)), level.amax((2, 3)))], 1)


@torch.inference_mode()
def photo_probabilities(grader: Grader, photo: np.ndarray) -> np.ndarray:
    """Probabilities ``float32 (4,)`` that a photograph ``uint8 (S, S, 3)`` is above grade 0, 1, 2 and 3.

    The mean over its mirror images; the photograph is seen at the size that the grader was trained at.
    """
    planes = resized(photo_planes(photo).to(next(grader.parameters()).device), (grader.config.size,) * 2)
    looks = [grader(planes.flip(axes).contiguous(memory_format=torch.channels_last)) for axes in MIRRORS]
    return torch.cat(looks).float().sigmoid().mean(0).cpu().numpy()


def grade_of(probabilities: np.ndarray) -> np.ndarray:
    """Grades ``int64 (…,)`` of probabilities ``(…, 4)`` to be above each grade: the expected grade, rounded."""
    return np.floor(np.sum(probabilities, axis=-1) + 0.5).astype(np.int64)
