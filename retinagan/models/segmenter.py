"""Lesion segmenter: a U-Net (Ronneberger et al., MICCAI 2015) from a photograph to lesions and disc.

It labels photographs that nobody annotated, and its features are the space in which generated photographs are compared
with real ones. Batch norm with running statistics: in evaluation an image never depends on its batch companions.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from retinagan.configuration import Channels, Field, configuration, model_validator
from retinagan.maps.labels import EX, HE, MA, OD, SE
from retinagan.models.lite import REDUCTION, LiteDecoder, LiteEncoder
from retinagan.models.looks import MIRRORS, photo_planes, resized

SEGMENTED = (EX, HE, SE, MA, OD)
"""The classes of the output planes, in order. They are independent: a bleeding may lie on the disc."""

CONTRAST_SCALE = 16
"""Side in pixels of the cells whose mean is taken away for the contrast planes."""
CONTRAST_GAIN = 4.0


@configuration
class SegmenterConfig:
    """What a segmenter is made of."""

    channels: Channels = Field((16, 32, 64, 96, 128), max_length=8)
    """Filters at full resolution, 1/2, 1/4 …"""
    size: int = Field(512, ge=32, le=4096)
    """Side of the photographs that it was trained on, in pixels; lesions are told by their size, too."""
    encoder: Literal["plain", "lite1"] = "plain"
    """The way down: ``plain`` convolutions of ``channels``, or ``lite1``: EfficientNet-Lite1, without ``channels``."""

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if self.size % self.reduction:
            raise ValueError(
                f"size is {self.size}; with {len(self.channels)} levels it must divide by {self.reduction}"
            )
        return self

    @property
    def reduction(self) -> int:
        """What the sides of a photograph must divide by."""
        return REDUCTION if self.encoder == "lite1" else max(2 ** (len(self.channels) - 1), CONTRAST_SCALE)


class Segmenter(nn.Module):
    """``forward(photo (N,3,H,W) float32 0..1, black outside the field) -> logits (N,5,H,W)``.

    Planes are those of :data:`SEGMENTED`. H and W must divide by ``config.reduction``; the size of a pixel should be
    that of training (``config.size``).
    """

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.config = config
        if config.encoder == "lite1":
            self.encoder = LiteEncoder()
            self.decoder = LiteDecoder(self.encoder.widths, 6, len(SEGMENTED))
            return
        widths = config.channels
        self.down = nn.ModuleList(
            nn.Sequential(_conv(before, width, stride=1 if level == 0 else 2), _conv(width, width))
            for level, (before, width) in enumerate(zip((6, *widths[:-1]), widths, strict=True))
        )
        self.lateral = nn.ModuleList(
            nn.Conv2d(deep, width, 1) for width, deep in zip(widths[:-1], widths[1:], strict=True)
        )
        self.up = nn.ModuleList(_conv(width, width) for width in widths[:-1])
        self.output = nn.Conv2d(widths[0], len(SEGMENTED), 1)
        self.output.bias = nn.Parameter(
            torch.full((len(SEGMENTED),), -4.0)
        )  # lesions cover about a hundredth of a photograph

    def forward(self, photo: torch.Tensor) -> torch.Tensor:
        levels = self._encode(photo)
        if self.config.encoder == "lite1":
            return self.decoder(levels, _planes(photo))
        x = levels[-1]
        for level in reversed(range(len(self.up))):
            x = F.interpolate(self.lateral[level](x), scale_factor=2, mode="bilinear", align_corners=False)
            x = self.up[level](x + levels[level])
        return self.output(x)

    def features(self, photo: torch.Tensor) -> torch.Tensor:
        """Mean and deviation over the image of every encoder channel: ``float32 (N, 2·sum(channels))``.

        All levels count: texture and vessels are told by the fine ones, lesions and light by the coarse ones.
        """
        pooled = []
        for level in self._encode(photo):
            variance, mean = torch.var_mean(level.float(), dim=(2, 3), correction=0)
            pooled += [mean, variance.clamp(min=1e-12).sqrt()]
        return torch.cat(pooled, 1)

    def _encode(self, photo: torch.Tensor) -> list[torch.Tensor]:
        self._check(photo)
        if self.config.encoder == "lite1":
            return self.encoder(photo)
        x = _planes(photo)
        levels = []
        for block in self.down:
            x = block(x)
            levels.append(x)
        return levels

    def _check(self, photo: torch.Tensor) -> None:
        if photo.ndim != 4 or photo.shape[1] != 3:
            raise ValueError(f"photo has shape {tuple(photo.shape)}; expected (N, 3, H, W)")
        if photo.shape[2] % self.config.reduction or photo.shape[3] % self.config.reduction:
            raise ValueError(
                f"the photograph is {photo.shape[2]}×{photo.shape[3]}; "
                f"both sides must divide by {self.config.reduction}"
            )


def _planes(photo: torch.Tensor) -> torch.Tensor:
    """Colours and local contrasts: ``(N, 6, H, W)``."""
    local = F.avg_pool2d(photo, CONTRAST_SCALE)
    local = F.avg_pool2d(F.pad(local, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    local = F.interpolate(local, photo.shape[2:], mode="bilinear", align_corners=False)
    return torch.cat([photo * 2 - 1, (photo - local) * CONTRAST_GAIN], 1)


def _conv(before: int, width: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.LeakyReLU(0.1, inplace=True))


def turned_logits(segmenter: Segmenter, photo: torch.Tensor) -> torch.Tensor:
    """Logits of photographs ``(N, 3, S, S)`` averaged over the four mirror images, a little better than one look."""
    total = torch.zeros(())
    for axes in MIRRORS:
        total = total + segmenter(photo.flip(axes)).float().flip(axes)
    return total / 4


@torch.inference_mode()
def photo_logits(segmenter: Segmenter, photo: np.ndarray) -> torch.Tensor:
    """Logits ``float32 (5, S, S)`` of a photograph ``uint8 (S, S, 3)``, the mean over its mirror images.

    The photograph is seen at the size that the segmenter was trained at, for lesions are told by their size, too.
    """
    planes, own = photo_planes(photo).to(next(segmenter.parameters()).device), (segmenter.config.size,) * 2
    return resized(turned_logits(segmenter, resized(planes, own)), tuple(photo.shape[:2]))[0]
