"""The patch discriminator that the photo generator is trained against."""

from __future__ import annotations

from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import nn

from retinagan.configuration import Channels, Field, configuration, model_validator
from retinagan.eye.planes import LIGHT, PLANES, Plane, pick
from retinagan.maps.labels import BG, NUM_CLASSES
from retinagan.models.spade import Planes, check_planes


@configuration
class PhotoDiscriminatorConfig:
    """Patch discriminator on crops: pixel-unshuffled input, one logit a patch (Isola et al., 2017)."""

    channels: Channels = (48, 96, 128)
    """Filters of the strided convolutions."""
    planes: Planes = PLANES
    """What the channels of the guidance are, as the generator's."""
    guidance_planes: tuple[Plane, ...] = ("vessels",)
    """Those that it sees beside the photograph and the seven channels."""
    unshuffle: int = Field(2, ge=1, le=16)
    norm: Literal["instance", "none"] = "instance"
    """``instance`` or ``none``: without, it tells real from generated after tens of steps instead of hundreds."""
    detail_gain: float = Field(0.0, ge=0, le=100)
    """Above 0 it also sees the photograph minus the eye's light, times this: detail is faint beside the light."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        check_planes(self.planes)
        return self


class PhotoDiscriminator(nn.Module):
    """``forward(photo (N,3,H,W), onehot (N,7,H,W), guidance (N,G,H,W)) -> [features…, logits (N,1,h,w)]``."""

    def __init__(self, config: PhotoDiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        shown = 3 + 3 * (config.detail_gain > 0) + NUM_CLASSES + len(config.guidance_planes)
        layers, width = [], shown * config.unshuffle**2
        for index, channels in enumerate(config.channels):
            stride = 1 if index == 0 else 2
            conv = nn.Conv2d(width, channels, 3 if stride == 1 else 4, stride, padding=1)
            norm = nn.Identity() if index == 0 or config.norm == "none" else nn.InstanceNorm2d(channels, affine=True)
            if config.norm == "none":  # PyTorch's own start would halve the signal in every layer
                nn.init.kaiming_normal_(conv.weight, 0.2)
                nn.init.zeros_(conv.get_parameter("bias"))
            layers.append(nn.Sequential(conv, norm, nn.LeakyReLU(0.2)))
            width = channels
        self.layers = nn.ModuleList(layers)
        self.logits = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, photo: torch.Tensor, onehot: torch.Tensor, guidance: torch.Tensor) -> list[torch.Tensor]:
        config, planes = self.config, [photo * 2 - 1, onehot]
        if config.detail_gain:
            detail = photo - pick(guidance, LIGHT, config.planes)
            planes.append(detail * config.detail_gain * (1 - onehot[:, BG : BG + 1]))
        if config.guidance_planes:
            planes.append(pick(guidance, config.guidance_planes, config.planes))
        x = F.pixel_unshuffle(torch.cat(planes, 1), config.unshuffle)
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return [*features, self.logits(x).float()]
