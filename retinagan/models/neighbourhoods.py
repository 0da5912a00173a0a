"""SPADE's gamma and beta once a neighbourhood of labels instead of once a pixel.

In the original's config gamma and beta at a pixel depend on the 5×5 labels around it alone: two 3×3 convolutions of the
one-hot map. A map has few different neighbourhoods, so the convolutions are evaluated on these alone and their results
gathered, which is exact. They depend on map and weights, not on the style, and are kept: the next style of a map finds
all of them, the map after a stroke all but those that the stroke made. Where a map is speckled and most pixels have a
neighbourhood of their own, the dense convolutions are quicker and take over.
"""

from __future__ import annotations

from threading import Lock
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retinagan.maps.labels import NUM_CLASSES

SIDE = 5
"""Of a neighbourhood in pixels: two 3×3 convolutions see so far."""
OUTSIDE = NUM_CLASSES
"""The label of what lies outside the picture."""
MAX_SHARE = 0.75
"""Of neighbourhoods among a map's pixels. A neighbourhood costs more than a pixel does in the dense convolutions, where
pixels share hidden features."""
MAX_COUNT = 16_384
"""Neighbourhoods of a map, and those kept of former maps, at one resolution: in the original's network 0.2 GB each, all
resolutions together. Real maps have up to 7 000."""
BATCH = 64
"""Neighbourhoods evaluated at once, always so many: libraries round differently for other sizes, and what a
neighbourhood gives must not depend on when it was first seen."""
CHUNK = 2**19
"""Numbers gathered at once, which stay in a CPU's cache."""


class Modulation(Protocol):
    """The layers of a SPADE: condition → ``conv``, ReLU → ``conv_gamma`` and ``conv_beta``, all 3×3."""

    conv: nn.Conv2d
    conv_gamma: nn.Conv2d
    conv_beta: nn.Conv2d


class SeenNeighbourhoods:
    """The neighbourhoods that a network has seen, at each resolution, and what its SPADE layers make of them.

    Belongs to one network whose weights do not change. Threads may share it.
    """

    def __init__(self) -> None:
        self._levels: dict[torch.Size, _Level] = {}
        self._lock = Lock()

    def of(self, condition: Tensor) -> Neighbourhoods | Tensor:
        """The neighbourhoods of a one-hot map ``float32 (1, 7, H, W)``; or, where the dense convolutions are due, the
        map itself: it is speckled, not one-hot or not on the CPU, or gradients or half precision are wanted."""
        if torch.is_grad_enabled() or condition.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return condition
        labels = labels_of(condition)
        if labels is None:
            return condition
        with self._lock:
            level = self._levels.get(labels.shape)
            if level is None or not torch.equal(level.labels, labels):
                found = find_neighbourhoods(labels, min(MAX_COUNT, int(MAX_SHARE * labels.numel())))
                if found is None:
                    return condition
                if level is None or len(level.patches) > MAX_COUNT:
                    level = self._levels[labels.shape] = _Level()
                level.take_in(labels, *found)
            return Neighbourhoods(level, level.rows, self._lock)


class Neighbourhoods:
    """The neighbourhoods of one map at one resolution, in the place of the map as a SPADE's condition."""

    def __init__(self, level: _Level, rows: Tensor, lock: Lock) -> None:
        self._level, self._rows, self._lock = level, rows, lock

    def modulated(self, spade: Modulation, x: Tensor, epsilon: float) -> Tensor:
        """``gamma · (x - mean) / sqrt(variance + epsilon) + beta``, mean and variance being those of a channel.

        ``float32 (1, C, H, W) -> (1, C, H, W)``, channels last.
        """
        with self._lock:
            gamma, beta = self._level.modulation(spade)
        x = x.contiguous(memory_format=torch.channels_last)
        y = torch.empty_like(x)
        before, after = (image.permute(0, 2, 3, 1).view(-1, x.shape[1]) for image in (x, y))
        step = CHUNK // x.shape[1]
        mean = before.mean(0)
        variance = sum((some - mean).square_().sum(0) for some in before.split(step)) / len(before)
        gamma = gamma * torch.rsqrt(variance + epsilon)
        for rows, some, out in zip(self._rows.split(step), before.split(step), after.split(step), strict=True):
            torch.index_select(beta, 0, rows, out=out)
            out.addcmul_(gamma.index_select(0, rows), some - mean)
        return y


