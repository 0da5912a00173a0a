"""Layers that more than one network uses: equalised weights, pixel norm, minibatch deviation, grades."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.2
"""Slope of every LeakyReLU on the negative side, as in the original."""


Network = TypeVar("Network", bound=nn.Module)


def channels_last(network: Network) -> Network:
    """The network with its weights laid out as convolutions are quickest."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def in_strips(run: Callable[..., Tensor], rows: int, reach: int, *planes: Tensor) -> Tensor:
    """What a local ``run`` makes of ``planes``, computed in strips of so many ``rows`` of the first; of the whole at
    once with gradients and elsewhere than on a CPU.

    A CPU's C library takes blocks of more than 32 MB from the system anew each time, and strips stay in its cache: both
    cost more than the rows that two strips have in common.

    Args:
        run: its output at a pixel depends on what lies within ``reach`` rows of the first plane alone.
        planes: ``(N, C, H, W)``; others than the first may have a multiple of its side, as the output may.
    """
    height, rows, strips = planes[0].shape[2], max(rows, 1), []
    if torch.is_grad_enabled() or planes[0].device.type != "cpu" or height < 2 * rows:
        return run(*planes)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first, last = max(0, top - reach), min(bottom + reach, height)
        strip = run(*(_rows(plane, first, last, plane.shape[2] // height) for plane in planes))
        strips.append(_rows(strip, top - first, bottom - first, strip.shape[2] // (last - first)))
    return torch.cat(strips, 2)


def _rows(plane: Tensor, first: int, last: int, scale: int) -> Tensor:
    return plane[:, :, first * scale : last * scale]


def pixel_norm(x: Tensor) -> Tensor:
    """Every row of ``x (N, C)`` scaled to a mean square of 1: ``x / sqrt(mean(x²) + 1e-8)``."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class EqualLinear(nn.Module):
    """Dense layer with an equalised learning rate (Karras et al. 2018, "Progressive Growing of GANs").

    ``(x @ Wᵀ · sqrt(gain / in) + b) · multiplier``; W is stored unscaled with deviation ``1 / multiplier``, so
    that the optimiser's steps are alike in every layer and smaller by ``multiplier`` where one is given.
    """

    def __init__(
        self, features_in: int, features_out: int, gain: float = 2.0, multiplier: float = 1.0, bias: float = 0.0
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features_out, features_in) / multiplier)
        self.bias = nn.Parameter(torch.full((features_out,), bias / multiplier))
        self.scale = math.sqrt(gain / features_in)
        self.multiplier = multiplier

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * (self.scale * self.multiplier), self.bias * self.multiplier)


class EqualConv2d(nn.Module):
    """Odd-sized "same" convolution with an equalised learning rate; ``padding`` is "zeros" or "reflect"."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, gain: float = 2.0, padding: str = "zeros"):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.scale = math.sqrt(gain / (channels_in * kernel * kernel))
        self.margin = kernel // 2
        self.reflect = padding == "reflect" and self.margin > 0

    def forward(self, x: Tensor) -> Tensor:
        if self.reflect:
            x = F.pad(x, (self.margin,) * 4, mode="reflect")
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=0 if self.reflect else self.margin)


def conv_of_upsampled(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """``conv``, 3×3 or 4×4 and "same", of ``x`` enlarged twice by nearest neighbour; the enlarged image is never made.

    Each of the four pixels that a pixel becomes sees at most 3×3 pixels of ``x``, some of them through several taps: a
    3×3 convolution with four times the filters. ``(N, C, H, W) -> (N, F, 2·H, 2·W)``.
    """
    kernel = conv.kernel_size[0]
    taps = x.new_zeros(2, 3, kernel)  # pixel's half, row or column of ``x`` around it, tap
    for half in range(2):
        for tap in range(kernel):
            taps[half, (half + tap - (kernel - 1) // 2) // 2 + 1, tap] = 1
    weight = torch.einsum("pyk,qxl,fckl->fpqcyx", taps, taps, conv.weight).flatten(0, 2)
    bias = None if conv.bias is None else conv.bias.repeat_interleave(4)
    return F.pixel_shuffle(F.conv2d(x, weight, bias, padding=1), 2)


def minibatch_deviation(x: Tensor, group: int) -> Tensor:
    """Append one plane: how much the images of a group differ (Karras et al. 2018). ``(N, C, H, W) -> (N, C+1, H, W)``.

    Groups hold the largest divisor of N that is at most ``group``; a lone image gets zeros.
    """
    n = x.shape[0]
    members = max(d for d in range(1, min(group, n) + 1) if n % d == 0)
    grouped = x.float().reshape(members, n // members, *x.shape[1:])
    deviation = (grouped.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3)) - 1e-4
    plane = deviation.repeat(members).view(n, 1, 1, 1).expand(n, 1, *x.shape[2:])
    return torch.cat([x, plane.to(x.dtype)], dim=1)


def check_grades(grade: Tensor, n: int, num_grades: int) -> None:
    """Raise unless ``grade`` is ``int64 (n,)`` of 0 to num_grades − 1: TypeError for the dtype, else ValueError.

    The values are looked at on the CPU alone: a GPU would have to be waited for.
    """
    if grade.dtype != torch.int64:
        raise TypeError(f"grade has dtype {grade.dtype}; allowed is torch.int64")
    if tuple(grade.shape) != (n,):
        raise ValueError(f"grade has shape {tuple(grade.shape)}; {n} latents or maps need ({n},)")
    wrong = grade[(grade < 0) | (grade >= num_grades)] if grade.device.type == "cpu" else grade[:0]
    if wrong.numel():
        raise ValueError(f"grade is {int(wrong[0])}; allowed are 0-{num_grades - 1}")
