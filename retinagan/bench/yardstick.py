"""What the machine gives at best: the rate of a large convolution, the measure of all other times."""

from __future__ import annotations

import torch
from torch import nn

from retinagan.bench.timing import Work
from retinagan.models.layers import channels_last

CHANNELS, SIDE = 256, 128
MULTIPLY_ADDS = 9 * CHANNELS**2 * SIDE**2
NAMES = {False: "convolution float32", True: "convolution bfloat16"}
"""By a work's ``half``."""


@torch.inference_mode()
def yardsticks(device: torch.device) -> list[Work]:
    """A convolution of 256 → 256 channels, 3×3 at 128², in channels-last memory: float32 and, on a GPU, bfloat16."""
    return [_yardstick(device, half) for half in ([False, True] if device.type == "cuda" else [False])]


def _yardstick(device: torch.device, half: bool) -> Work:
    dtype = torch.bfloat16 if half else torch.float32
    conv = channels_last(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)).to(device, dtype)
    plane = torch.rand(1, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    plane = plane.to(device, dtype, memory_format=torch.channels_last)
    repeats = 50 if device.type == "cuda" else 1  # on a GPU one alone is over before it is well begun

    @torch.inference_mode()
    def convolve(number: int) -> None:
        for _ in range(repeats):
            conv(plane)

    return Work(NAMES[half], convolve, units=repeats)
