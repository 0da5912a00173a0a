"""Is a vascular tree a copy? The training eye that overlaps a tree most, over rotations, reflections and shifts.

First all training eyes at once: small soft planes, every rotation, reflection and shift of the asked tree, correlated
by one matrix product. Then the best few are compared exactly, on vessel masks, around the rotation and shift that was
found.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.distances import Overlaps
from retinagan.evaluation.plots import GENERATED, REAL, axes
from retinagan.evaluation.report import Result, number

COARSE, FINE = 64, 256
"""Sides at which all training eyes and the best few are compared."""

VESSEL = 0.3
"""Ridge-filter response from which a pixel counts as vessel."""

TOLERANCE = 1
"""Pixels at a side of 256 by which vessel masks are dilated, so that a shift of less than a vessel's width is no
difference."""

ANGLE_STEP, SHIFT_STEP, SHIFT_STEPS = 6, 2, 2
"""Degrees, and pixels at a side of 64, between the rotations and shifts first tried; shifts to both sides."""

CANDIDATES = 8
"""Training eyes that are compared exactly."""


@dataclass(frozen=True)
class Copy:
    """The training eye that a tree resembles most.

    Attributes:
        index: its place among the training eyes.
        overlap: Dice coefficient of the dilated vessel masks, 0..1.
        rotation: degrees by which the tree is turned, clockwise as seen, after mirroring.
        mirrored: whether it is mirrored left to right.
    """

    index: int
    overlap: float
    rotation: float
    mirrored: bool


class NearestTrees:
    """Finds the training eye nearest to a vascular tree.

    The overlap is the Dice coefficient 2|A∩B| / (|A| + |B|) of vessel masks at a side of 256, dilated by a pixel,
    inside the common
    field: what vessel segmentations are compared by. On IDRiD, photographs rendered on a training eye's own vessels
    have 0.77-0.86 with it, and held-out real eyes 0.29-0.36 with their nearest of 392 training eyes; 0.5 tells them
    apart.

    Args:
        planes: ``uint8 (N, S, S)``, the ridge filter of the training photographs × 255; S a multiple of 256, or 256 /
            2ⁿ.
    """

    def __init__(self, planes: np.ndarray) -> None:
        if planes.ndim != 3 or planes.shape[1] != planes.shape[2] or planes.dtype != np.uint8:
            raise ValueError(f"vessel planes are {planes.dtype} {planes.shape}; expected uint8 (N, S, S)")
        if not len(planes):
            raise ValueError("there is no training eye to compare with")
        self._masks = [vessel_mask(plane) for plane in planes]
        self._areas = np.array([mask.sum() for mask in self._masks])
        self._small = np.stack([_normalised(_soft(plane)) for plane in planes]).reshape(len(planes), -1)

    def find(self, plane: np.ndarray, exclude: Collection[int] = ()) -> Copy:
        """The nearest training eye of a tree ``uint8 (S, S)``, passing over those in ``exclude``.

        Raises:
            ValueError: nothing is left to compare with.
        """
        if len(set(exclude)) >= len(self._masks):
            raise ValueError("every training eye is excluded")
        score, where = self._coarse(_soft(plane))
        score[list(exclude)] = -np.inf
        mask = vessel_mask(plane)
        nearest = [int(i) for i in np.argsort(-score)[:CANDIDATES] if np.isfinite(score[i])]
        return max((self._exact(mask, i, *where[i]) for i in nearest), key=lambda copy: copy.overlap)

    def _coarse(self, small: np.ndarray) -> tuple[np.ndarray, list[tuple[float, bool]]]:
        """Highest correlation with each training eye, ``(N,)``, and the (degrees, mirrored) of it."""
        shifts = range(-SHIFT_STEP * SHIFT_STEPS, SHIFT_STEP * SHIFT_STEPS + 1, SHIFT_STEP)
        turned, poses = [], []
        for mirrored in (False, True):
            for angle in range(0, 360, ANGLE_STEP):
                picture = turn(small[:, ::-1] if mirrored else small, angle)
                for y in shifts:
                    for x in shifts:
                        turned.append(_normalised(_shifted(picture, y, x)))
                poses.append((float(angle), mirrored))
        correlation = np.stack(turned).reshape(len(turned), -1) @ self._small.T
        best = correlation.argmax(axis=0)
        return correlation.max(axis=0), [poses[i // len(shifts) ** 2] for i in best]

    def _exact(self, mask: np.ndarray, index: int, angle: float, mirrored: bool) -> Copy:
        """Around the pose found, every degree and, by Fourier transform, every shift within the range."""
        reach = (SHIFT_STEP * SHIFT_STEPS + 1) * FINE // COARSE
        mask = mask[:, ::-1] if mirrored else mask
        spectrum = np.fft.rfft2(self._masks[index].astype(np.float32))
        best = Copy(index, 0.0, angle, mirrored)
        for degrees in np.arange(angle - ANGLE_STEP // 2, angle + ANGLE_STEP // 2 + 1):
            turned = (turn(mask.astype(np.float32), degrees) > 0.5).astype(np.float32)
            common = np.fft.irfft2(spectrum * np.fft.rfft2(turned).conj(), mask.shape)
            common = np.roll(common, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]  # shifts up to the reach
            overlap = float(2 * common.max() / max(turned.sum() + self._areas[index], 1))
            if overlap > best.overlap:
                best = Copy(index, min(overlap, 1.0), float(degrees % 360), mirrored)
        return best


def vessel_mask(plane: np.ndarray) -> np.ndarray:
    """Ridge filter × 255, ``uint8 (S, S)`` → dilated vessel mask ``bool (256, 256)``."""
    mask = resized(plane.astype(np.float32) / 255, FINE) > VESSEL
    return ndimage.binary_dilation(mask, np.ones((3, 3)), TOLERANCE) if TOLERANCE else mask


def resized(plane: np.ndarray, side: int) -> np.ndarray:
    """A square plane ``(S, S)`` at ``side``: block means downwards, linear upwards.

    Raises:
        ValueError: neither side divides the other.
    """
    size = len(plane)
    if size % side == 0:
        return plane.reshape(side, size // side, side, size // side).mean(axis=(1, 3))
    if side % size == 0:
        return ndimage.zoom(plane, side // size, order=1, grid_mode=True, mode="nearest")
    raise ValueError(f"a vessel plane has side {size}; it must divide {side} or be a multiple of it")


def turn(plane: np.ndarray, degrees: float) -> np.ndarray:
    """A square plane turned clockwise as seen about its middle, linear, zero from outside."""
    return ndimage.rotate(plane, -degrees, reshape=False, order=1)


def _soft(plane: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(resized(plane.astype(np.float32) / 255, COARSE), 0.8)


def _shifted(plane: np.ndarray, y: int, x: int) -> np.ndarray:
    result = np.zeros_like(plane)
    side = len(plane)
    result[max(y, 0) : side + min(y, 0), max(x, 0) : side + min(x, 0)] = plane[
        max(-y, 0) : side + min(-y, 0), max(-x, 0) : side + min(-x, 0)
    ]
    return result


_d = np.arange(COARSE) + 0.5 - COARSE / 2
_DISC = np.hypot(_d[:, None], _d[None, :]) < COARSE / 2


def _normalised(small: np.ndarray) -> np.ndarray:
    """A small plane of mean zero and length one inside the field, ``float32``."""
    centred = np.where(_DISC, small - small[_DISC].mean(), 0)
    return (centred / max(float(np.sqrt((centred**2).sum())), 1e-9)).astype(np.float32)


@dataclass(frozen=True)
class Copying(Result):
    """Overlaps of generated and of held-out real trees; how many generated ones are ``copies``, and the style and the
    training eye of the highest overlap."""

    title: ClassVar = "Highest overlap of vessels with a training eye"
    generated: Overlaps
    heldout: Overlaps
    copies: int
    highest_style: int
    highest_eye: str

    @classmethod
    def of(cls, generated: Sequence[Copy], heldout: Sequence[Copy], ids: Sequence[str]) -> Copying:
        """Of trees of styles 0 … and of held-out eyes; ``ids`` of the training eyes."""
        ours, theirs = (Overlaps.of([copy.overlap for copy in copies]) for copies in (generated, heldout))
        highest = int(np.argmax(ours.all))
        copies = sum(not criteria.COPIED_TREE.met(overlap) for overlap in ours.all)
        return cls(ours, theirs, copies, highest, ids[generated[highest].index])

    def _told(self) -> list[tuple[str, Overlaps, str]]:
        return [("generated", self.generated, GENERATED), ("real, held-out", self.heldout, REAL)]

    def criteria(self) -> list[Criterion]:
        ours, theirs = self.generated, self.heldout
        told = f"{number(ours.max)} of {ours.n} photographs; {number(theirs.max)} of {theirs.n} held-out real ones"
        return [criteria.COPIED_TREE.judge(ours.max, told)]

    def pictures(self) -> dict[str, Figure]:
        figure, ((axis,),) = axes(1, 1, 6, 3.2)
        for name, row, tint in self._told():
            axis.hist(row.all, np.linspace(0, 1, 51), density=True, color=tint, alpha=0.6, label=name)
        axis.axvline(criteria.COPIED_TREE.below, color="#111827", linewidth=1, linestyle="--")
        axis.set(xlabel="overlap with the nearest training eye", yticks=[])
        axis.set_title("A copy would stand to the right of the line")
        axis.legend(fontsize=8)
        return {"copying": figure}
