"""The map discriminator: judges whether a map of a grade is a real eye's."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from retinagan.configuration import Channels, Field, configuration
from retinagan.models.layers import LEAK, EqualConv2d, EqualLinear, check_grades, minibatch_deviation
from retinagan.seeds import NUM_GRADES


@configuration
class MapDiscriminatorConfig:
    """Everything that shapes a :class:`MapDiscriminator`."""

    planes: int = Field(10, ge=1, le=1024)
    """Input planes: those of retinagan.training.maps.judged_planes."""
    shuffle: Literal[1, 2, 4, 8] = 4
    """Pixel-unshuffle before the first convolution."""
    channels: Channels = Field((48, 96, 128, 160, 160), max_length=9)
    """Filters at R/shuffle, half of it, …, 4 pixels."""
    num_grades: int = Field(NUM_GRADES, ge=1, le=1000)
    deviation_group: int = Field(4, ge=1, le=1024)
    """Images over which the minibatch deviation is taken."""

    @property
    def size(self) -> int:
        """R: side of the maps that it judges."""
        return self.shuffle * (4 << (len(self.channels) - 1))


class _DownBlock(nn.Module):
    """Residual block that halves the side: two 3×3 convs and a 1×1 skip, averaged so that the variance stays."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.conv1 = EqualConv2d(channels_in, channels_in, 3)
        self.conv2 = EqualConv2d(channels_in, channels_out, 3)
        self.skip = EqualConv2d(channels_in, channels_out, 1, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.conv1(x), LEAK)
        # The second convolution runs behind the pooling: a quarter of its cost at the larger side.
        y = F.leaky_relu(self.conv2(F.avg_pool2d(y, 2)), LEAK)
        return (y + self.skip(F.avg_pool2d(x, 2))) * 0.5**0.5


class MapDiscriminator(nn.Module):
    """Judges maps of a grade: ``planes (N, P, R, R), grade (N,) -> logits (N,)``, high for real ones.

    Residual, on pixel-unshuffled planes; the grade enters by projection (Miyato and Koyama 2018, "cGANs with
    Projection Discriminator"). It is twice differentiable, as R1 asks.
    """

    def __init__(self, config: MapDiscriminatorConfig):
        super().__init__()
        self.config = config
        self.size = config.size
        channels, last = config.channels, config.channels[-1]
        self.stem = EqualConv2d(config.planes * config.shuffle**2, channels[0], 3)
        self.blocks = nn.ModuleList(_DownBlock(a, b) for a, b in pairwise(channels))
        self.last_conv = EqualConv2d(last + 1, last, 3)
        self.features = EqualLinear(last * 16, last)
        self.judge = EqualLinear(last, 1, gain=1.0)
        self.embedding = nn.Embedding(config.num_grades, last)
        nn.init.normal_(self.embedding.weight, std=1.0)

    def forward(self, planes: Tensor, grade: Tensor) -> Tensor:
        """Logits ``float32 (N,)``. Raises ValueError or TypeError for wrong shapes, dtypes and grades."""
        expected = (self.config.planes, self.size, self.size)
        if planes.ndim != 4 or tuple(planes.shape[1:]) != expected:
            raise ValueError(f"planes have shape {tuple(planes.shape)}; this discriminator takes (N, *{expected})")
        check_grades(grade, planes.shape[0], self.config.num_grades)
        x = F.leaky_relu(self.stem(F.pixel_unshuffle(planes, self.config.shuffle)), LEAK)
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(self.last_conv(minibatch_deviation(x, self.config.deviation_group)), LEAK)
        features = F.leaky_relu(self.features(x.flatten(1)), LEAK).float()
        # The projection is scaled like an equalised layer, so both terms start at the same size.
        by_grade = (features * self.embedding(grade)).sum(dim=1) * features.shape[1] ** -0.5
        return self.judge(features).float().squeeze(1) + by_grade
