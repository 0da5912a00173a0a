"""The last stage to twice the side: detail that a photograph's larger version needs, and a discriminator for its
training.

Most work is done at the photograph's own side; a few narrow layers at twice that side end it. Everything is local and
no layer normalises over the picture, so crops and whole images agree. What comes out, averaged over 2×2 pixels, *is*
the photograph that went in (back-projection, as in Irani and Peleg, "Improving resolution by image registration",
1991): the larger photograph is the same photograph with detail, not another one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retinagan.configuration import Channels, Field, configuration
from retinagan.maps.labels import BG, NUM_CLASSES
from retinagan.models.layers import LEAK, in_strips

FACTOR = 2
"""How much larger the photograph becomes."""

STRIP = 2**16
"""Pixels of a photograph that are enlarged at once on a CPU: 128 rows of 512."""


@configuration
class SuperResolverConfig:
    """What a super-resolving last stage is made of."""

    size: int = Field(1024, ge=2 * FACTOR, le=8192, multiple_of=FACTOR)
    """Side of the photographs that it makes, in pixels."""
    channels: int = Field(32, ge=1, le=1024)
    """Filters at the photograph's own side."""
    blocks: int = Field(4, ge=1, le=64)
    """Residual blocks there, two 3×3 convolutions each."""
    fine_channels: int = Field(16, ge=1, le=1024)
    """Filters at twice the side."""
    detail: float = Field(0.1, ge=1e-3, le=10)
    """Scale of the added detail: the network's outputs of order 1 are this many shares of white."""


class _Block(nn.Module):
    """``x + conv(conv(x))``; the second convolution starts at a tenth, so that a deep stack starts near the
    identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_2 = nn.Conv2d(channels, channels, 3, padding=1)
        with torch.no_grad():
            self.conv_2.weight *= 0.1

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_2(activated(self.conv_1(F.leaky_relu(x, LEAK)))).add_(x)


class SuperResolver(nn.Module):
    """A photograph and its eye → the photograph at twice the side.

    ``forward(photo (N,3,H,W) in 0..1, onehot (N,7,H,W), vessels (N,1,2H,2W) in 0..1, noise (N,1,2H,2W) of unit
    variance) -> (N,3,2H,2W)`` in 0..1, all float32; in ``train()`` mode not clamped. Any H and W, so crops train it.

    Raises:
        ValueError: shapes that do not fit each other.
    """

    def __init__(self, config: SuperResolverConfig) -> None:
        super().__init__()
        self.config = config
        wide, narrow = config.channels, config.fine_channels
        # Vessels and noise are known at twice the side: all four pixels of each enter below.
        self.enter = nn.Conv2d(3 + NUM_CLASSES + 2 * FACTOR**2, wide, 3, padding=1)
        self.blocks = nn.ModuleList(_Block(wide) for _ in range(config.blocks))
        self.leave = nn.Conv2d(wide, narrow, 3, padding=1)
        self.fine = nn.Conv2d(narrow + 2, narrow, 3, padding=1)
        self.output = nn.Conv2d(narrow, 3, 3, padding=1)

    def forward(self, photo: Tensor, onehot: Tensor, vessels: Tensor, noise: Tensor) -> Tensor:
        self._check(photo, onehot, vessels, noise)
        planes = photo, onehot, vessels, noise
        rows = STRIP // photo.shape[3]
        coarse = in_strips(self._coarse, rows, 2 * len(self.blocks) + 2, *planes)
        return in_strips(self._fine, rows, 3, coarse, *planes)

    def _coarse(self, photo: Tensor, onehot: Tensor, vessels: Tensor, noise: Tensor) -> Tensor:
        """Features ``(N, fine_channels, H, W)`` at the photograph's side."""
        fine = F.pixel_unshuffle(torch.cat([vessels, noise], 1), FACTOR)
        x = self.enter(_laid_out(torch.cat([photo * 2 - 1, onehot, fine], 1)))
        for block in self.blocks:
            x = block(x)
        return activated(self.leave(activated(x)))

    def _fine(self, x: Tensor, photo: Tensor, onehot: Tensor, vessels: Tensor, noise: Tensor) -> Tensor:
        """The photograph at twice the side of these features."""
        # Interpolation before a convolution leaves no grid, as a pixel shuffle would.
        x = torch.cat([upsampled(x), _laid_out(torch.cat([vessels, noise], 1))], 1)
        x = activated(self.fine(x))
        x = upsampled(photo) + self.config.detail * self.output(x).float()
        x = x + F.interpolate(photo - F.avg_pool2d(x, FACTOR), scale_factor=FACTOR, mode="nearest")
        field = (upsampled(onehot[:, BG : BG + 1]) <= 0.5).to(x.dtype)
        return x * field if self.training else x.clamp(0, 1) * field

    def _check(self, photo: Tensor, onehot: Tensor, vessels: Tensor, noise: Tensor) -> None:
        if photo.ndim != 4 or photo.shape[1] != 3:
            raise ValueError(f"photo has shape {tuple(photo.shape)}; expected (N, 3, H, W)")
        n, _, height, width = photo.shape
        large = (n, 1, height * FACTOR, width * FACTOR)
        for name, planes, expected in (
            ("onehot", onehot, (n, NUM_CLASSES, height, width)), ("vessels", vessels, large), ("noise", noise, large),
        ):  # fmt: skip
            if tuple(planes.shape) != expected:
                raise ValueError(f"{name} has shape {tuple(planes.shape)}; this photo needs {expected}")


def activated(x: Tensor) -> Tensor:
    """LeakyReLU in place: for what a convolution or a sum has just made and nothing else needs."""
    return F.leaky_relu(x, LEAK, inplace=True)


def _laid_out(planes: Tensor) -> Tensor:
    """Channels last, as their neighbours in a concatenation: the convolution behind it would copy a mixed one."""
    return planes.contiguous(memory_format=torch.channels_last)


def upsampled(planes: Tensor) -> Tensor:
    """Bilinear, to twice the side."""
    return F.interpolate(planes, scale_factor=FACTOR, mode="bilinear", align_corners=False)


@configuration
class DetailDiscriminatorConfig:
    """Patch discriminator of large photographs, on pixel-unshuffled crops, one logit a patch (Isola et al., 2017)."""

    channels: Channels = (48, 64, 96)
    """Filters of the convolutions; all but the first halve the side."""
    detail_gain: float = Field(8.0, ge=0, le=100)
    """The photograph minus its smooth version is shown times this: detail is faint beside the light."""


class DetailDiscriminator(nn.Module):
    """``forward(large (N,3,2H,2W), small (N,3,H,W), vessels (N,1,2H,2W)) -> [features…, logits (N,1,h,w)]``."""

    def __init__(self, config: DetailDiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        layers, width = [], (3 + 3 + 1) * FACTOR**2
        for index, channels in enumerate(config.channels):
            kernel, stride = (3, 1) if index == 0 else (4, 2)
            layers.append(nn.Conv2d(width, channels, kernel, stride, padding=1))
            nn.init.kaiming_normal_(layers[-1].weight, LEAK)
            width = channels
        self.layers = nn.ModuleList(layers)
        self.logits = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, large: Tensor, small: Tensor, vessels: Tensor) -> list[Tensor]:
        detail = (large - upsampled(small)) * self.config.detail_gain
        x = F.pixel_unshuffle(torch.cat([large * 2 - 1, detail, vessels], 1), FACTOR)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), LEAK)
            features.append(x)
        return [*features, self.logits(x).float()]