class _Level:
    """What is known at one resolution: all neighbourhoods seen, and which of them the pixels of the last map have."""

    labels: Tensor
    """The last map, ``uint8 (H, W)``."""
    rows: Tensor
    """The place of its pixels' neighbourhoods in :attr:`patches`, ``int64 (H·W,)``."""

    def __init__(self) -> None:
        self.patches = torch.empty((0, SIDE, SIDE), dtype=torch.uint8)
        self._places: dict[bytes, int] = {}
        self._modulations: dict[Modulation, Tensor] = {}

    def take_in(self, labels: Tensor, patches: Tensor, index: Tensor) -> None:
        """The next map: its labels, its neighbourhoods, and which of these each pixel has."""
        known = len(self.patches)
        places = torch.tensor([self._places.setdefault(p.tobytes(), len(self._places)) for p in patches.numpy()])
        self.patches = torch.cat([self.patches, patches[places >= known]])
        self.labels, self.rows = labels, places[index]

    def modulation(self, spade: Modulation) -> Tensor:
        """``spade``'s gamma and beta of all neighbourhoods seen, ``float32 (2, D, C)``; only new ones are computed."""
        kept = self._modulations.get(spade)
        new = self.patches if kept is None else self.patches[kept.shape[1] :]
        if len(new):
            computed = modulation_of(spade, new)
            self._modulations[spade] = computed if kept is None else torch.cat([kept, computed], 1)
        return self._modulations[spade]


def labels_of(onehot: Tensor) -> Tensor | None:
    """The labels ``uint8 (H, W)`` of planes ``float32 (1, 7, H, W)``; None if they are not exactly one-hot."""
    if onehot.shape[:2] != (1, NUM_CLASSES) or onehot.dtype != torch.float32:
        return None
    largest, labels = onehot[0].max(dim=0)
    exact = bool((largest == 1).all()) and onehot.abs().sum().item() == labels.numel()
    return labels.byte() if exact else None


def find_neighbourhoods(labels: Tensor, most: int) -> tuple[Tensor, Tensor] | None:
    """The different 5×5 neighbourhoods of a map and which of them each pixel has; None if there are more than ``most``.

    Args:
        labels: ``uint8 (H, W)`` of classes 0-6.

    Returns:
        ``uint8 (D, 5, 5)``, with :data:`OUTSIDE` beyond the borders, and ``int64 (H·W,)``.
    """
    framed = F.pad(labels, (SIDE // 2,) * 4, value=OUTSIDE)
    # Rows of five labels are numbered, then columns of five such rows: no number stands for two neighbourhoods.
    rows, different = _numbered(framed.long(), NUM_CLASSES + 1, dim=1)
    if different**SIDE > torch.iinfo(torch.int64).max:
        return None  # 6 000 different rows are those of a speckled map
    numbers, different = _numbered(rows, different, dim=0)
    if different > most:
        return None
    index = numbers.flatten()
    place = torch.empty(different, dtype=torch.int64)
    place[index] = torch.arange(len(index))  # any of a neighbourhood's places
    y, x = place // labels.shape[1], place % labels.shape[1]
    return framed.unfold(0, SIDE, 1).unfold(1, SIDE, 1)[y, x], index


def _numbered(numbers: Tensor, count: int, dim: int) -> tuple[Tensor, int]:
    """One number for every five ``numbers`` below ``count`` in a row along ``dim``; and how many different ones."""
    code = torch.zeros((), dtype=torch.int64)
    for number in numbers.unfold(dim, SIDE, 1).unbind(-1):
        code = code * count + number
    different, numbered = torch.unique(code, return_inverse=True)
    return numbered, len(different)


def modulation_of(spade: Modulation, patches: Tensor) -> Tensor:
    """``spade``'s gamma and beta ``float32 (2, D, C)`` of neighbourhoods ``uint8 (D, 5, 5)``."""
    classes = torch.arange(NUM_CLASSES, dtype=torch.uint8)[:, None, None]
    weight = torch.cat([spade.conv_gamma.weight, spade.conv_beta.weight]).permute(0, 2, 3, 1).flatten(1)
    bias = torch.cat([layer.get_parameter("bias") for layer in (spade.conv_gamma, spade.conv_beta)])
    computed = []
    for batch in F.pad(patches, (0, 0, 0, 0, 0, -len(patches) % BATCH)).split(BATCH):
        onehot = (batch[:, None] == classes).to(torch.float32, memory_format=torch.channels_last)
        hidden = F.relu(F.conv2d(onehot, spade.conv.weight, spade.conv.bias))
        # Both convolutions are padded with zeros: outside the picture there are no hidden features, whatever they see.
        hidden *= batch[:, None, 1:-1, 1:-1] != OUTSIDE
        computed.append(F.linear(hidden.permute(0, 2, 3, 1).flatten(1), weight, bias))
    return torch.stack(torch.cat(computed)[: len(patches)].chunk(2, dim=1))
