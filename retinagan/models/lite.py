"""EfficientNet-Lite1 and Lite2 as encoders (Tan and Le, ICML 2019; Lite: without squeeze-and-excitation), and a U-Net.

The encoder is the network of TensorFlow's release, with its padding, so that weights trained on ImageNet fit; its
classifier is left out. Its tensors come in the order of that release (see :func:`load_encoder`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

Release = Literal["lite1", "lite2"]

STAGES = ((1, 3, 1, 1), (3, 3, 2, 6), (3, 5, 2, 6), (4, 3, 2, 6), (4, 5, 1, 6), (5, 5, 2, 6), (1, 3, 1, 6))
"""Blocks, side of the kernel, stride of the first block, expansion. Lite1's and Lite2's factors of depth, 1.1 and 1.2,
come to the same numbers of blocks."""
FILTERS: dict[Release, tuple[int, ...]] = {
    "lite1": (16, 24, 40, 80, 112, 192, 320),
    "lite2": (16, 24, 48, 88, 120, 208, 352),
}
"""Of each stage; Lite2's are 1.1 of Lite1's, rounded to eights."""
STEM, HEAD = 32, 1280
LEVELS = (0, 1, 2, 4, 6)
"""The last stage at each of the strides 2, 4, 8, 16 and 32."""
REDUCTION = 32
DECODER = (16, 32, 64, 96, 128)
"""Filters at strides 1, 2, 4, 8 and 16."""

_EPSILON, _MOMENTUM = 1e-3, 0.01


class _SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's "same": with stride 2 an even side gets the odd pixel at its end."""

    def __init__(self, before: int, width: int, side: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            before, width, side, stride, padding=side // 2 if stride == 1 else 0, groups=groups, bias=False
        )
        self.extra = (0, 0) if stride == 1 else ((side - 2) // 2, (side - 1) // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kernel_size == (
            1,
            1,
        ):  # as a product of matrices: on one CPU thread PyTorch's own way takes twice as long
            return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1)).permute(0, 3, 1, 2)
        return super().forward(F.pad(x, self.extra * 2) if self.extra[1] else x)


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=_EPSILON, momentum=_MOMENTUM)


class _Block(nn.Module):
    """Inverted residual: wider by a 1×1 convolution, a depthwise one, narrower by another 1×1."""

    def __init__(self, before: int, width: int, side: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = before * expansion
        wider = [_SameConv(before, inner, 1), _norm(inner), nn.ReLU6(inplace=True)] if expansion > 1 else []
        depthwise = [_SameConv(inner, inner, side, stride, groups=inner), _norm(inner), nn.ReLU6(inplace=True)]
        self.body = nn.Sequential(*wider, *depthwise, _SameConv(inner, width, 1), _norm(width))
        self.residual = stride == 1 and before == width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.residual else self.body(x)


class LiteEncoder(nn.Module):
    """``forward(photo (N,3,H,W) float 0..1) -> features at strides 2, 4, 8, 16, 32``; sides divide by 32.

    Attributes:
        widths: filters of the features.
    """

    def __init__(self, release: Release = "lite1") -> None:
        super().__init__()
        self.release, filters = release, FILTERS[release]
        self.widths = tuple(filters[stage] for stage in LEVELS)
        self.stem = nn.Sequential(_SameConv(3, STEM, 3, 2), _norm(STEM), nn.ReLU6(inplace=True))
        self.stages, before = nn.ModuleList(), STEM
        for (count, side, stride, expansion), width in zip(STAGES, filters, strict=True):
            blocks = [_Block(before, width, side, stride, expansion)]
            blocks += [_Block(width, width, side, 1, expansion) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(*blocks))
            before = width

    def forward(self, photo: torch.Tensor) -> list[torch.Tensor]:
        x = self.stem((photo * 255 - 127) / 128)
        levels = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in LEVELS:
                levels.append(x)
        return levels


class LiteTrunk(LiteEncoder):
    """An encoder whose features end with those that the release classifies by: 1280 at stride 32, not yet pooled."""

    def __init__(self, release: Release) -> None:
        super().__init__(release)
        self.head = nn.Sequential(_SameConv(self.widths[-1], HEAD, 1), _norm(HEAD), nn.ReLU6(inplace=True))

    def forward(self, photo: torch.Tensor) -> list[torch.Tensor]:
        levels = super().forward(photo)
        return [*levels, self.head(levels[-1])]


def load_encoder(encoder: LiteEncoder, tensors: Mapping[str, torch.Tensor]) -> None:
    """Put the release's tensors into the encoder, in their order; what follows them (the classifier's) is passed over.

    Raises:
        ValueError: too few tensors, or one of another shape; both are named.
    """
    own = {key: value for key, value in encoder.state_dict().items() if not key.endswith("num_batches_tracked")}
    given = [(key, value) for key, value in tensors.items() if not key.endswith("num_batches_tracked")]
    name = f"EfficientNet-{encoder.release.title()}"
    if len(given) < len(own):
        raise ValueError(f"the pretrained weights hold {len(given)} tensors; {name} needs {len(own)}")
    for (key, value), (source, new) in zip(own.items(), given, strict=False):
        if value.shape != new.shape:
            raise ValueError(
                f"the pretrained weights' {source} is {tuple(new.shape)}; {key} needs {tuple(value.shape)}: "
                f"they are not of {name}"
            )
        with torch.no_grad():
            value.copy_(new)


class LiteDecoder(nn.Module):
    """From the encoder's features and full-resolution planes to logits: a U-Net's way back up."""

    def __init__(self, widths: tuple[int, ...], planes: int, classes: int) -> None:
        super().__init__()
        self.joins = nn.ModuleList()
        deep = widths[-1]
        for skip, width in zip(widths[-2::-1], DECODER[:0:-1], strict=True):
            self.joins.append(nn.Sequential(*_conv(deep + skip, width), *_conv(width, width)))
            deep = width
        self.narrow = _SameConv(deep, DECODER[0], 1)
        self.fine = nn.Conv2d(planes, DECODER[0], 3, padding=1)
        self.last = nn.Sequential(*_conv(DECODER[0], DECODER[0]))
        self.output = nn.Conv2d(DECODER[0], classes, 1)
        self.output.bias = nn.Parameter(torch.full((classes,), -4.0))  # lesions cover about a hundredth of a photograph

    def forward(self, levels: list[torch.Tensor], planes: torch.Tensor) -> torch.Tensor:
        x = levels[-1]
        for join, skip in zip(self.joins, levels[-2::-1], strict=True):
            x = join(torch.cat([_doubled(x), skip], 1))
        return self.output(self.last(F.relu(_doubled(self.narrow(x)) + self.fine(planes))))


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _conv(before: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
